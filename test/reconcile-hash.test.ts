/** The hash of a set that both sides of a reconciliation compute, and the comparison of cells and keys that rests on it. */
import { describe, expect, it } from '@jest/globals';
import { array, assert, constantFrom, integer, property, string, tuple } from 'fast-check';
import { type Held, compareKeys, countCells, isEqual, joinCells, type Told } from '../src/jobs/compare.ts';
import { setHash } from '../src/mapping/set-hash.ts';
import { type Holding, totalsOf } from '../src/sandbox/reconcile.ts';

const hashOf = (members: readonly (readonly string[])[]) => {
  const set = setHash();
  for (const member of members) set.add(member);
  return set.text();
};
const member = tuple(string({ minLength: 1, maxLength: 8 }), string({ maxLength: 8 })).map(([key, stamp]) => [
  key.replaceAll('\n', ' '),
  stamp.replaceAll('\n', ' '),
]);

describe('the hash of a set', () => {
  it('U24 is the same in every order', () => {
    assert(property(array(member), integer(), (members, seed) => hashOf(shuffled(members, seed)) === hashOf(members)));
  });

  it('U24 is another when one member goes, comes, or says something else', () => {
    assert(
      property(array(member, { minLength: 1 }), member, integer(), (members, other, at) => {
        const i = Math.abs(at) % members.length;
        const without = members.toSpliced(i, 1);
        const replaced = members.with(i, other);
        const same = JSON.stringify(members[i]) === JSON.stringify(other);
        expect(hashOf(without)).not.toBe(hashOf(members));
        expect(hashOf([...members, other])).not.toBe(hashOf(members));
        expect(hashOf(replaced) === hashOf(members)).toBe(same);
      }),
    );
  });

  it('U24 counts a member as often as it is there: two of a kind do not cancel each other, as they would under XOR', () => {
    assert(
      property(member, integer({ min: 0, max: 20 }), integer({ min: 0, max: 20 }), (one, n, m) => {
        const times = (count: number) => hashOf(Array.from({ length: count }, () => one));
        expect(times(n) === times(m)).toBe(n === m);
      }),
    );
  });

  it('U24 is what the stand-in of a platform computes by its own code from the same recipe', () => {
    const time = '2026-11-20 10:00:00';
    const window = { beginTime: '2026-11-19 23:59:59', endTime: '2026-11-20 23:59:59' };
    assert(
      property(array(member, { minLength: 1 }), (members) => {
        const holdings = members.map(([key = '', stamp = '']): Holding => ({ key: [key], stamp, time, region: '430100' }));
        expect(totalsOf(holdings, window)).toEqual({
          cells: [{ RQ: '2026-11-20', XZQH: '430100', SL: members.length, ZY: hashOf(members) }],
        });
      }),
    );
  });

  it('U24 has known values, so that a platform can check its own', () => {
    expect(hashOf([])).toBe('0'.repeat(64));
    // SHA-256 of "A\n2026-11-20 10:00:00".
    expect(hashOf([['A', '2026-11-20 10:00:00']])).toBe(KNOWN);
  });
});
const KNOWN = '946a057ed7165389d14d6e431752e9689928272af07630551adc7a2e31a27b5c';

const DAYS = ['2026-11-19', '2026-11-20'];
const version = constantFrom(...DAYS.map((day) => `${day}T02:00:00.000000Z`));
const heldOf = (key: string, at: string): Held => ({
  key,
  stamp: at,
  version: at,
  wire: [key, at],
  day: at.slice(0, 10),
  region: '430100',
  category: 3,
  gone: false,
});
const toldOf = (key: string, at: string): Told => {
  const { gone: _gone, ...rest } = heldOf(key, at);
  return { ...rest, forms: [key], parts: [key] };
};
const side = array(tuple(string({ minLength: 1, maxLength: 3 }), version), { maxLength: 30 }).map((rows) => new Map(rows));

describe('the comparison of two sides', () => {
  it('U24 names exactly the keys that one side lacks or that say another thing, whatever the two sides hold', () => {
    assert(
      property(side, side, (ours, theirs) => {
        const held = new Map([...ours].map(([key, at]) => [key, heldOf(key, at)]));
        const told = [...theirs].map(([key, at]) => toldOf(key, at));
        const { differences } = compareKeys(held, told, () => true);
        const of = (kind: string) =>
          differences
            .filter((one) => one.kind === kind)
            .map((one) => one.key)
            .toSorted();
        expect(of('not-here')).toEqual([...theirs.keys()].filter((key) => !ours.has(key)).toSorted());
        expect(of('not-there')).toEqual([...ours.keys()].filter((key) => !theirs.has(key)).toSorted());
        expect(of('differs')).toEqual(
          [...ours].flatMap(([key, at]) => (theirs.has(key) && theirs.get(key) !== at ? [key] : [])).toSorted(),
        );
        expect(compareKeys(held, told.toReversed(), () => true).differences).toHaveLength(differences.length);
      }),
    );
  });

  it('U25 finds no cell equal in which a key differs; by counts alone it would', () => {
    const held = ['A', 'B', 'C'].map((key) => heldOf(key, '2026-11-20T02:00:00.000000Z'));
    const told = ['A', 'B', 'D'].map((key) => heldOf(key, '2026-11-20T02:00:00.000000Z'));
    const [ours, theirs] = [[...countCells(held).values()][0], [...countCells(told).values()][0]];
    if (ours === undefined || theirs === undefined) throw new Error('no cell');
    const byCount = (one: typeof ours, other: typeof ours) => one.count === other.count;
    expect([isEqual(ours, theirs), byCount(ours, theirs)]).toEqual([false, true]);
    expect(joinCells(countCells(held), countCells(told)).map((cell) => cell.proof)).toEqual(['keys']);
  });

  it('U25 a cell that only one side has is no equal cell', () => {
    const held = [heldOf('A', '2026-11-20T02:00:00.000000Z')];
    for (const cells of [joinCells(countCells(held), new Map()), joinCells(new Map(), countCells(held))])
      expect(cells.map((cell) => [cell.proof, cell.ours + cell.theirs])).toEqual([['keys', 1]]);
  });

  it('U24 a platform that tells a key twice is believed the newer time, in either order', () => {
    const held = new Map([['A', heldOf('A', '2026-11-20T02:00:00.000000Z')]]);
    const told = [toldOf('A', '2026-11-19T02:00:00.000000Z'), toldOf('A', '2026-11-20T02:00:00.000000Z')];
    for (const list of [told, told.toReversed()]) expect(compareKeys(held, list, () => true).differences).toEqual([]);
  });
});

function shuffled<T>(list: readonly T[], seed: number): T[] {
  return list
    .map((one, i) => ({ one, at: Math.sin(seed + i * 7919) }))
    .toSorted((a, b) => a.at - b.at)
    .map(({ one }) => one);
}
