import { checkReconcile } from './check-reconcile.ts';
import type { ModelFault } from '../errors.ts';
import { checkPolicies } from './check-policies.ts';
import { checkPublication } from './check-publications.ts';
import { findStream, PLATFORM_ISSUES } from './streams.ts';
import type { Category, CodeSet, Connector, Dictionary, Field, Mapping, Model, Stream, SubjectKind, Value } from './types.ts';

/** Cross-checks between files that no JSON Schema can hold. `fileOf` names the file a part came from. */
export function crossCheck(model: Model, fileOf: (part: string) => string): ModelFault[] {
  const faults: ModelFault[] = [];
  const say = (part: string, path: string, reason: string) => faults.push({ file: fileOf(part), path, reason });
  for (let no = 1; no <= 12; no++)
    if (!model.categories.has(no)) faults.push({ file: 'catalog', path: '', reason: `category ${no} of HN-14 is missing` });
  for (const category of model.categories.values()) checkCategory(model, category, say);
  for (const subject of model.subjects.values()) {
    checkFields(model, 'subjects', `/subjects/${subject.kind}/fields`, subject.fields, say);
    for (const [scheme, field] of subject.identifiers) {
      if (!subject.fields.has(field)) say('subjects', `/subjects/${subject.kind}/identifiers/${scheme}`, `${field} is no field`);
    }
  }
  for (const connector of model.connectors.values()) checkConnector(model, connector, say);
  checkPolicies(model, say);
  checkBudgets(model, say);
  return faults;
}

/** The largest query that is allowed must be affordable, or it would be told for ever to come back later. */
function checkBudgets(model: Model, say: Say): void {
  const { query, budgets } = model.limits;
  if (budgets === undefined) return;
  const { departments = {}, department, person } = budgets;
  const needed = budgets.request + query.rows.max;
  for (const [name, budget] of Object.entries({ department, person }))
    if (budget.burst < needed) say('limits', `/budgets/${name}/burst`, `is less than the ${needed} units that one query may cost`);
  for (const [code, own] of Object.entries(departments)) {
    if (!has(model.codes, 'departments', code)) say('limits', `/budgets/departments/${code}`, `${code} is not in codes/departments`);
    for (const [name, budget] of Object.entries(own))
      if (budget.burst < needed)
        say('limits', `/budgets/departments/${code}/${name}/burst`, `is less than the ${needed} units that one query may cost`);
  }
}

type Say = (part: string, path: string, reason: string) => void;

function checkFields(model: Model, part: string, path: string, fields: Map<string, Field>, say: Say): void {
  for (const field of fields.values()) {
    const at = `${path}/${field.name}`;
    if (field.type === 'code') {
      if (field.codes === undefined) say(part, at, 'type code needs codes');
      else if (!model.codes.has(field.codes)) say(part, at, `code set ${field.codes} does not exist`);
    } else if (field.codes !== undefined) say(part, at, 'codes stands only with type code');
    if (field.mask !== undefined && field.type !== 'text') say(part, at, 'only text can be masked');
    if (field.filter && field.sensitivity === 'identity') say(part, at, 'a sealed field cannot be filtered');
    if (field.sensitivity === 'identity' && field.type !== 'text') say(part, at, 'only text can be sealed');
  }
}

/** Names that every record of the graph has of its own. */
const COMMON = [
  'id',
  'type',
  'category',
  'kind',
  'subject',
  'region',
  'publicity',
  'mark',
  'disputed',
  'occurredOn',
  'validFrom',
  'validTo',
  'version',
  'source',
  'recordedAt',
  'changedAt',
  // Not shown, but carried by the same object.
  'rowId',
  'subjectRowId',
  'fact',
  'known',
  'at',
  'categoryNo',
];

function checkCategory(model: Model, category: Category, say: Say): void {
  const part = `category:${category.no}`;
  checkFields(model, part, '/fields', category.fields, say);
  for (const name of COMMON) if (category.fields.has(name)) say(part, `/fields/${name}`, 'is the name of a field that every record has');
  for (const kind of category.kinds.values()) {
    for (const name of [...kind.fact, ...kind.required]) {
      if (!category.fields.has(name)) say(part, `/kinds/${kind.id}`, `${name} is no field of the category`);
    }
    for (const name of kind.prefer) {
      const stream = findStream(model, name);
      const feeds =
        stream?.direction === 'pull' && [stream.mapping, ...(stream.mapping.alternatives ?? [])].some((m) => m.category === category.no);
      if (!feeds) say(part, `/kinds/${kind.id}/prefer`, `${name} is no stream that feeds the category`);
    }
    for (const name of kind.fact) {
      if (category.fields.get(name)?.sensitivity === 'identity')
        say(part, `/kinds/${kind.id}/fact`, `${name} is sealed and cannot tell facts apart`);
    }
  }
  for (const other of model.categories.values()) {
    if (other.no < category.no && (other.type === category.type || other.id === category.id))
      say(part, '', `id or type is also that of category ${other.no}`);
  }
}

function checkConnector(model: Model, connector: Connector, say: Say): void {
  const part = `connector:${connector.id}`;
  if (!has(model.codes, 'departments', connector.department))
    say(part, '/department', `${connector.department} is not in codes/departments`);
  if (!has(model.codes, 'collection-routes', connector.route)) say(part, '/route', `${connector.route} is not in codes/collection-routes`);
  if (connector.feedback !== undefined) {
    if (![...connector.streams.values()].some(({ via }) => via.kind === 'national-insurance'))
      say(part, '/feedback', 'is for connectors of the national insurance platform');
    if (connector.streams.has('feedback')) say(part, '/streams/feedback', 'is the name of the feedback in the ledger');
  }
  if (connector.streams.has(PLATFORM_ISSUES))
    say(part, `/streams/${PLATFORM_ISSUES}`, 'is the name under which issues tell of the platform itself');
  for (const stream of connector.streams.values()) {
    const path = `/streams/${stream.id}`;
    for (const { from, to } of stream.windows)
      if (from >= to) say(part, `${path}/windows`, `${from} to ${to} is no time: the hours of a night are two windows`);
    for (const before of stream.after) {
      if (!connector.streams.has(before)) say(part, `${path}/after`, `stream ${before} does not exist`);
      if (before === stream.id) say(part, `${path}/after`, 'a stream cannot wait for itself');
    }
    if (stream.direction === 'pull') {
      const { mapping } = stream;
      checkMapping(model, mapping, part, `${path}/mapping`, say);
      for (const [i, other] of (mapping.alternatives ?? []).entries())
        checkMapping(model, other, part, `${path}/mapping/alternatives/${i}`, say);
      checkRoute(model, mapping, part, `${path}/mapping`, say);
    } else if (stream.direction === 'dictionary') checkDictionary(stream.dictionary, part, `${path}/dictionary`, say);
    else checkPublication(model, stream, part, path, say);
    checkAnswer(stream, part, path, say);
    checkReconcile(connector, stream, part, path, say, placeholders);
    const known = variablesOf(stream);
    for (const name of new Set(placeholders(stream.via))) {
      if (!connector.settings.has(name) && !known.includes(name))
        say(part, `${path}/${stream.direction}`, `{${name}} is neither a setting nor a page variable`);
    }
  }
}

/** Where the records of a transaction stand, and whom it is asked about: one of two each. */
function checkAnswer({ via, direction }: Stream, part: string, path: string, say: Say): void {
  if (via.kind !== 'national-insurance') return;
  if ((via.node === '') === (via.file === undefined)) say(part, `${path}/pull`, 'needs node or file');
  if (via.each?.scheme !== undefined && via.each.ask !== undefined) say(part, `${path}/pull/each`, 'scheme and ask exclude each other');
  if (via.file && !via.file.columns.includes(via.file.version)) say(part, `${path}/pull/file/version`, 'is no column of the file');
  if (via.each?.ask !== undefined && direction !== 'pull') say(part, `${path}/pull/each`, 'a dictionary is not asked for by person');
}

function checkDictionary({ type, code, name }: Dictionary, part: string, at: string, say: Say): void {
  for (const [key, value] of Object.entries({ type, code, name })) {
    if (value.from.length === 0 && value.literal === undefined) say(part, `${at}/${key}`, 'needs from or literal');
  }
}

/** What a transport fills in itself, beside the settings: the page, its window, the day, the file and the subject identifier it asks for. */
const PAGE_VARIABLES = ['page', 'size', 'since', 'until', 'code', 'today', 'version'];

function variablesOf(stream: Stream): string[] {
  const each = stream.via.kind === 'national-insurance' ? stream.via.each : undefined;
  return [...PAGE_VARIABLES, ...Object.keys(each?.with ?? {}), ...(each?.ask ?? [])];
}

function placeholders(value: unknown): string[] {
  if (typeof value === 'string') return [...value.matchAll(/\{([A-Za-z]\w*)\}/g)].map((match) => match[1] ?? '');
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(placeholders) : [];
}

/** One article, one place: every code that a lookup can give has a category, and exactly one mapping takes that category. */
function checkRoute(model: Model, { category, route, alternatives = [] }: Mapping, part: string, at: string, say: Say): void {
  if (route === undefined) {
    if (alternatives.length > 0) say(part, `${at}/alternatives`, 'alternatives need a route');
    return;
  }
  const taken = [category, ...alternatives.map((other) => other.category)];
  if (new Set(taken).size < taken.length) say(part, `${at}/alternatives`, 'two mappings take the same category');
  for (const code of route.lookup.values()) {
    const place = model.codes.get(route.codes)?.values.get(code)?.extra['category'];
    if (place === undefined) say(part, `${at}/route`, `${code} has no category in codes/${route.codes}`);
    else if (!taken.some((no) => no === place)) say(part, `${at}/route`, `no mapping takes category ${String(place)} of ${code}`);
  }
}

function checkMapping(model: Model, mapping: Mapping, part: string, at: string, say: Say): void {
  const category = model.categories.get(mapping.category);
  const kind = category?.kinds.get(mapping.kind);
  if (category === undefined) return say(part, `${at}/category`, `category ${mapping.category} is not in the catalog`);
  if (kind === undefined) return say(part, `${at}/kind`, `${mapping.kind} is no kind of category ${mapping.category}`);
  for (const [name, value] of mapping.fields) {
    const field = category.fields.get(name);
    if (field === undefined) say(part, `${at}/fields/${name}`, `no field of ${category.type}`);
    else checkValue(model, field, value, part, `${at}/fields/${name}`, say);
  }
  for (const name of kind.required)
    if (!mapping.fields.has(name)) say(part, `${at}/fields`, `${name} is required by kind ${kind.id} and not mapped`);
  for (const name of kind.fact)
    if (!mapping.fields.has(name)) say(part, `${at}/fields`, `${name} is part of the fact key of ${kind.id} and not mapped`);
  for (const role of mapping.subject.roles)
    if (!has(model.codes, 'subject-roles', role)) say(part, `${at}/subject/roles`, `${role} is not in codes/subject-roles`);
  for (const { kind } of mapping.relations ?? []) {
    if (!has(model.codes, 'relation-kinds', kind)) say(part, `${at}/relations`, `${kind} is not in codes/relation-kinds`);
  }
  const kinds = kindsOf(mapping.subject.kind);
  for (const identifier of mapping.subject.identifiers) {
    if (mapping.subject.kind === 'by-number' && identifier.scheme !== 'statutory')
      say(part, `${at}/subject/identifiers`, 'by-number needs statutory numbers only');
    const schemes = typeof identifier.scheme === 'string' ? [identifier.scheme] : identifier.scheme.lookup.values();
    for (const scheme of schemes) {
      const known = scheme === 'statutory' || kinds.some((k) => model.subjects.get(k)?.identifiers.has(scheme));
      if (!known) say(part, `${at}/subject/identifiers`, `scheme ${scheme} is not in catalog/subjects.yml`);
    }
  }
}

function kindsOf(kind: Mapping['subject']['kind']): SubjectKind[] {
  if (kind === 'by-number') return ['organisation', 'person'];
  return 'fixed' in kind ? [kind.fixed] : [...kind.lookup.values()];
}

function checkValue(model: Model, field: Field, value: Value, part: string, path: string, say: Say): void {
  if (value.from.length === 0 && value.literal === undefined) say(part, path, 'needs from or literal');
  if (field.type === 'money' && value.money === undefined && value.literal === undefined) say(part, path, 'money needs its unit');
  if (field.type !== 'money' && value.money !== undefined) say(part, path, 'a unit of money stands only with type money');
  if (value.date !== undefined && field.type !== 'date' && field.type !== 'instant')
    say(part, path, 'a date format stands only with type date or instant');
  if (field.codes === undefined) return;
  const targets = value.lookup ? [...value.lookup.values()] : value.literal === undefined ? [] : [String(value.literal)];
  for (const target of targets) if (!has(model.codes, field.codes, target)) say(part, path, `${target} is not in codes/${field.codes}`);
}

function has(sets: Map<string, CodeSet>, set: string, code: string): boolean {
  return sets.get(set)?.values.has(code) ?? false;
}
