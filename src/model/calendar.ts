import type { WorkingCalendar } from './types.ts';

/** `schema/calendar.yml` as it is written: days are `MM-DD` of their year. */
export interface CalendarYaml {
  article: string;
  years: Record<string, { notice: string; announcedOn: string; off: Record<string, [string, string]>; work: string[] }>;
}

const DAY_MS = 86_400_000;
const NO_CALENDAR: CalendarYaml = { article: '', years: {} };

/** The calendar with every day off and every make-up day by its own date. A range that runs backwards has no days; the check tells of it. */
export function toCalendar(yaml: CalendarYaml = NO_CALENDAR): WorkingCalendar {
  const years = new Map(Object.entries(yaml.years).map(([year, { notice }]) => [Number(year), notice]));
  const off = new Set<string>();
  const work = new Set<string>();
  for (const [year, of] of Object.entries(yaml.years)) {
    for (const [first, last] of Object.values(of.off))
      for (let at = Date.parse(`${year}-${first}`); at <= Date.parse(`${year}-${last}`); at += DAY_MS)
        off.add(new Date(at).toISOString().slice(0, 10));
    for (const day of of.work) work.add(`${year}-${day}`);
  }
  return { article: yaml.article, years, off, work };
}

/** Faults that no JSON Schema can hold: days that no calendar has, ranges that run backwards, make-up days that are off or in the week anyway. */
export function checkCalendar({ years }: CalendarYaml, say: (path: string, reason: string) => void): void {
  for (const [year, { off, work }] of Object.entries(years)) {
    const real = (day: string) =>
      !Number.isNaN(Date.parse(`${year}-${day}`)) && new Date(`${year}-${day}`).toISOString().startsWith(`${year}-${day}`);
    for (const [name, [first, last]] of Object.entries(off))
      if (!real(first) || !real(last) || first > last)
        say(`/years/${year}/off/${name}`, `${first} to ${last} is no range of days of ${year}`);
    for (const day of work) {
      if (!real(day)) say(`/years/${year}/work`, `${day} is no day of ${year}`);
      else if (![0, 6].includes(new Date(`${year}-${day}`).getUTCDay())) say(`/years/${year}/work`, `${day} is a working day anyway`);
      if (Object.values(off).some(([first, last]) => day >= first && day <= last)) say(`/years/${year}/work`, `${day} is also a day off`);
    }
  }
}
