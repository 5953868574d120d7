/** U6, WG-10: a subject is told who looked at its file; a lawful deferral ends on its day; to look at that is a look too. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { usccFor } from '../src/identity/uscc.ts';
import { requestDeferral } from '../src/log/deferral.ts';
import { whoLooked } from '../src/log/lookers.ts';
import { logTokens, subjectIdsOf } from '../src/store/subject-ids.ts';
import { DOCTOR, HENGYANG, HOSPITAL, PHARMACY } from './fixtures/credit-records.ts';
import type { Answer, Asking, TestHub } from './setup/hub.ts';
import { openHub, TODAY } from './setup/hub.ts';

let hub: TestHub;
const CODE = HOSPITAL.identifiers[0].code;
const BY_CODE = 'query Find($code: String!) { subject(code: $code) { name records(first: 2) { nodes { kind } } } }';
const LOOKS = `query Mine($first: Int, $after: String) { whoLookedAtMe(first: $first, after: $after) {
  nodes { on department departmentName purpose purposeName categories fields } pageInfo { endCursor hasNextPage } } }`;
const REQUEST = `mutation Ask($case: String!, $basis: String!, $on: Day!) { requestDeferral(caseNumber: $case, basis: $basis, releaseOn: $on) { id state } }`;
const DECIDE = `mutation Decide($id: ID!, $approve: Boolean!) { decideDeferral(id: $id, approve: $approve) { state } }`;

beforeAll(async () => {
  hub = await openHub();
});
afterAll(() => hub.close());

type Look = Record<string, unknown> & { department: string; fields: string[] };
const mine = (code: string, variables: Record<string, unknown> = {}, asking: Asking = {}): Promise<Answer> =>
  hub.ask(LOOKS, { department: 'subject', role: 'subject', purpose: 'self-query', subject: code, variables, ...asking });
const looksOf = async (code: string): Promise<Look[]> => (await mine(code)).data.whoLookedAtMe.nodes as Look[];
const look = (asking: Asking, code = CODE): Promise<Answer> => hub.ask(BY_CODE, { variables: { code }, ...asking });
const officer = async (id: string, department = 'tax', role = 'case-handler'): Promise<Asking> => ({
  purpose: 'fiscal-support',
  authorization: `Bearer ${await hub.token({ id, name: id, department, role })}`,
});
const day = (later: number): string => new Date(Date.parse(TODAY) + later * 86_400_000).toISOString().slice(0, 10);

describe('who looked at me', () => {
  it('U6 WG-10 tells a look of the tax authority at once: day, department, purpose, fields, and nothing of the officer or the case', async () => {
    await look({ department: 'tax', purpose: 'fiscal-support', case: '税查-9', basis: '税收征收管理法' });
    const answer = await mine(CODE);
    expect(answer.errors).toEqual([]);
    const [first] = answer.data.whoLookedAtMe.nodes as Look[];
    expect(first).toMatchObject({ department: 'tax', departmentName: '税务部门', purpose: 'fiscal-support', purposeName: '财政资金支持' });
    expect(first?.fields).toContain('Organisation.name');
    expect(first?.['on']).toMatch(/^\d{4}-\d\d-\d\d$/);
    for (const hidden of ['陈静', 'wj-0001', '税查-9', '税收征收管理法', 'officer', '127.0.0.1']) expect(answer.text).not.toContain(hidden);
  });

  it('U6 is itself a look that the log and the subject see', async () => {
    const { added } = await hub.logged(() => mine(CODE));
    expect(added[0]?.entry).toMatchObject({ kind: 'query', department: 'subject', purpose: { code: 'self-query' }, outcome: 'answered' });
    expect(added[0]?.entry.subjects).toHaveLength(1);
    expect((await looksOf(CODE))[0]).toMatchObject({ department: 'subject', purpose: 'self-query' });
  });

  it('U6 tells exactly the looks at this subject, in a page as in all', async () => {
    await look({ department: 'health' }, PHARMACY.identifiers[0].code);
    await look({ department: 'tax', purpose: 'fiscal-support' }, PHARMACY.identifiers[0].code);
    await look({ department: 'health' }, DOCTOR.identifiers[0].code);
    const all = (await looksOf(PHARMACY.identifiers[0].code)).map((one) => one.department);
    expect(all).toEqual(['tax', 'health']);
    const seen: string[] = [];
    for (let after: string | null = null; ;) {
      const page = (await mine(PHARMACY.identifiers[0].code, { first: 1, after })).data.whoLookedAtMe;
      seen.push(...(page.nodes as Look[]).map((one) => one.department).filter((one) => one !== 'subject'));
      if (!page.pageInfo.hasNextPage) break;
      after = page.pageInfo.endCursor as string;
    }
    expect(seen).toEqual(all);
  });

  it('WG-10 is for the subject itself: no officer, and no token without a proved code', async () => {
    expect((await hub.ask(LOOKS, { department: 'health' })).codes).toEqual(['OWN_SUBJECT_REQUIRED']);
    expect((await hub.ask(LOOKS, { department: 'health', subject: CODE })).codes).toEqual(['OWN_SUBJECT_REQUIRED']);
    const none = await hub.ask(LOOKS, { department: 'subject', role: 'subject', purpose: 'self-query' });
    expect(none.codes).toEqual(['IDENTITY_PROOF_REQUIRED']);
    const wrong = await mine(`${CODE.slice(0, -1)}${CODE.endsWith('A') ? 'B' : 'A'}`);
    expect(wrong.codes).toEqual(['CALLER_UNKNOWN']);
  });

  it('U6 says the same of a subject that nobody looked at and of one that the hub does not hold: nothing', async () => {
    for (const code of [HENGYANG.identifiers[0].code, usccFor('91430102', 'MA4L0099')]) {
      expect((await mine(code)).data.whoLookedAtMe).toEqual({ nodes: [], pageInfo: { endCursor: null, hasNextPage: false } });
    }
  });
});

describe('a deferral of notice', () => {
  const asked = async (id: string, caseNumber: string, on: string): Promise<Answer> =>
    hub.ask(REQUEST, { ...(await officer(id)), variables: { case: caseNumber, basis: '税收征收管理法第五十四条', on } });
  const decided = async (id: string, request: string, approve = true, department = 'tax'): Promise<Answer> =>
    hub.ask(DECIDE, { ...(await officer(id, department)), variables: { id: request, approve } });
  const departmentsOn = async (today: string): Promise<string[]> => {
    const ids = (await subjectIdsOf(hub.pool, hub.keys, CODE, TODAY)) ?? [];
    const { looks } = await whoLooked(hub.pool, logTokens(hub.keys, ids), { first: 200 }, today);
    return looks.map((one) => one.department);
  };
  const caseLooks = (departments: string[]): number => departments.filter((one) => one === 'tax').length;

  it('U6 leaves the looks of its case out until its day, and not without a second person', async () => {
    const before = caseLooks(await departmentsOn(TODAY));
    await look({ department: 'tax', purpose: 'fiscal-support', case: '稽查-77' });
    await look({ department: 'tax', purpose: 'fiscal-support', case: '稽查-78' });
    const { data } = await asked('t-1', '稽查-77', day(30));
    const id = data.requestDeferral.id as string;
    expect(caseLooks(await departmentsOn(TODAY))).toBe(before + 2);
    expect((await decided('t-1', id)).codes).toEqual(['FOUR_EYES']);
    expect((await decided('t-2', id, true, 'health')).codes).toEqual(['REQUEST_NOT_FOUND']);
    expect((await decided('t-2', id)).data.decideDeferral).toEqual({ state: 'approved' });
    expect(caseLooks((await looksOf(CODE)).map((one) => one.department))).toBe(before + 1);
    expect(caseLooks(await departmentsOn(day(29)))).toBe(before + 1);
    expect(caseLooks(await departmentsOn(day(30)))).toBe(before + 2);
  });

  it('U6 covers the case of its own department alone, and fills a page past what it leaves out', async () => {
    const { data } = await asked('t-1', '稽查-80', day(10));
    await decided('t-2', data.requestDeferral.id as string);
    for (let n = 0; n < 120; n += 1)
      await hub.log.append({
        ...(await hub.entries()).find((row) => row.entry.purpose.case === '稽查-77')!.entry,
        purpose: { code: 'fiscal-support', basis: null, case: '稽查-80' },
      });
    await look({ department: 'health', case: '稽查-80' });
    const page = (await mine(CODE, { first: 3 })).data.whoLookedAtMe;
    expect((page.nodes as Look[]).map((one) => one.department).slice(0, 1)).toEqual(['health']);
    expect(page.nodes).toHaveLength(3);
  });

  it('U6 ends: not today, not later than the longest time, with a basis and a case; the table demands two persons', async () => {
    expect((await asked('t-1', '稽查-90', TODAY)).codes).toEqual(['BAD_RELEASE_DAY']);
    expect((await asked('t-1', '稽查-90', day(91))).codes).toEqual(['BAD_RELEASE_DAY']);
    expect((await asked('t-1', ' ', day(9))).codes).toEqual(['CASE_REQUIRED']);
    const person = { id: 't-1', name: 't-1' };
    const wish = { department: 'tax', caseNumber: '稽查-91', basis: ' ', releaseOn: day(9) };
    await expect(requestDeferral(hub.pool, person, wish, TODAY)).rejects.toMatchObject({ code: 'BASIS_REQUIRED' });
    expect(
      (await hub.ask(REQUEST, { department: 'tax', purpose: 'fiscal-support', variables: { case: 'x', basis: 'y', on: day(9) } })).codes,
    ).toEqual(['DUTY_REQUIRED']);
    await expect(hub.pool.query('update notice_deferral set decided_by = requested_by')).rejects.toThrow('check');
  });
});
