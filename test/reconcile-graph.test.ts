/** What officers see of the comparisons with the platforms, who sees the keys, and how a correction is asked for and carried out. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { runPull } from '../src/jobs/pull.ts';
import { runReconcile } from '../src/jobs/reconcile.ts';
import { generate } from '../src/sandbox/generate.ts';
import { askCorrection, beginReconciliation, keepComparison, type Reconciliation } from '../src/store/reconciliation.ts';
import { type Answer, openHub, type TestHub } from './setup/hub.ts';
import { openHub as openWhole, type TestHub as Whole, until } from './setup/platforms.ts';
import { pullStreamOf } from './setup/store.ts';

const OFFICER = { id: 'o-1', name: '江予安' };
const PERSON = '430102199003070311';

describe('what the graph tells of comparisons', () => {
  let hub: TestHub;
  let red: Reconciliation;
  beforeAll(async () => {
    hub = await openHub();
    const stream = { connector: 'credit-china', id: 'penalties-legacy', direction: 'pull' } as const;
    const id = await beginReconciliation(hub.pool, stream, OFFICER, 'manual', undefined);
    const hash = '0'.repeat(64);
    const cell = { category: 3, day: '2026-11-20', region: '430100', ours: 1, oursHash: hash, theirs: 2, theirsHash: hash, accounted: 0 };
    red = await keepComparison(hub.pool, hub.keys, id, {
      method: 'reread',
      until: null,
      answeredAt: new Date(),
      cells: [{ ...cell, differences: 1, proof: 'keys' }],
      differences: [
        { kind: 'not-here', category: 3, day: '2026-11-20', region: '430100', parts: ['湘罚1号', PERSON], ours: null, theirs: 'v1' },
      ],
    });
  });
  afterAll(() => hub.close());

  const act = async (role: string, query: string, department = 'medical-insurance'): Promise<Answer> => {
    const authorization = `Bearer ${await hub.token({ id: `p-${role}`, name: '人员', department, role, region: '430000' })}`;
    return hub.ask(query, { authorization, purpose: 'credit-evaluation' });
  };
  const LIST = `{ reconciliations(state: "red") { id state differences cells { day region differences proof } keys { kind parts } } }`;

  it('U24 a data steward sees runs, cells and the keys that differ', async () => {
    const { data, errors } = await act('data-steward', LIST);
    expect(errors).toEqual([]);
    expect(data.reconciliations).toEqual([
      {
        id: String(red.id),
        state: 'red',
        differences: 1,
        cells: [{ day: '2026-11-20', region: '430100', differences: 1, proof: 'keys' }],
        keys: [{ kind: 'not-here', parts: ['湘罚1号', PERSON] }],
      },
    ]);
  });

  it('U24 HN-5 nobody else sees them, and a key with a person’s number is readable nowhere in the database', async () => {
    expect((await act('officer', LIST)).codes).toEqual(['DUTY_REQUIRED']);
    const { rows } = await hub.pool.query<{ text: string; tokens: number }>(
      'select d::text as text, cardinality(tokens) as tokens from reconciliation_difference d',
    );
    expect(rows.map((row) => [row.text.includes(PERSON), row.tokens])).toEqual([[false, 1]]);
  });

  it('U24 a correction needs the duty and a reason, and is asked for once', async () => {
    const correct = (reason: string, role = 'data-steward', id = String(red.id)) =>
      act(role, `mutation { correctReconciliation(id: "${id}", reason: "${reason}") { id askedAt correctedAt } }`);
    expect((await correct('补读', 'officer')).codes).toEqual(['DUTY_REQUIRED']);
    expect((await correct(' ')).codes).toEqual(['REASON_REQUIRED']);
    expect((await correct('补读', 'data-steward', '999')).codes).toEqual(['RECONCILIATION_NOT_FOUND']);
    expect((await correct('补读')).data.correctReconciliation).toMatchObject({ askedAt: expect.any(String), correctedAt: null });
    expect((await correct('补读')).codes).toEqual(['RECONCILIATION_NOT_RED']);
  });
});

describe('the worker', () => {
  let hub: Whole;
  afterEach(() => hub.close());
  const states = async () =>
    (await hub.pool.query<{ state: string; trigger: string }>('select state, trigger from reconciliation order by id')).rows;

  it('U24 compares each stream that was read today once a day, as the ledger says: a worker that starts again does not repeat it', async () => {
    hub = await openWhole({ data: generate({ seed: 11, organisations: 40, persons: 120 }) });
    await runPull(hub.jobs, pullStreamOf('credit-china/honours'), { trigger: 'manual' });
    const worker = await hub.work({ reconcile: true });
    await until(async () => (await states()).some((one) => one.state === 'green'));
    await worker.stop();
    await (await hub.work({ reconcile: true })).stop();
    expect(await states()).toEqual([{ state: 'green', trigger: 'schedule' }]);
  });

  it('U24 carries out a correction that somebody asked for, and says what came of it', async () => {
    const data = generate({ seed: 11, organisations: 40, persons: 120 });
    hub = await openWhole({ data });
    const stream = pullStreamOf('credit-china/licences');
    await runPull(hub.jobs, stream, { trigger: 'manual' });
    await hub.pool.query(`update record set source_version = '2020-01-01T00:00:00.000000Z', content = '\\x00'
      where id in (select id from record where stream = 'licences' order by id limit 2)`);
    const first = await runReconcile(hub.jobs, stream, { trigger: 'manual' });
    expect(first?.last).toMatchObject({ state: 'red', differences: 2 });
    await askCorrection(hub.pool, OFFICER, first?.last.id ?? 0, '补读');
    await hub.work();
    const done = await until(async () => {
      const { rows } = await hub.pool.query<{ corrected: number; by: string }>(
        `select r.corrected, b.state as by from reconciliation r join reconciliation b on b.id = r.corrected_by`,
      );
      return rows[0];
    });
    expect(done).toEqual({ corrected: 2, by: 'green' });
  });
});
