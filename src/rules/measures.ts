import type { Measure, MeasureNeed, SubjectKind } from '../model/types.ts';

/** What is known of a subject on the day. */
export interface Standing {
  kind: SubjectKind;
  roles: readonly string[];
  /** Grades of all schemes; those of another pack's scheme are never translated. */
  grades: readonly string[];
  /** On a list of dishonest subjects, or found dishonest. */
  dishonest: boolean;
  /** Bodily harm, major loss to the fund, serious effect, as a decision says. */
  serious: boolean;
  falseCommitment: boolean;
}

export interface MeasureAnswer {
  measure: Measure;
  eligible: boolean;
  /** Why not, condition by condition; empty where it is. */
  missing: ('grade' | 'kind' | 'role' | MeasureNeed)[];
}

/** Every measure of a pack, with whether the subject meets its conditions and which it does not (HN-31, HN-32, HN-33, WG-12, WG-13). */
export function measuresFor(measures: readonly Measure[], standing: Standing): MeasureAnswer[] {
  return measures.map((measure) => {
    const missing: MeasureAnswer['missing'] = [];
    if (measure.grades.length > 0 && !measure.grades.some((grade) => standing.grades.includes(grade))) missing.push('grade');
    if (!measure.kinds.includes(standing.kind)) missing.push('kind');
    if (measure.roles.length > 0 && !measure.roles.some((role) => standing.roles.includes(role))) missing.push('role');
    missing.push(...measure.needs.filter((need) => !meets(need, standing)));
    return { measure, eligible: missing.length === 0, missing };
  });
}

function meets(need: MeasureNeed, { dishonest, serious, falseCommitment }: Standing): boolean {
  switch (need) {
    case 'no-dishonest-record':
      return !dishonest && !serious;
    case 'dishonest':
      return dishonest;
    case 'serious':
      return serious;
    case 'false-commitment':
      return falseCommitment;
  }
}

/** One entry of the lists of measures that are permitted (HN-34): from when to when, both included. */
export interface PermittedMeasures {
  list: string;
  from: string;
  to?: string | undefined;
}

/** Lists in force that day that permit a constraint; it may be taken where there is one. An incentive needs none. */
export function permittedBy(measure: Measure, lists: readonly PermittedMeasures[], day: string): string[] {
  return lists
    .filter(({ list, from, to }) => measure.permittedBy.includes(list) && from <= day && (to === undefined || day <= to))
    .map(({ list }) => list);
}

export const mayTake = (measure: Measure, lists: readonly PermittedMeasures[], day: string): boolean =>
  measure.effect === 'incentive' || permittedBy(measure, lists, day).length > 0;
