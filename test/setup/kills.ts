/**
 * A full sync of all sandboxes while everything goes wrong: the platforms fail as a plan says and write in their tables, the worker's process
 * is killed again and again. In the end all is well again, and the oracle compares.
 */
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { openBackend, type StreamQueue } from '../../src/jobs/queues.ts';
import { syncAll } from '../../src/jobs/sync.ts';
import { enqueueStream } from '../../src/jobs/worker.ts';
import { allStreams, findStream, loadModel } from '../../src/model/load.ts';
import type { PullStream, Stream } from '../../src/model/types.ts';
import { FAULT_KINDS, type FaultKind, type FaultPlan, type Faults, holdingsOf, openFaults } from '../../src/sandbox/faults.ts';
import { generate } from '../../src/sandbox/generate.ts';
import { faultyAnswers } from '../../src/sandbox/http-faults.ts';
import { type Random, randomOf } from '../../src/sandbox/random.ts';
import { openKeys, newKeyRing } from '../../src/store/keys.ts';
import { openOutbox } from '../../src/store/sending.ts';
import { type Oracle, openOracle, type Verdict } from './oracle.ts';
import { openHub, type TestHub, until, wipeQueues } from './platforms.ts';
import { openSource, startWriting } from './writing.ts';
import { doneAfter, readyOf, startVictim, type Victim } from './worker-child.ts';

/**
 * Under these the hub promises to be right. Left out are those that no reader could see (`silent-drop`, `repeated-page` among other changes of
 * order) and `renamed-key`, whose rows wait as issues until an operator has them replayed.
 */
const ODDS: FaultPlan['odds'] = {
  'http-500': 0.04,
  hang: 0.001,
  reset: 0.02,
  'cut-body': 0.02,
  'error-in-200': 0.02,
  'html-login': 0.004,
  'mislabelled-gb18030': 0.004,
  'wrong-signature': 0.003,
  'expired-token': 0.02,
  'reversed-page': 0.06,
  'overlapping-page': 0.06,
  'moved-cursor': 0.03,
  'changed-while-paging': 0.1,
  'new-key': 0.002,
  'equal-times': 0.3,
  'connection-killed': 0.1,
  'changed-before-ack': 0.3,
  'late-row': 0.1,
  'delete-by-flag': 0.03,
};
/** Rows of a platform that are as they are, and no broken delivery: no part of the count. Ended sessions are counted where they end. */
const WRITTEN: readonly FaultKind[] = ['equal-times', 'changed-before-ack', 'late-row', 'delete-by-flag', 'connection-killed'];

/** One second of the test is half a minute of the hub and of the platforms' services: windows end and begin while it runs. */
const SPEED = 30;
/** The services' clock is behind the hub's, but within every overlap. */
const BEHIND_MS = 120_000;
/** Of the data: with few rows not every seed has some to plant every fault in. */
const DATA_SEED = 11;
/** Longer than any overlap, so that the last sync sees all that was written. */
const LATER_MS = 30 * 60_000;

export interface KillOptions {
  seed: number;
  kills: number;
  /** The platforms go on failing until so many faults have happened. */
  faults: number;
  organisations: number;
  persons: number;
  /** Streams that the worker itself must have read to their end before all is well again. */
  read?: readonly string[];
  /** A change of `build.mjs` that breaks the worker. */
  broken?: string;
}

export interface KillResult {
  hub: TestHub;
  oracle: Oracle;
  verdict: Verdict;
  kills: number;
  interrupted: number[];
  injected: Partial<Record<FaultKind, number>>;
  /** Answers that were spoilt or not those asked for, and sessions that were ended: `injected` without what was written in the platforms. */
  faults: number;
  /** What the worker's process said was a bug. */
  bugs: string[];
  /** Raw rows that the platforms held in all their versions. */
  told: number;
  close(): Promise<void>;
}

export async function syncUnderKills(options: KillOptions): Promise<KillResult> {
  const { seed } = options;
  const steps: (() => unknown)[] = [];
  const close = async () => {
    for (const step of steps.splice(0).toReversed()) await step();
  };
  try {
    const schema = smallPages();
    steps.push(() => rmSync(schema, { recursive: true }));
    const model = loadModel(schema);
    const faults = openFaults({ seed, odds: ODDS });
    const sizes = { organisations: options.organisations, persons: options.persons };
    const holdings = holdingsOf(generate({ seed: DATA_SEED, ...sizes }), faults);
    const ring = newKeyRing();

    const origin = Date.now();
    let later = 0;
    const hubTime = () => new Date(origin + (Date.now() - origin) * SPEED + later);
    const serviceTime = () => new Date(hubTime().getTime() - BEHIND_MS);
    const oracle = openOracle(model, openKeys(ring), (name) => findStream(model, name) as PullStream, hubTime().toISOString().slice(0, 10));
    const records = [...holdings.streams].filter(([name]) => findStream(model, name)?.direction === 'pull');
    const source = openSource(oracle, new Map(records));
    const faulty = faultyAnswers(faults, holdings, serviceTime);
    const hub = await openHub({
      data: holdings,
      ring,
      slowMs: 8,
      now: serviceTime,
      async answer(call, proper) {
        const answer = await faulty(call, proper);
        source.look(faults);
        return answer;
      },
    });
    steps.push(() => hub.close());

    const writing = await startWriting(faults, hub.sandboxes.env['HUNAN_CREDIT_DATABASE_URL'] ?? '', source);
    let stopped: Promise<void> | undefined;
    const stopWriting = () => (stopped ??= writing.stop());
    steps.push(stopWriting);

    const backend = openBackend({ databaseUrl: hub.databaseUrl });
    steps.push(() => backend.close());
    const queue = backend.queue(() => undefined);
    await queue.waitUntilReady();
    steps.push(() => queue.close());
    const victim = startVictim(hub, {
      ring,
      build: ['clock', ...(options.broken === undefined ? [] : [options.broken])],
      env: { HUB_TEST_CLOCK: `${origin} ${SPEED}`, HUB_SCHEMA: schema },
    });
    steps.push(() => victim.end());
    const streams = allStreams(model).filter((s) => s.direction === 'push' || holdings.streams.has(`${s.connector}/${s.id}`));
    const count = () => countOf(faults) + writing.ended();
    const enough = (done: ReadonlySet<string>) =>
      victim.kills() >= options.kills && count() >= options.faults && (options.read ?? []).every((name) => done.has(name));
    await Promise.all([
      victim.killAgain(options.kills, {
        random: randomOf(seed, 'kills'),
        afterMs: [500, 1300],
        when: (n) => count() >= ((n + 1) * options.faults) / (options.kills + 1),
      }),
      keepAsking(hub, queue, streams, victim, enough, randomOf(seed, 'asking')),
    ]);
    await stopWriting();
    faults.stop();
    await victim.end();

    // Whatever the queues still held is gone: what is due is known without them.
    await wipeQueues(hub.pool);
    later = LATER_MS;
    const running = await hub.work({ jobs: { model, now: hubTime } });
    // The first ends the windows that were open, the second is the last sync.
    for (let n = 0; n < 2; n += 1) await syncAll(running, model, 'manual', () => undefined);
    await until(async () => {
      const open = await openOutbox(hub.pool);
      for (const { connector, stream } of open) await enqueueStream(queue, { connector, stream, trigger: 'manual' });
      return open.length === 0;
    });
    await running.stop();
    const injected = Object.fromEntries(FAULT_KINDS.map((kind) => [kind, faults.injected[kind]] as const).filter(([, n]) => n > 0));
    return {
      hub,
      oracle,
      verdict: await oracle.compare(hub.pool),
      kills: victim.kills(),
      interrupted: victim.interrupted,
      injected: { ...injected, 'connection-killed': writing.ended() },
      faults: count(),
      bugs: victim
        .said()
        .split('\n')
        .filter((line) => line.includes('"bug"')),
      told: source.told(),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** The model with so few rows a page that a small sandbox has many pages. */
function smallPages(): string {
  const folder = mkdtempSync(join(tmpdir(), 'hub-small-pages-'));
  cpSync(fileURLToPath(new URL('../../schema', import.meta.url)), folder, { recursive: true });
  const connectors = join(folder, 'connectors');
  const sizes = [
    ['size: 20 }', 'size: 1 }'],
    ['size: 500', 'size: 20'],
    ['size: 200', 'size: 10'],
  ] as const;
  for (const name of readdirSync(connectors)) {
    const text = readFileSync(join(connectors, name), 'utf8');
    const small = sizes.reduce((all, [size, less]) => all.replaceAll(size, less), text);
    writeFileSync(join(connectors, name), small);
  }
  return folder;
}

/** So many jobs wait for the worker, that it never has nothing to do. */
const WAITING = 12;

/** Asks for all streams again and again, as schedules and operators would in days: what failed or stopped is asked for without its wait. */
async function keepAsking(
  hub: TestHub,
  queue: StreamQueue,
  streams: Stream[],
  victim: Victim,
  enough: (done: ReadonlySet<string>) => boolean,
  random: Random,
): Promise<void> {
  for (;;) {
    victim.check();
    const done = await doneAfter(hub.pool, 0);
    if (enough(done)) return;
    const ready = readyOf(streams, done);
    for (let n = await queue.getWaitingCount(); n < WAITING; n += 1) {
      const { connector, id } = random.pick(ready);
      // By no name: a killed worker's job would keep the name until its lock is over.
      await queue.add('run', { connector, stream: id, trigger: 'manual' });
    }
    await sleep(100);
  }
}

function countOf(faults: Faults): number {
  return FAULT_KINDS.filter((kind) => !WRITTEN.includes(kind)).reduce((sum, kind) => sum + faults.injected[kind], 0);
}
