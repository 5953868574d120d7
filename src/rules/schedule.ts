/** When a schedule is next due. Patterns are minute, hour, day, month and weekday: numbers, ranges and stars, each with a step, and lists of them. */

const MINUTE = 60_000;
const SHANGHAI_MS = 8 * 60 * MINUTE;
/** A pattern that fits no day of two leap cycles fits none. */
const MOST_DAYS = 8 * 366;
const RANGES = [
  [0, 59],
  [0, 23],
  [1, 31],
  [1, 12],
  [0, 7],
] as const;

/** The first minute after `from` that fits, Asia/Shanghai. Undefined: no such pattern, or it never fits. */
export function nextRun(pattern: string, from: Date): Date | undefined {
  const fields = pattern.trim().split(/\s+/);
  if (fields.length !== RANGES.length) return undefined;
  const [minutes, hours, days, months, weekdays] = fields.map((field, i) => valuesOf(field, RANGES[i] ?? [0, 0]));
  if (!minutes?.size || !hours?.size || !days?.size || !months?.size || !weekdays?.size) return undefined;
  // Where both are told, one of the two is enough.
  const either = fields[2] !== '*' && fields[4] !== '*';
  const after = Math.floor(from.getTime() / MINUTE) * MINUTE + SHANGHAI_MS;
  for (let n = 0; n < MOST_DAYS; n += 1) {
    const day = Math.floor(after / (1440 * MINUTE)) * 1440 * MINUTE + n * 1440 * MINUTE;
    const date = new Date(day);
    const [inMonth, inWeek] = [days.has(date.getUTCDate()), weekdays.has(date.getUTCDay()) || (date.getUTCDay() === 0 && weekdays.has(7))];
    if (!months.has(date.getUTCMonth() + 1) || !(either ? inMonth || inWeek : inMonth && inWeek)) continue;
    for (const hour of hours)
      for (const minute of minutes) {
        const at = day + (hour * 60 + minute) * MINUTE;
        if (at > after) return new Date(at - SHANGHAI_MS);
      }
  }
  return undefined;
}

/** A job that is there takes no longer to begin than this. */
const GRACE_MS = 10_000;

/** Whether a time of the pattern came after `from` and is over by more than the time that a job takes to begin. */
export function isMissed(pattern: string, from: Date, now: Date): boolean {
  const due = nextRun(pattern, from);
  return due !== undefined && due.getTime() + GRACE_MS <= now.getTime();
}

function valuesOf(field: string, [least, most]: readonly [number, number]): Set<number> {
  const values = field.split(',').flatMap((part) => {
    const found = /^(?:(\*)|(\d+)(?:-(\d+))?)(?:\/(\d+))?$/.exec(part);
    if (found === null) return [];
    const [, star, first, last, step] = found;
    const low = star === undefined ? Number(first) : least;
    const high = star === undefined ? Number(last ?? (step === undefined ? first : most)) : most;
    const by = Number(step ?? 1);
    if (low < least || high > most || by < 1) return [];
    return Array.from({ length: Math.max(0, Math.floor((high - low) / by) + 1) }, (_, i) => low + i * by);
  });
  return new Set(values.sort((a, b) => a - b));
}
