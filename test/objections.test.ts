/** Objections (HN-24): while one is pending, the fact keeps its effect and carries the mark in every answer, event and push (U15). */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { pino } from 'pino';
import type { Jobs } from '../src/jobs/hub.ts';
import { runPush } from '../src/jobs/push.ts';
import { checkPublication } from '../src/model/check-publications.ts';
import { findStream } from '../src/model/load.ts';
import type { Model, PushStream } from '../src/model/types.ts';
import { concealId } from '../src/store/opaque.ts';
import { enqueue } from '../src/store/outbox.ts';
import { storeRecords } from '../src/store/records.ts';
import { HOSPITAL, worldRecords } from './fixtures/credit-records.ts';
import { httpPushVia, json, type Platform, startPlatform } from './fixtures/platform-server.ts';
import { headersFor, subscribe } from './setup/events.ts';
import { type Answer, openHub, type TestHub, TODAY } from './setup/hub.ts';
import { MODEL, pullStreamOf } from './setup/store.ts';

const RESULTS = findStream(MODEL, 'credit-china/evaluation-results') as PushStream;
const PLATFORMS = ['credit-china', 'hunan-credit'] as const;
const code = HOSPITAL.identifiers[0].code;

let hub: TestHub;
let jobs: Jobs;
let model: Model;
const platforms: Platform[] = [];

/** The hub's own publication of grades, to two platforms, each a real HTTP server. */
function modelOf(): Model {
  const pushing = PLATFORMS.map((id, i) => {
    const connector = MODEL.connectors.get(id);
    if (connector === undefined) throw new Error(id);
    const stream: PushStream = {
      ...RESULTS,
      connector: id,
      id: 'results',
      via: httpPushVia({ base: platforms[i]?.url ?? '' }),
      windows: [],
    };
    return [id, { ...connector, settings: new Map(), streams: new Map([...connector.streams, ['results', stream] as const]) }] as const;
  });
  const others = [...MODEL.connectors].map(([id, connector]) => {
    const streams = [...connector.streams].filter(([, { direction }]) => direction !== 'push');
    return [id, { ...connector, streams: new Map(streams) }] as const;
  });
  const own = pushing.map(([id, connector]) => {
    const streams = [...connector.streams].filter(([name, { direction }]) => name === 'results' || direction !== 'push');
    return [id, { ...connector, streams: new Map(streams) }] as const;
  });
  return { ...MODEL, connectors: new Map([...others, ...own]) };
}

beforeAll(async () => {
  for (const id of PLATFORMS)
    platforms.push(
      await startPlatform((_, response) =>
        json(response, { status: 1, data: { receiptNo: `${id}-1`, receivedAt: '2026-11-23 09:00:00' } }),
      ),
    );
  model = modelOf();
});
beforeEach(async () => {
  hub = await openHub({ model });
  for (const platform of platforms) platform.calls.length = 0;
  jobs = {
    model,
    pool: hub.pool,
    keys: hub.keys,
    log: hub.log,
    environment: {},
    now: () => new Date(`${TODAY}T04:00:00Z`),
    logger: pino({ level: 'silent' }),
  };
});
afterEach(() => hub.close());
afterAll(async () => {
  for (const platform of platforms) await platform.close();
});

async function push(): Promise<void> {
  for (const id of PLATFORMS)
    await runPush(jobs, jobs.model.connectors.get(id)?.streams.get('results') as PushStream, { trigger: 'manual' });
}
/** What both platforms were sent: key, flag of a pending objection, mark of a recall. */
const sent = (): string[] =>
  platforms.flatMap((platform, i) =>
    platform.calls.map(({ headers, body }) => {
      const { YYBZ, BZSM } = (typeof body === 'string' ? JSON.parse(body) : body) as Record<string, string>;
      return `${i} ${headers['idempotency-key']} ${YYBZ ?? BZSM}`;
    }),
  );

async function evaluation(): Promise<{ id: number; subjectId: number }> {
  const { rows } = await hub.pool.query<{ id: number; subjectId: number }>(
    `select id, subject_id as "subjectId" from record where category = 6 order by id limit 1`,
  );
  return rows[0] ?? { id: 0, subjectId: 0 };
}
async function publishFirst(): Promise<number> {
  const { id, subjectId } = await evaluation();
  const changed = { recordId: id, version: 1, subjectId, category: 6, kind: 'medical-insurance-evaluation' };
  await hub.pool.transaction((sql) => enqueue(sql, jobs.model, [changed]));
  await push();
  return id;
}
/** What the source tells of the evaluation, as another record of the same fact, or as the same record anew. */
async function told(key: string | undefined, score: string): Promise<void> {
  const records = worldRecords()
    .filter(({ category }) => category === 6)
    .map((one) => ({ ...one, ...(key === undefined ? {} : { key }), fields: { ...one.fields, score } }));
  await hub.pool.transaction(async (sql) => {
    const { changed } = await storeRecords(sql, hub.keys, jobs.model, pullStreamOf('credit-china/penalties'), records, {
      id: 0,
      today: TODAY,
    });
    await enqueue(sql, jobs.model, changed);
  });
}

async function act(query: string, variables: Record<string, unknown>, of: Record<string, string> = {}): Promise<Answer> {
  const person = { id: 'ms-1', name: '人员一', department: 'medical-insurance', role: 'case-handler', region: '430100', ...of };
  return hub.ask(query, { authorization: `Bearer ${await hub.token(person)}`, purpose: 'objection-handling', case: 'YY-1', variables });
}
const FIELDS = 'id record subject category ground number receivedOn state openedBy closedBy note';
const open = (record: number, number: string, of: Record<string, string> = {}, more: Record<string, string> = {}) =>
  act(
    `mutation O($objection: ObjectionEntry!) { openObjection(objection: $objection) { ${FIELDS} } }`,
    { objection: { record: concealId(hub.keys, 'record', record), ground: 'content-wrong', number, receivedOn: TODAY, ...more } },
    of,
  );
const close = (id: string, end: string, note = '长医保异复〔2026〕1号', of: Record<string, string> = {}) =>
  act(
    `mutation C($id: ID!, $end: ObjectionEnd!, $note: String!) { closeObjection(id: $id, end: $end, note: $note) { ${FIELDS} } }`,
    { id, end, note },
    of,
  );
const seen = async (asOf = '') => {
  const answer = await hub.ask(
    `query S($code: String!) { subject(code: $code) { records(first: 9, where: { categories: [EVALUATION] } ${asOf}) {
       nodes { mark disputed version publicity ... on EvaluationRecord { grade } } } } }`,
    { department: 'health', region: '430100', purpose: 'administrative-inspection', variables: { code } },
  );
  expect(answer.errors).toEqual([]);
  return answer.data.subject.records.nodes as {
    mark: string | null;
    disputed: boolean;
    version: number;
    publicity: string;
    grade: string;
  }[];
};

describe('a fact to which an objection is pending', () => {
  it('HN-24.3 HN-28 U15 is marked in answers, events and pushes from the transaction on that registers it, keeps its effect, and loses the mark with the answer', async () => {
    const id = await publishFirst();
    const asking = { department: 'health', region: '430100', purpose: 'credit-evaluation' };
    const listening = await subscribe({
      url: hub.url,
      headers: await headersFor(hub, asking),
      query: 'subscription { gradeChanged { cursor changes { how version record { disputed } } } }',
    });
    await listening.at(0);
    expect(await seen()).toMatchObject([{ disputed: false, version: 1, publicity: 'public' }]);

    const opened = await open(id, 'YY-1');
    expect(opened.errors).toEqual([]);
    const objection = opened.data.openObjection;
    expect(objection).toMatchObject({ state: 'open', category: 6, ground: 'content-wrong', openedBy: '人员一', note: null });
    expect(await seen()).toEqual([{ mark: null, disputed: true, version: 2, publicity: 'public', grade: 'hunan:B' }]);
    // What was known before is marked all the same.
    await hub.pool.query(`update record_version set recorded_at = '2026-11-01' where version = 1`);
    expect(await seen(', asOf: { day: "2026-11-20", knownOn: "2026-11-20" }')).toMatchObject([{ disputed: true, version: 1 }]);
    await push();
    expect(sent()).toEqual([`0 ${id}:1 0`, `0 ${id}:2 1`, `1 ${id}:1 0`, `1 ${id}:2 1`]);

    expect((await close(objection.id, 'REJECTED')).data.closeObjection).toMatchObject({
      state: 'rejected',
      closedBy: '人员一',
      note: '长医保异复〔2026〕1号',
    });
    expect(await seen()).toMatchObject([{ disputed: false, version: 3 }]);
    await push();
    expect(sent().filter((one) => one.includes(`:3`))).toEqual([`0 ${id}:3 0`, `1 ${id}:3 0`]);
    const messages = [await listening.at(1), await listening.at(2)];
    expect(messages.flatMap(({ data }) => data.gradeChanged.changes)).toEqual([
      { how: 'CHANGED', version: 2, record: { disputed: true } },
      { how: 'CHANGED', version: 3, record: { disputed: false } },
    ]);
    listening.close();
    const board = await act(`{ objections { ${FIELDS} } }`, {});
    expect(board.data.objections).toEqual([{ ...objection, state: 'rejected', closedBy: '人员一', note: '长医保异复〔2026〕1号' }]);
  });

  it('HN-24.3 U15 bears the mark in what its sources tell anew meanwhile, be it a new version or another record of the fact', async () => {
    const id = await publishFirst();
    await open(id, 'YY-1');
    await told(undefined, '80');
    await told('["another"]', '80');
    expect((await seen()).map(({ disputed }) => disputed)).toEqual([true, true]);
    await push();
    const newest = await hub.pool.query<{ id: number }>('select max(id) as id from record');
    const other = newest.rows[0]?.id;
    expect(sent().filter((one) => one.startsWith('0'))).toEqual([`0 ${id}:1 0`, `0 ${id}:3 1`, `0 ${other}:1 1`]);
  });

  it('HN-24.3 stays marked until the last of two objections is closed, and nothing is sent in between', async () => {
    const id = await publishFirst();
    const [first, second] = [await open(id, 'YY-1'), await open(id, 'YY-2')];
    await close(first.data.openObjection.id, 'WITHDRAWN', '申请人撤回');
    expect(await seen()).toMatchObject([{ disputed: true, version: 2 }]);
    await close(second.data.openObjection.id, 'REJECTED');
    expect(await seen()).toMatchObject([{ disputed: false, version: 3 }]);
  });

  it('HN-24.2 HN-27 U15 an objection that is upheld is closed by the recall: the mark of the decision is in the graph and in the recall, and nothing is sent after it', async () => {
    const id = await publishFirst();
    await open(id, 'YY-1');
    await push();
    const proposed = await act('mutation P($recall: RecallEntry!) { proposeRecall(recall: $recall) { id } }', {
      recall: {
        record: concealId(hub.keys, 'record', id),
        cause: 'objection',
        decidedOn: '2026-11-20',
        number: '长医保异〔2026〕1号',
        authority: '长沙市医疗保障局',
        article: 'HN-24.2',
      },
    });
    const approved = await act(
      'mutation R($id: ID!) { reviewRecall(id: $id, approve: true) { state } }',
      { id: proposed.data.proposeRecall.id },
      { id: 'ms-2', role: 'reviewer' },
    );
    expect(approved.errors).toEqual([]);
    const board = await act(`{ objections { state note } }`, {});
    expect(board.data.objections).toEqual([{ state: 'upheld', note: '长医保异〔2026〕1号' }]);
    expect(await seen()).toMatchObject([{ mark: '2026年11月20日异议成立', disputed: false, publicity: 'non-public' }]);
    await push();
    expect(sent().filter((one) => one.startsWith('0'))).toEqual([`0 ${id}:1 0`, `0 ${id}:2 1`, `0 ${id}:2:recall 2026年11月20日异议成立`]);
    // What was taken back is marked for those who still see it, and not sent again for that.
    const again = await open(id, 'YY-2');
    expect(again.errors).toEqual([]);
    expect(await seen()).toMatchObject([{ disputed: true }]);
    await push();
    expect(sent().filter((one) => one.startsWith('0'))).toHaveLength(3);
    // The corrected version is published, and marked as long as the second objection is pending.
    await told(undefined, '91');
    await push();
    expect(sent().at(-1)).toMatch(/^1 \d+:5 1$/);
  });

  it('HN-27 U15 a listener of what is public is told that a fact is gone when it is repaired, and the recall says 某年某月某日修复', async () => {
    const id = await publishFirst();
    const listening = await subscribe({
      url: hub.url,
      headers: await headersFor(hub, {
        authorization: `Bearer ${await hub.token({ department: 'public', region: '430000', role: 'citizen' })}`,
        purpose: 'public-inquiry',
      }),
      query: 'subscription { gradeChanged { cursor changes { how kind } } }',
    });
    await listening.at(0);
    const decision = {
      record: concealId(hub.keys, 'record', id),
      cause: 'repair',
      decidedOn: '2026-11-20',
      number: '1号',
      authority: '长沙市医疗保障局',
      article: 'HN-27',
    };
    const proposed = await act('mutation P($recall: RecallEntry!) { proposeRecall(recall: $recall) { id } }', { recall: decision });
    await act(
      'mutation R($id: ID!) { reviewRecall(id: $id, approve: true) { state } }',
      { id: proposed.data.proposeRecall.id },
      { id: 'ms-2', role: 'reviewer' },
    );
    expect((await listening.at(1)).data.gradeChanged.changes).toEqual([{ how: 'GONE', kind: 'medical-insurance-evaluation' }]);
    listening.close();
    await push();
    expect(sent()).toEqual([0, 1].flatMap((i) => [`${i} ${id}:1 0`, `${i} ${id}:1:recall 2026年11月20日修复`]));
    expect(await seen()).toMatchObject([{ mark: '2026年11月20日修复', disputed: false }]);
  });
});

describe('an objection', () => {
  it('HN-24.1 HN-24.2 is refused without a ground, a number and a day, for what is not there, and twice under one number', async () => {
    const { id } = await evaluation();
    expect((await open(id, 'YY-1', {}, { ground: 'whim' })).codes).toEqual(['OBJECTION_GROUND']);
    expect((await open(id, ' ')).codes).toEqual(['BASIS_REQUIRED']);
    expect((await open(id, 'YY-1', {}, { receivedOn: '2027-01-01' })).codes).toEqual(['BASIS_REQUIRED']);
    expect((await open(99_999, 'YY-1')).codes).toEqual(['RECORD_NOT_FOUND']);
    expect((await open(id, 'YY-1', { region: '430400' })).codes).toEqual(['RECORD_NOT_FOUND']);
    const opened = await open(id, 'YY-1');
    expect((await open(id, 'YY-1')).codes).toEqual(['OBJECTION_EXISTS']);
    expect((await open(id, 'YY-2', { role: 'officer' })).codes).not.toEqual([]);
    const objection = opened.data.openObjection.id as string;
    expect((await close(objection, 'REJECTED', ' ')).codes).toEqual(['REASON_REQUIRED']);
    expect((await close(objection, 'REJECTED', '1号', { region: '430400' })).codes).toEqual(['OBJECTION_NOT_FOUND']);
    expect((await close(objection, 'REJECTED')).codes).toEqual([]);
    expect((await close(objection, 'WITHDRAWN')).codes).toEqual(['OBJECTION_CLOSED']);
  });
});

describe('a publication', () => {
  it('HN-24.3 U15 that does not say whether an objection is pending is no publication', () => {
    const body = new Map([...RESULTS.publish.body].filter(([key]) => key !== 'YYBZ'));
    const said: string[] = [];
    checkPublication(MODEL, { ...RESULTS, publish: { ...RESULTS.publish, body } }, 'p', '', (_, path, reason) =>
      said.push(`${path} ${reason}`),
    );
    expect(said).toEqual(['/publish/body does not say whether an objection is pending: record.disputed (HN-24.3, U15)']);
  });
});
