/** For the tests of the second wall: made-up rows, every grant that the policies can make, and what PostgreSQL may give under it – told without PostgreSQL. */
import type { Caller, Purpose } from '../../src/access/caller.ts';
import { decide, type Grant, type Scope } from '../../src/access/decide.ts';
import type { Category, FieldValue, Model, SubjectType } from '../../src/model/types.ts';
import { CLASSES } from '../../src/store/roles.ts';
import type { Pool } from '../../src/store/sql.ts';
import { enterWall } from '../../src/store/wall.ts';

export const COLUMNS = ['open', ...CLASSES] as const;
type Column = (typeof COLUMNS)[number];
type Values = Partial<Record<Column, Record<string, FieldValue>>>;

export interface SubjectLine extends Values {
  id: number;
  kind: 'organisation' | 'person';
  region: string | null;
  roles: string[];
}
export interface RecordLine extends Values {
  id: number;
  subject_id: number;
  subject_kind: 'organisation' | 'person';
  category: number;
  kind: string;
  publicity: string;
  region: string | null;
}
/** A version of record `id`; a region of its own or, null, that of the subject. */
export interface VersionLine extends RecordLine {
  version: number;
}
export interface Lines {
  subjects: SubjectLine[];
  records: RecordLine[];
  versions: VersionLine[];
}

const REGIONS = ['430102', '430103', '430405', '410102', '4301', '', null];

/** Rows of every category and kind, in and out of every region, with a value in every field of the catalog. `draw` gives whole numbers below `n`. */
export function makeLines(model: Model, draw: (n: number) => number, count: number): Lines {
  const one = <T>(list: readonly T[]): T => list[draw(list.length)] as T;
  const kinds = [...model.categories.values()].flatMap((c) => [...c.kinds.keys()].map((kind) => [c, kind] as const));
  const subjects = Array.from({ length: Math.ceil(count / 6) }, (_, i): SubjectLine => {
    const type = one([...model.subjects.values()]);
    const roles = [...(model.codes.get('subject-roles')?.values.values() ?? [])].filter((role) => role.extra['kind'] === type.kind);
    return { id: i + 1, kind: type.kind, region: one(REGIONS), roles: [one(roles).code], ...valuesOf(type, `s${i + 1}`) };
  });
  const records = Array.from({ length: count }, (_, i): RecordLine => {
    const [category, kind] = kinds[i % kinds.length] as (typeof kinds)[number];
    const subject = one(subjects);
    return {
      id: i + 1,
      subject_id: subject.id,
      subject_kind: subject.kind,
      category: category.no,
      kind,
      publicity: one(['public', 'non-public']),
      region: one(REGIONS),
      ...valuesOf(category, `r${i + 1}`),
    };
  });
  // What a record was before has little to do with what it is.
  const versions = records.flatMap((now) => {
    const [category, kind] = one(kinds);
    const before = { ...now, category: category.no, kind, publicity: one(['public', 'non-public']), region: one(REGIONS) };
    return [
      { ...before, ...valuesOf(category, `v${now.id}`), version: 1 },
      { ...now, version: 2 },
    ];
  });
  return { subjects, records, versions };
}

/** A value and a mask for every field of the type, each naming its place, and one value in each class that the catalog does not know (any more). */
function valuesOf(type: Category | SubjectType, row: string): Values {
  const values: Values = Object.fromEntries(COLUMNS.map((column) => [column, { leftOver: `${row}.${column}` }]));
  for (const field of type.fields.values()) {
    const column = field.sensitivity === 'identity' ? 'sealed' : field.sensitivity;
    (values[column] ??= {})[field.name] = `${row}.${type.type}.${field.name}`;
    (values.masks ??= {})[field.name] = `${row}.${type.type}.${field.name}*`;
  }
  return values;
}

export async function storeLines(pool: Pool, { subjects, records, versions }: Lines): Promise<void> {
  const texts = (line: Values) => Object.fromEntries(COLUMNS.map((c) => [c, line[c] ?? null]));
  const json = (lines: readonly Values[]) => JSON.stringify(lines.map((line) => ({ ...line, ...texts(line) })));
  const values = COLUMNS.map((c) => `${c} jsonb`).join(', ');
  const list = COLUMNS.join(', ');
  await pool.query(
    `insert into subject (id, kind, region, roles, ${list}) select id, kind, region, roles, ${list}
     from jsonb_to_recordset($1::jsonb) as t(id bigint, kind text, region text, roles text[], ${values})`,
    [json(subjects)],
  );
  await pool.query(
    `insert into subject_identifier (token, scheme, subject_id) select decode(lpad(to_hex(id), 32, '0'), 'hex'), 'uscc', id from subject`,
  );
  const shape = `id bigint, subject_id bigint, subject_kind text, category smallint, kind text, publicity text, region text, version int, ${values}`;
  await pool.query(
    `insert into record (id, subject_id, subject_kind, category, kind, publicity, region, version, connector, stream, source_key, ordered_on, fact, content, run_id, ${list})
     select id, subject_id, subject_kind, category, kind, publicity, region, 2, 'test', 'test', id::text, '2026-01-01', '\\x00', '\\x00', 0, ${list}
     from jsonb_to_recordset($1::jsonb) as t(${shape})`,
    [json(records)],
  );
  await pool.query(
    `insert into record_version (record_id, category, kind, publicity, region, version, deleted, fact, content, run_id, recorded_at, ${list})
     select id, category, kind, publicity, region, version, false, '\\x00', '\\x00', 0, make_timestamptz(2026, version, 1, 0, 0, 0), ${list}
     from jsonb_to_recordset($1::jsonb) as t(${shape})`,
    [json(versions)],
  );
  await pool.query(`insert into relation (subject_id, related_id, kind, record_id) select subject_id, 1, 'test', id from record`);
}

/**
 * Every third subject consents to everybody's looking into some categories, every third has revoked it, every third only ever gave it for another
 * purpose; every fourth belongs to the case of each department, every other fourth to one that is closed.
 */
export async function storeTies(pool: Pool, model: Model): Promise<void> {
  const departments = [...(model.codes.get('departments')?.values.keys() ?? [])];
  const purposes = [...(model.codes.get('purposes')?.values.keys() ?? [])];
  await pool.query(
    `insert into consent (token, department, purposes, categories, valid_from, valid_until, channel, sealed, given_by, given_name, revoked_at, revoked_by, revoked_name)
     select i.token, d, case when i.subject_id % 3 = 2 then array['other'] else $2::text[] end, $3, '2026-01-01', '2026-12-31', 'website', '', 'x', 'x',
       case when i.subject_id % 3 = 1 then now() end, case when i.subject_id % 3 = 1 then 'x' end, case when i.subject_id % 3 = 1 then 'x' end
     from subject_identifier i, unnest($1::text[]) d`,
    [departments, purposes, CONSENTED],
  );
  await pool.query(
    `insert into registered_case (number, department, region, officer, officer_name, basis, registered_by, registered_name, closed_on, closed_by)
     select n, d, $3, 'y', 'y', '', 'y', 'y', case when n = 'closed' then $4::date end, case when n = 'closed' then 'y' end
     from unnest($1::text[]) d, unnest($2::text[]) n`,
    [departments, [CASE, 'closed'], CASE_REGION, TODAY],
  );
  await pool.query(
    `insert into case_subject (case_id, token) select k.id, i.token from registered_case k join subject_identifier i
       on i.subject_id % 4 = case when k.number = 'closed' then 1 else 0 end`,
  );
}

const TODAY = '2026-06-01';
const CONSENTED = [1, 6, 9, 11];
const CASE = '案1';
const CASE_REGION = '430100';
const OWN = 7;
/** Tokens as the lines have them: the id of the subject in hexadecimal. */
export const TOKENS = { blindForms: (_domain: string, code: string) => [Buffer.from(code.padStart(32, '0'), 'hex')] };

export type Asks = [department: string, purpose: string, region: string, role?: string];

/** The grant of an officer who asks for every field there is. */
export function grantOf(model: Model, ...[department, code, region, role = 'officer']: Asks): Grant {
  const all = [...model.categories.values(), ...model.subjects.values()].flatMap((t) =>
    [...t.fields.values()].map((f) => `${t.type}.${f.name}`),
  );
  const caller: Caller = {
    id: 'x',
    name: '陈静',
    department,
    role,
    region,
    actingFor: '',
    purposes: undefined,
    subject: { scheme: 'uscc', code: OWN.toString(16) },
  };
  const purpose: Purpose = { code, basis: '', case: CASE };
  return decide(model, caller, purpose, { selected: new Set(all), explicit: new Set(all), constrained: new Set() }, TODAY);
}

/** Every grant that a department, role and purpose of the policies can have, in several regions; the same ones once. */
export function everyGrant(model: Model): Map<string, Grant> {
  const asking = model.rules
    .filter((rule) => rule.use === 'reading')
    .flatMap((rule) =>
      rule.departments.flatMap((department) =>
        rule.purposes.flatMap((purpose) =>
          (rule.roles.length > 0 ? rule.roles : ['officer']).flatMap((role) =>
            ['430000', '430100', '430102', '410000'].map((region): Asks => [department, purpose, region, role]),
          ),
        ),
      ),
    );
  const grants = new Map<string, Grant>();
  const seen = new Set<string>();
  for (const asks of asking) {
    const grant = grantOf(model, ...asks);
    const form = JSON.stringify(grant.scopes.map(({ fields, ...scope }) => [scope, [...fields]]));
    if (!seen.has(form)) grants.set(asks.join(' '), grant);
    seen.add(form);
  }
  return grants;
}

/** Row id (or `id/version`) → what a reader may see of its values. Rows that it may not see are not in it. */
export type Seen = Map<string, Values>;
export interface AllSeen {
  subjects: Seen;
  records: Seen;
  versions: Seen;
}

/** What the grant gives of the rows: a row where a scope holds it, and of its values those that such a scope gives. */
export function allowed(model: Model, grant: Grant, { subjects, records, versions }: Lines): AllSeen {
  const region = (scope: Scope, of: string | null) =>
    scope.region === undefined || (of !== null && (of.startsWith(scope.region) || scope.above.includes(of)));
  const rolesOf = new Map(subjects.map((line) => [line.id, line.roles]));
  const tied = (scope: Scope, subject: number, covered: readonly number[], asSubject: boolean): boolean => {
    const { tie } = scope;
    if (scope.subjectRoles.length > 0 && !scope.subjectRoles.some((role) => rolesOf.get(subject)?.includes(role))) return false;
    switch (tie?.by) {
      case undefined:
        return true;
      case 'recorded':
        return !asSubject || records.some((line) => line.subject_id === subject && recordHolds(line)({ ...scope, tie: undefined }));
      case 'self':
        return subject === OWN;
      case 'consented':
        return subject % 3 === 0 && covered.some((no) => CONSENTED.includes(no));
      case 'own-case':
        return subject % 4 === 0 && CASE_REGION.startsWith(tie.region ?? '-');
    }
  };
  const recordHolds = (line: RecordLine) => (scope: Scope) =>
    tied(scope, line.subject_id, [line.category], false) &&
    scope.categories.includes(line.category) &&
    scope.subjects.includes(line.subject_kind) &&
    (scope.kinds.length === 0 || scope.kinds.includes(line.kind)) &&
    (!scope.publicOnly || line.publicity === 'public') &&
    region(scope, line.region);
  const regionOf = new Map(subjects.map((line) => [line.id, line.region]));
  const seen = <T extends Values>(
    lines: readonly T[],
    key: (line: T) => string,
    type: (line: T) => Category | SubjectType | undefined,
    holds: (line: T) => (scope: Scope) => boolean,
  ): Seen =>
    new Map(
      lines.flatMap((line) => {
        const holding = grant.scopes.filter(holds(line));
        return holding.length === 0 ? [] : [[key(line), shownOf(line, type(line), holding)] as const];
      }),
    );
  return {
    subjects: seen(
      subjects,
      (l) => String(l.id),
      (l) => model.subjects.get(l.kind),
      (l) => (scope) => scope.subjects.includes(l.kind) && region(scope, l.region) && tied(scope, l.id, scope.categories, true),
    ),
    records: seen(
      records,
      (l) => String(l.id),
      (l) => model.categories.get(l.category),
      recordHolds,
    ),
    versions: seen(
      versions,
      (l) => `${l.id}/${l.version}`,
      (l) => model.categories.get(l.category),
      (l) => recordHolds({ ...l, region: l.region ?? regionOf.get(l.subject_id) ?? null }),
    ),
  };
}

function shownOf(line: Values, type: Category | SubjectType | undefined, holding: readonly Scope[]): Values {
  const shown: Values = {};
  if (type === undefined) return shown;
  const show = (column: Column, name: string) => {
    const value = line[column]?.[name];
    if (value !== undefined) (shown[column] ??= {})[name] = value;
  };
  for (const scope of holding) {
    for (const column of COLUMNS) {
      const own = [...type.fields.values()].filter((f) => (f.sensitivity === 'identity' ? 'sealed' : f.sensitivity) === column);
      const given = own.filter((f) => scope.fields.get(`${type.type}.${f.name}`) === 'allow');
      for (const field of given) show(column, field.name);
      // A value that the catalog does not know goes with its class, where a rule gives the class as a whole.
      if (column !== 'masks' && given.length === own.length && givesClass(scope, column)) show(column, 'leftOver');
    }
    // Of a sealed value the mask goes with the value.
    for (const field of type.fields.values()) {
      const access = scope.fields.get(`${type.type}.${field.name}`);
      if (access === 'mask' || (access === 'allow' && field.sensitivity === 'identity')) show('masks', field.name);
    }
  }
  return shown;
}

let catalog: Model | undefined;
/** Whether the scope gives any field of the class at all. */
function givesClass(scope: Scope, column: Column): boolean {
  for (const type of [...(catalog?.categories.values() ?? []), ...(catalog?.subjects.values() ?? [])])
    for (const field of type.fields.values())
      if (
        (field.sensitivity === 'identity' ? 'sealed' : field.sensitivity) === column &&
        scope.fields.get(`${type.type}.${field.name}`) === 'allow'
      )
        return true;
  return false;
}
export const useCatalog = (model: Model): void => void (catalog = model);

/** The classes of values that a grant gives anything of. */
export function classesGiven(grant: Grant): Set<Column> {
  const given = new Set<Column>(COLUMNS.filter((column) => column !== 'masks' && grant.scopes.some((scope) => givesClass(scope, column))));
  if (given.has('sealed') || grant.scopes.some((scope) => [...scope.fields.values()].includes('mask'))) given.add('masks');
  return given;
}

const VIEWS = { subjects: 'subject', records: 'record', versions: 'record_history' } as const;

/** Everything that PostgreSQL gives to the reader of a grant that asks for all of it; no condition but those of the wall. */
export async function given(pool: Pool, model: Model, grant: Grant): Promise<AllSeen> {
  const columns = [...classesGiven(grant)];
  const enter = enterWall(model, grant, TOKENS);
  const seen = async (view: string, key: string): Promise<Seen> => {
    const { rows } = await pool.read<Values & { key: string }>(
      enter,
      `select ${[`${key} as key`, ...columns].join(', ')} from wall.${view}`,
    );
    return new Map(rows.map(({ key: id, ...values }) => [id, Object.fromEntries(Object.entries(values).filter(([, v]) => v !== null))]));
  };
  return {
    subjects: await seen(VIEWS.subjects, 'id::text'),
    records: await seen(VIEWS.records, 'id::text'),
    versions: await seen(VIEWS.versions, `id || '/' || version`),
  };
}

/** What is given and not allowed, and what is allowed and not given, each as one line. */
export function differences(found: AllSeen, wanted: AllSeen): string[] {
  const lines = (all: AllSeen) =>
    new Set(
      Object.entries(all).flatMap(([table, rows]: [string, Seen]) =>
        [...rows].flatMap(([id, values]) => [
          `${table} ${id}`,
          ...Object.entries(values).flatMap(([column, fields]) =>
            Object.entries(fields ?? {}).map(([name, value]) => `${table} ${id} ${column}.${name} ${String(value)}`),
          ),
        ]),
      ),
    );
  const [there, right] = [lines(found), lines(wanted)];
  return [
    ...[...there].filter((line) => !right.has(line)).map((line) => `given: ${line}`),
    ...[...right].filter((line) => !there.has(line)).map((line) => `missing: ${line}`),
  ];
}

/** The SQLSTATE that a statement ends with, or `done`. */
export const codeOf = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => 'done',
    (error: { code?: unknown }) => error.code ?? error,
  );
