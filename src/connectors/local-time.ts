/** The platforms write local time of Asia/Shanghai, which is UTC+8 without summer time for every moment they can mean. */
const OFFSET_MS = 8 * 3600_000;
const LOCAL = /^(\d{4}-\d{2}-\d{2})[ T](\d{2}:\d{2}:\d{2})(\.\d{1,6})?$/;

/** `yyyy-MM-dd HH:mm:ss` in Asia/Shanghai. */
export function localTime(at: Date): string {
  return new Date(at.getTime() + OFFSET_MS).toISOString().slice(0, 19).replace('T', ' ');
}

/** A local text less some minutes. */
export function minutesBefore(local: string, minutes: number): string {
  return localTime(new Date(toDate(local).getTime() - minutes * 60_000));
}

/** A local text as an ISO 8601 UTC instant; undefined when it is no such text. */
export function instantOf(local: string): string | undefined {
  const date = toDate(local);
  return Number.isNaN(date.getTime()) ? undefined : date.toISOString();
}

function toDate(local: string): Date {
  const [, day, time, fraction] = LOCAL.exec(local.trim()) ?? [];
  return new Date(`${day}T${time}${(fraction ?? '').slice(0, 4)}+08:00`);
}
