/** What the graph tells of itself, and what its refusals tell (reliability §5). */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import {
  buildClientSchema,
  getIntrospectionQuery,
  getNamedType,
  type GraphQLSchema,
  type IntrospectionQuery,
  isLeafType,
  isObjectType,
  isRequiredArgument,
  validateSchema,
} from 'graphql';
import { buildGraph } from '../src/resolvers/schema.ts';
import { DUTY_FIELDS } from '../src/resolvers/duties.ts';
import { type Asking, openHub, type TestHub } from './setup/hub.ts';

let hub: TestHub;
beforeAll(async () => {
  hub = await openHub();
});
afterAll(() => hub.close());

const TAX = { department: 'tax', purpose: 'fiscal-support' };
const BUREAU = { department: 'medical-insurance', purpose: 'fund-payment' };
const INSPECTION = { department: 'market-supervision', purpose: 'administrative-inspection' };
const LITERALS: Readonly<Record<string, string>> = {
  'String!': '"x"',
  'ID!': '"1"',
  'Boolean!': 'true',
  'Day!': '"2026-01-01"',
  'LogFormat!': 'csv',
  '[StatisticsDimension!]!': '[MONTH]',
  'CaseEntry!': '{ number: "x", basis: "x", subjects: ["x"] }',
  'ObjectionEnd!': 'WITHDRAWN',
  'ObjectionEntry!': '{ record: "x", ground: "x", number: "x", receivedOn: "2026-01-01" }',
  'RecallEntry!': '{ record: "x", cause: "x", decidedOn: "2026-01-01", number: "x", authority: "x", article: "x" }',
  'WebhookEntry!':
    '{ department: "tax", role: "x", region: "430000", officer: "x", officerName: "x", purpose: "x", document: "x", url: "x" }',
  'ConsentEntry!':
    '{ department: "x", purposes: [], categories: [], validFrom: "2026-01-01", validUntil: "2026-01-01", channel: "x", evidence: "x" }',
  'RecordEntry!':
    '{ basis: "x", category: HONOUR, code: "x", declared: true, fields: [], kind: "honour", region: "430100", route: "supervision", subjectKind: ORGANISATION }',
};
const BIDDING = { department: 'market-supervision', purpose: 'bidding' };

async function shownTo(asking: Asking): Promise<GraphQLSchema> {
  const answer = await hub.ask(getIntrospectionQuery({ oneOf: true }), asking);
  expect(answer.codes).toEqual([]);
  return buildClientSchema(answer.data as IntrospectionQuery);
}
const membersOf = (schema: GraphQLSchema, type: string): string[] => {
  const found = schema.getType(type);
  return found && 'getFields' in found ? Object.keys(found.getFields()).sort() : [];
};

/** What `explain` says of each coordinate, as many to a document as one may hold. */
async function explainedTo(asking: Asking & { purpose: string }, coordinates: readonly string[]): Promise<string[]> {
  const access: string[] = [];
  for (let i = 0; i < coordinates.length; i += 20) {
    const roots = coordinates.slice(i, i + 20).map((c, k) => `e${k}: explain(coordinate: "${c}", purpose: "${asking.purpose}") { access }`);
    const { data } = await hub.ask(`{ ${roots.join(' ')} }`, asking);
    access.push(...roots.map((_, k) => data[`e${k}`].access as string));
  }
  return access;
}

describe('introspection', () => {
  it('L18 HUB-5 shows a caller the fields, types and conditions that the caller may use, and no others', async () => {
    const tax = await shownTo(TAX);
    expect(validateSchema(tax)).toEqual([]);
    expect(membersOf(tax, 'Organisation')).toContain('creditCode');
    expect(membersOf(tax, 'Organisation')).not.toContain('institutionCode');
    expect(tax.getType('Person')).toBeUndefined();
    expect(tax.getType('ViolationRecord')).toBeUndefined();
    expect(membersOf(tax, 'RecordWhere')).toEqual(
      [
        'abnormalOperation',
        'administration',
        'categories',
        'dishonestyList',
        'evaluation',
        'from',
        'kind',
        'region',
        'registration',
        'to',
      ].sort(),
    );
    expect(membersOf(tax, 'RegistrationWhere')).not.toContain('employerNumber');
    expect(membersOf(await shownTo({ department: 'tax', purpose: 'social-security' }), 'RegistrationRecord')).toContain('contributionBase');
  });

  it('L18 shows for each policy exactly what the answers then give', async () => {
    for (const asking of [TAX, BUREAU, INSPECTION, BIDDING, { department: 'health', purpose: 'credit-evaluation' }]) {
      const schema = await shownTo(asking);
      expect(validateSchema(schema)).toEqual([]);
      for (const type of [...hub.model.subjects.values(), ...hub.model.categories.values()]) {
        const fields = [...type.fields.keys()].filter((name) => name !== 'name');
        const explained = await explainedTo(
          asking,
          fields.map((field) => `${type.type}.${field}`),
        );
        const shown = new Set(membersOf(schema, type.type));
        expect(fields.map((field) => [field, shown.has(field)])).toEqual(fields.map((field, i) => [field, explained[i] !== 'deny']));
      }
    }
  });

  it('L18 without a purpose shows what any purpose of the caller would give', async () => {
    const any = await shownTo({ department: 'market-supervision', purpose: null });
    expect(membersOf(any, 'RegistrationRecord')).toContain('legalRepresentativeIdNumber');
    expect(membersOf(await shownTo(BIDDING), 'RegistrationRecord')).not.toContain('legalRepresentativeIdNumber');
  });

  it('L18 answers __type of a hidden type like one that does not exist, through fragments and aliases too', async () => {
    const ask = async (name: string): Promise<string> => {
      const answer = await hub.ask(
        `query { a: __type(name: "${name}") { ...T } ...Q } fragment T on __Type { name fields { name } } fragment Q on Query { b: __type(name: "${name}") { kind } }`,
        TAX,
      );
      return JSON.stringify([answer.status, answer.data, answer.errors]);
    };
    expect(await ask('ViolationRecord')).toBe(await ask('NothingRecord'));
    expect(await ask('SubmissionType')).toBe(await ask('Nothing'));
  });

  it('L18 is never answered beside data, where it would be answered from the whole graph', async () => {
    for (const query of [
      '{ __schema { queryType { name } } subjects { nodes { id } } }',
      '{ ...S catalog { no } } fragment S on Query { __type(name: "Person") { name } }',
      '{ catalog { no } ... on Query { x: __schema { types { name } } } }',
    ]) {
      const answer = await hub.ask(query, TAX);
      expect([answer.status, answer.codes, answer.data]).toEqual([400, ['INTROSPECTION_ALONE'], undefined]);
    }
  });

  it('L19 names of states and categories that are hidden are in no enumeration', async () => {
    const values = (schema: GraphQLSchema, name: string): string[] => {
      const found = schema.getType(name);
      return found && 'getValues' in found
        ? found
            .getValues()
            .map((value) => value.name)
            .sort()
        : [];
    };
    const tax = await shownTo(TAX);
    expect(values(tax, 'CategoryCode')).toEqual(['ABNORMAL_OPERATION', 'ADMINISTRATION', 'DISHONESTY_LIST', 'EVALUATION', 'REGISTRATION']);
    expect(values(tax, 'SubjectKind')).toEqual(['ORGANISATION']);
    expect(values(await shownTo(BUREAU), 'CategoryCode')).toHaveLength(12);
  });

  it('L17 the types that an interface can be are those the caller can meet', async () => {
    const tax = await shownTo(TAX);
    const possible = (name: string): string[] => {
      const type = tax.getType(name);
      return type && !isObjectType(type) && 'getInterfaces' in type ? tax.getPossibleTypes(type as never).map((t) => t.name) : [];
    };
    expect(possible('Subject')).toEqual(['Organisation']);
    expect(possible('CreditRecord')).not.toContain('JudicialRecord');
  });

  it('L18 root fields for people with a duty are shown to them alone, and refused to all others', async () => {
    const schema = await shownTo({ department: 'medical-insurance', role: 'data-steward', purpose: 'fund-payment' });
    expect(membersOf(schema, 'Query')).toContain('issues');
    expect(membersOf(schema, 'Mutation')).toEqual([
      'correctReconciliation',
      'decideDiscard',
      'discardDeadLetter',
      'dismissIssue',
      'noteSpotCheck',
      'replayIssue',
      'requestErasure',
      'retryDeadLetter',
      'settleDeadLetter',
      'undoMerge',
    ]);
    const officer = await shownTo(BUREAU);
    expect(officer.getMutationType() ?? null).toBeNull();
    expect(membersOf(officer, 'Query').filter((name) => name in DUTY_FIELDS)).toEqual([]);
  });

  it('L18 HN-6.2 the root fields said to need a duty are those that refuse whoever has none', async () => {
    const refused: string[] = [];
    for (const type of [buildGraph(hub.model).getQueryType(), buildGraph(hub.model).getMutationType()]) {
      for (const field of Object.values(type?.getFields() ?? {})) {
        const args = field.args.filter(isRequiredArgument).map((argument) => `${argument.name}: ${LITERALS[argument.type.toString()]}`);
        const below = isLeafType(getNamedType(field.type)) ? '' : '{ __typename }';
        const operation = type === buildGraph(hub.model).getMutationType() ? 'mutation' : 'query';
        const answer = await hub.ask(`${operation} { ${field.name}${args.length > 0 ? `(${args.join(', ')})` : ''} ${below} }`, BUREAU);
        expect(answer.codes).not.toContain('GRAPHQL_VALIDATION_FAILED');
        if (answer.codes.includes('DUTY_REQUIRED')) refused.push(field.name);
      }
    }
    expect(refused.sort()).toEqual(Object.keys(DUTY_FIELDS).sort());
  });

  it('L18 a word that nearly names a hidden field is not corrected', async () => {
    const answer = await hub.ask('{ subjects { nodes { ... on Person { idNumbe } } } }', TAX);
    expect(answer.codes).toEqual(['GRAPHQL_VALIDATION_FAILED']);
    expect(answer.text).not.toMatch(/Did you mean|idNumber/);
  });
});
