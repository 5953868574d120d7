/** The suite of P10, in parts that run beside each other. */
import { describe, expect, it } from '@jest/globals';
import { buildGraph } from '../../src/resolvers/schema.ts';
import { coordinatesIn } from './graph-documents.ts';
import { type CallerCase, callerCases, grantFor, openPair, type Told, toldOf } from './pairs.ts';
import { MODEL } from './store.ts';
import { SEED } from './seed.ts';

const DEEP = process.env['HUB_DEEP'] === '1';
const COUNT = Number(process.env['HUB_DOCUMENTS'] ?? (DEEP ? 20_000 : 2000));
const TIMEOUT = DEEP ? 7_200_000 : 600_000;

/** Documents for each caller, so that each policy gets `COUNT`: a department's policy has as many callers as it has sets of rules. */
function countFor(one: CallerCase, cases: readonly CallerCase[]): number {
  return Math.ceil(COUNT / cases.filter(({ department }) => department === one.department).length);
}

/** The types of records that a caller may see rows of. */
const typesOf = (one: CallerCase): string[] =>
  grantFor(MODEL, one)
    .scopes.flatMap((scope) => [...scope.categories])
    .map((no) => MODEL.categories.get(no)?.type ?? '');

/** Every `of`-th caller from the `part`-th on. Each part covers the whole graph by itself. */
export function twoWorlds(part: number, of: number): void {
  const every = callerCases(MODEL);
  const cases = every.filter((_, i) => i % of === part);
  const coverage = new Map<string, number>();
  const all = { asked: 0, answered: 0, types: new Set<string>() };
  const unused = () => coordinatesIn(buildGraph(MODEL)).filter((coordinate) => !coverage.has(coordinate));

  function check(one: CallerCase, told: Told): void {
    if (told.difference) throw new Error(toldOf(one, SEED, told.difference));
    for (const fault of ['GRAPHQL_PARSE_FAILED', 'GRAPHQL_VALIDATION_FAILED', 'BAD_USER_INPUT', 'INTERNAL_SERVER_ERROR'])
      expect([...told.codes.keys()]).not.toContain(fault);
    all.asked += told.asked;
    all.answered += told.answered;
    for (const type of told.types) all.types.add(type);
  }

  describe(`P10 two worlds, ${COUNT} documents for each policy, seed ${SEED}`, () => {
    it.each(cases.map((one) => [one.name, one] as const))(
      'P10 are one world for %s',
      async (_, one) => {
        const pair = await openPair(one, SEED, { coverage });
        try {
          expect(await pair.rows('A')).not.toBe(await pair.rows('B'));
          check(one, await pair.run(countFor(one, every)));
          const unseen = () => typesOf(one).filter((type) => !all.types.has(type));
          for (let rest = 0; unseen().length > 0 && rest < 100; rest += 1) check(one, await pair.run(10));
          if (one !== cases.at(-1)) return;
          // What comes up late is asked for by the last of them.
          pair.documents.avoidNothing();
          for (let rest = 0; unused().length > 0 && rest < 100; rest += 1) check(one, await pair.run(10));
        } finally {
          expect([...pair.hubs.A.faults, ...pair.hubs.B.faults]).toEqual([]);
          await pair.close();
        }
      },
      TIMEOUT,
    );

    it('P10 leave no rule of any policy out, and no type, field, argument or value of the graph', () => {
      const rules = new Set(every.flatMap((one) => one.rules));
      expect(MODEL.rules.map((rule) => rule.id).filter((id) => !rules.has(id))).toEqual([]);
      expect(unused()).toEqual([]);
    });

    it('P10 find rows of every kind: documents that all are refused would find no leak', () => {
      expect(all.answered / all.asked).toBeGreaterThan(0.2);
      const types = new Set(cases.flatMap(typesOf));
      expect([...types, 'Organisation', 'Person'].filter((type) => !all.types.has(type))).toEqual([]);
    });
  });
}
