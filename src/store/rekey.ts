import type { Model, SubjectKind } from '../model/types.ts';
import { type Keys, partsOf } from './keys.ts';
import type { Sql } from './sql.ts';
import { openerOf, sealersOf } from './subject-keys.ts';

/**
 * What moves to another subject is sealed anew under that one's key: what is sealed of a subject lies under its own key alone. Else erasing the
 * subject that something went through would make it unreadable, and erasing its own would not.
 */

type Sealed = Record<string, string>;

interface Row {
  record_id: number;
  /** Null: the record as it is now. */
  version: number | null;
  category: number;
  sealed: Sealed;
}

/** The values of records, with their history, under the key of the subject they belong to now. */
export async function rekeyRecords(sql: Sql, keys: Keys, model: Model, records: readonly number[], subjectId: number): Promise<void> {
  const { rows } = await sql.query<Row>(
    `select id as record_id, null::int as version, category, sealed from record where id = any($1) and sealed is not null
     union all select record_id, version, category, sealed from record_version where record_id = any($1) and sealed is not null`,
    [records],
  );
  const types = rows.map((row) => model.categories.get(row.category)?.type ?? '');
  const sealed = await underOwnKey(
    sql,
    keys,
    subjectId,
    rows.map((row, i) => ({ type: types[i] ?? '', sealed: row.sealed })),
  );
  const fresh = rows.map((row, i) => ({ ...row, sealed: JSON.stringify(sealed[i]) }));
  for (const [table, id, of] of [
    ['record', 'id', fresh.filter((row) => row.version === null)],
    ['record_version', 'record_id', fresh.filter((row) => row.version !== null)],
  ] as const) {
    await sql.query(
      `update ${table} t set sealed = n.sealed from unnest($1::bigint[], $2::int[], $3::jsonb[]) as n(id, version, sealed)
       where t.${id} = n.id and t.version = coalesce(n.version, t.version)`,
      [of.map((row) => row.record_id), of.map((row) => row.version), of.map((row) => row.sealed)],
    );
  }
}

/** What a subject took over from another that became one with it. */
export async function rekeySubject(sql: Sql, keys: Keys, model: Model, id: number): Promise<void> {
  const { rows } = await sql.query<{ kind: SubjectKind; sealed: Sealed }>(
    'select kind, sealed from subject where id = $1 and sealed is not null',
    [id],
  );
  const types = rows.map(({ kind, sealed }) => ({ type: model.subjects.get(kind)?.type ?? '', sealed }));
  for (const sealed of await underOwnKey(sql, keys, id, types))
    await sql.query('update subject set sealed = $2 where id = $1', [id, JSON.stringify(sealed)]);
}

async function underOwnKey(sql: Sql, keys: Keys, id: number, values: readonly { type: string; sealed: Sealed }[]): Promise<Sealed[]> {
  const open = await openerOf(
    sql,
    keys,
    values.flatMap(({ sealed }) => Object.values(sealed)),
  );
  const sealer = (await sealersOf(sql, keys, [id]))(id);
  const again = (type: string, [name, text]: [string, string]): [string, string] => {
    const plain = partsOf(text).keyId === `s${id}` ? undefined : open(text, `${type}.${name}`);
    return [name, plain === undefined ? text : sealer.seal(plain, `${type}.${name}`)];
  };
  return values.map(({ type, sealed }) => Object.fromEntries(Object.entries(sealed).map((pair) => again(type, pair))));
}
