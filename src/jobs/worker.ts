import type { Job } from 'bullmq';
import { ensureLogPartitions } from '../log/partitions.ts';
import { findStream } from '../model/load.ts';
import type { Stream, Via } from '../model/types.ts';
import { openOutbox } from '../store/outbox.ts';
import { brokenRuns, isGivenUp, isPaused, lostRetries } from '../store/runs.ts';
import { endStateOf } from './failure.ts';
import type { Jobs } from './hub.ts';
import { type RunResult, runPull } from './pull.ts';
import { runPush } from './push.ts';
import {
  giveUp,
  type QueueBackend,
  RETRY_IS_LOST_MS,
  type StreamJob,
  type StreamOutcome,
  type StreamQueue,
  type StreamWorker,
} from './queues.ts';
import { restoreSchedules, upsertSchedules } from './schedule.ts';

export interface RunningWorker {
  queue: StreamQueue;
  worker: StreamWorker;
  /** Lets the streams under way finish their page, then stops. */
  stop(): Promise<void>;
}

/** How often the outbox, dead runs and the log's partitions are looked at, whatever became of the queues. */
const SWEEP_MS = 10_000;

/**
 * The work process: schedules as the model has them, a worker for the streams, and a sweep that makes the queues dispensable – what the
 * ledger or the outbox says is due is queued again, even when every queue was wiped.
 */
export async function startWorker(
  jobs: Jobs,
  backend: QueueBackend,
  options: { concurrency: number; sweepMs?: number },
): Promise<RunningWorker> {
  const onError = (error: Error) => jobs.logger.warn({ err: error.message }, 'queue');
  const queue = backend.queue(onError);
  await queue.waitUntilReady();
  const stopping = new AbortController();
  const worker = backend.worker((job) => runJob(jobs, queue, job, stopping.signal), options.concurrency, onError);
  const { kept, removed } = await upsertSchedules(jobs.pool, queue, jobs.model);
  jobs.logger.info({ schedules: kept, removed, backend: backend.kind }, 'worker ready');
  const sweep = () => sweepOnce(jobs, queue).catch((error: unknown) => jobs.logger.warn({ err: String(error) }, 'sweep'));
  await sweep();
  const timer = setInterval(() => void sweep(), options.sweepMs ?? SWEEP_MS);
  return {
    queue,
    worker,
    async stop() {
      clearInterval(timer);
      stopping.abort();
      await worker.close();
      await queue.close();
    },
  };
}

/** Nobody has to hand over a file, enter a record or say who is asked about first. */
export function runsByItself(via: Via): boolean {
  if (via.kind === 'national-insurance') return via.each?.ask === undefined;
  return via.kind === 'file' ? via.drop !== undefined : via.kind !== 'manual';
}

/** Queues a stream now; while the same stream is waiting or running, once is enough. */
export async function enqueueStream(queue: StreamQueue, job: StreamJob): Promise<void> {
  await queue.add('run', job, { deduplication: { id: `${job.connector}/${job.stream}` } });
}

async function runJob(jobs: Jobs, queue: StreamQueue, job: Job<StreamJob, StreamOutcome>, signal: AbortSignal): Promise<StreamOutcome> {
  const { connector, stream: id, trigger } = job.data;
  const stream = findStream(jobs.model, `${connector}/${id}`);
  if (stream === undefined) throw giveUp(`stream ${connector}/${id} does not exist in this version of the model`);
  const logger = jobs.logger.child({ connector, stream: id });
  try {
    const progress = (counts: RunResult['counts'], total: number | undefined) =>
      void job.updateProgress({ ...counts, total: total ?? null }).catch(() => undefined);
    const options = { trigger, onProgress: progress, signal };
    const result = stream.direction === 'push' ? await runPush(jobs, stream, options) : await runPull(jobs, stream, options);
    if (result === undefined) return { run: null, state: (await isPaused(jobs.pool, stream)) ? 'paused' : 'skipped' };
    logger.info({ run: result.run, ...result.counts }, 'run done');
    if (stream.direction === 'pull') await wakePushes(jobs, queue);
    return { run: result.run, state: 'done' };
  } catch (error) {
    throw await instructionOf(jobs, stream, error, logger);
  }
}

/** The one place where an error's class becomes BullMQ's behaviour. */
async function instructionOf(jobs: Jobs, stream: Stream, error: unknown, logger: Jobs['logger']): Promise<unknown> {
  const message = error instanceof Error ? error.message : String(error);
  switch (endStateOf(error)) {
    case 'stopped':
      logger.error({ err: message }, 'stream stopped: an operator is needed');
      return giveUp(message);
    case 'failed':
      logger.warn({ err: message }, 'run will be repeated');
      return error;
    case 'broken':
      logger.error({ err: error instanceof Error ? error.stack : message }, 'bug');
      if (!(await isGivenUp(jobs.pool, stream).catch(() => false))) return error;
      logger.error({ err: message }, 'stream given up after a bug: an operator is needed');
      return giveUp(message);
  }
}

async function wakePushes(jobs: Jobs, queue: StreamQueue): Promise<void> {
  for (const { connector, stream } of await openOutbox(jobs.pool)) await enqueueStream(queue, { connector, stream, trigger: 'schedule' });
}

async function sweepOnce(jobs: Jobs, queue: StreamQueue): Promise<void> {
  await ensureLogPartitions(jobs.pool, jobs.now(), 2);
  await restoreSchedules(jobs.pool, queue, jobs.model);
  await wakePushes(jobs, queue);
  // While its job still waits, the stream is not queued a second time; a platform that asked for a longer wait has such a job.
  for (const { connector, stream } of await lostRetries(jobs.pool, RETRY_IS_LOST_MS)) {
    const known = findStream(jobs.model, `${connector}/${stream}`);
    if (known !== undefined && (known.direction === 'push' || runsByItself(known.via)))
      await enqueueStream(queue, { connector, stream, trigger: 'schedule' });
  }
  for (const { connector, stream } of await brokenRuns(jobs.pool)) {
    const known = findStream(jobs.model, `${connector}/${stream}`);
    // A person's run, a feedback, or a stream that the model no longer has.
    if (known === undefined || (known.direction !== 'push' && !runsByItself(known.via))) continue;
    // Its worker died: BullMQ would notice after the job's lock, the ledger knows at once.
    await queue.add(
      'run',
      { connector, stream, trigger: 'schedule' },
      { deduplication: { id: `recover ${connector}/${stream}`, ttl: SWEEP_MS } },
    );
  }
}
