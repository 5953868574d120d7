import type { CallLimits } from '../model/types.ts';

/** Calls used since `at`, the beginning of a minute, hour or day of the clock, in milliseconds. */
export interface Used {
  at: number;
  calls: number;
}
/** What all processes together have used of a platform. */
export interface Usage {
  minute: Used;
  hour: Used;
  day: Used;
}
export type Span = keyof Usage;

export interface Taken {
  usage: Usage;
  /** At most as many as were asked for; 0: the budget is used up. */
  calls: number;
  /** When a call that was given must be made at the latest, or where none was, when there are calls again. Milliseconds. */
  until: number;
}

const MINUTE = 60_000;
const SHANGHAI = 8 * 60 * MINUTE;
const LENGTH: Readonly<Record<Span, number>> = { minute: MINUTE, hour: 60 * MINUTE, day: 24 * 60 * MINUTE };
const SPANS: readonly Span[] = ['minute', 'hour', 'day'];

export const NO_USAGE: Usage = { minute: { at: 0, calls: 0 }, hour: { at: 0, calls: 0 }, day: { at: 0, calls: 0 } };

/**
 * Takes up to `wanted` calls out of every span. A call counts when it is taken, so that a process that dies uses less than it took and never
 * more. A clock that is behind another's counts in the span that has begun: no span is counted twice.
 */
export function takeCalls(usage: Usage, limits: CallLimits, now: number, wanted: number): Taken {
  const current = Object.fromEntries(SPANS.map((span) => [span, since(span, usage[span], begin(span, now))])) as unknown as Usage;
  const left = SPANS.map((span) => ({ span, left: Math.max(0, limitOf(limits, span) - current[span].calls) }));
  const calls = Math.min(wanted, ...left.map((one) => one.left));
  const spent = left.filter((one) => one.left === 0).map(({ span }) => end(span, current[span].at));
  return {
    usage: Object.fromEntries(
      SPANS.map((span) => [span, { at: current[span].at, calls: current[span].calls + calls }]),
    ) as unknown as Usage,
    calls,
    until: calls > 0 ? end('minute', current.minute.at) : Math.max(now + 1, ...spent),
  };
}

/** Gives calls back that were taken at `at` and not made; a span that is over since keeps its count. */
export function giveBack(usage: Usage, at: number, calls: number): Usage {
  const less = (span: Span) => ({
    at: usage[span].at,
    calls: usage[span].at === begin(span, at) ? Math.max(0, usage[span].calls - calls) : usage[span].calls,
  });
  return { minute: less('minute'), hour: less('hour'), day: less('day') };
}

/** How many calls a process takes at a time: a twentieth of the tightest budget, fifty at most, so that few are left over where one dies. */
export function shareOf(limits: CallLimits): number {
  const tightest = Math.min(...SPANS.map((span) => limitOf(limits, span)));
  return Math.max(1, Math.min(50, Math.floor(tightest / 20)));
}

/**
 * How many runs may be at a platform at once. A run logs in before it reads: with less than four calls a minute for each, all of them could spend
 * the minute on logging in, and none would ever get on.
 */
export function placesOf(limits: CallLimits): number {
  const tightest = Math.min(...SPANS.map((span) => limitOf(limits, span)));
  return Math.max(1, Math.min(limits.concurrent, Math.floor(tightest / 4)));
}

export function limitOf(limits: CallLimits, span: Span): number {
  return { minute: limits.perMinute, hour: limits.perHour, day: limits.perDay }[span] ?? Number.POSITIVE_INFINITY;
}

const begin = (span: Span, at: number): number => Math.floor((at + SHANGHAI) / LENGTH[span]) * LENGTH[span] - SHANGHAI;
const end = (span: Span, at: number): number => at + LENGTH[span];
/** A count from more than a span ahead was made by a clock that was wrong. */
const since = (span: Span, used: Used, at: number): Used => (at > used.at || used.at - at > LENGTH[span] ? { at, calls: 0 } : used);
