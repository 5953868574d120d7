import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { withCitizenCheck } from '../src/identity/citizen.ts';
import { usccFor } from '../src/identity/uscc.ts';
import type { MappedRecord } from '../src/mapping/record.ts';
import type { NewIssue } from '../src/store/issues.ts';
import { undoMerge } from '../src/store/merge.ts';
import { applyOne, during, MODEL, openStore, pageOf, pullStreamOf, recordOf, type Store } from './setup/store.ts';

const STREAM = pullStreamOf('credit-china/penalties');
const OTHER = pullStreamOf('credit-china/licences');
const A = usccFor('91430100', 'MA4L0001');
const B = usccFor('91430200', 'MA4L0002');
const C = usccFor('91430300', 'MA4L0003');

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
    const registration = recordOf('r', A, {
      category: 1,
      kind: 'market-registration',
      subject: { ...recordOf('r', A).subject, name: '登记名称', region: '430103', roles: ['insured-employer'] },
      fields: { registeredName: '登记名称' },
    });
    const told = recordOf('p', A, { subject: { ...recordOf('p', A).subject, name: '别名', roles: ['designated-medical-institution'] } });
    await during(
      store,
      'update on subject for each row when (new.named_by_registration)',
      () => put(registration),
      () => applyOne(store, OTHER, pageOf([told])),
    );
    expect(await rows(`select open->>'name' as name, region, roles, named_by_registration as named from subject`)).toEqual([
      { name: '登记名称', region: '430103', roles: ['designated-medical-institution', 'insured-employer'], named: true },
    ]);
    expect(await rows('select distinct region from record')).toEqual([{ region: '430103' }]);
  });

  it.each([
    ['while another page writes to one of them', "insert on record for each row when (new.open->>'decisionNumber' = 'd')", false],
    ['before another page writes to one of them', 'insert on subject_merge for each row', true],
  ])('HN-13 subjects that become one %s leave no record behind', async (_, event, mergerFirst) => {
    const institutionCode: [string, string] = ['institution-code', 'H43010000001'];
    await put(institution('a', codes(institutionCode)), institution('b', codes(['uscc', A])));
    const merger = () => put(institution('c', codes(['uscc', A], institutionCode)));
    const writer = () => applyOne(store, OTHER, pageOf([institution('d', codes(institutionCode))]));
    await (mergerFirst ? during(store, event, merger, writer) : during(store, event, writer, merger));
    expect(await rows('select from record')).toHaveLength(4);
    expect(await rows('select distinct s.merged_into from record r join subject s on s.id = r.subject_id')).toEqual([
      { merged_into: null },
    ]);
    expect(await rows('select distinct subject_id from record')).toHaveLength(1);
  });

  it('P5 two pages that make the same new subjects at once both succeed, twenty times over', async () => {
    for (let round = 0; round < 20; round += 1) {
      const organisations = Array.from({ length: 8 }, (_, i) => usccFor('91430100', `MB${String(round * 10 + i).padStart(6, '0')}`));
      const page = (prefix: string, of: string[]) => pageOf(of.map((code) => recordOf(`${prefix}${code}`, code)));
      const results = await Promise.all([
        applyOne(store, STREAM, page('p', organisations)),
        applyOne(store, OTHER, page('l', organisations.toReversed())),
      ]);
      expect(results.map((r) => r.stored)).toEqual([8, 8]);
    }
    expect(await rows('select from subject s where exists (select from record r where r.subject_id = s.id)')).toHaveLength(160);
    expect(await rows('select from subject')).toHaveLength(160);
    expect(await rows('select from record')).toHaveLength(320);
  });
});
