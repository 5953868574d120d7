import { contentOf, type MappedRecord } from '../mapping/record.ts';
import type { Model, PullStream } from '../model/types.ts';
import { factKey } from './fact.ts';
import type { Keys, Sealer } from './keys.ts';
import { markStored } from './marks.ts';
import type { Sql } from './sql.ts';
import { relatedOf, writeRelations } from './relations.ts';
import { type SealerOf, sealersOf } from './subject-keys.ts';
import { nextIds, resolveSubjects } from './subjects.ts';
import { columnsOf, partValues } from './values.ts';

/** What became of a page's records: counts for the ledger, the rows that changed for the outbox, the refused for the issues. */
export interface Stored {
  stored: number;
  unchanged: number;
  changed: { recordId: number; version: number; subjectId: number; category: number; kind: string }[];
  conflicts: MappedRecord[];
  /** Records of subjects of whom nothing more is taken. */
  withheld: MappedRecord[];
}

interface Existing {
  id: number;
  source_key: string;
  content: Buffer;
  source_version: string | null;
  version: number;
  last_version: number;
  subject_id: number;
}
/** One row to write: a new record, a newer version of one, or an older version that arrived late and only goes to history. */
interface Write {
  record: MappedRecord;
  key: string;
  content: Buffer;
  existing: Existing | undefined;
  version: number;
  late: boolean;
  id: number;
  subjectId: number;
  /** Its values by class, sealed once for the row and its version. */
  columns?: ReturnType<typeof columnsOf>;
}

/**
 * Stores mapped records of one stream: new ones, changed ones as new versions, older versions that arrive late as history only. A record whose
 * content is known changes nothing. Statements per call do not depend on the number of records. `today` orders records that tell no day.
 */
export async function storeRecords(
  sql: Sql,
  keys: Keys,
  model: Model,
  stream: PullStream,
  records: readonly MappedRecord[],
  run: { id: number; today: string },
): Promise<Stored> {
  const total: Stored = { stored: 0, unchanged: 0, changed: [], conflicts: [], withheld: [] };
  // A page may hold the same key twice: each wave holds a key once, so every version of the page gets its place.
  for (const wave of waves(keys, records)) {
    const one = await storeWave(sql, keys, model, stream, wave, run);
    total.stored += one.stored;
    total.unchanged += one.unchanged;
    total.changed.push(...one.changed);
    total.conflicts.push(...one.conflicts);
    total.withheld.push(...one.withheld);
  }
  await markStored(sql, total.changed);
  return total;
}

/** Longer ones would not go into the index of the keys. */
const LONGEST_KEY = 500;

/** A key that holds a person's number, or is too long for an index, is kept as its blind index; any other readable for reconciliation. */
export function storedKey(keys: Keys, record: MappedRecord): string {
  return isHidden(record) ? hiddenKey(keys.blindToken('key', record.key)) : record.key;
}

/** Every form under which a key may be stored: a record from before the blind index changed is the same record. */
export function storedForms(keys: Keys, record: MappedRecord): string[] {
  return isHidden(record) ? keys.blindForms('key', record.key).map(hiddenKey) : [record.key];
}

/** Every form under which a key may be stored of which nobody knows yet whether it is personal. */
export function keyForms(keys: Keys, key: string): string[] {
  return [key, ...keys.blindForms('key', key).map(hiddenKey)];
}

const isHidden = (record: MappedRecord) => record.keyIsPersonal || record.key.length > LONGEST_KEY;
export const HIDDEN_KEY = 'blind:';
const hiddenKey = (token: Buffer) => `${HIDDEN_KEY}${token.toString('base64url')}`;

function waves(keys: Keys, records: readonly MappedRecord[]): Map<string, MappedRecord>[] {
  const result: Map<string, MappedRecord>[] = [];
  for (const record of records) {
    const key = storedKey(keys, record);
    let wave = result.find((w) => !w.has(key));
    if (wave === undefined) result.push((wave = new Map()));
    wave.set(key, record);
  }
  return result;
}

async function storeWave(
  sql: Sql,
  keys: Keys,
  model: Model,
  stream: PullStream,
  wave: Map<string, MappedRecord>,
  run: { id: number; today: string },
): Promise<Stored> {
  const found = await sql.query<Existing>(
    `select r.id, r.source_key, r.content, r.source_version, r.version, r.subject_id,
       (select max(v.version) from record_version v where v.record_id = r.id) as last_version
     from record r where r.connector = $1 and r.stream = $2 and r.source_key = any($3)`,
    [stream.connector, stream.id, [...wave.values()].flatMap((record) => storedForms(keys, record))],
  );
  const stored = new Map(found.rows.map((row) => [row.source_key, row]));
  const candidates: Write[] = [];
  const newer: { id: number; version: string }[] = [];
  for (const [key, record] of wave) {
    const before = storedForms(keys, record)
      .map((form) => stored.get(form))
      .find((row) => row !== undefined);
    const content = keys.fingerprint('content', contentOf(record));
    const late = before !== undefined && isOlder(record.version, before.source_version);
    if (before?.content.equals(content) && !late) {
      if (record.version !== null && record.version !== before.source_version) newer.push({ id: before.id, version: record.version });
      continue;
    }
    candidates.push({
      record,
      key: before?.source_key ?? key,
      content,
      existing: before,
      version: (before?.last_version ?? 0) + 1,
      late,
      id: before?.id ?? 0,
      subjectId: before?.subject_id ?? 0,
    });
  }
  await confirm(sql, newer);
  const writes = await withoutKnown(sql, candidates);
  const unchanged = wave.size - writes.filter((w) => !w.late).length;
  if (writes.length === 0) return { stored: 0, unchanged, changed: [], conflicts: [], withheld: [] };
  const own = writes.filter((w) => !w.late).map((w) => w.record);
  const related = relatedOf(own);
  const { subjectOf, conflicts, withheld, sealerOf } = await resolveSubjects(sql, keys, model, [...own, ...related.keys()]);
  const late = await openForLate(sql, keys, writes);
  const accepted = writes.filter((w) => (w.late ? !late.closed.has(w.subjectId) : subjectOf.has(w.record)));
  const fresh = accepted.filter((w) => w.existing === undefined);
  const ids = await nextIds(sql, 'record_id_seq', fresh.length);
  fresh.forEach((w, i) => (w.id = ids[i] ?? 0));
  const current = accepted.filter((w) => !w.late);
  for (const w of current) w.subjectId = subjectOf.get(w.record) ?? 0;
  for (const w of accepted) w.columns = valuesOf((w.late ? late.sealerOf : sealerOf)(w.subjectId), model, w.record);
  await writeCurrent(sql, keys, model, stream, current, run);
  await writeVersions(sql, keys, model, accepted, run.id);
  await writeRelations(sql, current, related, subjectOf);
  return {
    stored: current.length,
    unchanged,
    changed: current.map((w) => ({
      recordId: w.id,
      version: w.version,
      subjectId: w.subjectId,
      category: w.record.category,
      kind: w.record.kind,
    })),
    // The other side of a relation that cannot be told costs the relation, not the record.
    conflicts: conflicts.filter((record) => !related.has(record)),
    withheld: withheld.filter((record) => !related.has(record)),
  };
}

/** Versions that arrive late go to the subject of their record, which is held meanwhile: one that is closed takes nothing more. */
async function openForLate(sql: Sql, keys: Keys, writes: readonly Write[]): Promise<{ closed: Set<number>; sealerOf: SealerOf }> {
  const late = writes.filter((w) => w.late);
  if (late.length === 0) return { closed: new Set(), sealerOf: () => keys };
  const { rows } = await sql.query<{ id: number; withheld: boolean }>(
    'select id, withheld is not null as withheld from subject where id = any($1) order by id for no key update',
    [[...new Set(late.map((w) => w.subjectId))]],
  );
  const closed = new Set(rows.filter((row) => row.withheld).map((row) => row.id));
  const persons = late.filter((w) => w.record.subject.kind === 'person' && !closed.has(w.subjectId)).map((w) => w.subjectId);
  return { closed, sealerOf: await sealersOf(sql, keys, persons) };
}

/** Source versions compare as text within a stream: instants in ISO, or counters of one width. No version: the last to arrive wins. */
function isOlder(version: string | null, than: string | null): boolean {
  return version !== null && than !== null && version < than;
}

/** A newer version that says the same is no version of ours, but what is older than it must not overwrite what it says. */
async function confirm(sql: Sql, newer: readonly { id: number; version: string }[]): Promise<void> {
  if (newer.length === 0) return;
  await sql.query(
    `with told as (
       update record r set source_version = t.version from unnest($1::bigint[], $2::text[]) as t(id, version) where r.id = t.id returning r.id, r.version, t.version as said)
     update record_version v set confirmed = told.said from told where v.record_id = told.id and v.version = told.version`,
    [newer.map((n) => n.id), newer.map((n) => n.version)],
  );
}

interface Known {
  record_id: number;
  source_version: string;
  /** Up to which version of the source the same was told. */
  confirmed: string | null;
  content: Buffer;
}

/** Leaves out what history has already: an overlap window brings late versions again and again, and a source may tell two things under one version. */
async function withoutKnown(sql: Sql, candidates: readonly Write[]): Promise<Write[]> {
  const doubtful = (w: Write) =>
    w.existing !== undefined && (w.late || (w.record.version !== null && w.record.version === w.existing.source_version));
  const ids = candidates.filter(doubtful).map((w) => w.id);
  if (ids.length === 0) return [...candidates];
  const { rows } = await sql.query<Known>(
    'select record_id, source_version, confirmed, content from record_version where record_id = any($1) and source_version is not null order by version',
    [ids],
  );
  const history = Map.groupBy(rows, (row) => row.record_id);
  return candidates.filter((w) => !doubtful(w) || !isKnown(history.get(w.id) ?? [], w.record.version ?? '', w.content));
}

/** Told before: under this very version, or under one that was later confirmed beyond it. */
function isKnown(history: readonly Known[], version: string, content: Buffer): boolean {
  return history.some((row) => {
    const until = row.confirmed ?? row.source_version;
    return row.source_version <= version && version <= until && row.content.equals(content);
  });
}

async function writeCurrent(
  sql: Sql,
  keys: Keys,
  model: Model,
  stream: PullStream,
  writes: readonly Write[],
  run: { id: number; today: string },
): Promise<void> {
  if (writes.length === 0) return;
  const of = <T>(get: (w: Write) => T): T[] => writes.map(get);
  await sql.query(
    `insert into record (id, subject_id, subject_kind, category, kind, publicity, region, region_inherited, connector, stream, source_key, source_version, version, deleted,
       ordered_on, occurred_on, valid_from, valid_to, fact, content, open, internal, commercial, personal, sealed, masks, run_id)
     select t.id, subject_id, subject_kind, category, t.kind, publicity, coalesce(t.region, s.region), t.region is null, $1, $2, source_key, source_version, version, deleted,
       coalesce(occurred_on, valid_from, $3::date), occurred_on, valid_from, valid_to, fact, content, t.open, t.internal, t.commercial, t.personal, t.sealed, t.masks, $4
     from unnest($5::bigint[], $6::bigint[], $7::text[], $8::int[], $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::int[], $15::bool[],
       $16::date[], $17::date[], $18::date[], $19::bytea[], $20::bytea[], $21::jsonb[], $22::jsonb[], $23::jsonb[], $24::jsonb[], $25::jsonb[], $26::jsonb[])
       as t(id, subject_id, subject_kind, category, kind, publicity, region, source_key, source_version, version, deleted,
         occurred_on, valid_from, valid_to, fact, content, open, internal, commercial, personal, sealed, masks)
       join subject s on s.id = t.subject_id
     on conflict (connector, stream, source_key) do update set
       subject_id = excluded.subject_id, subject_kind = excluded.subject_kind, category = excluded.category, kind = excluded.kind,
       publicity = case when record.ended then 'non-public' else excluded.publicity end, mark = case when record.ended then record.mark end,
       region = excluded.region, region_inherited = excluded.region_inherited, source_version = excluded.source_version, version = excluded.version,
       deleted = excluded.deleted,
       ordered_on = coalesce(excluded.occurred_on, excluded.valid_from, record.ordered_on), occurred_on = excluded.occurred_on, valid_from = excluded.valid_from,
       valid_to = excluded.valid_to, fact = excluded.fact, content = excluded.content, open = excluded.open, internal = excluded.internal,
       commercial = excluded.commercial, personal = excluded.personal, sealed = excluded.sealed, masks = excluded.masks,
       run_id = excluded.run_id, changed_at = now()`,
    [
      stream.connector,
      stream.id,
      run.today,
      run.id,
      of((w) => w.id),
      of((w) => w.subjectId),
      of((w) => w.record.subject.kind),
      of((w) => w.record.category),
      of((w) => w.record.kind),
      of((w) => publicityOf(model, w.record)),
      of((w) => w.record.region),
      of((w) => w.key),
      of((w) => w.record.version),
      of((w) => w.version),
      of((w) => w.record.deleted),
      of((w) => w.record.occurredOn),
      of((w) => w.record.validFrom),
      of((w) => w.record.validTo),
      of((w) => factOf(keys, model, w)),
      of((w) => w.content),
      ...[0, 1, 2, 3, 4, 5].map((i) => of((w) => w.columns?.[i] ?? null)),
    ],
  );
}

async function writeVersions(sql: Sql, keys: Keys, model: Model, writes: readonly Write[], runId: number): Promise<void> {
  const of = <T>(get: (w: Write) => T): T[] => writes.map(get);
  await sql.query(
    `insert into record_version (record_id, version, late, category, kind, publicity, source_version, deleted, mark, disputed, fact, content, region,
       occurred_on, valid_from, valid_to, open, internal, commercial, personal, sealed, masks, run_id)
     select t.record_id, t.version, t.late, t.category, t.kind,
       case when e.ended then 'non-public' else t.publicity end, t.source_version, t.deleted, e.mark, e.disputed, t.fact, t.content, t.region, t.occurred_on, t.valid_from, t.valid_to, t.open, t.internal, t.commercial, t.personal, t.sealed,
       t.masks, $1 from unnest($2::bigint[], $3::int[], $4::bool[], $5::smallint[], $6::text[], $7::text[], $8::text[], $9::bool[], $10::bytea[],
       $11::bytea[], $12::text[], $13::date[], $14::date[], $15::date[], $16::jsonb[], $17::jsonb[], $18::jsonb[], $19::jsonb[], $20::jsonb[], $21::jsonb[])
       as t(record_id, version, late, category, kind, publicity, source_version, deleted, fact, content, region, occurred_on, valid_from, valid_to, open,
         internal, commercial, personal, sealed, masks) join record e on e.id = t.record_id`,
    [
      runId,
      of((w) => w.id),
      of((w) => w.version),
      of((w) => w.late),
      of((w) => w.record.category),
      of((w) => w.record.kind),
      of((w) => publicityOf(model, w.record)),
      of((w) => w.record.version),
      of((w) => w.record.deleted),
      of((w) => factOf(keys, model, w)),
      of((w) => w.content),
      of((w) => w.record.region),
      of((w) => w.record.occurredOn),
      of((w) => w.record.validFrom),
      of((w) => w.record.validTo),
      ...[0, 1, 2, 3, 4, 5].map((i) => of((w) => w.columns?.[i] ?? null)),
    ],
  );
}

function factOf(keys: Keys, model: Model, { record, subjectId }: Write): Buffer {
  return factKey(keys, model, { ...record, subjectId });
}

function valuesOf(sealer: Sealer, model: Model, record: MappedRecord): ReturnType<typeof columnsOf> {
  const category = model.categories.get(record.category);
  return columnsOf(partValues(sealer, category?.type ?? '', category?.fields ?? new Map(), record.fields));
}

function publicityOf(model: Model, record: MappedRecord): 'public' | 'non-public' {
  return model.categories.get(record.category)?.kinds.get(record.kind)?.publicity ?? 'non-public';
}
