/** Leak catalogue (reliability §5) L27–L30, L36, L46: what changes data, and what tells that data changed, tells nothing of what the caller may not see. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { getNamedType, isInterfaceType, isObjectType } from 'graphql';
import { usccFor } from '../src/identity/uscc.ts';
import { findStream } from '../src/model/load.ts';
import type { PullStream } from '../src/model/types.ts';
import { buildGraph } from '../src/resolvers/schema.ts';
import { concealId } from '../src/store/opaque.ts';
import { storeRecords } from '../src/store/records.ts';
import { HENGYANG, record } from './fixtures/credit-records.ts';
import { type Answer, type Asking, openHub, type TestHub, TODAY } from './setup/hub.ts';
import { bare, BUREAU, membersOf, TAX } from './setup/leaks.ts';

let hub: TestHub;
beforeAll(async () => {
  hub = await openHub();
});
afterAll(() => hub.close());

const ENTRY = {
  category: 'HONOUR',
  kind: 'honour',
  subjectKind: 'ORGANISATION',
  code: usccFor('91430104', 'MA900011'),
  name: '录入示例医院',
  region: '430104',
  occurredOn: '2026-05-01',
  basis: '表彰决定',
  route: 'supervision',
  declared: true,
  fields: [
    { name: 'honourName', value: '先进单位' },
    { name: 'authority', value: '长沙市人民政府' },
    { name: 'authorityLevel', value: 'prefecture' },
    { name: 'awardedOn', value: '2026-05-01' },
  ],
};
async function act(person: string, role: string, region: string, query: string, variables: Record<string, unknown>): Promise<Answer> {
  const authorization = `Bearer ${await hub.token({ id: person, name: `人员${person}`, department: 'medical-insurance', role, region })}`;
  return hub.ask(query, { authorization, purpose: 'credit-evaluation', variables });
}
const enter = (entry: Record<string, unknown>, region = '430100') =>
  act('ms-1', 'entry-officer', region, 'mutation ($entry: RecordEntry!) { enterRecord(entry: $entry) { id state enteredBy reviewedBy } }', {
    entry,
  });
const review = (id: string, region: string) =>
  act('ms-2', 'reviewer', region, 'mutation ($id: ID!) { reviewRecord(id: $id, approve: true) { state } }', { id });

describe('a change', () => {
  it('L27 answers with the change and with no credit information: none can be reached from what it returns', () => {
    const schema = buildGraph(hub.model);
    const catalog = new Set([
      'Subject',
      'CreditRecord',
      ...[...hub.model.subjects.values(), ...hub.model.categories.values()].map((type) => type.type),
    ]);
    const reached = new Set<string>();
    const enterType = (name: string): void => {
      if (reached.has(name)) return;
      reached.add(name);
      const type = schema.getType(name);
      if (isObjectType(type) || isInterfaceType(type))
        for (const field of Object.values(type.getFields())) enterType(getNamedType(field.type).name);
    };
    for (const field of Object.values(schema.getMutationType()?.getFields() ?? {})) enterType(getNamedType(field.type).name);
    expect(reached.size).toBeGreaterThan(5);
    expect([...reached].filter((name) => catalog.has(name))).toEqual([]);
  });

  it('L28 is refused alike for what is hidden and for what is not there: entries of another region, and samples of one', async () => {
    const { data } = await enter(ENTRY);
    const id: string = data.enterRecord.id;
    const [hidden, none] = await Promise.all([review(id, '430400'), review(concealId(hub.keys, 'submission', 999_999), '430400')]);
    expect(hidden.codes).toEqual(['SUBMISSION_NOT_FOUND']);
    expect(bare(hidden)).toBe(bare(none));
    const { rows } = await hub.pool.query<{ id: number }>(
      `select r.id from record r join subject s on s.id = r.subject_id where s.open->>'name' = $1 limit 1`,
      [HENGYANG.name],
    );
    const check = (record: number) =>
      act('ms-5', 'data-steward', '430100', 'mutation ($id: ID!) { noteSpotCheck(id: $id, passed: true) }', {
        id: concealId(hub.keys, 'record', record),
      });
    expect(bare(await check(rows[0]?.id ?? 0))).toBe(bare(await check(999_999)));
  });

  it('L28 has ids that tell nothing of how much other offices enter', async () => {
    const ids = await Promise.all(
      [1, 2].map(async (n) => (await enter({ ...ENTRY, code: usccFor('91430104', `MA90002${n}`) })).data.enterRecord.id as string),
    );
    for (const id of ids) expect(id).toMatch(/^[\w-]{22}$/);
    expect((await review('1', '430100')).codes).toEqual(['SUBMISSION_NOT_FOUND']);
  });

  it('L29 takes no field beside those of its input, and none that is the hub to say', async () => {
    for (const more of [{ state: 'approved' }, { reviewedBy: 'x' }, { enteredBy: 'x' }, { level: 'A' }, { recordId: '1' }])
      expect((await enter({ ...ENTRY, ...more })).codes).toEqual(['BAD_USER_INPUT']);
    for (const name of ['version', 'deleted', 'publicity', 'subject_id', 'fact'])
      expect((await enter({ ...ENTRY, fields: [...ENTRY.fields, { name, value: 'x' }] })).codes).toEqual(['ENTRY_REFUSED']);
    const { data } = await enter({ ...ENTRY, code: usccFor('91430104', 'MA900031') });
    expect(data.enterRecord).toMatchObject({ state: 'entered', enteredBy: '人员ms-1', reviewedBy: null });
  });

  it('L30 is checked where it comes from and where it goes to: nobody enters into another region, nor approves out of one', async () => {
    expect((await enter({ ...ENTRY, region: '430405' })).codes).toEqual(['REGION_DENIED']);
    const { data } = await enter({ ...ENTRY, code: usccFor('91430104', 'MA900041') });
    expect((await review(data.enterRecord.id as string, '430400')).codes).toEqual(['SUBMISSION_NOT_FOUND']);
    expect((await review(data.enterRecord.id as string, '430100')).codes).toEqual([]);
  });
});

describe('what tells of changes', () => {
  const told = (key: string, version: string, fields: Record<string, string | number>) => ({
    ...record(HENGYANG, 1, 'employer-contribution', '2026-04-01', {
      insuranceType: '310',
      period: '202604',
      paymentStatus: '已缴',
      registeredName: HENGYANG.name,
      ...fields,
    }),
    key: JSON.stringify([key]),
    version,
  });
  async function arrive(key: string, day: string, fields: Record<string, string | number>): Promise<void> {
    const stream = findStream(hub.model, 'credit-china/penalties') as PullStream;
    await hub.pool.transaction((sql) =>
      storeRecords(sql, hub.keys, hub.model, stream, [told(key, `${day}T00:00:00Z`, fields)], { id: 0, today: TODAY }),
    );
    await hub.pool.query(`update record_version set recorded_at = source_version::timestamptz where source_version like '2026-%'`);
  }
  const history = async (asking: Asking) =>
    (
      await hub.ask(
        `{ records(where: { kind: "employer-contribution", from: "2026-04-01" }) { nodes { version recordedAt changedAt source { version } } } }`,
        asking,
      )
    ).data.records.nodes[0];

  it('L36 counts the changes that the caller may see: a hidden one moves no version and no instant', async () => {
    await arrive('seen', '2026-05-01', { employerAmount: 100 });
    const before = await history(TAX);
    await arrive('seen', '2026-06-01', { employerAmount: 900 });
    expect(await history(TAX)).toEqual(before);
    expect(before).toEqual({
      version: 1,
      recordedAt: '2026-05-01T00:00:00.000Z',
      changedAt: '2026-05-01T00:00:00.000Z',
      source: { version: '2026-05-01T00:00:00Z' },
    });
    expect(await history(BUREAU)).toMatchObject({
      version: 2,
      changedAt: '2026-06-01T00:00:00.000Z',
      source: { version: '2026-06-01T00:00:00Z' },
    });
    await arrive('seen', '2026-07-01', { employerAmount: 900, registeredName: '衡阳云雀医院（新）' });
    expect(await history(TAX)).toMatchObject({ version: 2, changedAt: '2026-07-01T00:00:00.000Z' });
    expect(await history(BUREAU)).toMatchObject({ version: 3 });
  });

  it('L46 is the grant as of any day: the past shows no field and no row that the present hides', async () => {
    for (const day of ['2026-05-15', '2026-06-15', '2026-11-01']) {
      const answer = await hub.ask(
        `{ records(where: { kind: "employer-contribution" }, asOf: { day: "${day}", knownOn: "${day}" }) { nodes { ... on RegistrationRecord { employerAmount insuranceType registeredName } } }
           other: records(where: { categories: [HONOUR, VIOLATION] }, asOf: { day: "${day}" }) { nodes { id } } }`,
        TAX,
      );
      expect(answer.data.other.nodes).toEqual([]);
      for (const node of answer.data.records.nodes) expect(node).toMatchObject({ employerAmount: null, insuranceType: null });
      const filtered = await hub.ask(
        `{ records(asOf: { day: "${day}" }, where: { registration: { insuranceType: { eq: "310" } } }) { nodes { id } } }`,
        TAX,
      );
      expect(filtered.codes).toEqual(['FILTER_DENIED']);
    }
  });

  it('L46 there are no fields of the database beside those of the catalog: who wrote a row, whether it was deleted, its raw form', () => {
    const catalog = new Set(
      [...hub.model.subjects.values(), ...hub.model.categories.values()].flatMap((type) =>
        [...type.fields.keys()].map((field) => `${type.type}.${field}`),
      ),
    );
    const own = membersOf(buildGraph(hub.model)).filter(
      (member) => /^(Subject|CreditRecord|Organisation|Person|\w+Record)\./.test(member) && !catalog.has(member),
    );
    const names = new Set(own.map((member) => member.split('.')[1] ?? ''));
    expect([...names].sort()).toEqual(
      [
        'archive',
        'category',
        'changedAt',
        'contradictions',
        'disputed',
        'id',
        'kind',
        'mark',
        'name',
        'occurredOn',
        'preferred',
        'publicity',
        'recordedAt',
        'records',
        'region',
        'relations',
        'roles',
        'sameFact',
        'source',
        'subject',
        'validFrom',
        'validTo',
        'version',
        // Why values of an erased person are not there: the reason, not the values.
        'withheld',
      ].sort(),
    );
  });
});
