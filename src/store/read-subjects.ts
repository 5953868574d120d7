import type { Scope } from '../access/decide.ts';
import { Refused } from '../errors.ts';
import { classify } from '../identity/classify.ts';
import type { Model, SubjectKind } from '../model/types.ts';
import { fieldsSql, Parameters } from './columns.ts';
import { concealCursor, concealId } from './opaque.ts';
import type { PageOf, PageRequest, SubjectRow, SubjectWhere } from './rows.ts';
import { subjectInScope } from './scope-sql.ts';
import type { Opener } from './subject-keys.ts';
import { identifierDomain } from './subjects.ts';
import { anyOf, checkedSize, conditioned, openerFor, openFields, position, type SealedFields, type View, wanted } from './view.ts';

interface RawSubject {
  id: number;
  kind: SubjectKind;
  region: string | null;
  roles: string[];
  withheld: SubjectRow['withheld'];
  fields: SealedFields;
}

/**
 * A subject by any of its codes: a statutory one is checked first (`BAD_CODE`), then found through the blind index. Undefined when there is
 * none, or none that the grant holds: the two look the same. A code finds only where the grant gives, plain or masked, the field that shows it: to
 * find by it is to compare with it. Platforms number without asking one another: where a code names several subjects, one is never picked, but
 * refused (`CODE_AMBIGUOUS`) until the caller says whose code it is (`scheme`).
 */
export async function subjectByCode(view: View, code: string, scheme: string | undefined, today: string): Promise<SubjectRow | undefined> {
  const found = classify(code, today);
  if (found.kind !== 'unknown' && !found.valid && (scheme ?? found.kind) === found.kind)
    throw new Refused('BAD_CODE', '代码校验未通过,请核对', { details: { reason: found.reason } });
  const schemes = scheme === undefined ? possibleSchemes(view.model, found.kind) : [knownScheme(view.model, scheme)];
  const parameters = new Parameters();
  const conditions = view.grant.scopes.flatMap((scope) => {
    const given = schemes.filter((scheme) => showsScheme(view.model, scope, scheme));
    if (given.length === 0) return [];
    const tokens = parameters.add(given.flatMap((scheme) => view.keys.blindForms(identifierDomain(scheme), found.normalized)));
    return [
      `${subjectInScope(scope, parameters, view.keys)} and s.id in (select subject_id from subject_identifier where token = any(${tokens}::bytea[]))`,
    ];
  });
  if (conditions.length === 0) return undefined;
  const rows = await select(view, parameters, `(${conditions.join(' or ')})`, 'order by s.id limit 2');
  if (rows.length > 1) throw new Refused('CODE_AMBIGUOUS', '该编号属于多个信用主体,请指明编号种类', { details: { schemes } });
  const open = await openerFor(view, rows);
  return rows.map((row) => show(view, open, row))[0];
}

function knownScheme(model: Model, scheme: string): string {
  const known = [...model.subjects.values()].some((type) => type.identifiers.has(scheme));
  if (!known) throw new Refused('BAD_CODE', '编号种类不存在', { details: { reason: 'unknown-scheme' } });
  return scheme;
}

/** What a code can be by its form. Travel permits have no check character: eight digits can as well be a platform's number. */
function possibleSchemes(model: Model, kind: string): string[] {
  if (kind === 'unknown') return platformSchemes(model);
  return kind.startsWith('travel-permit') ? [kind, ...platformSchemes(model)] : [kind];
}

export async function subjectsByRowId(view: View, ids: readonly number[]): Promise<Map<number, SubjectRow>> {
  const parameters = new Parameters();
  const rows = await select(view, parameters, `s.id = any(${parameters.add(ids)}::bigint[])`, '');
  const open = await openerFor(view, rows);
  return new Map(rows.map((row) => [row.id, show(view, open, row)]));
}

/** The day in the cursors of lists of subjects, which have none; no record has it, so cursors of the two kinds of list never mix. */
const NO_DAY = '0001-01-01';

/** Subjects in the order in which the hub learnt of them. A search by name needs the kind: names of persons and organisations are granted apart. */
export async function listSubjects(view: View, where: SubjectWhere, page: PageRequest): Promise<PageOf<SubjectRow>> {
  const parameters = new Parameters();
  const parts = ['true'];
  if (where.kind !== undefined) parts.push(`s.kind = ${parameters.add(where.kind)}`);
  if (where.region !== undefined) parts.push(`starts_with(s.region, ${parameters.add(where.region)})`);
  if (where.name !== undefined && where.kind === undefined)
    throw new Refused('BAD_FILTER', '按名称查询须同时指定主体类型', { status: 400 });
  const after = position(view.keys, page.after, (day) => day === NO_DAY);
  if (after) parts.push(`s.id > ${parameters.add(after.id)}`);
  const limit = `${parameters.add(checkedSize(page.first) + 1)}::int`;
  if (where.name !== undefined) {
    const named = [where.kind, where.name, where.region ?? '', after?.id ?? 0].map((value) => parameters.add(value));
    parts.push('s.withheld is null', `s.id = any(array(select named(${named.join(', ')}, ${limit})))`);
  }
  const rows = await select(view, parameters, parts.join(' and '), `order by s.id limit ${limit}`);
  const shown = rows.slice(0, page.first);
  const open = await openerFor(view, shown);
  const last = shown.at(-1);
  return {
    nodes: shown.map((row) => show(view, open, row)),
    endCursor: last ? concealCursor(view.keys, NO_DAY, last.id) : null,
    hasNextPage: rows.length > page.first,
  };
}

async function select(view: View, parameters: Parameters, condition: string, order: string): Promise<RawSubject[]> {
  const scopes = conditioned(view.grant.scopes, (scope) => subjectInScope(scope, parameters, view.keys));
  if (scopes.length === 0) return [];
  const branches = [...view.model.subjects.values()].map((type) => {
    const own = scopes.filter((c) => c.scope.subjects.includes(type.kind));
    return `when '${type.kind}' then ${fieldsSql('s', type.type, wanted(view, type), own)}`;
  });
  const { rows } = await view.sql.query<RawSubject>(
    `select s.id, s.kind, s.withheld, case when s.withheld is null then s.region end as region, case when s.withheld is null then s.roles else '{}' end as roles,
       case when s.withheld is null then case s.kind ${branches.join(' ')} end else '{}' end as fields
     from subject s where (${anyOf(scopes)}) and ${condition} ${order}`,
    parameters.values,
  );
  return rows;
}

function show(view: View, open: Opener, row: RawSubject): SubjectRow {
  const type = view.model.subjects.get(row.kind)?.type ?? '';
  view.shown.subjects.add(row.id);
  view.shown.rows += 1;
  return {
    rowId: row.id,
    id: concealId(view.keys, 'subject', row.id),
    type,
    kind: row.kind,
    region: row.region,
    roles: row.roles,
    withheld: row.withheld,
    fields: openFields(view, open, type, row.fields),
  };
}

/** Whether the scope gives the field that shows codes of a scheme. */
function showsScheme(model: Model, scope: Scope, scheme: string): boolean {
  return scope.subjects.some((kind) => {
    const type = model.subjects.get(kind);
    const field = type?.identifiers.get(scheme);
    return field !== undefined && scope.fields.has(`${type?.type}.${field}`);
  });
}

const STATUTORY = new Set([
  'uscc',
  'citizen-id',
  'residence-permit',
  'foreign-permanent-resident',
  'travel-permit-hk-mo',
  'travel-permit-tw',
]);

/** What a code can be that is no statutory one: the schemes of the platforms, and passports, which have no fixed form. */
function platformSchemes(model: Model): string[] {
  return [...model.subjects.values()].flatMap((type) => [...type.identifiers.keys()]).filter((scheme) => !STATUTORY.has(scheme));
}
