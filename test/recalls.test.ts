/** A fact that is taken back from all who received it (HN-27, U16): from platforms by the outbox, from offices by the query log. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { pino } from 'pino';
import { runPush } from '../src/jobs/push.ts';
import type { Jobs } from '../src/jobs/hub.ts';
import { officesThatSaw } from '../src/log/receivers.ts';
import { findStream } from '../src/model/load.ts';
import type { Model, PushStream } from '../src/model/types.ts';
import { concealId } from '../src/store/opaque.ts';
import { enqueue } from '../src/store/outbox.ts';
import { listRecalls } from '../src/store/recall-board.ts';
import { noticeLate, proposeRecall, reviewRecall } from '../src/store/recalls.ts';
import { storeRecords } from '../src/store/records.ts';
import { HOSPITAL, PHARMACY, worldRecords } from './fixtures/credit-records.ts';
import { httpPushVia, json, type Platform, startPlatform } from './fixtures/platform-server.ts';
import { type Answer, openHub, type TestHub, TODAY } from './setup/hub.ts';
import { MODEL, pullStreamOf } from './setup/store.ts';

const RESULTS = findStream(MODEL, 'credit-china/evaluation-results') as PushStream;
const PLATFORMS = ['credit-china', 'hunan-credit', 'zhengzhou-credit'] as const;
const code = HOSPITAL.identifiers[0].code;

let hub: TestHub;
let jobs: Jobs;
const platforms: Platform[] = [];
/** Paths of recalls that this platform refuses. */
let refusing: string | undefined;

/** The same publication to three platforms, each a real HTTP server. */
function modelOf(): Model {
  const connectors = PLATFORMS.map((id, i) => {
    const connector = MODEL.connectors.get(id);
    if (connector === undefined) throw new Error(id);
    const via = httpPushVia({ base: platforms[i]?.url ?? '' });
    const stream: PushStream = { ...RESULTS, connector: id, id: 'results', via, windows: [] };
    return [id, { ...connector, settings: new Map(), streams: new Map([['results', stream]]) }] as const;
  });
  return { ...MODEL, connectors: new Map(connectors) };
}

beforeAll(async () => {
  hub = await openHub();
  for (const id of PLATFORMS)
    platforms.push(
      await startPlatform((call, response) => {
        if (call.path.includes('recall') && refusing === id) json(response, { status: 42202, message: '正在结算,不予撤回' });
        else json(response, { status: 1, data: { receiptNo: `${id}-${platforms.length}`, receivedAt: '2026-11-23 09:00:00' } });
      }),
    );
  jobs = {
    model: modelOf(),
    pool: hub.pool,
    keys: hub.keys,
    log: hub.log,
    environment: {},
    now: () => new Date(`${TODAY}T04:00:00Z`),
    logger: pino({ level: 'silent' }),
  };
});
afterAll(async () => {
  for (const platform of platforms) await platform.close();
  await hub.close();
});

async function push(): Promise<void> {
  for (const id of PLATFORMS) {
    const stream = jobs.model.connectors.get(id)?.streams.get('results') as PushStream;
    await runPush(jobs, stream, { trigger: 'manual' });
  }
}

const idOf = async (category: number, subject = HOSPITAL): Promise<number> => {
  const { rows } = await hub.pool.query<{ id: number }>(
    'select r.id from record r join subject s on s.id = r.subject_id where r.category = $1 and s.region = $2 order by r.id limit 1',
    [category, subject.region],
  );
  return rows[0]?.id ?? 0;
};
const looked = (department: string, region: string, category: string, of = code, purpose = 'administrative-inspection', role = 'officer') =>
  hub.ask(
    `query Look($code: String!) { subject(code: $code) { records(first: 50, where: { categories: [${category}] }) { nodes { id kind } } } }`,
    {
      department,
      region,
      role,
      purpose,
      variables: { code: of },
    },
  );

async function act(person: string, role: string, query: string, variables: Record<string, unknown>, of = {}): Promise<Answer> {
  const token = await hub.token({ id: person, name: `人员${person}`, department: 'medical-insurance', role, region: '430100', ...of });
  return hub.ask(query, { authorization: `Bearer ${token}`, purpose: 'administrative-inspection', variables });
}
const TASKS = 'id state tasks { platform department region state receipt reason answeredBy }';
const PROPOSE = `mutation P($recall: RecallEntry!) { proposeRecall(recall: $recall) { ${TASKS} } }`;
const REVIEW = `mutation R($id: ID!, $approve: Boolean!, $note: String) { reviewRecall(id: $id, approve: $approve, note: $note) { ${TASKS} } }`;
const RETRY = `mutation T($id: ID!) { retryRecall(id: $id) { ${TASKS} } }`;
const BOARD = `query B { recalls { ${TASKS} } }`;
const NOTICES = 'query N { recallNotices { id subject category cause decidedOn number authority article state } }';
const ANSWER = `mutation A($id: ID!, $done: Boolean!, $reason: String) { answerRecallNotice(id: $id, done: $done, reason: $reason) }`;

const decision = (record: number, number: string, cause = 'repair') => ({
  record: concealId(hub.keys, 'record', record),
  cause,
  decidedOn: '2026-11-20',
  number,
  authority: '长沙市医疗保障局',
  article: 'HN-27',
});
interface Told {
  id: string;
  state: string;
  tasks: { platform: string | null; department: string | null; region: string | null; state: string }[];
}
const board = async (): Promise<Told[]> => (await act('ms-1', 'case-handler', BOARD, {})).data.recalls as Told[];
const notices = async (department: string, region: string) => {
  const answer = await act('x-1', 'officer', NOTICES, {}, { department, region });
  expect(answer.errors).toEqual([]);
  return answer.data.recallNotices as { id: string; state: string; category: number }[];
};
const asText = (tasks: Told['tasks']) => tasks.map((t) => `${t.platform ?? `${t.department}@${t.region}`} ${t.state}`).toSorted();
const mine = async (id: string) => (await board()).find((one) => one.id === id);

describe('a fact that is taken back', () => {
  it('HN-27 U16 pushed to 3 platforms and read by 2 departments, then repaired: exactly 5 tasks, and the one that refuses stays red until it is done', async () => {
    const id = await idOf(6);
    const { rows } = await hub.pool.query<{ subject_id: number }>('select subject_id from record where id = $1', [id]);
    const changed = { recordId: id, version: 1, subjectId: rows[0]?.subject_id ?? 0, category: 6, kind: 'medical-insurance-evaluation' };
    await hub.pool.transaction((sql) => enqueue(sql, jobs.model, [changed]));
    await push();
    // Two departments read it, one of them twice; others read another category or another subject, and the bureau itself reads it.
    for (const [department, region, category, of] of [
      ['health', '430100', 'EVALUATION', code],
      ['health', '430100', 'EVALUATION', code],
      ['market-supervision', '430000', 'EVALUATION', code],
      ['health', '430000', 'HONOUR', code],
      ['market-supervision', '430100', 'EVALUATION', PHARMACY.identifiers[0].code],
      ['medical-insurance', '430100', 'EVALUATION', code],
    ] as const)
      expect((await looked(department, region, category, of)).errors).toEqual([]);

    const proposed = await act('ms-1', 'case-handler', PROPOSE, { recall: decision(id, '长医保修〔2026〕1号') });
    expect(proposed.errors).toEqual([]);
    const proposal = proposed.data.proposeRecall as Told;
    expect(proposal).toMatchObject({ state: 'proposed', tasks: [] });
    expect((await act('ms-1', 'reviewer', REVIEW, { id: proposal.id, approve: true })).codes).toEqual(['FOUR_EYES']);
    expect((await looked('public', '430000', 'EVALUATION', code, 'public-inquiry', 'citizen')).text).toContain(
      'medical-insurance-evaluation',
    );
    const approved = await act('ms-2', 'reviewer', REVIEW, { id: proposal.id, approve: true });
    expect(approved.errors).toEqual([]);
    const open = [
      'credit-china/results open',
      'health@430100 open',
      'hunan-credit/results open',
      'market-supervision@430000 open',
      'zhengzhou-credit/results open',
    ];
    expect(asText((approved.data.reviewRecall as Told).tasks)).toEqual(open);
    // Its publication ended, and it is marked with the day.
    expect((await looked('public', '430000', 'EVALUATION', code, 'public-inquiry', 'citizen')).text).not.toContain(
      'medical-insurance-evaluation',
    );
    const marked = await hub.pool.query('select mark, publicity, ended from record where id = $1', [id]);
    expect(marked.rows).toEqual([{ mark: '2026年11月20日修复', publicity: 'non-public', ended: true }]);

    refusing = 'zhengzhou-credit';
    await push();
    const [health] = await notices('health', '430100');
    const [market] = await notices('market-supervision', '430000');
    expect(health).toEqual({
      id: health?.id,
      subject: concealId(hub.keys, 'subject', changed.subjectId),
      category: 6,
      cause: 'repair',
      decidedOn: '2026-11-20',
      number: '长医保修〔2026〕1号',
      authority: '长沙市医疗保障局',
      article: 'HN-27',
      state: 'open',
    });
    const answer = (one: { id: string } | undefined, department: string, region: string, variables: object) =>
      act('y-1', 'officer', ANSWER, { id: one?.id, ...variables }, { department, region });
    expect((await answer(health, 'health', '430000', { done: true })).codes).toEqual(['RECALL_NOT_FOUND']);
    expect((await answer(market, 'health', '430100', { done: true })).codes).toEqual(['RECALL_NOT_FOUND']);
    expect((await answer(health, 'health', '430100', { done: false })).codes).toEqual(['REASON_REQUIRED']);
    expect((await answer(health, 'health', '430100', { done: true })).errors).toEqual([]);
    expect((await answer(market, 'market-supervision', '430000', { done: false, reason: '案件未结' })).errors).toEqual([]);
    expect(asText((await mine(proposal.id))?.tasks ?? [])).toEqual([
      'credit-china/results done',
      'health@430100 done',
      'hunan-credit/results done',
      'market-supervision@430000 refused',
      'zhengzhou-credit/results refused',
    ]);
    expect((await answer(market, 'market-supervision', '430000', { done: true })).errors).toEqual([]);
    await push();
    expect(await mine(proposal.id)).toMatchObject({ state: 'open' });
    expect(asText((await mine(proposal.id))?.tasks ?? []).filter((task) => !task.endsWith('done'))).toEqual([
      'zhengzhou-credit/results refused',
    ]);

    refusing = undefined;
    expect((await act('ms-1', 'case-handler', RETRY, { id: proposal.id })).errors).toEqual([]);
    expect(await mine(proposal.id)).toMatchObject({ state: 'open' });
    await push();
    expect(await mine(proposal.id)).toMatchObject({ state: 'done' });
    expect((await mine(proposal.id))?.tasks).toHaveLength(5);
    const recalls = platforms.map((p) =>
      p.calls.filter((call) => call.path.includes('recall')).map((call) => call.headers['idempotency-key']),
    );
    expect(recalls).toEqual([[`${id}:1:recall`], [`${id}:1:recall`], [`${id}:1:recall`, `${id}:1:recall`]]);

    // The same decision makes nothing a second time, and nothing of it is sent or public again.
    expect((await act('ms-2', 'reviewer', REVIEW, { id: proposal.id, approve: true })).codes).toEqual(['ALREADY_REVIEWED']);
    expect((await act('ms-1', 'case-handler', PROPOSE, { recall: decision(id, '长医保修〔2026〕1号') })).codes).toEqual(['RECALL_EXISTS']);
    expect(await hub.pool.transaction((sql) => enqueue(sql, jobs.model, [{ ...changed, version: 2 }]))).toBe(0);
    const again = worldRecords().map((record) =>
      record.category === 6 ? { ...record, fields: { ...record.fields, score: '90' } } : record,
    );
    await hub.pool.transaction((sql) =>
      storeRecords(sql, hub.keys, MODEL, pullStreamOf('credit-china/penalties'), again, { id: 0, today: TODAY }),
    );
    const after = await hub.pool.query('select version, publicity from record_version where record_id = $1 order by version', [id]);
    expect(after.rows).toEqual([
      { version: 1, publicity: 'non-public' },
      { version: 2, publicity: 'non-public' },
      { version: 3, publicity: 'non-public' },
    ]);
  });

  it('HN-5 U16 an office that could not see the record gets no notice, though it was shown others of its subject and category', async () => {
    // A judgment that market supervision may not see stands beside a public one that it may.
    const id = await idOf(4);
    const other = worldRecords()
      .filter((record) => record.category === 4)
      .map((record) => ({ ...record, key: '["another"]', fields: { ...record.fields, caseNumber: '(2026)湘01行终9号' } }));
    await hub.pool.transaction((sql) =>
      storeRecords(sql, hub.keys, MODEL, pullStreamOf('credit-china/penalties'), other, { id: 0, today: TODAY }),
    );
    await hub.pool.query(`update record set publicity = case when id = $1 then 'non-public' else 'public' end where category = 4`, [id]);
    const { added } = await hub.logged(() => looked('market-supervision', '430100', 'JUDICIAL'));
    expect(added.at(-1)?.entry.categories).toContain(4);
    await looked('health', '430100', 'JUDICIAL');
    const proposed = await act('ms-1', 'case-handler', PROPOSE, { recall: decision(id, '2号', 'correction') });
    const approved = await act('ms-2', 'reviewer', REVIEW, { id: (proposed.data.proposeRecall as Told).id, approve: true });
    expect(asText((approved.data.reviewRecall as Told).tasks)).toEqual(['health@430100 open']);
    expect((await notices('market-supervision', '430100')).map((one) => one.category)).toEqual([]);
  });

  it('HN-23.2 an answer counts only where the log says that the category was shown: denied, refused and announced ones do not', async () => {
    const id = await idOf(12);
    await looked('health', '430100', 'OTHER');
    const withOther = await hub.entries();
    expect(withOther.at(-1)?.entry.categories).not.toContain(12);
    const proposed = await act('ms-1', 'case-handler', PROPOSE, { recall: decision(id, '3号', 'deletion') });
    const approved = await act('ms-2', 'reviewer', REVIEW, { id: (proposed.data.proposeRecall as Told).id, approve: true });
    expect(approved.data.reviewRecall).toMatchObject({ state: 'done', tasks: [] });
  });

  it('HN-27 U16 an answer that was read before the approval and logged after it is told by the sweep, once; one that was read later is not', async () => {
    const id = await idOf(6);
    const append = hub.log.append.bind(hub.log);
    let arrived!: () => void;
    let release!: () => void;
    const waiting = new Promise<void>((resolve) => (arrived = resolve));
    const gate = new Promise<void>((resolve) => (release = resolve));
    hub.log.append = async (entry) => {
      if (entry.department === 'health' && entry.region === '430000') {
        arrived();
        await gate;
      }
      return append(entry);
    };
    const late = looked('health', '430000', 'EVALUATION');
    await waiting;
    const proposed = await act('ms-1', 'case-handler', PROPOSE, { recall: decision(id, '7号') });
    const { id: recallId, tasks } = (await act('ms-2', 'reviewer', REVIEW, { id: (proposed.data.proposeRecall as Told).id, approve: true }))
      .data.reviewRecall as Told;
    release();
    await late;
    hub.log.append = append;

    const before = asText(tasks);
    expect(before).not.toContain('health@430000 open');
    const sweep = () => noticeLate(hub.pool, (tx, record) => officesThatSaw(tx, hub.keys, MODEL, record));
    await sweep();
    await sweep();
    const told = async () => asText((await mine(recallId))?.tasks ?? []).filter((task) => !before.includes(task));
    expect(await told()).toEqual(['health@430000 open']);

    // Another office asks when the record is marked; the decision is long ago by then.
    await hub.pool.query(`update recall set reviewed_at = reviewed_at - interval '11 minutes' where shown is not null`);
    await looked('market-supervision', '430000', 'EVALUATION');
    await sweep();
    expect(await told()).toEqual(['health@430000 open']);
    expect((await hub.pool.query('select from recall where shown is not null')).rowCount).toBe(0);
  });

  it('P6 U16 whatever fails before the end leaves nothing half made', async () => {
    const id = await idOf(9);
    await looked('health', '430100', 'VIOLATION');
    const person = (n: string) => ({ id: n, name: n, department: 'medical-insurance', region: '4301' });
    const { id: recallId } = await proposeRecall(hub.pool, hub.keys, person('a'), decision(id, '4号'), TODAY);
    const review = { id: recallId, approve: true, note: '' };
    let seen: unknown;
    const dying = reviewRecall(hub.pool, person('b'), review, async (tx, record) => {
      const offices = await officesThatSaw(tx, hub.keys, MODEL, record);
      seen = offices;
      // A notice without its office cannot be kept: the last statement of all fails.
      return [...offices, { department: 'tax', region: null as unknown as string }];
    });
    await expect(dying).rejects.toThrow('recall_task_check');
    expect(seen).toEqual([{ department: 'health', region: '430100' }]);
    expect((await listRecalls(hub.pool, person('a'), 1))[0]).toMatchObject({ id: recallId, state: 'proposed', tasks: [] });
    const kept = await hub.pool.query('select mark, publicity from record where id = $1', [id]);
    expect(kept.rows).toEqual([{ mark: null, publicity: 'public' }]);
  });

  it.each([
    ['a cause that nobody decides', { cause: 'withdrawn-grant' }, 'RECALL_CAUSE'],
    ['no number', { number: ' ' }, 'BASIS_REQUIRED'],
    ['a day to come', { decidedOn: '2026-11-24' }, 'BASIS_REQUIRED'],
    ['a record that there is not', { record: 'x' }, 'RECORD_NOT_FOUND'],
  ])('HN-27 a decision with %s is refused', async (_what, over, expected) => {
    const answer = await act('ms-1', 'case-handler', PROPOSE, { recall: { ...decision(await idOf(6), '5号'), ...over } });
    expect(answer.codes).toEqual([expected]);
  });

  it('HN-6.2 another region, role or department can neither propose, review nor see the board', async () => {
    const recall = decision(await idOf(6), '6号');
    expect((await act('ms-9', 'case-handler', PROPOSE, { recall }, { region: '430400' })).codes).toEqual(['RECORD_NOT_FOUND']);
    expect((await act('ms-9', 'officer', PROPOSE, { recall })).codes).toEqual(['DUTY_REQUIRED']);
    expect((await act('ms-9', 'case-handler', BOARD, {}, { department: 'health' })).codes).toEqual(['DUTY_REQUIRED']);
    expect((await act('ms-9', 'case-handler', BOARD, {}, { region: '430400' })).data.recalls).toEqual([]);
  });
});
