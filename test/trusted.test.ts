/** P14: where only registered documents may be asked, nothing else runs, and each is bound to its department, role and purpose. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { Refused } from '../src/errors.ts';
import { buildGraph } from '../src/resolvers/schema.ts';
import type { GraphRequest } from '../src/resolvers/request.ts';
import { byHash, hashOf, resolve, toRegister } from '../src/resolvers/trusted.ts';
import { ANONYMOUS } from '../src/resolvers/callers.ts';
import { keepTrusted, trustedDocuments, withdrawTrusted } from '../src/store/trusted.ts';
import { HOSPITAL } from './fixtures/credit-records.ts';
import { type Answer, type Asking, openHub, type TestHub, TODAY } from './setup/hub.ts';
import { MODEL, openStore } from './setup/store.ts';

const CODE = HOSPITAL.identifiers[0].code;
const FIND = 'query Find($code: String!) { subject(code: $code) { name } }';
const TWO = 'query One { subjects { nodes { id } } } query Two { records { nodes { id } } }';
const HEALTH = { department: 'health', role: '', purpose: 'credit-evaluation', region: '430000', operation: '', today: TODAY };
const schema = buildGraph(MODEL);
const register = (text: string, change: Partial<typeof HEALTH> = {}) =>
  toRegister(schema, MODEL, MODEL.limits, { ...HEALTH, ...change, text });

describe('P14 a document that is registered', () => {
  it('is bound to the hash of its very bytes, its department, role, purpose and operation', () => {
    expect(register(FIND)).toEqual({
      hash: hashOf(FIND),
      department: 'health',
      role: '',
      purpose: 'credit-evaluation',
      operation: 'Find',
      text: FIND,
    });
    expect(register(TWO, { operation: 'Two', role: 'officer' })).toMatchObject({ operation: 'Two', role: 'officer' });
  });

  it.each([
    ['is no GraphQL', '{ subject(', {}, /Syntax Error/],
    ['does not fit the graph', '{ nothing }', {}, /Cannot query field/],
    ['is beyond the limits', `{ ${'a: subjects { nodes { id } } '.repeat(30)} }`, {}, /规模限制/],
    ['has several operations and names none', TWO, {}, /2 operations/],
    ['names an operation that is not there', TWO, { operation: 'Three' }, /no operation Three/],
    ['is for no department', FIND, { department: 'fire-brigade' }, /codes\/departments/],
    ['is for no purpose', FIND, { purpose: 'curiosity' }, /codes\/purposes/],
    ['is for a purpose without a policy', FIND, { purpose: 'fund-payment' }, /授权/],
  ])('is none when it %s', (_, text, change, reason) => {
    expect(() => register(text, change)).toThrow(reason);
  });

  it('is none when the policies would withhold a field of it, even one that only a variable switches on', () => {
    const tax = { department: 'tax', purpose: 'fiscal-support' };
    const asking = (directive: string) =>
      `query ($code: String!, $more: Boolean = false) { subject(code: $code) { name ... on Organisation { institutionCode ${directive} } } }`;
    expect(() => register(asking('@include(if: $more)'), tax)).toThrow(/Organisation\.institutionCode/);
    expect(() =>
      register(
        'query ($code: String!, $more: Boolean!) { subject(code: $code) { name @skip(if: $more) ... @include(if: $more) { ... on Organisation { institutionCode } } } }',
        tax,
      ),
    ).toThrow(/Organisation\.institutionCode/);
    expect(register('query ($code: String!) { subject(code: $code) { name } }', tax).department).toBe('tax');
  });

  it('is kept, listed, withdrawn, and registered again', async () => {
    const store = await openStore();
    try {
      const document = register(FIND);
      await keepTrusted(store.pool, document, 'o-1');
      await keepTrusted(store.pool, document, 'o-1');
      expect(await trustedDocuments(store.pool)).toEqual([document]);
      expect(await withdrawTrusted(store.pool, document.hash, 'tax', 'o-1')).toBe(0);
      expect(await withdrawTrusted(store.pool, document.hash, 'health', 'o-1')).toBe(1);
      expect(await trustedDocuments(store.pool)).toEqual([]);
      await keepTrusted(store.pool, document, 'o-2');
      expect(await trustedDocuments(store.pool)).toEqual([document]);
    } finally {
      await store.drop();
    }
  });
});

describe('P14 none of ten thousand', () => {
  const known = byHash([register(FIND), register(TWO, { operation: 'Two', role: 'auditor' })]);
  const asked = (request: Partial<GraphRequest>): GraphRequest => ({
    method: 'POST',
    query: undefined,
    documentId: undefined,
    operationName: undefined,
    variables: {},
    extensions: {},
    ...request,
  });
  const officer = { ...ANONYMOUS, id: 'o-1', department: 'health', role: 'officer' };
  const purpose = { code: 'credit-evaluation', basis: '', case: '' };
  const codeOf = (work: () => unknown): string => {
    try {
      work();
      return 'taken';
    } catch (error) {
      return error instanceof Refused ? error.code : String(error);
    }
  };

  it('changed documents and made-up ids is taken', () => {
    const texts = [FIND, TWO];
    const changed = fc
      .record({
        text: fc.constantFrom(...texts),
        at: fc.nat(200),
        what: fc.oneof(fc.string({ minLength: 1, maxLength: 5 }), fc.constantFrom(' ', '\n', ',', '#', '﻿', 'id ')),
        cut: fc.nat(3),
      })
      .map(({ text, at, what, cut }) => text.slice(0, at) + what + text.slice(at + cut))
      .filter((text) => !texts.includes(text));
    const id = fc.oneof(
      fc.string(),
      fc.string({ unit: fc.constantFrom(...'0123456789abcdef'), minLength: 64, maxLength: 64 }),
      fc.nat(63).map((at) => hashOf(FIND).slice(0, at) + (hashOf(FIND)[at] === '0' ? '1' : '0') + hashOf(FIND).slice(at + 1)),
      fc.constant(hashOf(FIND).toUpperCase()),
      fc.constantFrom('__proto__', 'constructor', ''),
    );
    const request = fc.oneof(
      changed.map((query) => asked({ query })),
      id.map((documentId) => asked({ documentId })),
      id.map((sha256Hash) => asked({ extensions: { persistedQuery: { version: 1, sha256Hash } } })),
      fc.constant(asked({ extensions: { persistedQuery: { version: 1 } } })),
      changed.map((query) => asked({ query, documentId: hashOf(FIND) })),
    );
    const taken: GraphRequest[] = [];
    fc.assert(
      fc.property(request, (one) => {
        const code = codeOf(() => resolve(known, 'trusted', one, officer, purpose));
        if (code === 'taken' && (one.query !== undefined || one.documentId !== undefined || one.extensions['persistedQuery'] !== undefined))
          taken.push(one);
        return code === 'DOCUMENT_UNKNOWN' || code === 'DOCUMENT_MISMATCH' || (code === 'taken' && taken.length === 0);
      }),
      { numRuns: 10_000 },
    );
    expect(taken).toEqual([]);
  });

  it('L37 is told apart: unknown, of another department, role, purpose or operation', () => {
    const mine = asked({ documentId: hashOf(FIND) });
    const two = asked({ documentId: hashOf(TWO) });
    const refusal = (work: () => unknown): unknown => {
      try {
        return work();
      } catch (error) {
        const { code, message, status, details } = error as Refused;
        return { code, message, status, details };
      }
    };
    const unknown = refusal(() => resolve(known, 'trusted', asked({ documentId: hashOf('x') }), officer, purpose));
    expect(unknown).toMatchObject({ code: 'DOCUMENT_UNKNOWN', status: 403 });
    for (const work of [
      () => resolve(known, 'trusted', mine, { ...officer, department: 'tax' }, purpose),
      () => resolve(known, 'trusted', mine, officer, { ...purpose, code: 'annual-assessment' }),
      () => resolve(known, 'trusted', mine, officer, undefined),
      () => resolve(known, 'trusted', two, officer, purpose),
      () => resolve(known, 'trusted', { ...two, operationName: 'One' }, { ...officer, role: 'auditor' }, purpose),
    ])
      expect(refusal(work)).toEqual(unknown);
    expect(resolve(known, 'trusted', two, { ...officer, role: 'auditor' }, purpose)).toEqual({ query: TWO, operationName: 'Two' });
  });
});

describe('P14 a hub that takes registered documents only', () => {
  let hub: TestHub;
  beforeAll(async () => {
    hub = await openHub({ server: { documentMode: 'trusted' } });
    await keepTrusted(hub.pool, register(FIND), 'o-1');
    await keepTrusted(hub.pool, register(TWO, { operation: 'One' }), 'o-1');
    // Taken within the time that the hub reads them anew.
    for (let i = 0; i < 100 && (await byId({ documentId: hashOf(FIND), variables: { code: CODE } })).status !== 200; i += 1)
      await new Promise((resolveLater) => setTimeout(resolveLater, 100));
  });
  afterAll(() => hub.close());

  const byId = (body: object, asking: Asking = {}): Promise<Answer> => hub.send(JSON.stringify(body), asking);
  const found = { subject: { name: HOSPITAL.name } };

  it('answers it by its id, by its persisted hash, by its very text, and by GET', async () => {
    const variables = { code: CODE };
    const bodies = [
      { documentId: hashOf(FIND), variables },
      { documentId: `sha256:${hashOf(FIND)}`, variables, operationName: 'Find' },
      { extensions: { persistedQuery: { version: 1, sha256Hash: hashOf(FIND) } }, variables },
      { query: FIND, variables },
      { query: FIND, extensions: { persistedQuery: { version: 1, sha256Hash: hashOf(FIND) } }, variables },
    ];
    for (const body of bodies) expect((await byId(body)).data).toEqual(found);
    const response = await fetch(
      `${hub.url}/graphql?${new URLSearchParams({ documentId: hashOf(FIND), variables: JSON.stringify(variables) }).toString()}`,
      {
        headers: { authorization: `Bearer ${await hub.token()}`, 'x-purpose': 'credit-evaluation' },
      },
    );
    expect(await response.json()).toMatchObject({ data: found });
  });

  it('runs the operation that was registered, and logs its document', async () => {
    const { result, added } = await hub.logged(() => byId({ documentId: hashOf(TWO) }));
    expect(Object.keys(result.data as object)).toEqual(['subjects']);
    expect(added.map(({ entry }) => [entry.operation, entry.outcome])).toEqual([['One', 'answered']]);
    expect((await byId({ documentId: hashOf(TWO), operationName: 'Two' })).codes).toEqual(['DOCUMENT_UNKNOWN']);
  });

  it.each<[string, object, Asking, string, number]>([
    ['another text', { query: `${FIND} `, variables: { code: CODE } }, {}, 'DOCUMENT_UNKNOWN', 403],
    ['introspection', { query: '{ __schema { types { name } } }' }, {}, 'DOCUMENT_UNKNOWN', 403],
    ['what is no GraphQL: it is not even read', { query: '{'.repeat(5000) }, {}, 'DOCUMENT_UNKNOWN', 403],
    [
      'the id of another purpose',
      { documentId: hashOf(FIND), variables: { code: CODE } },
      { purpose: 'annual-assessment' },
      'DOCUMENT_UNKNOWN',
      403,
    ],
    [
      'L37 the id of another department',
      { documentId: hashOf(FIND), variables: { code: CODE } },
      { department: 'tax' },
      'DOCUMENT_UNKNOWN',
      403,
    ],
    ['an id and another text', { documentId: hashOf(FIND), query: '{ __typename }' }, {}, 'DOCUMENT_MISMATCH', 400],
    ['two ids', { documentId: hashOf(FIND), extensions: { persistedQuery: { sha256Hash: hashOf(TWO) } } }, {}, 'DOCUMENT_MISMATCH', 400],
    ['neither a text nor an id', { variables: {} }, {}, 'BAD_REQUEST', 400],
  ])('refuses %s, and logs it', async (_, body, asking, code, status) => {
    const { result, added } = await hub.logged(() => byId(body, asking));
    expect({ status: result.status, codes: result.codes, data: result.data }).toEqual({ status, codes: [code], data: undefined });
    expect(added.map(({ entry }) => [entry.code, entry.document, entry.rows])).toEqual([[code, '', 0]]);
  });

  it('runs none of two hundred changed documents', async () => {
    const changed = Array.from({ length: 200 }, (_, i) => `${FIND.slice(0, i % FIND.length)} ${FIND.slice(i % FIND.length)}`);
    const { result, added } = await hub.logged(() => Promise.all(changed.map((query) => byId({ query, variables: { code: CODE } }))));
    expect(new Set(result.flatMap(({ codes }) => codes))).toEqual(new Set(['DOCUMENT_UNKNOWN']));
    expect(added).toHaveLength(200);
  });

  it('refuses it soon after it was withdrawn', async () => {
    expect(await withdrawTrusted(hub.pool, hashOf(TWO), 'health', 'o-1')).toBe(1);
    let codes: string[] = [];
    for (let i = 0; i < 100 && codes.length === 0; i += 1) {
      ({ codes } = await byId({ documentId: hashOf(TWO) }));
      await new Promise((resolveLater) => setTimeout(resolveLater, 100));
    }
    expect(codes).toEqual(['DOCUMENT_UNKNOWN']);
    expect((await byId({ documentId: hashOf(FIND), variables: { code: CODE } })).data).toEqual(found);
  });

  it('P1 and none of this was a fault of the hub', () => expect(hub.faults).toEqual([]));
});
