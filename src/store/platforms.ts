import type { Delay } from '../errors.ts';
import { PLATFORM_ISSUES } from '../model/streams.ts';
import type { BreakerSettings, CallLimits } from '../model/types.ts';
import { type Breaker, CLOSED, failed, passage, succeeded } from '../rules/breaker.ts';
import { giveBack, NO_USAGE, takeCalls, type Usage } from '../rules/budget.ts';
import { storeIssues } from './issues.ts';
import type { Keys } from './keys.ts';
import type { Pool, Sql } from './sql.ts';

/** How a platform is used, over all processes: the breaker and the budget of its row, each changed under the row's lock. */

/** Who asks to call: a run of a stream. */
export interface Caller {
  connector: string;
  stream: string;
}
/** Calls that may be made until `until` (milliseconds). `probing`: the one call that tries whether the platform is back. */
export interface Ticket {
  calls: number;
  until: number;
  probing: boolean;
  /** Failures in a row that are counted: a call that is answered ends them. */
  failures: number;
}
/** Why no call may be made, and until when. */
export interface Held {
  why: Delay;
  until: number | undefined;
}
interface Row {
  paused: boolean;
  usage: Usage | null;
  breaker: Breaker | null;
}

const nameOf = ({ connector, stream }: Caller) => `${connector}/${stream}`;

/** Takes up to `wanted` calls for a run; 0 asks only whether those it has may be made. */
export async function takeTicket(pool: Pool, of: Caller, limits: CallLimits, wanted: number, now: number): Promise<Ticket | Held> {
  return pool.transaction(async (sql) => {
    const row = await held(sql, of.connector);
    if (row.paused || (await isStreamPaused(sql, of))) return { why: 'paused', until: undefined };
    const breaker = row.breaker ?? CLOSED;
    const pass = passage(breaker, nameOf(of), now, await probeLives(sql, breaker));
    if (!pass.may) return { why: 'breaker', until: pass.until };
    const taken = takeCalls(row.usage ?? NO_USAGE, limits, now, pass.probing ? 1 : wanted);
    if (taken.calls === 0 && (wanted > 0 || pass.probing)) return { why: 'budget', until: taken.until };
    if (taken.calls > 0 || pass.probing) await keep(sql, of.connector, { usage: taken.usage, breaker: pass.breaker });
    return { calls: taken.calls, until: taken.until, probing: pass.probing, failures: pass.breaker.failures };
  });
}

/** Whether a run would be given a call now; takes none. Undefined: it would. */
export async function lookAhead(sql: Sql, of: Caller, limits: CallLimits, now: number): Promise<Held | undefined> {
  const { rows } = await sql.query<Row>('select paused, usage, breaker from platform where connector = $1', [of.connector]);
  const { paused, usage, breaker } = rows[0] ?? { paused: false, usage: null, breaker: null };
  if (paused || (await isStreamPaused(sql, of))) return { why: 'paused', until: undefined };
  const pass = passage(breaker ?? CLOSED, nameOf(of), now, await probeLives(sql, breaker ?? CLOSED));
  if (!pass.may) return { why: 'breaker', until: pass.until };
  const taken = takeCalls(usage ?? NO_USAGE, limits, now, 1);
  return taken.calls === 0 ? { why: 'budget', until: taken.until } : undefined;
}

/** Gives back calls that were taken at `at` and not made. */
export async function returnCalls(pool: Pool, connector: string, at: number, calls: number): Promise<void> {
  if (calls === 0) return;
  await pool.transaction(async (sql) => {
    const { usage } = await held(sql, connector);
    if (usage !== null) await sql.query('update platform set usage = $2 where connector = $1', [connector, giveBack(usage, at, calls)]);
  });
}

/**
 * Counts a failed call. Where the breaker opens by it, an issue says so in the same transaction, after `announce` has put it into the query log:
 * what cannot be logged does not happen.
 */
export async function noteFailure(
  pool: Pool,
  keys: Keys,
  of: Caller,
  settings: BreakerSettings,
  now: number,
  announce: () => Promise<void>,
): Promise<Breaker> {
  return change(
    pool,
    of,
    (breaker) => failed(breaker, nameOf(of), settings, now),
    async (sql, before, after) => {
      if (before.state !== 'closed' || after.state !== 'open') return;
      await announce();
      const reason = `平台连续 ${after.failures} 次调用失败,已暂停调用,将自动试探恢复`;
      const issue = { rule: 'platform-down', at: nameOf(of), place: '', reason, refused: false, raw: undefined };
      await storeIssues(sql, keys, { connector: of.connector, id: PLATFORM_ISSUES }, 0, [issue]);
    },
  );
}

/** An answered call ends the failures in a row; the one that tried closes the breaker, and its issue. */
export async function noteSuccess(pool: Pool, of: Caller, announce: () => Promise<void>): Promise<Breaker> {
  return change(
    pool,
    of,
    (breaker) => succeeded(breaker, nameOf(of)),
    async (sql, before, after) => {
      if (before.state === 'closed' || after.state !== 'closed') return;
      await announce();
      await closeIssue(sql, of.connector, null, '平台已恢复,调用继续');
    },
  );
}

/** The issue of a breaker that is closed again. */
export async function closeIssue(sql: Sql, connector: string, by: string | null, resolution: string): Promise<void> {
  await sql.query(
    `update issue set state = 'fixed', handled_by = $3, resolution = $4, changed_at = now()
     where connector = $1 and stream = $2 and rule = 'platform-down' and state = 'open'`,
    [connector, PLATFORM_ISSUES, by, resolution],
  );
}

async function change(
  pool: Pool,
  { connector }: Caller,
  next: (breaker: Breaker) => Breaker,
  then: (sql: Sql, before: Breaker, after: Breaker) => Promise<void>,
): Promise<Breaker> {
  return pool.transaction(async (sql) => {
    const { breaker, usage } = await held(sql, connector);
    const before = breaker ?? CLOSED;
    const after = next(before);
    if (after === before) return before;
    await then(sql, before, after);
    await keep(sql, connector, { usage, breaker: after });
    return after;
  });
}

/** The row of a platform, held until the transaction ends; made where there is none. */
export async function held(sql: Sql, connector: string): Promise<Row> {
  const text = 'select paused, usage, breaker from platform where connector = $1 for update';
  const { rows } = await sql.query<Row>(text, [connector]);
  if (rows[0] !== undefined) return rows[0];
  await sql.query('insert into platform (connector) values ($1) on conflict do nothing', [connector]);
  return (await sql.query<Row>(text, [connector])).rows[0] as Row;
}

async function keep(sql: Sql, connector: string, { usage, breaker }: { usage: Usage | null; breaker: Breaker }): Promise<void> {
  await sql.query('update platform set usage = $2, breaker = $3 where connector = $1', [
    connector,
    usage === null ? null : JSON.stringify(usage),
    JSON.stringify(breaker),
  ]);
}

async function isStreamPaused(sql: Sql, { connector, stream }: Caller): Promise<boolean> {
  return (await sql.query('select from stream_state where connector = $1 and stream = $2 and paused', [connector, stream])).rowCount > 0;
}

/** Whether the run that tries the platform still holds its stream: PostgreSQL lets go of it when its process dies. */
async function probeLives(sql: Sql, { probe }: Breaker): Promise<boolean> {
  if (probe === null) return false;
  const { rowCount } = await sql.query(
    `select from pg_locks where locktype = 'advisory' and database = (select oid from pg_database where datname = current_database())
       and classid = 7301002::oid and objid = (hashtext($1)::bigint & 4294967295)::oid`,
    [probe],
  );
  return rowCount > 0;
}
