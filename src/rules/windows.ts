import type { Hours, WorkingCalendar } from '../model/types.ts';
import { addDays, isWorkingDay } from './calendar.ts';

/** Farther than any holiday: whoever has no opening within a year never has one. */
const MOST_DAYS = 366;
/** Asia/Shanghai is eight hours ahead and has no summer time. */
const SHANGHAI_MS = 8 * 3_600_000;

/** Whether something may run now. No windows: always. */
export function isOpen(windows: readonly Hours[], calendar: WorkingCalendar, now: Date): boolean {
  if (windows.length === 0) return true;
  const local = new Date(now.getTime() + SHANGHAI_MS).toISOString();
  const [day, time] = [local.slice(0, 10), local.slice(11, 16)];
  return windows.some((hours) => isOn(hours, calendar, day) && hours.from <= time && time < hours.to);
}

/** The instant from which it may run: now where it may, the next opening else. Undefined: there is none within a year. */
export function nextOpening(windows: readonly Hours[], calendar: WorkingCalendar, now: Date): Date | undefined {
  if (isOpen(windows, calendar, now)) return now;
  const today = new Date(now.getTime() + SHANGHAI_MS).toISOString().slice(0, 10);
  for (let n = 0; n <= MOST_DAYS; n += 1) {
    const day = addDays(today, n);
    const openings = windows
      .filter((hours) => isOn(hours, calendar, day))
      .map(({ from }) => Date.parse(`${day}T${from}:00+08:00`))
      .filter((at) => at > now.getTime());
    if (openings.length > 0) return new Date(Math.min(...openings));
  }
  return undefined;
}

function isOn({ days }: Hours, calendar: WorkingCalendar, day: string): boolean {
  return days === 'every' || isWorkingDay(calendar, day) === (days === 'working');
}
