/** Code tables of the platforms: kept as they are now, compared with the hub's code sets, readable by every caller with a purpose. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { runPull } from '../src/jobs/pull.ts';
import type { DictionaryValue } from '../src/mapping/dictionary.ts';
import { findStream } from '../src/model/load.ts';
import type { DictionaryStream, Model } from '../src/model/types.ts';
import { generate } from '../src/sandbox/generate.ts';
import { listDictionary, noteUnknownValues, storeDictionary } from '../src/store/dictionary.ts';
import { openHub as openApi, type TestHub as Api } from './setup/hub.ts';
import { openHub, type TestHub } from './setup/platforms.ts';
import { MODEL, openStore, type Store } from './setup/store.ts';

function streamOf(id: string): DictionaryStream {
  const stream = findStream(MODEL, `national-insurance/${id}`);
  if (stream?.direction !== 'dictionary') throw new Error(`${id} is no code table`);
  return stream;
}

const value = (changes: Partial<DictionaryValue> = {}): DictionaryValue => ({
  type: 'HOSP_LV',
  code: '01',
  name: '三级特等',
  parent: null,
  region: '',
  valid: true,
  validFrom: null,
  validTo: null,
  version: null,
  ...changes,
});

describe('a code table', () => {
  let store: Store;
  beforeAll(async () => {
    store = await openStore();
  });
  afterAll(() => store.drop());
  const put = (source: string, ...values: DictionaryValue[]) => storeDictionary(store.pool, source, values);
  const names = async (type: string) => (await listDictionary(store.pool, type, { first: 99, after: undefined })).map((row) => row.name);

  it('P5 takes a value once, a change of it as a change, and counts the rest as unchanged', async () => {
    expect(await put('a', value(), value({ code: '02', name: '三甲' }), value())).toEqual({ stored: 2, unchanged: 1 });
    expect(await put('a', value(), value({ code: '02', name: '三级甲等' }))).toEqual({ stored: 1, unchanged: 1 });
    expect(await put('a')).toEqual({ stored: 0, unchanged: 0 });
    expect(await names('HOSP_LV')).toEqual(['三级特等', '三级甲等']);
  });

  it('P5 never lets an older version overwrite a newer one, within a page or between pages', async () => {
    const of = (version: string, name: string) => value({ type: 'T', version, name });
    await put('a', of('2', '新'), of('1', '旧'));
    expect(await names('T')).toEqual(['新']);
    expect(await put('a', of('1', '旧'))).toEqual({ stored: 0, unchanged: 1 });
    expect(await put('a', of('3', '更新'))).toEqual({ stored: 1, unchanged: 0 });
    expect(await names('T')).toEqual(['更新']);
  });

  it('keeps what each source and each region tells apart', async () => {
    await put('a', value({ type: 'R' }), value({ type: 'R', region: '430199' }));
    await put('b', value({ type: 'R' }));
    expect(await names('R')).toHaveLength(3);
  });
});

describe('the dictionaries of the national platform', () => {
  const data = generate({ seed: 11, organisations: 40, persons: 120 });
  let hub: TestHub;
  beforeAll(async () => {
    hub = await openHub({ data });
  });
  afterAll(() => hub.close());
  const run = (id: string) => runPull(hub.jobs, streamOf(id), { trigger: 'manual' });
  const notes = async () =>
    (
      await hub.pool.query<Record<string, unknown>>(
        `select connector, stream, place, refused, seen from issue where rule = 'unknown-code-value' order by id`,
      )
    ).rows;

  it('HN-16 are stored from the tables, from 1901 and from the file of 1301, and a second run stores nothing', async () => {
    for (const id of ['dictionary-types', 'dictionaries', 'place-dictionaries', 'dictionary-query', 'drug-catalogue']) {
      const { in: taken, stored } = data.expected[`national-insurance/${id}`] ?? {};
      expect([id, (await run(id))?.counts]).toEqual([id, expect.objectContaining({ in: taken, stored, issues: 0 })]);
      expect([id, (await run(id))?.counts.stored]).toEqual([id, 0]);
    }
    const [drug] = await listDictionary(hub.pool, 'MED_LIST_1301', { first: 1, after: undefined });
    // The trade name is blank: the generic one is taken.
    expect(drug).toMatchObject({ source: 'national-insurance/drug-catalogue', name: '晨露片', parent: 'T00001', valid: true });
  });

  it('P11 a value that the code set lacks is noted on the day it appears, once, whoever tells it and however often', async () => {
    const told = { connector: 'national-insurance', stream: 'dictionaries', place: 'CRED_LV=5', refused: false, seen: 1 };
    expect(await notes()).toEqual([told]);
    for (const id of ['dictionaries', 'dictionary-query']) await run(id);
    expect(await notes()).toEqual([told]);
  });

  it('P11 a value that no longer holds is not noted', async () => {
    const gone = value({ type: 'INSUTYPE', code: '777', valid: false });
    await storeDictionary(hub.pool, 'national-insurance/dictionaries', [gone]);
    expect(await noteUnknownValues(hub.pool, hub.jobs.keys, MODEL, streamOf('dictionaries'), 1)).toBe(0);
    await storeDictionary(hub.pool, 'national-insurance/dictionaries', [{ ...gone, valid: true }]);
    expect(await noteUnknownValues(hub.pool, hub.jobs.keys, MODEL, streamOf('dictionaries'), 1)).toBe(1);
  });

  it('HN-20 the levels that the hub translates are those of its code set', () => {
    const stream = findStream(MODEL, 'national-insurance/credit-grades');
    const grade = stream?.direction === 'pull' ? stream.mapping.fields.get('grade') : undefined;
    expect([...(grade?.lookup?.keys() ?? [])]).toEqual([...(MODEL.codes.get('credit-levels')?.values.keys() ?? [])]);
  });

  it('P11 code sets that follow a dictionary follow one that the platform has', () => {
    const followed = (model: Model) => [...model.codes.values()].flatMap((set) => set.dictionary ?? []);
    expect(followed(MODEL).toSorted()).toEqual(
      [
        'CRED_LV',
        'FIXMEDINS_TYPE',
        'FIX_ONLN_OPEN_FLAG',
        'HOSP_LV',
        'INSUTYPE',
        'PRAC_PSN_TYPE',
        'PSN_CERT_TYPE',
        'PSN_INSU_STAS',
        'PSN_TYPE',
      ].toSorted(),
    );
  });
});

describe('the graph', () => {
  let api: Api;
  beforeAll(async () => {
    api = await openApi({ seed: false });
    const levels = Array.from({ length: 3 }, (_, i) => value({ code: `0${i + 1}`, name: `等级${i + 1}`, region: i === 2 ? '430199' : '' }));
    await storeDictionary(api.pool, 'national-insurance/dictionaries', levels);
  });
  afterAll(() => api.close());
  const QUERY =
    'query D($first: Int!, $after: ID) { dictionary(type: "HOSP_LV", first: $first, after: $after) { id code name region source valid } }';

  it('HN-23.2 gives the values page by page to any department that states a purpose, and logs it', async () => {
    const { result, added } = await api.logged(() =>
      api.ask(QUERY, { department: 'tax', purpose: 'credit-evaluation', variables: { first: 2 } }),
    );
    expect(result.codes).toEqual([]);
    expect(result.data.dictionary).toMatchObject([
      { code: '01', name: '等级1', region: null, source: 'national-insurance/dictionaries', valid: true },
      { code: '02' },
    ]);
    expect(added).toHaveLength(1);
    const rest = await api.ask(QUERY, { variables: { first: 2, after: result.data.dictionary[1].id } });
    expect(rest.data.dictionary).toMatchObject([{ code: '03', region: '430199' }]);
  });

  it('HN-23.2 gives nothing without a purpose, and no page larger than others', async () => {
    expect((await api.ask(QUERY, { purpose: null, variables: { first: 2 } })).codes).toEqual(['PURPOSE_REQUIRED']);
    expect((await api.ask(QUERY, { variables: { first: 201 } })).codes).toEqual(['BAD_PAGE_SIZE']);
  });
});
