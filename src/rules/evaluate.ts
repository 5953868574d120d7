import type { Evaluation, Indicator } from '../model/types.ts';
import { holds } from './interval.ts';

/** A record as an evaluation sees it. */
export interface EvaluatedFact {
  /** The record's name, to be pointed at. */
  id: string;
  category: number;
  kind: string;
  fields: Readonly<Record<string, unknown>>;
  /** Under an open objection: it counts, and the score says so. */
  disputed?: boolean;
}

export interface EvaluatedSubject {
  roles: readonly string[];
  facts: readonly EvaluatedFact[];
  /** Codes of not-evaluated-reasons that hold for the period. */
  exemptions: readonly string[];
}

/** Points of one fact, hundredths; negative where they are lost. `counted` is less than `points` where the indicator's most was reached. */
export interface Point {
  indicator: string;
  fact: string;
  points: number;
  cite: string;
  provisional: boolean;
  disputed: boolean;
}

export interface Evaluated {
  outcome: 'graded';
  /** Hundredths of a point. */
  score: number;
  bonus: number;
  deduction: number;
  grade: string;
  /** The score stands in two grades by the text; the upper one was taken (HN-19). */
  sharedEdge: boolean;
  points: Point[];
}
/** No grade is a value of its own, never an empty one (HN-20). */
export interface NotEvaluated {
  outcome: 'not-evaluated';
  reason: string;
  cite: string;
}

/**
 * Scores a subject (HN-19): the bonus module is earned from 0, the deduction module is taken from its most, neither leaves its bounds, their sum is the
 * score. Each point names its record and its article. Pure: the same facts in any order give the same score. Throws RangeError for rules that score nothing.
 */
export function evaluate(rules: Evaluation, subject: EvaluatedSubject): Evaluated | NotEvaluated {
  const exempt = rules.exempt.find(({ reason }) => subject.exemptions.includes(reason));
  if (exempt) return { outcome: 'not-evaluated', ...exempt };
  const { modules } = rules;
  if (rules.computed !== 'here' || modules === undefined) throw new RangeError(`${rules.scheme} is not scored here`);
  const points = rules.indicators
    .filter(({ roles }) => roles.length === 0 || roles.some((role) => subject.roles.includes(role)))
    .flatMap((indicator) => pointsOf(indicator, subject.facts));
  const sum = (module: Indicator['module']): number => {
    const of = new Set(rules.indicators.filter((one) => one.module === module).map(({ code }) => code));
    return Math.min(
      modules[module].most,
      points.filter(({ indicator }) => of.has(indicator)).reduce((total, one) => total + Math.abs(one.points), 0),
    );
  };
  const bonus = sum('bonus');
  const deduction = sum('deduction');
  const score = bonus + modules.deduction.most - deduction;
  const grade = rules.grades.find(({ scores }) => scores !== undefined && holds(scores, score));
  if (grade === undefined) throw new RangeError(`${score} is in no grade of ${rules.scheme}`);
  return { outcome: 'graded', score, bonus, deduction, grade: grade.code, sharedEdge: rules.sharedEdges.includes(score), points };
}

/** An indicator counts its facts in the order of their names, until its most is reached. */
function pointsOf(indicator: Indicator, facts: readonly EvaluatedFact[]): Point[] {
  let left = indicator.most;
  const sign = indicator.module === 'bonus' ? 1 : -1;
  return facts
    .filter((fact) => counts(indicator, fact))
    .toSorted((a, b) => (a.id < b.id ? -1 : 1))
    .map((fact) => {
      const points = Math.min(indicator.each, left);
      left -= points;
      return {
        indicator: indicator.code,
        fact: fact.id,
        points: points === 0 ? 0 : sign * points,
        cite: indicator.cite,
        provisional: indicator.provisional,
        disputed: fact.disputed ?? false,
      };
    });
}

function counts({ facts: { category, kinds, where } }: Indicator, fact: EvaluatedFact): boolean {
  return (
    fact.category === category &&
    (kinds.length === 0 || kinds.includes(fact.kind)) &&
    Object.entries(where).every(([field, values]) => values.includes(String(fact.fields[field])))
  );
}

/** Last day on which the results of a year are due: the end of April of the next one (HN-20). */
export function evaluationDue(rules: Evaluation, year: number): string | undefined {
  return rules.due === undefined ? undefined : `${year + 1}-${rules.due}`;
}
