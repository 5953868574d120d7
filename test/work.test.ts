import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { usccFor } from '../src/identity/uscc.ts';
import { storeIssues } from '../src/store/issues.ts';
import { type Answer, openHub, type TestHub } from './setup/hub.ts';

let hub: TestHub;
const code = usccFor('91430104', 'MA900001');

beforeAll(async () => {
  hub = await openHub();
});
afterAll(() => hub.close());

const ENTER = `mutation Enter($entry: RecordEntry!) { enterRecord(entry: $entry) { id state enteredBy } }`;
const REVIEW = `mutation Review($id: ID!, $approve: Boolean!, $reason: String) { reviewRecord(id: $id, approve: $approve, reason: $reason) { id state reviewedBy reason } }`;
const entryOf = (over: Record<string, unknown> = {}) => ({
  category: 'HONOUR',
  kind: 'honour',
  subjectKind: 'ORGANISATION',
  code,
  name: '录入示例医院',
  region: '430104',
  occurredOn: '2026-05-01',
  basis: 'HN-14(10) 表彰决定',
  route: 'supervision',
  declared: true,
  fields: [
    { name: 'honourName', value: '医保基金监管先进单位' },
    { name: 'authority', value: '长沙市人民政府' },
    { name: 'authorityLevel', value: 'prefecture' },
    { name: 'awardedOn', value: '2026-05-01' },
  ],
  ...over,
});

async function act(person: string, role: string, query: string, variables: Record<string, unknown>, region = '430100'): Promise<Answer> {
  const authorization = `Bearer ${await hub.token({ id: person, name: `人员${person}`, department: 'medical-insurance', role, region })}`;
  return hub.ask(query, { authorization, purpose: 'credit-evaluation', variables });
}

const seen = async () => (await act('ms-0009', 'officer', `query Seen($code: String!) { subject(code: $code) { name } }`, { code })).codes;

describe('HN-6.2 entry by hand and review', () => {
  it('HN-6.2 nothing entered has effect before another person approves it, and everything does after', async () => {
    const entered = await act('ms-0001', 'entry-officer', ENTER, { entry: entryOf() });
    expect(entered.errors).toEqual([]);
    expect(entered.data.enterRecord).toMatchObject({ state: 'entered', enteredBy: '人员ms-0001' });
    expect(await seen()).toEqual(['SUBJECT_NOT_FOUND']);
    const { id } = entered.data.enterRecord as { id: string };
    const own = await act('ms-0001', 'reviewer', REVIEW, { id, approve: true });
    expect(own.codes).toEqual(['FOUR_EYES']);
    expect(await seen()).toEqual(['SUBJECT_NOT_FOUND']);
    const approved = await act('ms-0002', 'reviewer', REVIEW, { id, approve: true });
    expect(approved.data.reviewRecord).toMatchObject({ state: 'approved', reviewedBy: '人员ms-0002' });
    const record = await act(
      'ms-0009',
      'officer',
      `query One($code: String!) { subject(code: $code) { name records(first: 5) { nodes { kind source { connector } } } } }`,
      { code },
    );
    expect(record.data.subject).toEqual({
      name: '录入示例医院',
      records: { nodes: [{ kind: 'honour', source: { connector: 'manual-entry' } }] },
    });
    expect((await act('ms-0003', 'reviewer', REVIEW, { id, approve: false, reason: '重复' })).codes).toEqual(['ALREADY_REVIEWED']);
  });

  it('HN-6.2 a rejection needs its reason and leaves no record', async () => {
    const other = usccFor('91430104', 'MA900002');
    const { data } = await act('ms-0001', 'entry-officer', ENTER, { entry: entryOf({ code: other }) });
    const { id } = data.enterRecord as { id: string };
    expect((await act('ms-0002', 'reviewer', REVIEW, { id, approve: false })).codes).toEqual(['REASON_REQUIRED']);
    expect((await act('ms-0002', 'reviewer', REVIEW, { id, approve: false, reason: '材料不全' })).data.reviewRecord).toMatchObject({
      state: 'rejected',
      reason: '材料不全',
    });
    expect(
      (await act('ms-0009', 'officer', `query Seen($code: String!) { subject(code: $code) { name } }`, { code: other })).codes,
    ).toEqual(['SUBJECT_NOT_FOUND']);
  });

  it.each([
    ['a wrong check digit', { code: '91430104MA4000012A' }, 'ENTRY_REFUSED', 'bad-identifier'],
    ['a field the catalog does not have', { fields: [{ name: 'nothing', value: 'x' }] }, 'ENTRY_REFUSED', undefined],
    [
      'a code outside its set',
      { fields: [...entryOf().fields.slice(0, 2), { name: 'authorityLevel', value: 'village' }, ...entryOf().fields.slice(3)] },
      'ENTRY_REFUSED',
      'unknown-code',
    ],
    ['a kind that does not exist', { kind: 'nothing' }, 'ENTRY_REFUSED', 'unknown-kind'],
    ['no declaration (HN-17)', { declared: false }, 'DECLARATION_REQUIRED', undefined],
    ['no basis', { basis: ' ' }, 'BASIS_REQUIRED', undefined],
    ['another region', { region: '430200' }, 'REGION_DENIED', undefined],
  ])('HN-17 an entry with %s is refused at the door', async (_what, over, expected, rule) => {
    const answer = await act('ms-0001', 'entry-officer', ENTER, { entry: entryOf(over) });
    expect(answer.codes).toEqual([expected]);
    if (rule) expect(answer.errors[0]?.extensions['rule']).toBe(rule);
    expect(answer.data).toBeNull();
  });

  it('HN-6.2 other departments and other roles can neither enter nor review', async () => {
    expect((await act('ms-0001', 'officer', ENTER, { entry: entryOf() })).codes).toEqual(['DUTY_REQUIRED']);
    expect((await act('ms-0001', 'entry-officer', REVIEW, { id: '1', approve: true })).codes).toEqual(['DUTY_REQUIRED']);
    expect((await hub.ask(ENTER, { department: 'health', role: 'entry-officer', variables: { entry: entryOf() } })).codes).toEqual([
      'DUTY_REQUIRED',
    ]);
  });

  it('HN-23.2 a change is in the log as intended before it is made and as done after, without the number entered', async () => {
    const { added } = await hub.logged(() =>
      act('ms-0001', 'entry-officer', ENTER, { entry: entryOf({ code: usccFor('91430104', 'MA900003') }) }),
    );
    expect(added.map((row) => [row.entry.kind, row.entry.outcome, row.entry.code, row.entry.person.id])).toEqual([
      ['mutation', 'answered', 'INTENT', 'ms-0001'],
      ['mutation', 'answered', '', 'ms-0001'],
    ]);
    for (const row of added) expect(row.body.includes(usccFor('91430104', 'MA900003'))).toBe(false);
  });
});

describe('WG-9 refused records', () => {
  const LIST = `query Issues { issues(state: "open") { id rule place reason state } }`;
  const REPLAY = `mutation Replay($id: ID!) { replayIssue(id: $id) { id state handledBy } }`;
  const raw = {
    XXBH: 'GX-1',
    ZTMC: '重放示例医院',
    TYSHXYDM: usccFor('91430104', 'MA900004'),
    LRRQ: '2026/01/05',
    LRYY: '未按规定公示',
    LRJG: '长沙市市场监督管理局',
    YCRQ: '',
    YCYY: '',
    YCJG: '',
    XZQH: '430104',
    XH: '1',
    SJHZDW: '省市场监督管理局',
    GXSJ: '2026-01-06 00:00:00',
    JHKG: '0',
    ZSGBZ: 'I',
    XRSJ: '2026-01-06 00:00:00',
  };
  const stream = { connector: 'hunan-credit', id: 'abnormal-operations' };
  const issue = (over: Record<string, unknown>, rule = 'bad-date') => ({
    rule,
    at: '1',
    place: 'LRRQ',
    reason: '日期无效',
    refused: true,
    raw: { ...raw, ...over },
  });

  it('WG-9 a record that the mapping now takes is stored and closes its issue; one that is still wrong stays open and says why', async () => {
    await hub.pool.transaction((sql) => storeIssues(sql, hub.keys, stream, 1, [issue({}), issue({ XXBH: 'GX-2', LRRQ: '2026/02/30' })]));
    const listed = await act('ms-0005', 'data-steward', LIST, {});
    const ids = (listed.data.issues as { id: string }[]).map((i) => i.id);
    expect(ids).toHaveLength(2);
    const outcomes = await Promise.all(ids.map((id) => act('ms-0005', 'data-steward', REPLAY, { id })));
    const fixed = outcomes.filter((o) => o.codes.length === 0);
    expect(fixed.map((o) => o.data.replayIssue)).toMatchObject([{ state: 'fixed', handledBy: 'ms-0005' }]);
    expect(outcomes.flatMap((o) => o.codes)).toEqual(['ISSUE_STILL_REFUSED']);
    expect(outcomes.flatMap((o) => o.errors.map((e) => e.extensions['place']))).toEqual(['LRRQ']);
    const still = await act('ms-0005', 'data-steward', LIST, {});
    expect(still.data.issues).toHaveLength(1);
    const stored = await act('ms-0009', 'officer', `query One($code: String!) { subject(code: $code) { name archive { no count } } }`, {
      code: raw.TYSHXYDM,
    });
    expect(stored.data.subject.archive).toContainEqual({ no: 5, count: 1 });
  });

  it('WG-9 closing an issue needs a reason and a data steward', async () => {
    const [left] = (await act('ms-0005', 'data-steward', LIST, {})).data.issues as { id: string }[];
    const CLOSE = `mutation Close($id: ID!, $reason: String!) { dismissIssue(id: $id, reason: $reason) { state resolution } }`;
    expect((await act('ms-0005', 'data-steward', CLOSE, { id: left?.id, reason: '' })).codes).toEqual(['REASON_REQUIRED']);
    expect((await act('ms-0009', 'officer', CLOSE, { id: left?.id, reason: '作废' })).codes).toEqual(['DUTY_REQUIRED']);
    expect((await act('ms-0005', 'data-steward', CLOSE, { id: left?.id, reason: '来源已更正' })).data.dismissIssue).toEqual({
      state: 'dismissed',
      resolution: '来源已更正',
    });
    expect((await act('ms-0005', 'data-steward', REPLAY, { id: left?.id })).codes).toEqual(['ISSUE_CLOSED']);
  });
});

describe('WG-9 the quality of a source', () => {
  it('WG-9 is told by what it left out, what did not hold, how late it came and what spot checks found', async () => {
    await hub.pool.query(
      `insert into run (connector, stream, direction, state, trigger, officer_id, officer_name, taken) values ('credit-china', 'penalties', 'pull', 'done', 'manual', 'o', 'o', 40)`,
    );
    const QUALITY = `{ sourceQuality { connector read completeness accuracy truth spotChecks } }`;
    const of = async () =>
      ((await act('ms-0005', 'data-steward', QUALITY, {})).data.sourceQuality as { connector: string }[]).find(
        (q) => q.connector === 'credit-china',
      );
    expect(await of()).toMatchObject({ read: 40, completeness: 1, accuracy: 1, truth: null, spotChecks: 0 });
    const stream = { connector: 'credit-china', id: 'penalties' };
    const refused = (rule: string, n: number) => ({ rule, at: '1', place: 'X', reason: '', refused: true, raw: { n } });
    await hub.pool.transaction((sql) =>
      storeIssues(sql, hub.keys, stream, 1, [refused('required', 1), refused('bad-date', 2), refused('bad-date', 3)]),
    );
    const [records] = (await hub.pool.query<{ n: number }>(`select count(*)::int as n from record where connector = 'credit-china'`)).rows;
    const total = (records?.n ?? 0) + 3;
    const share = (bad: number) => Math.round((1 - bad / total) * 10_000) / 10_000;
    expect(await of()).toMatchObject({ completeness: share(1), accuracy: share(2) });
    const sample = (await act('ms-0005', 'data-steward', `{ spotCheckSample(connector: "credit-china", size: 2) { id stream } }`, {})).data
      .spotCheckSample as { id: string }[];
    expect(sample).toHaveLength(2);
    const NOTE = `mutation Note($id: ID!, $passed: Boolean!, $note: String) { noteSpotCheck(id: $id, passed: $passed, note: $note) }`;
    const note = (id: string | undefined, passed: boolean, text?: string) =>
      act('ms-0005', 'data-steward', NOTE, { id, passed, note: text });
    expect((await note(sample[0]?.id, true)).codes).toEqual([]);
    expect((await note(sample[1]?.id, false)).codes).toEqual(['REASON_REQUIRED']);
    expect((await note(sample[1]?.id, false, '金额与决定书不符')).codes).toEqual([]);
    expect((await note('AAAAAAAAAAAAAAAAAAAAAA', true)).codes).toEqual(['RECORD_NOT_FOUND']);
    expect(await of()).toMatchObject({ truth: 0.5, spotChecks: 2 });
    expect((await act('ms-0009', 'officer', QUALITY, {})).codes).toEqual(['DUTY_REQUIRED']);
  });
});
