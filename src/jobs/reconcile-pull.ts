import type { OpenConnector, Page, PullFrom, RawRecord } from '../connectors/contract.ts';
import type { Reconciling, StatedKey, Window } from '../connectors/reconcile.ts';
import { RejectRecord, StopStream } from '../errors.ts';
import { type CompiledMapping, compileMapping } from '../mapping/compile.ts';
import { dayInShanghai, SHANGHAI_MS } from '../mapping/dates.ts';
import { contentOf, type MappedRecord } from '../mapping/record.ts';
import { versionReader } from '../mapping/value.ts';
import type { PullStream } from '../model/types.ts';
import { type HeldRecord, heldRecords, refusedAmong, withheldAmong } from '../store/held.ts';
import { keyForms } from '../store/records.ts';
import { knownCodes } from '../store/subjects.ts';
import {
  type Cell,
  cellName,
  compareKeys,
  type Comparison,
  countCells,
  type Difference,
  type Held,
  joinCells,
  placeDifferences,
  type Told,
} from './compare.ts';
import type { Jobs } from './hub.ts';

export interface Found {
  method: 'asked' | 'listed' | 'reread';
  until: string | null;
  cells: Cell[];
  differences: Difference[];
}
export interface Side {
  stream: PullStream;
  asking: Reconciling;
  open: OpenConnector;
  window: Window;
  /** Only this day, YYYY-MM-DD. */
  day: string | undefined;
  /** Whether the stream knows up to which time it was read. */
  timed: boolean;
  now: string;
}

/**
 * Compares a pull stream with a platform that states counts and hashes: the keys of a day are asked for only where they differ. Every row that the
 * platform has and we do not is then read by its key: one that was refused with an issue is accounted for.
 */
export async function compareAsked(jobs: Jobs, side: Side): Promise<Found> {
  const { stream, asking, window } = side;
  const { reconcile, mapping } = stream;
  if (reconcile?.kind !== 'asked') throw new StopStream(`no-reconcile: ${stream.zh} 没有约定对账汇总接口`);
  const withRegion = reconcile.totals.region !== undefined;
  const stated = await asking.totals(window);
  const held = await readHeld(jobs, stream, (record) => askedHeld(record, mapping.category, withRegion));
  const inside = (one: Held) => one.version !== null && isWithin(one.version, window);
  const ours = countCells([...held.values()].filter(inside));
  const theirs = new Map(stated.map((cell) => [cellName({ ...cell, category: mapping.category }), cell]));
  const cells = joinCells(ours, theirs);
  const days = new Set(cells.filter((cell) => cell.proof === 'keys').map((cell) => cell.day));
  const normal = normaliser(jobs, stream);
  const told: Told[] = [];
  for (const day of days) for await (const keys of asking.keys(dayWindow(day, window))) told.push(...keys.map(normal));
  const expected = (one: Held) => inside(one) && days.has(one.day);
  let compared = compareKeys(held, told, expected);
  if (compared.doubtful.size > 0) {
    const newer: Told[] = [];
    for await (const keys of asking.keys({ since: window.until, until: side.now })) newer.push(...keys.map(normal));
    compared = withoutMoved(compared, held, newer);
  }
  const lost = compared.differences.filter((one) => one.kind === 'not-here');
  const rows = new Map<Difference, RawRecord>();
  for (const one of compared.differences.filter((d) => d.kind !== 'not-there'))
    for await (const given of asking.rows([[...one.parts]])) for (const row of given) rows.set(one, row);
  const accounted = await accountedAmong(jobs, stream, lost, (one) => rows.get(one));
  const differences = compared.differences.flatMap((one) => (accounted.has(one) ? [] : [{ ...one, raw: rows.get(one) }]));
  return { method: 'asked', until: window.until, cells: placeDifferences(cells, differences), differences };
}

/** Compares a pull stream with all that its platform delivers when it is asked from the beginning again; keys and contents are compared. */
export async function compareReread(jobs: Jobs, side: Side): Promise<Found> {
  const { stream, asking, window, day, timed } = side;
  const mapping = compileMapping(jobs.model, stream);
  const today = dayInShanghai(jobs.now());
  const from: PullFrom = { cursor: null, keys: (scheme, after, limit) => knownCodes(jobs.pool, scheme, after, limit) };
  const read = async (pages: AsyncIterable<Page>) => {
    const told: Told[] = [];
    for await (const page of pages) told.push(...page.records.flatMap((raw) => toldRow(jobs, mapping, raw, today, held)));
    return told;
  };
  const held = await readHeld(jobs, stream, (record) => ({ ...heldBy(record), stamp: record.content, wire: [record.key, record.content] }));
  const told = await read(asking.reread(window, from));
  const expected = (one: Held) =>
    (day === undefined || one.day === day) && (!timed || one.version === null || isWithin(one.version, window));
  let compared = compareKeys(held, told, expected);
  if (compared.doubtful.size > 0)
    compared = withoutMoved(compared, held, await read(asking.waiting({ since: window.until, until: side.now }, from)));
  const inScope = compared.differences.filter((one) => day === undefined || one.day === day);
  const accounted = await accountedAmong(
    jobs,
    stream,
    inScope.filter((one) => one.kind !== 'not-there'),
    (one) => one.raw,
  );
  const differences = inScope.filter((one) => !accounted.has(one));
  const gone = (one: Held) => one.gone && !compared.newest.has(one.key);
  const theirs = [...compared.newest.values()].filter((one) => day === undefined || one.day === day);
  const cells = joinCells(countCells([...held.values()].filter((one) => expected(one) && !gone(one))), countCells(theirs));
  return { method: 'reread', until: timed ? window.until : null, cells: placeDifferences(cells, differences), differences };
}

/** Those whose newer version the platform has not delivered yet are no difference. */
function withoutMoved(compared: Comparison, held: ReadonlyMap<string, Held>, newer: readonly Told[]): Comparison {
  const moved = new Set(newer.flatMap((one) => one.forms.filter((form) => held.has(form))));
  return { ...compared, differences: compared.differences.filter((one) => !(compared.doubtful.has(one.key) && moved.has(one.key))) };
}

async function readHeld(jobs: Jobs, stream: PullStream, to: (record: HeldRecord) => Held): Promise<Map<string, Held>> {
  const held = new Map<string, Held>();
  for await (const batch of heldRecords(jobs.pool, stream)) for (const record of batch) held.set(record.key, to(record));
  return held;
}

function heldBy({ key, version, category, region, occurredOn, gone }: HeldRecord) {
  return { key, version, category, region: region ?? '', day: dayOf(version) ?? occurredOn ?? '', gone };
}

/** As the platform hashes it: the columns of the key and the version in its own clock. A key that is stored blind cannot be; the keys tell. */
function askedHeld(record: HeldRecord, category: number, withRegion: boolean): Held {
  const version = record.version ?? '';
  const parts = record.key.startsWith('[') ? (JSON.parse(record.key) as (string | null)[]).map((part) => part ?? '') : [record.key];
  return {
    ...heldBy(record),
    category,
    region: withRegion ? (record.region ?? '') : '',
    stamp: version,
    wire: [...parts, localOf(version)],
  };
}

function normaliser(jobs: Jobs, { mapping }: PullStream): (stated: StatedKey) => Told {
  const [column = ''] = mapping.version?.from ?? [];
  const read = versionReader(mapping.version);
  return ({ key, stamp }) => {
    const version = readable(read, { [column]: stamp }) ?? stamp;
    const stored = JSON.stringify(key.map((part) => part || null));
    const folded = JSON.stringify(key.map((part) => part.trim().toUpperCase() || null));
    const forms = [...new Set([stored, folded].flatMap((one) => keyForms(jobs.keys, one)))];
    const day = dayOf(version) ?? stamp.slice(0, 10);
    return { forms, parts: key, stamp: version, version, wire: [...key, stamp], day, region: '', category: mapping.category };
  };
}

function readable(read: ReturnType<typeof versionReader>, raw: Record<string, unknown>): string | null {
  try {
    return read(raw);
  } catch (error) {
    if (error instanceof RejectRecord) return null;
    throw error;
  }
}

/** A row as it would be stored. One that the mapping refuses still has a key; it stands at nothing that we could hold. */
function toldRow(jobs: Jobs, mapping: CompiledMapping, raw: RawRecord, today: string, held: ReadonlyMap<string, Held>): Told[] {
  const key = raw.broken ? undefined : mapping.keyOf(raw.data);
  const mapped = raw.broken ? undefined : mappedOf(mapping, raw, today);
  const base = { parts: key === undefined ? [] : partsOf(key), raw };
  if (mapped === undefined) {
    // What was stored of it before still stands, though its newest version was refused.
    const forms = keyForms(jobs.keys, key ?? `${raw.at}`);
    const before = forms.map((form) => held.get(form)).find((one) => one !== undefined);
    const stamp = before?.stamp ?? '';
    return [
      {
        ...base,
        forms,
        stamp,
        version: null,
        wire: before?.wire ?? [forms[0] ?? '', ''],
        day: '',
        region: '',
        category: 0,
        ...placeOf(before),
      },
    ];
  }
  const content = jobs.keys.fingerprint('content', contentOf(mapped)).toString('hex');
  const forms = keyForms(jobs.keys, mapped.key);
  const stored = forms.find((form) => held.has(form)) ?? mapped.key;
  const day = dayOf(mapped.version) ?? mapped.occurredOn ?? '';
  const told = { forms, stamp: content, version: mapped.version, wire: [stored, content], day, region: mapped.region ?? '' };
  return [{ ...base, ...told, category: mapped.category }];
}

const placeOf = (held: Held | undefined) => (held === undefined ? {} : { day: held.day, region: held.region, category: held.category });

function partsOf(key: string): string[] {
  return key.startsWith('[') ? (JSON.parse(key) as (string | null)[]).map((part) => String(part ?? '')) : [key];
}

function mappedOf(mapping: CompiledMapping, raw: RawRecord, today: string): MappedRecord | undefined {
  try {
    return mapping.map(raw.data, today);
  } catch (error) {
    if (error instanceof RejectRecord) return undefined;
    throw error;
  }
}

/** Rows that were refused with an issue, and rows about somebody of whom nothing more is taken. A row that cannot be had accounts for nothing. */
async function accountedAmong(
  jobs: Jobs,
  stream: PullStream,
  lost: readonly Difference[],
  rowOf: (one: Difference) => RawRecord | undefined,
): Promise<Set<Difference>> {
  const with_ = lost.flatMap((one) => (rowOf(one) === undefined ? [] : [{ one, row: rowOf(one) as RawRecord }]));
  const refused = await refusedAmong(
    jobs.pool,
    jobs.keys,
    stream,
    with_.map(({ row }) => row.data),
  );
  const mapping = compileMapping(jobs.model, stream);
  const today = dayInShanghai(jobs.now());
  const mapped = with_.flatMap(({ one, row }) => {
    const record = mappedOf(mapping, row, today);
    return record === undefined ? [] : [{ one, record }];
  });
  const withheld = await withheldAmong(
    jobs.pool,
    jobs.keys,
    mapped.map(({ record }) => record),
  );
  return new Set([
    ...with_.flatMap(({ one }, i) => (refused.has(i) ? [one] : [])),
    ...mapped.flatMap(({ one, record }) => (withheld.has(record) ? [one] : [])),
  ]);
}

/** Day in Shanghai of an ISO instant; undefined for a version that is none. */
export function dayOf(version: string | null): string | undefined {
  return version === null || !/^\d{4}-\d\d-\d\dT/.test(version) ? undefined : dayInShanghai(new Date(version));
}

/** An ISO instant in the clock of Shanghai, to the second. */
export function localOf(version: string): string {
  const at = Date.parse(version);
  return Number.isNaN(at) ? version : new Date(at + SHANGHAI_MS).toISOString().slice(0, 19).replace('T', ' ');
}

function isWithin(version: string, { since, until }: Window): boolean {
  const local = localOf(version);
  return since < local && local <= until;
}

/** The part of a window that lies in a day: (the second before midnight, the last second]. */
export function dayWindow(day: string, { since, until }: Window): Window {
  const start = new Date(Date.parse(`${day}T00:00:00Z`) - 1000).toISOString().slice(0, 19).replace('T', ' ');
  const end = `${day} 23:59:59`;
  return { since: start > since ? start : since, until: end < until ? end : until };
}
