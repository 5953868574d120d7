import type { Suspension } from '../model/types.ts';
import { addDays, addMonths } from './calendar.ts';
import { holds } from './interval.ts';

export interface SuspensionTerm {
  rule: Suspension;
  /** First and last day on which a suspension from `start` may end. */
  earliestEnd: string;
  latestEnd: string;
}

/** The bracket of a loss in fen (SD-9); none for a loss of zero, which is no loss. Throws RangeError for an amount that is no whole number from 0. */
export function suspensionFor(rules: readonly Suspension[], loss: number): Suspension | undefined {
  if (!Number.isSafeInteger(loss) || loss < 0) throw new RangeError(`${loss} is no amount in fen`);
  return rules.find((rule) => holds(rule.loss, loss));
}

/** Between which days a suspension that starts on a day must end: three months from 15 January end on 14 April; less than six at the latest on 13 July. */
export function suspensionTerm(rules: readonly Suspension[], loss: number, start: string): SuspensionTerm | undefined {
  const rule = suspensionFor(rules, loss);
  if (rule === undefined) return undefined;
  const lastDay = (months: number): string => addDays(addMonths(start, months), -1);
  const { months } = rule;
  return {
    rule,
    earliestEnd: addDays(lastDay(months.from ?? 0), months.fromIncluded ? 0 : 1),
    latestEnd: addDays(lastDay(months.to ?? 0), months.toIncluded ? 0 : -1),
  };
}

/** Whether a suspension of these days is one that the loss permits. */
export function maySuspend(rules: readonly Suspension[], loss: number, start: string, end: string): boolean {
  const term = suspensionTerm(rules, loss, start);
  return term !== undefined && end >= term.earliestEnd && end <= term.latestEnd;
}
