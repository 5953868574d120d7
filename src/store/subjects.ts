import type { MappedRecord } from '../mapping/record.ts';
import type { Model } from '../model/types.ts';
import { type Keys, type SubjectKey, Unreadable } from './keys.ts';
import { mergeSubjects } from './merge.ts';
import { noteOwn, type Parted, partedOf } from './merged.ts';
import { SubjectRace } from './race.ts';
import type { Sql } from './sql.ts';
import { insertSubjectKeys, type SealerOf, sealersOf } from './subject-keys.ts';
import { describe, type Told, toldOf } from './told.ts';

/** A page's records found or made their subjects: the id per record, or the reason why one cannot have one. */
export interface Resolution {
  subjectOf: Map<MappedRecord, number>;
  /** Records whose identifiers belong to different subjects: never merged by guess, the record is refused. */
  conflicts: MappedRecord[];
  /** Records of a subject that is only kept, or was erased (PIPL 47): nothing more is taken of it. */
  withheld: MappedRecord[];
  /** Seals what is stored of a subject of `subjectOf`. */
  sealerOf: SealerOf;
}

/**
 * One subject per statutory code (HN-13), found by any identifier the record brings, made when none is known. Runs inside the page's
 * transaction; the number of statements does not depend on the number of records. A subject known only by a platform id takes a statutory code the first time one comes.
 */
export async function resolveSubjects(sql: Sql, keys: Keys, model: Model, records: readonly MappedRecord[]): Promise<Resolution> {
  const tokens = new Map<string, Buffer[]>();
  for (const record of records)
    for (const id of record.subject.identifiers) tokens.set(identifierKey(id), keys.blindForms(identifierDomain(id.scheme), id.code));
  const known = await sql.query<{ token: Buffer; subject_id: number; withheld: boolean }>(
    `select i.token, i.subject_id, s.withheld is not null as withheld
     from subject_identifier i join subject s on s.id = i.subject_id where i.token = any($1)`,
    [[...tokens.values()].flat()],
  );
  const closed = new Set(known.rows.filter((row) => row.withheld).map((row) => row.subject_id));
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
  const withheld: MappedRecord[] = [];
  const merges: { from: number; into: number }[] = [];
  for (const record of records) {
    const ids = record.subject.identifiers;
    const owners = new Set(ids.map((id) => owner.get(identifierKey(id))).filter((o) => o !== undefined));
    const fresh = ids.filter((id) => !owner.has(identifierKey(id)));
    if ([...owners].some((one) => typeof one === 'number' && closed.has(one))) {
      withheld.push(record);
      continue;
    }
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
  const { sealerOf, made } = await sealersFor(sql, keys, drafts, subjectOf);
  const told = toldOf(sealerOf, model, subjectOf);
  await insertSubjects(sql, drafts, told);
  await insertSubjectKeys(sql, made);
  for (const { from, into } of merges) await mergeSubjects(sql, keys, model, from, into);
  await attach(sql, keys, model, attached);
  for (const { id } of drafts) told.delete(id);
  await describe(sql, keys, model, told, await noteOwn(sql, subjectOf, (id) => tokens.get(identifierKey(id)) ?? []));
  return { subjectOf, conflicts, withheld, sealerOf };
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

/** Keys are made with the persons they belong to; `made` are those, wrapped, to be written after their rows. */
async function sealersFor(
  sql: Sql,
  keys: Keys,
  drafts: readonly Draft[],
  subjectOf: ReadonlyMap<MappedRecord, number>,
): Promise<{ sealerOf: SealerOf; made: Map<number, string> }> {
  const fresh = new Map<number, SubjectKey>();
  const made = new Map<number, string>();
  for (const { id, record } of drafts) {
    if (record.subject.kind !== 'person') continue;
    const { wrapped, key } = keys.newSubjectKey(id);
    fresh.set(id, key);
    made.set(id, wrapped);
  }
  const persons = [...subjectOf].filter(([record, id]) => record.subject.kind === 'person' && !fresh.has(id)).map(([, id]) => id);
  const known = await sealersOf(sql, keys, persons);
  const sealerOf: SealerOf = (id) => {
    try {
      return fresh.get(id) ?? known(id);
    } catch (error) {
      if (error instanceof Unreadable && error.why === 'erased') throw new SubjectRace(error.message, { cause: error });
      throw error;
    }
  };
  return { sealerOf, made };
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

/** Codes of a scheme the hub knows, in order after `after`: what streams that ask per subject are driven by. Only schemes whose codes may be read. */
export async function knownCodes(sql: Sql, scheme: string, after: string | null, limit: number): Promise<string[]> {
  const { rows } = await sql.query<{ code: string }>(
    'select code from subject_code where scheme = $1 and code > $2 order by code limit $3',
    [scheme, after ?? '', limit],
  );
  return rows.map((row) => row.code);
}
