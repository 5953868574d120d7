import { Refused } from '../errors.ts';
import type { FieldValue, Model } from '../model/types.ts';
import { factKey } from './fact.ts';
import type { Keys } from './keys.ts';
import type { Sql } from './sql.ts';

/**
 * Two subjects turned out to be one (HN-13): identifiers, records and waiting pushes of `from` go to `into`, fact keys are made anew, and what was
 * moved is kept, so that it can be undone. `from` stays as an empty subject. In the caller's transaction.
 */
export async function mergeSubjects(sql: Sql, keys: Keys, model: Model, from: number, into: number): Promise<number> {
  // Before anything moves: a page that is writing to either of them commits first and is moved too, one that comes later finds them merged.
  await sql.query('select from subject where id = any($1) order by id for no key update', [[from, into]]);
  const identifiers = await sql.query<{ token: Buffer }>(
    'update subject_identifier set subject_id = $2 where subject_id = $1 returning token',
    [from, into],
  );
  const codes = await sql.query<{ scheme: string; code: string }>(
    'update subject_code set subject_id = $2 where subject_id = $1 returning scheme, code',
    [from, into],
  );
  const records = await moveRecords(sql, keys, model, 'subject_id = $1', [from], into);
  await sql.query('update relation set subject_id = $2 where subject_id = $1', [from, into]);
  const relations = await sql.query<{ id: number }>('update relation set related_id = $2 where related_id = $1 returning id', [from, into]);
  await sql.query('update subject set merged_into = $2, changed_at = now() where id = $1', [from, into]);
  // Roles add up, and what only the other one knew is kept; what both tell stays as the stated subject has it.
  await sql.query(
    `update subject s set roles = (select coalesce(array_agg(distinct r order by r), '{}') from unnest(s.roles || f.roles) r),
       open = f.open || s.open, internal = coalesce(f.internal || s.internal, s.internal, f.internal),
       commercial = coalesce(f.commercial || s.commercial, s.commercial, f.commercial), personal = coalesce(f.personal || s.personal, s.personal, f.personal),
       sealed = coalesce(f.sealed || s.sealed, s.sealed, f.sealed), masks = coalesce(f.masks || s.masks, s.masks, f.masks), changed_at = now()
     from subject f where f.id = $1 and s.id = $2`,
    [from, into],
  );
  const { rows } = await sql.query<{ id: number }>(
    `insert into subject_merge (from_id, into_id, tokens, codes, records, relations) values ($1, $2, $3, $4, $5, $6) returning id`,
    [
      from,
      into,
      eldest(
        keys,
        identifiers.rows.map((r) => r.token),
      ),
      JSON.stringify(codes.rows),
      records,
      relations.rows.map((r) => r.id),
    ],
  );
  return rows[0]?.id ?? 0;
}

/**
 * Takes a merge back: what it moved goes back to where it was; what came since stays. Throws `Refused` MERGE_NOT_FOUND or MERGE_UNDONE.
 */
export async function undoMerge(sql: Sql, keys: Keys, model: Model, by: string, id: number, reason: string): Promise<void> {
  if (reason.trim() === '') throw new Refused('REASON_REQUIRED', '撤销合并须说明理由');
  await sql.transaction(async (tx) => {
    const { rows } = await tx.query<{
      from_id: number;
      into_id: number;
      tokens: Buffer[];
      codes: { scheme: string; code: string }[];
      records: number[];
      relations: number[];
      undone_at: string | null;
    }>('select from_id, into_id, tokens, codes, records, relations, undone_at from subject_merge where id = $1 for update', [id]);
    const [merge] = rows;
    if (merge === undefined) throw new Refused('MERGE_NOT_FOUND', '未找到该主体合并记录');
    if (merge.undone_at !== null) throw new Refused('MERGE_UNDONE', '该主体合并已撤销');
    const later = await tx.query('select from subject where id = $1 and merged_into is not null', [merge.into_id]);
    if (later.rowCount > 0) throw new Refused('MERGED_ON', '合并后的主体又并入了其他主体,请先撤销其后的合并');
    await tx.query('update subject_identifier set subject_id = $1 where subject_id = $2 and token = any($3)', [
      merge.from_id,
      merge.into_id,
      merge.tokens.flatMap((token) => [token, ...keys.blindLater(token)]),
    ]);
    await tx.query(
      `update subject_code c set subject_id = $1 from jsonb_to_recordset($3::jsonb) as m(scheme text, code text)
       where c.subject_id = $2 and c.scheme = m.scheme and c.code = m.code`,
      [merge.from_id, merge.into_id, JSON.stringify(merge.codes)],
    );
    await moveRecords(tx, keys, model, 'subject_id = $1 and id = any($2)', [merge.into_id, merge.records], merge.from_id);
    await tx.query('update relation set subject_id = $1 where record_id = any($2)', [merge.from_id, merge.records]);
    await tx.query('update relation set related_id = $1 where id = any($2)', [merge.from_id, merge.relations]);
    await tx.query('update subject set merged_into = null, changed_at = now() where id = $1', [merge.from_id]);
    await tx.query('update subject_merge set undone_at = now(), undone_by = $2, reason = $3 where id = $1', [id, by, reason]);
  });
}

/** Of the tokens of each identifier the one of the oldest generation: the others follow from it, those that are made later too. */
function eldest(keys: Keys, tokens: readonly Buffer[]): Buffer[] {
  const later = new Set(tokens.flatMap((token) => keys.blindLater(token).map((form) => form.toString('hex'))));
  return tokens.filter((token) => !later.has(token.toString('hex')));
}

/** All fields but the sealed ones, which no fact key is made of. */
const READABLE = `open || coalesce(internal, '{}') || coalesce(commercial, '{}') || coalesce(personal, '{}')`;

interface Moved {
  id: number;
  category: number;
  kind: string;
  fields: Record<string, FieldValue>;
}

async function moveRecords(
  sql: Sql,
  keys: Keys,
  model: Model,
  condition: string,
  values: readonly unknown[],
  into: number,
): Promise<number[]> {
  const { rows } = await sql.query<Moved>(
    `select id, category, kind, ${READABLE} as fields from record where ${condition} for update`,
    values,
  );
  await sql.query(
    `update record r set subject_id = $1, fact = t.fact, changed_at = now() from unnest($2::bigint[], $3::bytea[]) as t(id, fact) where r.id = t.id`,
    [into, rows.map((r) => r.id), rows.map((r) => factKey(keys, model, { ...r, subjectId: into }))],
  );
  await moveVersions(sql, keys, model, rows, into);
  await sql.query('update outbox set subject_id = $1 where record_id = any($2)', [into, rows.map((r) => r.id)]);
  return rows.map((r) => r.id);
}

/** The past moves along: what was told is told of the same subject, whenever it is asked for. */
async function moveVersions(sql: Sql, keys: Keys, model: Model, records: readonly Moved[], into: number): Promise<void> {
  const { rows } = await sql.query<Moved & { version: number }>(
    `select record_id as id, version, category, kind, ${READABLE} as fields from record_version where record_id = any($1)`,
    [records.map((r) => r.id)],
  );
  await sql.query(
    `update record_version v set fact = t.fact from unnest($1::bigint[], $2::int[], $3::bytea[]) as t(id, version, fact)
     where v.record_id = t.id and v.version = t.version`,
    [rows.map((r) => r.id), rows.map((r) => r.version), rows.map((r) => factKey(keys, model, { ...r, subjectId: into }))],
  );
}

export interface Merge {
  id: number;
  records: number;
  identifiers: number;
  mergedAt: string;
  undoneAt: string | null;
  reason: string | null;
}

/** Mergers, newest first: how much each moved, never whose. */
export async function listMerges(sql: Sql, limit: number): Promise<Merge[]> {
  const { rows } = await sql.query<Merge>(
    `select id, cardinality(records) as records, cardinality(tokens) as identifiers, merged_at as "mergedAt", undone_at as "undoneAt", reason
     from subject_merge order by id desc limit $1`,
    [limit],
  );
  return rows;
}
