import { openConnector } from '../connectors/connector.ts';
import type { Gate, OpenConnector } from '../connectors/contract.ts';
import { Deferred, RetryLater } from '../errors.ts';
import type { Connector, Hours } from '../model/types.ts';
import { shareOf } from '../rules/budget.ts';
import { nextOpening } from '../rules/windows.ts';
import { type Held, lookAhead, noteFailure, noteSuccess, returnCalls, takeTicket, type Ticket } from '../store/platforms.ts';
import { operationsEntry } from './entry.ts';
import type { Jobs } from './hub.ts';

/** Another process may have opened the breaker, or a person may have paused the platform: a run looks again after so long. */
const LOOK_EVERY_MS = 1000;
/** A window that never opens again in the year: looked at again tomorrow, when the calendar may know more. */
const NEVER_MS = 86_400_000;

/** What runs at a platform: a stream of it, or the way back of refused records. */
export interface Run {
  connector: Connector;
  stream: string;
  windows: readonly Hours[];
  signal?: AbortSignal | undefined;
}

/** The only place where the hub opens a platform: whatever is asked of it and by whichever transport passes the gate. */
export function openPlatform(jobs: Jobs, run: Run, settings: Readonly<Record<string, string>>): OpenConnector {
  const { connector, signal } = run;
  return openConnector(connector, settings, { now: jobs.now, gate: gateOf(jobs, run), ...(signal ? { signal } : {}) });
}

/** Throws `Deferred` where a run would be stopped at its first call: it is not begun then. */
export async function checkAhead(jobs: Jobs, run: Run): Promise<void> {
  checkHours(jobs, run);
  const held = await lookAhead(jobs.pool, callerOf(run), run.connector.limits, jobs.now().getTime());
  if (held !== undefined) throw deferredBy(held);
}

function gateOf(jobs: Jobs, run: Run): Gate {
  const { limits, breaker } = run.connector;
  const of = callerOf(run);
  const share = shareOf(limits);
  let hand: Ticket = { calls: 0, until: 0, probing: false, failures: 0 };
  let takenAt = 0;
  let lookedAt = Number.NEGATIVE_INFINITY;

  /** One call out of the hand; a new handful where it is empty or its minute is over, another look where the last is long ago. */
  async function take(): Promise<Ticket> {
    const now = jobs.now().getTime();
    const empty = hand.calls === 0 || now >= hand.until;
    if (empty || Math.abs(now - lookedAt) >= LOOK_EVERY_MS || hand.failures > 0) {
      checkHours(jobs, run);
      const ticket = await takeTicket(jobs.pool, of, limits, empty ? share : 0, now);
      if ('why' in ticket) throw deferredBy(ticket);
      lookedAt = now;
      if (empty) takenAt = now;
      // A probe is a call of its own, beside those in the hand.
      hand = empty ? ticket : { ...ticket, calls: hand.calls + ticket.calls, until: hand.until };
    }
    hand = { ...hand, calls: hand.calls - 1 };
    return hand;
  }

  const failure = async () =>
    void (await noteFailure(jobs.pool, jobs.keys, of, breaker, jobs.now().getTime(), () => announce(jobs, run, 'breaker-opened')));
  const success = async () => void (await noteSuccess(jobs.pool, of, () => announce(jobs, run, 'breaker-closed')));

  return {
    async pass(call, isDown = () => false) {
      const { probing, failures } = await take();
      let answer: Awaited<ReturnType<typeof call>>;
      try {
        answer = await call();
      } catch (error) {
        // A call that we broke off ourselves says nothing of the platform; any other end is an answer.
        const down = error instanceof RetryLater && !(error instanceof Deferred);
        if (down && run.signal?.aborted !== true) {
          await failure();
          hand = { ...hand, failures: hand.failures + 1 };
        } else if (!down && (probing || failures > 0)) await success();
        throw error;
      }
      if (isDown(answer)) {
        await failure();
        hand = { ...hand, failures: hand.failures + 1 };
      } else if (probing || failures > 0) {
        await success();
        hand = { ...hand, failures: 0 };
      }
      return answer;
    },
    async close() {
      // Should this fail, the calls count as made.
      await returnCalls(jobs.pool, of.connector, takenAt, hand.calls).catch(() => undefined);
      hand = { ...hand, calls: 0 };
    },
  };
}

const callerOf = ({ connector, stream }: Run) => ({ connector: connector.id, stream });

function checkHours({ model, now }: Jobs, { windows }: Run): void {
  const at = now();
  const opening = nextOpening(windows, model.calendar, at);
  if (opening === undefined) throw new Deferred('window', new Date(at.getTime() + NEVER_MS));
  if (opening > at) throw new Deferred('window', opening);
}

function deferredBy({ why, until }: Held): Deferred {
  return new Deferred(why, until === undefined ? undefined : new Date(until));
}

async function announce(jobs: Jobs, { connector, stream }: Run, what: string): Promise<void> {
  await jobs.log.append(operationsEntry(jobs, connector, `${what} ${connector.id}/${stream}`));
  jobs.logger.warn({ connector: connector.id, stream }, what);
}
