import type { Changed } from './outbox.ts';
import type { Sql } from './sql.ts';

/** SQL: whether an objection to the fact of record `r` is pending – to the record itself, or to another that tells the same fact of the same subject. */
const DISPUTED = `exists (select from objection x join record own on own.id = x.record_id where x.state = 'open'
  and (own.id = r.id or (own.fact = r.fact and own.fact <> '' and own.subject_id = r.subject_id)))`;

/**
 * Records that were just stored carry the mark of their fact from their first moment on (HN-24.3, U15), and so does the version that was just written.
 * MUST run in the transaction that stores them.
 */
export async function markStored(sql: Sql, stored: readonly { recordId: number; version: number }[]): Promise<void> {
  if (stored.length === 0) return;
  await sql.query(
    `with asked as (select r.id, t.version, ${DISPUTED} as disputed from unnest($1::bigint[], $2::int[]) as t(id, version) join record r on r.id = t.id
       where exists (select from objection x where x.state = 'open') or r.disputed),
     marked as (update record r set disputed = a.disputed from asked a where r.id = a.id and r.disputed <> a.disputed)
     update record_version v set disputed = a.disputed from asked a
     where v.record_id = a.id and v.version = a.version and v.disputed <> a.disputed`,
    [stored.map((one) => one.recordId), stored.map((one) => one.version)],
  );
}

/** Records that tell the same fact as a record, itself among them, held until the end of the transaction. */
export const FACT_OF = `from record r join record own on own.id = $1
  where r.id = own.id or (r.fact = own.fact and own.fact <> '' and r.subject_id = own.subject_id) order by r.id for update of r`;

const COPIED = `category, kind, publicity, source_version, confirmed, deleted, fact, content, region, occurred_on, valid_from, valid_to,
  open, internal, commercial, personal, sealed, masks, run_id`;

/**
 * Finds anew whether an objection to these records is pending, and gives them `mark`, where there is one. A record whose marks change gets a version of
 * its own that says the same with other marks: so it has its place in the history, listeners are told, and platforms are sent it under a key of its own.
 * Gives the versions that are to be sent: not those of what a decision took back, which only what its source tells anew brings back. MUST run in the
 * transaction that makes the reason.
 */
export async function writeMarks(sql: Sql, recordIds: readonly number[], mark?: string): Promise<Changed[]> {
  const { rows } = await sql.query<Changed>(
    `with told as (
       select r.id, r.version as was, coalesce($2, r.mark) as mark, ${DISPUTED} as disputed from record r where r.id = any($1) and not r.withheld),
     changed as (
       update record r set mark = t.mark, disputed = t.disputed, changed_at = now(),
         version = (select max(v.version) + 1 from record_version v where v.record_id = r.id)
       from told t where r.id = t.id and (r.mark, r.disputed) is distinct from (t.mark, t.disputed)
       returning r.id, r.version, t.was, r.subject_id, r.category, r.kind, r.mark, r.disputed),
     copied as (
       insert into record_version (record_id, version, mark, disputed, ${COPIED})
       select c.id, c.version, c.mark, c.disputed, ${COPIED.replaceAll(/\w+/g, 'v.$&')}
       from changed c join record_version v on v.record_id = c.id and v.version = c.was)
     select id as "recordId", version, subject_id as "subjectId", category, kind from changed where mark is null order by id`,
    [recordIds, mark ?? null],
  );
  return rows;
}
