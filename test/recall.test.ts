/** What leaves the hub and what is taken back, in the outbox: tables and language. How it is sent is in push.test.ts. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { findStream } from '../src/model/load.ts';
import type { Model, PushStream } from '../src/model/types.ts';
import { enqueue, recall } from '../src/store/outbox.ts';
import { openOutbox, settleUnknown, takeWaiting } from '../src/store/sending.ts';
import { MODEL, openStore, type Store } from './setup/store.ts';

let store: Store;
const CHINA = findStream(MODEL, 'credit-china/evaluation-results') as PushStream;
const HUNAN = findStream(MODEL, 'hunan-credit/evaluation-results') as PushStream;

beforeAll(async () => {
  store = await openStore();
});
afterAll(() => store.drop());
beforeEach(() => store.pool.query('truncate subject, record, outbox, receipt cascade'));

const rows = async <R>(text: string, values: unknown[] = []) => (await store.pool.query<R>(text, values)).rows;
const states = (stream: PushStream) =>
  rows<{ act: string; version: number; state: string; cause: string | null }>(
    'select act, version, state, cause from outbox where connector = $1 and stream = $2 order by id',
    [stream.connector, stream.id],
  );
const changed = (recordId: number, version: number, subjectId = 1) => ({
  recordId,
  version,
  subjectId,
  category: 6,
  kind: 'medical-insurance-evaluation',
});
/** Only the two streams of evaluation results. */
const model: Model = {
  ...MODEL,
  connectors: new Map(
    [CHINA, HUNAN].map((stream) => {
      const connector = MODEL.connectors.get(stream.connector);
      if (connector === undefined) throw new Error(stream.connector);
      return [stream.connector, { ...connector, streams: new Map([[stream.id, stream]]) }] as const;
    }),
  ),
};
const choosing = (publish: Partial<PushStream['publish']>): Model => {
  const stream = { ...CHINA, publish: { ...CHINA.publish, ...publish } };
  const connector = model.connectors.get('credit-china');
  if (connector === undefined) throw new Error('credit-china');
  return { ...MODEL, connectors: new Map([['credit-china', { ...connector, streams: new Map([[stream.id, stream]]) }], ...MANUAL]) };
};
const MANUAL = [...MODEL.connectors]
  .filter(([id]) => id === 'manual-entry' || id === 'national-insurance')
  .map(([id, c]) => [id, { ...c, streams: new Map() }] as const);
const received = (stream: PushStream, state = 'done') =>
  rows(`update outbox set state = $3, attempts = 1 where connector = $1 and stream = $2 and act = 'publish' and state = 'waiting'`, [
    stream.connector,
    stream.id,
    state,
  ]);

describe('a recall', () => {
  it('HN-27 U16 goes to every platform that received the record and to no other, once, with its cause', async () => {
    await enqueue(store.pool, model, [changed(1, 1)]);
    await received(CHINA);
    await rows(`update outbox set state = 'refused' where connector = 'hunan-credit'`);
    const made = await store.pool.transaction((sql) => recall(sql, [1], 'repair'));
    expect(made).toEqual([{ connector: 'credit-china', stream: 'evaluation-results', recordId: 1, version: 1 }]);
    expect(await recall(store.pool, [1], 'repair')).toEqual([]);
    expect((await states(CHINA)).at(-1)).toEqual({ act: 'recall', version: 1, state: 'waiting', cause: 'repair' });
  });

  it.each(['sent', 'unknown'])('P6 U16 is made for what may have arrived too (%s), and leaves after that is known', async (state) => {
    await enqueue(store.pool, model, [changed(1, 1)]);
    await received(CHINA, state);
    expect(await recall(store.pool, [1], 'expiry')).toHaveLength(1);
    expect(await takeWaiting(store.pool, CHINA, 10)).toEqual([]);
    await rows(`update outbox set state = 'done' where act = 'publish' and state = $1`, [state]);
    expect(await takeWaiting(store.pool, CHINA, 10)).toMatchObject([{ recordId: 1, version: 1, act: 'recall', cause: 'expiry' }]);
  });

  it('HN-27 stops what still waits; when nothing arrived there is nothing to take back', async () => {
    await enqueue(store.pool, model, [changed(1, 1)]);
    await received(CHINA, 'unknown');
    await enqueue(store.pool, model, [changed(1, 2)]);
    await recall(store.pool, [1], 'objection');
    expect((await states(CHINA)).map(({ act, state }) => [act, state])).toEqual([
      ['publish', 'unknown'],
      ['publish', 'superseded'],
      ['recall', 'waiting'],
    ]);
    const [row] = await rows<{ id: number }>(`select id from outbox where state = 'unknown'`);
    expect(await settleUnknown(store.pool, row?.id ?? 0, { arrived: false, by: '王敏' })).toBe(true);
    expect(await takeWaiting(store.pool, CHINA, 10)).toEqual([]);
    expect((await states(CHINA)).map(({ state }) => state)).toEqual(['superseded', 'superseded', 'superseded']);
  });

  it('HN-24.2 a newer version that is enqueued after the recall follows it', async () => {
    await enqueue(store.pool, model, [changed(1, 1)]);
    await received(CHINA);
    await recall(store.pool, [1], 'correction');
    await enqueue(store.pool, model, [changed(1, 2)]);
    expect((await takeWaiting(store.pool, CHINA, 10)).map(({ act, version }) => [act, version])).toEqual([
      ['recall', 1],
      ['publish', 2],
    ]);
  });

  it('U16 is rolled back with the transaction that made its reason', async () => {
    await enqueue(store.pool, model, [changed(1, 1)]);
    await received(CHINA);
    const failing = store.pool.transaction(async (sql) => {
      await recall(sql, [1], 'repair');
      throw new Error('not repaired');
    });
    await expect(failing).rejects.toThrow('not repaired');
    expect(await states(CHINA)).toHaveLength(1);
  });
});

describe('a publication chooses', () => {
  async function record(id: number, version: number, grade: string, connector = 'national-insurance'): Promise<void> {
    await rows("insert into subject (id, kind) values (1, 'organisation') on conflict do nothing");
    await rows(
      `insert into record (id, subject_id, subject_kind, category, kind, publicity, connector, stream, source_key, ordered_on, fact, content, run_id)
       values ($1::bigint, 1, 'organisation', 6, 'medical-insurance-evaluation', 'public', $2, 's', ($1::bigint)::text, '2026-01-01', '', '', 0) on conflict do nothing`,
      [id, connector],
    );
    await rows(
      `insert into record_version (record_id, version, category, kind, publicity, deleted, fact, content, run_id, open)
       values ($1, $2, 6, 'medical-insurance-evaluation', 'public', false, '', '', 0, $3)`,
      [id, version, JSON.stringify({ grade, year: 2025 })],
    );
  }

  it('WG-13(3) by codes: another code is not sent, and a record that no longer has one is taken back', async () => {
    const bad = choosing({ only: new Map([['grade', ['hunan:D']]]) });
    await record(1, 1, 'hunan:D');
    await record(2, 1, 'hunan:A');
    expect(await enqueue(store.pool, bad, [changed(1, 1), changed(2, 1)])).toBe(1);
    await received(CHINA);
    await record(1, 2, 'hunan:B');
    expect(await enqueue(store.pool, bad, [changed(1, 2)])).toBe(0);
    expect(await states(CHINA)).toEqual([
      { act: 'publish', version: 1, state: 'done', cause: null },
      { act: 'recall', version: 1, state: 'waiting', cause: 'correction' },
    ]);
  });

  it('HN-14(3) by who told it: the bureau’s own records and nobody else’s', async () => {
    const own = choosing({ from: ['medical-insurance'] });
    await record(1, 1, 'hunan:A');
    await record(2, 1, 'hunan:A', 'hunan-credit');
    await record(3, 1, 'hunan:A', 'manual-entry');
    expect(
      await enqueue(
        store.pool,
        own,
        [1, 2, 3].map((id) => changed(id, 1)),
      ),
    ).toBe(2);
    expect(await rows('select record_id from outbox order by 1')).toEqual([{ record_id: 1 }, { record_id: 3 }]);
  });
});

describe('the order of what leaves', () => {
  it('P6 rows of a subject wait for an earlier one that was sent; those of others do not', async () => {
    await enqueue(store.pool, model, [changed(1, 1, 1)]);
    await received(CHINA, 'sent');
    await enqueue(store.pool, model, [changed(1, 2, 1), changed(2, 1, 1), changed(3, 1, 2)]);
    expect((await takeWaiting(store.pool, CHINA, 10)).map((row) => row.recordId)).toEqual([3]);
  });

  it('P6 where a person has to find out, the record waits and the subject’s other facts do not, nor is the stream queued for it', async () => {
    await enqueue(store.pool, model, [changed(1, 1, 1)]);
    await received(CHINA, 'unknown');
    await rows(`delete from outbox where connector = 'hunan-credit'`);
    await enqueue(store.pool, choosing({}), [changed(1, 2, 1)]);
    expect(await openOutbox(store.pool)).toEqual([]);
    await enqueue(store.pool, choosing({}), [changed(2, 1, 1)]);
    expect((await takeWaiting(store.pool, CHINA, 10)).map((row) => row.recordId)).toEqual([2]);
    expect(await openOutbox(store.pool)).toMatchObject([{ connector: 'credit-china', waiting: 1 }]);
  });

  it('P6 a refused version holds nothing back, and only the newest waiting version leaves', async () => {
    await enqueue(store.pool, model, [changed(1, 1)]);
    await received(CHINA, 'refused');
    await enqueue(store.pool, model, [changed(1, 2)]);
    await enqueue(store.pool, model, [changed(1, 3)]);
    expect((await takeWaiting(store.pool, CHINA, 1)).map((row) => row.version)).toEqual([3]);
  });
});
