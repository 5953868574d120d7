/** A remembered decision is the one that would be made: for whoever asks, whatever was asked before. */
import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { parse } from 'graphql';
import { decide, type Grant } from '../src/access/decide.ts';
import { Refused } from '../src/errors.ts';
import { loadModel } from '../src/model/load.ts';
import { askedBy, protectedCoordinates } from '../src/resolvers/coordinates.ts';
import { deciding, type Question } from '../src/resolvers/decision.ts';
import { buildGraph } from '../src/resolvers/schema.ts';

const model = loadModel(new URL('../schema/', import.meta.url).pathname);
const schema = buildGraph(model);
const known = protectedCoordinates(model);
const DOCUMENTS = [
  '{ subjects(first: 1) { nodes { ... on Person { name idNumber } } } }',
  'query A { records { nodes { ... on ViolationRecord { facts amount } } } } query B { records { nodes { ... on HonourRecord { title } } } }',
  'query A($deep: Boolean!) { subjects { nodes { ... on Person { name @include(if: $deep) idNumber @skip(if: $deep) } } } }',
  'query A($where: SubjectWhereInput) { subjects(where: $where) { nodes { id } } }',
].map((text) => parse(text));

const question: fc.Arbitrary<Question> = fc
  .record({
    document: fc.constantFrom(...DOCUMENTS),
    operationName: fc.constantFrom('A', 'B'),
    variables: fc.record({
      deep: fc.boolean(),
      where: fc.constantFrom({}, { kind: 'person', name: '陈' }, { kind: 'organisation', name: '医院' }, { name: '院' }),
    }),
    caller: fc.record({
      id: fc.constantFrom('a', 'b'),
      name: fc.constant('陈静'),
      department: fc.constantFrom('health', 'tax', 'market-supervision', 'court'),
      role: fc.constantFrom('officer', 'other'),
      region: fc.constantFrom('430000', '430100', ''),
      actingFor: fc.constantFrom('', 'x'),
      purposes: fc.constantFrom(undefined, ['bidding']),
    }),
    purpose: fc.record({
      code: fc.constantFrom('credit-evaluation', 'bidding', 'fiscal-support'),
      basis: fc.constant(''),
      case: fc.constantFrom('', '案1', '案2'),
    }),
    today: fc.constantFrom('2026-11-23', '2026-11-24'),
  })
  .map((one) => ({ ...one, operationName: one.document === DOCUMENTS[1] ? one.operationName : one.document === DOCUMENTS[0] ? '' : 'A' }));

function outcome(work: () => Grant): unknown {
  try {
    return work();
  } catch (error) {
    if (error instanceof Refused) return { code: error.code, details: error.details };
    throw error;
  }
}

describe('remembered decisions', () => {
  it('L32 are those that would be made anew, in any order of callers, purposes, days, documents and variables', () => {
    const decider = deciding(schema, model);
    fc.assert(
      fc.property(fc.array(question, { minLength: 1, maxLength: 12 }), (questions) => {
        for (const one of questions) {
          const fresh = () =>
            decide(
              model,
              one.caller,
              one.purpose,
              askedBy(schema, model, known, one.document, one.operationName, one.variables),
              one.today,
            );
          expect(outcome(() => decider.grant(one))).toEqual(outcome(fresh));
        }
      }),
      { numRuns: 300, seed: 20261123 },
    );
  });

  it('L32 are kept: the same question again gives the very same grant', () => {
    const decider = deciding(schema, model);
    const granted = (q: Question) => outcome(() => decider.grant(q)) as Partial<Grant>;
    const one = fc.sample(question, { numRuns: 200, seed: 3 }).find((q) => q.document === DOCUMENTS[0] && granted(q).scopes !== undefined);
    expect(one).toBeDefined();
    if (one) expect(granted(one)).toBe(granted({ ...one, caller: { ...one.caller } }));
  });
});
