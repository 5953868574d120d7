import type { Scope } from '../access/decide.ts';
import type { Field } from '../model/types.ts';

/** Values of a statement under construction: `add` gives the placeholder. Values never stand in the text. */
export class Parameters {
  readonly values: unknown[] = [];
  add(value: unknown): string {
    this.values.push(value);
    return `$${this.values.length}`;
  }
}

/** A scope with its condition in SQL. */
export interface Conditioned {
  scope: Scope;
  sql: string;
}

/**
 * The fields of one type that the grant gives, as one jsonb. A field stands in the text only when some scope gives it, and a row shows it only
 * where a scope that holds the row gives it: rows and fields of different rules never mix. A sealed value comes as {"sealed": …}.
 */
export function fieldsSql(alias: 'r' | 's', type: string, fields: readonly Field[], scopes: readonly Conditioned[]): string {
  const pairs = fields.flatMap((field) => {
    const sql = fieldSql(alias, `${type}.${field.name}`, field, scopes);
    return sql === undefined ? [] : [`'${field.name}', ${sql}`];
  });
  // jsonb_build_object takes at most 100 arguments.
  const chunks: string[] = [];
  for (let i = 0; i < pairs.length; i += 45) chunks.push(`jsonb_build_object(${pairs.slice(i, i + 45).join(', ')})`);
  return chunks.length === 0 ? `'{}'::jsonb` : `jsonb_strip_nulls(${chunks.join(' || ')})`;
}

function fieldSql(alias: string, coordinate: string, field: Field, scopes: readonly Conditioned[]): string | undefined {
  const giving = (access: 'allow' | 'mask') => scopes.filter((s) => s.scope.fields.get(coordinate) === access);
  const allow = giving('allow');
  const mask = giving('mask');
  if (allow.length + mask.length === 0) return undefined;
  const plain =
    field.sensitivity === 'identity'
      ? `case when ${alias}.sealed ? '${field.name}' then jsonb_build_object('sealed', ${alias}.sealed->'${field.name}') end`
      : `${alias}.${field.sensitivity}->'${field.name}'`;
  const masked = `${alias}.masks->'${field.name}'`;
  if (allow.length === scopes.length) return plain;
  if (mask.length === scopes.length) return masked;
  const branches = [...allow.map((s) => `when ${s.sql} then ${plain}`), ...mask.map((s) => `when ${s.sql} then ${masked}`)];
  return `case ${branches.join(' ')} end`;
}
