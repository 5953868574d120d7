import type { Stream } from '../model/types.ts';
import { isMissed } from '../rules/schedule.ts';
import type { Pool } from '../store/sql.ts';
import { lastStarts } from '../store/streams.ts';

/**
 * Streams whose time came and that nobody ran: the job that stood for it went with its queue. The ledger knows since when a stream that ran by its schedule
 * was not run; any other counts from `since`, when this process began to look (UTC). What is put off or paused is not among them.
 */
export async function missedStreams(pool: Pool, streams: Iterable<Stream>, since: Date): Promise<Stream[]> {
  const known = new Map([...streams].flatMap((one) => (one.schedule === undefined ? [] : [[`${one.connector}/${one.id}`, one] as const])));
  const { starts, now } = await lastStarts(pool, [...known.values()]);
  return starts.flatMap(({ connector, stream, startedAt, scheduled, resting }) => {
    const one = known.get(`${connector}/${stream}`);
    if (one?.schedule === undefined || resting) return [];
    const from = startedAt === undefined || (!scheduled && startedAt < since) ? since : startedAt;
    return isMissed(one.schedule, from, now) ? [one] : [];
  });
}
