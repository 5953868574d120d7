/** Leak catalogue (reliability §5) L31–L35, L37–L45, L47: requests side by side, caches, protocols, logs, statements and side doors. */
import { readdirSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { DUTY_FIELDS } from '../src/resolvers/duties.ts';
import { buildGraph } from '../src/resolvers/schema.ts';
import { DOCTOR, HENGYANG, HOSPITAL, PATIENT, SECRETS } from './fixtures/credit-records.ts';
import { type Asking, openHub, type TestHub } from './setup/hub.ts';
import { bare, BIDDING, BUREAU, CALLERS, HEALTH, INSPECTION, TAX } from './setup/leaks.ts';

let hub: TestHub;
/** Statements since the last look, with how many rows each gave. */
let statements: string[] = [];
beforeAll(async () => {
  hub = await openHub({
    serve: (pool) => ({
      ...pool,
      async read<R>(enter: string, text: string, values?: readonly unknown[]) {
        const result = await pool.read<R>(enter, text, values);
        statements.push(`${result.rowCount} ${text}`);
        return result;
      },
    }),
  });
});
afterAll(() => hub.close());

const CODE = HOSPITAL.identifiers[0].code;
const QUERY = `query ($c: String!) { subject(code: $c) { name region records(first: 50) { nodes { id kind ... on RegistrationRecord { legalRepresentative bankAccount } ... on AdministrationRecord { facts fineAmount } } } } }`;
const ask = (asking: Asking, code: string = CODE) => hub.ask(QUERY, { ...asking, variables: { c: code } });

describe('requests side by side', () => {
  it('L31 L32 L33 never get of one another: forty at once, of seven callers, are each what they are alone', async () => {
    const asked = CALLERS.flatMap((asking) =>
      [CODE, HENGYANG.identifiers[0].code].map((code) => ({ asking: { ...asking, region: code === CODE ? '430000' : '430100' }, code })),
    );
    const alone = await Promise.all(asked.map(async ({ asking, code }) => bare(await ask(asking, code))));
    expect(new Set(alone).size).toBeGreaterThan(5);
    for (let round = 0; round < 3; round += 1) {
      const order = [...asked.keys()].sort(() => Math.random() - 0.5);
      const together = await Promise.all(order.map(async (i) => [i, bare(await ask(asked[i]?.asking ?? {}, asked[i]?.code))] as const));
      for (const [i, answer] of together) expect(answer).toBe(alone[i]);
    }
  });

  it('L32 the same document, one after another, is decided for each caller, purpose and region anew', async () => {
    const leader = async (asking: Asking) =>
      (await ask(asking)).data.subject?.records.nodes.find((node: { kind: string }) => node.kind === 'market-registration')
        ?.legalRepresentative;
    const [plain, masked] = [await leader(INSPECTION), await leader(BIDDING)];
    expect([plain === masked, await leader(INSPECTION), await leader(BIDDING)]).toEqual([false, plain, masked]);
    expect((await ask({ ...INSPECTION, region: '410000' })).codes).toContain('SUBJECT_NOT_FOUND');
    expect(await leader(INSPECTION)).toBe(plain);
  });

  it('L33 a request that failed leaves its connection as it was', async () => {
    const before = bare(await ask(TAX));
    await Promise.all(
      Array.from({ length: 12 }, (_, i) =>
        hub.ask(
          i % 2 ? '{ records(first: 0) { nodes { id } } subjects { nodes { id } } }' : '{ records(after: "x") { nodes { id } } }',
          BUREAU,
        ),
      ),
    );
    expect(bare(await ask(TAX))).toBe(before);
  });

  it('L45 a token that gives less takes effect with the next request, and the log says by which policy it was decided', async () => {
    expect((await ask(TAX)).codes).not.toContain('NO_POLICY');
    const { result, added } = await hub.logged(() => ask({ ...TAX, purposes: ['social-security'] }));
    expect(result.codes).toEqual(['NO_POLICY']);
    expect(added.map(({ entry }) => entry.policy)).toEqual([hub.model.version]);
  });
});

describe('the protocol', () => {
  const send = (body: unknown, asking: Asking = TAX) => hub.send(JSON.stringify(body), asking);

  it('L34 L32 no answer may be kept by anybody on the way, and none has a tag to compare', async () => {
    const authorization = `Bearer ${await hub.token({ department: 'tax' })}`;
    const headers = { authorization, 'x-purpose': 'fiscal-support', 'content-type': 'application/json', accept: 'application/json' };
    const body = JSON.stringify({ query: QUERY, variables: { c: CODE } });
    const post = await fetch(`${hub.url}/graphql`, { method: 'POST', headers, body });
    const get = await fetch(`${hub.url}/graphql?query=${encodeURIComponent('{ subjects { nodes { name } } }')}`, {
      headers: { ...headers, 'x-apollo-operation-name': 'x' },
    });
    for (const { headers: answered } of [post, get]) {
      expect(answered.get('cache-control')).toBe('no-store');
      for (const name of ['etag', 'last-modified', 'age', 'x-cache']) expect([name, answered.get(name)]).toEqual([name, null]);
    }
  });

  it('L35 L36 there is no @defer and no @stream, and no subscription in an answer: nothing arrives after it', async () => {
    const schema = buildGraph(hub.model);
    expect(
      schema
        .getDirectives()
        .map(({ name }) => name)
        .sort(),
    ).toEqual(['deprecated', 'include', 'oneOf', 'skip', 'specifiedBy']);
    for (const query of [
      'subscription { records { nodes { id } } }',
      'subscription { recordChanged { cursor } }',
      '{ subjects { nodes { ... @defer { name } } } }',
      '{ subjects { nodes @stream { name } } }',
    ]) {
      const answer = await hub.ask(query, TAX);
      expect([answer.codes.length > 0, answer.data ?? null]).toEqual([true, null]);
    }
  });

  it('L37 a hash stands for no document: what another caller had asked cannot be run by naming it', async () => {
    const sha256Hash = 'ecf4edb46db40b5132295c0291d62fb65d6759a9eedfa4d5d612dd5ec54a6b38';
    await hub.ask('{ __typename }', BUREAU);
    for (const body of [
      { extensions: { persistedQuery: { version: 1, sha256Hash } } },
      { id: sha256Hash },
      { documentId: `sha256:${sha256Hash}` },
    ]) {
      const answer = await send(body);
      expect([answer.status >= 400, answer.data ?? null]).toEqual([true, null]);
    }
  });

  it('L38 each request is one operation: no batch, no second change, and the decision is for the one that is run', async () => {
    const one = { query: '{ subjects { nodes { name } } }' };
    const batch = await send([one, one]);
    expect([batch.status, batch.data]).toEqual([400, undefined]);
    const two =
      'query A { subjects { nodes { name } } } query B { records(where: { registration: { insuranceType: { eq: "310" } } }) { nodes { id } } }';
    expect((await hub.ask(two, { ...TAX, operationName: 'A' })).codes).toEqual([]);
    expect((await hub.ask(two, { ...TAX, operationName: 'B' })).codes).toEqual(['FILTER_DENIED']);
    expect((await hub.ask(two, TAX)).data ?? null).toBeNull();
    const changes = 'mutation { a: replayIssue(id: "1") { id } b: replayIssue(id: "2") { id } }';
    expect((await hub.ask(changes, BUREAU)).codes).toEqual(['OPERATION_NOT_SUPPORTED']);
  });
});

describe('the query log', () => {
  it('L39 holds no number of a person: neither of the variables nor of the text of a document', async () => {
    const number = DOCTOR.identifiers[0].code;
    const { added } = await hub.logged(async () => {
      await ask(HEALTH, number);
      await hub.ask(`{ subject(code: "${number}") { name } }`, HEALTH);
    });
    expect(added.length).toBeGreaterThanOrEqual(2);
    for (const row of added) for (const secret of SECRETS) expect(row.body.includes(secret)).toBe(false);
  });

  it('L40 is told of by the graph to those alone whose duty it is, and to a subject about itself', () => {
    const about = Object.values(buildGraph(hub.model).getTypeMap()).flatMap((type) =>
      ['Query', 'Mutation'].includes(type.name) && 'getFields' in type
        ? Object.keys(type.getFields()).filter((name) => /^log|Log|Look|[Aa]larm|[Aa]udit/.test(name))
        : [],
    );
    // What a subject is told of those who looked at it hangs on the proof of its identity.
    expect(about.filter((name) => !(name in DUTY_FIELDS) && name !== 'whoLookedAtMe')).toEqual([]);
  });

  it('L40 refuses everybody else, and tells a caller who is no subject nothing', async () => {
    for (const asking of CALLERS) {
      expect((await hub.ask('{ queryLog { nodes { personName } } }', asking)).codes).toEqual(['DUTY_REQUIRED']);
      const looked = await hub.ask('{ whoLookedAtMe { nodes { department } } }', asking);
      expect([looked.codes.length, looked.data ?? null]).toEqual([1, null]);
    }
  });
});

describe('statements and sizes', () => {
  it('L41 what is hidden costs what is not there costs: the same statements, the same rows, the same length', async () => {
    const told = async (code: string) => {
      statements = [];
      const answer = await ask({ ...TAX, region: '430100' }, code);
      return [bare(answer), bare(answer).length, statements];
    };
    const none = await told('11010519491231002X');
    for (const { code } of [DOCTOR.identifiers[0], PATIENT.identifiers[0]]) expect(await told(code)).toEqual(none);
  });

  it('L42 a list with hidden rows is a list without them: no error has a place in it', async () => {
    const answer = await hub.ask(
      '{ records(first: 200) { nodes { subject { name ... on Organisation { institutionCode } } ... on RegistrationRecord { employerNumber } } } }',
      { ...TAX, region: '430103' },
    );
    expect(answer.codes.length).toBeGreaterThan(0);
    expect(new Set(answer.codes)).toEqual(new Set(['FIELD_DENIED']));
    expect(answer.errors.filter((error) => error.path !== undefined)).toEqual([]);
    expect(answer.data.records.nodes).not.toContain(null);
  });

  it('L43 a page is full as long as there is more, whatever lies hidden between', async () => {
    for (const first of [1, 2, 3, 5, 7]) {
      let after: string | null = null;
      for (let pages = 0; pages < 60; pages += 1) {
        const { data } = await hub.ask(
          'query ($n: Int!, $a: String) { records(first: $n, after: $a) { nodes { id } pageInfo { endCursor hasNextPage } } }',
          { ...TAX, region: '430100', variables: { n: first, a: after } },
        );
        const { nodes, pageInfo } = data.records;
        if (!pageInfo.hasNextPage) break;
        expect(nodes).toHaveLength(first);
        after = pageInfo.endCursor as string;
      }
    }
  });

  it('L44 two rules never add up to what neither gives: a field of one on the rows of the other', async () => {
    // Contributions give amounts on the rows of contributions; of any other registration that happens to hold one, tax is given nothing.
    await hub.pool.query(
      `update record set commercial = coalesce(commercial, '{}') || '{"employerAmount": 777700}' where kind = 'market-registration'`,
    );
    const answer = await hub.ask(
      '{ records(where: { categories: [REGISTRATION] }, first: 100) { nodes { kind ... on RegistrationRecord { employerAmount } } } }',
      { department: 'tax', purpose: 'social-security' },
    );
    const amounts = Map.groupBy(answer.data.records.nodes as { kind: string; employerAmount: number | null }[], ({ kind }) => kind);
    expect(amounts.get('employer-contribution')?.map((row) => row.employerAmount)).toEqual([1_234_500]);
    expect(new Set(amounts.get('market-registration')?.map((row) => row.employerAmount))).toEqual(new Set([null]));
    expect(answer.text).not.toContain('777700');
  });
});

describe('side doors', () => {
  it('L47 every route of the server is known, and none of them tells anything to somebody without a token', async () => {
    const source = readdirSync(new URL('../src/resolvers/', import.meta.url))
      .map((file) => readFileSync(new URL(`../src/resolvers/${file}`, import.meta.url), 'utf8'))
      .join('\n');
    const routes = [...source.matchAll(/app\.(?:get|post|put|delete|patch|all|head)\(\s*'([^']+)'|url: '(\/[^']*)'/g)].map(
      ([, a, b]) => a ?? b ?? '',
    );
    expect([...new Set(routes)].sort()).toEqual(['/graphql', '/health', '/ide/purposes.json', '/ready']);
    for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'HEAD']) {
      const answer = await fetch(`${hub.url}/graphql${method === 'GET' ? '?query=%7Bsubjects%7Bnodes%7Bname%7D%7D%7D' : ''}`, {
        method,
        headers: { 'content-type': 'application/json', 'x-purpose': 'fund-payment', 'x-apollo-operation-name': 'x' },
        ...(['POST', 'PUT', 'PATCH'].includes(method) ? { body: JSON.stringify({ query: '{ subjects { nodes { name } } }' }) } : {}),
      });
      expect([method, [401, 405].includes(answer.status), (await answer.text()).includes(HOSPITAL.name)]).toEqual([method, true, false]);
    }
    for (const [path, status] of [
      ['/health', 200],
      ['/ready', 200],
      ['/ide/purposes.json', 200],
      ...[
        '/metrics',
        '/debug',
        '/debug/pprof',
        '/admin',
        '/graphiql',
        '/export',
        '/files',
        '/.env',
        '/schema',
        '/graphql/schema',
        '/api',
        '/',
        '/../package.json',
      ].map((other) => [other, 404] as const),
    ] as const) {
      const answer = await fetch(`${hub.url}${path}`);
      const text = await answer.text();
      expect([path, answer.status]).toEqual([path, status]);
      for (const name of [HOSPITAL.name, HENGYANG.name, ...SECRETS]) expect(text).not.toContain(name);
    }
  });
});

it('P1 nothing above was a fault of the hub', () => {
  expect(hub.faults).toEqual([]);
});
