import type { Clock, WorkingCalendar } from '../model/types.ts';
import { addDays, addMonths, addWorkingDays, type DueDay, isCovered, rollForward } from './calendar.ts';

/**
 * The last day of a term that begins with an event of `day`; it is included. The day of the event is not counted, unless the clock says so (民法典 201);
 * months and years end on the same day of the month, or on the month's last (202); a term in days that ends on a day off moves to the next working
 * day (203). `provisional`: it runs into a year whose calendar is not known.
 */
export function dueOf(calendar: WorkingCalendar, clock: Clock, day: string): DueDay {
  switch (clock.unit) {
    case 'working-day':
      return addWorkingDays(calendar, clock.startCounted ? addDays(day, -1) : day, clock.length);
    case 'day':
      return ended(calendar, clock, addDays(day, clock.length - (clock.startCounted ? 1 : 0)));
    case 'month':
      return ended(calendar, clock, termEnd(day, clock.length, clock.startCounted));
    case 'year':
      return ended(calendar, clock, termEnd(day, 12 * clock.length, clock.startCounted));
  }
}

/** A validity from the first day on ends the day before the same day: 2024-05-01 and five years end on 2029-04-30 (HN-37). */
function termEnd(day: string, months: number, startCounted: boolean): string {
  const end = addMonths(day, months);
  // 29 February and a month later is the last day of March's own term, not the day before it.
  return startCounted && end.slice(8) === day.slice(8) ? addDays(end, -1) : end;
}

function ended(calendar: WorkingCalendar, clock: Clock, day: string): DueDay {
  if (clock.rollsForward) return rollForward(calendar, day);
  return { day, provisional: false };
}

/** Whether a deadline may still move because its year's calendar is not known. */
export const isProvisional = (calendar: WorkingCalendar, due: DueDay): boolean => due.provisional || !isCovered(calendar, due.day);
