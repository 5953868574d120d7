import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { usccFor } from '../src/identity/uscc.ts';
import { compileMapping } from '../src/mapping/compile.ts';
import { replayIssue } from '../src/store/issue-work.ts';
import { storeIssues } from '../src/store/issues.ts';
import { applyOne, during, MODEL, openStore, pageOf, pullStreamOf, recordOf, type Store, TODAY } from './setup/store.ts';

const STREAM = pullStreamOf('hunan-credit/abnormal-operations');
const OTHER = pullStreamOf('credit-china/penalties');
const CODE = usccFor('91430104', 'MA900004');
const RAW = {
  XXBH: 'GX-1',
  ZTMC: '重放示例医院',
  TYSHXYDM: CODE,
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
const NEWER = { ...RAW, LRYY: '通过登记的住所无法联系', GXSJ: '2026-01-07 00:00:00' };
const MAPPING = compileMapping(MODEL, STREAM);

let store: Store;
beforeAll(async () => {
  store = await openStore();
});
afterAll(() => store.drop());
beforeEach(() =>
  store.pool.query('truncate subject, subject_identifier, subject_code, record, record_version, stream_state, run, issue, outbox cascade'),
);

const page = (raw: Record<string, string>) => applyOne(store, STREAM, pageOf([MAPPING.map(raw, TODAY)]));
async function rows<R>(text: string): Promise<R[]> {
  return (await store.pool.query<R>(text)).rows;
}

/** An issue with the raw record, which the mapping takes. */
async function refused(): Promise<number> {
  const issue = { rule: 'bad-date', at: '1', place: 'LRRQ', reason: '日期无效', refused: true, raw: RAW };
  await store.pool.transaction((sql) => storeIssues(sql, store.keys, STREAM, 1, [issue]));
  return (await rows<{ id: number }>('select id from issue'))[0]?.id ?? 0;
}
const replay = (id: number) => replayIssue(store.pool, store.keys, MODEL, 'ms-1', id, TODAY);

describe('WG-9 a refused record is tried again while its stream is read', () => {
  const insert = `insert on record for each row when (new.stream = 'abnormal-operations')`;

  it.each([
    ['the page first', true],
    ['the replay first', false],
  ])('WG-9 P5 and the same record comes in a newer version, %s: the newer one stands, the older one is history', async (_, pageFirst) => {
    const id = await refused();
    // Its subject is known, so that nothing but the record itself can tell that somebody else is writing it.
    await applyOne(store, OTHER, pageOf([recordOf('p', CODE)]));
    await (pageFirst
      ? during(
          store,
          insert,
          () => page(NEWER),
          () => replay(id),
        )
      : during(
          store,
          insert,
          () => replay(id),
          () => page(NEWER),
        ));
    expect(await rows(`select version, source_version from record where stream = 'abnormal-operations'`)).toEqual([
      { version: pageFirst ? 1 : 2, source_version: MAPPING.map(NEWER, TODAY).version },
    ]);
    expect(
      await rows(
        `select late from record_version where record_id = (select id from record where stream = 'abnormal-operations') order by version`,
      ),
    ).toEqual([{ late: false }, { late: pageFirst }]);
    expect(await rows('select state from issue')).toEqual([{ state: 'fixed' }]);
  });

  it('WG-9 P5 and the page refuses the same raw record again: neither waits for the other for ever', async () => {
    const id = await refused();
    const again = { rule: 'bad-date', at: '2', place: 'LRRQ', reason: '日期无效', refused: true, raw: RAW };
    const other = MAPPING.map({ ...RAW, XXBH: 'GX-2' }, TODAY);
    await during(
      store,
      insert,
      () => applyOne(store, STREAM, pageOf([other], { issues: [again] })),
      () => replay(id),
    );
    expect(await rows('select state, seen from issue')).toEqual([{ state: 'fixed', seen: 2 }]);
    expect(await rows('select from record')).toHaveLength(2);
  });

  it('HN-13 and a page of another stream makes the same subject: one subject, and the replay is done', async () => {
    const id = await refused();
    const makes = `insert on record for each row when (new.stream = 'penalties')`;
    await during(
      store,
      makes,
      () => applyOne(store, OTHER, pageOf([recordOf('p', CODE)])),
      () => replay(id),
    );
    expect(await rows('select distinct subject_id from record')).toHaveLength(1);
    expect(await rows('select from record')).toHaveLength(2);
    expect(await rows('select state from issue')).toEqual([{ state: 'fixed' }]);
  });
});
