import type { PushStream } from '../model/types.ts';
import { RECEIVED, takeBack } from './outbox.ts';
import { storeIssues } from './issues.ts';
import type { Keys } from './keys.ts';
import { advance, GIVEN_UP, holdStream, type Run } from './runs.ts';
import type { Sql } from './sql.ts';

/** What a platform is to be told; see migrations/core-ddl.ts for the states. */
export interface OutboxRow {
  id: number;
  recordId: number;
  version: number;
  subjectId: number;
  act: 'publish' | 'recall';
  /** Of a recall: a code of codes/recall-causes. */
  cause: string | null;
  /** Of a recall: the number under which the platform received what is taken back; null when that is not known. */
  received: string | null;
  /** Of a recall: the first decision that asked for it; null when it follows from the record. */
  decided: { cause: string; on: string } | null;
  /** Number of the draft that the platform keeps, not confirmed so far; or name of the batch file that it was last written to. */
  draft: string | null;
  attempts: number;
  /** The day on which it was made, in Asia/Shanghai. */
  createdOn: string;
  /** Seconds since it was last sent, or changed otherwise. */
  age: number;
}

const ROW = `o.id, o.record_id as "recordId", o.version, o.subject_id as "subjectId", o.act, o.cause, o.draft, o.attempts,
  (o.created_at at time zone 'Asia/Shanghai')::date as "createdOn", extract(epoch from now() - o.changed_at)::float8 as age,
  case when o.act = 'recall' then (select n.number from outbox q join receipt n on n.outbox_id = q.id where q.connector = o.connector
    and q.stream = o.stream and q.record_id = o.record_id and q.version = o.version and q.act = 'publish') end as received,
  case when o.act = 'recall' then (select jsonb_build_object('cause', k.cause, 'on', k.decided_on) from recall_task t join recall k on k.id = t.recall_id
    where t.outbox_id = o.id order by t.id limit 1) end as decided`;

/**
 * SQL: whether row `o` has to wait for one before it. Rows of a subject leave a stream in the order in which they were made: none leaves while it is not
 * known what became of an earlier one that was sent. Where a person has to find that out, which can take days, only the record itself waits: the
 * subject's other facts tell the platform nothing about it. A refused row is over and holds nothing back – the version that follows may be its cure.
 */
const HELD = `exists (select from outbox b where b.connector = o.connector and b.stream = o.stream and b.subject_id = o.subject_id and b.id < o.id
  and (b.state = 'sent' or (b.state = 'unknown' and b.record_id = o.record_id)))`;

/** SQL: whether waiting row `o` has nothing to tell any more: a newer version or a recall follows, or there is nothing to take back. */
const STALE = `case o.act
  when 'publish' then exists (select from outbox n where n.connector = o.connector and n.stream = o.stream and n.record_id = o.record_id
    and (n.version > o.version or (n.act = 'recall' and n.id > o.id)))
  else not exists (select from outbox q where q.connector = o.connector and q.stream = o.stream and q.record_id = o.record_id
    and q.version <= o.version and ${RECEIVED}) end`;

/**
 * The next rows of a push stream that may leave, oldest first; empty when there are none. Rows with nothing to tell any more are set to `superseded` on
 * the way: only the newest version of a record leaves, and never an older one after it.
 */
export async function takeWaiting(sql: Sql, stream: PushStream, limit: number): Promise<OutboxRow[]> {
  for (;;) {
    const { rows } = await sql.query<OutboxRow & { stale: boolean }>(
      `select ${ROW}, ${STALE} as stale from outbox o
       where o.connector = $1 and o.stream = $2 and o.state = 'waiting' and not ${HELD} order by o.id limit $3`,
      [stream.connector, stream.id, limit],
    );
    const stale = rows.filter((row) => row.stale).map((row) => row.id);
    if (stale.length > 0)
      await sql.query(`update outbox set state = 'superseded', changed_at = now() where id = any($1) and state = 'waiting'`, [stale]);
    const fresh = rows.filter((row) => !row.stale);
    if (fresh.length > 0 || rows.length === 0) return fresh;
  }
}

/** Rows that were sent and of which it is not known what became, after `after`, oldest first. */
export async function takeSent(sql: Sql, stream: PushStream, after: number, limit: number): Promise<OutboxRow[]> {
  const { rows } = await sql.query<OutboxRow>(
    `select ${ROW} from outbox o where o.connector = $1 and o.stream = $2 and o.state = 'sent' and o.id > $3 order by o.id limit $4`,
    [stream.connector, stream.id, after, limit],
  );
  return rows;
}

/** From now on the rows may have arrived; what an earlier attempt was answered under another number is over. MUST be committed before the first of them is sent; gives those that may be sent, held by the run's fence. */
export async function markSent(sql: Sql, run: Run, rows: readonly OutboxRow[]): Promise<Set<number>> {
  await holdStream(sql, run);
  const { rows: marked } = await sql.query<{ id: number }>(
    `update outbox set state = 'sent', attempts = attempts + 1, changed_at = now(), draft = case when state = 'sent' then draft end where id = any($1) and state in ('waiting', 'sent') returning id`,
    [rows.map((row) => row.id)],
  );
  return new Set(marked.map((row) => row.id));
}

/** Keeps the number of a draft, or the name of a batch. MUST be committed before the draft is confirmed, or the batch is written. */
export async function keepDraft(sql: Sql, run: Run, id: number, draft: string): Promise<void> {
  await holdStream(sql, run);
  await sql.query('update outbox set draft = $2 where id = $1', [id, draft]);
}

export interface StoredReceipt {
  number: string;
  /** ISO 8601 UTC. */
  at: string;
  /** As the platform gave it, verified before. */
  signature?: string;
}

/**
 * What became of a row. `waiting`: it did not arrive, and is sent again. `unknown`: it may have arrived, and nobody can be asked. What becomes of a row
 * that is named nowhere is found out later.
 */
export type Settled = { id: number } & (
  | { state: 'done'; receipt: StoredReceipt }
  | { state: 'waiting' | 'unknown' | 'superseded' }
  | { state: 'refused' | 'withheld'; reason: string }
);

/** Records what the platform answered: receipts, refusals with their reason. One transaction, held by the run's fence. */
export async function settle(sql: Sql, keys: Keys, run: Run, settled: readonly Settled[], counts: { pushed: number }): Promise<void> {
  await holdStream(sql, run);
  const reasonOf = (s: Settled) => ('reason' in s ? legible(s.reason) : null);
  const { rows } = await sql.query<{ id: number; act: string; recordId: number }>(
    `update outbox o set state = t.state, reason = t.reason, changed_at = now()
     from unnest($1::bigint[], $2::text[], $3::text[]) as t(id, state, reason)
     where o.id = t.id and o.state in ('waiting', 'sent') returning o.id, o.act, o.record_id as "recordId"`,
    [settled.map((s) => s.id), settled.map((s) => s.state), settled.map(reasonOf)],
  );
  const changed = new Map(rows.map((row) => [row.id, row]));
  const receipts = settled.flatMap((s) => (s.state === 'done' && changed.has(s.id) ? [{ id: s.id, ...s.receipt }] : []));
  await sql.query(
    `insert into receipt (outbox_id, number, received_at, signature) select * from unnest($1::bigint[], $2::text[], $3::text[], $4::text[])
     on conflict (outbox_id) do nothing`,
    [receipts.map((r) => r.id), receipts.map((r) => r.number), receipts.map((r) => r.at), receipts.map((r) => r.signature ?? null)],
  );
  const refused = settled.flatMap((s) => ((s.state === 'refused' || s.state === 'withheld') && changed.has(s.id) ? [s] : []));
  const issues = refused.map((s) => ({
    rule: s.state === 'withheld' ? 'push-withheld' : changed.get(s.id)?.act === 'recall' ? 'recall-refused' : 'push-refused',
    at: `outbox ${s.id}`,
    place: '',
    reason: legible(s.reason),
    refused: true,
    raw: { outbox: s.id },
  }));
  // What the receiver may not have any more, it may not keep either.
  const withheld = refused.flatMap((s) => (s.state === 'withheld' ? [changed.get(s.id)?.recordId ?? 0] : []));
  await takeBack(
    sql,
    withheld.map((recordId) => ({ connector: run.connector, stream: run.stream, recordId })),
    'withdrawn-grant',
  );
  await storeIssues(sql, keys, { connector: run.connector, id: run.stream }, run.id, issues);
  // A refusal comes in like a raw record that cannot be taken: the ledger's sum in = stored + unchanged + issues holds for pushes too.
  const counted = { in: refused.length, issues: refused.length, pushed: counts.pushed, receipts: receipts.length };
  await advance(sql, run, undefined, { pages: 1, ...counted });
}

/**
 * A person has found out what became of a row that nobody could be asked about. It arrived: the number and time that the platform gave. It did not: it is
 * sent again, unless a newer version or a recall has taken its place. False when the row is not `unknown` (any more).
 */
export async function settleUnknown(
  sql: Sql,
  id: number,
  found: { arrived: true; receipt: StoredReceipt; by: string } | { arrived: false; by: string },
): Promise<boolean> {
  return sql.transaction(async (tx) => {
    const { rowCount } = await tx.query(
      `update outbox set state = $2, reason = $3, changed_at = now() where id = $1 and state = 'unknown'`,
      [id, found.arrived ? 'done' : 'waiting', `经 ${found.by} 核实${found.arrived ? '已送达' : '未送达'}`],
    );
    if (rowCount === 0) return false;
    if (found.arrived)
      await tx.query('insert into receipt (outbox_id, number, received_at, told_by) values ($1, $2, $3, $4)', [
        id,
        found.receipt.number,
        found.receipt.at,
        found.by,
      ]);
    return true;
  });
}

/**
 * How many rows of each push stream can be sent or asked about now. A stream that was stopped, or given up after a bug, is not among them: it waits for
 * an operator, or for its schedule, and is not tried again by itself. Neither are rows that wait for a person's decision.
 */
export async function openOutbox(sql: Sql): Promise<{ connector: string; stream: string; waiting: number }[]> {
  const { rows } = await sql.query<{ connector: string; stream: string; waiting: number }>(
    `select s.connector, s.stream, s.waiting from (
       select connector, stream, count(*)::int as waiting from outbox o where state = 'sent' or (state = 'waiting' and not ${HELD}) group by 1, 2) s
     where (select r.state from run r where r.connector = s.connector and r.stream = s.stream order by r.id desc limit 1) is distinct from 'stopped'
       and not ${GIVEN_UP}`,
  );
  return rows;
}

/** A platform's own words, without the numbers it may repeat: they can be somebody's. */
function legible(reason: string): string {
  return reason.replaceAll(/\d{6,}[\dXx]*/g, '…').slice(0, 500);
}
