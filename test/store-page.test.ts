import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { StopStream } from '../src/errors.ts';
import { usccFor } from '../src/identity/uscc.ts';
import type { MappedRecord } from '../src/mapping/record.ts';
import type { NewIssue } from '../src/store/issues.ts';
import { beginRun, brokenRuns, readCounts } from '../src/store/runs.ts';
import type { Sql } from '../src/store/sql.ts';
import { apply, applyOne, inRun, MODEL, OFFICER, openStore, pageOf, pullStreamOf, recordOf, type Store } from './setup/store.ts';

const STREAM = pullStreamOf('credit-china/penalties');
const A = usccFor('91430100', 'MA4L0001');
const B = usccFor('91430200', 'MA4L0002');
const V1 = '2026-01-01T00:00:00.000000Z';
const V2 = '2026-01-02T00:00:00.000000Z';
const V3 = '2026-01-03T00:00:00.000000Z';

let store: Store;
beforeAll(async () => {
  store = await openStore();
});
afterAll(() => store.drop());
beforeEach(() =>
  store.pool.query(
    'truncate subject, subject_identifier, subject_code, record, record_version, stream_state, run, issue, outbox, receipt cascade',
  ),
);

const penalty = (key: string, content: string, changes: Partial<MappedRecord> = {}) =>
  recordOf(key, A, { fields: { decisionNumber: key, content }, ...changes });
const put = (...records: MappedRecord[]) => applyOne(store, STREAM, pageOf(records));

async function rows<R>(text: string): Promise<R[]> {
  return (await store.pool.query<R>(text)).rows;
}
const current = () =>
  rows<{ content: string; version: number; deleted: boolean }>(
    `select open->>'content' as content, version, deleted from record order by source_key`,
  );
const history = () =>
  rows<{ version: number; content: string; late: boolean }>(
    `select version, open->>'content' as content, late from record_version order by record_id, version`,
  );

describe('a page of records', () => {
  it('P5 stores a new record with its first version', async () => {
    expect(await put(penalty('a', '罚款'))).toMatchObject({ stored: 1, unchanged: 0, issues: 0, queued: 0 });
    expect(await current()).toEqual([{ content: '罚款', version: 1, deleted: false }]);
    expect(await history()).toEqual([{ version: 1, content: '罚款', late: false }]);
  });

  it('P5 changes nothing when the record is known', async () => {
    await put(penalty('a', '罚款'));
    const before = await rows('select * from record');
    expect(await put(penalty('a', '罚款'))).toMatchObject({ stored: 0, unchanged: 1, issues: 0, queued: 0 });
    expect(await rows('select * from record')).toEqual(before);
    expect(await history()).toHaveLength(1);
  });

  it('P5 stores a changed record as version 2 and keeps version 1', async () => {
    await put(penalty('a', '罚款', { version: V1 }));
    expect((await put(penalty('a', '警告', { version: V2 }))).stored).toBe(1);
    expect(await current()).toEqual([{ content: '警告', version: 2, deleted: false }]);
    expect(await history()).toEqual([
      { version: 1, content: '罚款', late: false },
      { version: 2, content: '警告', late: false },
    ]);
  });

  it('P5 gives every version its place when a page holds the same key more than once, in any order', async () => {
    const result = await put(penalty('a', '三', { version: V3 }), penalty('a', '一', { version: V1 }), penalty('a', '二', { version: V2 }));
    expect(result).toMatchObject({ stored: 1, unchanged: 2, issues: 0, queued: 0 });
    expect((await current()).map((r) => r.content)).toEqual(['三']);
    expect((await history()).map((v) => [v.content, v.late])).toEqual([
      ['三', false],
      ['一', true],
      ['二', true],
    ]);
  });

  it('P5 puts an older version that arrives late into history only, and never twice', async () => {
    await put(penalty('a', '新', { version: V2 }));
    for (let times = 0; times < 3; times += 1) expect((await put(penalty('a', '旧', { version: V1 }))).unchanged).toBe(1);
    expect((await current()).map((r) => [r.content, r.version])).toEqual([['新', 1]]);
    expect(await history()).toEqual([
      { version: 1, content: '新', late: false },
      { version: 2, content: '旧', late: true },
    ]);
  });

  it('P5 keeps an older version that arrives late even when it says the same as the newest', async () => {
    await put(penalty('a', '甲', { version: V3 }), penalty('a', '乙', { version: V2 }), penalty('a', '甲', { version: V1 }));
    expect((await history()).map((v) => v.content).toSorted()).toEqual(['乙', '甲', '甲'].toSorted());
    await put(penalty('a', '甲', { version: V1 }), penalty('a', '乙', { version: V2 }));
    expect(await history()).toHaveLength(3);
  });

  it('P5 remembers the newest version that said the same, so that an older one cannot overwrite it', async () => {
    await put(penalty('a', '甲', { version: V1 }));
    await put(penalty('a', '甲', { version: V3 }));
    expect(await history()).toHaveLength(1);
    await put(penalty('a', '乙', { version: V2 }));
    expect((await current()).map((r) => r.content)).toEqual(['甲']);
  });

  it('P5 changes nothing when a page that tells two things under one version is read again', async () => {
    const page = [penalty('a', '甲', { version: V1 }), penalty('a', '乙', { version: V1 })];
    await put(...page);
    expect((await put(...page)).unchanged).toBe(2);
    expect((await current()).map((r) => r.content)).toEqual(['乙']);
    expect(await history()).toHaveLength(2);
  });

  it('P5 stores a deletion at the source as a version', async () => {
    await put(penalty('a', '罚款'));
    expect((await put(penalty('a', '罚款', { deleted: true }))).stored).toBe(1);
    expect(await current()).toEqual([{ content: '罚款', version: 2, deleted: true }]);
  });

  it('P5 accounts for every raw record: in = stored + unchanged + issues, in the page and in the ledger', async () => {
    await put(penalty('a', '罚款'));
    const refused: NewIssue = { rule: 'required', at: 'row 9', place: 'X', reason: '缺失', refused: true, raw: { X: '' } };
    const conflict = penalty('c', '冲突', {
      subject: { ...penalty('c', '').subject, identifiers: [A, B].map((code) => ({ scheme: 'uscc', code })) },
    });
    await put(recordOf('b', B));
    const run = await inRun(store, STREAM, async (held) => {
      const page = pageOf([penalty('a', '罚款'), penalty('d', '警告'), conflict], { issues: [refused] });
      expect(await apply(store, STREAM, held, page)).toMatchObject({ stored: 1, unchanged: 1, issues: 2, queued: 0 });
      return held.id;
    });
    expect(await readCounts(store.pool, run)).toEqual({ pages: 1, in: 4, stored: 1, unchanged: 1, issues: 2, pushed: 0, receipts: 0 });
  });
});

describe('issues', () => {
  const issue = (changes: Partial<NewIssue> = {}): NewIssue => ({
    rule: 'bad-date',
    at: 'row 1',
    place: 'CF_JDRQ',
    reason: '日期无效',
    refused: true,
    raw: { CF_JDRQ: '2023-02-30' },
    ...changes,
  });
  const issues = () =>
    rows<{ rule: string; seen: number; refused: boolean; state: string }>('select rule, seen, refused, state from issue order by id');

  it('P5 the same raw record refused again is one issue seen twice', async () => {
    await applyOne(store, STREAM, pageOf([], { issues: [issue()] }));
    await applyOne(store, STREAM, pageOf([], { issues: [issue({ at: 'row 7' })] }));
    expect(await issues()).toEqual([{ rule: 'bad-date', seen: 2, refused: true, state: 'open' }]);
    expect(await rows('select at from issue')).toEqual([{ at: 'row 7' }]);
  });

  it('P5 the same raw record refused twice in one page is one issue seen twice, and counted twice', async () => {
    const result = await applyOne(store, STREAM, pageOf([], { issues: [issue(), issue({ at: 'row 2' })] }));
    expect(result.issues).toBe(2);
    expect(await issues()).toEqual([{ rule: 'bad-date', seen: 2, refused: true, state: 'open' }]);
  });

  it('P5 a key that nobody mapped is a note: the record is stored and nothing is refused', async () => {
    const note = issue({ rule: 'unknown-key', place: 'NEW_FIELD', refused: false, raw: undefined });
    const result = await applyOne(store, STREAM, pageOf([penalty('a', '罚款')], { issues: [note] }));
    expect(result).toMatchObject({ stored: 1, unchanged: 0, issues: 0, queued: 0 });
    expect(await issues()).toEqual([{ rule: 'unknown-key', seen: 1, refused: false, state: 'open' }]);
  });

  it('P5 an issue that was fixed and comes again is open again; one that was dismissed stays so', async () => {
    await applyOne(store, STREAM, pageOf([], { issues: [issue(), issue({ rule: 'required', place: 'X' })] }));
    await store.pool.query(`update issue set state = case rule when 'required' then 'dismissed' else 'fixed' end`);
    await applyOne(store, STREAM, pageOf([], { issues: [issue(), issue({ rule: 'required', place: 'X' })] }));
    expect((await issues()).map((i) => [i.rule, i.state])).toEqual([
      ['bad-date', 'open'],
      ['required', 'dismissed'],
    ]);
  });
});

describe('one transaction', () => {
  const grade = (key: string, value: string): MappedRecord =>
    recordOf(key, A, {
      category: 6,
      kind: 'medical-insurance-evaluation',
      fields: { scheme: 'hunan-medical-insurance', year: 2025, grade: value },
    });
  const nothing = async () => {
    for (const table of ['subject', 'subject_identifier', 'subject_code', 'record', 'record_version', 'issue', 'outbox'])
      expect([table, (await rows(`select from ${table}`)).length]).toEqual([table, 0]);
  };

  it('P6 what is published goes into the outbox with the page, once per receiver and version', async () => {
    const receivers = [...MODEL.connectors.values()].flatMap((c) =>
      [...c.streams.values()].filter((s) => s.id === 'evaluation-results'),
    ).length;
    expect((await put(grade('g', 'hunan:A'), penalty('a', '罚款'))).queued).toBe(receivers);
    expect((await put(grade('g', 'hunan:A'))).queued).toBe(0);
    expect((await put(grade('g', 'hunan:B'))).queued).toBe(receivers);
    expect(await rows('select version, count(*)::int as receivers from outbox group by 1 order by 1')).toEqual([
      { version: 1, receivers },
      { version: 2, receivers },
    ]);
  });

  it('P5 a statement that fails takes the whole page back, and the cursor stays', async () => {
    await inRun(store, STREAM, (run) => apply(store, STREAM, run, pageOf([], { cursor: { page: 1 } })));
    await store.pool.query('alter table outbox add constraint full_outbox check (version < 0) not valid');
    const refused: NewIssue = { rule: 'required', at: 'row 9', place: 'X', reason: '缺失', refused: true, raw: {} };
    const page = pageOf([penalty('a', '罚款'), grade('g', 'hunan:A')], { issues: [refused], cursor: { page: 2 } });
    const failed = expect(inRun(store, STREAM, (run) => apply(store, STREAM, run, page))).rejects.toThrow('full_outbox');
    await failed;
    await store.pool.query('alter table outbox drop constraint full_outbox');
    await nothing();
    expect(await rows('select cursor from stream_state')).toEqual([{ cursor: { page: 1 } }]);
    expect(await rows('select taken from run order by id desc limit 1')).toEqual([{ taken: 0 }]);
    await inRun(store, STREAM, async (run) => {
      expect(run.cursor).toEqual({ page: 1 });
      expect((await apply(store, STREAM, run, page)).stored).toBe(2);
    });
    expect(await rows('select cursor from stream_state')).toEqual([{ cursor: { page: 2 } }]);
  });

  it('P7 a run that was overtaken writes nothing more and cannot change the ledger', async () => {
    const stalled = await beginRun(store.pool, STREAM, OFFICER, 'schedule');
    if (stalled === undefined) throw new Error('the stream is held');
    // Its session ends without its knowledge, as when a process hangs: the stream is free.
    await store.pool.query(
      `select pg_terminate_backend(pid) from pg_locks
       where locktype = 'advisory' and classid = 7301002 and database = (select oid from pg_database where datname = current_database())`,
    );
    await inRun(store, STREAM, async (run) => {
      await expect(apply(store, STREAM, stalled, pageOf([penalty('a', '罚款')], { cursor: 1 }))).rejects.toThrow(StopStream);
      await nothing();
      await apply(store, STREAM, run, pageOf([penalty('b', '警告')], { cursor: 2 }));
    });
    await stalled.end('done').catch(() => undefined);
    expect(await rows('select state, taken from run order by id')).toEqual([
      { state: 'interrupted', taken: 0 },
      { state: 'done', taken: 1 },
    ]);
    expect(await rows('select cursor from stream_state')).toEqual([{ cursor: 2 }]);
  });

  it('P7 a run whose process died is told; one that ends while the locks are looked at is not', async () => {
    await store.pool.query(
      `insert into run (connector, stream, direction, state, trigger, officer_id, officer_name)
       select 'credit-china', stream, 'pull', 'running', 'manual', 'o', 'o' from unnest(array['penalties', 'licences']) as stream`,
    );
    expect(await brokenRuns(store.pool)).toHaveLength(2);
    const endsMeanwhile: Sql = {
      transaction: (work) => store.pool.transaction(work),
      async query<R>(text: string, values?: readonly unknown[]) {
        const seen = await store.pool.query<R>(text, values);
        await store.pool.query(`update run set state = 'done' where stream = 'licences'`);
        return seen;
      },
    };
    expect(await brokenRuns(endsMeanwhile)).toEqual([{ connector: 'credit-china', stream: 'penalties' }]);
  });

  it('P7 a stream is free for the next run as soon as a run has ended', async () => {
    for (let times = 0; times < 30; times += 1) await put(penalty('a', '罚款'));
    expect(await rows(`select from run where state = 'done'`)).toHaveLength(30);
  });

  it('P7 a stream is run by one at a time, and not at all while it is paused', async () => {
    await inRun(store, STREAM, async () => expect(await beginRun(store.pool, STREAM, OFFICER, 'manual')).toBeUndefined());
    await store.pool.query('update stream_state set paused = true');
    expect(await beginRun(store.pool, STREAM, OFFICER, 'manual')).toBeUndefined();
  });
});
