/** The instants at which a month of the log, `YYYY-MM` in UTC, begins and is over. */
export function boundsOf(month: string): { start: Date; end: Date } {
  const [year = 0, number = 0] = month.split('-').map(Number);
  return { start: new Date(Date.UTC(year, number - 1)), end: new Date(Date.UTC(year, number)) };
}

export const nextMonth = (month: string): string => boundsOf(month).end.toISOString().slice(0, 7);
