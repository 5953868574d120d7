/**
 * P6 in file mode: the worker is killed between the batch file and the commit of what became of it, again and again; each line is in effect once, and
 * every done row has the receipt of the platform's book. A build that forgets what it wrote and makes its keys anew goes red.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import { openBackend } from '../../src/jobs/queues.ts';
import { manualStreamId } from '../../src/model/manual.ts';
import { findStream } from '../../src/model/load.ts';
import type { PullStream } from '../../src/model/types.ts';
import { startBatchTaker } from '../../src/sandbox/batch-taker.ts';
import { generate } from '../../src/sandbox/generate.ts';
import { randomOf } from '../../src/sandbox/random.ts';
import { newKeyRing } from '../../src/store/keys.ts';
import { enqueue } from '../../src/store/outbox.ts';
import { storeRecords } from '../../src/store/records.ts';
import { HENGYANG, HOSPITAL, PHARMACY, record } from '../fixtures/credit-records.ts';
import { openHub, type TestHub } from '../setup/platforms.ts';
import { MODEL } from '../setup/store.ts';
import { startVictim } from '../setup/worker-child.ts';
import { SEED } from '../setup/seed.ts';

const KILLS = process.env['HUB_DEEP'] === '1' ? 30 : 5;
const STREAM = { connector: 'hunan-credit-batches', stream: 'own-decisions' };
const SUBJECTS = [HOSPITAL, PHARMACY, HENGYANG];
const DAY = '2026-11-23';

/** Some decisions of the bureau. */
async function decide(hub: TestHub, from: number, count: number): Promise<void> {
  const category = MODEL.categories.get(3);
  if (category === undefined) throw new Error('there is no category 3');
  const stream = findStream(MODEL, `manual-entry/${manualStreamId(category, 'penalty')}`) as PullStream;
  const records = Array.from({ length: count }, (_, i) => {
    const fields = { decisionNumber: `湘医保罚〔2026〕${from + i}号`, content: '罚款', decidedOn: DAY, authority: '湖南省医疗保障局' };
    return record(SUBJECTS[i % SUBJECTS.length] ?? HOSPITAL, 3, 'penalty', DAY, fields);
  });
  await hub.pool.transaction(async (sql) => {
    const { changed } = await storeRecords(sql, hub.jobs.keys, MODEL, stream, records, { id: 0, today: DAY });
    await enqueue(sql, MODEL, changed);
  });
}

interface Judged {
  kills: number;
  /** Runs of the stream that were killed while rows of a batch had no known outcome. */
  doubtful: number;
  doubled: string[];
  missing: string[];
  states: string[];
  decisions: number;
}

async function underKills(kills: number, build: string[]): Promise<Judged> {
  const ring = newKeyRing();
  const folder = mkdtempSync(join(tmpdir(), 'file-kills-'));
  const hub = await openHub({ data: generate({ seed: 7, organisations: 20, persons: 20 }), ring });
  // The platform takes its time: most kills fall between the batch and its receipts.
  const taker = await startBatchTaker(folder, { everyMs: 1500 });
  Object.assign(hub.sandboxes.env, taker.env);
  const backend = openBackend({ databaseUrl: hub.databaseUrl });
  const queue = backend.queue(() => undefined);
  await queue.waitUntilReady();
  const victim = startVictim(hub, { ring, build });
  try {
    let over = false;
    const disturbing = victim.killAgain(kills, { random: randomOf(SEED, 'file kills'), afterMs: [200, 1200] }).finally(() => (over = true));
    disturbing.catch(() => undefined);
    let decisions = 0;
    let doubtful = 0;
    for (let before = 0; ;) {
      victim.check();
      const { rows } = await hub.pool.query<{ open: number; sent: number }>(
        `select count(*) filter (where state in ('waiting', 'sent', 'unknown'))::int as open, count(*) filter (where state = 'sent')::int as sent
         from outbox where connector = $1`,
        [STREAM.connector],
      );
      const [{ open, sent } = { open: 0, sent: 0 }] = rows;
      if (victim.kills() > before && sent > 0) doubtful += 1;
      before = victim.kills();
      if (over && open === 0) break;
      if (!over && open < 20) {
        await decide(hub, decisions, 12);
        decisions += 12;
      }
      if ((await queue.getWaitingCount()) < 4) await queue.add('run', { ...STREAM, trigger: 'manual' });
      await sleep(100);
    }
    await disturbing;
    await victim.end();
    const { rows } = await hub.pool.query<{ key: string; state: string; number: string | null }>(
      `select o.record_id || ':' || o.version as key, o.state, r.number from outbox o left join receipt r on r.outbox_id = o.id where o.connector = $1`,
      [STREAM.connector],
    );
    const about = Map.groupBy(taker.book, ({ row }) => row['WSH'] ?? '');
    const numbers = new Set(taker.book.map(({ receipt }) => receipt));
    return {
      kills: victim.kills(),
      doubtful,
      doubled: [...about].flatMap(([number, effects]) => (effects.length > 1 ? [number] : [])),
      missing: rows.filter(({ number }) => number === null || !numbers.has(number)).map(({ key }) => key),
      states: [...new Set(rows.map(({ state }) => state))],
      decisions: decisions - about.size,
    };
  } finally {
    await victim.end();
    await queue.close();
    await backend.close();
    await taker.stop();
    await hub.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

describe(`batch files and a worker that is killed (HUB_SEED=${SEED})`, () => {
  it(`P6 ${KILLS} kill -9s between the file and the commit: every decision stands in the platform’s book once, with the receipt that the hub has`, async () => {
    const judged = await underKills(KILLS, []);
    process.stderr.write(`${JSON.stringify(judged)}\n`);
    expect(judged.doubtful).toBeGreaterThan(0);
    expect(judged).toMatchObject({ kills: KILLS, doubled: [], missing: [], states: ['done'], decisions: 0 });
  }, 600_000);

  it('P6 goes red for a build that forgets which batch it wrote and makes its keys anew', async () => {
    const { doubled } = await underKills(3, ['batch-unnamed', 'key-per-attempt']);
    expect(doubled.length).toBeGreaterThan(0);
  }, 600_000);
});
