import { pushStreams } from '../model/load.ts';
import type { Model, PushStream } from '../model/types.ts';
import type { Sql } from './sql.ts';

/** A version of a record that was just written. */
export interface Changed {
  recordId: number;
  version: number;
  subjectId: number;
  category: number;
  kind: string;
}

/** Why something received is taken back: a code of codes/recall-causes. */
export type RecallCause = 'repair' | 'expiry' | 'correction' | 'objection' | 'withdrawn-grant' | 'deletion';

/** Channel of PostgreSQL on which a commit says, by `connector/stream`, that a push stream has something to send. */
export const PUSH_CHANNEL = 'hub_push';

/**
 * SQL: whether the platform received the version of outbox row `q`, or may have. A row that was refused, or never left, was not received; one that left
 * and may not leave again may have been.
 */
export const RECEIVED = `(q.act = 'publish' and (q.state in ('sent', 'unknown', 'done') or (q.state = 'withheld' and q.attempts > 0)))`;

/**
 * Writes an outbox row for every push stream that chooses a changed record by category, kind, `only` and `from`; a stream that chose it before and no
 * longer does takes back what was received. What was taken back for good is not published again. Same transaction as the change, whose commit wakes the streams.
 */
export async function enqueue(sql: Sql, model: Model, of: readonly Changed[]): Promise<number> {
  const streams = pushStreams(model);
  if (of.length === 0 || streams.length === 0) return 0;
  const ended = await sql.query<{ id: number }>('select id from record where ended and id = any($1)', [of.map((one) => one.recordId)]);
  const over = new Set(ended.rows.map(({ id }) => id));
  const changed = of.filter(({ recordId }) => !over.has(recordId));
  if (changed.length === 0) return 0;
  const { rows, deleted } = await choose(sql, model, streams, changed);
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
  const chosen = new Set(rows.map((r) => `${r.recordId} ${r.stream.connector}/${r.stream.id}`));
  const left = streams.flatMap(({ connector, id }) =>
    changed
      .filter(({ recordId }) => !chosen.has(`${recordId} ${connector}/${id}`))
      .map(({ recordId }) => ({ connector, stream: id, recordId })),
  );
  const isDeleted = ({ recordId }: { recordId: number }) => deleted.has(recordId);
  await takeBack(sql, left.filter(isDeleted), 'deletion');
  await takeBack(
    sql,
    left.filter((one) => !isDeleted(one)),
    'correction',
  );
  await wake(
    sql,
    rows.map((r) => ({ connector: r.stream.connector, stream: r.stream.id })),
  );
  return rowCount;
}

/**
 * Takes records back from every platform that received them or may have (HN-27, U16): one recall for each push stream, after whatever was sent to it
 * before. What still waits is not sent any more. MUST run in the transaction that makes the reason, and before a newer version of the record is
 * enqueued, which then follows the recall. Gives the rows made; a version is taken back once.
 */
export async function recall(
  sql: Sql,
  recordIds: readonly number[],
  cause: RecallCause,
): Promise<{ connector: string; stream: string; recordId: number; version: number }[]> {
  const { rows } = await sql.query<{ connector: string; stream: string; recordId: number }>(
    `select distinct connector, stream, record_id as "recordId" from outbox where record_id = any($1)`,
    [[...new Set(recordIds)]],
  );
  return takeBack(sql, rows, cause);
}

/** {@link recall} for some streams only. */
export async function takeBack(
  sql: Sql,
  from: readonly { connector: string; stream: string; recordId: number }[],
  cause: RecallCause,
): Promise<{ connector: string; stream: string; recordId: number; version: number }[]> {
  if (from.length === 0) return [];
  const listed = 'unnest($1::text[], $2::text[], $3::bigint[]) as f(connector, stream, record_id)';
  const values = [from.map((f) => f.connector), from.map((f) => f.stream), from.map((f) => f.recordId)];
  const same = 'q.connector = f.connector and q.stream = f.stream and q.record_id = f.record_id';
  await sql.query(
    `update outbox q set state = 'superseded', reason = '已撤回', changed_at = now() from ${listed} where ${same} and q.act = 'publish' and q.state = 'waiting'`,
    values,
  );
  const { rows } = await sql.query<{ connector: string; stream: string; recordId: number; version: number }>(
    `insert into outbox (connector, stream, record_id, version, subject_id, act, cause)
     select q.connector, q.stream, q.record_id, max(q.version), max(q.subject_id), 'recall', $4
     from ${listed} join outbox q on ${same} and ${RECEIVED} group by 1, 2, 3
     having not exists (select from outbox b where b.connector = q.connector and b.stream = q.stream and b.record_id = q.record_id
       and b.act = 'recall' and b.version >= max(q.version))
     on conflict do nothing returning connector, stream, record_id as "recordId", version`,
    [...values, cause],
  );
  await wake(sql, rows);
  return rows;
}

/** Told by PostgreSQL when the transaction commits, once for each stream; a worker that does not hear it finds the rows when it looks next. */
async function wake(sql: Sql, streams: readonly { connector: string; stream: string }[]): Promise<void> {
  const names = new Set(streams.map(({ connector, stream }) => `${connector}/${stream}`));
  if (names.size > 0) await sql.query(`select pg_notify('${PUSH_CHANNEL}', name) from unnest($1::text[]) as t(name)`, [[...names]]);
}

type Chosen = Changed & { stream: PushStream };

/** Whether the wire has no word for a record that its source withdrew: then it is taken back. */
const saysNothingOfDeletion = ({ publish }: PushStream) =>
  ![...publish.body.values()].some((part) => 'of' in part && part.of === 'record.deleted');

const isParticular = (stream: PushStream) => stream.publish.only.size + stream.publish.from.length > 0 || saysNothingOfDeletion(stream);

async function choose(
  sql: Sql,
  model: Model,
  streams: readonly PushStream[],
  changed: readonly Changed[],
): Promise<{ rows: Chosen[]; deleted: Set<number> }> {
  const candidates = streams.flatMap((stream) =>
    changed
      .filter(
        ({ category, kind }) =>
          category === stream.publish.category && (stream.publish.kinds.length === 0 || stream.publish.kinds.includes(kind)),
      )
      .map((one) => ({ stream, ...one })),
  );
  const particular = candidates.filter(({ stream }) => isParticular(stream));
  if (particular.length === 0) return { rows: candidates, deleted: new Set() };
  const names = [...new Set(particular.flatMap(({ stream }) => [...stream.publish.only.keys()]))];
  const { rows } = await sql.query<{
    id: number;
    version: number;
    deleted: boolean;
    connector: string;
    codes: Record<string, string> | null;
  }>(
    `select r.id, v.version, v.deleted, r.connector,
       (select jsonb_object_agg(e.key, e.value) from jsonb_each_text(v.open) e where e.key = any($3)) as codes
     from record r join record_version v on v.record_id = r.id
     where (r.id, v.version) in (select * from unnest($1::bigint[], $2::int[]))`,
    [particular.map((p) => p.recordId), particular.map((p) => p.version), names],
  );
  const known = new Map(rows.map((row) => [`${row.id}:${row.version}`, row]));
  const chosen = candidates.filter(({ stream, recordId, version }) => {
    const row = known.get(`${recordId}:${version}`);
    const { only, from } = stream.publish;
    if (!isParticular(stream)) return true;
    if (row === undefined || (row.deleted && saysNothingOfDeletion(stream))) return false;
    const tellers = [row.connector, model.connectors.get(row.connector)?.department ?? ''];
    if (from.length > 0 && !from.some((one) => tellers.includes(one))) return false;
    return [...only].every(([field, codes]) => codes.includes(row.codes?.[field] ?? ''));
  });
  return { rows: chosen, deleted: new Set(rows.flatMap((row) => (row.deleted ? [row.id] : []))) };
}
