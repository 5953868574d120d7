import { Deferred, StopStream } from '../errors.ts';
import type { Json } from '../model/types.ts';
import type { Dedicated, Pool, Sql } from './sql.ts';

export type Trigger = 'schedule' | 'manual' | 'demo';
export interface Counts {
  pages: number;
  in: number;
  stored: number;
  unchanged: number;
  issues: number;
  pushed: number;
  receipts: number;
}
export const NO_COUNTS: Counts = { pages: 0, in: 0, stored: 0, unchanged: 0, issues: 0, pushed: 0, receipts: 0 };

/** One run of one stream, held by this process alone. Every write of the run carries the fence; a run that was overtaken writes nothing more. */
export interface Run {
  id: number;
  connector: string;
  stream: string;
  fence: number;
  cursor: Json | null;
  /** The day from which a person asked to have the stream read again; the cursor is where it stood before. */
  backfillFrom: string | null;
}

/** `failed`: the other side, or the database, may answer later. `broken`: a bug of ours. `stopped`: an operator is needed. `deferred`: put off, goes on by itself. */
export type EndState = 'done' | 'failed' | 'broken' | 'stopped' | 'deferred';

/** How soon a run asks again for a place among those of its connector. */
const BUSY_MS = 5000;

export interface HeldRun extends Run {
  /** Ends the run in the ledger and lets the stream go. */
  end(state: EndState, error?: string): Promise<void>;
}

/**
 * Begins a run of a stream, or returns undefined when another process is running it or it is paused. The stream is held by an advisory lock on
 * a connection of its own: when the process dies, PostgreSQL lets it go at once, and the next run marks the dead one `interrupted`. Throws `Deferred`
 * where as many runs of the connector as may be at once are under way.
 */
export async function beginRun(
  pool: Pool,
  stream: { connector: string; id: string; direction: 'pull' | 'push' },
  officer: { id: string; name: string },
  trigger: Trigger,
  most?: { concurrent: number; now: Date },
): Promise<HeldRun | undefined> {
  const session = await pool.dedicated();
  try {
    const name = `${stream.connector}/${stream.id}`;
    const lock = await session.query<{ held: boolean }>('select pg_try_advisory_lock(7301002, hashtext($1)) as held', [name]);
    if (lock.rows[0]?.held !== true) {
      session.release();
      return undefined;
    }
    if (most !== undefined && !(await takeSlot(session, stream.connector, most.concurrent))) {
      await letGo(session);
      throw new Deferred('busy', new Date(most.now.getTime() + BUSY_MS));
    }
    const run = await session.transaction((sql) => register(sql, stream, officer, trigger));
    if (run === undefined) await letGo(session);
    return run && { ...run, end: (state, error) => endRun(session, run, state, error) };
  } catch (error) {
    session.release();
    throw error;
  }
}

/** One of the places that the runs of a connector have at once; let go with the stream, or when the process dies. */
async function takeSlot(session: Dedicated, connector: string, places: number): Promise<boolean> {
  for (let place = 1; place <= places; place += 1) {
    const { rows } = await session.query<{ held: boolean }>('select pg_try_advisory_lock(7301010, hashtext($1)) as held', [
      `${connector} ${place}`,
    ]);
    if (rows[0]?.held === true) return true;
  }
  return false;
}

async function register(
  sql: Sql,
  stream: { connector: string; id: string; direction: string },
  officer: { id: string; name: string },
  trigger: Trigger,
): Promise<Run | undefined> {
  const key = [stream.connector, stream.id];
  await sql.query('insert into stream_state (connector, stream) values ($1, $2) on conflict do nothing', key);
  const state = await sql.query<{ fence: number; cursor: Json | null; backfillFrom: string | null; asked: string | null }>(
    `update stream_state s set fence = fence + 1, deferred_until = null, deferred_why = null,
       asked_at = null, asked_by = null, asked_name = null, ask_reason = null
     from (select asked_by from stream_state where connector = $1 and stream = $2) before
     where connector = $1 and stream = $2 and not ${PAUSED} returning fence, cursor, backfill_from as "backfillFrom", before.asked_by as asked`,
    key,
  );
  const [row] = state.rows;
  if (row === undefined) return undefined;
  await sql.query(
    `update run set state = 'interrupted', ended_at = now(), error = 'the process ended during the run' where connector = $1 and stream = $2 and state = 'running'`,
    key,
  );
  const inserted = await sql.query<{ id: number }>(
    `insert into run (connector, stream, direction, state, trigger, officer_id, officer_name, asked_by)
     values ($1, $2, $3, 'running', $4, $5, $6, $7) returning id`,
    [...key, stream.direction, row.asked === null ? trigger : 'manual', officer.id, officer.name, row.asked],
  );
  const { fence, cursor, backfillFrom } = row;
  return { id: inserted.rows[0]?.id ?? 0, connector: stream.connector, stream: stream.id, fence, cursor, backfillFrom };
}

async function endRun(session: Dedicated, run: Run, state: string, error: string | undefined): Promise<void> {
  try {
    await session.query('update run set state = $2, ended_at = now(), error = $3 where id = $1', [
      run.id,
      state,
      error?.slice(0, 2000) ?? null,
    ]);
  } finally {
    await letGo(session);
  }
}

/** The lock is given back before the session is: PostgreSQL takes its time to end one, and the next run may begin at once. */
async function letGo(session: Dedicated): Promise<void> {
  await session.query('select pg_advisory_unlock_all()').catch(() => undefined);
  session.release();
}

/** SQL: whether a person paused the stream of alias `s`, or its whole platform. */
export const PAUSED = `(s.paused or exists (select from platform p where p.connector = s.connector and p.paused))`;

/** Why `beginRun` began nothing: an operator paused the stream (else another process holds it). */
export async function isPaused(sql: Sql, stream: { connector: string; id: string }): Promise<boolean> {
  const { rowCount } = await sql.query(`select from stream_state s where connector = $1 and stream = $2 and ${PAUSED}`, [
    stream.connector,
    stream.id,
  ]);
  return rowCount > 0;
}

/**
 * One writer of a stream at a time, until the transaction ends: the page of a run, or a person who tries a refused record again. MUST come before
 * any other row of the stream is held, so that the two wait for each other in one order. Throws `StopStream` when the run was overtaken.
 */
export async function holdStream(sql: Sql, run: Pick<Run, 'connector' | 'stream'> & { fence?: number }): Promise<void> {
  const key = [run.connector, run.stream];
  if (run.fence === undefined) await sql.query('insert into stream_state (connector, stream) values ($1, $2) on conflict do nothing', key);
  const held = await sql.query(
    'select from stream_state where connector = $1 and stream = $2 and ($3::bigint is null or fence = $3) for update',
    [...key, run.fence ?? null],
  );
  if (held.rowCount === 0) throw new StopStream('this run was overtaken by a newer run of the stream');
}

/** Adds to the ledger and moves the cursor, in the transaction of the page. Throws `StopStream` when the run was overtaken. */
export async function advance(sql: Sql, run: Run, cursor: Json | undefined, counts: Partial<Counts>): Promise<void> {
  const c = { ...NO_COUNTS, ...counts };
  await holdStream(sql, run);
  if (cursor !== undefined) {
    await sql.query(
      `update stream_state set cursor = $3, cursor_at = now(),
         backfill_from = case when cursor is distinct from $3::jsonb then null else backfill_from end where connector = $1 and stream = $2`,
      [run.connector, run.stream, JSON.stringify(cursor)],
    );
  }
  await sql.query(
    `update run set pages = pages + $2, taken = taken + $3, stored = stored + $4, unchanged = unchanged + $5, issues = issues + $6,
       pushed = pushed + $7, receipts = receipts + $8 where id = $1`,
    [run.id, c.pages, c.in, c.stored, c.unchanged, c.issues, c.pushed, c.receipts],
  );
}

/** The counts of a run as the ledger has them. */
export async function readCounts(sql: Sql, runId: number): Promise<Counts> {
  const { rows } = await sql.query<Counts>(
    'select pages, taken as "in", stored, unchanged, issues, pushed, receipts from run where id = $1',
    [runId],
  );
  return rows[0] ?? NO_COUNTS;
}

/**
 * Streams with a run that the ledger has as running although no process holds the stream any more. One statement sees the ledger as it was when it began and
 * the locks as they are a little later, so a run that ends in between looks dead: what is found is looked at again.
 */
export async function brokenRuns(sql: Sql): Promise<{ connector: string; stream: string }[]> {
  const found = await sql.query<{ id: number }>(
    `select r.id from run r where r.state = 'running' and not exists (
       select from pg_locks l where l.locktype = 'advisory' and l.database = (select oid from pg_database where datname = current_database())
         and l.classid = 7301002::oid and l.objid = (hashtext(r.connector || '/' || r.stream)::bigint & 4294967295)::oid)`,
  );
  if (found.rowCount === 0) return [];
  const { rows } = await sql.query<{ connector: string; stream: string }>(
    `select distinct connector, stream from run where id = any($1) and state = 'running'`,
    [found.rows.map((row) => row.id)],
  );
  return rows;
}

/** After so many runs in a row that ended by a bug, a stream is tried only when its schedule or an operator says so. */
const MOST_BROKEN = 3;
/** SQL: whether the stream (`connector`, `stream` of alias `s`) was given up after a bug. */
export const GIVEN_UP = `(
  select count(*) = ${MOST_BROKEN} and bool_and(r.state = 'broken')
  from (select state from run where connector = s.connector and stream = s.stream order by id desc limit ${MOST_BROKEN}) r)`;

export async function isGivenUp(sql: Sql, stream: { connector: string; id: string }): Promise<boolean> {
  const { rows } = await sql.query<{ yes: boolean }>(`select ${GIVEN_UP} as yes from (select $1 as connector, $2 as stream) s`, [
    stream.connector,
    stream.id,
  ]);
  return rows[0]?.yes === true;
}

/** Streams whose last run failed so long ago that a retry which still waits in a queue would have run by now: its queue was wiped. */
export async function lostRetries(sql: Sql, afterMs: number): Promise<{ connector: string; stream: string }[]> {
  const { rows } = await sql.query<{ connector: string; stream: string }>(
    `select s.connector, s.stream from stream_state s,
       lateral (select state, ended_at from run r where r.connector = s.connector and r.stream = s.stream order by id desc limit 1) last
     where not ${PAUSED} and last.state in ('failed', 'broken') and last.ended_at < now() - make_interval(secs => $1) and not ${GIVEN_UP}`,
    [afterMs / 1000],
  );
  return rows;
}

export type StreamCounts = { connector: string; stream: string } & Omit<Counts, 'pages'>;
const SUMS = `sum(taken)::bigint as "in", sum(stored)::bigint as stored, sum(unchanged)::bigint as unchanged, sum(issues)::bigint as issues,
  sum(pushed)::bigint as pushed, sum(receipts)::bigint as receipts`;

export async function lastRunId(sql: Sql): Promise<number> {
  const { rows } = await sql.query<{ id: number }>('select coalesce(max(id), 0) as id from run');
  return rows[0]?.id ?? 0;
}

/** What all runs after `runId` did, by stream. */
export async function countsSince(sql: Sql, runId: number): Promise<StreamCounts[]> {
  const { rows } = await sql.query<StreamCounts>(
    `select connector, stream, ${SUMS} from run where id > $1 group by connector, stream order by min(direction), connector, min(id)`,
    [runId],
  );
  return rows;
}

/** What the first runs of every stream did, up to and with the first that was done. */
export async function firstDone(sql: Sql): Promise<StreamCounts[]> {
  const { rows } = await sql.query<StreamCounts>(
    `select connector, stream, ${SUMS} from run r
     where id <= (select min(id) from run d where d.connector = r.connector and d.stream = r.stream and d.state = 'done') group by connector, stream`,
  );
  return rows;
}

/** Where a stream stands; null where it was never read. */
export async function cursorOf(sql: Sql, stream: { connector: string; id: string }): Promise<Json | null> {
  const { rows } = await sql.query<{ cursor: Json | null }>('select cursor from stream_state where connector = $1 and stream = $2', [
    stream.connector,
    stream.id,
  ]);
  return rows[0]?.cursor ?? null;
}

const COMPARE_LOCK = 7_301_020;

/** One comparison of a stream at a time: gives what lets it go, or undefined where another process holds it. Runs of the stream go on meanwhile. */
export async function holdComparison(pool: Pool, stream: { connector: string; id: string }): Promise<(() => Promise<void>) | undefined> {
  const session = await pool.dedicated();
  try {
    const { rows } = await session.query<{ held: boolean }>('select pg_try_advisory_lock($1, hashtext($2)) as held', [
      COMPARE_LOCK,
      `${stream.connector}/${stream.id}`,
    ]);
    if (rows[0]?.held === true) return () => letGo(session);
  } catch (error) {
    session.release();
    throw error;
  }
  session.release();
  return undefined;
}
