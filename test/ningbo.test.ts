import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it, test } from '@jest/globals';
import { pino } from 'pino';
import type { Jobs } from '../src/jobs/hub.ts';
import { runPull } from '../src/jobs/pull.ts';
import { ensureLogPartitions } from '../src/log/partitions.ts';
import { openLog } from '../src/log/writer.ts';
import type { Counts } from '../src/store/runs.ts';
import { MODEL, openStore, pullStreamOf, type Store } from './setup/store.ts';

const FIXTURES = fileURLToPath(new URL('fixtures', import.meta.url));
const REAL = process.env['HUB_REAL_DATA'];
const STREAMS = ['registrations', 'abnormal'] as const;

let store: Store;
let jobs: Jobs;

function withEmptyHub(): void {
  beforeAll(async () => {
    store = await openStore();
    await ensureLogPartitions(store.pool, new Date(), 2);
    const log = await openLog({ pool: store.pool, node: 'test', suite: 'sha256', allowUnsafe: true });
    const logger = pino({ level: 'silent' });
    jobs = { model: MODEL, pool: store.pool, keys: store.keys, log, environment: {}, now: () => new Date(), logger };
  });
  afterAll(async () => {
    await jobs.log.close();
    await store.drop();
  });
}

/** `ningbo-…registrations.csv` and `ningbo-…abnormal.csv`. */
function fileOf(folder: string, stream: string): string | undefined {
  const name = readdirSync(folder).find((file) => file.startsWith('ningbo-') && file.endsWith(`-${stream}.csv`));
  return name && join(folder, name);
}

async function load(folder: string): Promise<Record<string, Partial<Counts> | undefined>> {
  const counts: Record<string, Partial<Counts> | undefined> = {};
  for (const stream of STREAMS) {
    const file = fileOf(folder, stream);
    if (file === undefined) throw new Error(`there is no file of ${stream} in ${folder}`);
    const result = await runPull(jobs, pullStreamOf(`ningbo-market/${stream}`), { trigger: 'manual', file });
    counts[stream] = result?.counts;
  }
  return counts;
}

const rows = async <R>(text: string) => (await store.pool.query<R>(text)).rows;
const counted = (n: number, more: Partial<Counts> = {}) => expect.objectContaining({ in: n, stored: n, unchanged: 0, issues: 0, ...more });
const perCategory = () => rows<{ category: number; n: number }>('select category, count(*)::int as n from record group by 1 order by 1');

describe('a platform that is one YAML file and no code', () => {
  withEmptyHub();

  it('HUB-2 is loaded from its files, UTF-8 and GB18030, without an issue', async () => {
    expect(await load(FIXTURES)).toEqual({ registrations: counted(5), abnormal: counted(5) });
    expect(await perCategory()).toEqual([
      { category: 1, n: 5 },
      { category: 5, n: 5 },
    ]);
    expect(await rows('select from issue')).toEqual([]);
  });

  it('HN-13 both files speak of the same organisations, found by their unified codes', async () => {
    const found = await rows<{ both: boolean }>(
      'select bool_or(category = 1) and bool_or(category = 5) as both from record group by subject_id',
    );
    expect(found.filter((subject) => subject.both).length).toBeGreaterThan(0);
    expect(await rows(`select from subject where region is null or not region like '3302%'`)).toEqual([]);
  });

  it('HUB-2 2099-12-31 means that the term has no end', async () => {
    expect(await rows(`select from record where valid_to = '2099-12-31' or open->>'businessTermTo' = '2099-12-31'`)).toEqual([]);
    expect((await rows(`select from record where category = 1 and valid_to is null`)).length).toBeGreaterThan(0);
  });

  it('HUB-2 keeps the capital as its source states it and makes no amount in fen of it', async () => {
    const capital = await rows<{ stated: string; unit: string; currency: string | null; fen: string | null }>(
      `select open->>'capitalStated' as stated, open->>'capitalUnit' as unit, open->>'capitalCurrency' as currency, open->>'registeredCapital' as fen
       from record where category = 1 order by source_key`,
    );
    expect(capital).toContainEqual({ stated: '1000000.0', unit: '万元', currency: '人民币', fen: null });
    expect(capital).toContainEqual({ stated: '140000.0', unit: '万元', currency: '美元', fen: null });
    expect(capital.filter((c) => c.fen !== null)).toEqual([]);
  });

  it('P5 HUB-2 the same files once more change nothing', async () => {
    const before = await rows('select * from record order by id');
    const unchanged = counted(5, { stored: 0, unchanged: 5 });
    expect(await load(FIXTURES)).toEqual({ registrations: unchanged, abnormal: unchanged });
    expect(await rows('select * from record order by id')).toEqual(before);
    expect(await rows('select from record_version')).toHaveLength(10);
  });
});

describe('the real tables of Ningbo', () => {
  if (REAL === undefined || STREAMS.some((stream) => fileOf(REAL, stream) === undefined)) {
    test.skip('skipped: HUB_REAL_DATA names no folder with ningbo-registrations.csv and ningbo-abnormal.csv', () => undefined);
    return;
  }
  withEmptyHub();

  it('HUB-2 are loaded: every row is a record or an issue with its reason', async () => {
    const counts = await load(REAL);
    expect(counts).toEqual({
      registrations: expect.objectContaining({ in: 471 }),
      abnormal: expect.objectContaining({ in: 50 }),
    });
    for (const one of Object.values(counts)) expect(one?.in).toBe((one?.stored ?? 0) + (one?.unchanged ?? 0) + (one?.issues ?? 0));
    expect(await rows('select rule, place, count(*)::int as n from issue group by 1, 2')).toEqual([]);
    expect(await perCategory()).toEqual([
      { category: 1, n: 471 },
      { category: 5, n: 50 },
    ]);
  });
});
