import { Refused } from '../errors.ts';
import type { DutyName, Model } from '../model/types.ts';
import type { Caller } from './caller.ts';

/**
 * Whether a caller has a duty. No rule, no duty: throws `Refused` DUTY_REQUIRED (403) with the article of the duty, where any policy names it.
 * Entering and reviewing are different duties, and the same person never does both for one record (HN-6.2).
 */
export function requireDuty(model: Model, caller: Caller, duty: DutyName): void {
  if (hasDuty(model, caller, duty)) return;
  const rules = model.duties.filter((d) => d.duty === duty);
  throw new Refused('DUTY_REQUIRED', '本岗位无权办理该事项', { status: 403, details: { duty, article: rules[0]?.article ?? 'HN-6.2' } });
}

export function hasDuty(model: Model, caller: Caller, duty: DutyName): boolean {
  return model.duties.some((d) => d.duty === duty && d.departments.includes(caller.department) && d.roles.includes(caller.role));
}
