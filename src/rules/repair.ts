import type { RepairCondition, RepairRule, Severity } from '../model/types.ts';
import { addMonths } from './calendar.ts';

/** What is known of a finding whose repair is asked for, on a day. */
export interface RepairFacts {
  /** Day on which the finding was confirmed and made public. */
  confirmedOn: string;
  severity: Severity;
  corrected: boolean;
  effectGone: boolean;
  committed: boolean;
  /** Day until which a commitment had to be made, where one was set; and the day on which it was. */
  committedBy?: string | undefined;
  committedOn?: string | undefined;
  /** Days of bad records that came since. */
  newRecords: readonly string[];
}

export interface RepairAnswer {
  may: boolean;
  conditions: { code: RepairCondition; zh: string; cite: string; met: boolean; since?: string | undefined }[];
}

/**
 * Whether a finding may be repaired on a day, condition by condition (HN-25, SD-12). `publicity`: shortest publicity by severity in months, of the rule or
 * of the one above it; where neither has one the condition is not met, because nobody may guess it.
 */
export function mayRepair(rule: RepairRule, publicity: RepairRule['publicity'], facts: RepairFacts, day: string): RepairAnswer {
  const served = publicity === undefined ? undefined : addMonths(facts.confirmedOn, publicity[facts.severity]);
  const met: Record<RepairCondition, boolean> = {
    'publicity-served': served !== undefined && day >= served,
    corrected: facts.corrected,
    'effect-gone': facts.effectGone,
    'no-new-record': !facts.newRecords.some((at) => at > facts.confirmedOn && at <= day),
    committed: isCommitted(facts, day),
  };
  const conditions = rule.conditions.map((one) => ({
    ...one,
    met: met[one.code],
    ...(one.code === 'publicity-served' ? { since: served } : {}),
  }));
  return { may: conditions.every((one) => one.met), conditions };
}

function isCommitted({ committed, committedBy, committedOn }: RepairFacts, day: string): boolean {
  if (!committed) return false;
  if (committedOn !== undefined && committedOn > day) return false;
  return committedBy === undefined || (committedOn !== undefined && committedOn <= committedBy);
}

/** At the end of a measure a finding is repaired by itself where all conditions of SD-12 hold; else it is not, and these are why. Time alone is not enough. */
export function automaticRepair(
  rule: RepairRule,
  facts: RepairFacts,
  measureEnd: string,
  day: string,
): { repaired: boolean; missing: RepairCondition[] } {
  if (rule.automatic.length === 0 || day <= measureEnd) return { repaired: false, missing: [] };
  const { conditions } = mayRepair(
    { ...rule, conditions: rule.automatic.map((code) => ({ code, zh: '', cite: rule.cite })) },
    undefined,
    facts,
    day,
  );
  const missing = conditions.filter((one) => !one.met).map(({ code }) => code);
  return { repaired: missing.length === 0, missing };
}

/** 某年某月某日修复, of the day on which the repair took effect (HN-27). */
export function repairMark(rule: RepairRule, day: string): string {
  const [year, month, date] = day.split('-').map(Number);
  return rule.mark.replace('某年某月某日', `${year}年${month}月${date}日`);
}
