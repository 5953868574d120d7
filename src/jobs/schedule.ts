import { allStreams } from '../model/load.ts';
import type { Model } from '../model/types.ts';
import type { Pool } from '../store/sql.ts';
import type { StreamQueue } from './queues.ts';

const TIME_ZONE = 'Asia/Shanghai';
/** BullMQ on PostgreSQL loses a race of two processes that register one scheduler; this lock lets one do it after the other. */
const SCHEDULE_LOCK = 7_301_003;

/** One job scheduler per stream with a schedule, as the model has it now: new and changed ones upserted, stale ones removed. */
export async function upsertSchedules(pool: Pool, queue: StreamQueue, model: Model): Promise<{ kept: number; removed: number }> {
  const session = await pool.dedicated();
  try {
    await session.query('select pg_advisory_lock($1)', [SCHEDULE_LOCK]);
    const wanted = new Map(allStreams(model).flatMap((s) => (s.schedule === undefined ? [] : [[`${s.connector}/${s.id}`, s] as const])));
    for (const [id, stream] of wanted) {
      await queue.upsertJobScheduler(
        id,
        { pattern: stream.schedule ?? '', tz: TIME_ZONE },
        { name: 'run', data: { connector: stream.connector, stream: stream.id, trigger: 'schedule' } },
      );
    }
    let removed = 0;
    for (const { key } of await queue.getJobSchedulers()) {
      if (key === undefined || key === null || [...wanted.keys()].some((id) => id === key)) continue;
      await queue.removeJobScheduler(key);
      removed += 1;
    }
    return { kept: wanted.size, removed };
  } finally {
    session.release();
  }
}

/** Makes the schedules again when some are gone: whoever wipes the queues must not stop the collection without anybody noticing. */
export async function restoreSchedules(pool: Pool, queue: StreamQueue, model: Model): Promise<void> {
  if (!(await hasSchedules(queue, model))) await upsertSchedules(pool, queue, model);
}

/** Whether no schedule is gone. Cheap: a count. */
export async function hasSchedules(queue: StreamQueue, model: Model): Promise<boolean> {
  return (await queue.getJobSchedulersCount()) >= allStreams(model).filter((s) => s.schedule !== undefined).length;
}
