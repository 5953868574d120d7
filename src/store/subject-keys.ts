import type { FieldValue } from '../model/types.ts';
import { type Keys, partsOf, type Sealer, Unreadable } from './keys.ts';
import type { Sql } from './sql.ts';

/**
 * What is sealed of a person lies under a random key of the person's own, kept sealed under the key ring (`subject_key`). Whether a key was destroyed
 * is asked of the database for every page that is read or written: keys are remembered unwrapped, that they still exist is not.
 */

/** Opens a sealed value; undefined when the key of its subject was destroyed. Throws `Unreadable` for anything else that cannot be opened. */
export type Opener = (sealed: string, context: string) => string | undefined;

/** An opener for these sealed values. One statement where any of them lies under a key of a subject. */
export async function openerOf(sql: Pick<Sql, 'query'>, keys: Keys, sealed: Iterable<string>): Promise<Opener> {
  const ids = new Set<number>();
  for (const text of sealed) {
    const id = subjectOf(text);
    if (id !== undefined) ids.add(id);
  }
  const wrapped = await wrappedKeys(sql, [...ids]);
  return (text, context) => {
    const id = subjectOf(text);
    if (id === undefined) return keys.open(text, context);
    const key = wrapped.get(id);
    if (key === undefined) throw new Unreadable('key', `a value is sealed under the key of subject ${id}, which there is not`);
    return key === null ? undefined : keys.subjectKey(id, key).open(text, context);
  };
}

/** The id in a key id of a subject's own: s123. */
function subjectOf(sealed: string): number | undefined {
  const { keyId } = partsOf(sealed);
  return keyId.startsWith('s') ? Number(keyId.slice(1)) : undefined;
}

async function wrappedKeys(sql: Pick<Sql, 'query'>, ids: readonly number[]): Promise<Map<number, string | null>> {
  if (ids.length === 0) return new Map();
  const { rows } = await sql.query<{ subject_id: number; wrapped: string | null }>(
    'select subject_id, wrapped from subject_key where subject_id = any($1)',
    [ids],
  );
  return new Map(rows.map((row) => [row.subject_id, row.wrapped]));
}

/** Every sealed text among the values of rows as `fieldsSql` gives them. */
export function sealedIn(rows: readonly Readonly<Record<string, FieldValue | { sealed: string }>>[]): string[] {
  return rows.flatMap((row) => Object.values(row).flatMap((value) => (typeof value === 'object' && value !== null ? [value.sealed] : [])));
}

/** Seals what is stored of a subject: of a person under the person's key, of an organisation under the ring's. */
export type SealerOf = (subjectId: number) => Sealer;

/**
 * The sealers of a page's subjects. Organisations have no keys of their own. Throws `Unreadable` `erased` when one is asked for whose key was destroyed:
 * callers leave out the records of such subjects before they come here.
 */
export async function sealersOf(sql: Sql, keys: Keys, persons: readonly number[]): Promise<SealerOf> {
  const wrapped = await wrappedKeys(sql, [...new Set(persons)]);
  return (id) => {
    const key = wrapped.get(id);
    if (key === null) throw new Unreadable('erased', `the key of subject ${id} was destroyed`);
    return key === undefined ? keys : keys.subjectKey(id, key);
  };
}

/** Makes the keys of new persons, whose rows are written in the same transaction after `subject`. */
export async function insertSubjectKeys(sql: Sql, made: ReadonlyMap<number, string>): Promise<void> {
  if (made.size === 0) return;
  await sql.query('insert into subject_key (subject_id, wrapped) select * from unnest($1::bigint[], $2::text[])', [
    [...made.keys()],
    [...made.values()],
  ]);
}
