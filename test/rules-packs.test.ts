/** Which document's rule holds where and when, and the terms it sets: tables of cases from the documents' own numbers. */
import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { toInterval } from '../src/model/packs.ts';
import type { Clock, Pack } from '../src/model/types.ts';
import { addDays, isWorkingDay, workingDaysLeft } from '../src/rules/calendar.ts';
import { dueOf } from '../src/rules/clock.ts';
import { holds } from '../src/rules/interval.ts';
import { packsOf, ruleOf, stateOf } from '../src/rules/packs.ts';
import { MODEL } from './setup/store.ts';

const { packs, calendar } = MODEL;
const pack = (id: string): Pack => packs.get(id) as Pack;
const clock = (id: string, name: string): Clock => pack(id).clocks.get(name) as Clock;
const codeOf = (work: () => unknown): string => {
  try {
    work();
    return '';
  } catch (error) {
    return (error as { code: string }).code;
  }
};

describe('packs', () => {
  it('U9 every document is a pack, and none applies where it should not', () => {
    expect([...packs.keys()].sort()).toEqual(['hunan', 'national', 'shandong', 'shenzhen', 'taian', 'wugang', 'zhongmu']);
    const of = (region: string) => packsOf(packs, region).map(({ id }) => id);
    expect(of('430121')).toEqual(['hunan', 'national']);
    expect(of('370902')).toEqual(['taian', 'shandong', 'national']);
    expect(of('440305')).toEqual(['shenzhen', 'national']);
    expect(of('410481')).toEqual(['wugang', 'national']);
    expect(of('410122')).toEqual(['zhongmu', 'national']);
    expect(of('110101')).toEqual(['national']);
  });

  it.each([
    ['hunan', '2024-04-30', 'not-yet'],
    ['hunan', '2024-05-01', 'in-force'],
    ['hunan', '2029-04-30', 'in-force'],
    ['hunan', '2029-05-01', 'lapsed'],
    ['shandong', '2024-08-09', 'not-yet'],
    ['shandong', '2024-08-10', 'in-force'],
    ['shandong', '2026-08-09', 'in-force'],
    ['shandong', '2026-08-10', 'lapsed'],
    ['shenzhen', '2026-11-24', 'draft'],
    ['wugang', '1999-01-01', 'in-force'],
    ['national', '2026-03-31', 'not-yet'],
    ['national', '2026-04-01', 'in-force'],
  ])('HN-37 SD-15 %s on %s is %s', (id, day, state) => {
    expect(stateOf(pack(id), day)).toBe(state);
  });

  it('SD-15 the same case is decided on 2026-08-09 and refused on 2026-08-10, with the lapse named', () => {
    const rule = (day: string) => ruleOf(packs, 'suspensions', { region: '370902', day });
    expect(rule('2026-08-09').pack.id).toBe('shandong');
    expect(() => rule('2026-08-10')).toThrow(
      expect.objectContaining({ code: 'PACK_LAPSED', message: expect.stringContaining('2026-08-09') }),
    );
  });

  it('SZ-2 a draft decides nothing and can be simulated; where nobody has a rule the refusal says so', () => {
    const shenzhen = { region: '440300', day: '2026-11-24' };
    expect(codeOf(() => ruleOf(packs, 'evaluation', shenzhen))).toBe('PACK_DRAFT');
    expect(ruleOf(packs, 'evaluation', { ...shenzhen, simulate: true }).pack.id).toBe('shenzhen');
    expect(codeOf(() => ruleOf(packs, 'evaluation', { region: '110101', day: '2026-11-24' }))).toBe('NO_RULE');
  });

  it('U9 what stands above a lapsed pack does not take its place', () => {
    expect(codeOf(() => ruleOf(packs, 'repair', { region: '430100', day: '2029-05-01' }))).toBe('PACK_LAPSED');
    expect(ruleOf(packs, 'repair', { region: '110101', day: '2029-05-01' }).pack.id).toBe('national');
  });
});

describe('intervals', () => {
  it.each([
    ['[85,100]', 85, true],
    ['[65,85)', 85, false],
    ['[65,85)', 84.99, true],
    ['(0,100000)', 0, false],
    ['(0,100000)', 0.01, true],
    ['[200000,)', 200_000, true],
    ['(,5]', -1e9, true],
  ])('SD-13 %s holds %d: %s', (text, value, expected) => {
    expect(holds(toInterval(text), value)).toBe(expected);
  });

  it('SD-13 an edge is in exactly one of two neighbours, whatever the bracket', () => {
    fc.assert(
      fc.property(fc.integer({ min: -1000, max: 1000 }), fc.integer({ min: 1, max: 1000 }), fc.boolean(), (from, width, square) => {
        const [left, right] = square
          ? [`[${from},${from + width})`, `[${from + width},)`]
          : [`[${from},${from + width}]`, `(${from + width},)`];
        for (const value of [from + width - 0.01, from + width, from + width + 0.01])
          expect([left, right].filter((text) => holds(toInterval(text as string), value))).toHaveLength(1);
      }),
    );
  });

  it.each(['[1,2', '1,2)', '[a,b]', '[1;2]', ''])('U10 %p is no interval', (text) => {
    expect(() => toInterval(text)).toThrow(SyntaxError);
  });
});

describe('clocks', () => {
  it.each([
    // National Day and Mid-Autumn 2025 are off from 1 to 8 October, 28 September and 11 October (Saturdays, Sundays) are worked.
    ['hunan', 'objection-alone', '2025-09-25', '2025-09-29'],
    ['hunan', 'objection-alone', '2025-09-30', '2025-10-11'],
    ['hunan', 'objection-helped', '2025-09-25', '2025-10-09'],
    // Spring Festival 2026 is off from 15 to 23 February; 14 and 28 February are worked.
    ['hunan', 'objection-alone', '2026-02-12', '2026-02-24'],
    ['hunan', 'before-listing', '2026-02-13', '2026-02-27'],
    ['shenzhen', 'objection-raise', '2026-05-08', '2026-05-14'],
    ['shandong', 'objection-raise', '2026-01-05', '2026-01-26'],
    ['shandong', 'repair-answer', '2026-04-27', '2026-05-20'],
    // Calendar days: a last day that is off moves on. 3 October 2026 and the days to 7 October are off.
    ['wugang', 'objection-raise', '2026-09-18', '2026-10-08'],
    ['wugang', 'objection-raise', '2026-03-02', '2026-03-17'],
    ['wugang', 'objection-answer', '2026-03-02', '2026-04-01'],
    ['wugang', 'objection-answer', '2026-04-11', '2026-05-11'],
    ['zhongmu', 'report-validity', '2026-03-01', '2027-03-01'],
    ['zhongmu', 'report-validity', '2024-02-29', '2025-02-28'],
    ['zhongmu', 'ban', '2028-02-29', '2033-02-28'],
    ['hunan', 'severe-published', '2026-05-20', '2029-05-19'],
    ['hunan', 'ban', '2026-05-20', '2031-05-20'],
  ])('U8 %s %s from %s ends on %s', (id, name, start, due) => {
    expect(dueOf(calendar, clock(id, name), start)).toEqual({ day: due, provisional: false });
  });

  it('U8 a term that runs into a year without a notice is provisional', () => {
    expect(dueOf(calendar, clock('hunan', 'objection-alone'), '2026-12-30').provisional).toBe(true);
    expect(dueOf(calendar, clock('wugang', 'objection-answer'), '2026-12-15').provisional).toBe(true);
  });

  it('HN-24.2 five days are counted from the same day as three: the switch never restarts the clock', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 600 }), (offset) => {
        const day = addDays('2025-01-02', offset);
        const alone = dueOf(calendar, clock('hunan', 'objection-alone'), day).day;
        const helped = dueOf(calendar, clock('hunan', 'objection-helped'), day).day;
        expect(isWorkingDay(calendar, alone)).toBe(true);
        expect(workingDaysLeft(calendar, day, alone)).toBe(3);
        expect(workingDaysLeft(calendar, alone, helped)).toBe(2);
      }),
    );
  });
});
