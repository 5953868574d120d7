import { Refused } from '../errors.ts';
import type { FieldValue, Model, SubjectKind } from '../model/types.ts';
import { factKey } from './fact.ts';
import type { Keys } from './keys.ts';
import { openerOf } from './subject-keys.ts';
import { rekeyRecords, rekeySubject } from './rekey.ts';
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
  await rekeyRecords(sql, keys, model, records, into);
  await sql.query('update relation set subject_id = $2 where subject_id = $1', [from, into]);
  const relations = await sql.query<{ id: number }>('update relation set related_id = $2 where related_id = $1 returning id', [from, into]);
  await sql.query('update subject set merged_into = $2, changed_at = now() where id = $1', [from, into]);
  const { rows: added } = await sql.query<{ roles: string[]; name: boolean }>(ADDED, [from, into]);
  // Roles add up, and what only the other one knew is kept; what both tell stays as the stated subject has it.
  await sql.query(
    `update subject s set roles = (select coalesce(array_agg(distinct r order by r), '{}') from unnest(s.roles || f.roles) r),
       open = f.open || s.open, internal = coalesce(f.internal || s.internal, s.internal, f.internal),
       commercial = coalesce(f.commercial || s.commercial, s.commercial, f.commercial), personal = coalesce(f.personal || s.personal, s.personal, f.personal),
       sealed = coalesce(f.sealed || s.sealed, s.sealed, f.sealed), masks = coalesce(f.masks || s.masks, s.masks, f.masks), changed_at = now()
     from subject f where f.id = $1 and s.id = $2`,
    [from, into],
  );
  await rekeySubject(sql, keys, model, into);
  const { rows } = await sql.query<{ id: number }>(
    `insert into subject_merge (from_id, into_id, tokens, codes, records, relations, added_roles, added_name)
     values ($1, $2, $3, $4, $5, $6, $7, $8) returning id`,
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
      added[0]?.roles ?? [],
      added[0]?.name ?? false,
    ],
  );
  return rows[0]?.id ?? 0;
}

/** What a subject has only from another one: roles that none of its own records told, not even through a merger that still stands; and its name. */
const ADDED = `
  select array(select unnest(f.roles) except (
      select unnest(s.roles) except select unnest(m.added_roles) from subject_merge m where m.into_id = s.id and m.undone_at is null) order by 1) as roles,
    coalesce(f.open->'name', f.personal->'name') is not null and coalesce(s.open->'name', s.personal->'name') is null as name
  from subject f, subject s where f.id = $1 and s.id = $2`;

interface Merged {
  from_id: number;
  into_id: number;
  tokens: Buffer[];
  codes: { scheme: string; code: string }[];
  records: number[];
  relations: number[];
  added_roles: string[];
  added_name: boolean;
  undone_at: string | null;
}

/**
 * Takes a merge back: what it moved goes back to where it was, and what `into` had from `from` alone goes from it – roles, the name, identifiers,
 * the sealed ones too. What came since stays. The two are never merged again by a record. Throws `Refused` MERGE_NOT_FOUND, MERGE_UNDONE, MERGED_ON,
 * SUBJECT_WITHHELD or REASON_REQUIRED.
 */
export async function undoMerge(sql: Sql, keys: Keys, model: Model, by: string, id: number, reason: string): Promise<void> {
  if (reason.trim() === '') throw new Refused('REASON_REQUIRED', '撤销合并须说明理由');
  await sql.transaction(async (tx) => {
    const { rows } = await tx.query<Merged>('select * from subject_merge where id = $1 for update', [id]);
    const [merge] = rows;
    if (merge === undefined) throw new Refused('MERGE_NOT_FOUND', '未找到该主体合并记录');
    if (merge.undone_at !== null) throw new Refused('MERGE_UNDONE', '该主体合并已撤销');
    const { from_id: from, into_id: into } = merge;
    const held = await tx.query<{ id: number; merged: boolean; withheld: boolean }>(
      'select id, merged_into is not null as merged, withheld is not null as withheld from subject where id = any($1) order by id for no key update',
      [[from, into]],
    );
    if (held.rows.some((row) => row.id === into && row.merged))
      throw new Refused('MERGED_ON', '合并后的主体又并入了其他主体,请先撤销其后的合并');
    if (held.rows.some((row) => row.withheld)) throw new Refused('SUBJECT_WITHHELD', '该信用主体的个人信息已删除或仅限存储');
    await tx.query('update subject_identifier set subject_id = $1 where subject_id = $2 and token = any($3)', [
      from,
      into,
      formsOf(keys, merge.tokens),
    ]);
    await tx.query(
      `update subject_code c set subject_id = $1 from jsonb_to_recordset($3::jsonb) as m(scheme text, code text)
       where c.subject_id = $2 and c.scheme = m.scheme and c.code = m.code`,
      [from, into, JSON.stringify(merge.codes)],
    );
    const moved = await moveRecords(tx, keys, model, 'subject_id = $1 and id = any($2)', [into, merge.records], from);
    await rekeyRecords(tx, keys, model, moved, from);
    await tx.query('update relation set subject_id = $1 where record_id = any($2)', [from, merge.records]);
    await tx.query('update relation set related_id = $1 where id = any($2)', [from, merge.relations]);
    await tx.query('update subject set merged_into = null, changed_at = now() where id = $1', [from]);
    await tx.query('update subject_merge set undone_at = now(), undone_by = $2, reason = $3 where id = $1', [id, by, reason]);
    await takeAway(tx, keys, model, merge);
  });
}

/** Of the tokens of each identifier the one of the oldest generation: the others follow from it, those that are made later too. */
function eldest(keys: Keys, tokens: readonly Buffer[]): Buffer[] {
  const later = new Set(tokens.flatMap((token) => keys.blindLater(token).map((form) => form.toString('hex'))));
  return tokens.filter((token) => !later.has(token.toString('hex')));
}

/** The tokens with those of later generations that were made of them since. */
const formsOf = (keys: Keys, tokens: readonly Buffer[]): Buffer[] => tokens.flatMap((token) => [token, ...keys.blindLater(token)]);

/** Takes from `into` what it has from `from` alone. */
async function takeAway(sql: Sql, keys: Keys, model: Model, merge: Merged): Promise<void> {
  const fields = await foreignFields(sql, keys, model, merge);
  const without = (column: string) => `nullif(${column} - $2::text[], '{}')`;
  await sql.query(
    `update subject set open = open - $2::text[], internal = ${without('internal')}, commercial = ${without('commercial')},
       personal = ${without('personal')}, sealed = ${without('sealed')}, masks = ${without('masks')}, changed_at = now(),
       roles = array(select unnest(roles) except (
         select unnest($3::text[]) except select unnest(m.added_roles) from subject_merge m where m.into_id = $1 and m.undone_at is null) order by 1)
     where id = $1`,
    [merge.into_id, fields, merge.added_roles],
  );
}

/** Fields of `into` that say what `from` says: the name, where it came with the merger, and the identifiers that went back. */
async function foreignFields(sql: Sql, keys: Keys, model: Model, merge: Merged): Promise<string[]> {
  const { rows: schemes } = await sql.query<{ scheme: string }>('select distinct scheme from subject_identifier where token = any($1)', [
    formsOf(keys, merge.tokens),
  ]);
  const { rows } = await sql.query<{
    id: number;
    kind: SubjectKind;
    fields: Record<string, FieldValue>;
    sealed: Record<string, string> | null;
  }>(`select id, kind, ${READABLE} as fields, sealed from subject where id = any($1)`, [[merge.from_id, merge.into_id]]);
  const [from, into] = [merge.from_id, merge.into_id].map((id) => rows.find((row) => row.id === id));
  const type = model.subjects.get(into?.kind ?? 'organisation');
  const names = new Set(schemes.map(({ scheme }) => type?.identifiers.get(scheme)).filter((name) => name !== undefined));
  if (merge.added_name) names.add('name');
  const open = await openerOf(
    sql,
    keys,
    rows.flatMap((row) => Object.values(row.sealed ?? {})),
  );
  const said = (row: (typeof rows)[number] | undefined, name: string): FieldValue | undefined => {
    const sealed = row?.sealed?.[name];
    return sealed === undefined ? row?.fields[name] : open(sealed, `${type?.type ?? ''}.${name}`);
  };
  return [...names].filter((name) => said(into, name) === said(from, name));
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
    `update record r set subject_id = $1, fact = t.fact, changed_at = now(), region = case when r.region_inherited then s.region else r.region end
     from unnest($2::bigint[], $3::bytea[]) as t(id, fact), subject s where r.id = t.id and s.id = $1`,
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
