/** What the API refuses: each with its code, a Chinese message, no data, and exactly one entry of the query log that repeats nothing. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { DOCTOR, HENGYANG, HOSPITAL, SECRETS } from './fixtures/credit-records.ts';
import type { Answer, Asking, LogRow, TestHub } from './setup/hub.ts';
import { openHub } from './setup/hub.ts';

let hub: TestHub;
beforeAll(async () => {
  hub = await openHub();
});
afterAll(() => hub.close());

const ID = DOCTOR.identifiers[0].code;
const CODE = HOSPITAL.identifiers[0].code;
const QUERY = `{ subject(code: "${CODE}") { name } }`;

interface Refusal {
  code: string;
  status: number;
  outcome?: 'refused' | 'invalid';
  /** Before the caller is known the log names nobody. */
  anonymous?: boolean;
}

/** Everything a refusal must be, and what must stand nowhere in it. */
async function expectRefusal(work: () => Promise<Answer>, refusal: Refusal, secrets: readonly string[] = []): Promise<LogRow> {
  const { result, added } = await hub.logged(work);
  expect({ status: result.status, codes: result.codes }).toEqual({ status: refusal.status, codes: [refusal.code] });
  expect(result.errors[0]?.message).toMatch(/\p{Script=Han}/u);
  expect(Object.values((result.data as object | null | undefined) ?? {}).filter((value) => value !== null)).toEqual([]);
  expect(added).toHaveLength(1);
  const [row] = added as [LogRow];
  const { entry } = row;
  expect({ outcome: entry.outcome, code: entry.code, person: entry.person }).toEqual({
    outcome: refusal.outcome ?? 'refused',
    code: refusal.code,
    person: refusal.anonymous ? { id: 'anonymous', name: '未认证' } : { id: 'wj-0001', name: '陈静' },
  });
  expect({ fields: entry.fields, subjects: entry.subjects, rows: entry.rows }).toEqual({ fields: [], subjects: [], rows: 0 });
  expect(result.extensions['log']).toMatchObject({ writer: row.writer, seq: row.seq, hash: row.hash });
  for (const secret of [...SECRETS, ...secrets]) {
    expect(result.text).not.toContain(secret);
    expect(row.body.toString('utf8')).not.toContain(secret);
  }
  return row;
}

const refused = (query: string, asking: Asking, refusal: Refusal, secrets?: readonly string[]): Promise<LogRow> =>
  expectRefusal(() => hub.ask(query, asking), refusal, secrets);

describe('a caller that is not known', () => {
  const nobody = { status: 401, anonymous: true };

  it('ZM-3.2.3 is refused without a token', () => refused(QUERY, { authorization: null }, { code: 'TOKEN_REQUIRED', ...nobody }));

  it.each(['', 'Bearer', 'Bearer two words', 'Basic d2otMDAwMTpzZWNyZXQ=', 'Token abc'])(
    'ZM-3.2.3 is refused with the malformed header "%s"',
    (authorization) => refused(QUERY, { authorization }, { code: 'TOKEN_REQUIRED', ...nobody }),
  );

  it('ZM-3.2.3 is refused with a token that is none, unsigned, signed by another or for another audience', async () => {
    const token = await hub.token();
    const [head = '', claims = '', signature = ''] = token.split('.');
    const unsigned = Buffer.from('{"alg":"none"}').toString('base64url');
    const foreign = await hub.token({ audience: 'another' });
    const altered = Buffer.from(Buffer.from(claims, 'base64url').toString().replace('health', 'tax')).toString('base64url');
    const flipped = `${signature.slice(0, 10)}${signature[10] === 'A' ? 'B' : 'A'}${signature.slice(11)}`;
    for (const wrong of [
      'x.y.z',
      `${unsigned}.${claims}.`,
      `${head}.${claims}.${flipped}`,
      `${head}.${altered}.${signature}`,
      foreign,
      await hub.token({ issuer: 'urn:another' }),
    ])
      await refused(QUERY, { authorization: `Bearer ${wrong}` }, { code: 'TOKEN_INVALID', ...nobody }, [claims, wrong]);
  });

  it('ZM-3.2.3 is refused with an expired token', async () => {
    const token = await hub.token({ expiresIn: -120 });
    await refused(QUERY, { authorization: `Bearer ${token}` }, { code: 'TOKEN_EXPIRED', ...nobody }, [token]);
  });

  it.each([
    ['of an unknown department', { department: 'fire-brigade' }],
    ['without a name', { name: '' }],
    ['whose name is blank', { name: '  ' }],
  ])('ZM-3.2.3 is refused with a token %s', async (_, claims) => {
    const token = await hub.token(claims);
    await refused(QUERY, { authorization: `Bearer ${token}` }, { code: 'CALLER_UNKNOWN', status: 403, anonymous: true });
  });
});

describe('a query without a good reason', () => {
  it('HN-23.2 is refused when no purpose is stated', () => refused(QUERY, { purpose: null }, { code: 'PURPOSE_REQUIRED', status: 400 }));

  it('HN-23.2 is refused for an unknown purpose, which the log does not repeat', async () => {
    const row = await refused(QUERY, { purpose: ID }, { code: 'PURPOSE_UNKNOWN', status: 400 });
    expect(row.entry.purpose.code).toBe('');
  });

  it('U2 is refused for a purpose outside those of the token', () =>
    refused(QUERY, { purposes: ['annual-assessment'] }, { code: 'NO_POLICY', status: 403 }));

  it.each([
    ['health', 'fund-payment'],
    ['tax', 'credit-evaluation'],
    ['public', 'credit-evaluation'],
    ['health', 'introspection'],
  ])('U2 is refused for %s, which has no policy for %s', async (department, purpose) => {
    const row = await refused(QUERY, { department, purpose }, { code: 'NO_POLICY', status: 403 });
    expect(row.entry).toMatchObject({ department, purpose: { code: purpose }, rules: [] });
  });

  it('HUB-4 is refused for a caller without a region where the policy holds for the own region', () =>
    refused(QUERY, { region: '' }, { code: 'NO_POLICY', status: 403 }));
});

describe('a request that is no query', () => {
  const bad = { status: 400, outcome: 'invalid' } as const;

  it.each(['', '{', `{"query": "${ID}`, '"text"', 'null', '[]', `[{"query":"{ __typename }"},{"query":"{ __typename }"}]`])(
    'HUB-5 is refused and logged when its body is of form %#',
    (body) => expectRefusal(() => hub.send(body), { code: 'MALFORMED_REQUEST', ...bad }),
  );

  it.each(['{}', '{"query":""}', '{"query":7}', '{"variables":{}}', '{"query":"{ __typename }","variables":"x"}'])(
    'HUB-5 is refused and logged when the parts of the body are wrong: %s',
    (body) => expectRefusal(() => hub.send(body), { code: 'BAD_REQUEST', ...bad }),
  );

  it('HUB-5 is refused when a form of another site could have sent it', () =>
    expectRefusal(() => hub.send(JSON.stringify({ query: QUERY }), { headers: { 'content-type': 'text/plain' } }), {
      code: 'UNSUPPORTED_MEDIA_TYPE',
      status: 415,
      outcome: 'invalid',
    }));

  it('HUB-5 is refused when a purpose header is not URI-encoded', () =>
    refused(QUERY, { purpose: '%E4%BD' }, { code: 'MALFORMED_REQUEST', ...bad }));

  it('HUB-5 is refused over 64 KB, and logged under the name of the caller', () =>
    expectRefusal(() => hub.send(JSON.stringify({ query: QUERY.padEnd(65_536) })), {
      code: 'BODY_TOO_LARGE',
      status: 413,
      outcome: 'invalid',
    }));

  it.each(['PUT', 'PATCH', 'DELETE', 'OPTIONS'])('HUB-5 is refused when it is sent by %s', (method) =>
    expectRefusal(() => hub.send(undefined, {}, method), { code: 'METHOD_NOT_ALLOWED', status: 405, outcome: 'invalid' }),
  );

  it('HN-5 is not echoed by an address that does not exist', async () => {
    const response = await fetch(`${hub.url}/subjects/${ID}`);
    expect(response.status).toBe(404);
    expect(await response.text()).not.toContain(ID);
  });
});

describe('a document that the graph does not take', () => {
  const invalid = (code: string): Refusal => ({ code, status: 400, outcome: 'invalid' });

  it.each([`{ subject(code: "${ID}"`, `{ subject(code: ${ID}X) { name } }`, `"${ID}"`, `{ subject ${ID} }`, ID])(
    'HN-5 is refused without an echo when its syntax is wrong: form %#',
    (query) => refused(query, {}, invalid('GRAPHQL_PARSE_FAILED')),
  );

  it.each([
    `{ subject(code: ${ID.slice(0, 17)}) { name } }`,
    `{ subjects(where: { kind: "${ID}" }) { nodes { name } } }`,
    `{ subjects(where: { kind: C${ID} }) { nodes { name } } }`,
    `{ subjects(where: "${ID}") { nodes { name } } }`,
    `{ records(where: { from: "${ID}" }) { nodes { id } } }`,
    `{ subjects(first: "${ID}") { nodes { name } } }`,
    `{ c${ID} }`,
  ])('HN-5 is refused without an echo when it does not fit the graph: form %#', (query) =>
    refused(query, {}, invalid('GRAPHQL_VALIDATION_FAILED'), [ID.slice(0, 17)]),
  );

  it('HUB-4 is refused for an unknown field, and nothing else is suggested', async () => {
    const { result } = await hub.logged(() => hub.ask(`{ subject(code: "${CODE}") { nam } }`));
    expect(result.codes).toEqual(['GRAPHQL_VALIDATION_FAILED']);
    expect(result.text).not.toContain('Did you mean');
  });

  it.each<[string, Record<string, unknown>]>([
    ['query ($v: Int!) { subjects(first: $v) { nodes { name } } }', { v: ID }],
    ['query ($v: Int!) { subjects(first: $v) { nodes { name } } }', {}],
    ['query ($v: SubjectWhereInput) { subjects(where: $v) { nodes { name } } }', { v: { kind: ID } }],
    ['query ($v: SubjectWhereInput) { subjects(where: $v) { nodes { name } } }', { v: { [`c${ID}`]: 1 } }],
    ['query ($v: RecordWhere) { records(where: $v) { nodes { id } } }', { v: { from: ID } }],
    ['query ($v: RecordWhere) { records(where: $v) { nodes { id } } }', { v: { violation: { amount: { from: ID } } } }],
  ])('HN-5 is refused without an echo when its variables do not fit: %s', (query, variables) =>
    refused(query, { variables }, invalid('BAD_USER_INPUT')),
  );

  it('HUB-5 is refused when it holds two operations and names none, or one that is not there', async () => {
    const two = `query A($s: Boolean!) { __typename @skip(if: $s) } query B { subjects { nodes { id } } }`;
    await refused(two, {}, invalid('OPERATION_RESOLUTION_FAILURE'));
    await refused(two, { operationName: ID }, invalid('OPERATION_RESOLUTION_FAILURE'));
  });

  it('HUB-5 is refused when it would change what the graph cannot change, or would go on answering', async () => {
    await refused('mutation { deleteSubject(id: "1") { id } }', {}, invalid('GRAPHQL_VALIDATION_FAILED'));
    const row = await refused('subscription { recordChanged { cursor } }', {}, { code: 'OPERATION_NOT_SUPPORTED', status: 400 });
    expect(row.entry.kind).not.toBe('introspection');
  });
});

it('HN-5 keeps numbers that stand in names out of the log, as those that stand in values', async () => {
  const query = `query Q${ID.slice(0, 17)}($v${ID.slice(0, 17)}: String!) { a${ID.slice(0, 17)}: subject(code: $v${ID.slice(0, 17)}) { name } }`;
  const { added } = await hub.logged(() => hub.ask(query, { variables: { [`v${ID.slice(0, 17)}`]: CODE, [`w${ID.slice(0, 17)}`]: 1 } }));
  const { rows } = await hub.pool.query<{ text: string }>('select text from log_document where hash = $1', [added[0]?.entry.document]);
  expect(added[0]?.entry).toMatchObject({ outcome: 'answered', operation: 'Q_' });
  expect(rows).toEqual([{ text: 'query Q_($v_:String!){a_:subject(code:$v_){name}}' }]);
  expect(added[0]?.body.toString('utf8')).not.toContain(ID.slice(0, 17));
});

describe('an argument that finds nothing', () => {
  const inside = (code: string, outcome: 'refused' | 'invalid' = 'invalid'): Refusal => ({ code, status: 200, outcome });

  it('HN-13 is answered alike whether the subject is unknown or outside the grant', async () => {
    const unknown = await refused(`{ subject(code: "H43010299999") { name } }`, {}, inside('SUBJECT_NOT_FOUND', 'refused'));
    const outside = `{ subject(code: "${HENGYANG.identifiers[0].code}") { name } }`;
    const hidden = await refused(outside, { region: '430100' }, inside('SUBJECT_NOT_FOUND', 'refused'));
    const { body: _1, ...one } = unknown;
    const { body: _2, ...other } = hidden;
    const alike = { document: '', durationMs: 0, region: '' };
    expect({ ...one.entry, ...alike }).toEqual({ ...other.entry, ...alike });
  });

  it('HN-13 names a code whose check digit is wrong as wrong', async () => {
    const wrong = `${ID.slice(0, 17)}${ID.endsWith('1') ? '2' : '1'}`;
    await refused(`{ subject(code: "${wrong}") { name } }`, {}, inside('BAD_CODE'), [wrong]);
    await refused('query ($c: String!) { subject(code: $c) { name } }', { variables: { c: wrong } }, inside('BAD_CODE'), [wrong]);
  });

  it.each([0, 201, -1])('HUB-4 refuses pages of %d', (first) =>
    refused(`{ subjects(first: ${first}) { nodes { id } } }`, {}, inside('BAD_PAGE_SIZE')),
  );

  it('HUB-4 refuses cursors that are forged, are ids, or belong to another list', async () => {
    const page = await hub.ask(
      `{ subjects(first: 1) { nodes { id } pageInfo { endCursor } } records(first: 1) { nodes { id } pageInfo { endCursor } } }`,
    );
    const { subjects, records } = page.data;
    const forged = `${subjects.pageInfo.endCursor.slice(0, -2)}${subjects.pageInfo.endCursor.endsWith('w') ? 'xA' : 'ww'}`;
    for (const after of ['', '1', forged, subjects.nodes[0].id, records.nodes[0].id, records.pageInfo.endCursor])
      await refused(`{ subjects(after: "${after}") { nodes { id } } }`, {}, inside('BAD_CURSOR'));
    for (const after of [forged, records.nodes[0].id, subjects.pageInfo.endCursor])
      await refused(`{ records(after: "${after}") { nodes { id } } }`, {}, inside('BAD_CURSOR'));
  });

  it('HUB-4 refuses a search by name that does not say whose', () =>
    refused('{ subjects(where: { name: "长沙" }) { nodes { id } } }', {}, inside('BAD_FILTER')));

  it.each([
    ['a literal', '{ records(where: { kind: "\\u0000" }) { nodes { id } } }', undefined],
    ['a literal in braces', '{ records(where: { kind: "\\u{0}" }) { nodes { id } } }', undefined],
    ['a variable', 'query ($k: String) { records(where: { kind: $k }) { nodes { id } } }', { k: 'a\0' }],
    [
      'a list in a variable',
      'query ($w: RecordWhere) { records(where: $w) { nodes { id } } }',
      { w: { evaluation: { grade: { in: ['\0'] } } } },
    ],
  ])('HUB-4 refuses U+0000 in %s, which the database does not have', (_, query, variables) =>
    refused(query, variables ? { variables } : {}, { code: 'BAD_TEXT', status: 400, outcome: 'invalid' }),
  );

  it('HUB-4 refuses the year 0, which the database does not have', () =>
    refused(
      '{ records(where: { from: "0000-01-01" }) { nodes { id } } }',
      {},
      { code: 'GRAPHQL_VALIDATION_FAILED', status: 400, outcome: 'invalid' },
    ));

  it('HUB-4 takes a condition of null for none', async () => {
    const answer = await hub.ask('{ records(where: null, asOf: null) { nodes { id } } subjects(where: null) { nodes { id } } }');
    expect({ status: answer.status, codes: answer.codes }).toEqual({ status: 200, codes: [] });
  });

  it('U3 refuses to explain a field that the catalog does not have', () =>
    refused(`{ explain(coordinate: "Person.p${ID}", purpose: "bidding") { access } }`, {}, inside('BAD_COORDINATE')));

  it('HN-5 keeps numbers of persons out of the case and basis that the log holds', async () => {
    const { added } = await hub.logged(() => hub.ask(QUERY, { case: `案2026-1(${ID})`, basis: `查ID${ID}一事` }));
    expect(added[0]?.entry.purpose).toEqual({ code: 'credit-evaluation', basis: '查ID***一事', case: '案2026-1(***)' });
  });
});

it('P1 nothing above was a fault of the hub', () => {
  expect(hub.faults).toEqual([]);
});
