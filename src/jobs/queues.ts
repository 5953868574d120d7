import { createPostgresBackend, type JobsOptions, type Processor, Queue, UnrecoverableError, Worker, withBackend } from 'bullmq';
import { Redis } from 'ioredis';

/** One job: run this stream now. Names only, never data (lessons: job payloads lie around readable). */
export interface StreamJob {
  connector: string;
  stream: string;
  trigger: 'schedule' | 'manual' | 'demo';
  /** Asked for by a commit while another run was under way: of use only if that one left something that can be sent. */
  woken?: boolean;
  /** Its time came and nobody ran it: of use only if that is still so. */
  missed?: boolean;
}
export type StreamQueue = Queue<StreamJob, StreamOutcome, string>;
export type StreamWorker = Worker<StreamJob, StreamOutcome, string>;

/** What a finished job says: the ledger has the rest. */
export interface StreamOutcome {
  run: number | null;
  /** `skipped`: another process holds the stream. `deferred`: it goes on by itself at `until`. */
  state: 'done' | 'skipped' | 'paused' | 'deferred';
  until?: string;
}

/** Where the queues live: Redis when there is one, else PostgreSQL. The choice is made here and known nowhere else. */
export interface QueueBackend {
  readonly kind: 'redis' | 'postgres';
  queue(onError: (error: Error) => void): StreamQueue;
  worker(run: Processor<StreamJob, StreamOutcome, string>, concurrency: number, onError: (error: Error) => void): StreamWorker;
  close(): Promise<void>;
}

const NAME = 'streams';
/** Only the ledger is the truth: finished jobs are kept for a look, not for the record. */
const JOB_OPTIONS: JobsOptions = {
  attempts: 12,
  backoff: { type: 'by-error' },
  removeOnComplete: { age: 86_400, count: 1000 },
  removeOnFail: { age: 7 * 86_400, count: 1000 },
};
/** A worker that dies is noticed after `lockDuration`; a job may be taken over as often as workers die (the default drops it the second time). */
const WORKER_OPTIONS = { lockDuration: 15_000, stalledInterval: 5000, maxStalledCount: 1000 };

const LONGEST_BACKOFF_MS = 600_000;
/** After this a retry is over or lost, unless the platform itself asked to wait longer; then it is only asked too early. */
export const RETRY_IS_LOST_MS = 2 * LONGEST_BACKOFF_MS;

/** Seconds before attempt n+1: 2, 4, 8 … up to ten minutes, each ± 25 %, and never before the time the platform asked for. */
export function backoffMs(attempt: number, afterMs: number | undefined, random: () => number): number {
  const base = Math.min(LONGEST_BACKOFF_MS, 1000 * 2 ** Math.max(1, attempt));
  return Math.max(afterMs ?? 0, Math.round(base * (0.75 + 0.5 * random())));
}

export function openBackend(options: { redisUrl?: string | undefined; databaseUrl: string; prefix?: string }): QueueBackend {
  const settings = { backoffStrategy: (attempt: number, _type?: string, error?: Error) => backoffMs(attempt, waitOf(error), Math.random) };
  return options.redisUrl === undefined
    ? onPostgres(options.databaseUrl, settings)
    : onRedis(options.redisUrl, options.prefix ?? '{hub}', settings);
}

function waitOf(error: Error | undefined): number | undefined {
  return error !== undefined && 'afterMs' in error && typeof error.afterMs === 'number' ? error.afterMs : undefined;
}

interface Settings {
  backoffStrategy: (attempt: number, type?: string, error?: Error) => number;
}

function onRedis(url: string, prefix: string, settings: Settings): QueueBackend {
  const connections: Redis[] = [];
  // A producer fails at once while Redis is away (the sweep comes again); a worker waits for it.
  const connect = (role: 'producer' | 'worker', onError: (error: Error) => void) => {
    const redis = new Redis(
      url,
      role === 'worker' ? { maxRetriesPerRequest: null } : { maxRetriesPerRequest: 1, enableOfflineQueue: true, commandTimeout: 10_000 },
    );
    redis.on('error', onError);
    connections.push(redis);
    return redis;
  };
  return {
    kind: 'redis',
    queue(onError) {
      const queue: StreamQueue = new Queue(NAME, { connection: connect('producer', onError), prefix, defaultJobOptions: JOB_OPTIONS });
      queue.on('error', onError);
      return queue;
    },
    worker(run, concurrency, onError) {
      const worker: StreamWorker = new Worker(NAME, run, {
        connection: connect('worker', onError),
        prefix,
        concurrency,
        settings,
        ...WORKER_OPTIONS,
      });
      worker.on('error', onError);
      return worker;
    },
    async close() {
      for (const redis of connections) redis.disconnect();
    },
  };
}

function onPostgres(databaseUrl: string, settings: Settings): QueueBackend {
  const classes = withBackend(createPostgresBackend);
  const connection = { connectionString: databaseUrl, schema: 'bullmq', migrate: true, max: 4 };
  return {
    kind: 'postgres',
    queue(onError) {
      const queue = new classes.Queue<StreamJob, StreamOutcome, string>(NAME, {
        connection,
        defaultJobOptions: JOB_OPTIONS,
      }) as unknown as StreamQueue;
      queue.on('error', onError);
      return queue;
    },
    worker(run, concurrency, onError) {
      const worker = new classes.Worker<StreamJob, StreamOutcome, string>(NAME, run, {
        connection,
        concurrency,
        settings,
        ...WORKER_OPTIONS,
      }) as unknown as StreamWorker;
      worker.on('error', onError);
      return worker;
    },
    close: async () => {},
  };
}

/** Tells BullMQ that trying again is of no use. */
export function giveUp(message: string): Error {
  return new UnrecoverableError(message);
}
