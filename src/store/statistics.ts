import type { Grant, Scope } from '../access/decide.ts';
import { type Counted, hiddenCells } from '../access/suppress.ts';
import { Refused } from '../errors.ts';
import type { Field, Model, SubjectKind } from '../model/types.ts';
import { Parameters } from './columns.ts';
import type { Keys } from './keys.ts';
import { recordInScope } from './scope-sql.ts';
import type { Pool } from './sql.ts';
import { enterWall } from './wall.ts';

/** What cells are made by. `region` is the prefecture, `county` the code as it stands; `grade` that of an evaluation. */
export type Dimension = 'category' | 'kind' | 'region' | 'county' | 'month' | 'subject-type' | 'grade';

/** Which records are counted; what is left out is no condition. Days as YYYY-MM-DD, both included. */
export interface Predicate {
  categories?: readonly number[];
  kind?: string;
  /** First digits of the region code. */
  region?: string;
  from?: string;
  to?: string;
  subjectType?: SubjectKind;
}

export interface Table {
  cells: Cell[];
  /** Records counted, for the query log. */
  population: number;
  categories: number[];
}

/** One cell: a value for each dimension, null in a margin. What is suppressed has neither counts nor a sum. */
export interface Cell {
  at: (string | null)[];
  suppressed: boolean;
  records: number | null;
  subjects: number | null;
  /** Fen. */
  amount: number | null;
}

/** The fewest subjects a cell may tell of. */
export const FEWEST = 5;
const MOST_CELLS = 2000;
/** How many of a person's tables of the last thirty days a new one is compared with. */
const REMEMBERED = 20;

export interface Counter {
  /**
   * Counts the records of a grant, by up to two dimensions, with all margins; small cells hidden, others with them, and those that differ by few subjects
   * from what the person was shown before. Throws `Refused` FILTER_DENIED for a grade or a sum that no rule gives, TABLE_TOO_LARGE.
   */
  count(person: string, by: readonly Dimension[], predicate: Predicate, amount: string | undefined): Promise<Table>;
}

/** Makes the counter of one grant: rows that may be read may be counted, and so may those of rules for statistics alone, which the reader never sees. */
export function openCounter(pool: Pool, keys: Keys, model: Model, grant: Grant): Counter {
  return {
    async count(person, by, predicate, amount) {
      const fields = [by.includes('grade') ? 'EvaluationRecord.grade' : undefined, amount].filter((one) => one !== undefined);
      const scopes = scopesGiving([...grant.scopes, ...grant.statistics], fields);
      const enter = enterWall(model, { ...grant, scopes }, keys);
      const before = await shownBefore(pool, person);
      const parameters = new Parameters();
      const text = statement(model, keys, scopes, { by, predicate, amount, before }, parameters);
      const { rows } = await pool.read<Row>(enter, text, parameters.values);
      if (rows.length > MOST_CELLS)
        throw new Refused('TABLE_TOO_LARGE', `统计表单元格超过 ${MOST_CELLS} 个,请缩小范围`, {
          status: 400,
          details: { allowed: MOST_CELLS },
        });
      await remember(pool, person, by, predicate);
      return toTable(rows, by, before);
    },
  };
}

interface Row {
  at: (string | null)[];
  margin: number;
  records: number;
  subjects: number;
  amount: number | null;
  categories: number[];
  more: number[];
  less: number[];
}

interface Shown {
  predicate: Predicate;
  dimensions: Dimension[];
}

/** The scopes that give every field the table uses, unmasked. */
function scopesGiving(scopes: readonly Scope[], fields: readonly string[]): Scope[] {
  const giving = scopes.filter((scope) => scope.categories.length > 0 && fields.every((field) => scope.fields.get(field) === 'allow'));
  const [coordinate] = fields;
  if (giving.length === 0 && coordinate !== undefined)
    throw new Refused('FILTER_DENIED', `不得按未授权字段统计:${fields.join('、')}`, { status: 403, details: { coordinate } });
  if (giving.length === 0)
    throw new Refused('NO_POLICY', '本部门没有以该用途统计信用信息的授权', { status: 403, details: { article: 'HN-23.2' } });
  return giving;
}

interface Asked {
  by: readonly Dimension[];
  predicate: Predicate;
  amount: string | undefined;
  before: readonly Shown[];
}

function statement(model: Model, keys: Keys, scopes: readonly Scope[], asked: Asked, parameters: Parameters): string {
  const { by, predicate, amount, before } = asked;
  const held = scopes.map((scope) => recordInScope(scope, parameters, keys)).join(' or ');
  const sum = amount === undefined ? undefined : fieldOf(model, amount);
  const narrowed = [
    ...(by.includes('grade') ? [`r.category = ${fieldOf(model, 'EvaluationRecord.grade').category}`] : []),
    ...(sum === undefined ? [] : [`r.category = ${sum.category}`]),
  ];
  const now = holds(predicate, parameters);
  const earlier = before.map((one) => holds(one.predicate, parameters));
  const dimensions = by.map((one, i) => `${expressionOf(model, one)} as d${i}`);
  const names = by.map((_, i) => `d${i}`);
  const grouping = names.length === 0 ? '()' : `cube (${names.join(', ')})`;
  const differing = (condition: (i: number) => string) =>
    earlier.length === 0
      ? `'{}'::int[]`
      : `array[${earlier.map((_, i) => `(count(distinct subject_id) filter (where ${condition(i)}))::int`).join(', ')}]`;
  return `select array[${names.map((name) => `case when grouping(${name}) = 0 then ${name} end`).join(', ')}]::text[] as at,
      ${names.length === 0 ? '0' : `grouping(${names.join(', ')})`}::int as margin,
      (count(*) filter (where now))::int as records, (count(distinct subject_id) filter (where now))::int as subjects,
      ${sum === undefined ? 'null::bigint' : '(sum(amount) filter (where now))::bigint'} as amount,
      coalesce(array_agg(distinct category) filter (where now), '{}')::int[] as categories,
      ${differing((i) => `now and not e${i}`)} as more, ${differing((i) => `e${i} and not now`)} as less
    from (select ${['r.subject_id', 'r.category', `(${now}) as now`, ...earlier.map((one, i) => `(${one}) as e${i}`), ...dimensions].join(', ')},
        ${sum === undefined ? 'null' : `(${sum.sql})::bigint`} as amount
      from record r where (${held}) and not r.deleted ${narrowed.map((one) => `and ${one}`).join(' ')}) counted
    where ${['now', ...earlier.map((_, i) => `e${i}`)].join(' or ')}
    group by ${grouping} limit ${MOST_CELLS + 1}`;
}

/** Whether a record is one of those that a predicate asks for. */
function holds(of: Predicate, parameters: Parameters): string {
  const parts = ['true'];
  if (of.categories) parts.push(`r.category = any(${parameters.add(of.categories)}::smallint[])`);
  if (of.kind !== undefined) parts.push(`r.kind = ${parameters.add(of.kind)}::text`);
  if (of.region !== undefined) parts.push(`starts_with(coalesce(r.region, ''), ${parameters.add(of.region)}::text)`);
  if (of.from !== undefined) parts.push(`r.ordered_on >= ${parameters.add(of.from)}::date`);
  if (of.to !== undefined) parts.push(`r.ordered_on <= ${parameters.add(of.to)}::date`);
  if (of.subjectType !== undefined) parts.push(`r.subject_kind = ${parameters.add(of.subjectType)}::text`);
  return parts.join(' and ');
}

function expressionOf(model: Model, dimension: Dimension): string {
  switch (dimension) {
    case 'category':
      return 'r.category::text';
    case 'kind':
      return 'r.kind';
    case 'region':
      return `coalesce(left(r.region, 4) || '00', '')`;
    case 'county':
      return `coalesce(r.region, '')`;
    case 'month':
      return `to_char(r.ordered_on, 'YYYY-MM')`;
    case 'subject-type':
      return 'r.subject_kind';
    case 'grade':
      return `coalesce(${fieldOf(model, 'EvaluationRecord.grade').text}, '')`;
  }
}

/** Where a field of a record lies. Throws `Refused` BAD_COORDINATE for what is no field that can be added up or grouped by. */
function fieldOf(model: Model, coordinate: string): { category: number; sql: string; text: string } {
  const [type, name] = coordinate.split('.');
  const category = [...model.categories.values()].find((one) => one.type === type);
  const field: Field | undefined = category?.fields.get(name ?? '');
  if (!category || !field || field.sensitivity === 'identity') throw new Refused('BAD_COORDINATE', '目录中没有可用于统计的该字段');
  const at = `r.${field.sensitivity}`;
  return { category: category.no, sql: `${at}->>'${field.name}'`, text: `${at}->>'${field.name}'` };
}

/** Whether a table of the catalog's money: only sums of these have a meaning. */
export function isAmount(model: Model, coordinate: string): boolean {
  const [type, name] = coordinate.split('.');
  return [...model.categories.values()].some((one) => one.type === type && one.fields.get(name ?? '')?.type === 'money');
}

async function shownBefore(pool: Pool, person: string): Promise<Shown[]> {
  const { rows } = await pool.query<Shown>(
    `select predicate, dimensions from statistics_asked where person = $1 and asked_at > now() - interval '30 days' order by asked_at desc limit $2`,
    [person, REMEMBERED],
  );
  return rows;
}

async function remember(pool: Pool, person: string, by: readonly Dimension[], predicate: Predicate): Promise<void> {
  await pool.query(
    `insert into statistics_asked (person, predicate, dimensions) values ($1, $2, $3)
     on conflict (person, predicate, dimensions) do update set asked_at = now()`,
    [person, JSON.stringify(predicate), [...by].sort()],
  );
}

function toTable(rows: readonly Row[], by: readonly Dimension[], before: readonly Shown[]): Table {
  const counted = rows.filter((row) => row.records > 0);
  const cells = counted.map((row): Counted & { row: Row } => {
    const at = by.map((_, i) => ((row.margin >> (by.length - 1 - i)) & 1 ? null : (row.at[i] ?? '')));
    return { at, records: row.records, subjects: tellsFew(row, at, by, before) ? 0 : row.subjects, row };
  });
  const hidden = by.length === 0 ? new Set(cells.filter((cell) => cell.subjects < FEWEST)) : hiddenCells(cells, FEWEST);
  const shown = cells.map((cell): Cell => {
    const { records, subjects, amount } = cell.row;
    return hidden.has(cell)
      ? { at: [...cell.at], suppressed: true, records: null, subjects: null, amount: null }
      : { at: [...cell.at], suppressed: false, records, subjects, amount };
  });
  const all = counted.find((row) => row.margin === 2 ** by.length - 1);
  return { cells: shown.sort(inOrder), population: all?.records ?? 0, categories: all?.categories ?? [] };
}

/**
 * Whether a cell and the same cell of an earlier table differ by fewer subjects than may be told, the one being part of the other (L9). Only tables that
 * had all the cell's dimensions have that cell.
 */
function tellsFew(row: Row, at: readonly (string | null)[], by: readonly Dimension[], before: readonly Shown[]): boolean {
  const fixed = by.filter((_, i) => at[i] !== null);
  return before.some(({ dimensions }, i) => {
    const [more, less] = [row.more[i] ?? 0, row.less[i] ?? 0];
    const few = (one: number, other: number) => other === 0 && one > 0 && one < FEWEST;
    return fixed.every((one) => dimensions.includes(one)) && (few(more, less) || few(less, more));
  });
}

function inOrder(a: Cell, b: Cell): number {
  const [x, y] = [a, b].map((cell) => cell.at.map((value) => value ?? '\uffff').join('\0'));
  return (x ?? '') < (y ?? '') ? -1 : 1;
}
