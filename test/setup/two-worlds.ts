/**
 * Two worlds that are equal in everything one caller may see and different, by chance, in everything else: hidden fields, what lies behind a mask,
 * hidden rows and subjects, more of them in one world than in the other, versions that change hidden fields alone. The number that a person's card
 * shows is the caller's way to the person: half of those that are masked stay the same in both worlds and are asked for, the others are not.
 */
import type { Grant, Scope } from '../../src/access/decide.ts';
import type { Identifier, MappedRecord, MappedSubject } from '../../src/mapping/record.ts';
import { findStream } from '../../src/model/load.ts';
import type { Category, FieldValue, Model, PullStream, SubjectKind } from '../../src/model/types.ts';
import { type Random, randomOf } from '../../src/sandbox/random.ts';
import { storeRecords } from '../../src/store/records.ts';
import { resolveSubjects } from '../../src/store/subjects.ts';
import {
  fieldsOf,
  kindsOf,
  type MadeState,
  type MadeSubject,
  nameOf,
  REGIONS,
  stateOf,
  subjectOf,
  valueOf,
} from '../fixtures/population.ts';
import { type TestHub, TODAY } from './hub.ts';
import { accessOf, alike, type RowOf, type Sight, sightOf, type Ties } from './sight.ts';
import { tie, type Tied } from './world-ties.ts';

export type Side = 'A' | 'B';

interface PlannedRecord {
  key: string;
  stream: string;
  category: Category;
  kind: string;
  subject: number;
  states: MadeState[];
  relatedTo: number | undefined;
  /** Leaves the caller's sight with a last version. */
  leaves: boolean;
}
export interface Plan {
  subjects: (MadeSubject & { known: boolean })[];
  records: PlannedRecord[];
  ties: Ties;
}

const STREAMS = ['credit-china/penalties', 'hunan-credit/violations', 'shenzhen-credit/adverse-penalties'];
/** Hidden rows come from another platform: how good a source is counts all that it told, and is for those who answer for it. */
const HIDDEN_STREAM = 'hunan-credit/abnormal-operations';
const FAR = '410102';
const VERSIONS = ['2026-02-01', '2026-03-01', '2026-04-01', '2026-05-01', '2026-06-01', '2026-07-01'].map(
  (day) => `${day}T00:00:00.000000Z`,
);

/** What both worlds are made of. `own`: which kind of subject the caller is, if any. */
export function planOf(model: Model, seed: number, own: SubjectKind | undefined): Plan {
  const random = randomOf(seed, 'plan');
  const regionOf = () =>
    random.weighted([...REGIONS.slice(0, 3).map((r) => [r, 4] as const), ...REGIONS.slice(3).map((r) => [r, 2] as const)]);
  const subjects = Array.from({ length: 26 }, (_, i) => ({
    ...subjectOf(random, i % 5 < 3 ? 'organisation' : 'person', regionOf()),
    index: i,
    known: random.chance(0.5),
  }));
  const self = own === undefined ? undefined : subjects.findIndex((subject) => subject.kind === own);
  // Who asks about itself states its own number.
  for (const subject of subjects) subject.known ||= subject.index === self;
  const every = [...model.categories.keys()];
  const ties: Ties = {
    own: self,
    consents: new Map(subjects.filter(({ index }) => index % 3 === 1).map(({ index }) => [index, random.shuffled(every).slice(0, 6)])),
    cases: new Set(subjects.map(({ index }) => index).filter((index) => index % 3 === 2)),
  };
  const records: PlannedRecord[] = [];
  for (const { category, kind } of kindsOf(model)) {
    for (let copy = 0; copy < 3; copy += 1) {
      const first = stateOf(model, category, random, random.chance(0.5) ? regionOf() : null);
      const second = { ...first, fields: changedIn(model, category, first.fields, random) };
      const planned: PlannedRecord = {
        key: JSON.stringify([`planned-${records.length}`]),
        stream: random.weighted(STREAMS.map((stream, i) => [stream, [12, 6, 1][i] ?? 1] as const)),
        category,
        kind: kind.id,
        subject: random.int(0, subjects.length - 1),
        states: random.chance(0.4) ? [first, second] : [first],
        relatedTo: random.chance(0.2) ? random.int(0, subjects.length - 1) : undefined,
        leaves: random.chance(0.08),
      };
      records.push(planned);
      // Another source tells the same fact, some of it differently.
      if (random.chance(0.3)) {
        const same = Object.fromEntries(kind.fact.map((name) => [name, first.fields[name] ?? null]));
        const stream = planned.stream === STREAMS[0] ? (STREAMS[1] ?? '') : (STREAMS[0] ?? '');
        const told = { ...first, fields: { ...changedIn(model, category, first.fields, random), ...same } };
        records.push({ ...planned, key: JSON.stringify([`planned-${records.length}`]), stream, states: [told], leaves: false });
      }
    }
  }
  return { subjects, records, ties };
}

function changedIn(model: Model, category: Category, fields: Record<string, FieldValue>, random: Random): Record<string, FieldValue> {
  const other = fieldsOf(model, category, random);
  return Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, random.chance(0.3) ? (other[name] ?? null) : value]));
}

/** What a document may be asked with: values of both worlds, hidden ones too, and codes that find the same in both or nothing. */
export interface Pool {
  /** By `Type.field`. */
  fields: Map<string, Set<FieldValue>>;
  names: Set<string>;
  codes: Set<string>;
}

export const emptyPool = (): Pool => ({ fields: new Map(), names: new Set(), codes: new Set() });

/** Fills a hub's database with one side of the worlds. Rows that both sides have get the same ids on both. */
export async function buildWorld(
  hub: TestHub,
  plan: Plan,
  caller: Tied,
  grant: Grant,
  side: Side,
  seed: number,
  pool: Pool,
): Promise<void> {
  const { model, keys } = hub;
  const sight = sightOf(model, grant.scopes, plan.ties);
  const random = randomOf(seed, `world ${side}`);
  const seen = plan.records.filter((record) => isSeen(plan, sight, record));
  const common = new Set(
    [...plan.subjects.keys()].filter((i) => isSubjectSeen(plan, sight, i) || seen.some((record) => record.subject === i)),
  );
  const people = plan.subjects.map((subject, i) =>
    common.has(i) ? sideOf(model, subjectScopes(plan, sight, i), subject, side, random, pool) : undefined,
  );
  const strangers = Array.from({ length: random.int(4, 9) }, () => hiddenSubject(sight, random, pool)).filter((s) => s !== undefined);
  await hub.pool.transaction(async (sql) => {
    // Between two ids of common rows there is room for hidden ones, other ones on each side.
    const numberFrom = (sequence: string, first: number) => sql.query(`alter sequence ${sequence} increment by 16 restart with ${first}`);
    const between = side === 'A' ? 5 : 11;
    const resolve = (subjects: readonly (MadeSubject | undefined)[]) =>
      resolveSubjects(
        sql,
        keys,
        model,
        subjects.filter((s) => s !== undefined).map((s) => mapped(s, { category: 0, kind: '', key: '', version: null }, EMPTY)),
      );
    await numberFrom('subject_id_seq', 16);
    // One that was two: known by one code, then by another, then by both.
    const twice = subjectOf(randomOf(seed, 'twice'), 'organisation', REGIONS[0] ?? '');
    const [first, second] = twice.identifiers;
    for (const identifiers of [[first], [second], [first, second]])
      await resolve([{ ...twice, identifiers: identifiers.filter((one) => one !== undefined) }]);
    await resolve(people);
    await numberFrom('subject_id_seq', between);
    await resolve(strangers);
    await numberFrom('record_id_seq', 16);
    const written = seen.map((record) => versionsOf(model, sight, record, plan, people, strangers, side, random, pool));
    for (let pass = 0; written.some((versions) => pass < versions.length); pass += 1) {
      for (const stream of STREAMS) {
        const now = written.filter((_, i) => seen[i]?.stream === stream).flatMap((versions) => versions.slice(pass, pass + 1));
        await storeRecords(sql, keys, model, findStream(model, stream) as PullStream, now, { id: 0, today: TODAY });
      }
    }
    await numberFrom('record_id_seq', between);
    const hidden = hiddenRecords(model, sight, [...people.filter((s) => s !== undefined), ...strangers], random, pool);
    await storeRecords(sql, keys, model, findStream(model, HIDDEN_STREAM) as PullStream, hidden, { id: 0, today: TODAY });
    await tie(sql, keys, plan.ties, people, grant, caller, random);
    // The clock of the test is no part of the worlds.
    await sql.query(`update record_version set recorded_at = source_version::timestamptz + interval '1 day'`);
    await sql.query(`update record r set recorded_at = v.first, changed_at = v.last from
      (select record_id, min(recorded_at) as first, max(recorded_at) as last from record_version group by 1) v where v.record_id = r.id`);
    await sql.query(
      `update consent set given_at = '2026-01-01', revoked_at = case when revoked_at is not null then '2026-02-01'::timestamptz end`,
    );
    await sql.query(`update registered_case set registered_at = '2026-01-01'`);
    await sql.query(`update subject_merge set merged_at = '2026-02-01'`);
    await sql.query(`update subject set created_at = '2026-01-01', changed_at = '2026-01-01'`);
  });
}

const EMPTY: MadeState = { region: null, occurredOn: null, validFrom: null, validTo: null, fields: {} };

/** A planned record as it is in the end. */
function rowOf(plan: Plan, sight: Sight, record: PlannedRecord): RowOf {
  const row = rowIn(plan, record, record.states[0]?.region ?? null);
  const away = { ...row, region: FAR };
  return record.leaves && sight.record(away).length === 0 ? away : row;
}

function rowIn(plan: Plan, record: PlannedRecord, region: string | null): RowOf {
  const subject = plan.subjects[record.subject];
  if (subject === undefined) throw new Error('a record is planned without its subject');
  return { subject, category: record.category.no, kind: record.kind, region: region ?? subject.region };
}

function subjectScopes(plan: Plan, sight: Sight, index: number): readonly Scope[] {
  const subject = plan.subjects[index];
  const records = plan.records.filter((record) => record.subject === index).map((record) => rowOf(plan, sight, record));
  return subject === undefined ? [] : sight.subject(subject, records);
}

const isSubjectSeen = (plan: Plan, sight: Sight, index: number): boolean => subjectScopes(plan, sight, index).length > 0;

/** The scopes that hold a record as long as it has not left. */
function scopesOf(plan: Plan, sight: Sight, record: PlannedRecord, region = record.states[0]?.region ?? null): readonly Scope[] {
  return sight.record(rowIn(plan, record, region));
}

const isSeen = (plan: Plan, sight: Sight, record: PlannedRecord): boolean => scopesOf(plan, sight, record).length > 0;

/** A subject as it is on a side: a hidden one, of which only records are seen, is somebody else on each. */
function sideOf(
  model: Model,
  scopes: readonly Scope[],
  subject: Plan['subjects'][number],
  side: Side,
  random: Random,
  pool: Pool,
): MadeSubject {
  const other = subjectOf(random, subject.kind, subject.region);
  const type = model.subjects.get(subject.kind);
  const identifiers = subject.identifiers.map(({ scheme, code }, i): Identifier => {
    const field = type?.fields.get(type.identifiers.get(scheme) ?? '');
    const access = field === undefined ? 'deny' : accessOf(scopes, `${type?.type}.${field.name}`);
    const isSame = side === 'A' || field === undefined || (access === 'mask' && subject.known);
    const theirs = isSame ? code : String(alike(access, field, code, other.identifiers[i]?.code ?? code, random));
    if (access !== 'mask' || subject.known) pool.codes.add(theirs);
    return { scheme, code: theirs };
  });
  const name = type?.fields.get('name');
  const access = accessOf(scopes, `${type?.type}.name`);
  const named = side === 'A' || name === undefined ? subject.name : String(alike(access, name, subject.name, other.name, random));
  pool.names.add(named);
  return { ...subject, name: named, identifiers };
}

function hiddenSubject(sight: Sight, random: Random, pool: Pool): MadeSubject | undefined {
  for (let attempt = 0; attempt < 50; attempt += 1) {
    const subject = subjectOf(random, random.pick(['organisation', 'person']), random.pick(REGIONS));
    if (sight.subject(subject, []).length > 0) continue;
    for (const { code } of subject.identifiers) pool.codes.add(code);
    pool.names.add(subject.name);
    return subject;
  }
  return undefined;
}

/** The versions of a record on a side, oldest first: those of the plan, and others that the caller cannot see. */
function versionsOf(
  model: Model,
  sight: Sight,
  record: PlannedRecord,
  plan: Plan,
  people: readonly (MadeSubject | undefined)[],
  strangers: readonly MadeSubject[],
  side: Side,
  random: Random,
  pool: Pool,
): MappedRecord[] {
  const subject = people[record.subject];
  if (subject === undefined) throw new Error('a record is seen whose subject nobody made');
  const scopes = scopesOf(plan, sight, record);
  const of = (state: MadeState, isNew: boolean): MadeState => ({
    ...state,
    fields: Object.fromEntries(
      [...record.category.fields.values()].map((field) => {
        const value = state.fields[field.name] ?? null;
        const access = accessOf(scopes, `${record.category.type}.${field.name}`);
        const made =
          side === 'A' && !isNew ? value : alike(access, field, value, random.chance(0.2) ? null : valueOf(model, field, random), random);
        remember(pool, `${record.category.type}.${field.name}`, made);
        return [field.name, made];
      }),
    ),
  });
  const isAway = scopesOf(plan, sight, record, FAR).length === 0;
  const away = () => ({ ...stateOf(model, record.category, random, FAR), occurredOn: record.states[0]?.occurredOn ?? null });
  const states: [number, MadeState][] = [];
  if (isAway && record.states[0]?.occurredOn && random.chance(0.2)) states.push([0, away()]);
  record.states.forEach((state, i) => {
    states.push([1 + 2 * i, of(state, false)]);
    // Something that the caller cannot see changes, or nothing at all: the source just tells it again.
    if (random.chance(0.3)) states.push([2 + 2 * i, of(states.at(-1)?.[1] ?? state, true)]);
  });
  if (record.leaves && isAway) states.push([5, away()]);
  const hiddenSide = random.chance(0.5) && strangers.length > 0 ? random.pick(strangers) : undefined;
  const related = record.relatedTo === undefined || record.relatedTo === record.subject ? undefined : relatedOf(record.relatedTo);
  function relatedOf(index: number): MadeSubject | undefined {
    return isSubjectSeen(plan, sight, index) ? people[index] : hiddenSide;
  }
  return states.map(([at, state]) => {
    const one = mapped(subject, { category: record.category.no, kind: record.kind, key: record.key, version: VERSIONS[at] ?? null }, state);
    return related === undefined
      ? one
      : { ...one, relations: [{ kind: 'branch-of', subject: subjectFor(related), validFrom: null, validTo: null }] };
  });
}

function hiddenRecords(model: Model, sight: Sight, subjects: readonly MadeSubject[], random: Random, pool: Pool): MappedRecord[] {
  const kinds = kindsOf(model);
  const records: MappedRecord[] = [];
  for (let i = random.int(60, 110); i > 0; i -= 1) {
    const subject = random.pick(subjects);
    const { category, kind } = random.pick(kinds);
    const region = random.pick([...REGIONS, null]);
    if (sight.record({ subject, category: category.no, kind: kind.id, region: region ?? subject.region }).length > 0) continue;
    const state = stateOf(model, category, random, region);
    for (const [name, value] of Object.entries(state.fields)) remember(pool, `${category.type}.${name}`, value);
    const other = random.pick(subjects);
    const one = mapped(
      subject,
      { category: category.no, kind: kind.id, key: JSON.stringify([`hidden-${i}`]), version: random.pick(VERSIONS) },
      state,
    );
    const relations =
      random.chance(0.3) && other !== subject ? [{ kind: 'branch-of', subject: subjectFor(other), validFrom: null, validTo: null }] : [];
    records.push({ ...one, relations });
  }
  return records;
}

function remember(pool: Pool, coordinate: string, value: FieldValue): void {
  const values = pool.fields.get(coordinate) ?? new Set();
  if (value !== null) values.add(value);
  pool.fields.set(coordinate, values);
}

const subjectFor = ({ known: _known, index: _index, ...subject }: MadeSubject & { known?: boolean }): MappedSubject => subject;

function mapped(subject: MadeSubject, what: Pick<MappedRecord, 'category' | 'kind' | 'key' | 'version'>, state: MadeState): MappedRecord {
  return { ...what, ...state, keyIsPersonal: false, deleted: false, subject: subjectFor(subject), unknownKeys: [], warnings: [] };
}

/** A text that no world has. */
export const nobody = (random: Random): string => nameOf(random).repeat(2);
