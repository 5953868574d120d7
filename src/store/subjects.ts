import type { MappedRecord } from '../mapping/record.ts';
import type { FieldValue, Model, SubjectKind } from '../model/types.ts';
import type { Keys } from './keys.ts';
import { mergeSubjects } from './merge.ts';
import { noteOwn, type Parted, partedOf } from './merged.ts';
import type { Sql } from './sql.ts';
import { columnsOf, partValues } from './values.ts';

/** A page's records found or made their subjects: the id per record, or the reason why one cannot have one. */
export interface Resolution {
  subjectOf: Map<MappedRecord, number>;
  /** Records whose identifiers belong to different subjects: never merged by guess, the record is refused. */
  conflicts: MappedRecord[];
}

/** Another transaction made or merged a subject of this page at the same moment: roll back and do the page again. */
export class SubjectRace extends Error {}

/**
 * One subject per statutory code (HN-13), found by any identifier the record brings, made when none is known. Runs inside the page's
 * transaction; the number of statements does not depend on the number of records. A subject known only by a platform id takes a statutory code the first time one comes.
 */
export async function resolveSubjects(sql: Sql, keys: Keys, model: Model, records: readonly MappedRecord[]): Promise<Resolution> {
  const tokens = new Map<string, Buffer[]>();
  for (const record of records)
    for (const id of record.subject.identifiers) tokens.set(identifierKey(id), keys.blindForms(identifierDomain(id.scheme), id.code));
  const known = await sql.query<{ token: Buffer; subject_id: number }>(
    'select token, subject_id from subject_identifier where token = any($1)',
    [[...tokens.values()].flat()],
  );
  const byToken = new Map(known.rows.map((row) => [row.token.toString('hex'), row.subject_id]));
  const owner = new Map<string, number | Draft>();
  for (const [key, forms] of tokens) {
    const id = forms.map((token) => byToken.get(token.toString('hex'))).find((one) => one !== undefined);
    if (id !== undefined) owner.set(key, id);
  }
  const held = await schemesHeld(sql, [...new Set(byToken.values())]);
  const parted = await partedOf(sql, [...new Set(byToken.values())]);
  const schemesOf = (one: number | Draft): Set<string> => (typeof one === 'number' ? (held.get(one) ?? new Set()) : one.schemes);
  const drafts: Draft[] = [];
  const attached: { id: Identifier; owner: number | Draft }[] = [];
  const resolved = new Map<MappedRecord, number | Draft>();
  const conflicts: MappedRecord[] = [];
  const merges: { from: number; into: number }[] = [];
  for (const record of records) {
    const ids = record.subject.identifiers;
    const owners = new Set(ids.map((id) => owner.get(identifierKey(id))).filter((o) => o !== undefined));
    const fresh = ids.filter((id) => !owner.has(identifierKey(id)));
    const one = owners.size > 1 ? mergeable([...owners], fresh, schemesOf, parted) : [...owners][0];
    // A subject has one code of a statutory kind: a second one is somebody else's, whatever platform code they share.
    if (one === 'conflict' || (one !== undefined && fresh.some((id) => STATUTORY.has(id.scheme) && schemesOf(one).has(id.scheme)))) {
      conflicts.push(record);
      continue;
    }
    const found: number | Draft = one ?? { record, id: 0, schemes: new Set() };
    if (one === undefined) drafts.push(found as Draft);
    for (const other of owners) {
      if (other === found) continue;
      merges.push({ from: other as number, into: found as number });
      parted.merged(other as number, found as number);
      for (const [key, of] of owner) if (of === other) owner.set(key, found);
      for (const [earlier, of] of resolved) if (of === other) resolved.set(earlier, found);
      for (const scheme of schemesOf(other)) schemesOf(found).add(scheme);
    }
    for (const id of fresh) {
      owner.set(identifierKey(id), found);
      schemesOf(found).add(id.scheme);
      attached.push({ id, owner: found });
    }
    resolved.set(record, found);
  }
  const ids = await nextIds(sql, 'subject_id_seq', drafts.length);
  drafts.forEach((draft, i) => (draft.id = ids[i] ?? 0));
  const subjectOf = new Map([...resolved].map(([record, o]) => [record, idOf(o)]));
  const told = toldOf(keys, model, subjectOf);
  await insertSubjects(sql, drafts, told);
  for (const { from, into } of merges) await mergeSubjects(sql, keys, model, from, into);
  await attach(sql, keys, model, attached);
  for (const { id } of drafts) told.delete(id);
  await describe(sql, keys, model, told, await noteOwn(sql, subjectOf, (id) => tokens.get(identifierKey(id)) ?? []));
  return { subjectOf, conflicts };
}

interface Identifier {
  scheme: string;
  code: string;
}
interface Draft {
  record: MappedRecord;
  id: number;
  schemes: Set<string>;
}
/** Kinds of code that the law gives once: a subject never has two of one kind. */
const STATUTORY: ReadonlySet<string> = new Set(['uscc', 'citizen-id']);

/**
 * The subject that several known ones turn out to be (HN-13): only when at most one of them has a code of a statutory kind, the others being known
 * by platform codes alone. Subjects of this page that are not stored yet, those that an officer parted, and two statutory codes, are a conflict for a
 * person to settle.
 */
function mergeable(
  owners: readonly (number | Draft)[],
  fresh: readonly Identifier[],
  schemesOf: (one: number | Draft) => Set<string>,
  parted: Parted,
): number | Draft | 'conflict' {
  const stated = owners.filter((one) => [...schemesOf(one)].some((scheme) => STATUTORY.has(scheme)));
  const stored = owners.filter((one) => typeof one === 'number');
  if (stated.length > 1 || stored.length < owners.length || parted.any(stored)) return 'conflict';
  const [into = owners[0]] = stated;
  return into === undefined || (stated.length === 1 && fresh.some((id) => STATUTORY.has(id.scheme) && schemesOf(into).has(id.scheme)))
    ? 'conflict'
    : into;
}

async function schemesHeld(sql: Sql, ids: readonly number[]): Promise<Map<number, Set<string>>> {
  if (ids.length === 0) return new Map();
  const { rows } = await sql.query<{ subject_id: number; schemes: string[] }>(
    'select subject_id, array_agg(distinct scheme) as schemes from subject_identifier where subject_id = any($1) group by 1',
    [ids],
  );
  return new Map(rows.map((row) => [row.subject_id, new Set(row.schemes)]));
}

const idOf = (owner: number | Draft) => (typeof owner === 'number' ? owner : owner.id);
const identifierKey = (id: Identifier) => `${id.scheme} ${id.code}`;

/** Domain of an identifier in the blind index: how a subject is found without its code being readable anywhere. */
export const identifierDomain = (scheme: string): string => `identifier:${scheme}`;

async function insertSubjects(sql: Sql, drafts: readonly Draft[], told: ReadonlyMap<number, Told>): Promise<void> {
  if (drafts.length === 0) return;
  const of = <T>(get: (told: Told | undefined, draft: Draft) => T): T[] => drafts.map((draft) => get(told.get(draft.id), draft));
  await sql.query(
    `insert into subject (id, kind, region, named_by_registration, roles, open, internal, commercial, personal, sealed, masks)
     select id, kind, region, registered, coalesce(string_to_array(nullif(roles, ''), ','), '{}'), open, internal, commercial, personal, sealed, masks
     from unnest($1::bigint[], $2::text[], $3::text[], $4::bool[], $5::text[], $6::jsonb[], $7::jsonb[], $8::jsonb[], $9::jsonb[], $10::jsonb[], $11::jsonb[])
       as t(id, kind, region, registered, roles, open, internal, commercial, personal, sealed, masks)`,
    [
      of((_, draft) => draft.id),
      of((_, draft) => draft.record.subject.kind),
      of((one, draft) => one?.region ?? draft.record.subject.region ?? registeredRegion(draft.record)),
      of((one) => one?.registered ?? false),
      of((one) => [...(one?.roles ?? [])].sort().join(',')),
      ...[0, 1, 2, 3, 4, 5].map((i) => of((one) => one?.columns[i] ?? (i === 0 ? '{}' : null))),
    ],
  );
}

/**
 * The region that an organisation's own numbers state: where it was registered (GB 32100, digits 3–8) or designated. A statement of the
 * issuing authority, so it stands until a source tells the region; a person's numbers say only where they were issued and tell nothing.
 */
function registeredRegion(record: MappedRecord): string | null {
  for (const { scheme, code } of record.subject.identifiers) {
    if (scheme === 'uscc') return code.slice(2, 8);
    if (scheme === 'institution-code' || scheme === 'practitioner-code') return code.slice(1, 7);
  }
  return null;
}

/** Ids taken ahead, so that rows and what refers to them can be written in bulk without relying on the order of RETURNING. */
export async function nextIds(sql: Sql, sequence: 'subject_id_seq' | 'record_id_seq', count: number): Promise<number[]> {
  const { rows } = await sql.query<{ id: number }>('select nextval($1::regclass) as id from generate_series(1, $2)', [sequence, count]);
  return rows.map((row) => row.id);
}

async function attach(sql: Sql, keys: Keys, model: Model, attached: { id: Identifier; owner: number | Draft }[]): Promise<void> {
  if (attached.length === 0) return;
  // The same order in every transaction: two pages that bring the same new subjects wait for each other instead of dead-locking.
  const sorted = attached
    .flatMap((a) => keys.blindTokens(identifierDomain(a.id.scheme), a.id.code).map((token) => ({ ...a, token })))
    .sort((a, b) => a.token.compare(b.token));
  const { rowCount } = await sql.query(
    `insert into subject_identifier (token, scheme, subject_id)
     select * from unnest($1::bytea[], $2::text[], $3::bigint[]) on conflict (token) do nothing`,
    [sorted.map((a) => a.token), sorted.map((a) => a.id.scheme), sorted.map((a) => idOf(a.owner))],
  );
  if (rowCount !== sorted.length) throw new SubjectRace('a subject of this page was made by another stream at the same moment');
  const readable = attached.filter((a) => isReadable(model, a.id.scheme));
  await sql.query(
    `insert into subject_code (scheme, code, subject_id) select * from unnest($1::text[], $2::text[], $3::bigint[]) on conflict do nothing`,
    [readable.map((a) => a.id.scheme), readable.map((a) => a.id.code), readable.map((a) => idOf(a.owner))],
  );
}

/** Whether the codes of a scheme may lie readable, to drive streams that ask per code: never those that name a person's document. */
function isReadable(model: Model, scheme: string): boolean {
  const fields = [...model.subjects.values()].map((type) => type.fields.get(type.identifiers.get(scheme) ?? ''));
  return fields.every((field) => field === undefined || field.sensitivity === 'open' || field.sensitivity === 'internal');
}

/** What the records of a page tell of one subject. */
interface Told {
  registered: boolean;
  region: string | null;
  roles: Set<string>;
  columns: ReturnType<typeof columnsOf>;
}

/** Identifier fields, roles, region, and the name – of a registration, or the first one told. */
function toldOf(keys: Keys, model: Model, subjectOf: ReadonlyMap<MappedRecord, number>): Map<number, Told> {
  const drafts = new Map<number, Omit<Told, 'columns'> & { kind: SubjectKind; values: Record<string, FieldValue> }>();
  for (const [record, id] of subjectOf) {
    const registered = record.category === 1;
    const entry = drafts.get(id) ?? { kind: record.subject.kind, values: {}, roles: new Set<string>(), region: null, registered: false };
    const type = model.subjects.get(record.subject.kind);
    for (const identifier of record.subject.identifiers) {
      const field = type?.identifiers.get(identifier.scheme);
      if (field !== undefined) entry.values[field] = identifier.code;
    }
    if (record.subject.name !== null && (registered || entry.values['name'] === undefined)) entry.values['name'] = record.subject.name;
    entry.region = registered ? (record.subject.region ?? entry.region) : (entry.region ?? record.subject.region);
    entry.registered ||= registered;
    for (const role of record.subject.roles) entry.roles.add(role);
    drafts.set(id, entry);
  }
  return new Map(
    [...drafts].map(([id, { kind, values, ...rest }]) => {
      const type = model.subjects.get(kind);
      return [id, { ...rest, columns: columnsOf(partValues(keys, type?.type ?? '', type?.fields ?? new Map(), values)) }];
    }),
  );
}

/** Adds what the records tell to subjects that were known before. */
async function describe(sql: Sql, keys: Keys, model: Model, told: ReadonlyMap<number, Told>, renamed: ReadonlySet<number>): Promise<void> {
  if (told.size === 0) return;
  const ids = [...told.keys()].sort((a, b) => a - b);
  // Held until the page is committed: what another page tells of these subjects meanwhile would be lost, and its records left in the old region.
  const held = await sql.query<Held>(
    'select id, kind, sealed, merged_into is not null as merged from subject where id = any($1) order by id for no key update',
    [ids],
  );
  if (held.rows.some((row) => row.merged)) throw new SubjectRace('a subject of this page became one with another at the same moment');
  const heldOf = new Map(held.rows.map((row) => [row.id, row]));
  const rows = ids.map((id) => told.get(id)).filter((e) => e !== undefined);
  const column = (i: number) => rows.map((e) => e.columns[i] ?? null);
  const wins = ids.map((id) => told.get(id)?.registered === true || renamed.has(id));
  const sealed = rows.map((e, i) => (wins[i] ? sealedAnew(keys, model, heldOf.get(ids[i] ?? 0), e.columns[SEALED]) : e.columns[SEALED]));
  // A name or region once taken from a registration is replaced only by a registration; a field once known is never blanked.
  const { rows: changed } = await sql.query<{ id: number }>(
    `with told as (
       select * from unnest($1::bigint[], $2::bool[], $3::text[], $4::jsonb[], $5::jsonb[], $6::jsonb[], $7::jsonb[], $8::jsonb[], $9::jsonb[], $10::text[], $11::bool[])
         as t(id, registered, region, open, internal, commercial, personal, sealed, masks, roles, wins)),
     next as (
       select s.id,
         case when t.registered or not s.named_by_registration and s.region is null then coalesce(t.region, s.region) else s.region end as region,
         ${CLASS_COLUMNS.map((c) => `${merge(c)} as ${c}`).join(', ')},
         (select coalesce(array_agg(distinct r order by r), '{}') from unnest(s.roles || string_to_array(nullif(t.roles, ''), ',')) r) as roles,
         s.named_by_registration or t.registered as named
       from told t join subject s on s.id = t.id)
     update subject s set region = n.region, roles = n.roles, named_by_registration = n.named, changed_at = now(),
       ${CLASS_COLUMNS.map((c) => `${c} = n.${c}`).join(', ')}
     from next n where s.id = n.id and (s.region, s.roles, s.named_by_registration, s.open, s.internal, s.commercial, s.personal, s.sealed, s.masks)
       is distinct from (n.region, n.roles, n.named, n.open, n.internal, n.commercial, n.personal, n.sealed, n.masks)
     returning s.id`,
    [
      ids,
      rows.map((e) => e.registered),
      rows.map((e) => e.region),
      ...[0, 1, 2, 3].map(column),
      sealed,
      column(5),
      rows.map((e) => [...e.roles].join(',')),
      wins,
    ],
  );
  if (changed.length === 0) return;
  // A record whose source tells no region lies where its subject lies: own-region rules follow the subject.
  await sql.query(
    `update record r set region = s.region from subject s
     where r.subject_id = s.id and s.id = any($1) and r.region_inherited and r.region is distinct from s.region`,
    [changed.map((row) => row.id)],
  );
}

const CLASS_COLUMNS = ['open', 'internal', 'commercial', 'personal', 'sealed', 'masks'] as const;
const SEALED = 4;

/**
 * Sealing the same value twice gives two texts: a value that is told again keeps the text it has, so that the row changes only when the value does.
 */
function sealedAnew(keys: Keys, model: Model, held: Held | undefined, told: string | null): string | null {
  const type = model.subjects.get(held?.kind ?? 'person')?.type ?? '';
  if (told === null || !held?.sealed) return told;
  const values = JSON.parse(told) as Record<string, string>;
  for (const [name, text] of Object.entries(values)) {
    const before = held.sealed[name];
    const context = `${type}.${name}`;
    if (before !== undefined && keys.open(before, context) === keys.open(text, context)) values[name] = before;
  }
  return JSON.stringify(values);
}

interface Held {
  id: number;
  kind: SubjectKind;
  sealed: Record<string, string> | null;
  merged: boolean;
}

/** What is known wins over what is told, unless a registration tells it, or the name that is known was another's. */
function merge(column: string): string {
  const both = `case when t.wins then coalesce(s.${column}, '{}') || coalesce(t.${column}, '{}') else coalesce(t.${column}, '{}') || coalesce(s.${column}, '{}') end`;
  return column === 'open' ? both : `nullif(${both}, '{}'::jsonb)`;
}

/** Codes of a scheme the hub knows, in order after `after`: what streams that ask per subject are driven by. Only schemes whose codes may be read. */
export async function knownCodes(sql: Sql, scheme: string, after: string | null, limit: number): Promise<string[]> {
  const { rows } = await sql.query<{ code: string }>(
    'select code from subject_code where scheme = $1 and code > $2 order by code limit $3',
    [scheme, after ?? '', limit],
  );
  return rows.map((row) => row.code);
}
