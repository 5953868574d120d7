import type { Sql } from './sql.ts';

/** The subject and all that became one with it, held until the end of the transaction. A page that is writing to one of them commits first. */
export async function ownIds(tx: Sql, subjectId: number): Promise<number[]> {
  const own = `with recursive own as (
    select $1::bigint as id union select s.id from subject s join own on s.merged_into = own.id) select id from own`;
  const { rows } = await tx.query<{ id: number }>(`select id from subject where id in (${own}) order by id for no key update`, [subjectId]);
  // Another may have become one with it while this waited.
  const again = await tx.query<{ id: number }>(own, [subjectId]);
  return again.rowCount === rows.length ? rows.map((row) => row.id) : ownIds(tx, subjectId);
}

/** Keeping only (PIPL 47): nobody is shown anything, nothing is sent, nothing more is taken. */
export async function restrictSubject(tx: Sql, ids: readonly number[]): Promise<void> {
  await tx.query(`update subject set withheld = 'restricted', changed_at = now() where id = any($1)`, [ids]);
  await tx.query('update record set withheld = true where subject_id = any($1)', [ids]);
  await tx.query(
    `update outbox set state = 'withheld', reason = '个人信息仅限存储或已删除', changed_at = now() where subject_id = any($1) and state = 'waiting'`,
    [ids],
  );
}

const BLANK = `open = '{}', internal = null, commercial = null, personal = null, masks = null`;

/**
 * Destroys the keys of these subjects, so that what is sealed of them is readable nowhere – rows, history, dumps – and blanks what lay readable: values,
 * masks, days, keys of records, hashes of contents, relations, raw records, entries by hand. What stays: that there were records of which kind, the
 * blind index tokens, by which what platforms send again is recognised and refused, and the log's.
 */
export async function eraseSubject(tx: Sql, ids: readonly number[]): Promise<void> {
  await restrictSubject(tx, ids);
  await tx.query('update subject_key set wrapped = null, destroyed_at = now() where subject_id = any($1) and wrapped is not null', [ids]);
  await tx.query(`update subject set withheld = 'erased', roles = '{}', ${BLANK} where id = any($1)`, [ids]);
  await tx.query(
    `update record_version v set ${BLANK}, source_version = null, confirmed = null, region = null, occurred_on = null, valid_from = null, valid_to = null,
       fact = '', content = '' from record r where r.id = v.record_id and r.subject_id = any($1)`,
    [ids],
  );
  await tx.query(
    `update record set ${BLANK}, source_key = 'erased:' || id, source_version = null, region = null, occurred_on = null, valid_from = null,
       valid_to = null, ordered_on = (recorded_at at time zone 'Asia/Shanghai')::date, fact = '', content = '' where subject_id = any($1)`,
    [ids],
  );
  await tx.query(
    'delete from relation where subject_id = any($1) or related_id = any($1) or record_id in (select id from record where subject_id = any($1))',
    [ids],
  );
  await tx.query('delete from subject_code where subject_id = any($1)', [ids]);
  await tx.query(`update subject_merge set codes = '[]' where from_id = any($1) or into_id = any($1)`, [ids]);
  const tokens = '(select array_agg(token) from subject_identifier where subject_id = any($1))';
  await tx.query(
    `update issue set raw = null, tokens = '{}', at = '', changed_at = now(), state = case when state = 'open' then 'dismissed' else state end,
       resolution = coalesce(resolution, '个人信息已删除') where tokens <> '{}' and tokens && ${tokens}`,
    [ids],
  );
  await tx.query(`update reconciliation_difference set sealed = null, tokens = '{}' where tokens <> '{}' and tokens && ${tokens}`, [ids]);
  await tx.query(
    `update submission set sealed = null, tokens = '{}' where tokens && ${tokens} or record_id in (select id from record where subject_id = any($1))`,
    [ids],
  );
}
