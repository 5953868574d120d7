/** P12: what a short document can ask for is bounded before anything runs: refused quickly, with its own code, logged as no valid request. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { getIntrospectionQuery } from 'graphql';
import { HOSPITAL } from './fixtures/credit-records.ts';
import { type Asking, openHub, type TestHub } from './setup/hub.ts';

let hub: TestHub;
beforeAll(async () => {
  hub = await openHub();
});
afterAll(() => hub.close());

const CODE = HOSPITAL.identifiers[0].code;
const times = (count: number, text: (i: number) => string) => Array.from({ length: count }, (_, i) => text(i)).join(' ');
/** Records of subjects of records: three levels of fields a round. */
const nested = (rounds: number) =>
  `{ subjects { nodes { ${'records(first: 1) { nodes { subject { '.repeat(rounds)} id ${'} } }'.repeat(rounds)} } } }`;
/** Every fragment spreads the next one twice: what is executed doubles with each line. */
const doubling = (lines: number) =>
  `{ subjects(first: 1) { nodes { records(first: 1) { nodes { ...F0 } } } } } ${times(
    lines,
    (i) => `fragment F${i} on CreditRecord { a: sameFact { ...F${i + 1} } b: sameFact { ...F${i + 1} } }`,
  )} fragment F${lines} on CreditRecord { id }`;

async function expectTooLarge(query: string, limit: string, asking: Asking = {}): Promise<void> {
  const { result, added } = await hub.logged(() => hub.ask(query, asking));
  expect({ status: result.status, codes: result.codes }).toEqual({ status: 400, codes: ['QUERY_TOO_LARGE'] });
  expect(result.errors[0]?.message).toMatch(/查询超出规模限制/);
  expect(result.errors[0]?.extensions['limit']).toBe(limit);
  expect(result.text.length).toBeLessThan(1024);
  expect(added.map(({ entry }) => [entry.outcome, entry.code, entry.rows])).toEqual([['invalid', 'QUERY_TOO_LARGE', 0]]);
}

describe('P12 a query that would cost too much is refused', () => {
  it.each([
    ['fragments that double what is executed with each line', doubling(25), 'depth'],
    ['a few such fragments', doubling(7), 'rows'],
    ['fragments that double it without an alias', doubling(25).replaceAll(/[ab]: /g, ''), 'depth'],
    [
      'fragments that widen it without depth',
      `{ subjects(first: 1) { nodes { ...G0 } } } ${times(11, (i) => `fragment G${i} on Subject { ...G${i + 1} ... { ...G${i + 1} } }`)} fragment G11 on Subject { id }`,
      'breadth',
    ],
    ['deep nesting', nested(4), 'depth'],
    ['many aliases', `{ ${times(61, (i) => `a${i}: __typename`)} }`, 'aliases'],
    ['many aliases within', `{ subjects { nodes { ${times(61, (i) => `a${i}: id`)} } } }`, 'aliases'],
    ['many roots', `{ ${times(21, (i) => `a${i}: __typename`)} }`, 'roots'],
    ['one root over and over', `{ ${times(21, () => '__typename')} }`, 'repeats'],
    ['many roots in a fragment', `{ ...F ...F } fragment F on Query { ${times(11, () => '__typename')} }`, 'roots'],
    ['pages of pages', '{ subjects(first: 200) { nodes { records(first: 200) { nodes { id } } } } }', 'rows'],
    [
      'a page size that the default of a variable hides',
      'query ($n: Int! = 200) { subjects(first: $n) { nodes { records(first: $n) { nodes { id } } } } }',
      'rows',
    ],
    [
      'introspection that multiplies itself',
      `{ __schema { types { ${times(7, (i) => `f${i}: fields { type { ${times(7, (k) => `g${k}: fields { name }`)} } }`)} } } }`,
      'rows',
    ],
    ['more tokens than a document needs', `{ subjects { nodes { ${'id '.repeat(2000)} } } }`, 'tokens'],
    ['a literal too deep to parse', `{ subjects(where: { name: ${'['.repeat(990)} }) { nodes { id } } }`, 'nesting'],
  ])('%s', (_, query, limit) => expectTooLarge(query, limit));

  it('pages of pages whose sizes come as variables', () =>
    expectTooLarge('query ($n: Int!) { subjects(first: $n) { nodes { records(first: $n) { nodes { id } } } } }', 'rows', {
      variables: { n: 200 },
    }));

  it('and the hub goes on answering', async () => {
    for (let i = 0; i < 20; i += 1) await expectTooLarge(doubling(40), 'definitions');
    const answer = await hub.ask(`{ subject(code: "${CODE}") { name } }`);
    expect({ status: answer.status, codes: answer.codes }).toEqual({ status: 200, codes: [] });
    expect(hub.faults).toEqual([]);
  });
});

describe('P12 a query of ordinary size is answered', () => {
  const introspection = getIntrospectionQuery({
    inputValueDeprecation: true,
    specifiedByUrl: true,
    directiveIsRepeatable: true,
    oneOf: true,
  });
  it.each([
    ['the introspection of tools', introspection],
    ['a page of a hundred with a hundred records each', '{ subjects(first: 99) { nodes { records(first: 200) { nodes { id } } } } }'],
    ['an archive with its categories', `{ subject(code: "${CODE}") { archive { records(first: 100) { nodes { id sameFact { id } } } } } }`],
    ['sixty aliases', `{ subjects { nodes { ${times(60, (i) => `a${i}: id`)} } } }`],
    ['one fragment spread often', `{ subjects { nodes { ${'...F '.repeat(100)} } } } fragment F on Subject { id kind region }`],
  ])('%s', async (_, query) => {
    const answer = await hub.ask(query);
    expect({ status: answer.status, codes: answer.codes }).toEqual({ status: 200, codes: [] });
  });

  it('sizes of an operation that is not the one to run do not count', async () => {
    const query =
      'query A { subjects { nodes { id } } } query B { subjects(first: 200) { nodes { records(first: 200) { nodes { id } } } } }';
    expect((await hub.ask(query, { operationName: 'A' })).codes).toEqual([]);
    await expectTooLarge(query, 'rows', { operationName: 'B' });
  });
});
