import type { Field } from '../model/types.ts';
import type { Parameters } from './columns.ts';

/** A comparison of one catalog field. `contains` is for text, `from`/`to` (both inclusive) for dates and amounts. */
export interface Comparison {
  eq?: string | number | boolean;
  in?: (string | number)[];
  contains?: string;
  from?: string | number;
  to?: string | number;
}

/** SQL of a comparison over `text`, the field as text; every part that is given must hold. */
export function compare(text: string, field: Field, comparison: Comparison, parameters: Parameters): string {
  const numeric = field.type === 'money' || field.type === 'integer';
  const value = numeric ? `(${text})::bigint` : text;
  const cast = numeric ? '::bigint' : '::text';
  const parts: string[] = [];
  if (comparison.eq !== undefined) parts.push(`${value} = ${parameters.add(String(comparison.eq))}${cast}`);
  if (comparison.in !== undefined) parts.push(`${value} = any(${parameters.add(comparison.in.map(String))}${cast}[])`);
  if (comparison.contains !== undefined) parts.push(`strpos(${text}, ${parameters.add(comparison.contains)}) > 0`);
  if (comparison.from !== undefined) parts.push(`${value} >= ${parameters.add(String(comparison.from))}${cast}`);
  if (comparison.to !== undefined) parts.push(`${value} <= ${parameters.add(String(comparison.to))}${cast}`);
  return parts.length === 0 ? 'true' : `(${parts.join(' and ')})`;
}
