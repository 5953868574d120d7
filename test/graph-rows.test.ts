/** What cannot be got around: conditions on fields that are not given, and rows that do not exist for the caller. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { DOCTOR, HENGYANG, HOSPITAL, PATIENT, PHARMACY, ZHENGZHOU } from './fixtures/credit-records.ts';
import { identifierDomain } from '../src/store/subjects.ts';
import type { Asking, TestHub } from './setup/hub.ts';
import { openHub } from './setup/hub.ts';

let hub: TestHub;
beforeAll(async () => {
  hub = await openHub();
});
afterAll(() => hub.close());

const CODE = HOSPITAL.identifiers[0].code;
const HEALTH = { department: 'health', purpose: 'credit-evaluation' };
const MARKET = { department: 'market-supervision', purpose: 'administrative-inspection' };
const TAX = { department: 'tax', purpose: 'fiscal-support' };
const BUREAU = { department: 'medical-insurance', purpose: 'fund-payment' };

describe('a condition on a field outside the grant', () => {
  const AMOUNT = 'violation: { amount: { from: 1 } }';
  const forms: [string, string, Record<string, unknown>?][] = [
    ['in the list of records', `{ records(where: { ${AMOUNT} }) { nodes { id } } }`],
    ['at an edge', `{ subject(code: "${CODE}") { records(where: { ${AMOUNT} }) { nodes { id } } } }`],
    [
      'in a fragment',
      `{ subject(code: "${CODE}") { ...F } } fragment F on Organisation { records(where: { ${AMOUNT} }) { nodes { id } } }`,
    ],
    [
      'beside allowed ones',
      `{ records(where: { categories: [VIOLATION], region: "43", violation: { decidedOn: { from: "2026-01-01" }, amount: { to: 9 } } }) { nodes { id } } }`,
    ],
    ['in a variable', 'query ($w: RecordWhere) { records(where: $w) { nodes { id } } }', { w: { violation: { amount: { from: 1 } } } }],
    ['deep in a variable', 'query ($w: FenWhere) { records(where: { violation: { amount: $w } }) { nodes { id } } }', { w: { to: 5 } }],
    ['as the deepest variable', 'query ($n: Fen) { records(where: { violation: { amount: { from: $n } } }) { nodes { id } } }', { n: 5 }],
    ['in the default of a variable', `query ($w: RecordWhere = { ${AMOUNT} }) { records(where: $w) { nodes { id } } }`],
    [
      'in the default of a deep variable',
      'query ($n: Fen = 5) { records(where: { violation: { amount: { from: $n } } }) { nodes { id } } }',
    ],
    ['of a category outside the grant', '{ records(where: { honour: { honourName: { eq: "x" } } }) { nodes { id } } }'],
  ];

  it.each(forms)('P10 refuses the query as a whole when it stands %s', async (_, query, variables = {}) => {
    const { result, added } = await hub.logged(() => hub.ask(query, { ...MARKET, variables }));
    expect({ status: result.status, codes: result.codes, data: result.data }).toEqual({
      status: 403,
      codes: ['FILTER_DENIED'],
      data: undefined,
    });
    expect(added.map(({ entry }) => [entry.outcome, entry.code, entry.rows])).toEqual([['refused', 'FILTER_DENIED', 0]]);
  });

  it('P10 refuses a search by a name that is only shown masked, in each way of stating it', async () => {
    const asking = { department: 'tax', purpose: 'fiscal-support' };
    const variables = { w: { kind: 'PERSON', name: '欧阳' } };
    const answers = [
      await hub.ask('{ subjects(where: { kind: PERSON, name: "欧阳" }) { nodes { id } } }', asking),
      await hub.ask('query ($w: SubjectWhereInput) { subjects(where: $w) { nodes { id } } }', { ...asking, variables }),
      await hub.ask('query ($w: SubjectWhereInput = { kind: PERSON, name: "欧阳" }) { subjects(where: $w) { nodes { id } } }', asking),
    ];
    expect(answers.map((answer) => answer.codes)).toEqual([['FILTER_DENIED'], ['FILTER_DENIED'], ['FILTER_DENIED']]);
  });

  it('HUB-4 takes a condition on an allowed field, stated in each way', async () => {
    const field = '{ nodes { ... on AdministrationRecord { fineAmount } } }';
    const fines = async (query: string, variables = {}): Promise<number[]> =>
      (await hub.ask(query, { ...TAX, region: '430100', variables })).data.records.nodes.map(
        (node: { fineAmount: number }) => node.fineAmount,
      );
    const expected = [600_000, 500_000];
    const where = 'administration: { fineAmount: { from: 450000 } }';
    expect(await fines(`{ records(where: { ${where} }) ${field} }`)).toEqual(expected);
    expect(
      await fines(`query ($w: RecordWhere) { records(where: $w) ${field} }`, { w: { administration: { fineAmount: { from: 450_000 } } } }),
    ).toEqual(expected);
    expect(await fines(`query ($w: RecordWhere = { ${where} }) { records(where: $w) ${field} }`)).toEqual(expected);
    const named = await hub.ask('query ($w: SubjectWhereInput) { subjects(where: $w) { nodes { name } } }', {
      ...HEALTH,
      variables: { w: { kind: 'PERSON', name: '听澜', region: '4301' } },
    });
    expect(named.data.subjects.nodes).toEqual([{ name: DOCTOR.name }]);
  });
});

describe('rows outside the grant', () => {
  const names = async (asking: Asking): Promise<string[]> =>
    (await hub.ask('{ subjects(first: 200) { nodes { name } } }', asking)).data.subjects.nodes.map((node: { name: string }) => node.name);

  it('HUB-4 do not exist in lists of subjects: other regions, and kinds without a rule', async () => {
    expect(await names({ ...HEALTH, region: '430100' })).toEqual([HOSPITAL.name, PHARMACY.name, DOCTOR.name, PATIENT.name]);
    expect(await names({ ...HEALTH, region: '430103' })).toEqual([PHARMACY.name, PATIENT.name]);
    expect(await names({ ...TAX, region: '430000' })).toEqual([HOSPITAL.name, PHARMACY.name, HENGYANG.name]);
    expect(await names({ ...TAX, region: '410000' })).toEqual([ZHENGZHOU.name]);
    expect(await names({ ...TAX, region: '110000' })).toEqual([]);
  });

  it('HUB-4 do not exist for their code, whatever code of theirs is used', async () => {
    for (const { code } of [...HENGYANG.identifiers, ...ZHENGZHOU.identifiers, ...DOCTOR.identifiers]) {
      const answer = await hub.ask(`{ subject(code: "${code}") { name } }`, { ...TAX, region: '430100' });
      expect([answer.data, answer.codes]).toEqual([{ subject: null }, ['SUBJECT_NOT_FOUND']]);
    }
    const lookUp = (code: string, asking: Asking) => hub.ask(`{ subject(code: "${code}") { name } }`, asking);
    const found = await Promise.all(HOSPITAL.identifiers.map(({ code }) => lookUp(code, BUREAU)));
    expect(found.map((answer) => answer.data.subject.name)).toEqual([HOSPITAL.name, HOSPITAL.name]);
    // To find by a code is to compare with it: tax may not see the institution code.
    const tax = await Promise.all(HOSPITAL.identifiers.map(({ code }) => lookUp(code, TAX)));
    expect(tax.map((answer) => answer.codes)).toEqual([[], ['SUBJECT_NOT_FOUND']]);
  });

  it('HN-13 do not count in the archive, which has no drawer for a category without a rule', async () => {
    const counts = async (asking: Asking): Promise<number[][]> =>
      (await hub.ask(`{ subject(code: "${CODE}") { archive { no count } } }`, asking)).data.subject.archive.map(
        ({ no, count }: { no: number; count: number }) => [no, count],
      );
    // Category 3 has three penalties, and an administrative record that is not public.
    expect(await counts(TAX)).toEqual([
      [1, 2],
      [3, 3],
      [5, 1],
      [6, 1],
      [11, 1],
    ]);
    expect(await counts({ department: 'tax', purpose: 'social-security' })).toEqual([
      [1, 2],
      [5, 1],
      [6, 1],
      [11, 1],
    ]);
    expect(await counts(MARKET)).toEqual([
      [1, 2],
      [3, 4],
      [4, 1],
      [5, 1],
      [6, 1],
      [9, 1],
      [11, 1],
    ]);
    expect((await counts(BUREAU)).map(([no]) => no)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
  });

  it('HUB-4 do not exist in lists of records, nor behind an asked category', async () => {
    const kinds = async (where: string, asking: Asking): Promise<string[]> => [
      ...new Set<string>(
        (await hub.ask(`{ records(where: ${where}, first: 200) { nodes { kind } } }`, asking)).data.records.nodes.map(
          (node: { kind: string }) => node.kind,
        ),
      ),
    ];
    expect(await kinds('{ categories: [ADMINISTRATION] }', TAX)).toEqual(['penalty']);
    expect(await kinds('{ categories: [HONOUR, VIOLATION] }', TAX)).toEqual([]);
    expect(await kinds('{ kind: "honour" }', TAX)).toEqual([]);
    expect(await kinds('{ region: "4104" }', TAX)).toEqual([]);
    const drawers = await hub.ask(
      `{ subject(code: "${CODE}") { archive(categories: [HONOUR]) { no } records(where: { categories: [HONOUR] }) { nodes { kind } } } }`,
      TAX,
    );
    expect(drawers.data.subject).toEqual({ archive: [], records: { nodes: [] } });
  });

  it('HUB-4 do not show in pages: neither as holes nor as a page that follows', async () => {
    const seen: string[] = [];
    let after: string | null = null;
    for (let page = 1; page < 10; page += 1) {
      const { data } = await hub.ask(
        'query ($after: String) { records(first: 2, after: $after, where: { categories: [ADMINISTRATION] }) { nodes { id ... on AdministrationRecord { decisionNumber } } pageInfo { endCursor hasNextPage } } }',
        { ...TAX, region: '430100', variables: { after } },
      );
      const { nodes, pageInfo } = data.records;
      seen.push(...nodes.map((node: { decisionNumber: string }) => node.decisionNumber));
      after = pageInfo.endCursor;
      expect(nodes).toHaveLength(2);
      if (!pageInfo.hasNextPage) break;
    }
    // Four penalties in Changsha: two pages and not a third, though Hengyang and Zhengzhou have more.
    expect(seen).toEqual([17, 6, 5, 4].map((n) => `长医保罚〔2026〕${n}号`));
    const last = await hub.ask('{ subjects(first: 3) { nodes { name } pageInfo { hasNextPage } } }', { ...TAX });
    expect(last.data.subjects.pageInfo.hasNextPage).toBe(false);
  });

  it('HUB-4 are null at the edge from a record to its subject, when only the record lies inside', async () => {
    await hub.pool.query(`update record set region = '430102' where subject_id = (select id from subject where open->>'name' = $1)`, [
      ZHENGZHOU.name,
    ]);
    const { data, text } = await hub.ask(
      '{ records(where: { categories: [ADMINISTRATION], from: "2026-03-19" }) { nodes { subject { name } } } }',
      {
        ...TAX,
        region: '430100',
      },
    );
    await hub.pool.query(`update record r set region = s.region from subject s where s.id = r.subject_id and s.open->>'name' = $1`, [
      ZHENGZHOU.name,
    ]);
    expect(data.records.nodes).toEqual([{ subject: null }]);
    expect(text).not.toContain(ZHENGZHOU.name);
  });

  it('HUB-4 do not come back through an edge and its way back', async () => {
    const { data } = await hub.ask(
      `{ subject(code: "${CODE}") { records(where: { kind: "penalty" }, first: 1) { nodes { subject { name records(where: { categories: [HONOUR] }) { nodes { kind } } archive { no } } } } } }`,
      TAX,
    );
    expect(data.subject.records.nodes).toEqual([
      { subject: { name: HOSPITAL.name, records: { nodes: [] }, archive: [1, 3, 5, 6, 11].map((no) => ({ no })) } },
    ]);
  });
});

describe('a number that two platforms gave to different subjects', () => {
  const NUMBER = '99990001';
  const QUERY = 'query ($code: String!, $scheme: String) { subject(code: $code, scheme: $scheme) { name } }';
  const ask = (scheme?: string, asking: Asking = BUREAU) => hub.ask(QUERY, { ...asking, variables: { code: NUMBER, scheme } });
  const give = (scheme: string, name: string) =>
    hub.pool.query(
      `insert into subject_identifier (token, scheme, subject_id) select t, $2, (select id from subject where open->>'name' = $3) from unnest($1::bytea[]) as t`,
      [hub.keys.blindTokens(identifierDomain(scheme), NUMBER), scheme, name],
    );

  it('HN-13 is never taken for the one or the other by chance: the caller says whose number it is', async () => {
    await give('employer-code', HOSPITAL.name);
    expect((await ask()).data.subject).toEqual({ name: HOSPITAL.name });
    await give('institution-code', PHARMACY.name);
    const refused = await ask();
    expect([refused.status, refused.codes, refused.data.subject]).toEqual([200, ['CODE_AMBIGUOUS'], null]);
    expect(refused.errors[0]?.extensions['schemes']).toEqual(expect.arrayContaining(['employer-code', 'institution-code']));
    expect((await ask('employer-code')).data.subject).toEqual({ name: HOSPITAL.name });
    expect((await ask('institution-code')).data.subject).toEqual({ name: PHARMACY.name });
    expect((await ask('practitioner-code')).codes).toEqual(['SUBJECT_NOT_FOUND']);
    expect((await ask('no-scheme')).errors[0]?.extensions).toMatchObject({ code: 'BAD_CODE', reason: 'unknown-scheme' });
  });

  it('HN-13 is no such number where the grant holds only one of them', async () => {
    expect((await ask(undefined, { ...BUREAU, region: '430102' })).data.subject).toEqual({ name: HOSPITAL.name });
  });
});

it('P1 nothing above was a fault of the hub', () => {
  expect(hub.faults).toEqual([]);
});
