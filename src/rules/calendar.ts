import type { WorkingCalendar } from '../model/types.ts';

/**
 * Legal dates, in one place. Days are `YYYY-MM-DD` and nothing else: no clock, no time zone. Working days are those of the notices in
 * `schema/calendar.yml`; where a count touches a year without a notice its result says `provisional`, and is right only if that year has no
 * holidays on the way.
 */

/** The last day of a term. */
export interface DueDay {
  day: string;
  /** The count touched a year that no notice covers: the day may move when the notice comes. */
  provisional: boolean;
}

const DAY_MS = 86_400_000;

/** Whether a year's notice is known. */
export function isCovered(calendar: WorkingCalendar, day: string): boolean {
  return calendar.years.has(Number(day.slice(0, 4)));
}

/** Monday to Friday less the days off, and the make-up days. In a year without a notice, Monday to Friday: ask {@link isCovered}. */
export function isWorkingDay(calendar: WorkingCalendar, day: string): boolean {
  if (calendar.work.has(day)) return true;
  return !calendar.off.has(day) && ![0, 6].includes(new Date(`${day}T00:00:00Z`).getUTCDay());
}

/**
 * The `count`-th working day after `day`, which is not counted itself whether it is worked or not (民法典 201). 0: the day itself.
 * Throws RangeError for a count that is no whole number from 0, and for a day that no calendar has.
 */
export function addWorkingDays(calendar: WorkingCalendar, day: string, count: number): DueDay {
  if (!Number.isInteger(count) || count < 0) throw new RangeError(`${count} is no number of working days`);
  let at = addDays(day, 0);
  let provisional = count > 0 && !isCovered(calendar, at);
  for (let left = count; left > 0;) {
    at = addDays(at, 1);
    if (isWorkingDay(calendar, at)) left -= 1;
    provisional ||= !isCovered(calendar, at);
  }
  return { day: at, provisional };
}

/** The day itself where it is worked, else the next one that is: a term that ends on a day off ends on the working day after it (民法典 203). */
export function rollForward(calendar: WorkingCalendar, day: string): DueDay {
  let at = addDays(day, 0);
  while (!isWorkingDay(calendar, at)) at = addDays(at, 1);
  return { day: at, provisional: !isCovered(calendar, day) || !isCovered(calendar, at) };
}

/** Working days after `today` up to and with `due`: 0 on the last day or on days off after the last working day; below 0 by as many as have passed since. */
export function workingDaysLeft(calendar: WorkingCalendar, today: string, due: string): number {
  const [from, to, sign] = due >= today ? [today, due, 1] : [due, today, -1];
  let days = 0;
  for (let at = from; at < to;) {
    at = addDays(at, 1);
    if (isWorkingDay(calendar, at)) days += 1;
  }
  return days === 0 ? 0 : sign * days;
}

/** Calendar days later, or earlier. Throws RangeError for a day that no calendar has. */
export function addDays(day: string, count: number): string {
  const at = Date.parse(`${day}T00:00:00Z`);
  const text = (ms: number) => new Date(ms).toISOString().slice(0, 10);
  if (Number.isNaN(at) || text(at) !== day) throw new RangeError(`${day} is no day`);
  return text(at + count * DAY_MS);
}

/** The same day some months later, or that month's last day where it has none of that number: 30 November + 3 months is 28 February (民法典 202). */
export function addMonths(day: string, months: number): string {
  const [year = 0, month = 1, date = 1] = addDays(day, 0).split('-').map(Number);
  const last = new Date(Date.UTC(year, month + months, 0)).getUTCDate();
  return new Date(Date.UTC(year, month - 1 + months, Math.min(date, last))).toISOString().slice(0, 10);
}

/** 29 February 2028 + 5 years is 28 February 2033 (民法典 202). */
export function addYears(day: string, years: number): string {
  return addMonths(day, 12 * years);
}
