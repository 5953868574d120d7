/** What tables show of the cells that they hide, found out by somebody who can add and subtract. */
import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { type Counted, hiddenCells } from '../src/access/suppress.ts';

const K = 5;

/** A table with its margins. A subject is counted once in every cell it has records in. */
function table(rows: readonly (readonly { records: number; subjects: number }[])[]): Counted[] {
  const inner = rows
    .flatMap((row, r) => row.map((cell, c) => ({ at: [`r${r}`, `c${c}`] as (string | null)[], ...cell })))
    .filter((cell) => cell.records > 0);
  const sum = (at: (string | null)[]): Counted => {
    const own = inner.filter((cell) => at.every((value, i) => value === null || cell.at[i] === value));
    return { at, records: own.reduce((n, c) => n + c.records, 0), subjects: own.reduce((n, c) => n + c.subjects, 0) };
  };
  const values = (i: 0 | 1) => [...new Set(inner.map((cell) => cell.at[i] ?? ''))];
  return [...inner, ...values(0).map((r) => sum([r, null])), ...values(1).map((c) => sum([null, c])), sum([null, null])];
}

const cell = fc
  .integer({ min: 0, max: 9 })
  .chain((subjects) => fc.integer({ min: 0, max: 3 }).map((more) => ({ subjects, records: subjects === 0 ? 0 : subjects + more })));
const tables = fc
  .tuple(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 3 }))
  .chain(([rows, columns]) => fc.array(fc.array(cell, { minLength: columns, maxLength: columns }), { minLength: rows, maxLength: rows }))
  .filter((rows) => rows.flat().some((one) => one.records > 0))
  .map(table);

/**
 * The smallest and largest number that each hidden cell can be, by trying: every way to fill the inner hidden cells with 1, 2, 3 … that gives the shown
 * cells and margins. Hidden margins follow from them. Independent of the code under test: no flows, no lines, only sums.
 */
function attack(cells: readonly Counted[], hidden: ReadonlySet<Counted>, most: number): Map<Counted, Set<number>> {
  const inner = cells.filter((one) => one.at.every((value) => value !== null));
  const margins = cells.filter((one) => !inner.includes(one));
  const open = inner.filter((one) => hidden.has(one));
  const values = new Map(inner.map((one) => [one, one.records]));
  const found = new Map<Counted, Set<number>>([...hidden].map((one) => [one, new Set()]));
  const members = new Map(margins.map((m) => [m, inner.filter((one) => m.at.every((value, i) => value === null || one.at[i] === value))]));
  const sumOf = (m: Counted) => (members.get(m) ?? []).reduce((n, one) => n + (values.get(one) ?? 0), 0);
  const shown = margins.filter((m) => !hidden.has(m));
  let steps = 0;
  const fill = (i: number): void => {
    const next = open[i];
    if (next === undefined) {
      if (shown.some((m) => sumOf(m) !== m.records)) return;
      for (const one of hidden) found.get(one)?.add(inner.includes(one) ? (values.get(one) ?? 0) : sumOf(one));
      return;
    }
    for (let value = 1; value <= most; value += 1) {
      steps += 1;
      if (steps > 400_000) return;
      values.set(next, value);
      // No shown margin may already be passed.
      const rest = new Set(open.slice(i + 1));
      const possible = shown.every((m) => {
        const own = members.get(m) ?? [];
        const sum = own.reduce((n, one) => n + (rest.has(one) ? 1 : (values.get(one) ?? 0)), 0);
        return sum <= m.records && (own.some((one) => rest.has(one)) || sum === m.records);
      });
      if (possible) fill(i + 1);
    }
    values.set(next, next.records);
  };
  fill(0);
  return steps > 400_000 ? new Map() : found;
}

describe('small cells', () => {
  it('U28 HN-5 cannot be given back: each hidden number could be at least k others, however shown sums are added and subtracted', () => {
    let attacked = 0;
    fc.assert(
      fc.property(tables, (cells) => {
        const hidden = hiddenCells(cells, K);
        for (const [one, numbers] of attack(cells, hidden, 24)) {
          attacked += 1;
          expect(numbers.size).toBeGreaterThanOrEqual(1);
          expect({ at: one.at, wide: Math.max(...numbers) - Math.min(...numbers) >= K || mayGrow(cells, hidden, one) }).toEqual({
            at: one.at,
            wide: true,
          });
        }
      }),
      { numRuns: 150, seed: 20261123 },
    );
    expect(attacked).toBeGreaterThan(150);
  });

  it('U28 hides every cell of fewer than k subjects, and nothing where there is none', () => {
    fc.assert(
      fc.property(tables, (cells) => {
        const hidden = hiddenCells(cells, K);
        for (const one of cells) if (one.subjects < K) expect(hidden.has(one)).toBe(true);
        if (cells.every((one) => one.subjects >= K)) expect(hidden.size).toBe(0);
      }),
      { numRuns: 500, seed: 20261123 },
    );
  });

  it('U28 hiding only the small cells themselves would give them back: the attack finds them', () => {
    const cells = table([
      [
        { records: 2, subjects: 2 },
        { records: 9, subjects: 9 },
      ],
      [
        { records: 8, subjects: 8 },
        { records: 7, subjects: 7 },
      ],
    ]);
    const small = new Set(cells.filter((one) => one.subjects < K));
    expect([...attack(cells, small, 24).values()].map((numbers) => [...numbers])).toEqual([[2]]);
    expect(hiddenCells(cells, K).size).toBeGreaterThan(small.size);
  });

  it('L9 no line tells the sum of hidden cells that have fewer than k subjects together', () => {
    fc.assert(
      fc.property(tables, (cells) => {
        const hidden = hiddenCells(cells, K);
        for (const i of [0, 1]) {
          for (const line of Map.groupBy(cells, (one) => JSON.stringify(one.at.toSpliced(i, 1))).values()) {
            const own = line.filter((one) => hidden.has(one));
            if (own.length > 0 && own.length < line.length) expect(Math.max(...own.map((one) => one.subjects))).toBeGreaterThanOrEqual(K);
          }
        }
      }),
      { numRuns: 500, seed: 3 },
    );
  });

  it('U28 does the same for lists, tables of one dimension', () => {
    const list = fc.array(cell, { minLength: 1, maxLength: 6 }).map((of) => {
      const inner = of.map((one, i) => ({ at: [`v${i}`] as (string | null)[], ...one })).filter((one) => one.records > 0);
      const total = { at: [null], records: inner.reduce((n, c) => n + c.records, 0), subjects: inner.reduce((n, c) => n + c.subjects, 0) };
      return [...inner, total];
    });
    fc.assert(
      fc.property(list, (cells) => {
        const hidden = [...hiddenCells(cells, K)];
        const total = cells.at(-1);
        if (hidden.length === 0 || (total && hidden.includes(total))) return;
        const sum = hidden.reduce((n, one) => n + one.records, 0);
        // Each of them is at least one, so each can be anything up to what the others leave.
        expect(hidden.length).toBeGreaterThan(1);
        expect(sum - hidden.length).toBeGreaterThanOrEqual(K);
      }),
      { numRuns: 500, seed: 5 },
    );
  });
});

/** Whether the attack was cut off where a hidden margin lets a cell grow without end: it is as wide as anybody may ask. */
function mayGrow(cells: readonly Counted[], hidden: ReadonlySet<Counted>, one: Counted): boolean {
  const holding = cells.filter(
    (m) => m !== one && m.at.some((value) => value === null) && m.at.every((value, i) => value === null || one.at[i] === value),
  );
  return holding.length > 0 && holding.every((m) => hidden.has(m));
}
