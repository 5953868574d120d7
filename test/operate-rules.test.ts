/** The pure half of operations: budgets, hours and the breaker, by their algebra. */
import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { BREAKER, LIMITS } from '../src/model/connectors.ts';
import type { CallLimits, Hours } from '../src/model/types.ts';
import { type Breaker, CLOSED, failed, passage, succeeded } from '../src/rules/breaker.ts';
import { giveBack, NO_USAGE, shareOf, takeCalls, type Usage } from '../src/rules/budget.ts';
import { isOpen, nextOpening } from '../src/rules/windows.ts';
import { MODEL } from './setup/store.ts';

const { calendar } = MODEL;
const at = (local: string) => new Date(`${local}:00+08:00`);
const START = at('2026-11-23T00:00').getTime();
const limitsOf = (perMinute: number, perHour: number, perDay: number): CallLimits => ({ ...LIMITS, perMinute, perHour, perDay });

describe('the budget of a platform', () => {
  it('P7 T23 over a day of its own time no minute, hour or day has more calls than it may, whoever asks and whenever', () => {
    const limits = fc.record({
      minute: fc.integer({ min: 1, max: 20 }),
      hour: fc.integer({ min: 1, max: 200 }),
      day: fc.integer({ min: 1, max: 900 }),
    });
    const asks = fc.array(
      fc.record({ after: fc.nat({ max: 400_000 }), skew: fc.integer({ min: -2000, max: 2000 }), wanted: fc.integer({ min: 1, max: 50 }) }),
      {
        minLength: 50,
        maxLength: 400,
      },
    );
    fc.assert(
      fc.property(limits, asks, ({ minute, hour, day }, rounds) => {
        const limit = limitsOf(minute, hour, day);
        let usage: Usage = NO_USAGE;
        let now = START;
        let given = 0;
        const counts = new Map<string, number>();
        for (const { after, skew, wanted } of rounds) {
          now += after;
          const taken = takeCalls(usage, limit, now + skew, wanted);
          usage = taken.usage;
          given += taken.calls;
          expect(taken.calls).toBeLessThanOrEqual(wanted);
          expect(taken.until).toBeGreaterThan(now + skew);
          if (taken.calls === 0) expect(takeCalls(usage, limit, taken.until, 1).calls).toBe(1);
          for (const span of ['minute', 'hour', 'day'] as const) {
            const name = `${span} ${usage[span].at}`;
            counts.set(name, (counts.get(name) ?? 0) + taken.calls);
            expect(usage[span].calls).toBeLessThanOrEqual({ minute, hour, day }[span]);
          }
        }
        for (const [name, calls] of counts) expect(calls).toBeLessThanOrEqual({ minute, hour, day }[name.split(' ')[0] as 'minute']);
        expect(given).toBeGreaterThan(0);
      }),
      { numRuns: 60 },
    );
  });

  it('P7 calls that were not made are given back to the spans they were taken from, and to no later one', () => {
    const limits = limitsOf(10, 100, 1000);
    const taken = takeCalls(NO_USAGE, limits, START + 1000, 10);
    expect(takeCalls(giveBack(taken.usage, START + 1000, 4), limits, START + 2000, 10).calls).toBe(4);
    const next = takeCalls(taken.usage, limits, START + 61_000, 10);
    const back = giveBack(next.usage, START + 1000, 4);
    expect([back.minute.calls, back.hour.calls, back.day.calls]).toEqual([10, 16, 16]);
  });

  it('P7 a clock that was a year ahead does not use the budget up for a year', () => {
    const wrong = takeCalls(NO_USAGE, limitsOf(5, 50, 500), START + 365 * 86_400_000, 5);
    expect(takeCalls(wrong.usage, limitsOf(5, 50, 500), START, 5).calls).toBe(5);
  });

  it.each([
    [limitsOf(1, 1, 1), 1],
    [limitsOf(60, 1000, 5000), 3],
    [LIMITS, 50],
  ])('P7 a process takes few calls at a time: %j, %d', (limits, share) => {
    expect(shareOf(limits)).toBe(share);
  });
});

describe('the hours of a platform', () => {
  const office: Hours[] = [
    { days: 'working', from: '09:00', to: '12:00' },
    { days: 'working', from: '13:30', to: '17:00' },
  ];
  const night: Hours[] = [{ days: 'off', from: '00:00', to: '24:00' }];

  it.each([
    ['2026-11-23T09:00', true, '2026-11-23T09:00'],
    ['2026-11-23T11:59', true, '2026-11-23T11:59'],
    ['2026-11-23T12:00', false, '2026-11-23T13:30'],
    ['2026-11-23T17:00', false, '2026-11-24T09:00'],
    // Friday evening to Monday; but a Saturday that is worked is a working day, and a festival is none.
    ['2026-11-27T18:00', false, '2026-11-30T09:00'],
    ['2026-10-09T18:00', false, '2026-10-10T09:00'],
    ['2026-09-30T17:30', false, '2026-10-08T09:00'],
  ])('P7 T23 at %s office hours are open: %s, and the next opening is %s', (now, open, next) => {
    expect(isOpen(office, calendar, at(now))).toBe(open);
    expect(nextOpening(office, calendar, at(now))).toEqual(at(next));
  });

  it('P7 no hours are all hours, and hours of days off are the rest of the working days', () => {
    expect(nextOpening([], calendar, at('2026-11-23T03:00'))).toEqual(at('2026-11-23T03:00'));
    expect(nextOpening(night, calendar, at('2026-11-23T03:00'))).toEqual(at('2026-11-28T00:00'));
    expect(isOpen(night, calendar, at('2026-11-28T23:59'))).toBe(true);
    expect(isOpen(night, calendar, at('2026-10-10T12:00'))).toBe(false);
  });

  it('P7 the next opening is open, and nothing before it is', () => {
    const minute = fc.integer({ min: 0, max: 60 * 24 * 300 }).map((n) => new Date(START - 200 * 86_400_000 + n * 60_000));
    fc.assert(
      fc.property(minute, fc.integer({ min: 1, max: 1000 }), (now, before) => {
        const next = nextOpening(office, calendar, now);
        if (next === undefined) throw new Error('office hours never open');
        expect(isOpen(office, calendar, next)).toBe(true);
        const earlier = new Date(Math.max(now.getTime(), next.getTime() - before * 60_000));
        if (next > now && earlier < next) expect(isOpen(office, calendar, earlier)).toBe(false);
      }),
    );
  });
});

describe('the breaker of a platform', () => {
  const settings = { ...BREAKER, failures: 3, within: 60, open: 10 };
  const fail = (breaker: Breaker, who: string, now: number) => failed(breaker, who, settings, now);
  const open = [1, 2, 3].reduce((breaker, n) => fail(breaker, 'a/s', n * 1000), CLOSED);

  it('P7 opens after so many failures in a row within its time, by whomever, and not before', () => {
    expect(fail(fail(CLOSED, 'a/s', 0), 'a/t', 1000).state).toBe('closed');
    expect(open).toMatchObject({ state: 'open', openedAt: 3000, until: 13_000, failures: 3 });
    expect(fail(fail(fail(CLOSED, 'a/s', 0), 'a/s', 1000), 'a/s', 62_000).state).toBe('closed');
    expect(fail(fail(succeeded(fail(CLOSED, 'a/s', 0), 'a/s'), 'a/s', 1), 'a/s', 2).state).toBe('closed');
  });

  it('P7 lets nobody through while it is open, then exactly one; the others wait for what becomes of it', () => {
    expect(passage(open, 'a/s', 12_999, false)).toEqual({ may: false, until: 13_000 });
    const first = passage(open, 'a/s', 13_000, false);
    if (!first.may) throw new Error('nobody tries');
    expect(first.probing).toBe(true);
    expect(passage(first.breaker, 'a/t', 13_001, true)).toEqual({ may: false, until: 18_001 });
    expect(succeeded(first.breaker, 'a/t')).toBe(first.breaker);
    expect(succeeded(first.breaker, 'a/s')).toBe(CLOSED);
    expect(fail(first.breaker, 'a/t', 14_000)).toBe(first.breaker);
    expect(fail(first.breaker, 'a/s', 14_000)).toMatchObject({ state: 'open', until: 24_000, probe: null });
  });

  it('P7 a run that tried and died is followed by the next at once', () => {
    const first = passage(open, 'a/s', 13_000, false);
    if (!first.may) throw new Error('nobody tries');
    expect(passage(first.breaker, 'a/t', 13_001, false)).toMatchObject({ may: true, probing: true, breaker: { probe: 'a/t' } });
  });

  it('P7 at no time do two try the platform at once, whatever happens in which order', () => {
    const step = fc.record({
      who: fc.constantFrom('a/s', 'a/t', 'a/u'),
      what: fc.constantFrom('call', 'fail', 'answer'),
      after: fc.nat({ max: 8000 }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        let breaker = open;
        let now = 3000;
        let trying: string | undefined;
        for (const { who, what, after } of steps) {
          now += after;
          if (what === 'call') {
            const pass = passage(breaker, who, now, trying !== undefined);
            if (pass.may && breaker.state !== 'closed') {
              expect([undefined, who]).toContain(trying);
              trying = who;
            }
            if (pass.may) breaker = pass.breaker;
          } else {
            breaker = what === 'fail' ? fail(breaker, who, now) : succeeded(breaker, who);
            if (trying === who) trying = undefined;
          }
          expect(breaker.probe !== null).toBe(breaker.state === 'half-open');
        }
      }),
    );
  });
});
