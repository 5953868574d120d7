/** Rows of the outbox that wait for a person, and publications that are due. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { Model, PushStream } from '../src/model/types.ts';
import { openDeadlines, watchDeadlines } from '../src/store/deadlines.ts';
import { dueStreams } from '../src/store/streams.ts';
import { openHub, type TestHub } from './setup/hub.ts';
import { MODEL } from './setup/store.ts';

let hub: TestHub;
beforeAll(async () => {
  hub = await openHub();
});
afterAll(() => hub.close());
beforeEach(() => hub.pool.query('truncate outbox, outbox_discard, receipt, issue cascade; delete from stream_state'));

const PLACE = ['credit-china', 'evaluation-results'];
const STEWARD = { department: 'medical-insurance', role: 'data-steward' };
const OPERATOR = { department: 'operations', role: 'system-administrator' };
const LETTER = '{ id state reason discardAskedBy }';

async function letter(state: string, more: { record?: number; version?: number; act?: string } = {}): Promise<number> {
  const { record = 1, version = 1, act = 'publish' } = more;
  const { rows } = await hub.pool.query<{ id: number }>(
    `insert into outbox (connector, stream, record_id, version, subject_id, state, reason, attempts, act, cause)
     values ($1, $2, $3, $4, 1, $5, '机构代码不存在', 1, $6, case when $6 = 'recall' then 'repair' end) returning id`,
    [...PLACE, record, version, state, act],
  );
  const id = rows[0]?.id ?? 0;
  await hub.pool.query(
    `insert into issue (connector, stream, fingerprint, rule, at, place, reason, refused, first_run, last_run) values ($1, $2, $3, 'push-refused', $4, '', '', true, 0, 0)`,
    [...PLACE, Buffer.from([id % 256]), `outbox ${id}`],
  );
  return id;
}

async function act(who: { department: string; role: string }, call: string, person = 'ms-0001') {
  const authorization = `Bearer ${await hub.token({ id: person, name: `人员${person}`, region: '430000', ...who })}`;
  return hub.ask(`mutation Act { done: ${call} ${LETTER} }`, { authorization, purpose: 'credit-evaluation' });
}
const stateOf = async (id: number) =>
  (await hub.pool.query<{ state: string }>('select state from outbox where id = $1', [id])).rows[0]?.state;
const issueOf = async (id: number) =>
  (await hub.pool.query<{ state: string }>('select state from issue where at = $1', [`outbox ${id}`])).rows[0]?.state;

describe('HN-28 dead letters', () => {
  it('P6 are listed for who runs the system and for who answers for the data, and for nobody else', async () => {
    const id = await letter('refused');
    await letter('done', { record: 2 });
    for (const who of [STEWARD, OPERATOR]) {
      const { data } = await hub.ask('query L { deadLetters { id state reason } }', who);
      expect(data.deadLetters).toEqual([{ id: String(id), state: 'refused', reason: '机构代码不存在' }]);
    }
    for (const who of [
      { department: 'health', role: 'officer' },
      { department: 'auditor', role: 'auditor' },
    ])
      expect((await hub.ask('query L { deadLetters { id } }', who)).codes).toEqual(['DUTY_REQUIRED']);
  });

  it.each([
    'settleDeadLetter(id: "1", arrived: false, reason: "x")',
    'discardDeadLetter(id: "1", reason: "x")',
    'decideDiscard(id: "1", approve: true, reason: "x")',
  ])('P6 an operator, an auditor and an officer may not: %s', async (call) => {
    for (const who of [OPERATOR, { department: 'auditor', role: 'auditor' }, { department: 'medical-insurance', role: 'officer' }])
      expect((await act(who, call)).codes).toEqual(['DUTY_REQUIRED']);
    expect((await act(STEWARD, call.replace('"x"', '" "'))).codes).toEqual(['REASON_REQUIRED']);
    expect((await act(STEWARD, call)).codes).toEqual(['DEAD_LETTER_NOT_FOUND']);
  });

  it('P6 HN-23.2 a refused one is sent again under its key, its issue is closed, its stream is asked for, and the log has it before and after', async () => {
    const id = await letter('refused');
    const { result, added } = await hub.logged(() => act(OPERATOR, `retryDeadLetter(id: "${id}", reason: "平台已补录机构")`));
    expect(result.data.done).toMatchObject({ id: String(id), state: 'waiting', reason: null });
    expect([await stateOf(id), await issueOf(id)]).toEqual(['waiting', 'fixed']);
    expect(await dueStreams(hub.pool, new Date())).toEqual([{ connector: 'credit-china', stream: 'evaluation-results', asked: true }]);
    expect(added.map(({ entry }) => [entry.kind, entry.code])).toEqual([
      ['mutation', 'INTENT'],
      ['mutation', ''],
    ]);
    expect((await act(OPERATOR, `retryDeadLetter(id: "${id}", reason: "x")`)).codes).toEqual(['DEAD_LETTER_NOT_FOUND']);
  });

  it('P6 one of unknown outcome is never guessed: a person says that it arrived, with its receipt, or that it did not', async () => {
    const [here, lost] = [await letter('unknown'), await letter('unknown', { record: 2 })];
    expect((await act(STEWARD, `retryDeadLetter(id: "${here}", reason: "x")`)).codes).toEqual(['OUTCOME_UNKNOWN']);
    expect((await act(STEWARD, `discardDeadLetter(id: "${here}", reason: "x")`)).codes).toEqual(['OUTCOME_UNKNOWN']);
    expect((await act(STEWARD, `settleDeadLetter(id: "${here}", arrived: true, reason: "电话核实")`)).codes).toEqual(['RECEIPT_REQUIRED']);
    const done = await act(STEWARD, `settleDeadLetter(id: "${here}", arrived: true, receipt: "HZ-1", reason: "电话核实")`);
    expect(done.data.done.state).toBe('done');
    expect((await hub.pool.query('select number, told_by from receipt where outbox_id = $1', [here])).rows).toEqual([
      { number: 'HZ-1', told_by: '人员ms-0001' },
    ]);
    expect((await act(STEWARD, `settleDeadLetter(id: "${lost}", arrived: false, reason: "电话核实")`)).data.done.state).toBe('waiting');
    const refused = await letter('refused', { record: 3 });
    expect((await act(STEWARD, `settleDeadLetter(id: "${refused}", arrived: false, reason: "x")`)).codes).toEqual(['OUTCOME_KNOWN']);
  });

  it('P6 giving one up takes a second person where something would be lost, and only then', async () => {
    const id = await letter('refused');
    const asked = await act(STEWARD, `discardDeadLetter(id: "${id}", reason: "机构已注销")`);
    expect(asked.data.done).toMatchObject({ state: 'refused', discardAskedBy: '人员ms-0001' });
    expect((await act(STEWARD, `discardDeadLetter(id: "${id}", reason: "机构已注销")`)).codes).toEqual(['DISCARD_OPEN']);
    expect((await act(STEWARD, `decideDiscard(id: "${id}", approve: true, reason: "同意")`)).codes).toEqual(['FOUR_EYES']);
    expect((await act(STEWARD, `decideDiscard(id: "${id}", approve: false, reason: "先补录")`, 'ms-0002')).data.done.state).toBe('refused');
    await act(STEWARD, `discardDeadLetter(id: "${id}", reason: "机构已注销")`);
    const approved = await act(STEWARD, `decideDiscard(id: "${id}", approve: true, reason: "同意")`, 'ms-0002');
    expect(approved.data.done).toMatchObject({ state: 'discarded', reason: '机构已注销' });
    expect(await issueOf(id)).toBe('fixed');
    const old = await letter('refused', { record: 5 });
    await letter('done', { record: 5, version: 2 });
    expect((await act(STEWARD, `discardDeadLetter(id: "${old}", reason: "已有新版本")`)).data.done.state).toBe('discarded');
  });

  it('HN-27 U16 a recall that was refused stays until it is done', async () => {
    const id = await letter('refused', { act: 'recall' });
    expect((await act(STEWARD, `discardDeadLetter(id: "${id}", reason: "x")`)).codes).toEqual(['RECALL_STAYS']);
    expect(await stateOf(id)).toBe('refused');
  });
});

describe('HN-28 publications within seven working days of the decision (双公示)', () => {
  /** The model with a publication of penalties that has the deadline. */
  function dueModel(): Model {
    const connector = MODEL.connectors.get(PLACE[0] as string);
    const stream = connector?.streams.get(PLACE[1] as string) as PushStream;
    if (connector === undefined) throw new Error('there is no Credit China');
    const publish = { ...stream.publish, category: 3, deadline: { workingDays: 7, from: 'decidedOn' } };
    const streams = new Map(connector.streams).set(stream.id, { ...stream, publish });
    return { ...MODEL, connectors: new Map(MODEL.connectors).set(connector.id, { ...connector, streams }) };
  }
  async function decided(day: string, state: string): Promise<number> {
    const { rows } = await hub.pool.query<{ id: number; version: number }>(
      'select id, version from record where category = 3 order by id limit 1',
    );
    const { id = 0, version = 0 } = rows[0] ?? {};
    await hub.pool.query(`update record_version set open = open || jsonb_build_object('decidedOn', $2::text) where record_id = $1`, [
      id,
      day,
    ]);
    return letter(state, { record: id, version });
  }
  const issues = async () =>
    (
      await hub.pool.query<{ rule: string; state: string; seen: number }>(
        `select rule, state, seen from issue where rule like 'publication-%' order by id`,
      )
    ).rows;

  it.each([
    // Decided before the National Day of 2026: 28, 29, 30 September, 8, 9, 10 and 12 October.
    ['2026-09-27', '2026-09-30', '2026-10-12', 4, false],
    ['2026-09-27', '2026-10-12', '2026-10-12', 0, false],
    ['2026-09-27', '2026-10-14', '2026-10-12', -2, false],
    ['2026-12-25', '2026-12-28', '2027-01-05', 6, true],
    // Due on a Friday, looked at on the Saturday: no working day has passed, and it is late all the same.
    ['2026-11-11', '2026-11-21', '2026-11-20', -1, false],
  ])('decided %s, on %s: due %s, %d working days left, provisional %s', async (from, today, due, daysLeft, provisional) => {
    const outbox = await decided(from, 'waiting');
    expect(await openDeadlines(hub.pool, dueModel(), today)).toEqual([
      { outbox, connector: PLACE[0], stream: PLACE[1], article: expect.any(String), state: 'waiting', from, due, provisional, daysLeft },
    ]);
  });

  it('an issue names what nears its deadline and what has missed it, once each, and is closed by the receipt', async () => {
    const model = dueModel();
    const watch = (today: string) => watchDeadlines(hub.pool, hub.keys, model, today);
    const id = await decided('2026-09-27', 'refused');
    expect(await watch('2026-09-30')).toBe(0);
    expect([await watch('2026-10-09'), await watch('2026-10-09'), await watch('2026-10-10')]).toEqual([1, 0, 0]);
    expect(await issues()).toEqual([{ rule: 'publication-due', state: 'open', seen: 1 }]);
    expect([await watch('2026-10-13'), await watch('2026-10-13')]).toEqual([1, 0]);
    expect(await issues()).toEqual([
      { rule: 'publication-due', state: 'fixed', seen: 1 },
      { rule: 'publication-late', state: 'open', seen: 1 },
    ]);
    await hub.pool.query(`update outbox set state = 'done' where id = $1`, [id]);
    expect(await watch('2026-10-13')).toBe(0);
    expect((await issues()).map(({ state }) => state)).toEqual(['fixed', 'fixed']);
    expect(await openDeadlines(hub.pool, model, '2026-10-13')).toEqual([]);
  });

  it('what a record does not say cannot be due, and a model without deadlines has none', async () => {
    await decided('', 'waiting');
    expect(await openDeadlines(hub.pool, dueModel(), '2026-11-23')).toEqual([]);
    expect(await watchDeadlines(hub.pool, hub.keys, MODEL, '2026-11-23')).toBe(0);
  });
});
