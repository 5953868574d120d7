/**
 * Pulls by their schedules and pushes to platforms of every mode while Redis loses all it holds, again and again, and the platforms go on writing. In the
 * end the platforms' own tables and books are compared with the store and the outbox.
 */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { runPull } from '../../src/jobs/pull.ts';
import { openBackend } from '../../src/jobs/queues.ts';
import { allStreams, loadModel } from '../../src/model/load.ts';
import { findStream } from '../../src/model/streams.ts';
import type { PullStream } from '../../src/model/types.ts';
import { generate } from '../../src/sandbox/generate.ts';
import { type Random, randomOf } from '../../src/sandbox/random.ts';
import { type Receiver, type ReceiverMode, startReceiver } from '../../src/sandbox/receiver.ts';
import { newKeyRing } from '../../src/store/keys.ts';
import type { Pool } from '../../src/store/sql.ts';
import { openHub, type TestHub } from './platforms.ts';
import { judge, MODES, type ModeResult, schemaOf } from './push-kills.ts';
import { type RedisServer, startRedis } from './redis-server.ts';
import { startVictim } from './worker-child.ts';

const GRADES = 'national-insurance/credit-grades';
const PULLS = ['national-insurance/medical-institutions', 'national-insurance/pharmacies', GRADES];
const EVERY_MS = 250;
const LOOK_MS = 300;
const MINUTE = 60_000;
/** Redis is away so long before and after the minute of the last loss. */
const LEAST_AWAY_MS = 1200;
const OF_GRADES = `d.connector = 'national-insurance' and d.stream = 'credit-grades'`;
const KEY = `(d.source_key::jsonb ->> 0)`;
/** Before the first loss of a run lies so much at least, that the losses are spread. */
const LEAST_MS = 20_000;

export interface Loss {
  how: 'FLUSHALL' | 'kill -9';
  /** How long Redis was away. */
  awayMs: number;
  /** From the moment Redis was back until all that was written before had its receipts; undefined: not within the patience. */
  caughtUpMs: number | undefined;
}

export interface LossResult {
  losses: Loss[];
  /** The whole, after the last loss: receipts, the row whose daily time fell into the loss, and all schedules. */
  allMs: number | undefined;
  /** Whether the row of the stream whose daily time fell into the last loss is in the store. */
  dailyRead: boolean;
  /** Rows that the platform wrote and the store does not hold, and those of which it made two versions. */
  missing: string[];
  twice: string[];
  written: number;
  schedules: { wanted: number; found: number };
  modes: Record<ReceiverMode, ModeResult>;
  bugs: string[];
  close(): Promise<void>;
}

export async function loseRedis(options: {
  program: string;
  seed: number;
  losses: number;
  patienceMs: number;
  /** Left out: until the minute in which a daily stream has its time. */
  spreadMs?: number;
  broken?: string;
}): Promise<LossResult> {
  const steps: (() => unknown)[] = [];
  const close = async () => {
    for (const step of steps.splice(0).toReversed()) await step();
  };
  try {
    const random = randomOf(options.seed, 'losses');
    const redis = await startRedis(options.program);
    steps.push(() => redis.stop());
    const schema = schemaOf();
    steps.push(() => rmSync(schema, { recursive: true }));
    const ring = newKeyRing();
    const hub = await openHub({ data: generate({ seed: 11, organisations: 30, persons: 120 }), ring });
    steps.push(() => hub.close());
    const receivers = {} as Record<ReceiverMode, Receiver>;
    for (const mode of MODES) {
      receivers[mode] = await startReceiver(`RECEIVER_${mode.toUpperCase()}`, mode, {});
      steps.push(() => receivers[mode].stop());
      Object.assign(hub.sandboxes.env, receivers[mode].env);
    }
    const before = loadModel(schema);
    for (const name of PULLS) await runPull({ ...hub.jobs, model: before }, findStream(before, name) as PullStream, { trigger: 'manual' });

    const daily = nextMinute(Date.now() + LEAST_MS);
    schedule(schema, daily);
    const wanted = allStreams(loadModel(schema)).filter((stream) => stream.schedule !== undefined).length;
    const victim = startVictim(hub, {
      ring,
      build: options.broken === undefined ? [] : [options.broken],
      env: { HUB_SCHEMA: schema, REDIS_URL: redis.url },
    });
    steps.push(() => victim.end());
    const backend = openBackend({ databaseUrl: hub.databaseUrl, redisUrl: redis.url });
    steps.push(() => backend.close());
    const queue = backend.queue(() => undefined);
    steps.push(() => queue.close());
    const schedules = () => queue.getJobSchedulersCount().catch(() => -1);
    await waitFor(MINUTE, async () => (victim.check(), (await schedules()) === wanted));

    const platform = await openPlatform(hub);
    steps.push(() => platform.close());
    const last = options.spreadMs === undefined ? daily : Date.now() + options.spreadMs;
    const { losses, waiting } = await disturb(redis, platform, { ...options, random, last, isIn: (keys) => isIn(hub.pool, keys) });
    await platform.stop();
    const allMs = await waitFor(options.patienceMs, async () => {
      victim.check();
      return (await isIn(hub.pool, platform.written())) && (await isShopIn(hub.pool)) && (await schedules()) === wanted;
    });
    await waiting;
    const found = await schedules();
    await victim.end();
    const modes = {} as Record<ReceiverMode, ModeResult>;
    for (const mode of MODES) modes[mode] = await judge(hub.pool, mode, receivers[mode].book);
    const versions = await versionsOf(hub.pool);
    return {
      losses,
      allMs,
      missing: platform.written().filter((key) => !versions.has(key)),
      twice: platform.written().filter((key) => (versions.get(key) ?? 0) > 1),
      written: platform.written().length,
      dailyRead: await isShopIn(hub.pool),
      schedules: { wanted, found },
      modes,
      bugs: victim
        .said()
        .split('\n')
        .filter((line) => line.includes('"bug"')),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

interface Platform {
  /** Keys of the rows written so far. */
  written(): string[];
  stop(): Promise<void>;
  close(): Promise<void>;
}

/** The bureau's own tables: a new grade every quarter of a second, and once a change of a pharmacy, until it is stopped. */
async function openPlatform(hub: TestHub): Promise<Platform> {
  const client = new Client({ connectionString: hub.sandboxes.env['NATIONAL_INSURANCE_DATABASE_URL'] });
  await client.connect();
  const stamp = `date_trunc('second', now() at time zone 'Asia/Shanghai')`;
  await client.query(
    `update "CUSTCENT_DB"."RTAL_PHAC_B" set "OPTINS_NO" = '430001', "UPDT_TIME" = ${stamp}
     where "RID" = (select min("RID") from "CUSTCENT_DB"."RTAL_PHAC_B" where "VALI_FLAG" = '1')`,
  );
  const stopping = new AbortController();
  const keys: string[] = [];
  const over = (async () => {
    for (let n = 0; !stopping.signal.aborted; n += 1) {
      const key = `LOSS${n}`;
      const { rowCount } = await client.query(
        `insert into "CUSTCENT_DB"."MEDINS_CRED_EVAL_D" select (json_populate_record(t,
           json_build_object('RID', $1::text, 'EVAL_YEAR', $2::text, 'UPDT_TIME', ${stamp}))).*
         from "CUSTCENT_DB"."MEDINS_CRED_EVAL_D" t where "CRED_LV" is not null and "VALI_FLAG" = '1' and "RID" not like 'LOSS%'
         order by "RID" limit 1`,
        [key, String(1000 + n)],
      );
      if (rowCount !== 1) throw new Error('the platform has no grade to copy');
      keys.push(key);
      await sleep(EVERY_MS, undefined, { signal: stopping.signal }).catch(() => undefined);
    }
  })();
  over.catch(() => undefined);
  return {
    written: () => [...keys],
    async stop() {
      stopping.abort();
      await over;
    },
    async close() {
      stopping.abort();
      await over.catch(() => undefined);
      await client.end();
    },
  };
}

/** Loses everything so often, FLUSHALL and kill by turns; the last while Redis is away at the minute `last`. Each is measured beside those that follow. */
async function disturb(
  redis: RedisServer,
  platform: Platform,
  how: { losses: number; patienceMs: number; random: Random; last: number; isIn: (keys: string[]) => Promise<boolean> },
): Promise<{ losses: Loss[]; waiting: Promise<unknown> }> {
  const losses: Loss[] = [];
  const waits: Promise<unknown>[] = [];
  for (let n = 0; n < how.losses; n += 1) {
    const isLast = n === how.losses - 1;
    const share = (how.last - LEAST_AWAY_MS - Date.now()) / (how.losses - n);
    await sleep(isLast ? Math.max(0, how.last - LEAST_AWAY_MS - Date.now()) : how.random.int(Math.floor(share / 2), Math.floor(share)));
    const began = Date.now();
    const isKill = (how.losses - n) % 2 === 1;
    if (isKill) {
      await redis.kill();
      await sleep(isLast ? 2 * LEAST_AWAY_MS : how.random.int(50, Math.floor(share / 2)));
      await redis.start();
    } else await redis.flush();
    const loss: Loss = { how: isKill ? 'kill -9' : 'FLUSHALL', awayMs: isKill ? Date.now() - began : 0, caughtUpMs: undefined };
    losses.push(loss);
    const before = platform.written();
    waits.push(waitFor(how.patienceMs, () => how.isIn(before)).then((ms) => (loss.caughtUpMs = ms)));
  }
  return { losses, waiting: Promise.all(waits) };
}

/** Milliseconds until it holds; undefined: it did not within the patience. */
async function waitFor(patienceMs: number, holds: () => Promise<boolean>): Promise<number | undefined> {
  for (const began = Date.now(); Date.now() - began <= patienceMs; await sleep(LOOK_MS)) if (await holds()) return Date.now() - began;
  return undefined;
}

/** Whether each of the rows is in the store and has its receipt from every platform. */
async function isIn(pool: Pool, keys: readonly string[]): Promise<boolean> {
  const { rows } = await pool.query<{ n: number }>(
    `select count(*)::int as n from record d where ${OF_GRADES} and ${KEY} = any($1) and
       (select count(*) from outbox o join receipt t on t.outbox_id = o.id
        where o.record_id = d.id and o.connector = 'receivers' and o.state = 'done') = ${MODES.length}`,
    [keys],
  );
  return rows[0]?.n === keys.length;
}

async function isShopIn(pool: Pool): Promise<boolean> {
  const { rowCount } = await pool.query(`select from record where stream = 'pharmacies' and version = 2`);
  return rowCount === 1;
}

async function versionsOf(pool: Pool): Promise<Map<string, number>> {
  const { rows } = await pool.query<{ key: string; version: number }>(`select ${KEY} as key, version from record d where ${OF_GRADES}`);
  return new Map(rows.map(({ key, version }) => [key, version]));
}

const nextMinute = (from: number) => Math.ceil(from / MINUTE) * MINUTE;

/** Grades are read every two seconds, pharmacies once a day: at the minute `at`. */
function schedule(schema: string, at: number): void {
  const path = join(schema, 'connectors', 'national-insurance.yml');
  const there = new Date(at + 8 * 60 * MINUTE);
  const daily = `'${there.getUTCMinutes()} ${there.getUTCHours()} * * *'`;
  const text = readFileSync(path, 'utf8');
  const changed = text
    .replace(`schedule: '5 1 * * *'`, `schedule: ${daily}`)
    .replace(`schedule: '35 1 * * *'`, `schedule: '*/2 * * * * *'`);
  if (!changed.includes(daily) || !changed.includes('*/2 * * * * *')) throw new Error('the schedules of the model are others');
  writeFileSync(path, changed);
}
