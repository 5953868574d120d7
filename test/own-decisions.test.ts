/** 双公示: the bureau's own penalties and licences, published within seven working days of the decision, through the model and the sandbox as they are. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { runPull } from '../src/jobs/pull.ts';
import { runPush } from '../src/jobs/push.ts';
import { ENTRY_KEYS } from '../src/model/manual.ts';
import { findStream } from '../src/model/load.ts';
import type { PullStream, PushStream } from '../src/model/types.ts';
import { generate } from '../src/sandbox/generate.ts';
import { openDeadlines, watchDeadlines } from '../src/store/deadlines.ts';
import { recall } from '../src/store/outbox.ts';
import { enterSubmission, reviewSubmission } from '../src/store/submissions.ts';
import { openHub, type TestHub } from './setup/platforms.ts';

const data = generate({ seed: 7, organisations: 20, persons: 20 });
const TODAY = '2026-09-28';
const clerk = { id: 'lr-1', name: '录入员', department: 'medical-insurance', region: '43' };
const reviewer = { ...clerk, id: 'fh-1', name: '复核员' };

let hub: TestHub;
beforeAll(async () => {
  hub = await openHub({ data });
});
afterAll(() => hub.close());

/** A decision of the bureau, entered by one person and approved by another. */
async function decide(
  kind: 'penalty' | 'licence',
  decisionNumber: string,
  of = {
    kind: 'organisation',
    code: data.showcase.creditCode,
    name: data.organisations.find(({ creditCode }) => creditCode === data.showcase.creditCode)?.name ?? '',
  },
): Promise<void> {
  const values = {
    [ENTRY_KEYS.subjectKind]: of.kind,
    [ENTRY_KEYS.code]: of.code,
    [ENTRY_KEYS.name]: of.name,
    [ENTRY_KEYS.region]: '430104',
    [ENTRY_KEYS.occurredOn]: '2026-09-27',
    decisionNumber,
    content: '罚款',
    decidedOn: '2026-09-27',
    authority: '湖南省医疗保障局',
  };
  const entry = { category: 3, kind, values, basis: '决定书', route: 'supervision' };
  const { pool, keys, model } = hub.jobs;
  const { id } = await enterSubmission(pool, keys, model, clerk, entry, TODAY);
  await reviewSubmission(pool, keys, model, reviewer, { id, approve: true, reason: '' }, TODAY);
}
const due = async (today: string) =>
  (await openDeadlines(hub.pool, hub.jobs.model, today)).map(({ stream, from, due: day, daysLeft }) => [stream, from, day, daysLeft]);
const issues = async () =>
  (
    await hub.pool.query<{ name: string }>(
      `select stream || ' ' || rule || ' ' || state as name from issue where rule like 'publication-%' order by 1`,
    )
  ).rows.map(({ name }) => name);
const push = (name: string) => runPush(hub.jobs, findStream(hub.jobs.model, name) as PushStream, { trigger: 'manual' });

describe('own decisions', () => {
  it('HN-14(3) are due at Credit China seven working days after the decision: what nears is an issue, what has missed it another, and the receipt closes both', async () => {
    await decide('penalty', '湘医保罚〔2026〕1号');
    await decide('licence', '湘医保许〔2026〕1号');
    expect((await due(TODAY)).toSorted()).toEqual([
      ['own-decisions', '2026-09-27', '2026-10-12', 6],
      ['own-decisions', '2026-09-27', '2026-10-12', 6],
      ['own-licences', '2026-09-27', '2026-10-12', 6],
      ['own-penalties', '2026-09-27', '2026-10-12', 6],
    ]);
    // The batch file of both to the provincial platform (own-decisions) is the other way they are published.
    expect((await push('hunan-credit-batches/own-decisions'))?.counts).toMatchObject({ pushed: 2, receipts: 2, issues: 0 });
    const watch = (today: string) => watchDeadlines(hub.pool, hub.jobs.keys, hub.jobs.model, today);
    expect([await watch(TODAY), await watch('2026-10-10')]).toEqual([0, 2]);
    expect(await issues()).toEqual(['own-licences publication-due open', 'own-penalties publication-due open']);
    expect((await push('credit-china/own-penalties'))?.counts).toMatchObject({ pushed: 1, receipts: 1, issues: 0 });
    expect(await watch('2026-10-13')).toBe(1);
    expect(await issues()).toEqual([
      'own-licences publication-due fixed',
      'own-licences publication-late open',
      'own-penalties publication-due fixed',
    ]);
    expect((await push('credit-china/own-licences'))?.counts).toMatchObject({ pushed: 1, receipts: 1, issues: 0 });
    expect([await watch('2026-10-13'), await due('2026-10-13')]).toEqual([0, []]);
    expect((await issues()).filter((one) => one.endsWith('open'))).toEqual([]);
  });

  it('HN-14(3) a version that follows what was received in its term has no term of its own', async () => {
    await hub.pool.query(
      `insert into outbox (connector, stream, record_id, version, subject_id)
       select connector, stream, record_id, version + 1, subject_id from outbox where stream = 'own-penalties' and state = 'done'`,
    );
    await hub.pool.query(
      `insert into record_version select (jsonb_populate_record(v, '{"version": 2}')).* from record_version v
       where record_id in (select record_id from outbox where stream = 'own-penalties')`,
    );
    expect(await due('2026-12-01')).toEqual([]);
  });

  it('HN-27 HN-5 a recall is a line of the next batch, and a person’s penalty, which the platform may not have, is in none and an issue', async () => {
    const { rows } = await hub.pool.query<{ id: number; version: number }>(
      `select record_id as id, version from outbox where stream = 'own-decisions' and state = 'done' order by id limit 1`,
    );
    const [first] = rows;
    await hub.pool.transaction((sql) => recall(sql, [first?.id ?? 0], 'repair'));
    await decide('penalty', '湘医保罚〔2026〕2号', {
      kind: 'person',
      code: data.persons[0]?.idNumber ?? '',
      name: data.persons[0]?.name ?? '',
    });
    expect((await push('hunan-credit-batches/own-decisions'))?.counts).toMatchObject({ receipts: 1, issues: 1 });
    const found = await hub.pool.query(`select rule from issue where connector = 'hunan-credit-batches' and rule like 'push-%'`);
    expect(found.rows).toEqual([{ rule: 'push-withheld' }]);
    const taken = hub.sandboxes.batches.book.filter((effect) => effect.recall);
    expect(taken).toEqual([
      expect.objectContaining({
        key: `${first?.id}:${first?.version}:recall`,
        row: expect.objectContaining({ CXYY: 'repair', CXBZ: '1' }),
      }),
    ]);
    expect(hub.sandboxes.batches.book.map(({ row }) => row['WSH'])).not.toContain('湘医保罚〔2026〕2号');
  });

  it('HN-16(3) those that other authorities told are not the bureau’s to publish', async () => {
    const pulled = await runPull(hub.jobs, findStream(hub.jobs.model, 'credit-china/penalties') as PullStream, { trigger: 'manual' });
    expect(pulled?.counts.stored).toBeGreaterThan(0);
    const { rows } = await hub.pool.query(
      `select distinct r.connector from record r join outbox o on o.record_id = r.id where o.stream like 'own-%'`,
    );
    expect(rows).toEqual([{ connector: 'manual-entry' }]);
  });
});
