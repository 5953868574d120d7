import { fold } from '../identity/fold.ts';

/** Asia/Shanghai is eight hours ahead and has no summer time. */
export const SHANGHAI_MS = 8 * 3_600_000;

/** The calendar day in Asia/Shanghai, YYYY-MM-DD. */
export function dayInShanghai(instant: Date): string {
  return new Date(instant.getTime() + SHANGHAI_MS).toISOString().slice(0, 10);
}

/** A moment as the source's clock shows it (Asia/Shanghai). `date` is YYYY-MM-DD, `fraction` the digits after the seconds. */
export interface LocalTime {
  date: string;
  hour: number;
  minute: number;
  second: number;
  fraction: string;
}

/** Where the parts of a format stand; `hour` is undefined for a day without a time. */
interface Layout {
  length: number;
  month: number;
  day: number;
  hour: { at: number; minute: number; second: number } | undefined;
  /** Characters that must stand between the parts. */
  marks: readonly (readonly [at: number, mark: string])[];
  /** Databases print fractions of a second. */
  fraction: boolean;
}

const DAY: Layout = {
  length: 10,
  month: 5,
  day: 8,
  hour: undefined,
  fraction: false,
  marks: [
    [4, '-'],
    [7, '-'],
  ],
};
const MOMENT: Layout = {
  ...DAY,
  length: 19,
  hour: { at: 11, minute: 14, second: 17 },
  fraction: true,
  marks: [...DAY.marks, [10, ' '], [13, ':'], [16, ':']],
};
const LAYOUTS: ReadonlyMap<string, Layout> = new Map([
  ['yyyy-MM-dd', DAY],
  [
    'yyyy/MM/dd',
    {
      ...DAY,
      marks: [
        [4, '/'],
        [7, '/'],
      ],
    },
  ],
  ['yyyyMMdd', { ...DAY, length: 8, month: 4, day: 6, marks: [] }],
  ['yyyy-MM-dd HH:mm:ss', MOMENT],
  ['yyyyMMddHHmmss', { length: 14, month: 4, day: 6, hour: { at: 8, minute: 10, second: 12 }, marks: [], fraction: false }],
]);
const DAYS = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/**
 * Reads `format` strictly: every digit in its place and a day that the calendar has (years 1000 to 9999). Without a format, `yyyy-MM-dd` with or
 * without ` HH:mm:ss`. Null: not such a text. The offset is +08:00 at all times.
 */
export function readLocal(text: string, format: string | undefined): LocalTime | null {
  const layout = format === undefined ? (text.length > DAY.length ? MOMENT : DAY) : LAYOUTS.get(format);
  if (layout === undefined) return null;
  return parse(text, layout) ?? parse(fold(text), layout);
}

/** ISO 8601 in UTC with a fixed number of decimals (further ones are cut), so that texts compare as times do. */
export function toInstant(local: LocalTime, decimals: 3 | 6): string {
  const { date, hour, minute, second } = local;
  const utc = Date.UTC(digits(date, 0, 4), digits(date, 5, 2) - 1, digits(date, 8, 2), hour - 8, minute, second);
  return `${new Date(utc).toISOString().slice(0, 20)}${local.fraction.slice(0, decimals).padEnd(decimals, '0')}Z`;
}

function parse(text: string, layout: Layout): LocalTime | null {
  if (text.length < layout.length || (text.length > layout.length && !layout.fraction)) return null;
  for (const [at, mark] of layout.marks) if (text[at] !== mark) return null;
  const year = digits(text, 0, 4);
  const month = digits(text, layout.month, 2);
  const day = digits(text, layout.day, 2);
  if (year < 1000 || month < 1 || month > 12 || day < 1 || day > lastDay(year, month)) return null;
  const hour = layout.hour === undefined ? 0 : digits(text, layout.hour.at, 2);
  const minute = layout.hour === undefined ? 0 : digits(text, layout.hour.minute, 2);
  const second = layout.hour === undefined ? 0 : digits(text, layout.hour.second, 2);
  if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 59) return null;
  const fraction = text.slice(layout.length + 1);
  if (text.length > layout.length && (text[layout.length] !== '.' || fraction.length > 9 || digits(fraction, 0, fraction.length) < 0))
    return null;
  return {
    date:
      layout === DAY ? text : `${text.slice(0, 4)}-${text.slice(layout.month, layout.month + 2)}-${text.slice(layout.day, layout.day + 2)}`,
    hour,
    minute,
    second,
    fraction,
  };
}

/** The number that n digits from `at` make, or -1 when one of them is none. */
function digits(text: string, at: number, n: number): number {
  if (n === 0) return -1;
  let number = 0;
  for (let i = at; i < at + n; i++) {
    const digit = text.charCodeAt(i) - 48;
    if (!(digit >= 0 && digit <= 9)) return -1;
    number = number * 10 + digit;
  }
  return number;
}

function lastDay(year: number, month: number): number {
  const leap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  return month === 2 && leap ? 29 : (DAYS[month - 1] ?? 0);
}

/** A calendar day some days earlier. */
export function daysBefore(day: string, days: number): string {
  return new Date(Date.parse(`${day}T00:00:00Z`) - days * 86_400_000).toISOString().slice(0, 10);
}
