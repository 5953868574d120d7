import type { Pack, ReportRule, WorkingCalendar } from '../model/types.ts';
import { dueOf } from './clock.ts';

export type ReportState =
  { valid: true; until: string } | { valid: false; why: 'not-yet' | 'expired' | 'ended-early'; since: string; event?: string };

/** Whether a credit report may be used on a day (ZM-2.4, U23): for a year from its issue, the last day included, unless an event ended it – from that day on. */
export function reportValid(
  calendar: WorkingCalendar,
  pack: Pack,
  rule: ReportRule,
  report: { issuedOn: string; events: readonly { kind: string; on: string }[] },
  day: string,
): ReportState {
  const clock = pack.clocks.get(rule.validity);
  if (clock === undefined) throw new RangeError(`${pack.id} has no clock ${rule.validity}`);
  if (day < report.issuedOn) return { valid: false, why: 'not-yet', since: report.issuedOn };
  const [ended] = report.events
    .filter(({ kind, on }) => rule.endsEarly.includes(kind) && on >= report.issuedOn && on <= day)
    .toSorted((a, b) => (a.on < b.on ? -1 : 1));
  if (ended) return { valid: false, why: 'ended-early', since: ended.on, event: ended.kind };
  const until = dueOf(calendar, clock, report.issuedOn).day;
  return day <= until ? { valid: true, until } : { valid: false, why: 'expired', since: until };
}
