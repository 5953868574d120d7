import type { Job } from 'bullmq';
import { ensureLogPartitions } from '../log/partitions.ts';
import { officesThatSaw } from '../log/receivers.ts';
import { dayInShanghai } from '../mapping/dates.ts';
import { allStreams, findStream } from '../model/load.ts';
import { runsByItself } from '../model/streams.ts';
import type { Stream } from '../model/types.ts';
import { openOutbox } from '../store/sending.ts';
import { watchDeadlines } from '../store/deadlines.ts';
import { dueStreams, restingStreams } from '../store/streams.ts';
import { noticeLate } from '../store/recalls.ts';
import { brokenRuns, isGivenUp, isPaused, lostRetries } from '../store/runs.ts';
import { endStateOf } from './failure.ts';
import type { Jobs } from './hub.ts';
import { watchMisuse } from './misuse.ts';
import { missedStreams } from './missed.ts';
import type { RunResult } from './pull.ts';
import {
  giveUp,
  type QueueBackend,
  RETRY_IS_LOST_MS,
  type StreamJob,
  type StreamOutcome,
  type StreamQueue,
  type StreamWorker,
} from './queues.ts';
import { type PutOff, runStream } from './run.ts';
import { enqueueReconciliations, isReconciling, runReconcileJob } from './reconcile-queue.ts';
import { hasSchedules, restoreSchedules, upsertSchedules } from './schedule.ts';
import { startWaking } from './wake.ts';

export interface RunningWorker {
  queue: StreamQueue;
  worker: StreamWorker;
  /** Lets the streams under way finish their page, then stops. */
  stop(): Promise<void>;
}

/** How often the outbox, dead runs and the log's partitions are looked at, whatever became of the queues. */
const SWEEP_MS = 10_000;
/** How often it is looked whether the queues were wiped: that is swept up at once. */
const WIPED_MS = 2000;
/** What goes on later than this has no job of its own: the sweep sees to it. */
const FAR_MS = 120_000;

/**
 * The work process: schedules as the model has them, a worker for the streams, and a sweep that makes the queues dispensable – what the
 * ledger or the outbox says is due is queued again, even when every queue was wiped. With `reconcile`, every stream is compared with its platform once a day.
 */
export async function startWorker(
  jobs: Jobs,
  backend: QueueBackend,
  options: { concurrency: number; sweepMs?: number; reconcile?: boolean },
): Promise<RunningWorker> {
  const onError = (error: Error) => jobs.logger.warn({ err: error.message }, 'queue');
  const queue = backend.queue(onError);
  await queue.waitUntilReady();
  const stopping = new AbortController();
  const since = new Date();
  const worker = backend.worker((job) => runJob(jobs, queue, job, since, stopping.signal), options.concurrency, onError);
  const { kept, removed } = await upsertSchedules(jobs.pool, queue, jobs.model);
  jobs.logger.info({ schedules: kept, removed, backend: backend.kind }, 'worker ready');
  const sweep = () =>
    sweepOnce(jobs, queue, since, options.reconcile ?? false).catch((error: unknown) => jobs.logger.warn({ err: String(error) }, 'sweep'));
  let looking = false;
  const sweepIfWiped = async () => {
    if (looking) return;
    looking = true;
    // While Redis is away there is nothing to be seen: it is looked again.
    if (!(await hasSchedules(queue, jobs.model).catch(() => true))) await sweep();
    looking = false;
  };
  await sweep();
  const waking = startWaking(jobs, (connector, stream) => wakeOne(jobs, queue, connector, stream));
  const timers = [
    setInterval(() => void sweep(), options.sweepMs ?? SWEEP_MS),
    setInterval(() => void sweepIfWiped(), Math.min(WIPED_MS, options.sweepMs ?? SWEEP_MS)),
  ];
  return {
    queue,
    worker,
    async stop() {
      for (const timer of timers) clearInterval(timer);
      waking.stop();
      stopping.abort();
      await worker.close();
      await queue.close();
    },
  };
}

/** Queues a stream now; while the same stream is waiting or running, once is enough. */
export async function enqueueStream(queue: StreamQueue, job: StreamJob): Promise<void> {
  await queue.add('run', job, { deduplication: { id: `${job.connector}/${job.stream}` } });
}

async function runJob(
  jobs: Jobs,
  queue: StreamQueue,
  job: Job<StreamJob, StreamOutcome>,
  since: Date,
  signal: AbortSignal,
): Promise<StreamOutcome> {
  if (isReconciling(job.name)) return runReconcileJob(jobs, job, signal);
  const { connector, stream: id, trigger } = job.data;
  const stream = findStream(jobs.model, `${connector}/${id}`);
  if (stream === undefined) throw giveUp(`stream ${connector}/${id} does not exist in this version of the model`);
  const logger = jobs.logger.child({ connector, stream: id });
  try {
    if (job.data.woken && !(await isDue(jobs, connector, id))) return { run: null, state: 'skipped' };
    if (job.data.missed && (await missedStreams(jobs.pool, [stream], since)).length === 0) return { run: null, state: 'skipped' };
    const progress = (counts: RunResult['counts'], total: number | undefined) =>
      void job.updateProgress({ ...counts, total: total ?? null }).catch(() => undefined);
    const options = { trigger, onProgress: progress, signal };
    const result = await runStream(jobs, stream, options);
    if (result === undefined) return { run: null, state: (await isPaused(jobs.pool, stream)) ? 'paused' : 'skipped' };
    if ('deferred' in result) return await goOnLater(jobs, queue, job.data, result.deferred, logger);
    logger.info({ run: result.run, ...result.counts }, 'run done');
    // The run is done, whatever became of the queue; the sweep finds what waits.
    if (stream.direction === 'pull')
      await wakePushes(jobs, queue).catch((error: unknown) => logger.warn({ err: String(error) }, 'waking the pushes'));
    return { run: result.run, state: 'done' };
  } catch (error) {
    throw await instructionOf(jobs, stream, error, logger);
  }
}

/** A run that was put off is no failure and spends no attempt. The ledger has its time, and the sweep sees to it; the delayed job is only more punctual. */
async function goOnLater(
  jobs: Jobs,
  queue: StreamQueue,
  { connector, stream, trigger }: StreamJob,
  { why, until }: PutOff['deferred'],
  logger: Jobs['logger'],
): Promise<StreamOutcome> {
  logger.info({ why, until }, 'run put off');
  if (why === 'paused' || until === undefined) return { run: null, state: 'paused' };
  const delay = Math.max(0, until.getTime() - jobs.now().getTime());
  if (delay < FAR_MS)
    await queue
      .add('run', { connector, stream, trigger }, { delay, deduplication: { id: `go on ${connector}/${stream}`, ttl: Math.max(1, delay) } })
      .catch(() => undefined);
  return { run: null, state: 'deferred', until: until.toISOString() };
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
  const resting = await restingStreams(jobs.pool, jobs.now());
  for (const { connector, stream } of await openOutbox(jobs.pool))
    if (!resting.has(`${connector}/${stream}`)) await enqueueStream(queue, { connector, stream, trigger: 'schedule' });
}

/** What a commit says is due. A run under way that has looked already is followed by another one. */
async function wakeOne(jobs: Jobs, queue: StreamQueue, connector: string, stream: string): Promise<void> {
  if (findStream(jobs.model, `${connector}/${stream}`)?.direction !== 'push') return;
  if ((await restingStreams(jobs.pool, jobs.now())).has(`${connector}/${stream}`)) return;
  if (await isDue(jobs, connector, stream))
    await queue.add(
      'run',
      { connector, stream, trigger: 'schedule', woken: true },
      { deduplication: { id: `${connector}/${stream}`, keepLastIfActive: true } },
    );
}

async function isDue(jobs: Jobs, connector: string, stream: string): Promise<boolean> {
  return (await openOutbox(jobs.pool)).some((one) => one.connector === connector && one.stream === stream);
}

async function sweepOnce(jobs: Jobs, queue: StreamQueue, since: Date, reconcile: boolean): Promise<void> {
  await ensureLogPartitions(jobs.pool, jobs.now(), 2);
  await restoreSchedules(jobs.pool, queue, jobs.model);
  await watchDeadlines(jobs.pool, jobs.keys, jobs.model, dayInShanghai(jobs.now()));
  await noticeLate(jobs.pool, (tx, record) => officesThatSaw(tx, jobs.keys, jobs.model, record));
  await watchMisuse(jobs);
  await wakePushes(jobs, queue);
  for (const { connector, id } of await missedStreams(jobs.pool, allStreams(jobs.model), since))
    await enqueueStream(queue, { connector, stream: id, trigger: 'schedule', missed: true });
  for (const { connector, stream, asked } of await dueStreams(jobs.pool, jobs.now())) {
    // Its own job may be waiting out a failure: a person who asks does not wait for that.
    const id = asked ? `asked ${connector}/${stream}` : `${connector}/${stream}`;
    if (findStream(jobs.model, `${connector}/${stream}`) !== undefined)
      await queue.add('run', { connector, stream, trigger: asked ? 'manual' : 'schedule' }, { deduplication: { id } });
  }
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
  await enqueueReconciliations(jobs, queue, reconcile);
}
