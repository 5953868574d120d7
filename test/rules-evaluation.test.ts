/** Evaluation, inspection ratios, measures, streaks and reports: the documents' own numbers, edges included. */
import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import type { Evaluation, Indicator, Pack } from '../src/model/types.ts';
import { evaluate, type Evaluated, type EvaluatedFact, evaluationDue } from '../src/rules/evaluate.ts';
import { measuresFor, mayTake, permittedBy, type Standing } from '../src/rules/measures.ts';
import { headCount, inspectionRatio } from '../src/rules/ratio.ts';
import { reportValid } from '../src/rules/report.ts';
import { streakOf } from '../src/rules/streak.ts';
import { MODEL } from './setup/store.ts';

const pack = (id: string): Pack => MODEL.packs.get(id) as Pack;
const hunan = pack('hunan').evaluation as Evaluation;
let nth = 0;
const fact = (category: number, kind: string, fields: Record<string, unknown> = {}): EvaluatedFact => ({
  id: `r${String((nth += 1)).padStart(4, '0')}`,
  category,
  kind,
  fields,
});
const subject = (facts: EvaluatedFact[], exemptions: string[] = []) => ({ roles: ['designated-medical-institution'], facts, exemptions });
const graded = (facts: EvaluatedFact[], rules = hunan) => evaluate(rules, subject(facts)) as Evaluated;

/** Rules that take a stated number of points, to reach each edge. */
const taking = (points: number): Evaluation => {
  const indicator: Indicator = {
    code: 'x',
    zh: 'x',
    en: 'x',
    dimension: 'x',
    module: 'deduction',
    roles: [],
    facts: { category: 9, kinds: [], where: {} },
    each: points,
    most: points,
    cite: 'HN-19',
    provisional: true,
  };
  const bonus: Indicator = {
    ...indicator,
    code: 'b',
    module: 'bonus',
    facts: { category: 10, kinds: [], where: {} },
    each: 3000,
    most: 3000,
  };
  return { ...hunan, indicators: [indicator, bonus] };
};

describe('evaluation', () => {
  it.each([
    [10_000, 'hunan:A', false],
    [8501, 'hunan:A', false],
    [8500, 'hunan:A', true],
    [8499, 'hunan:B', false],
    [6500, 'hunan:B', true],
    [6499, 'hunan:C', false],
    [4000, 'hunan:C', true],
    [3999, 'hunan:D', false],
    [3000, 'hunan:D', false],
  ])('HN-19 %d hundredths of a point are grade %s, and a score of two grades says so: %s', (score, grade, edge) => {
    const found = graded([fact(10, 'honour'), fact(9, 'violation')], taking(10_000 - score));
    expect([found.score, found.grade, found.sharedEdge]).toEqual([score, grade, edge]);
  });

  it('HN-19 with nothing known a subject keeps its 70 points and earns no bonus', () => {
    expect(graded([])).toMatchObject({ score: 7000, bonus: 0, deduction: 0, grade: 'hunan:B', points: [] });
  });

  it('HN-19 every point names its record and its article; what is over the most of an indicator counts nothing and is still shown', () => {
    const facts = [1, 2, 3, 4].map(() => fact(9, 'violation', { violationArticle: 'regulation-38' }));
    const found = graded(facts);
    expect(found.points.map(({ points }) => points)).toEqual([-1500, -1500, -1500, 0]);
    expect(found.points.map((point) => point.fact)).toEqual(facts.map(({ id }) => id));
    expect(found.points.every(({ cite, provisional }) => cite === 'HN-14' && provisional)).toBe(true);
    expect(found).toMatchObject({ deduction: 4500, score: 2500, grade: 'hunan:D' });
  });

  it('HN-20 a subject that is not evaluated has a reason for it, whatever its facts', () => {
    expect(evaluate(hunan, subject([fact(9, 'violation')], ['no-fund-use']))).toEqual({
      outcome: 'not-evaluated',
      reason: 'no-fund-use',
      cite: 'HN-20',
    });
    expect(evaluationDue(hunan, 2026)).toBe('2027-04-30');
  });

  it('HN-24.3 a disputed fact counts and is marked', () => {
    const found = graded([{ ...fact(9, 'violation'), disputed: true }]);
    expect(found.points).toMatchObject([{ points: -1500, disputed: true }]);
  });

  it('HN-19 the score is in its bounds, does not hang on the order of the facts, and a further bad record never raises it', () => {
    const kinds = hunan.indicators.map(({ facts }) => facts);
    const facts = fc.array(
      fc.nat({ max: kinds.length - 1 }).map((i) => {
        const { category, kinds: of, where } = kinds[i] as (typeof kinds)[number];
        return fact(category, of[0] ?? 'x', Object.fromEntries(Object.entries(where).map(([field, [value]]) => [field, value])));
      }),
      { maxLength: 20 },
    );
    fc.assert(
      fc.property(facts, (some) => {
        const found = graded(some);
        expect(found.score).toBeGreaterThanOrEqual(0);
        expect(found.score).toBeLessThanOrEqual(10_000);
        expect(graded(some.toReversed())).toEqual(found);
        expect(graded([...some, fact(9, 'violation')]).score).toBeLessThanOrEqual(found.score);
        expect(graded([...some, fact(10, 'honour')]).score).toBeGreaterThanOrEqual(found.score);
        expect(found.points.reduce((sum, { points }) => sum + Math.max(0, points), 0)).toBeGreaterThanOrEqual(found.bonus);
      }),
    );
  });

  it('WG-11 SZ-4.3 what a platform grades is not scored here', () => {
    expect(() => evaluate(pack('wugang').evaluation as Evaluation, subject([]))).toThrow(RangeError);
    expect((pack('shenzhen').evaluation as Evaluation).wordsOnly).toEqual([
      'pharmaceutical-enterprise',
      'insured-employer',
      'insured-person',
    ]);
  });
});

describe('inspection ratios', () => {
  const ask = (id: string, grade: string, original: number, level: 'province' | 'city' | 'county' = 'county') =>
    inspectionRatio(pack(id).ratios, { grade, kind: 'organisation', level, original });

  it.each([
    ['wugang', 'wugang:excellent', 2000, 'at-most', 600, false],
    ['wugang', 'wugang:good', 2000, 'exactly', 1000, false],
    ['wugang', 'wugang:medium', 2000, 'exactly', 2000, false],
    ['wugang', 'wugang:poor', 2000, 'exactly', 2400, false],
    ['wugang', 'wugang:poor', 9000, 'exactly', 10_000, true],
    ['wugang', 'wugang:bad', 2000, 'exactly', 10_000, false],
    ['hunan', 'hunan:A', 2000, 'at-most', 1000, false],
    ['hunan', 'hunan:C', 2000, 'exactly', 2000, false],
  ] as const)('WG-11.r HN-31.2 %s %s of %d: %s %d', (id, grade, original, bound, share, capped) => {
    expect(ask(id, grade, original)).toMatchObject({ bound, share, capped });
  });

  it('HN-31.2 a provincial or city inspection of an A draws at most 30 % of the original, of a B 50 %', () => {
    expect(ask('hunan', 'hunan:A', 2000, 'city')).toMatchObject({ share: 600, cites: ['HN-31.2'] });
    expect(ask('hunan', 'hunan:B', 2000, 'province').share).toBe(1000);
  });

  it('WG-11.r heads are rounded down under an upper bound, up for a raised ratio, and never more than there are', () => {
    expect(headCount(ask('wugang', 'wugang:excellent', 3000), 3000, 37)).toBe(3);
    expect(headCount(ask('wugang', 'wugang:poor', 3000), 3000, 37)).toBe(14);
    expect(headCount(ask('wugang', 'wugang:bad', 3000), 3000, 37)).toBe(37);
    expect(() => ask('wugang', 'wugang:good', 10_001)).toThrow(RangeError);
  });
});

describe('measures', () => {
  const standing = (over: Partial<Standing>): Standing => ({
    kind: 'organisation',
    roles: ['designated-medical-institution'],
    grades: [],
    dishonest: false,
    serious: false,
    falseCommitment: false,
    ...over,
  });
  const eligible = (id: string, over: Partial<Standing>) =>
    measuresFor(pack(id).measures, standing(over))
      .filter((one) => one.eligible)
      .map(({ measure }) => measure.code);

  it('HN-31.1 incentives need A or B and no dishonest record; only an A is made public', () => {
    expect(eligible('hunan', { grades: ['hunan:A'] })).toEqual([
      'publicity',
      'fewer-checks',
      'lower-deposit',
      'tolerant-acceptance',
      'pay-first',
    ]);
    expect(eligible('hunan', { grades: ['hunan:B'] })).toEqual(['fewer-checks', 'lower-deposit', 'tolerant-acceptance', 'pay-first']);
    expect(eligible('hunan', { grades: ['hunan:A'], dishonest: true })).toEqual([]);
    expect(eligible('hunan', { grades: ['hunan:C'] })).toEqual([]);
  });

  it('HN-31.3 insured persons with A, B and C, but not D, may pay on credit', () => {
    const person = (grade: string) => eligible('hunan', { kind: 'person', roles: ['insured-person'], grades: [grade] });
    expect(
      [person('hunan:A'), person('hunan:B'), person('hunan:C'), person('hunan:D')].map((codes) => codes.includes('credit-payment')),
    ).toEqual([true, true, true, false]);
  });

  it('HN-32 HN-33 what is taken against a D, and against a serious offender of whatever grade', () => {
    expect(eligible('hunan', { grades: ['hunan:D'] })).toEqual(['warning-talk', 'key-supervision', 'higher-deposit']);
    expect(eligible('hunan', { serious: true })).toEqual(['joint-punishment', 'terminate-agreement', 'key-review']);
    expect(eligible('hunan', { falseCommitment: true })).toEqual(['no-tolerance']);
  });

  it('WG-13 a poor grade of Wugang is no D of Hunan', () => {
    expect(eligible('hunan', { grades: ['wugang:poor'] })).toEqual([]);
    expect(eligible('wugang', { grades: ['wugang:poor'] })).toEqual(['warning-talk', 'key-supervision']);
  });

  it('HN-31.0 each refusal names the conditions that are not met', () => {
    const [publicity] = measuresFor(pack('hunan').measures, standing({ kind: 'person', grades: ['hunan:B'], dishonest: true }));
    expect(publicity?.missing).toEqual(['grade', 'kind', 'no-dishonest-record']);
  });

  it('HN-34 a constraint is taken only under a list of measures in force that day', () => {
    const ban = pack('hunan').measures.find(({ code }) => code === 'management-ban')!;
    const lists = [{ list: 'national-base', from: '2025-01-01', to: '2025-12-31' }];
    expect(permittedBy(ban, lists, '2025-12-31')).toEqual(['national-base']);
    expect([mayTake(ban, lists, '2024-12-31'), mayTake(ban, lists, '2025-01-01'), mayTake(ban, lists, '2026-01-01')]).toEqual([
      false,
      true,
      false,
    ]);
    expect(mayTake(pack('hunan').measures[0]!, [], '2026-01-01')).toBe(true);
  });
});

describe('streaks', () => {
  const excellent = pack('wugang').streaks[0]!;
  const clean = pack('shandong').streaks[0]!;
  const year = (at: number, grade = 'wugang:excellent', violations = 0) => ({ year: at, grades: [grade], violations });

  it('WG-14 three years 优秀 are three and more; a gap, another grade or a later correction breaks or mends it', () => {
    const held = (years: ReturnType<typeof year>[], until = 2025) => streakOf(excellent, years, until);
    expect(held([year(2023), year(2024), year(2025)])).toMatchObject({ years: [2023, 2024, 2025], reached: true });
    expect(held([year(2024), year(2025)]).reached).toBe(false);
    expect(held([year(2022), year(2023), year(2025)]).years).toEqual([2025]);
    expect(held([year(2023), year(2024, 'wugang:good'), year(2025)]).years).toEqual([2025]);
    expect(held([year(2022), year(2023), year(2024)]).years).toEqual([]);
  });

  it('SD-9.1 two calendar years without a violation', () => {
    expect(streakOf(clean, [year(2024), year(2025)], 2025).reached).toBe(true);
    expect(streakOf(clean, [year(2024), year(2025, '', 1)], 2025).years).toEqual([]);
  });
});

describe('credit reports', () => {
  const zhongmu = pack('zhongmu');
  const on = (issuedOn: string, day: string, events: { kind: string; on: string }[] = []) =>
    reportValid(MODEL.calendar, zhongmu, zhongmu.reports!, { issuedOn, events }, day);

  it.each([
    ['2025-03-01', '2025-02-28', false],
    ['2025-03-01', '2025-03-01', true],
    ['2025-03-01', '2026-03-01', true],
    ['2025-03-01', '2026-03-02', false],
    ['2024-02-29', '2025-02-28', true],
    ['2024-02-29', '2025-03-01', false],
  ])('ZM-2.4 a report of %s is good on %s: %s', (issued, day, valid) => {
    expect(on(issued, day).valid).toBe(valid);
  });

  it('ZM-2.4 a major crisis on the tenth day ends it from that day on, and not before', () => {
    const crisis = [{ kind: 'major-crisis', on: '2025-03-11' }];
    expect(on('2025-03-01', '2025-03-10', crisis).valid).toBe(true);
    expect(on('2025-03-01', '2025-03-11', crisis)).toEqual({
      valid: false,
      why: 'ended-early',
      since: '2025-03-11',
      event: 'major-crisis',
    });
    expect(on('2025-03-01', '2025-06-01', [{ kind: 'small-talk', on: '2025-03-11' }]).valid).toBe(true);
  });
});
