import { safeJson } from './issues.ts';
import type { MappedRecord } from '../mapping/record.ts';
import type { Keys } from './keys.ts';
import type { Sql } from './sql.ts';
import { identifierDomain } from './subjects.ts';

/** What the hub holds of a pull stream, as a reconciliation compares it. */
export interface HeldRecord {
  key: string;
  version: string | null;
  /** Hex of the fingerprint of its content. */
  content: string;
  category: number;
  /** As the source told it; null where it told none. */
  region: string | null;
  occurredOn: string | null;
  gone: boolean;
}
/** What the hub has a receipt for. */
export interface HeldReceipt {
  outbox: number;
  recordId: number;
  version: number;
  act: 'publish' | 'recall';
  number: string;
  /** ISO 8601 UTC. */
  receivedAt: string;
  region: string | null;
}

const BATCH = 5000;
const name = (stream: { connector: string; id: string }) => [stream.connector, stream.id];

/** Every record of a stream, in batches. */
export async function* heldRecords(sql: Sql, stream: { connector: string; id: string }): AsyncGenerator<HeldRecord[]> {
  for (let after = ''; ;) {
    const { rows } = await sql.query<HeldRecord>(
      `select source_key as key, source_version as version, encode(content, 'hex') as content, category, occurred_on as "occurredOn",
         case when region_inherited then null else region end as region, deleted or withheld as gone
       from record where connector = $1 and stream = $2 and source_key > $3 and source_key not like 'erased:%' order by source_key limit ${BATCH}`,
      [...name(stream), after],
    );
    yield rows;
    if (rows.length < BATCH) return;
    after = rows.at(-1)?.key ?? '';
  }
}

/** Every receipt of a push stream that still stands, in batches. */
export async function* heldReceipts(sql: Sql, stream: { connector: string; id: string }): AsyncGenerator<HeldReceipt[]> {
  for (let after = 0; ;) {
    const { rows } = await sql.query<HeldReceipt>(
      `select o.id as outbox, o.record_id as "recordId", o.version, o.act, r.number, r.received_at as "receivedAt", c.region
       from outbox o join receipt r on r.outbox_id = o.id left join record c on c.id = o.record_id
       where o.connector = $1 and o.stream = $2 and o.state = 'done' and o.id > $3 order by o.id limit ${BATCH}`,
      [...name(stream), after],
    );
    yield rows;
    if (rows.length < BATCH) return;
    after = rows.at(-1)?.outbox ?? after;
  }
}

/** Which of these raw records were refused with an issue that still says so: they are accounted for, not lost (U25). By their places in the list. */
export async function refusedAmong(
  sql: Sql,
  keys: Keys,
  stream: { connector: string; id: string },
  raws: readonly unknown[],
): Promise<Set<number>> {
  const prints = raws.map((raw) => keys.fingerprint('issue', safeJson(raw)));
  const { rows } = await sql.query<{ fingerprint: Buffer }>(
    `select fingerprint from issue where connector = $1 and stream = $2 and refused and state <> 'fixed' and fingerprint = any($3)`,
    [...name(stream), prints],
  );
  const known = new Set(rows.map((row) => row.fingerprint.toString('hex')));
  return new Set(prints.flatMap((print, i) => (known.has(print.toString('hex')) ? [i] : [])));
}

/** Which of these are about somebody of whom nothing more is taken, because the information was erased or may only be kept. */
export async function withheldAmong(sql: Sql, keys: Keys, records: readonly MappedRecord[]): Promise<Set<MappedRecord>> {
  const forms = records.map((record) => record.subject.identifiers.flatMap((id) => keys.blindForms(identifierDomain(id.scheme), id.code)));
  const { rows } = await sql.query<{ token: Buffer }>(
    'select i.token from subject_identifier i join subject s on s.id = i.subject_id where s.withheld is not null and i.token = any($1)',
    [forms.flat()],
  );
  const closed = new Set(rows.map((row) => row.token.toString('hex')));
  return new Set(records.filter((_, i) => forms[i]?.some((token) => closed.has(token.toString('hex')))));
}

/**
 * Puts receipts aside that the platform no longer stands by: what they were for is handed over again under the same keys. `state`: `waiting` where
 * the hub sends it again, `sent` where it was handed over and only the answer is awaited. Returns how many.
 */
export async function reopen(
  sql: Sql,
  stream: { connector: string; id: string },
  keys: readonly { recordId: number; version: number; act: 'publish' | 'recall' }[],
  state: 'waiting' | 'sent',
): Promise<number> {
  return sql.transaction(async (tx) => {
    const { rows } = await tx.query<{ id: number }>(
      `select o.id from outbox o join unnest($3::bigint[], $4::int[], $5::text[]) as t(record_id, version, act) using (record_id, version, act)
       where o.connector = $1 and o.stream = $2 and o.state = 'done' order by o.id for update of o`,
      [...name(stream), keys.map((k) => k.recordId), keys.map((k) => k.version), keys.map((k) => k.act)],
    );
    const ids = rows.map((row) => row.id);
    await tx.query('delete from receipt where outbox_id = any($1)', [ids]);
    await tx.query(`update outbox set state = $2, changed_at = now(), reason = '对账发现接收方没有该信息,重新推送' where id = any($1)`, [
      ids,
      state,
    ]);
    return ids.length;
  });
}
