import { pushStreams } from '../model/load.ts';
import type { Model, PushStream } from '../model/types.ts';
import { storeIssues } from './issues.ts';
import type { Keys } from './keys.ts';
import { advance, GIVEN_UP, type Run } from './runs.ts';
import type { Sql } from './sql.ts';

interface Changed {
  recordId: number;
  version: number;
  subjectId: number;
  category: number;
  kind: string;
}

/** Writes an outbox row for every push stream that publishes the category and kind of a changed record. Same transaction as the change. */
export async function enqueue(sql: Sql, model: Model, changed: readonly Changed[]): Promise<number> {
  const rows = pushStreams(model).flatMap((stream) =>
    changed
      .filter((c) => c.category === stream.publish.category && (stream.publish.kinds.length === 0 || stream.publish.kinds.includes(c.kind)))
      .map((c) => ({ stream, ...c })),
  );
  if (rows.length === 0) return 0;
  const { rowCount } = await sql.query(
    `insert into outbox (connector, stream, record_id, version, subject_id)
     select * from unnest($1::text[], $2::text[], $3::bigint[], $4::int[], $5::bigint[]) on conflict do nothing`,
    [
      rows.map((r) => r.stream.connector),
      rows.map((r) => r.stream.id),
      rows.map((r) => r.recordId),
      rows.map((r) => r.version),
      rows.map((r) => r.subjectId),
    ],
  );
  return rowCount;
}

export interface OutboxRow {
  id: number;
  recordId: number;
  version: number;
  subjectId: number;
  state: 'waiting' | 'sent';
  attempts: number;
}

/**
 * The next rows of a push stream, oldest first. A row whose record has a newer version waiting is set to `superseded`: only the newest
 * version of a record leaves, in the order of the outbox.
 */
export async function takeOutbox(
  sql: Sql,
  stream: PushStream,
  state: 'waiting' | 'sent',
  after: number,
  limit: number,
): Promise<OutboxRow[]> {
  if (state === 'waiting') {
    await sql.query(
      `update outbox o set state = 'superseded', changed_at = now() where connector = $1 and stream = $2 and state = 'waiting'
         and exists (select from outbox n where n.connector = o.connector and n.stream = o.stream and n.record_id = o.record_id and n.version > o.version)`,
      [stream.connector, stream.id],
    );
  }
  const { rows } = await sql.query<OutboxRow>(
    `select id, record_id as "recordId", version, subject_id as "subjectId", state, attempts from outbox
     where connector = $1 and stream = $2 and state = $3 and id > $4 order by id limit $5`,
    [stream.connector, stream.id, state, after, limit],
  );
  return rows;
}

export type Settled = { id: number } & (
  { state: 'done'; receipt: { number: string; at: string } } | { state: 'sent' } | { state: 'refused' | 'withheld'; reason: string }
);

/** Records what the platform answered: receipts, refusals with their reason, hand-overs. One transaction, held by the run's fence. */
export async function settle(sql: Sql, keys: Keys, run: Run, settled: readonly Settled[], counts: { pushed: number }): Promise<void> {
  const reasonOf = (s: Settled) => ('reason' in s ? legible(s.reason) : null);
  await sql.query(
    `update outbox o set state = t.state, reason = t.reason, attempts = attempts + 1, changed_at = now()
     from unnest($1::bigint[], $2::text[], $3::text[]) as t(id, state, reason) where o.id = t.id`,
    [settled.map((s) => s.id), settled.map((s) => s.state), settled.map(reasonOf)],
  );
  const receipts = settled.flatMap((s) => (s.state === 'done' ? [{ id: s.id, ...s.receipt }] : []));
  await sql.query(
    `insert into receipt (outbox_id, number, received_at) select * from unnest($1::bigint[], $2::text[], $3::text[]) on conflict (outbox_id) do nothing`,
    [receipts.map((r) => r.id), receipts.map((r) => r.number), receipts.map((r) => r.at)],
  );
  const refused = settled.flatMap((s) => (s.state === 'refused' || s.state === 'withheld' ? [s] : []));
  const issues = refused.map((s) => ({
    rule: s.state === 'refused' ? 'push-refused' : 'push-withheld',
    at: `outbox ${s.id}`,
    place: '',
    reason: legible(s.reason),
    refused: true,
    raw: { outbox: s.id },
  }));
  await storeIssues(sql, keys, { connector: run.connector, id: run.stream }, run.id, issues);
  // A refusal comes in like a raw record that cannot be taken: the ledger's sum in = stored + unchanged + issues holds for pushes too.
  const counted = { in: refused.length, issues: refused.length, pushed: counts.pushed, receipts: receipts.length };
  await advance(sql, run, undefined, { pages: 1, ...counted });
}

/**
 * How many rows of each push stream still wait for the platform or for its answer. A stream that was stopped, or given up after a bug, is not among
 * them: it waits for an operator, or for its schedule, and is not tried again by itself.
 */
export async function openOutbox(sql: Sql): Promise<{ connector: string; stream: string; waiting: number }[]> {
  const { rows } = await sql.query<{ connector: string; stream: string; waiting: number }>(
    `select s.connector, s.stream, s.waiting from (
       select connector, stream, count(*)::int as waiting from outbox where state in ('waiting', 'sent') group by 1, 2) s
     where (select r.state from run r where r.connector = s.connector and r.stream = s.stream order by r.id desc limit 1) is distinct from 'stopped'
       and not ${GIVEN_UP}`,
  );
  return rows;
}

/** A platform's own words, without the numbers it may repeat: they can be somebody's. */
function legible(reason: string): string {
  return reason.replaceAll(/\d{6,}[\dXx]*/g, '…').slice(0, 500);
}
