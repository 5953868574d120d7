/** Consents of subjects and registered cases: whoever has one sees exactly what it covers, and from the moment it ends nothing. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { DOCTOR, HOSPITAL, PATIENT, PHARMACY, type WorldSubject } from './fixtures/credit-records.ts';
import { type Answer, type Asking, openHub, type TestHub } from './setup/hub.ts';
import { identifierDomain } from '../src/store/subjects.ts';

let hub: TestHub;
beforeAll(async () => {
  hub = await openHub();
  for (const [role, of] of [
    ['insured-person', PATIENT],
    ['medical-institution-staff', DOCTOR],
  ] as const)
    await hub.pool.query(`update subject set roles = array[$1] where personal->>'name' = $2`, [role, of.name]);
});
afterAll(() => hub.close());

const codeOf = (of: WorldSubject): string => of.identifiers[0].code;
const self = (of: WorldSubject): Asking => ({
  department: 'subject',
  role: 'subject',
  region: '',
  purpose: 'consent-management',
  subject: codeOf(of),
});
const CLERK: Asking = { department: 'insurance-agency', role: 'window-clerk', region: '430100', purpose: 'consent-management' };
const PAYMENT: Asking = { department: 'insurance-agency', role: 'officer', region: '430100', purpose: 'credit-payment' };

const GIVE = `mutation Give($consent: ConsentEntry!, $code: String) { giveConsent(consent: $consent, code: $code) { id department person revokedAt uses } }`;
const REVOKE = `mutation Revoke($id: ID!, $code: String) { revokeConsent(id: $id, code: $code) { id revokedAt } }`;
const LIST = `query List($code: String) { consents(code: $code) { id purposes categories channel evidence givenBy revokedAt uses lastUsedAt } }`;
const LOOK = `query Look($code: String!) {
  subject(code: $code) { name ... on Person { idNumber } archive { no count } records(first: 50) { nodes { kind } } relations { kind } }
  subjects(first: 200) { nodes { id name } pageInfo { hasNextPage } } records(first: 200) { nodes { id kind } } }`;

const consentOf = (over: Record<string, unknown> = {}): Record<string, unknown> => ({
  department: 'insurance-agency',
  purposes: ['credit-payment'],
  categories: [1, 6],
  validFrom: '2026-11-01',
  validUntil: '2026-12-31',
  channel: 'xiang-yibao',
  evidence: '湘医保授权会话 2026-11-23',
  ...over,
});
const give = (asking: Asking, over: Record<string, unknown> = {}, code?: string): Promise<Answer> =>
  hub.ask(GIVE, { ...asking, variables: { consent: consentOf(over), code } });
async function given(over: Record<string, unknown> = {}, of = PATIENT): Promise<string> {
  const { data, errors } = await give(self(of), over);
  expect(errors).toEqual([]);
  return data.giveConsent.id as string;
}
const revoke = (asking: Asking, id: string, code?: string): Promise<Answer> => hub.ask(REVOKE, { ...asking, variables: { id, code } });
const look = (asking: Asking = PAYMENT, of = PATIENT): Promise<Answer> => hub.ask(LOOK, { ...asking, variables: { code: codeOf(of) } });
/** The answer without its receipt and its running numbers. */
const bare = ({ status, data, errors, codes }: Answer): unknown => ({ status, data, errors, codes });
const namesIn = (answer: Answer): string[] => answer.data.subjects.nodes.map((node: { name: string }) => node.name);

describe('a consent', () => {
  it('HN-23.1 opens the file to whom it is given, and its revocation closes it for the very next query', async () => {
    const none = bare(await look());
    const id = await given();
    const open = await look();
    expect(namesIn(open)).toEqual([PATIENT.name]);
    expect(open.data.subject.records.nodes).toEqual([{ kind: 'person-registration' }]);
    expect(open.data.subject.idNumber).toMatch(/^4301\*{10}\w{4}$/);
    const { data } = await revoke(self(PATIENT), id);
    expect(data.revokeConsent.revokedAt).toMatch(/^2/);
    expect(bare(await look())).toEqual(none);
    // Again: nothing changes, not even the moment.
    expect((await revoke(self(PATIENT), id)).data).toEqual(data);
  });

  it('HN-23.1 that does not hold is as none at all: revoked, expired, not begun, of another purpose, category, receiver, role or subject', async () => {
    const tokens = [PATIENT, DOCTOR].map((of) => hub.keys.blindToken(identifierDomain('citizen-id'), codeOf(of)));
    const none = bare(await look());
    const past = ['2026-01-01', '2026-11-22'];
    const now = ['2026-11-01', '2026-12-31'];
    const [later, all] = [
      ['2026-11-24', '2027-01-01'],
      [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12],
    ];
    const flaw = fc.constantFrom('revoked', 'expired', 'not begun', 'purpose', 'category', 'department', 'person', 'subject');
    const broken = fc.record({ flaw, covers: fc.subarray([1, 6, 8, 11], { minLength: 1 }) }).map(({ flaw: one, covers }) => ({
      token: tokens[one === 'subject' ? 1 : 0],
      department: one === 'department' ? 'human-resources' : one === 'person' ? null : 'insurance-agency',
      person: one === 'person' ? 'somebody-else' : null,
      purposes: one === 'purpose' ? ['credit-report', 'performance-assessment'] : ['credit-payment'],
      // Categories 2 and 9 are in no rule of this purpose.
      categories: one === 'category' ? [2, 9] : one === 'subject' ? all : covers,
      days: one === 'expired' ? past : one === 'not begun' ? later : now,
      revoked: one === 'revoked' ? '2026-11-23T00:00:00Z' : null,
    }));
    await fc.assert(
      fc.asyncProperty(fc.array(broken, { minLength: 1, maxLength: 5 }), async (consents) => {
        await hub.pool.query('delete from consent');
        for (const c of consents)
          await hub.pool.query(
            `insert into consent (token, department, person, purposes, categories, valid_from, valid_until, channel, sealed, given_by, given_name, revoked_at, revoked_by, revoked_name)
             values ($1, $2, $3, $4, $5, $6, $7, 'website', '', 'x', 'x', $8::timestamptz, case when $8 is null then null else 'x' end, 'x')`,
            [c.token, c.department, c.person, c.purposes, c.categories, c.days[0], c.days[1], c.revoked],
          );
        expect(bare(await look())).toEqual(none);
      }),
      { numRuns: 40 },
    );
    await hub.pool.query('delete from consent');
  });

  it('HN-23.1 covers its categories and no others', async () => {
    const id = await given({ categories: [6] });
    const answer = await look();
    expect(namesIn(answer)).toEqual([PATIENT.name]);
    expect(answer.data.subject.records.nodes).toEqual([]);
    expect(answer.data.subject.archive.every((one: { count: number }) => one.count === 0)).toBe(true);
    await revoke(self(PATIENT), id);
  });

  it('HN-23.1 holds on its first and its last day', async () => {
    for (const [validFrom, validUntil] of [
      ['2026-11-23', '2026-12-01'],
      ['2026-01-01', '2026-11-23'],
    ]) {
      const id = await given({ validFrom, validUntil });
      expect(namesIn(await look())).toEqual([PATIENT.name]);
      await revoke(self(PATIENT), id);
    }
  });

  it('HN-23.1 to a person is for that person alone', async () => {
    const asking = async (id: string): Promise<Asking> => ({
      authorization: `Bearer ${await hub.token({ id, name: '何谷', department: 'public', role: 'citizen', region: '' })}`,
      purpose: 'credit-report',
    });
    const id = await given({ department: null, person: 'gm-0007', purposes: ['credit-report'], categories: [1] });
    expect(namesIn(await look(await asking('gm-0007')))).toEqual(['周*枝']);
    expect(namesIn(await look(await asking('gm-0008')))).toEqual([]);
    await revoke(self(PATIENT), id);
    expect(namesIn(await look(await asking('gm-0007')))).toEqual([]);
  });

  it('HN-30 opens a title file of the doctor, and not of a patient whose role it is not', async () => {
    const HR: Asking = { department: 'human-resources', purpose: 'professional-title' };
    const over = { department: 'human-resources', purposes: ['professional-title'], categories: [2, 9] };
    const ids = [await given(over, DOCTOR), await given(over, PATIENT)];
    expect(namesIn(await look(HR, DOCTOR))).toEqual([DOCTOR.name]);
    await revoke(self(DOCTOR), ids[0] ?? '');
    await revoke(self(PATIENT), ids[1] ?? '');
  });

  it('U3 a denial says that a consent would lift it', async () => {
    const answer = await hub.ask('{ subjects { nodes { ... on Person { name } } } }', {
      department: 'human-resources',
      purpose: 'social-security',
    });
    expect(answer.errors.map((e) => e.extensions)).toEqual([
      expect.objectContaining({
        code: 'FIELD_DENIED',
        coordinate: 'Person.name',
        lift: ['performance-assessment', 'professional-title'],
        needs: ['consent'],
      }),
    ]);
    expect(answer.errors[0]?.message).toContain('须有信用主体的有效授权');
  });
});

describe('giving and revoking', () => {
  it('HN-23.1 an officer enters it at a window, with the channel of the window', async () => {
    const entered = await give(CLERK, { channel: 'service-window', evidence: '授权书 2026-77' }, codeOf(PATIENT));
    expect(entered.errors).toEqual([]);
    expect(namesIn(await look())).toEqual([PATIENT.name]);
    const listed = (await hub.ask(LIST, self(PATIENT))).data.consents[0];
    expect(listed).toMatchObject({
      id: entered.data.giveConsent.id,
      channel: 'service-window',
      evidence: '授权书 2026-77',
      givenBy: '陈静',
      revokedAt: null,
    });
    expect((await revoke(CLERK, entered.data.giveConsent.id as string, codeOf(PATIENT))).errors).toEqual([]);
    expect(namesIn(await look())).toEqual([]);
  });

  it.each([
    ['both a department and a person', { person: 'x' }, 'department'],
    ['neither', { department: null }, 'department'],
    ['the public as a whole', { department: 'public' }, 'department'],
    ['a department that has no use for consents', { department: 'tax' }, 'department'],
    ['a purpose that needs no consent', { purposes: ['fund-payment'] }, 'purposes'],
    ['a purpose of another department', { purposes: ['professional-title'] }, 'purposes'],
    ['no purpose', { purposes: [] }, 'purposes'],
    ['no category', { categories: [] }, 'categories'],
    ['a category that does not exist', { categories: [13] }, 'categories'],
    ['an end before its beginning', { validFrom: '2026-12-02', validUntil: '2026-12-01' }, 'validUntil'],
    ['an end that is past', { validFrom: '2026-01-01', validUntil: '2026-11-22' }, 'validUntil'],
    ['an unknown channel', { channel: 'telepathy' }, 'channel'],
    ['the channel of a window by the subject itself', { channel: 'service-window' }, 'channel'],
    ['no evidence', { evidence: ' ' }, 'evidence'],
  ])('HN-23.1 is refused with %s', async (_, over, field) => {
    const answer = await give(self(PATIENT), over);
    expect([answer.codes, answer.errors[0]?.extensions['field'], answer.data]).toEqual([['CONSENT_REFUSED'], field, null]);
  });

  it('HN-23.1 nobody gives, lists or revokes for a subject without the duty, and no subject for another', async () => {
    const id = await given();
    for (const asking of [PAYMENT, { department: 'health' }, { ...self(DOCTOR), subject: codeOf(DOCTOR) }] as Asking[]) {
      expect((await give(asking, {}, codeOf(PATIENT))).codes).toEqual(['DUTY_REQUIRED']);
      expect((await revoke(asking, id, codeOf(PATIENT))).codes).toEqual(['DUTY_REQUIRED']);
      expect((await hub.ask(LIST, { ...asking, variables: { code: codeOf(PATIENT) } })).codes).toEqual(['DUTY_REQUIRED']);
    }
    expect((await revoke(self(DOCTOR), id)).codes).toEqual(['CONSENT_NOT_FOUND']);
    expect((await revoke(self(DOCTOR), '999999')).codes).toEqual(['CONSENT_NOT_FOUND']);
    expect((await hub.ask(LIST, self(DOCTOR))).data.consents.map((one: { id: string }) => one.id)).not.toContain(id);
    expect(namesIn(await look())).toEqual([PATIENT.name]);
    await revoke(self(PATIENT), id);
  });

  it('HN-23.2 is logged as intended and as done, without the code; and every look under it can be counted', async () => {
    const { result: id, added } = await hub.logged(() => given());
    expect(added.map(({ entry }) => [entry.kind, entry.code])).toEqual([
      ['mutation', 'INTENT'],
      ['mutation', ''],
    ]);
    for (const row of added) expect(row.body.includes(codeOf(PATIENT))).toBe(false);
    const { added: looks } = await hub.logged(async () => {
      await look();
      await look();
      await look(PAYMENT, DOCTOR);
    });
    expect(looks.map(({ entry }) => entry.rules.join())).toEqual(Array(3).fill('insurance-agency/credit-payment'));
    const of = async (): Promise<{ uses: number; lastUsedAt: string | null }> =>
      (await hub.ask(LIST, self(PATIENT))).data.consents.find((one: { id: string }) => one.id === id);
    const before = await of();
    // The third look, at somebody else, lists the patient too.
    expect(before).toMatchObject({ uses: 3, lastUsedAt: expect.stringMatching(/^20/) });
    await revoke(self(PATIENT), id);
    await look();
    expect(await of()).toMatchObject({ uses: 3, lastUsedAt: before.lastUsedAt });
  });

  it('HN-5 the evidence is sealed in the database', async () => {
    const { rows } = await hub.pool.query<{ evidence: string }>(`select sealed as evidence from consent where sealed <> '' limit 1`);
    expect(rows[0]?.evidence).not.toContain('湘医保');
  });
});

describe('a registered case', () => {
  const REGISTER = `mutation Register($entry: CaseEntry!) { registerCase(entry: $entry) { number subjects officerName closedOn } }`;
  const HANDLER: Asking = { department: 'medical-insurance', role: 'case-handler', region: '430100', purpose: 'case-investigation' };
  const entry = (number: string, subjects = [HOSPITAL, DOCTOR]): Record<string, unknown> => ({
    number,
    basis: '立案告知书',
    subjects: subjects.map(codeOf),
  });
  const register = (number: string, asking = HANDLER, over: Record<string, unknown> = {}): Promise<Answer> =>
    hub.ask(REGISTER, { ...asking, variables: { entry: { ...entry(number), ...over } } });
  const investigate = (number: string, over: Asking = {}): Promise<Answer> =>
    hub.ask('{ subjects(first: 200) { nodes { name } } records(first: 200) { nodes { subject { name } } } }', {
      ...HANDLER,
      case: number,
      ...over,
    });

  it('ZM-3.2.3 opens its subjects to those who state it, and nobody else', async () => {
    expect((await register('案-1')).data.registerCase).toEqual({ number: '案-1', subjects: 2, officerName: '陈静', closedOn: null });
    const answer = await investigate('案-1');
    expect(namesIn(answer)).toEqual([HOSPITAL.name, DOCTOR.name]);
    expect(new Set(answer.data.records.nodes.map((one: { subject: { name: string } }) => one.subject.name))).toEqual(
      new Set([HOSPITAL.name, DOCTOR.name]),
    );
    expect(namesIn(await investigate(' 案-1 '))).toHaveLength(2);
    expect(namesIn(await investigate('案-2'))).toEqual([]);
  });

  it('ZM-3.2.3 is for its department, and for its region and those above', async () => {
    expect(namesIn(await investigate('案-1', { department: 'court', role: 'judge', purpose: 'judicial-enforcement' }))).toEqual([]);
    // The officer who is responsible sees it wherever; here that is the caller. Others of another prefecture do not.
    const other = async (region: string): Promise<string> =>
      `Bearer ${await hub.token({ id: 'ms-0099', name: '何谷', department: 'medical-insurance', role: 'case-handler', region })}`;
    expect(namesIn(await investigate('案-1', { authorization: await other('430400') }))).toEqual([]);
    expect(namesIn(await investigate('案-1', { authorization: await other('430102') }))).toEqual([]);
    expect(namesIn(await investigate('案-1', { authorization: await other('430100') }))).toHaveLength(2);
    expect(namesIn(await investigate('案-1', { authorization: await other('430000') }))).toHaveLength(2);
    await register('案-3', HANDLER, { officer: 'ms-0099', officerName: '何谷' });
    expect(namesIn(await investigate('案-3', { authorization: await other('430400') }))).toHaveLength(2);
  });

  it('ZM-3.2.3 opens nothing once it is closed', async () => {
    await register('案-4', HANDLER, { subjects: [codeOf(PHARMACY)] });
    expect(namesIn(await investigate('案-4'))).toEqual([PHARMACY.name]);
    const close = await hub.ask('mutation { closeCase(number: "案-4") { closedOn } }', HANDLER);
    expect(close.data.closeCase).toEqual({ closedOn: '2026-11-23' });
    expect(namesIn(await investigate('案-4'))).toEqual([]);
  });

  it.each([
    ['a number that the department has', '案-1', {}, 'CASE_EXISTS'],
    ['no number', ' ', {}, 'CASE_REFUSED'],
    ['no basis', '案-9', { basis: '' }, 'CASE_REFUSED'],
    ['no subject', '案-9', { subjects: [] }, 'CASE_REFUSED'],
    ['a code that does not hold', '案-9', { subjects: ['430103199005050018'] }, 'BAD_CODE'],
    ['an officer without a name', '案-9', { officer: 'ms-0099' }, 'CASE_REFUSED'],
  ])('ZM-3.2.3 is refused with %s', async (_, number, over, code) => {
    expect((await register(number, HANDLER, over)).codes).toEqual([code]);
  });

  it('ZM-3.2.3 is registered, closed and listed by the duty alone, in its own department and region', async () => {
    for (const asking of [
      { ...HANDLER, role: 'officer' },
      { ...HANDLER, department: 'health' },
    ]) {
      expect((await register('案-8', asking)).codes).toEqual(['DUTY_REQUIRED']);
      expect((await hub.ask('{ cases { number } }', asking)).codes).toEqual(['DUTY_REQUIRED']);
    }
    expect((await register('案-8', { ...HANDLER, region: '' })).codes).toEqual(['REGION_DENIED']);
    const elsewhere = { ...HANDLER, region: '430400' };
    expect((await hub.ask('mutation { closeCase(number: "案-1") { number } }', elsewhere)).codes).toEqual(['CASE_NOT_FOUND']);
    expect((await hub.ask('{ cases { number } }', elsewhere)).data.cases).toEqual([]);
    const { data } = await hub.ask('{ cases { number subjects closedOn } }', HANDLER);
    expect(data.cases.map((one: { number: string }) => one.number)).toEqual(['案-4', '案-3', '案-1']);
  });

  it('HN-5 the codes of its subjects stand nowhere', async () => {
    const { added } = await hub.logged(() => register('案-7'));
    for (const row of added) expect(row.body.includes(codeOf(DOCTOR))).toBe(false);
    const { rows } = await hub.pool.query<{ text: string }>(
      'select c::text || x::text as text from registered_case c join case_subject x on x.case_id = c.id',
    );
    for (const { text } of rows) expect(text).not.toContain(codeOf(DOCTOR));
  });
});

it('P1 nothing above was a fault of the hub', () => {
  expect(hub.faults).toEqual([]);
});
