import type { BreakerSettings } from '../model/types.ts';

/**
 * The breaker of a platform, shared by all processes. `closed`: calls pass and failures in a row are counted. `open`: nothing passes before
 * `until`. `half-open`: one call is under way to try whether the platform is back. Times in milliseconds.
 */
export interface Breaker {
  state: 'closed' | 'open' | 'half-open';
  failures: number;
  /** Of the first failure of the row. */
  since: number | null;
  openedAt: number | null;
  until: number | null;
  /** `connector/stream` of the run that tries. */
  probe: string | null;
}

export const CLOSED: Breaker = { state: 'closed', failures: 0, since: null, openedAt: null, until: null, probe: null };
/** How long others wait for a call that tries before they look again. */
const LOOK_AGAIN_MS = 5000;

export type Passage = { may: true; breaker: Breaker; probing: boolean } | { may: false; until: number };

/**
 * Whether a run may call now. The first one after `until` tries the platform, and no other while it does; where its process died (`probeLives`
 * says so) the next one takes its place at once.
 */
export function passage(breaker: Breaker, who: string, now: number, probeLives: boolean): Passage {
  if (breaker.state === 'closed') return { may: true, breaker, probing: false };
  if (breaker.state === 'open' && now < (breaker.until ?? 0)) return { may: false, until: breaker.until ?? 0 };
  if (breaker.state === 'half-open' && probeLives && breaker.probe !== who) return { may: false, until: now + LOOK_AGAIN_MS };
  return { may: true, breaker: { ...breaker, state: 'half-open', probe: who }, probing: true };
}

/** After a failed call. A failure of a call that was under way when the breaker opened changes nothing. */
export function failed(breaker: Breaker, who: string, settings: BreakerSettings, now: number): Breaker {
  const until = now + settings.open * 1000;
  if (breaker.state === 'open') return breaker;
  if (breaker.state === 'half-open') return breaker.probe === who ? { ...breaker, state: 'open', until, probe: null } : breaker;
  const isRow = breaker.since !== null && now - breaker.since <= settings.within * 1000;
  const failures = (isRow ? breaker.failures : 0) + 1;
  if (failures < settings.failures) return { ...breaker, failures, since: isRow ? breaker.since : now };
  return { state: 'open', failures, since: isRow ? breaker.since : now, openedAt: now, until, probe: null };
}

/** After a call that was answered: the row of failures is over, and the one that tried closes the breaker. */
export function succeeded(breaker: Breaker, who: string): Breaker {
  if (breaker.state === 'closed') return CLOSED;
  return breaker.state === 'half-open' && breaker.probe === who ? CLOSED : breaker;
}
