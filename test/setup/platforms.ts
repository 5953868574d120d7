/** A whole hub for a test: a database of its own, sandboxes of the three platforms with theirs, and the jobs between them. */
import { randomBytes } from 'node:crypto';
import { Writable } from 'node:stream';
import { Redis } from 'ioredis';
import { pino } from 'pino';
import type { Jobs } from '../../src/jobs/hub.ts';
import { openBackend, type QueueBackend } from '../../src/jobs/queues.ts';
import { type RunningWorker, startWorker } from '../../src/jobs/worker.ts';
import { ensureLogPartitions } from '../../src/log/partitions.ts';
import { openLog } from '../../src/log/writer.ts';
import type { SandboxData } from '../../src/sandbox/generate.ts';
import { type Sandboxes, startSandboxes } from '../../src/sandbox/start.ts';
import type { ServerOptions } from '../../src/sandbox/server.ts';
import { newKeyRing, openKeys } from '../../src/store/keys.ts';
import { WRITER } from '../../src/store/roles.ts';
import { openPool, type Pool } from '../../src/store/sql.ts';
import { emptyDatabase, freshDatabase } from './database.ts';
import { MODEL } from './store.ts';

export interface HubOptions {
  data: SandboxData;
  /** Key ring; a new one when left out. */
  ring?: string;
  slowMs?: number;
  answer?: ServerOptions['answer'];
  /** The platforms' clock. */
  now?: ServerOptions['now'];
  /** Which submissions the receiving platforms lose after they confirmed them. */
  forgets?: (key: string) => boolean;
}

export interface TestHub {
  databaseUrl: string;
  /** The connections of an administrator, for what a test does to the database behind the hub's back. */
  pool: Pool;
  jobs: Jobs;
  sandboxes: Sandboxes;
  /** What the process log said, one object a line. */
  said: Record<string, unknown>[];
  /** A worker on its own queues; it stops with the hub. Without a Redis the queues are on the hub's PostgreSQL. */
  work(options?: WorkOptions): Promise<RunningWorker>;
  close(): Promise<void>;
}

export interface WorkOptions {
  redisUrl?: string | undefined;
  /** Of the keys in Redis; one of its own when left out. */
  prefix?: string;
  concurrency?: number;
  /** Whether streams are compared with their platforms. */
  reconcile?: boolean;
  /** How often the worker looks by itself; twice a second when left out. */
  sweepMs?: number;
  jobs?: Partial<Jobs>;
}

export async function openHub(options: HubOptions): Promise<TestHub> {
  const steps: (() => Promise<unknown>)[] = [];
  const close = async () => {
    for (const step of steps.splice(0).toReversed()) await step();
  };
  const [database, platforms] = [await freshDatabase(), await emptyDatabase()];
  steps.push(
    () => database.drop(),
    () => platforms.drop(),
  );
  const open = (url: string, role?: string) => {
    const pool = openPool(url, { max: 8, applicationName: 'hub test', ...(role === undefined ? {} : { role }) });
    steps.push(() => pool.close());
    return pool;
  };
  const [pool, own, outside] = [open(database.url), open(database.url, WRITER), open(platforms.url)];
  const execute = (text: string, values?: readonly unknown[]) => outside.query<Record<string, unknown>>(text, values);
  const { data, ring, ...behaviour } = options;
  const sandboxes = await startSandboxes({
    data,
    execute: { nationalInsurance: execute, hunanCredit: execute },
    databaseUrls: { nationalInsurance: platforms.url, hunanCredit: platforms.url },
    frontDatabaseEveryMs: 50,
    ...behaviour,
  });
  steps.push(() => sandboxes.stop());
  const keys = openKeys(ring ?? newKeyRing());
  await ensureLogPartitions(own, new Date(), 2);
  const log = await openLog({ pool: own, node: 'test', suite: keys.suite.hash, allowUnsafe: true });
  steps.push(() => log.close());
  const said: Record<string, unknown>[] = [];
  const jobs: Jobs = {
    model: MODEL,
    pool: own,
    keys,
    log,
    environment: sandboxes.env,
    now: () => new Date(),
    logger: pino({ base: null }, lines(said)),
  };
  const work = async (how: WorkOptions = {}) => {
    const backend = backendOf(how, database.url, steps);
    const running = await startWorker({ ...jobs, ...how.jobs }, backend, {
      concurrency: how.concurrency ?? 4,
      reconcile: how.reconcile ?? false,
      sweepMs: how.sweepMs ?? 500,
    });
    let over: Promise<void> | undefined;
    const stop = () => (over ??= running.stop().then(() => backend.close()));
    steps.push(stop);
    return { ...running, stop };
  };
  return { databaseUrl: database.url, pool, jobs, sandboxes, said, work, close };
}

function backendOf(how: WorkOptions, databaseUrl: string, steps: (() => Promise<unknown>)[]): QueueBackend {
  if (how.redisUrl === undefined) return openBackend({ databaseUrl });
  const prefix = how.prefix ?? newPrefix();
  const url = how.redisUrl;
  steps.push(() => wipeRedis(url, prefix));
  return openBackend({ databaseUrl, redisUrl: url, prefix });
}

export function newPrefix(): string {
  return `{hubtest-${randomBytes(6).toString('hex')}}`;
}

/** Removes every key under a prefix of {@link newPrefix}, and nothing else; returns how many there were. */
export async function wipeRedis(url: string, prefix: string): Promise<number> {
  if (!prefix.startsWith('{hubtest-')) throw new Error(`${prefix} is no prefix of a test`);
  const redis = new Redis(url);
  let removed = 0;
  try {
    for await (const keys of redis.scanStream({ match: `${prefix}:*`, count: 500 }) as AsyncIterable<string[]>) {
      if (keys.length > 0) removed += await redis.del(...keys);
    }
  } finally {
    redis.disconnect();
  }
  return removed;
}

/** Every row of BullMQ's tables on PostgreSQL; only the record of its own migrations stays. Throws where there are none. */
export async function wipeQueues(pool: Pool): Promise<void> {
  const { rows } = await pool.query<{ name: string }>(
    `select format('%I.%I', schemaname, tablename) as name from pg_tables where schemaname = 'bullmq' and tablename not like '%migration%'`,
  );
  if (rows.length === 0) throw new Error('there are no queues on this PostgreSQL');
  await pool.query(`truncate ${rows.map((row) => row.name).join(', ')} cascade`);
}

function lines(into: Record<string, unknown>[]): Writable {
  return new Writable({
    write(chunk: Buffer, _encoding, done) {
      into.push(JSON.parse(chunk.toString()) as Record<string, unknown>);
      done();
    },
  });
}

/** Waits until `holds` gives something else than false or undefined; the test's own time limit ends it. */
export async function until<T>(holds: () => Promise<T | false | undefined> | T | false | undefined): Promise<T> {
  for (;;) {
    const found = await holds();
    if (found !== false && found !== undefined) return found;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
