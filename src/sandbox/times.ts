import type { Random } from './random.ts';

/** Local texts (Asia/Shanghai): days `yyyy-MM-dd`, times `yyyy-MM-dd HH:mm:ss`. They compare as text. Nothing here reads the clock. */
const DAY = 86_400_000;
export const OPEN_END = '2099-12-31';

export function addDays(day: string, days: number): string {
  return new Date(Date.parse(`${day}T00:00:00Z`) + days * DAY).toISOString().slice(0, 10);
}

/** A day from `from` to `to`, both included; `from` when `to` is not later. */
export function dayBetween(random: Random, from: string, to: string): string {
  const days = Math.round((Date.parse(`${to}T00:00:00Z`) - Date.parse(`${from}T00:00:00Z`)) / DAY);
  return addDays(from, random.int(0, Math.max(0, days)));
}

/** A time of an office day. */
export function timeOn(random: Random, day: string): string {
  const two = (n: number): string => String(n).padStart(2, '0');
  return `${day} ${two(random.int(8, 17))}:${two(random.int(0, 59))}:${two(random.int(0, 59))}`;
}

export function addMinutes(time: string, minutes: number): string {
  return atZero(new Date(Date.parse(`${time.replace(' ', 'T')}Z`) + minutes * 60_000));
}

/** The earlier of two days, or of two times. */
export function earlier(a: string, b: string): string {
  return a < b ? a : b;
}

/** The Asia/Shanghai wall clock at an instant. China has no summer time. */
export function shanghai(instant: Date): string {
  return atZero(new Date(instant.getTime() + 8 * 3_600_000));
}

function atZero(date: Date): string {
  return date.toISOString().slice(0, 19).replace('T', ' ');
}
