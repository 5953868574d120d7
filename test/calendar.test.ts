import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { type CalendarYaml, checkCalendar, toCalendar } from '../src/model/calendar.ts';
import {
  addDays,
  addMonths,
  addWorkingDays,
  addYears,
  isCovered,
  isWorkingDay,
  rollForward,
  workingDaysLeft,
} from '../src/rules/calendar.ts';
import { MODEL } from './setup/store.ts';

const { calendar } = MODEL;

function daysOf(year: number): string[] {
  const days: string[] = [];
  for (let day = `${year}-01-01`; day.startsWith(`${year}`); day = addDays(day, 1)) days.push(day);
  return days;
}
const weekday = (day: string) => ![0, 6].includes(new Date(`${day}T00:00:00Z`).getUTCDay());
const aDay = fc.integer({ min: 0, max: 729 }).map((n) => addDays('2025-01-01', n));
const count = fc.nat({ max: 300 });

describe('statutory working days', () => {
  it('HN-24.2 knows every day off of 2026 that is a weekday, and every Saturday and Sunday that is worked', () => {
    const days = daysOf(2026);
    expect(days).toHaveLength(365);
    expect(days.filter((day) => weekday(day) && !isWorkingDay(calendar, day))).toEqual(
      '01-01 01-02 02-16 02-17 02-18 02-19 02-20 02-23 04-06 05-01 05-04 05-05 06-19 09-25 10-01 10-02 10-05 10-06 10-07'
        .split(' ')
        .map((day) => `2026-${day}`),
    );
    expect(days.filter((day) => !weekday(day) && isWorkingDay(calendar, day))).toEqual(
      ['01-04', '02-14', '02-28', '05-09', '09-20', '10-10'].map((day) => `2026-${day}`),
    );
    expect(days.filter((day) => isWorkingDay(calendar, day))).toHaveLength(248);
  });

  it('HN-24.2 the numbers of 2025 are those of its notice', () => {
    expect(daysOf(2025).filter((day) => isWorkingDay(calendar, day))).toHaveLength(248);
    expect(isWorkingDay(calendar, '2025-10-08')).toBe(false);
    expect(isWorkingDay(calendar, '2025-02-08')).toBe(true);
  });

  it.each([
    // A Friday before a make-up Saturday: 14 February is worked, the festival is not.
    ['2026-02-13', 1, '2026-02-14'],
    ['2026-02-13', 2, '2026-02-24'],
    ['2026-02-14', 1, '2026-02-24'],
    // From the middle of the festival, whether the day itself is worked or not.
    ['2026-02-18', 3, '2026-02-26'],
    ['2026-02-26', 3, '2026-03-02'],
    // National day with its make-up days on both sides.
    ['2026-09-18', 7, '2026-09-29'],
    ['2026-09-30', 3, '2026-10-10'],
    ['2026-09-30', 4, '2026-10-12'],
    ['2026-08-07', 1, '2026-08-10'],
    ['2026-08-09', 0, '2026-08-09'],
    ['2025-12-31', 1, '2026-01-04'],
  ])('HN-28 %s and %d working days is %s', (day, days, due) => {
    expect(addWorkingDays(calendar, day, days)).toEqual({ day: due, provisional: false });
  });

  it('SD-15 2026-08-09 is a Sunday: a term that ends on it ends on Monday the 10th where terms roll forward, and stays where they do not', () => {
    expect(addDays(addYears('2024-08-10', 2), -1)).toBe('2026-08-09');
    expect(isWorkingDay(calendar, '2026-08-09')).toBe(false);
    expect(rollForward(calendar, '2026-08-09')).toEqual({ day: '2026-08-10', provisional: false });
    expect(rollForward(calendar, '2026-02-14')).toEqual({ day: '2026-02-14', provisional: false });
    expect(rollForward(calendar, '2026-10-01')).toEqual({ day: '2026-10-08', provisional: false });
  });

  it('HN-28 a term that touches a year without a notice is provisional, and one that ends the day before is not', () => {
    expect(isCovered(calendar, '2027-01-01')).toBe(false);
    expect(addWorkingDays(calendar, '2026-12-30', 1)).toEqual({ day: '2026-12-31', provisional: false });
    // As if 1 January were worked: nobody knows yet how long the New Year of 2027 is.
    expect(addWorkingDays(calendar, '2026-12-31', 1)).toEqual({ day: '2027-01-01', provisional: true });
    expect(addWorkingDays(calendar, '2027-03-01', 7)).toEqual({ day: '2027-03-10', provisional: true });
    // Counted from a year before the table into the table.
    expect(addWorkingDays(calendar, '2024-12-31', 7)).toEqual({ day: '2025-01-10', provisional: true });
    expect(rollForward(calendar, '2027-01-02')).toEqual({ day: '2027-01-04', provisional: true });
  });

  it('HN-28 the days that are left are counted in working days, and those since a missed deadline are negative', () => {
    expect(workingDaysLeft(calendar, '2026-09-30', '2026-10-09')).toBe(2);
    expect(workingDaysLeft(calendar, '2026-10-03', '2026-10-09')).toBe(2);
    expect(workingDaysLeft(calendar, '2026-10-09', '2026-10-09')).toBe(0);
    expect(workingDaysLeft(calendar, '2026-10-11', '2026-10-09')).toBe(-1);
    expect(workingDaysLeft(calendar, '2026-10-03', '2026-09-30')).toBe(0);
  });

  it.each([-1, 1.5, Number.NaN])('refuses %d as a number of working days', (bad) => {
    expect(() => addWorkingDays(calendar, '2026-01-05', bad)).toThrow(RangeError);
  });
  it.each(['2026-02-29', '2026-13-01', '', 'heute'])('refuses %j as a day', (bad) => {
    expect(() => addWorkingDays(calendar, bad, 1)).toThrow(RangeError);
    expect(() => addMonths(bad, 1)).toThrow(RangeError);
  });
});

describe('months and years', () => {
  it.each([
    ['2028-02-29', 60, '2033-02-28'],
    ['2028-02-29', 48, '2032-02-29'],
    ['2026-11-30', 3, '2027-02-28'],
    ['2026-12-31', 2, '2027-02-28'],
    ['2026-01-31', -2, '2025-11-30'],
    ['2024-05-01', 60, '2029-05-01'],
  ])('HN-33 %s and %d months is %s', (day, months, due) => {
    expect(addMonths(day, months)).toBe(due);
    if (months % 12 === 0) expect(addYears(day, months / 12)).toBe(due);
  });
});

describe('the algebra of working days', () => {
  it('HN-28 the due day is worked, later, and exactly as many working days away as were counted', () => {
    fc.assert(
      fc.property(aDay, count, (day, n) => {
        const { day: due, provisional } = addWorkingDays(calendar, day, n);
        expect(workingDaysLeft(calendar, day, due)).toBe(n);
        expect(provisional).toBe(n > 0 && due > '2026-12-31');
        if (n > 0) expect([due > day, isWorkingDay(calendar, due)]).toEqual([true, true]);
      }),
    );
  });

  it('HN-28 days counted in two steps are days counted at once, and a later start is never due earlier', () => {
    fc.assert(
      fc.property(aDay, count, count, (day, a, b) => {
        const step = addWorkingDays(calendar, addWorkingDays(calendar, day, a).day, b);
        expect(addWorkingDays(calendar, day, a + b).day).toBe(step.day);
        expect(addWorkingDays(calendar, addDays(day, 1), a).day >= addWorkingDays(calendar, day, a).day).toBe(true);
      }),
    );
  });

  it('HN-33 months added never leave the month meant, and the same process time zone changes nothing', () => {
    fc.assert(
      fc.property(aDay, fc.integer({ min: -600, max: 600 }), (day, months) => {
        const [year = 0, month = 0] = day.split('-').map(Number);
        const [toYear = 0, toMonth = 0] = addMonths(day, months).split('-').map(Number);
        expect(toYear * 12 + toMonth).toBe(year * 12 + month + months);
      }),
    );
  });
});

describe('schema/calendar.yml', () => {
  const faultsOf = (change: Partial<CalendarYaml['years'][string]>) => {
    const faults: string[] = [];
    const year = { notice: 'n', announcedOn: '2025-11-04', off: {}, work: [], ...change };
    checkCalendar({ article: 'a', years: { 2026: year } }, (path, reason) => faults.push(`${path}: ${reason}`));
    return faults;
  };

  it('is refused where a day does not exist, a range runs backwards, or a make-up day is none', () => {
    expect(faultsOf({ off: { 春节: ['02-15', '02-23'] }, work: ['02-14'] })).toEqual([]);
    expect(faultsOf({ off: { 春节: ['02-23', '02-15'] } })).toEqual([expect.stringContaining('/years/2026/off/春节')]);
    expect(faultsOf({ off: { 春节: ['02-20', '02-30'] } })).toEqual([expect.stringContaining('is no range')]);
    expect(faultsOf({ work: ['02-29'] })).toEqual([expect.stringContaining('is no day of 2026')]);
    expect(faultsOf({ work: ['02-13'] })).toEqual([expect.stringContaining('is a working day anyway')]);
    expect(faultsOf({ off: { 春节: ['02-15', '02-23'] }, work: ['02-21'] })).toEqual([expect.stringContaining('is also a day off')]);
  });

  it('without years covers nothing and counts Monday to Friday', () => {
    const none = toCalendar();
    expect(addWorkingDays(none, '2026-10-01', 1)).toEqual({ day: '2026-10-02', provisional: true });
  });
});
