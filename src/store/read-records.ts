import type { Scope } from '../access/decide.ts';
import { fieldsSql, Parameters } from './columns.ts';
import { concealCursor, concealId } from './opaque.ts';
import type { PageOf, PageRequest, RecordRow, RecordWhere } from './rows.ts';
import { recordInScope, subjectInScope } from './scope-sql.ts';
import type { Opener } from './subject-keys.ts';
import { anyOf, checkedSize, conditioned, openerFor, openFields, position, type SealedFields, type View, wanted } from './view.ts';
import { compare } from './where.ts';

interface RawRecord {
  id: number;
  subject_id: number;
  category: number;
  kind: string;
  region: string | null;
  publicity: string;
  mark: string | null;
  disputed: boolean;
  occurred_on: string | null;
  valid_from: string | null;
  valid_to: string | null;
  connector: string;
  stream: string;
  version: number;
  ordered_on: string;
  fact: Buffer;
  fields: SealedFields;
}
const NOTHING = { nodes: [], endCursor: null, hasNextPage: false };
/** Mapping takes no earlier day. */
const FIRST_DAY = '1000-01-01';
const ORDER = 'order by r.ordered_on desc, r.id desc';

/** Records, newest first. */
export async function listRecords(view: View, where: RecordWhere, page: PageRequest): Promise<PageOf<RecordRow>> {
  const parameters = new Parameters();
  const select = selection(view, parameters, where);
  const { after, limit } = paging(view, page, parameters);
  if (select === undefined) return NOTHING;
  // Which ones first: the values of a record are worked out for those on the page, not for all that have to be sorted.
  const { rows } = await view.sql.query<RawRecord>(
    `select ${select.list} from ${select.from}
     where r.id = any(array(select r.id from ${select.from} where ${select.where} ${after} ${ORDER} limit ${limit})) ${ORDER}`,
    parameters.values,
  );
  return toPage(view, await openerFor(view, rows), rows, page.first, where);
}

/** The same page for each of several subjects, in one statement. */
export async function recordsOf(
  view: View,
  subjects: readonly number[],
  where: RecordWhere,
  page: PageRequest,
): Promise<Map<number, PageOf<RecordRow>>> {
  const parameters = new Parameters();
  const select = selection(view, parameters, where);
  const { after, limit } = paging(view, page, parameters);
  if (select === undefined) return new Map();
  const { rows } = await view.sql.query<RawRecord>(
    `select one.* from unnest(${parameters.add(subjects)}::bigint[]) as wanted(id) cross join lateral (
       select ${select.list} from ${select.from} where r.subject_id = wanted.id and ${select.where} ${after} ${ORDER} limit ${limit}) one`,
    parameters.values,
  );
  const open = await openerFor(view, rows);
  return new Map([...Map.groupBy(rows, (row) => row.subject_id)].map(([id, own]) => [id, toPage(view, open, own, page.first, where)]));
}

/** Records by their ids, as far as the grant holds them; only those of which `show` is called count as shown. */
export async function recordsByRowId(view: View, ids: readonly number[]): Promise<Map<number, { id: string; show(): RecordRow }>> {
  const parameters = new Parameters();
  const select = selection(view, parameters, {});
  if (select === undefined || ids.length === 0) return new Map();
  const { rows } = await view.sql.query<RawRecord>(
    `select ${select.list} from ${select.from} where r.id = any(${parameters.add(ids)}::bigint[]) and ${select.where}`,
    parameters.values,
  );
  const open = await openerFor(view, rows);
  return new Map(rows.map((row) => [row.id, { id: concealId(view.keys, 'record', row.id), show: () => show(view, open, row, undefined) }]));
}

/** How many records each subject has in each category that the grant holds. */
export async function countsOf(view: View, subjects: readonly number[], where: RecordWhere): Promise<Map<number, Map<number, number>>> {
  const parameters = new Parameters();
  const select = selection(view, parameters, where);
  if (select === undefined) return new Map();
  const { rows } = await view.sql.query<{ subject_id: number; category: number; count: number }>(
    `select r.subject_id, r.category, count(*)::int as count from ${select.from}
     where r.subject_id = any(${parameters.add(subjects)}::bigint[]) and ${select.where} group by 1, 2`,
    parameters.values,
  );
  const counts = new Map<number, Map<number, number>>();
  for (const row of rows) {
    const own = counts.get(row.subject_id) ?? new Map<number, number>();
    counts.set(row.subject_id, own.set(row.category, row.count));
    view.shown.categories.add(row.category);
  }
  return counts;
}

interface Selection {
  list: string;
  from: string;
  where: string;
}

/** The column list and the condition of a read: both come from the grant. Undefined when the grant holds no records at all. */
function selection(view: View, parameters: Parameters, where: RecordWhere): Selection | undefined {
  const holding = view.grant.scopes.filter((scope) => scope.categories.length > 0);
  const scopes = conditioned(holding, (scope) => recordInScope(scope, parameters, view.keys));
  if (scopes.length === 0) return undefined;
  const categories = [...view.model.categories.values()].filter((c) => scopes.some((s) => s.scope.categories.includes(c.no)));
  const branches = categories.map((c) => {
    const own = scopes.filter((s) => s.scope.categories.includes(c.no));
    return `when ${c.no} then ${fieldsSql('r', c.type, wanted(view, c), own)}`;
  });
  const list = `r.id, r.subject_id, r.category, r.kind, r.region, r.publicity, r.mark, r.disputed, r.occurred_on, r.valid_from, r.valid_to,
    r.connector, r.stream, r.version, r.ordered_on, r.fact, case r.category ${branches.join(' ')} end as fields`;
  const parts = [`(${anyOf(scopes)})`, 'not r.deleted', 'not r.withheld', ...conditionsOf(view, parameters, where)];
  return { list, from: sourceOf(view, where.asOf, parameters), where: parts.join(' and ') };
}

/**
 * The rows as they are, or – bitemporally (U11) – as they were: of every record the version that was current with what was known by the end of
 * `knownOn`, where it holds on `day`. Versions that came late never were current. An objection that is pending now marks them all (HN-24.3).
 */
function sourceOf(view: View, asOf: RecordWhere['asOf'], parameters: Parameters): string {
  if (asOf === undefined) return 'record r';
  const day = `${parameters.add(asOf.day)}::date`;
  const known = `((${parameters.add(asOf.knownOn)}::date + 1)::timestamp at time zone 'Asia/Shanghai')`;
  return `(select v.id, v.subject_id, v.subject_kind, v.withheld, v.category, v.kind, v.publicity, v.region, v.connector, v.stream, v.version, v.deleted,
      v.mark, v.disputed or v.disputed_now as disputed,
      coalesce(v.occurred_on, v.valid_from, (v.first_recorded_at at time zone 'Asia/Shanghai')::date) as ordered_on, v.occurred_on, v.valid_from, v.valid_to,
      v.fact, ${view.columns.map((column) => `v.${column}`).join(', ')}
    from record_history v
    where not v.late and v.recorded_at < ${known} and (v.superseded_at is null or v.superseded_at >= ${known})
      and coalesce(v.valid_from, v.occurred_on, ${day}) <= ${day} and (v.valid_to is null or v.valid_to >= ${day})) r`;
}

/**
 * Every record that tells one of these facts – with `asOf`, that told it then – as far as the grant may know that it does: a fact is its subject and
 * its fact fields, so it is told only where the subject lies in the grant and one rule gives all of these fields plain. Else it would tell which
 * hidden values are equal.
 */
export async function recordsOfFacts(
  view: View,
  facts: readonly string[],
  where: Pick<RecordWhere, 'asOf'>,
): Promise<Map<string, RecordRow[]>> {
  const parameters = new Parameters();
  const select = selection(view, parameters, where);
  const telling = conditioned(
    view.grant.scopes.flatMap((scope) => tellingFacts(view, scope)),
    (scope) => recordInScope(scope, parameters, view.keys),
  );
  if (select === undefined || telling.length === 0) return new Map();
  const subjects = conditioned(view.grant.scopes, (scope) => subjectInScope(scope, parameters, view.keys));
  const keys = `any(${parameters.add(facts.map((fact) => Buffer.from(fact, 'hex')))}::bytea[])`;
  const { rows } = await view.sql.query<RawRecord>(
    `select ${select.list} from ${select.from} where r.fact = ${keys} and ${select.where} and (${anyOf(telling)})
       and exists (select from subject s where s.id = r.subject_id and (${anyOf(subjects)})) ${ORDER}`,
    parameters.values,
  );
  const open = await openerFor(view, rows);
  return Map.groupBy(
    rows.map((row) => show(view, open, row, where.asOf?.knownOn)),
    (row) => row.fact,
  );
}

/** The parts of a scope in which it gives, plain, all fields that make a fact of the kind. */
function tellingFacts(view: View, scope: Scope): Scope[] {
  return scope.categories.flatMap((no) => {
    const category = view.model.categories.get(no);
    const kinds = [...(category?.kinds.values() ?? [])]
      .filter((kind) => scope.kinds.length === 0 || scope.kinds.includes(kind.id))
      .filter((kind) => kind.fact.every((field) => scope.fields.get(`${category?.type}.${field}`) === 'allow'));
    return kinds.length === 0 ? [] : [{ ...scope, categories: [no], kinds: kinds.map((kind) => kind.id) }];
  });
}

function conditionsOf(view: View, parameters: Parameters, where: RecordWhere): string[] {
  const parts: string[] = [];
  // One category alone is read in the order of its index.
  const [only, ...more] = where.categories ?? [];
  if (only !== undefined && more.length === 0) parts.push(`r.category = ${parameters.add(only)}::smallint`);
  else if (where.categories) parts.push(`r.category = any(${parameters.add(where.categories)}::smallint[])`);
  if (where.kind !== undefined) parts.push(`r.kind = ${parameters.add(where.kind)}`);
  if (where.region !== undefined) parts.push(`starts_with(r.region, ${parameters.add(where.region)})`);
  if (where.from !== undefined) parts.push(`r.ordered_on >= ${parameters.add(where.from)}::date`);
  if (where.to !== undefined) parts.push(`r.ordered_on <= ${parameters.add(where.to)}::date`);
  for (const { category, field, comparison } of where.fields ?? []) {
    const definition = view.model.categories.get(category)?.fields.get(field);
    if (definition === undefined) continue;
    parts.push(
      `r.category = ${parameters.add(category)}::smallint`,
      compare(`r.${definition.sensitivity}->>'${field}'`, definition, comparison, parameters),
    );
  }
  return parts;
}

function paging(view: View, page: PageRequest, parameters: Parameters): { after: string; limit: string } {
  const after = position(view.keys, page.after, (day) => day >= FIRST_DAY);
  const limit = checkedSize(page.first) + 1;
  return {
    after: after ? `and (r.ordered_on, r.id) < (${parameters.add(after.day)}::date, ${parameters.add(after.id)}::bigint)` : '',
    limit: parameters.add(limit),
  };
}

function toPage(view: View, open: Opener, rows: RawRecord[], first: number, { asOf }: RecordWhere): PageOf<RecordRow> {
  const shown = rows.slice(0, first);
  const last = shown.at(-1);
  return {
    nodes: shown.map((row) => show(view, open, row, asOf?.knownOn)),
    endCursor: last ? concealCursor(view.keys, last.ordered_on, last.id) : null,
    hasNextPage: rows.length > first,
  };
}

function show(view: View, open: Opener, row: RawRecord, knownOn: string | undefined): RecordRow {
  const type = view.model.categories.get(row.category)?.type ?? '';
  view.shown.subjects.add(row.subject_id);
  view.shown.categories.add(row.category);
  view.shown.rows += 1;
  return {
    rowId: row.id,
    subjectRowId: row.subject_id,
    id: concealId(view.keys, 'record', row.id),
    type,
    category: row.category,
    kind: row.kind,
    region: row.region,
    publicity: row.publicity,
    mark: row.mark,
    disputed: row.disputed,
    occurredOn: row.occurred_on,
    validFrom: row.valid_from,
    validTo: row.valid_to,
    connector: row.connector,
    stream: row.stream,
    version: row.version,
    knownOn,
    fact: row.fact.toString('hex'),
    fields: openFields(view, open, type, row.fields),
  };
}
