import type { Model } from '../model/types.ts';
import { type Keys, partsOf, Unreadable } from './keys.ts';
import { keyIdSql, SEALED_PLACES, type SealedPlace } from './sealed-places.ts';
import type { Sql } from './sql.ts';

export interface Resealed {
  /** Values that are now under the newest key. */
  resealed: number;
  /** Rows that somebody else wrote at the same moment: theirs stands, and it is under the newest key already. */
  overtaken: number;
  /** Rows that cannot be opened with this ring; they stay as they are. */
  unreadable: number;
}

interface Row {
  place: number[];
  old: string;
  [column: string]: unknown;
}

/**
 * Brings every value that is under an older key of the ring to the newest one, `batch` rows a transaction, while the hub runs: a row is replaced
 * only where it is still as it was read, so nothing that is written meanwhile is lost. Killed and started again, it goes on with what is left.
 */
export async function resealAll(
  sql: Sql,
  keys: Keys,
  model: Model,
  how: { batch?: number; onProgress?: (table: string, done: Resealed) => void } = {},
): Promise<Resealed> {
  const total: Resealed = { resealed: 0, overtaken: 0, unreadable: 0 };
  for (const place of SEALED_PLACES) {
    let after: number[] = place.key.map(() => -1);
    for (;;) {
      const rows = await nextRows(sql, keys, place, after, how.batch ?? 500);
      const last = rows.at(-1);
      if (last === undefined) break;
      after = last.place;
      const fresh = rows.flatMap((row) => reseal(keys, model, place, row) ?? []);
      total.unreadable += rows.length - fresh.length;
      const written = await replace(sql, place, fresh);
      total.resealed += written;
      total.overtaken += fresh.length - written;
      how.onProgress?.(place.table, total);
    }
  }
  return total;
}

/** A value under another key of the ring than the newest; the keys of subjects are no keys of the ring. */
function isOld(sealed: string, active: string): string {
  return `(${keyIdSql(sealed)} like 'k%' and ${keyIdSql(sealed)} <> ${active})`;
}

async function nextRows(sql: Sql, keys: Keys, place: SealedPlace, after: readonly number[], limit: number): Promise<Row[]> {
  const { table, column, key, form, of } = place;
  const old =
    form === 'text' ? isOld(`t.${column}`, '$1') : `exists (select from jsonb_each_text(t.${column}) v where ${isOld('v.value', '$1')})`;
  const { rows } = await sql.query<Row>(
    `select array[${key.join(', ')}]::bigint[] as place, ${[...of, `${column}::text as old`].join(', ')} from ${table} t
     where ${column} is not null and array[${key.join(', ')}]::bigint[] > $2 and ${old} order by ${key.join(', ')} limit $3`,
    [keys.active, after, limit],
  );
  return rows;
}

/** The row's new text; undefined where a value of it cannot be opened. */
function reseal(keys: Keys, model: Model, place: SealedPlace, row: Row): { row: Row; text: string } | undefined {
  const again = (sealed: string, field: string): string => {
    const { keyId } = partsOf(sealed);
    if (keyId === keys.active || !keyId.startsWith('k')) return sealed;
    const context = place.context(model, row, field);
    return keys.seal(keys.open(sealed, context), context);
  };
  try {
    if (place.form === 'text') return { row, text: again(row.old, '') };
    const fields = Object.entries(JSON.parse(row.old) as Record<string, string>);
    return { row, text: JSON.stringify(Object.fromEntries(fields.map(([field, sealed]) => [field, again(sealed, field)]))) };
  } catch (error) {
    if (error instanceof Unreadable) return undefined;
    throw error;
  }
}

async function replace(sql: Sql, { table, column, key, form }: SealedPlace, fresh: readonly { row: Row; text: string }[]): Promise<number> {
  const type = form === 'text' ? 'text' : 'jsonb';
  const { rowCount } = await sql.query(
    `update ${table} t set ${column} = n.fresh::${type}
     from unnest($1::text[], $2::text[], $3::bigint[]${key.length === 2 ? ', $4::bigint[]' : ''}) as n(old, fresh, ${key.map((_, i) => `k${i}`).join(', ')})
     where ${key.map((name, i) => `t.${name} = n.k${i}`).join(' and ')} and t.${column} = n.old::${type}`,
    [fresh.map((f) => f.row.old), fresh.map((f) => f.text), ...key.map((_, i) => fresh.map((f) => f.row.place[i]))],
  );
  return rowCount;
}

/** How many values lie under each key of the ring, by table; `subjects` stands for all keys of subjects. */
export async function sealedUnder(sql: Sql): Promise<{ table: string; key: string; values: number }[]> {
  const parts = SEALED_PLACES.map(({ table, column, form }) =>
    form === 'text'
      ? `select '${table}' as place, ${keyIdSql(column)} as key from ${table} where ${column} is not null`
      : `select '${table}' as place, ${keyIdSql('v.value')} as key from ${table}, jsonb_each_text(${column}) v`,
  );
  const { rows } = await sql.query<{ table: string; key: string; values: number }>(
    `select place as table, case when key like 's%' then 'subjects' else key end as key, count(*)::int as values
     from (${parts.join(' union all ')}) sealed group by 1, 2 order by 1, 2`,
  );
  return rows;
}
