import type { ObjectionRule, Pack, WorkingCalendar } from '../model/types.ts';
import type { DueDay } from './calendar.ts';
import { dueOf } from './clock.ts';

/** Days of an objection, `YYYY-MM-DD`. */
export interface ObjectionDays {
  /** Day on which the subject was told what it objects to. */
  served?: string | undefined;
  /** Days on which the application and its proof came in. */
  received: string;
  proofReceived?: string | undefined;
  accepted?: string | undefined;
  /** Others have to help (HN-24.2: five instead of three, from the same day). */
  helped: boolean;
}

export interface ObjectionDeadlines {
  /** Until when it could be raised; a late one is marked, not refused in silence. */
  raise: DueDay | undefined;
  late: boolean;
  /** Until when the office answers; nothing before the event from which its clock runs. */
  answer: DueDay | undefined;
}

/** The clocks of an objection. Each runs from its own event: service, receipt, acceptance, or the later of application and proof (SD-10.b). */
export function objectionDeadlines(calendar: WorkingCalendar, pack: Pack, rule: ObjectionRule, days: ObjectionDays): ObjectionDeadlines {
  const raiseClock = rule.raise === undefined ? undefined : pack.clocks.get(rule.raise);
  const raise = raiseClock && days.served !== undefined ? dueOf(calendar, raiseClock, days.served) : undefined;
  const answerClock = pack.clocks.get((days.helped ? rule.answerWithHelp : undefined) ?? rule.answer);
  if (answerClock === undefined) throw new RangeError(`${pack.id} has no clock ${rule.answer}`);
  const start = startOf(answerClock.starts, days);
  return {
    raise,
    late: raise !== undefined && days.received > raise.day,
    answer: start === undefined ? undefined : dueOf(calendar, answerClock, start),
  };
}

function startOf(event: string, { received, proofReceived, accepted }: ObjectionDays): string | undefined {
  switch (event) {
    case 'acceptance':
      return accepted;
    case 'application-and-proof':
      return proofReceived === undefined ? undefined : received > proofReceived ? received : proofReceived;
    default:
      return received;
  }
}

/** Parts that are required and were not given. */
export function missingParts(parts: ObjectionRule['parts'], given: Readonly<Record<string, string>>): string[] {
  return parts.filter(({ code, required }) => required && (given[code] ?? '').trim() === '').map(({ code }) => code);
}
