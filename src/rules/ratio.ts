import type { InspectionRatio, SubjectKind } from '../model/types.ts';

/** What part of the subjects may or must be drawn for inspection (U21). */
export interface RatioAnswer {
  /** `at-most`: any share up to it; `exactly`: this share. */
  bound: 'at-most' | 'exactly';
  /** Share in hundredths of a percent of all subjects, never above 10 000. */
  share: number;
  /** A raised ratio would have passed 100 %. */
  capped: boolean;
  soft: boolean;
  cites: string[];
}

/**
 * The share for a grade, from the original one (hundredths of a percent): the strictest of the rules that concern this kind of subject and this level of the
 * inspecting office. Where no rule does, the original share stands. Throws RangeError for a share outside 0–10 000.
 */
export function inspectionRatio(
  rules: readonly InspectionRatio[],
  asked: { grade: string; kind: SubjectKind; level: 'province' | 'city' | 'county'; original: number },
): RatioAnswer {
  const { grade, kind, level, original } = asked;
  if (!Number.isInteger(original) || original < 0 || original > 10_000) throw new RangeError(`${original} is no share`);
  const found = rules.filter(
    (rule) => rule.grade === grade && rule.kinds.includes(kind) && (rule.levels.length === 0 || rule.levels.includes(level)),
  );
  const answers = found.map((rule): RatioAnswer => {
    const exact = rule.bound === 'all' ? 10_000 : rule.bound === 'unchanged' ? original : (original * (rule.percent ?? 100)) / 100;
    const bound = rule.bound === 'at-most' ? 'at-most' : 'exactly';
    const share = Math.min(10_000, bound === 'at-most' || (rule.percent ?? 100) <= 100 ? Math.floor(exact) : Math.ceil(exact));
    return { bound, share, capped: exact > 10_000, soft: rule.soft, cites: [rule.cite] };
  });
  const [strictest] = answers.toSorted((a, b) => a.share - b.share);
  if (strictest === undefined) return { bound: 'exactly', share: original, capped: false, soft: false, cites: [] };
  return { ...strictest, cites: [...new Set(answers.filter(({ share }) => share === strictest.share).flatMap(({ cites }) => cites))] };
}

/** Subjects to draw of so many: floor of a lowered share or an upper bound, ceiling of a raised one, never more than there are. */
export function headCount({ share }: RatioAnswer, original: number, subjects: number): number {
  const exact = (share * subjects) / 10_000;
  return Math.min(subjects, share > original ? Math.ceil(exact) : Math.floor(exact));
}
