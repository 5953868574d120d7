/** Seeded chance: the same seed and label give the same sequence on every machine. */
export interface Random {
  /** In [0, 1). */
  next(): number;
  /** Whole number, both ends included. */
  int(min: number, max: number): number;
  chance(probability: number): boolean;
  pick<T>(list: readonly T[]): T;
  /** Picks by weight; weights need not add up to anything. */
  weighted<T>(choices: readonly (readonly [T, number])[]): T;
  /** A new list in another order. */
  shuffled<T>(list: readonly T[]): T[];
  digits(count: number): string;
  /** Lower-case hexadecimal text. */
  hex(count: number): string;
  guid(): string;
}

/** mulberry32. `label` gives each kind of row its own sequence, so that more rows of one kind leave the others as they were. */
export function randomOf(seed: number, label: string): Random {
  let state = (seed ^ labelHash(label)) >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  const int = (min: number, max: number): number => min + Math.floor(next() * (max - min + 1));
  const pick = <T>(list: readonly T[]): T => {
    if (list.length === 0) throw new RangeError('nothing to pick from');
    return list[int(0, list.length - 1)] as T;
  };
  const text = (alphabet: string, count: number): string =>
    Array.from({ length: count }, () => alphabet.charAt(int(0, alphabet.length - 1))).join('');
  return {
    next,
    int,
    pick,
    chance: (probability) => next() < probability,
    weighted: (choices) => {
      let left = next() * choices.reduce((sum, [, weight]) => sum + weight, 0);
      for (const [value, weight] of choices) if ((left -= weight) < 0) return value;
      return pick(choices)[0];
    },
    shuffled: (list) => {
      const copy = [...list];
      for (let i = copy.length - 1; i > 0; i--) {
        const j = int(0, i);
        const held = copy[i] as (typeof copy)[number];
        copy[i] = copy[j] as (typeof copy)[number];
        copy[j] = held;
      }
      return copy;
    },
    digits: (count) => text('0123456789', count),
    hex: (count) => text('0123456789abcdef', count),
    guid: () =>
      `${text('0123456789ABCDEF', 8)}-${text('0123456789ABCDEF', 4)}-4${text('0123456789ABCDEF', 3)}-A${text('0123456789ABCDEF', 3)}-${text('0123456789ABCDEF', 12)}`,
  };
}

function labelHash(label: string): number {
  let hash = 0x811c9dc5;
  for (const c of label) hash = Math.imul(hash ^ (c.codePointAt(0) ?? 0), 0x01000193);
  return hash >>> 0;
}
