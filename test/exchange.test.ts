/** Platforms that exchange by directories and packets, through the whole hub: from the wire into the store, and back to the sender. */
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { runPull } from '../src/jobs/pull.ts';
import { findStream } from '../src/model/load.ts';
import type { PullStream } from '../src/model/types.ts';
import { generate } from '../src/sandbox/generate.ts';
import type { Counts } from '../src/store/runs.ts';
import { openHub, type TestHub } from './setup/platforms.ts';

const data = generate({ seed: 7, organisations: 60, persons: 200 });

describe('the exchange with the credit platforms', () => {
  let hub: TestHub;
  beforeAll(async () => {
    hub = await openHub({ data });
  });
  afterAll(() => hub.close());

  const pull = async (name: string): Promise<Counts | undefined> =>
    (await runPull(hub.jobs, findStream(hub.jobs.model, name) as PullStream, { trigger: 'manual' }))?.counts;
  const numbers = async (sql: string): Promise<number[]> =>
    Object.values((await hub.pool.query<Record<string, unknown>>(sql)).rows[0] ?? {}).map(Number);

  it('HUB-2 a decision told in the fields of 2014 and of 2018 is one fact with two sources', async () => {
    for (const name of ['credit-china/penalties', 'credit-china/penalties-legacy']) {
      expect(await pull(name)).toMatchObject({ ...data.expected[name] });
    }
    const [legacy, shared, other] = await numbers(`select count(*) as a, count(*) filter (where exists (
        select from record o where o.fact = r.fact and o.stream = 'penalties')) as b,
        count(distinct (r.category, r.kind)) - 1 as c
      from record r where r.stream = 'penalties-legacy'`);
    expect([legacy, shared, other]).toEqual([data.expected['credit-china/penalties-legacy']?.stored, legacy, 0]);
  });

  it('U13 one stream fills two categories, each record in one of them', async () => {
    for (const name of ['shandong-credit/handlings', 'hunan-credit/violations']) {
      const counts = await pull(name);
      expect(counts).toMatchObject({ ...data.expected[name] });
      const [connector, stream] = name.split('/');
      const [violations, lists, all] = await numbers(`select count(*) filter (where category = 9 and kind = 'violation') as a,
          count(*) filter (where category = 11 and kind = 'insurance-dishonesty-list') as b, count(*) as c
        from record where connector = '${connector}' and stream = '${stream}'`);
      expect(Math.min(violations ?? 0, lists ?? 0)).toBeGreaterThan(0);
      expect([(violations ?? 0) + (lists ?? 0), all]).toEqual([counts?.stored, counts?.stored]);
    }
    const [articles] = await numbers(`select count(*) from issue where rule = 'unknown-article' and state = 'open'`);
    expect(articles).toBe(2);
  });

  it('GB/T 39443 a department finds in the feedback folder every row of its packets that was refused', async () => {
    const name = 'hunan-credit-files/judgments';
    expect(await pull(name)).toMatchObject({ ...data.expected[name] });
    const folder = hub.jobs.environment['HUNAN_CREDIT_FEEDBACK_FOLDER'] ?? '';
    const files = readdirSync(folder).filter((file) => file.startsWith('FY_CPWS_'));
    const lines = files.flatMap((file) => readFileSync(join(folder, file), 'utf8').trim().split('\n').slice(1));
    const planted = data.answerKey.filter((one) => `${one.connector}/${one.stream}` === name);
    expect([files.length, lines.length]).toEqual([2, planted.length]);
    for (const one of planted) {
      expect(lines.filter((line) => line.includes(`"${one.key.replace('XXBH=', '')}","${one.rule}"`))).toHaveLength(1);
    }
    const personal = data.persons.flatMap((one) => [one.idNumber, one.name]);
    expect(lines.filter((line) => personal.some((value) => line.includes(value)))).toEqual([]);
    expect(await pull(name)).toMatchObject({ in: 0 });
  });
});
