import type { DictionaryValue } from '../mapping/dictionary.ts';
import type { Model } from '../model/types.ts';
import { type NewIssue, storeIssues } from './issues.ts';
import type { Keys } from './keys.ts';
import type { Sql } from './sql.ts';

/** A value of a code table as it is read. */
export interface DictionaryRow extends Omit<DictionaryValue, 'version'> {
  id: number;
  /** `connector/stream` that told it. */
  source: string;
  changedAt: string;
}

export function sourceOf(stream: { connector: string; id: string }): string {
  return `${stream.connector}/${stream.id}`;
}

/**
 * Stores values of one source: set-based, whatever their number. A value that says what is known, or comes in an older version, changes nothing.
 * Of several of one page under one key the newest version counts, of those the last.
 */
export async function storeDictionary(
  sql: Sql,
  source: string,
  values: readonly DictionaryValue[],
): Promise<{ stored: number; unchanged: number }> {
  const newest = new Map<string, DictionaryValue>();
  for (const value of values) {
    const key = JSON.stringify([value.type, value.code, value.region]);
    const before = newest.get(key)?.version ?? null;
    if (before === null || value.version === null || value.version >= before) newest.set(key, value);
  }
  if (newest.size === 0) return { stored: 0, unchanged: 0 };
  // In the order of the key, so that two writers cannot wait for each other.
  const rows = [...newest].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, value]) => value);
  const of = <T>(get: (value: DictionaryValue) => T): T[] => rows.map(get);
  const { rowCount } = await sql.query(
    `insert into dictionary_value as d (source, type, code, region, name, parent, valid, valid_from, valid_to, version)
     select $1, * from unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bool[], $8::date[], $9::date[], $10::text[])
     on conflict (source, type, code, region) do update set name = excluded.name, parent = excluded.parent, valid = excluded.valid,
       valid_from = excluded.valid_from, valid_to = excluded.valid_to, version = excluded.version, changed_at = now()
     where (d.name, d.parent, d.valid, d.valid_from, d.valid_to)
         is distinct from (excluded.name, excluded.parent, excluded.valid, excluded.valid_from, excluded.valid_to)
       and (d.version is null or excluded.version is null or excluded.version >= d.version)`,
    [
      source,
      of((v) => v.type),
      of((v) => v.code),
      of((v) => v.region),
      of((v) => v.name),
      of((v) => v.parent),
      of((v) => v.valid),
      of((v) => v.validFrom),
      of((v) => v.validTo),
      of((v) => v.version),
    ],
  );
  return { stored: rowCount, unchanged: values.length - rowCount };
}

/** The values of a type, oldest acquaintance first; `after` is the id of the last one seen. */
export async function listDictionary(sql: Sql, type: string, page: { first: number; after: number | undefined }): Promise<DictionaryRow[]> {
  const { rows } = await sql.query<DictionaryRow>(
    `select id, source, type, code, name, parent, region, valid, valid_from as "validFrom", valid_to as "validTo", changed_at as "changedAt"
     from dictionary_value where type = $1 and ($2::bigint is null or id > $2) order by id limit $3`,
    [type, page.after ?? null, page.first],
  );
  return rows;
}

/** Arbitrary number of the advisory lock that lets one stream at a time tell of unknown values. */
const NOTE_LOCK = 7_301_004;

/**
 * Notes values that the platform has and the code set of the same dictionary lacks: records with them will be refused. One note for each value of
 * a connector, whichever of its streams told it first; it stays one when the value is read again. Returns how many are new.
 */
export async function noteUnknownValues(
  pool: Sql,
  keys: Keys,
  model: Model,
  stream: { connector: string; id: string },
  run: number,
): Promise<number> {
  // Two streams that end together would both find that nobody has told yet.
  return pool.transaction(async (sql) => {
    await sql.query('select pg_advisory_xact_lock($1)', [NOTE_LOCK]);
    const sets = [...model.codes.values()].filter((set) => set.dictionary !== undefined);
    const known = sets.flatMap((set) => [...set.values.keys()].map((code) => [set.dictionary ?? '', code] as const));
    const { rows } = await sql.query<{ type: string; code: string }>(
      `select distinct d.type, d.code from dictionary_value d where d.source = $1 and d.valid and d.type = any($2)
       and not exists (select from unnest($3::text[], $4::text[]) as k(type, code) where (k.type, k.code) = (d.type, d.code))
       and not exists (select from issue i where i.connector = $5 and i.rule = $6 and i.place = d.type || '=' || d.code)
     order by 1, 2`,
      [
        sourceOf(stream),
        sets.map((set) => set.dictionary),
        known.map(([type]) => type),
        known.map(([, code]) => code),
        stream.connector,
        UNKNOWN_VALUE,
      ],
    );
    const notes = rows.map(({ type, code }): NewIssue => ({
      rule: UNKNOWN_VALUE,
      at: `dictionary ${type}`,
      place: `${type}=${code}`,
      reason: '平台字典中有而代码集没有的取值,含该值的记录将被拒收,请补充代码集或映射',
      refused: false,
      raw: undefined,
    }));
    await storeIssues(sql, keys, stream, run, notes);
    return notes.length;
  });
}

const UNKNOWN_VALUE = 'unknown-code-value';
