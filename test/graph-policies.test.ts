/** The policies of all departments over real rows: who finds whom, by which tie, and what must be stated. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { DOCTOR, HENGYANG, HOSPITAL, PATIENT, PHARMACY, record, SECRETS, ZHENGZHOU } from './fixtures/credit-records.ts';
import type { Asking, TestHub } from './setup/hub.ts';
import { openHub, TODAY } from './setup/hub.ts';
import { usccFor } from '../src/identity/uscc.ts';
import { findStream } from '../src/model/load.ts';
import type { PullStream } from '../src/model/types.ts';
import { storeRecords } from '../src/store/records.ts';

let hub: TestHub;
beforeAll(async () => {
  hub = await openHub();
  const stream = findStream(hub.model, 'credit-china/penalties') as PullStream;
  // A person on a public list, and the roles of HN-3 that the world's subjects have.
  const listed = {
    ...record(DOCTOR, 11, 'insurance-dishonesty-list', '2026-03-24', { listName: '失信主体名单', reason: '欺诈骗保' }),
    key: '["listed"]',
  };
  await hub.pool.transaction((sql) => storeRecords(sql, hub.keys, hub.model, stream, [listed], { id: 0, today: TODAY }));
  await roles('designated-medical-institution', HOSPITAL.name);
  await roles('designated-retail-pharmacy', PHARMACY.name);
  await roles('pharmacy-staff', PATIENT.name);
});
afterAll(() => hub.close());

async function roles(role: string, name: string): Promise<void> {
  await hub.pool.query(`update subject set roles = array[$1] where coalesce(open->>'name', personal->>'name') = $2`, [role, name]);
}
const codeOf = (of: { identifiers: readonly [{ code: string }, ...unknown[]] }): string => of.identifiers[0].code;
const names = async (asking: Asking, where = ''): Promise<string[]> => {
  const { data, errors } = await hub.ask(`{ subjects(first: 200 ${where}) { nodes { name } } }`, asking);
  expect(errors.filter((e) => e.extensions.code !== 'FIELD_DENIED')).toEqual([]);
  return data.subjects.nodes.map((node: { name: string }) => node.name);
};
const found = async (code: string, asking: Asking): Promise<unknown> =>
  (await hub.ask(`{ subject(code: "${code}") { name } }`, asking)).data?.subject?.name;

describe('what must be stated with a purpose', () => {
  it.each([
    ['administrative-inspection', { case: '' }, 400, 'PURPOSE_CASE_REQUIRED', 'ZM-3.2.2'],
    ['administrative-inspection', { case: '   ' }, 400, 'PURPOSE_CASE_REQUIRED', 'ZM-3.2.2'],
    ['case-investigation', { case: 'A1', basis: '' }, 400, 'PURPOSE_BASIS_REQUIRED', 'HN-30'],
    ['self-query', {}, 403, 'IDENTITY_PROOF_REQUIRED', 'HN-23.1'],
  ])('ZM-3.2.3 %s with %j is refused as a whole, and logged', async (purpose, stated, status, code, article) => {
    const { result, added } = await hub.logged(() => hub.ask(`{ subject(code: "${codeOf(HOSPITAL)}") { name } }`, { purpose, ...stated }));
    expect([result.status, result.codes, result.data]).toEqual([status, [code], undefined]);
    expect(result.errors[0]?.extensions).toMatchObject({ purpose, article });
    expect(added.map(({ entry }) => [entry.outcome, entry.code, entry.purpose.code])).toEqual([['refused', code, purpose]]);
  });

  it('U3 a department without a rule for the purpose is told for which purposes it has one', async () => {
    const answer = await hub.ask(`{ subject(code: "${codeOf(HOSPITAL)}") { name } }`, {
      department: 'human-resources',
      purpose: 'bidding',
    });
    expect(answer.errors[0]?.extensions).toMatchObject({
      code: 'NO_POLICY',
      article: 'HN-23.2',
      lift: ['administrative-inspection', 'performance-assessment', 'professional-title', 'social-security'],
      needs: ['consent'],
    });
  });
});

describe('the public', () => {
  const PUBLIC = { department: 'public', role: 'citizen', region: '', purpose: 'public-inquiry' };

  it('HN-4 finds organisations with public records everywhere, and of persons those whom a public list names', async () => {
    expect(await names(PUBLIC)).toEqual([HOSPITAL.name, PHARMACY.name, HENGYANG.name, ZHENGZHOU.name, DOCTOR.name]);
    expect(await names(PUBLIC, `where: { kind: PERSON, name: "${DOCTOR.name}" }`)).toEqual([DOCTOR.name]);
    expect(await names(PUBLIC, `where: { kind: PERSON, name: "${PATIENT.name}" }`)).toEqual([]);
    // To find by a number is to compare with it, and numbers of persons are not given.
    expect(await found(codeOf(DOCTOR), PUBLIC)).toBeUndefined();
  });

  it('HN-4 sees of a listed person the list and nothing else', async () => {
    const answer = await hub.ask(
      `{ subjects(where: { kind: PERSON }) { nodes { name ... on Person { idNumber practitionerCode } archive { no count } records { nodes { kind publicity } } } } }`,
      PUBLIC,
    );
    expect(answer.data.subjects.nodes[0]).toMatchObject({
      name: DOCTOR.name,
      idNumber: null,
      practitionerCode: null,
      records: { nodes: [{ kind: 'insurance-dishonesty-list', publicity: 'public' }] },
    });
    expect(answer.data.subjects.nodes[0].archive.filter((one: { count: number }) => one.count > 0)).toEqual([{ no: 11, count: 1 }]);
    for (const secret of SECRETS) expect(answer.text).not.toContain(secret);
  });

  it('HN-4 sees no record that is not public', async () => {
    const { data } = await hub.ask('{ records(first: 200) { nodes { publicity } } }', PUBLIC);
    expect(new Set(data.records.nodes.map((node: { publicity: string }) => node.publicity))).toEqual(new Set(['public']));
  });

  it('HN-4 loses a person when the list lets go of it', async () => {
    await hub.pool.query(`update record set deleted = true where source_key = '["listed"]'`);
    expect(await names(PUBLIC)).not.toContain(DOCTOR.name);
    expect(await found(codeOf(DOCTOR), PUBLIC)).toBeUndefined();
    await hub.pool.query(`update record set deleted = false where source_key = '["listed"]'`);
  });
});

describe('a subject about itself', () => {
  const self = (subject: string): Asking => ({ department: 'subject', role: 'subject', region: '', purpose: 'self-query', subject });

  it('WG-10 finds itself by its proved code, whole, and nobody else', async () => {
    expect(await names(self(codeOf(PATIENT)))).toEqual([PATIENT.name]);
    expect(await found(codeOf(PATIENT), self(codeOf(PATIENT)))).toBe(PATIENT.name);
    expect(await found(codeOf(DOCTOR), self(codeOf(PATIENT)))).toBeUndefined();
    expect(await names(self(codeOf(HOSPITAL)))).toEqual([HOSPITAL.name]);
    const { data } = await hub.ask('{ records(first: 200) { nodes { subject { name } } } }', self(codeOf(HOSPITAL)));
    expect(new Set(data.records.nodes.map((node: { subject: { name: string } }) => node.subject.name))).toEqual(new Set([HOSPITAL.name]));
  });

  it('HN-5 sees its number masked, and the code of its token stands in no log entry', async () => {
    const code = codeOf(PATIENT);
    const { result, added } = await hub.logged(() => hub.ask('{ subjects { nodes { ... on Person { idNumber } } } }', self(code)));
    expect(result.data.subjects.nodes).toEqual([{ idNumber: `${code.slice(0, 4)}**********${code.slice(-4)}` }]);
    expect(added).toHaveLength(1);
    for (const row of added) expect(row.body.includes(code)).toBe(false);
  });

  it('WG-10 is shown no lead that is not verified', () => {
    const kinds = hub.model.rules.filter((rule) => rule.policy === 'subject' && rule.categories.includes(12)).flatMap((rule) => rule.kinds);
    expect(kinds).not.toContain('lead');
    expect(kinds.length).toBeGreaterThan(0);
  });

  it.each([
    ['a wrong check digit', '430103199005050018'],
    ['no statutory code', 'P43010300002'],
  ])('WG-10 a token with %s is none, and the code is not repeated', async (_, subject) => {
    const answer = await hub.ask('{ subjects { nodes { name } } }', self(subject));
    expect([answer.status, answer.codes]).toEqual([403, ['CALLER_UNKNOWN']]);
    expect(answer.text).not.toContain(subject);
  });

  it('WG-10 a code that the hub does not know finds nobody, and no fault', async () => {
    expect(await names(self(usccFor('91430102', 'MA4L0099')))).toEqual([]);
  });
});

describe('the departments', () => {
  it('HN-3.2 drug administration sees pharmacists and no doctor, and organisations by their role', async () => {
    const asking = { department: 'drug-administration', purpose: 'administrative-inspection' };
    expect(await names(asking)).toEqual([HOSPITAL.name, PHARMACY.name, PATIENT.name]);
    const { data } = await hub.ask('{ records(first: 200) { nodes { subject { name } } } }', asking);
    const of = new Set(data.records.nodes.map((node: { subject: { name: string } }) => node.subject.name));
    expect([...of].sort()).toEqual([HOSPITAL.name, PHARMACY.name].sort());
  });

  it('WG-16 development and reform sees the own region, and of the regions above what they keep themselves', async () => {
    const asking = { department: 'development-reform', purpose: 'bidding', region: '430103' };
    expect(await names(asking)).toEqual([PHARMACY.name]);
    await hub.pool.query(`update subject set region = '430100' where open->>'name' = $1`, [HENGYANG.name]);
    expect(await names(asking)).toEqual([PHARMACY.name, HENGYANG.name]);
    await hub.pool.query(`update subject set region = '430405' where open->>'name' = $1`, [HENGYANG.name]);
  });

  it('HUB-4 a rule for statistics lists nothing: no row, no value, no count', async () => {
    const asking = { department: 'big-data', purpose: 'credit-statistics' };
    expect((await hub.ask('{ subjects { nodes { id } } records { nodes { id } } }', asking)).data).toEqual({
      subjects: { nodes: [] },
      records: { nodes: [] },
    });
    expect((await hub.ask('{ subjects { nodes { name } } }', asking)).codes).toEqual(['NO_POLICY']);
  });

  it.each(['auditor', 'security', 'operations'])('三员分立: %s is given no credit information for any purpose', async (department) => {
    for (const purpose of ['credit-evaluation', 'operations', 'log-review', 'public-inquiry']) {
      const role = { auditor: 'auditor', security: 'security-administrator', operations: 'system-administrator' }[department] ?? '';
      expect((await hub.ask('{ subjects { nodes { name } } }', { department, role, purpose })).codes).toEqual(['NO_POLICY']);
    }
  });
});

it('P1 nothing above was a fault of the hub', () => {
  expect(hub.faults).toEqual([]);
});
