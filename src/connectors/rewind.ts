import type { Json, Via } from '../model/types.ts';

/** The cursor from which a stream reads everything of a day and after it, in the form of its transport. Throws an Error where the cursor is no time. */
export function cursorFrom(via: Via, day: string): Json {
  if (via.kind === 'http' && via.paging !== undefined) return { since: `${day} 00:00:00` };
  if (via.kind === 'database' && via.watermark !== undefined) return { from: `${day} 00:00:00` };
  throw new Error(`a stream via ${via.kind} is not read by time`);
}
