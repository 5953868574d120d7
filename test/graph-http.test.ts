/** P19: the API speaks GraphQL over HTTP, and each of its forms is logged, bound to a purpose and kept by nobody on the way. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { gzipSync } from 'node:zlib';
import { serverAudits } from 'graphql-http';
import { DOCTOR, HOSPITAL } from './fixtures/credit-records.ts';
import { type LogRow, openHub, type TestHub } from './setup/hub.ts';

let hub: TestHub;
let authorization: string;
beforeAll(async () => {
  hub = await openHub();
  authorization = `Bearer ${await hub.token()}`;
});
afterAll(() => hub.close());

const CODE = HOSPITAL.identifiers[0].code;
const NUMBER = DOCTOR.identifiers[0].code;
const GRAPHQL = 'application/graphql-response+json';

interface Raw {
  status: number;
  headers: Headers;
  body: { data?: unknown; errors?: { message: string; extensions: { code: string } }[] };
  text: string;
}

/** A request with a token and a purpose and nothing else that is not given. */
async function call(path: string, init: RequestInit = {}): Promise<Raw> {
  const headers = new Headers(init.headers);
  headers.set('authorization', authorization);
  if (!headers.has('x-purpose')) headers.set('x-purpose', 'credit-evaluation');
  const response = await fetch(`${hub.url}/graphql${path}`, { ...init, headers });
  const text = await response.text();
  return { status: response.status, headers: response.headers, body: text === '' ? {} : (JSON.parse(text) as Raw['body']), text };
}

const post = (body: string | Buffer<ArrayBuffer>, headers: Record<string, string> = {}): Promise<Raw> =>
  call('', { method: 'POST', body, headers: { 'content-type': 'application/json', ...headers } });
const get = (parameters: Record<string, string>, headers: Record<string, string> = {}): Promise<Raw> =>
  call(`?${new URLSearchParams(parameters).toString()}`, { headers });
const codes = ({ body }: Raw): string[] => (body.errors ?? []).map((error) => error.extensions.code);
const query = (text: string, more: object = {}): string => JSON.stringify({ query: text, ...more });

describe('P19 the audits of GraphQL over HTTP', () => {
  const audits = serverAudits({
    url: () => `${hub.url}/graphql`,
    fetchFn: async (url: string, init: RequestInit = {}) => {
      const headers = new Headers(init.headers);
      headers.set('authorization', authorization);
      headers.set('x-purpose', 'credit-evaluation');
      return fetch(url, { ...init, headers });
    },
  });

  it('are 61', () => expect(audits).toHaveLength(61));

  it.each(audits.map(({ id, name, fn }) => [id, name, fn] as const))('%s %s', async (_id, _name, run) => {
    const result = await run();
    expect(result.status === 'ok' ? 'ok' : `${result.status}: ${result.reason}`).toBe('ok');
  });

  it('leave one entry of the log for each request', async () => {
    const before = (await hub.entries()).length;
    for (const { fn } of audits) await fn();
    expect((await hub.entries()).length - before).toBe(audits.length);
  });
});

describe('P19 a question by GET', () => {
  const BY_CODE = 'query Find($code: String!) { subject(code: $code) { name } }';

  it('HN-23.2 is answered, logged and bound to its purpose like one by POST, and kept by nobody', async () => {
    const { result, added } = await hub.logged(() => get({ query: BY_CODE, variables: JSON.stringify({ code: CODE }) }));
    expect({ status: result.status, data: result.body.data }).toEqual({ status: 200, data: { subject: { name: HOSPITAL.name } } });
    expect(result.headers.get('cache-control')).toBe('no-store');
    expect(result.headers.get('etag')).toBeNull();
    expect(added.map(({ entry }) => [entry.outcome, entry.operation, entry.purpose.code, entry.rows])).toEqual([
      ['answered', 'Find', 'credit-evaluation', 1],
    ]);
    expect(codes(await get({ query: BY_CODE, variables: JSON.stringify({ code: CODE }) }, { 'x-purpose': '' }))).toEqual([
      'PURPOSE_REQUIRED',
    ]);
  });

  it('takes its purpose from the extensions of the address', async () => {
    const extensions = JSON.stringify({ purpose: { code: 'annual-assessment', case: '案1' } });
    const { result, added } = await hub.logged(() => get({ query: '{ subjects { nodes { id } } }', extensions }, { 'x-purpose': '' }));
    expect(codes(result)).toEqual([]);
    expect(added[0]?.entry.purpose).toMatchObject({ code: 'annual-assessment', case: '案1' });
  });

  it.each([
    ['a variable', { query: BY_CODE, variables: JSON.stringify({ code: NUMBER }) }],
    ['a literal', { query: `{ subject(code: "${NUMBER}") { name } }` }],
    ['a parameter that nobody reads', { query: '{ __typename }', note: `see ${NUMBER.toLowerCase()}.` }],
  ])(
    'HN-5 is refused when the number of a person stands in %s of the address, and the number is repeated nowhere',
    async (_, parameters) => {
      const { result, added } = await hub.logged(() => get(parameters));
      expect({ status: result.status, codes: codes(result) }).toEqual({ status: 400, codes: ['NUMBER_IN_ADDRESS'] });
      expect(result.text).not.toContain(NUMBER);
      const [row] = added as [LogRow];
      expect(row.entry).toMatchObject({ outcome: 'invalid', code: 'NUMBER_IN_ADDRESS', person: { id: 'wj-0001' } });
      expect(row.body.toString('utf8')).not.toContain(NUMBER);
    },
  );

  it('changes nothing: a mutation is refused before it runs', async () => {
    const { result, added } = await hub.logged(() => get({ query: 'mutation { dismissIssue(id: "1", reason: "重复") { id } }' }));
    expect({ status: result.status, allow: result.headers.get('allow'), codes: codes(result) }).toEqual({
      status: 405,
      allow: 'POST',
      codes: ['METHOD_NOT_ALLOWED'],
    });
    expect(added.map(({ entry }) => entry.code)).toEqual(['METHOD_NOT_ALLOWED']);
  });

  it.each([
    ['without a question', ''],
    ['with two questions', '?query={__typename}&query={__typename}'],
    ['with variables that are a list', '?query={__typename}&variables=[]'],
    ['with extensions that are no JSON', '?query={__typename}&extensions={'],
  ])('is refused %s', async (_, path) => {
    const { result, added } = await hub.logged(() => call(path));
    expect(result.status).toBe(400);
    expect(added.map(({ entry }) => entry.outcome)).toEqual(['invalid']);
  });

  it('is none when it only asks for the head', async () => {
    const { added } = await hub.logged(async () => {
      const response = await fetch(`${hub.url}/graphql?query={__typename}`, { method: 'HEAD', headers: { authorization } });
      expect(response.status).toBe(405);
    });
    expect(added.map(({ entry }) => entry.code)).toEqual(['METHOD_NOT_ALLOWED']);
  });
});

describe('P19 the media type of an answer', () => {
  const type = (raw: Raw): string | null => raw.headers.get('content-type');

  it.each([
    [`${GRAPHQL}, application/json;q=0.9`, GRAPHQL],
    [`application/json, ${GRAPHQL}`, GRAPHQL],
    [`application/json, ${GRAPHQL};q=0.5`, 'application/json'],
    ['application/*', 'application/json'],
    ['text/html, */*;q=0.1', 'application/json'],
    [`${GRAPHQL};q=0, */*`, 'application/json'],
    ['multipart/mixed, application/json', 'application/json'],
    ['APPLICATION/JSON; charset=utf-8', 'application/json'],
  ])('for Accept: %s is %s', async (accept, expected) => {
    expect(type(await post(query('{ __typename }'), { accept }))).toBe(`${expected}; charset=utf-8`);
  });

  it.each(['multipart/mixed', 'text/html', 'application/json;q=0'])(
    'L35 is none of %s: refused before anything is read, and logged',
    async (accept) => {
      const { result, added } = await hub.logged(() => post(query(`{ subject(code: "${CODE}") { name } }`), { accept }));
      expect({ status: result.status, codes: codes(result), data: result.body.data }).toEqual({
        status: 406,
        codes: ['NOT_ACCEPTABLE'],
        data: undefined,
      });
      expect(added.map(({ entry }) => [entry.outcome, entry.code, entry.rows])).toEqual([['invalid', 'NOT_ACCEPTABLE', 0]]);
    },
  );

  it.each([
    ['{', 'GRAPHQL_PARSE_FAILED'],
    ['{ nothing }', 'GRAPHQL_VALIDATION_FAILED'],
    ['query ($n: Int!) { subjects(first: $n) { nodes { id } } }', 'BAD_USER_INPUT'],
  ])('turns the status of a wrong document into 200 under the older type only: %s', async (text, code) => {
    const older = await post(query(text), { accept: 'application/json' });
    const newer = await post(query(text), { accept: GRAPHQL });
    expect([older.status, newer.status]).toEqual([200, 400]);
    expect([codes(older), codes(newer)]).toEqual([[code], [code]]);
    expect('data' in newer.body).toBe(false);
  });

  it.each([
    ['a purpose that is missing', { 'x-purpose': '' }, '{ subjects { nodes { id } } }', 400],
    ['a refusal of access', { 'x-purpose': 'fund-payment' }, '{ subjects { nodes { name } } }', 403],
    ['a query that is too large', {}, `{ ${'__typename '.repeat(21)} }`, 400],
  ])('does not turn %s into 200', async (_, headers, text, status) => {
    expect((await post(query(text), { accept: 'application/json', ...headers })).status).toBe(status);
  });
});

describe('P19 the body of a request', () => {
  it.each([
    ['of another type', '{"query":"{ __typename }"}', { 'content-type': 'application/x-www-form-urlencoded' }],
    ['of a type that only begins alike', '{"query":"{ __typename }"}', { 'content-type': 'application/json+x' }],
    ['in another encoding of characters', '{"query":"{ __typename }"}', { 'content-type': 'application/json; charset=gb18030' }],
    ['compressed', gzipSync('{"query":"{ __typename }"}'), { 'content-encoding': 'gzip' }],
    ['of several parts', '{"query":"{ __typename }"}', { 'content-type': 'multipart/form-data; boundary=x' }],
  ])('is refused when it is %s', async (_, body, headers) => {
    const { result, added } = await hub.logged(() => post(body, headers));
    expect({ status: result.status, codes: codes(result) }).toEqual({ status: 415, codes: ['UNSUPPORTED_MEDIA_TYPE'] });
    expect(added.map(({ entry }) => entry.outcome)).toEqual(['invalid']);
  });

  it('is taken with the encoding it has by default', async () => {
    expect((await post(query('{ __typename }'), { 'content-type': 'application/json; charset="UTF-8"' })).status).toBe(200);
  });

  it('is refused when it is no UTF-8', async () => {
    const bytes = Buffer.concat([Buffer.from('{"query":"{ __typename } # '), Buffer.from([0xff, 0xfe, 0xc3]), Buffer.from('"}')]);
    expect(codes(await post(bytes))).toEqual(['MALFORMED_REQUEST']);
  });
});

it('P1 nothing above was a fault of the hub', () => {
  expect(hub.faults).toEqual([]);
});
