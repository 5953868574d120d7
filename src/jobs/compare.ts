import type { RawRecord } from '../connectors/contract.ts';
import { setHash } from '../mapping/set-hash.ts';

/** Something the hub holds of a stream: a record, or a receipt. */
export interface Held {
  /** As it is stored. */
  key: string;
  /** What both sides compare: the platform's version, the content, or the number of the receipt. */
  stamp: string;
  /** Orders what one key stands at; null where nothing does. */
  version: string | null;
  /** Key and stamp as the platform writes them. */
  wire: readonly string[];
  /** Day in Shanghai on which the platform wrote it; '' where that is not told. */
  day: string;
  region: string;
  category: number;
  /** The source said that it no longer holds, or it was withheld: it need not be there. */
  gone: boolean;
}

/** Something the platform says it holds. */
export interface Told extends Omit<Held, 'key' | 'gone'> {
  /** Under which keys the hub may hold it. */
  forms: readonly string[];
  /** The key in readable parts, to be sealed. */
  parts: readonly string[];
  /** The row, where it came with one. */
  raw?: RawRecord | undefined;
}

/** `not-here`: the platform holds it, we do not. `not-there`: the reverse. `differs`: both do, and it says different things. */
export type DifferenceKind = 'not-here' | 'not-there' | 'differs';
export interface Difference {
  kind: DifferenceKind;
  category: number;
  day: string;
  region: string;
  /** As it is stored; what the platform calls it where it is not. */
  key: string;
  parts: readonly string[];
  ours: string | null;
  theirs: string | null;
  raw: RawRecord | undefined;
}

export interface Cell {
  category: number;
  day: string;
  region: string;
  ours: number;
  oursHash: string;
  theirs: number;
  theirsHash: string;
  /** How many differ for a known reason: refused with an issue, not yet due, moved on to a later version. */
  accounted: number;
  differences: number;
  /** What the verdict on the cell rests on: equal hashes, or a comparison of all its keys. */
  proof: 'hash' | 'keys';
}

export interface Comparison {
  differences: Difference[];
  /** Keys of ours that nobody told of or that are told older: not due if the platform is about to give a newer version. */
  doubtful: Set<string>;
  /** The newest that was told of each key. */
  newest: Map<string, Told>;
}

/**
 * Compares key by key: the newest that was told of each with what is held. `expected`: whether a held one has to be among those told.
 * Independent of the order in which the platform tells, and of how often it repeats itself.
 */
export function compareKeys(held: ReadonlyMap<string, Held>, told: readonly Told[], expected: (one: Held) => boolean): Comparison {
  const newest = new Map<string, Told>();
  const same = new Set<string>();
  for (const one of told) {
    const key = one.forms.find((form) => held.has(form)) ?? one.forms[0] ?? '';
    const ours = held.get(key);
    if (ours?.stamp === one.stamp) same.add(key);
    const before = newest.get(key);
    if (before === undefined || !isOlder(one.version, before.version)) newest.set(key, one);
  }
  const differences: Difference[] = [];
  const doubtful = new Set<string>();
  for (const [key, one] of newest) {
    const ours = held.get(key);
    if (ours?.stamp === one.stamp || (ours && same.has(key) && !isOlder(ours.version, one.version))) continue;
    const olderThere = ours !== undefined && isOlder(one.version, ours.version);
    if (olderThere && !expected(ours)) continue;
    if (olderThere) doubtful.add(key);
    const { category, day, region, parts, raw } = one;
    const kind = ours === undefined ? 'not-here' : 'differs';
    differences.push({ kind, category, day, region, key, parts, ours: ours?.stamp ?? null, theirs: one.stamp, raw });
  }
  for (const ours of held.values()) {
    if (ours.gone || newest.has(ours.key) || !expected(ours)) continue;
    doubtful.add(ours.key);
    const { category, day, region, key, wire, stamp } = ours;
    differences.push({
      kind: 'not-there',
      category,
      day,
      region,
      key,
      parts: wire.slice(0, -1),
      ours: stamp,
      theirs: null,
      raw: undefined,
    });
  }
  return { differences, doubtful, newest };
}

const isOlder = (version: string | null, than: string | null): boolean => version !== null && than !== null && version < than;

/** By category, day and region: how many there are, and their set hash. */
export function countCells(
  members: Iterable<Pick<Held, 'category' | 'day' | 'region' | 'wire'>>,
): Map<string, { count: number; hash: string }> {
  const sets = new Map<string, ReturnType<typeof setHash>>();
  for (const one of members) {
    const name = cellName(one);
    let set = sets.get(name);
    if (set === undefined) sets.set(name, (set = setHash()));
    set.add(one.wire);
  }
  return new Map([...sets].map(([name, set]) => [name, { count: set.count(), hash: set.text() }]));
}

export const cellName = ({ category, day, region }: { category: number; day: string; region: string }): string =>
  `${category}|${day}|${region}`;

const NOTHING = { count: 0, hash: setHash().text() };

/** The cells of both sides next to each other; those that only one side has are empty on the other. Differences are not counted yet. */
export function joinCells(
  ours: ReadonlyMap<string, { count: number; hash: string }>,
  theirs: ReadonlyMap<string, { count: number; hash: string }>,
): Cell[] {
  return [...new Set([...ours.keys(), ...theirs.keys()])].toSorted().map((name) => {
    const [category = '0', day = '', region = ''] = name.split('|');
    const [our, their] = [ours.get(name) ?? NOTHING, theirs.get(name) ?? NOTHING];
    return {
      category: Number(category),
      day,
      region,
      ours: our.count,
      oursHash: our.hash,
      theirs: their.count,
      theirsHash: their.hash,
      accounted: 0,
      differences: 0,
      proof: isEqual(our, their) ? 'hash' : 'keys',
    };
  });
}

/** Equal counts alone say nothing: one row may be gone, and another have come. */
export function isEqual(ours: { count: number; hash: string }, theirs: { count: number; hash: string }): boolean {
  return ours.count === theirs.count && ours.hash === theirs.hash;
}

/** Writes into each cell how many of its keys differ; a difference whose cell nobody stated gets one of its own. */
export function placeDifferences(cells: Cell[], differences: readonly Difference[]): Cell[] {
  const byName = new Map(cells.map((cell) => [cellName(cell), cell]));
  for (const one of differences) {
    const cell = byName.get(cellName(one)) ?? cells.find((c) => c.day === one.day && c.proof === 'keys') ?? addCell(cells, byName, one);
    cell.differences += 1;
  }
  for (const cell of cells)
    if (cell.proof === 'keys' && cell.differences === 0) cell.accounted = Math.max(1, Math.abs(cell.ours - cell.theirs));
  return cells;
}

function addCell(cells: Cell[], byName: Map<string, Cell>, { category, day, region }: Difference): Cell {
  const empty = { ours: 0, oursHash: NOTHING.hash, theirs: 0, theirsHash: NOTHING.hash, accounted: 0, differences: 0 };
  const cell: Cell = { ...empty, category, day, region, proof: 'keys' };
  cells.push(cell);
  byName.set(cellName(cell), cell);
  return cell;
}
