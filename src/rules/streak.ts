import type { Streak } from '../model/types.ts';

/** One calendar year of a subject as it is known. */
export interface Year {
  year: number;
  grades: readonly string[];
  /** Violations that stand; what was corrected away is not here. */
  violations: number;
}

export interface Held {
  streak: Streak;
  /** Years without a break up to and with the last one, the newest last. */
  years: number[];
  reached: boolean;
}

/** How long a streak has been held at the end of `until` (WG-14, SD-9.1): a missing year, another grade or a violation breaks it. 3 年以上 is three and more. */
export function streakOf(streak: Streak, years: readonly Year[], until: number): Held {
  const of = new Map(years.map((one) => [one.year, one]));
  const held: number[] = [];
  for (let at = until; ; at -= 1) {
    const year = of.get(at);
    const good = year !== undefined && (streak.of === 'clean' ? year.violations === 0 : year.grades.includes(streak.grade ?? ''));
    if (!good) break;
    held.unshift(at);
  }
  return { streak, years: held, reached: held.length >= streak.years };
}
