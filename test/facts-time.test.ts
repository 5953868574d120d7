import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { MappedRecord } from '../src/mapping/record.ts';
import { findStream } from '../src/model/streams.ts';
import type { PullStream } from '../src/model/types.ts';
import { storeRecords } from '../src/store/records.ts';
import { HENGYANG, record } from './fixtures/credit-records.ts';
import { openHub, TODAY, type TestHub } from './setup/hub.ts';

let hub: TestHub;
beforeAll(async () => {
  hub = await openHub({ seed: false });
});
afterAll(() => hub.close());

const code = HENGYANG.identifiers[0].code;
const penalty = (fields: Record<string, string | number>, over: Partial<MappedRecord> = {}): MappedRecord => ({
  ...record(HENGYANG, 3, 'penalty', '2025-06-10', {
    decisionNumber: '衡医保罚〔2025〕1号',
    content: '罚款',
    decidedOn: '2025-06-10',
    authority: '衡阳市医疗保障局',
    ...fields,
  }),
  ...over,
});

/** Stores one record of a stream as if it had come on a day. */
async function arrive(stream: string, mapped: MappedRecord, day?: string): Promise<void> {
  const result = await hub.pool.transaction((sql) =>
    storeRecords(sql, hub.keys, hub.model, findStream(hub.model, stream) as PullStream, [mapped], { id: 0, today: TODAY }),
  );
  const [changed] = result.changed;
  if (day === undefined || changed === undefined) return;
  await hub.pool.query('update record_version set recorded_at = $3 where record_id = $1 and version = $2', [
    changed.recordId,
    changed.version,
    `${day}T04:00:00Z`,
  ]);
}

async function records(args: string, fields: string): Promise<Record<string, unknown>[]> {
  const query = `query R($code: String!) { subject(code: $code) { records${args} { nodes { ${fields} } } } }`;
  const answer = await hub.ask(query, { department: 'health', purpose: 'credit-evaluation', variables: { code } });
  expect(answer.errors).toEqual([]);
  return answer.data.subject.records.nodes as Record<string, unknown>[];
}

describe('U11 the archive of a day as known on a day', () => {
  it('U11 a correction that arrives late gives two answers for two days of knowledge', async () => {
    await arrive('credit-china/penalties', penalty({ fineAmount: 100 }, { key: '["a"]', version: '2025-06-11T00:00:00Z' }), '2025-06-20');
    await arrive('credit-china/penalties', penalty({ fineAmount: 900 }, { key: '["a"]', version: '2025-07-05T00:00:00Z' }), '2025-07-10');
    const fine = '... on AdministrationRecord { fineAmount }';
    expect(await records('(asOf: {day: "2025-06-30", knownOn: "2025-07-02"})', fine)).toEqual([{ fineAmount: 100 }]);
    expect(await records('(asOf: {day: "2025-06-30", knownOn: "2025-07-10"})', fine)).toEqual([{ fineAmount: 900 }]);
    expect(await records('(asOf: {day: "2025-06-30", knownOn: "2025-06-19"})', fine)).toEqual([]);
    expect(await records('(asOf: {day: "2025-06-09"})', fine)).toEqual([]);
    expect(await records('', fine)).toEqual([{ fineAmount: 900 }]);
  });

  it('U11 what no longer held on the day is not in the archive of the day, and the counts agree', async () => {
    await arrive(
      'credit-china/licences',
      penalty({}, { kind: 'licence', key: '["b"]', validFrom: '2024-01-01', validTo: '2024-12-31', occurredOn: null }),
      '2024-01-02',
    );
    const query = `query A($code: String!, $day: Day!) { subject(code: $code) { archive(categories: [ADMINISTRATION], asOf: {day: $day}) { count records { nodes { kind } } } } }`;
    const on = async (day: string) => (await hub.ask(query, { variables: { code, day } })).data.subject.archive[0] as unknown;
    expect(await on('2024-12-31')).toEqual({ count: 1, records: { nodes: [{ kind: 'licence' }] } });
    expect(await on('2025-01-01')).toEqual({ count: 0, records: { nodes: [] } });
    expect(await on('2025-06-10')).toEqual({ count: 1, records: { nodes: [{ kind: 'penalty' }] } });
  });

  it('U11 a deletion at the source is a version: the record is gone now and still there as of before', async () => {
    await arrive(
      'credit-china/licences',
      penalty({}, { kind: 'licence', key: '["c"]', version: '1', occurredOn: '2023-05-01' }),
      '2023-05-02',
    );
    await arrive(
      'credit-china/licences',
      penalty({}, { kind: 'licence', key: '["c"]', version: '2', occurredOn: '2023-05-01', deleted: true }),
      '2023-08-01',
    );
    const kinds = async (knownOn: string) => (await records(`(asOf: {day: "2023-06-01", knownOn: "${knownOn}"})`, 'kind')).length;
    expect([await kinds('2023-07-31'), await kinds('2023-08-01')]).toEqual([1, 0]);
  });
});

describe('U11 the same fact on a day as known on a day', () => {
  const A = 'credit-china/penalties';
  const B = 'hunan-credit/violations';
  const both = { occurredOn: '2022-03-01' };
  const number = (n: number) => ({ decisionNumber: `衡市监罚〔2022〕${n}号`, authority: '衡阳市市场监督管理局' });
  const TOLD =
    'preferred sameFact { version source { stream } ... on AdministrationRecord { fineAmount } } contradictions { field } source { stream }';
  const asOf = async (knownOn: string) =>
    (await records(`(where: {from: "2022-03-01", to: "2022-03-01"}, asOf: {day: "2022-12-31", knownOn: "${knownOn}"})`, TOLD)).toSorted(
      (a, b) => JSON.stringify(a['source']).localeCompare(JSON.stringify(b['source'])),
    );
  const told = (stream: string, fineAmount: number, version = 1) => ({ version, source: { stream }, fineAmount });

  it('U11 what other sources told, whom to believe and where they differ is read as it was known, not as it is', async () => {
    await arrive(A, penalty({ ...number(1), fineAmount: 100 }, { ...both, key: '["f"]', version: '1' }), '2022-03-02');
    await arrive(B, penalty({ ...number(1), fineAmount: 100 }, { ...both, key: '["g"]', version: '1' }), '2022-04-02');
    await arrive(B, penalty({ ...number(1), fineAmount: 300 }, { ...both, key: '["g"]', version: '2' }), '2022-05-02');
    await arrive(B, penalty({ ...number(2), fineAmount: 300 }, { ...both, key: '["g"]', version: '3' }), '2022-06-02');
    const [a, b] = [{ stream: 'penalties' }, { stream: 'violations' }];
    expect(await asOf('2022-04-01')).toEqual([{ preferred: true, sameFact: [], contradictions: [], source: a }]);
    expect(await asOf('2022-04-30')).toEqual([
      { preferred: expect.any(Boolean), sameFact: [told('violations', 100)], contradictions: [], source: a },
      { preferred: expect.any(Boolean), sameFact: [told('penalties', 100)], contradictions: [], source: b },
    ]);
    const differing = await asOf('2022-05-02');
    expect(differing).toMatchObject([
      { sameFact: [told('violations', 300, 2)], contradictions: [{ field: 'fineAmount' }] },
      { sameFact: [told('penalties', 100)], contradictions: [{ field: 'fineAmount' }] },
    ]);
    expect(differing.filter((one) => one['preferred'] === true)).toHaveLength(1);
    const corrected = [a, b].map((source) => ({ preferred: true, sameFact: [], contradictions: [], source }));
    expect(await asOf('2022-06-02')).toEqual(corrected);
    expect((await records('(where: {from: "2022-03-01", to: "2022-03-01"})', TOLD)).map((one) => one['sameFact'])).toEqual([[], []]);
  });

  it('U11 a source that no longer told the fact on the day is none of those that tell it', async () => {
    const held = (key: string, to: string) =>
      penalty(number(3), { key, kind: 'licence', occurredOn: null, validFrom: '2021-01-01', validTo: to });
    await arrive('credit-china/licences', held('["h"]', '2021-12-31'), '2021-01-02');
    await arrive('credit-china/licences-legacy', held('["i"]', '2021-06-30'), '2021-01-02');
    const on = async (day: string) =>
      (await records(`(where: {kind: "licence", from: "2021-01-01", to: "2021-01-01"}, asOf: {day: "${day}"})`, 'sameFact { kind }')).map(
        (one) => one['sameFact'],
      );
    expect(await on('2021-06-30')).toEqual([[{ kind: 'licence' }], [{ kind: 'licence' }]]);
    expect(await on('2021-07-01')).toEqual([[]]);
  });
});

describe('HUB-2 records of several sources that tell the same fact', () => {
  it('HUB-2 are one fact; contradictions are shown and not resolved, and the preferred source is told', async () => {
    const number = { decisionNumber: '衡市监罚〔2026〕9号', authority: '衡阳市市场监督管理局' };
    const both = { occurredOn: '2026-02-01' };
    await arrive('credit-china/penalties', penalty({ ...number, fineAmount: 5000, content: '罚款五十元' }, { ...both, key: '["x"]' }));
    await arrive('hunan-credit/violations', penalty({ ...number, fineAmount: 7000, content: '罚款五十元' }, { ...both, key: '["y"]' }));
    const told = await records(
      '(where: {from: "2026-02-01", to: "2026-02-01"})',
      'id preferred sameFact { id } contradictions { field records } ... on AdministrationRecord { fineAmount content }',
    );
    expect(told).toHaveLength(2);
    const ids = told.map((r) => r['id']).toSorted();
    for (const one of told) {
      expect(one['sameFact']).toEqual(ids.filter((id) => id !== one['id']).map((id) => ({ id })));
      expect(one['contradictions']).toEqual([{ field: 'fineAmount', records: expect.arrayContaining(ids) }]);
    }
    expect(told.filter((r) => r['preferred'] === true)).toHaveLength(1);
  });

  it('HUB-4 a field that is not granted or not plain is never compared', async () => {
    const query = `query R($code: String!) { subject(code: $code) { records(where: {from: "2026-02-01", to: "2026-02-01"}) { nodes { sameFact { id } contradictions { field } ... on AdministrationRecord { facts } } } } }`;
    const answer = await hub.ask(query, { department: 'tax', purpose: 'fiscal-support', variables: { code } });
    expect(answer.codes).toEqual(['FIELD_DENIED']);
    for (const node of answer.data.subject.records.nodes) expect(node.contradictions).toEqual([]);
  });
});
