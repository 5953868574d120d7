/** P22, U30: the whole way under the national suite – platforms to store to graph to log – with the answers of the international one. */
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { runPull } from '../src/jobs/pull.ts';
import { verifyLog } from '../src/log/verify.ts';
import { generate } from '../src/sandbox/generate.ts';
import { newKeyRing } from '../src/store/keys.ts';
import { wholeDocument } from './fixtures/whole-graph.ts';
import * as api from './setup/hub.ts';
import * as outside from './setup/platforms.ts';
import { pullStreamOf } from './setup/store.ts';

const data = generate({ seed: 11, organisations: 40, persons: 120 });
const LOOKUP = 'national-insurance/person-lookup';
const asked = (data.onDemand.get(LOOKUP) ?? [])
  .slice(0, 5)
  .map((row) => ({ number: String(row['certno']), name: String(row['psn_name']) }));
const STREAMS = ['credit-china/penalties', 'national-insurance/medical-institutions', 'national-insurance/practitioners'];
const BUREAU = { department: 'medical-insurance', purpose: 'fund-payment' };

interface World {
  hub: outside.TestHub;
  api: api.TestHub;
}
const worlds: World[] = [];

beforeAll(async () => {
  for (const suite of ['international', 'national'] as const) {
    const ring = newKeyRing(suite);
    const hub = await outside.openHub({ data, ring });
    for (const name of STREAMS) await runPull(hub.jobs, pullStreamOf(name), { trigger: 'manual' });
    await runPull(hub.jobs, pullStreamOf(LOOKUP), { trigger: 'manual', lines: asked.map((one) => `${one.number}\t${one.name}`) });
    worlds.push({ hub, api: await api.openHub({ databaseUrl: hub.databaseUrl, ring, seed: false }) });
  }
});
afterAll(async () => {
  for (const world of worlds) {
    await world.api.close();
    await world.hub.close();
  }
});

const [international, national] = [() => worlds[0] as World, () => worlds[1] as World];

it('U30 persons are found by their numbers and shown with them, organisations by theirs: the same answers under both suites', async () => {
  const { rows } = await national().hub.pool.query<{ code: string }>(
    `select code from subject_code where scheme = 'uscc' order by code limit 5`,
  );
  const codes = [...asked.map((one) => one.number), ...rows.map((row) => row.code)];
  expect(codes).toHaveLength(10);
  for (const code of codes) {
    const answers = [];
    for (const world of worlds) answers.push(await world.api.ask(wholeDocument(world.api.model), { ...BUREAU, variables: { code } }));
    expect(answers[1]?.data).toEqual(answers[0]?.data);
    expect(answers[1]?.codes).toEqual(answers[0]?.codes);
    expect(answers[1]?.data.subject).not.toBeNull();
  }
  const [first] = asked;
  const one = await national().api.ask('query ($code: String!) { subject(code: $code) { ... on Person { idNumber name } } }', {
    ...BUREAU,
    variables: { code: first?.number },
  });
  expect(JSON.stringify(one.data)).toContain(first?.name);
});

it('P22 every sealed value says its suite, and neither suite opens what the other sealed', async () => {
  const all = async (world: World) =>
    (
      await world.hub.pool.query<{ value: string }>(
        `select value from subject, jsonb_each_text(sealed) union all select value from record, jsonb_each_text(sealed)`,
      )
    ).rows;
  const [ours, theirs] = [await all(national()), await all(international())];
  expect(ours.length).toBeGreaterThan(20);
  expect(theirs).toHaveLength(ours.length);
  expect(ours.filter(({ value }) => !value.startsWith('n.'))).toEqual([]);
  expect(theirs.filter(({ value }) => !value.startsWith('i.'))).toEqual([]);
  expect(() => national().hub.jobs.keys.open(theirs[0]?.value ?? '', 'x')).toThrow('this deployment has national');
});

it('P22 the query log is chained with SM3, and verifies', async () => {
  const { pool } = national().hub;
  const { rows } = await pool.query<{ suite: string }>('select distinct suite from log_writer');
  expect(rows).toEqual([{ suite: 'sm3' }]);
  expect(await verifyLog(pool)).toMatchObject({ verified: true, faults: [] });
});
