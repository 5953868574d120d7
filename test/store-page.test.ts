import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { StopStream } from '../src/errors.ts';
import { withCitizenCheck } from '../src/identity/citizen.ts';
import { usccFor } from '../src/identity/uscc.ts';
import type { MappedRecord } from '../src/mapping/record.ts';
import type { NewIssue } from '../src/store/issues.ts';
import { undoMerge } from '../src/store/merge.ts';
import { beginRun, readCounts } from '../src/store/runs.ts';
import { apply, applyOne, inRun, MODEL, OFFICER, openStore, pageOf, pullStreamOf, recordOf, type Store } from './setup/store.ts';

const STREAM = pullStreamOf('credit-china/penalties');
const A = usccFor('91430100', 'MA4L0001');
const B = usccFor('91430200', 'MA4L0002');
const C = usccFor('91430300', 'MA4L0003');
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

describe('subjects', () => {
  const codes = (...of: [string, string][]) => of.map(([scheme, code]) => ({ scheme, code }));
  const institution = (key: string, identifiers: { scheme: string; code: string }[]) =>
    recordOf(key, A, { subject: { ...recordOf(key, A).subject, identifiers } });

  it('HN-13 a subject known by a platform code takes its unified code when one comes, and stays one subject', async () => {
    await put(institution('a', codes(['institution-code', 'H43010000001'])));
    await put(institution('b', codes(['uscc', A], ['institution-code', 'H43010000001'])));
    await put(institution('c', codes(['uscc', A])));
    expect(await rows('select distinct subject_id from record')).toHaveLength(1);
    expect(await rows(`select open->>'creditCode' as code, internal->>'institutionCode' as own from subject`)).toEqual([
      { code: A, own: 'H43010000001' },
    ]);
  });

  it('HN-13 a second unified code is somebody else, whatever platform code the record brings: an issue and never a merger', async () => {
    await put(institution('a', codes(['institution-code', 'H43010000001'], ['uscc', A])), institution('b', codes(['uscc', B])));
    for (const other of [B, C]) {
      const result = await put(institution(`c${other}`, codes(['uscc', other], ['institution-code', 'H43010000001'])));
      expect(result).toMatchObject({ stored: 0, unchanged: 0, issues: 1, queued: 0 });
    }
    expect(await rows('select rule, refused from issue')).toEqual([1, 2].map(() => ({ rule: 'identifier-conflict', refused: true })));
    expect(await rows('select from subject')).toHaveLength(2);
    expect(await rows('select from record')).toHaveLength(2);
    expect(await rows(`select from subject_identifier`)).toHaveLength(3);
  });

  it('HN-13 a subject known by a platform code alone becomes one with the stated one when a record names both, and the merger can be undone', async () => {
    await put(institution('a', codes(['institution-code', 'H43010000001'])), institution('b', codes(['uscc', A])));
    const before = await rows('select source_key, subject_id, fact from record order by id');
    expect(await put(institution('c', codes(['uscc', A], ['institution-code', 'H43010000001'])))).toMatchObject({ stored: 1, issues: 0 });
    expect(await rows('select distinct subject_id from record')).toHaveLength(1);
    expect(await rows('select from subject where merged_into is null')).toHaveLength(1);
    const [merge] = await rows<{ id: number }>('select id from subject_merge');
    await expect(undoMerge(store.pool, store.keys, MODEL, 'ms-1', merge?.id ?? 0, ' ')).rejects.toMatchObject({ code: 'REASON_REQUIRED' });
    await undoMerge(store.pool, store.keys, MODEL, 'ms-1', merge?.id ?? 0, '编号登记错误');
    expect(
      await rows(
        `select source_key, subject_id, fact from record where source_key <> (select source_key from record order by id desc limit 1) order by id`,
      ),
    ).toEqual(before);
    await expect(undoMerge(store.pool, store.keys, MODEL, 'ms-1', merge?.id ?? 0, 'x')).rejects.toMatchObject({ code: 'MERGE_UNDONE' });
  });

  it('HN-13 a record without a region lies where its subject lies, and follows the registration', async () => {
    await put(penalty('a', '罚款'), penalty('b', '警告', { region: '431200' }));
    const regions = () => rows<{ region: string }>('select region from record order by source_key');
    expect((await regions()).map((r) => r.region)).toEqual(['430100', '431200']);
    const registration = recordOf('r', A, {
      category: 1,
      kind: 'market-registration',
      subject: { ...recordOf('r', A).subject, region: '430102' },
      fields: { registeredName: '长沙康宁医院' },
    });
    await put(registration);
    expect((await regions()).map((r) => r.region)).toEqual(['430102', '431200', '430102']);
    await put(penalty('c', '罚款', { subject: { ...recordOf('c', A).subject, region: '430300' } }));
    expect((await regions()).map((r) => r.region)).toEqual(['430102', '431200', '430102', '430102']);
    expect(await rows(`select open->>'name' as name from subject`)).toEqual([{ name: '机构' + A.slice(-4) }]);
  });

  it('HN-5 U25 the number of a person is readable nowhere in the database', async () => {
    const number = withCitizenCheck('43010219900101001');
    const person = recordOf(number, A, {
      keyIsPersonal: true,
      subject: { kind: 'person', name: '张三丰', region: null, roles: [], identifiers: [{ scheme: 'citizen-id', code: number }] },
      fields: { legalRepresentativeIdNumber: number, decisionNumber: 'x' },
    });
    const issue: NewIssue = { rule: 'bad-date', at: 'row 2', place: 'D', reason: '日期', refused: true, raw: { number } };
    await applyOne(store, STREAM, pageOf([person], { issues: [issue] }));
    expect(await rows('select from record')).toHaveLength(1);
    const columns = await rows<{ name: string }>(
      `select format('%I.%I', table_schema, table_name) as name from information_schema.tables
       where table_schema not in ('pg_catalog', 'information_schema') and table_type = 'BASE TABLE'`,
    );
    for (const { name } of columns) {
      const found = await store.pool.query(`select from ${name} t where position($1 in t::text) > 0 or position($2 in t::text) > 0`, [
        number,
        Buffer.from(number).toString('hex'),
      ]);
      expect([name, found.rowCount]).toEqual([name, 0]);
    }
    expect(columns.length).toBeGreaterThan(10);
  });

  it('HN-13 what two pages tell of one subject at the same moment is all kept', async () => {
    await put(penalty('a', '罚款'));
    const other = pullStreamOf('credit-china/licences');
    const registration = recordOf('r', A, {
      category: 1,
      kind: 'market-registration',
      subject: { ...recordOf('r', A).subject, name: '登记名称', region: '430103', roles: ['insured-employer'] },
      fields: { registeredName: '登记名称' },
    });
    const told = recordOf('p', A, { subject: { ...recordOf('p', A).subject, name: '别名', roles: ['designated-medical-institution'] } });
    let second: Promise<unknown> = Promise.resolve();
    await inRun(store, STREAM, async (run) => {
      // A trigger holds the first page open while the second one comes to the same subject.
      await store.pool.query(
        `create function slowly() returns trigger language plpgsql as $$ begin perform pg_sleep(0.4); return new; end $$`,
      );
      await store.pool.query(
        `create trigger slowly after update on subject for each row when (new.named_by_registration) execute function slowly()`,
      );
      const first = apply(store, STREAM, run, pageOf([registration]));
      while ((await rows(`select from pg_stat_activity where wait_event = 'PgSleep' and datname = current_database()`)).length === 0);
      second = applyOne(store, other, pageOf([told]));
      await Promise.all([first, second]);
      await store.pool.query('drop trigger slowly on subject');
      await store.pool.query('drop function slowly()');
    });
    expect(await rows(`select open->>'name' as name, region, roles, named_by_registration as named from subject`)).toEqual([
      { name: '登记名称', region: '430103', roles: ['designated-medical-institution', 'insured-employer'], named: true },
    ]);
    expect(await rows('select distinct region from record')).toEqual([{ region: '430103' }]);
  });

  it('P5 two pages that make the same new subjects at once both succeed, twenty times over', async () => {
    const other = pullStreamOf('credit-china/licences');
    for (let round = 0; round < 20; round += 1) {
      const organisations = Array.from({ length: 8 }, (_, i) => usccFor('91430100', `MB${String(round * 10 + i).padStart(6, '0')}`));
      const page = (prefix: string, of: string[]) => pageOf(of.map((code) => recordOf(`${prefix}${code}`, code)));
      const results = await Promise.all([
        applyOne(store, STREAM, page('p', organisations)),
        applyOne(store, other, page('l', organisations.toReversed())),
      ]);
      expect(results.map((r) => r.stored)).toEqual([8, 8]);
    }
    expect(await rows('select from subject s where exists (select from record r where r.subject_id = s.id)')).toHaveLength(160);
    expect(await rows('select from subject')).toHaveLength(160);
    expect(await rows('select from record')).toHaveLength(320);
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
    const receivers = [...MODEL.connectors.values()].flatMap((c) => [...c.streams.values()].filter((s) => s.direction === 'push')).length;
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
    await store.pool.query(`select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and classid = 7301002`);
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
