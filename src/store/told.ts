import type { MappedRecord } from '../mapping/record.ts';
import type { FieldValue, Model, SubjectKind } from '../model/types.ts';
import type { Keys } from './keys.ts';
import { SubjectRace } from './race.ts';
import type { Sql } from './sql.ts';
import { type Opener, openerOf, type SealerOf } from './subject-keys.ts';
import { columnsOf, partValues } from './values.ts';

/** What the records of a page tell of one subject. */
export interface Told {
  registered: boolean;
  region: string | null;
  roles: Set<string>;
  columns: ReturnType<typeof columnsOf>;
}

/** Identifier fields, roles, region, and the name – of a registration, or the first one told. */
export function toldOf(sealerOf: SealerOf, model: Model, subjectOf: ReadonlyMap<MappedRecord, number>): Map<number, Told> {
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
      return [id, { ...rest, columns: columnsOf(partValues(sealerOf(id), type?.type ?? '', type?.fields ?? new Map(), values)) }];
    }),
  );
}

/** Adds what the records tell to subjects that were known before. */
export async function describe(
  sql: Sql,
  keys: Keys,
  model: Model,
  told: ReadonlyMap<number, Told>,
  renamed: ReadonlySet<number>,
): Promise<void> {
  if (told.size === 0) return;
  const ids = [...told.keys()].sort((a, b) => a - b);
  // Held until the page is committed: what another page tells of these subjects meanwhile would be lost, and its records left in the old region.
  const held = await sql.query<Held>(
    `select id, kind, sealed, merged_into is not null as merged, withheld is not null as withheld
     from subject where id = any($1) order by id for no key update`,
    [ids],
  );
  if (held.rows.some((row) => row.withheld)) throw new SubjectRace('a subject of this page was closed at the same moment');
  if (held.rows.some((row) => row.merged)) throw new SubjectRace('a subject of this page became one with another at the same moment');
  const heldOf = new Map(held.rows.map((row) => [row.id, row]));
  const rows = ids.map((id) => told.get(id)).filter((e) => e !== undefined);
  const column = (i: number) => rows.map((e) => e.columns[i] ?? null);
  const wins = ids.map((id) => told.get(id)?.registered === true || renamed.has(id));
  const texts = rows.flatMap((e, i) => (wins[i] ? [heldOf.get(ids[i] ?? 0)?.sealed ?? {}, sealedOf(e)] : [])).flatMap(Object.values);
  const open = await openerOf(sql, keys, texts as string[]);
  const sealed = rows.map((e, i) => (wins[i] ? sealedAnew(open, model, heldOf.get(ids[i] ?? 0), e) : e.columns[SEALED]));
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
function sealedAnew(open: Opener, model: Model, held: Held | undefined, told: Told): string | null {
  const type = model.subjects.get(held?.kind ?? 'person')?.type ?? '';
  if (told.columns[SEALED] === null || !held?.sealed) return told.columns[SEALED];
  const values = sealedOf(told);
  for (const [name, text] of Object.entries(values)) {
    const before = held.sealed[name];
    const context = `${type}.${name}`;
    if (before !== undefined && open(before, context) === open(text, context)) values[name] = before;
  }
  return JSON.stringify(values);
}

const sealedOf = (told: Told) => JSON.parse(told.columns[SEALED] ?? '{}') as Record<string, string>;

interface Held {
  id: number;
  kind: SubjectKind;
  sealed: Record<string, string> | null;
  merged: boolean;
  withheld: boolean;
}

/** What is known wins over what is told, unless a registration tells it, or the name that is known was another's. */
function merge(column: string): string {
  const both = `case when t.wins then coalesce(s.${column}, '{}') || coalesce(t.${column}, '{}') else coalesce(t.${column}, '{}') || coalesce(s.${column}, '{}') end`;
  return column === 'open' ? both : `nullif(${both}, '{}'::jsonb)`;
}
