import type { Decision, Grant, Scope } from '../access/decide.ts';
import { Refused } from '../errors.ts';
import type { Category, Field, FieldValue, Model, SubjectType } from '../model/types.ts';
import type { Conditioned } from './columns.ts';
import type { Keys } from './keys.ts';
import { revealCursor } from './opaque.ts';
import { MAX_PAGE, type Shown } from './rows.ts';
import type { Sql } from './sql.ts';
import { type Opener, openerOf, sealedIn } from './subject-keys.ts';

/** What every read of one grant shares: the connection, the keys, the grant, and the account of what was shown. */
export interface View {
  /** A transaction of its own for every statement, behind the wall of the grant. */
  sql: Pick<Sql, 'query'>;
  /** The columns of values that may be named at all. */
  columns: readonly string[];
  keys: Keys;
  model: Model;
  grant: Grant;
  shown: Shown;
}

/** The fields of a type that the document selects and the grant gives. Nothing else is named in a statement. */
export function wanted(view: View, type: SubjectType | Category): Field[] {
  return [...type.fields.values()].filter((field) => isGiven(view.grant.decisions.get(`${type.type}.${field.name}`)));
}

function isGiven(decision: Decision | undefined): boolean {
  return decision !== undefined && decision.access !== 'deny';
}

/** Fields as `fieldsSql` gives them. */
export type SealedFields = Record<string, FieldValue | { sealed: string }>;

/** An opener for the sealed values of these rows. */
export function openerFor(view: View, rows: readonly { fields: SealedFields }[]): Promise<Opener> {
  return openerOf(view.sql, view.keys, sealedIn(rows.map((row) => row.fields)));
}

/** Opens sealed values – null where the key was destroyed – and accounts for the coordinates that were really returned. */
export function openFields(view: View, open: Opener, type: string, fields: SealedFields): Record<string, FieldValue> {
  const result: Record<string, FieldValue> = {};
  for (const [name, value] of Object.entries(fields)) {
    result[name] = typeof value === 'object' && value !== null ? (open(value.sealed, `${type}.${name}`) ?? null) : value;
    view.shown.coordinates.add(`${type}.${name}`);
  }
  return result;
}

export function conditioned(scopes: readonly Scope[], condition: (scope: Scope) => string): Conditioned[] {
  return scopes.map((scope) => ({ scope, sql: condition(scope) }));
}

export const anyOf = (scopes: readonly Conditioned[]): string => scopes.map((s) => s.sql).join(' or ');

/** Where a page starts. Throws `Refused` BAD_CURSOR for a text that is no cursor of this hub, or of another list: `own` knows its days. */
export function position(keys: Keys, after: string | undefined, own: (day: string) => boolean): { day: string; id: number } | undefined {
  if (after === undefined) return undefined;
  const place = revealCursor(keys, after);
  if (place === undefined || !own(place.day)) throw new Refused('BAD_CURSOR', '分页游标无效', { status: 400 });
  return place;
}

/** Throws `Refused` BAD_PAGE_SIZE outside 1 … MAX_PAGE: a larger page is refused, not cut. */
export function checkedSize(first: number): number {
  if (!Number.isInteger(first) || first < 1 || first > MAX_PAGE) {
    throw new Refused('BAD_PAGE_SIZE', `每页条数须为 1 至 ${MAX_PAGE}`, { status: 400 });
  }
  return first;
}
