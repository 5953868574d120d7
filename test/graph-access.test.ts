/** Who sees which fields, for which purpose, and what is said about the others. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { DOCTOR, HOSPITAL, PATIENT, PRIVATE, SECRETS } from './fixtures/credit-records.ts';
import { coordinatesOf, wholeDocument } from './fixtures/whole-graph.ts';
import type { Answer, Asking, TestHub } from './setup/hub.ts';
import { openHub } from './setup/hub.ts';

let hub: TestHub;
beforeAll(async () => {
  hub = await openHub();
});
afterAll(() => hub.close());

const CODE = HOSPITAL.identifiers[0].code;
const HEALTH = { department: 'health', purpose: 'credit-evaluation' };
const MARKET = { department: 'market-supervision', purpose: 'administrative-inspection' };
const BIDDING = { department: 'market-supervision', purpose: 'bidding' };
const TAX = { department: 'tax', purpose: 'fiscal-support' };
const BUREAU = { department: 'medical-insurance', purpose: 'fund-payment' };
const WORK: Record<string, readonly string[]> = {
  health: ['administrative-licence', 'administrative-inspection', 'credit-evaluation', 'annual-assessment'],
  'market-supervision': [
    'administrative-licence',
    'administrative-inspection',
    'bidding',
    'government-procurement',
    'public-resource-trading',
  ],
  tax: ['social-security', 'fiscal-support', 'fee-verification'],
};

interface Told {
  coordinate: string;
  rule: string;
  article: string;
  lift: string[];
}
const told = (answer: Answer): { masked: Told[]; denied: Told[] } => answer.extensions['access'] as { masked: Told[]; denied: Told[] };
const denials = (answer: Answer): unknown[] =>
  answer.errors.filter((e) => e.extensions.code === 'FIELD_DENIED').map((e) => e.extensions['coordinate']);
const whole = (asking: Asking, code = CODE): Promise<Answer> => hub.ask(wholeDocument(hub.model), { ...asking, variables: { code } });

describe('the same question of three departments', () => {
  it('HUB-4 U2 gives each department, for each purpose, its own fields', async () => {
    const matrix: Record<string, Record<string, string>> = {};
    for (const [department, purposes] of Object.entries(WORK)) {
      for (const purpose of purposes) {
        const answer = await whole({ department, purpose });
        const { masked, denied } = told(answer);
        const access = new Map(coordinatesOf(hub.model).map((coordinate) => [coordinate, 'allow']));
        for (const { coordinate } of masked) access.set(coordinate, 'mask');
        for (const { coordinate } of denied) access.set(coordinate, 'deny');
        const lines: Record<string, string> = {};
        for (const [coordinate, given] of access) {
          const [type = '', field = ''] = coordinate.split('.');
          lines[`${type} ${given}`] ??= '';
          lines[`${type} ${given}`] += ` ${field}`;
        }
        const same = Object.keys(matrix).find(
          (key) => key.startsWith(`${department}:`) && JSON.stringify(matrix[key]) === JSON.stringify(lines),
        );
        if (same !== undefined) delete matrix[same];
        matrix[same === undefined ? `${department}: ${purpose}` : `${same}, ${purpose}`] = lines;
      }
    }
    expect(matrix).toMatchSnapshot();
  });

  it.each([
    ['health', HEALTH],
    ['market-supervision', MARKET],
    ['tax', TAX],
    ['medical-insurance', BUREAU],
  ])('HUB-4 shows %s these values of one hospital', async (_, asking) => {
    const { data } = await hub.ask(
      `query ($code: String!) { subject(code: $code) { name region ... on Organisation { creditCode institutionCode }
        archive { no count records(first: 1) { nodes { kind
          ... on RegistrationRecord { legalRepresentative legalRepresentativeIdNumber bankAccount address contactPhone }
          ... on AdministrationRecord { decisionNumber facts fineAmount } ... on ViolationRecord { facts amount }
          ... on JudicialRecord { legalRepresentative } ... on EvaluationRecord { grade score } ... on AgreementRecord { depositAmount } } } } } }`,
      { ...asking, variables: { code: CODE } },
    );
    expect(data).toMatchSnapshot();
  });

  it('U2 gives one token two masks for two purposes', async () => {
    const query = `{ subject(code: "${CODE}") { records(where: { categories: [REGISTRATION], kind: "market-registration" }) { nodes { ... on RegistrationRecord { legalRepresentative } } } } }`;
    const names = await Promise.all([MARKET, BIDDING].map(async (asking) => (await hub.ask(query, asking)).data.subject.records.nodes[0]));
    expect(names).toEqual([{ legalRepresentative: PRIVATE.leader }, { legalRepresentative: '夏**歌' }]);
  });

  it('HN-5 gives no department the number of a person, in no form of an answer', async () => {
    for (const [department, purposes] of Object.entries({ ...WORK, 'medical-insurance': ['fund-payment', 'credit-evaluation'] })) {
      for (const purpose of purposes) {
        for (const subject of [HOSPITAL, DOCTOR, PATIENT]) {
          const { text } = await whole({ department, purpose }, subject.identifiers[0].code);
          for (const secret of SECRETS) expect(text).not.toContain(secret);
        }
      }
    }
  });
});

describe('a field outside the grant', () => {
  const query = `{ subject(code: "${CODE}") { name ... on Organisation { institutionCode } } }`;

  it('U3 comes back null with one error that names rule, article and what would lift it', async () => {
    const answer = await hub.ask(query, TAX);
    expect(answer.status).toBe(200);
    expect(answer.data).toEqual({ subject: { name: HOSPITAL.name, institutionCode: null } });
    expect(answer.errors).toEqual([
      {
        message: expect.stringContaining('无权查看字段 Organisation.institutionCode'),
        extensions: { code: 'FIELD_DENIED', coordinate: 'Organisation.institutionCode', rule: 'no-rule', article: 'HN-5', lift: [] },
      },
    ]);
    expect(told(answer).denied).toEqual([{ coordinate: 'Organisation.institutionCode', rule: 'no-rule', article: 'HN-5', lift: [] }]);
  });

  it('U3 names the purposes that would lift a denial or a mask', async () => {
    const number = '... on RegistrationRecord { legalRepresentative legalRepresentativeIdNumber }';
    const answer = await hub.ask(`{ subject(code: "${CODE}") { records { nodes { ${number} } } } }`, BIDDING);
    expect(told(answer)).toMatchObject({
      masked: [
        {
          coordinate: 'RegistrationRecord.legalRepresentative',
          rule: 'market-supervision/enterprises',
          lift: ['administrative-inspection'],
        },
      ],
      denied: [{ coordinate: 'RegistrationRecord.legalRepresentativeIdNumber', rule: 'no-rule', lift: ['administrative-inspection'] }],
    });
  });

  it('U3 says masked of a field that is masked on the rows of one rule and open on those of another', async () => {
    const listed =
      '{ records(where: { categories: [DISHONESTY_LIST] }) { nodes { ... on DishonestyListRecord { legalRepresentative } } } }';
    const answer = await hub.ask(listed, HEALTH);
    expect(answer.data.records.nodes).toEqual([{ legalRepresentative: '夏**歌' }]);
    expect(told(answer).masked).toMatchObject([{ coordinate: 'DishonestyListRecord.legalRepresentative', rule: 'health/institutions' }]);
  });

  it('U3 every denied or masked field has exactly one decision, and every rule it names exists', async () => {
    const rules = new Set([...hub.model.rules.map((rule) => rule.id), 'no-rule']);
    for (const asking of [HEALTH, MARKET, BIDDING, TAX]) {
      const { masked, denied } = told(await whole(asking));
      const coordinates = [...masked, ...denied].map((decision) => decision.coordinate);
      expect(new Set(coordinates).size).toBe(coordinates.length);
      expect([...masked, ...denied].filter(({ rule, article }) => !rules.has(rule) || !article)).toEqual([]);
    }
  });

  it('U3 is told once, however often it is selected: by aliases, fragments and interfaces', async () => {
    const answer = await hub.ask(
      `query { a: subject(code: "${CODE}") { ...Named } b: subject(code: "${CODE}") { ...Named ... on Organisation { x: institutionCode } } }
       fragment Named on Organisation { one: institutionCode two: institutionCode title: name }`,
      TAX,
    );
    expect(answer.data).toEqual({
      a: { one: null, two: null, title: HOSPITAL.name },
      b: { one: null, two: null, title: HOSPITAL.name, x: null },
    });
    expect(denials(answer)).toEqual(['Organisation.institutionCode']);
  });

  it('U3 is told for a type that can be no row only when the document names the type', async () => {
    const byInterface = await hub.ask(`{ subject(code: "${CODE}") { name } }`, TAX);
    expect(denials(byInterface)).toEqual([]);
    const byType = await hub.ask(`{ subject(code: "${CODE}") { ... on Person { name } } }`, TAX);
    expect(denials(byType)).toEqual(['Person.name']);
  });

  it('U3 is not asked where @skip or @include leave it out, by literals, variables or their defaults', async () => {
    const body = `subject(code: "${CODE}") { ... on Organisation { name institutionCode @skip(if: $s) } ...Code @include(if: $i) }`;
    const fragment = 'fragment Code on Organisation { institutionCode }';
    const of = (head: string, variables: Record<string, unknown>): Promise<Answer> =>
      hub.ask(`query (${head}) { ${body} } ${fragment}`, { ...TAX, variables });
    const given = await of('$s: Boolean!, $i: Boolean!', { s: true, i: false });
    const defaults = await of('$s: Boolean! = true, $i: Boolean! = false', {});
    for (const answer of [given, defaults]) {
      expect(answer.data).toEqual({ subject: { name: HOSPITAL.name } });
      expect(denials(answer)).toEqual([]);
    }
    expect(denials(await of('$s: Boolean! = true, $i: Boolean! = false', { i: true }))).toEqual(['Organisation.institutionCode']);
    expect(denials(await of('$s: Boolean!, $i: Boolean!', { s: false, i: false }))).toEqual(['Organisation.institutionCode']);
  });

  it('HUB-4 refuses the query as a whole with X-Access: strict, and answers it when nothing is denied', async () => {
    const strict = { headers: { 'x-access': 'strict' } };
    const { result, added } = await hub.logged(() => hub.ask(query, { ...TAX, ...strict }));
    expect({ status: result.status, codes: result.codes, data: result.data }).toEqual({
      status: 403,
      codes: ['ACCESS_DENIED'],
      data: undefined,
    });
    expect(result.errors[0]?.extensions['denied']).toEqual([{ coordinate: 'Organisation.institutionCode', article: 'HN-5', lift: [] }]);
    expect(added.map(({ entry }) => [entry.outcome, entry.code, entry.rows])).toEqual([['refused', 'ACCESS_DENIED', 0]]);
    expect((await hub.ask(`{ subject(code: "${CODE}") { name } }`, { ...TAX, ...strict })).codes).toEqual([]);
  });
});

describe('a person', () => {
  const query = `query ($code: String!) { subject(code: $code) { name ... on Person { idNumber practitionerCode } records { nodes { kind ... on QualificationRecord { practiceCertificateNumber institutionName } } } } }`;

  it('HN-5 is shown to the health department by name, with sealed numbers masked', async () => {
    const { code } = DOCTOR.identifiers[0];
    const { data } = await hub.ask(query, { ...HEALTH, variables: { code } });
    expect(data.subject).toMatchObject({ name: DOCTOR.name, idNumber: `${code.slice(0, 4)}**********${code.slice(-4)}` });
    const licence = data.subject.records.nodes.find((node: { kind: string }) => node.kind === 'medical-practitioner');
    expect(licence.practiceCertificateNumber).toMatch(/^\*+2140$/);
  });

  it('HN-5 is nobody for a purpose that does not concern persons', async () => {
    const answer = await hub.ask(query, {
      department: 'health',
      purpose: 'annual-assessment',
      variables: { code: DOCTOR.identifiers[0].code },
    });
    expect([answer.data, answer.codes.includes('SUBJECT_NOT_FOUND')]).toEqual([{ subject: null }, true]);
  });
});

describe('what the graph tells of itself', () => {
  it('HUB-5 is told with a token and without a purpose, and logged as introspection', async () => {
    const { result, added } = await hub.logged(() =>
      hub.ask('{ __schema { queryType { name } } __type(name: "Person") { name } }', { purpose: null }),
    );
    expect(result.data).toEqual({ __schema: { queryType: { name: 'Query' } }, __type: { name: 'Person' } });
    expect(added.map(({ entry }) => [entry.kind, entry.purpose.code, entry.outcome])).toEqual([
      ['introspection', 'introspection', 'answered'],
    ]);
    const mixed = await hub.ask('{ __typename subjects { nodes { id } } }', { purpose: null });
    expect(mixed.codes).toEqual(['PURPOSE_REQUIRED']);
  });

  it('U3 explains what a caller may see for a purpose, without data', async () => {
    const query = `query ($c: String!, $p: String!) { explain(coordinate: $c, purpose: $p) { access rule article lift } }`;
    const ask = async (c: string, p: string): Promise<unknown> => (await hub.ask(query, { ...MARKET, variables: { c, p } })).data.explain;
    expect(await ask('AdministrationRecord.facts', 'bidding')).toEqual({
      access: 'allow',
      rule: 'market-supervision/enterprises',
      article: 'ZM-3.2.2',
      lift: [],
    });
    expect(await ask('RegistrationRecord.legalRepresentative', 'bidding')).toMatchObject({
      access: 'mask',
      lift: ['administrative-inspection'],
    });
    expect(await ask('Person.idNumber', 'bidding')).toEqual({ access: 'deny', rule: null, article: 'HN-5', lift: [] });
  });

  it('HN-14 shows the catalog of twelve categories to whoever states a purpose', async () => {
    const { data } = await hub.ask('{ catalog { no article fields { coordinate sensitivity } } }', {
      department: 'public',
      purpose: 'public-inquiry',
    });
    expect(data.catalog).toHaveLength(12);
    expect(data.catalog.map((category: { no: number }) => category.no)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
  });
});

it('P1 nothing above was a fault of the hub', () => {
  expect(hub.faults).toEqual([]);
});
