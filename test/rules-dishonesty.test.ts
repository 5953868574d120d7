/** Suspension, objection, repair, lists and bans: the documents' own numbers, edges included. */
import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import type { Pack } from '../src/model/types.ts';
import { addDays } from '../src/rules/calendar.ts';
import { banOf, isBanned, listedUntil, type Listing, mayList } from '../src/rules/listing.ts';
import { missingParts, objectionDeadlines } from '../src/rules/objection.ts';
import { automaticRepair, mayRepair, type RepairFacts, repairMark } from '../src/rules/repair.ts';
import { maySuspend, suspensionFor, suspensionTerm } from '../src/rules/suspension.ts';
import { MODEL } from './setup/store.ts';

const { calendar } = MODEL;
const pack = (id: string): Pack => MODEL.packs.get(id) as Pack;
const { suspensions } = pack('shandong');

describe('suspension of settlement', () => {
  it.each([
    [0, undefined],
    [1, 'SD-9.2'],
    [9_999_999, 'SD-9.2'],
    [10_000_000, 'SD-9.3'],
    [19_999_999, 'SD-9.3'],
    [20_000_000, 'SD-9.4'],
  ])('SD-9.2 SD-9.3 SD-9.4 a loss of %d fen falls under %s', (fen, cite) => {
    expect(suspensionFor(suspensions, fen)?.cite).toBe(cite);
  });

  it.each([
    // Three months and more, less than six.
    [1, '2026-01-15', '2026-04-14', '2026-07-13'],
    [10_000_000, '2026-01-15', '2026-07-14', '2026-10-13'],
    // Nine months and more, twelve at most: the last day of the twelfth month is included.
    [20_000_000, '2025-01-15', '2025-10-14', '2026-01-14'],
    [1, '2025-11-30', '2026-02-27', '2026-05-28'],
  ])('SD-9 SD-13 %d fen from %s: ends between %s and %s', (fen, start, earliest, latest) => {
    expect(suspensionTerm(suspensions, fen, start)).toMatchObject({ earliestEnd: earliest, latestEnd: latest });
    expect([addDays(earliest, -1), earliest, latest, addDays(latest, 1)].map((end) => maySuspend(suspensions, fen, start, end))).toEqual([
      false,
      true,
      true,
      false,
    ]);
  });

  it('SD-9 each loss has at most one bracket, and a greater loss never a shorter one', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 40_000_000 }), fc.integer({ min: 0, max: 1_000_000 }), (loss, more) => {
        const less = suspensionFor(suspensions, loss);
        const greater = suspensionFor(suspensions, loss + more);
        expect(greater?.months.from ?? 0).toBeGreaterThanOrEqual(less?.months.from ?? 0);
      }),
    );
    expect(() => suspensionFor(suspensions, 0.5)).toThrow(RangeError);
    expect(() => suspensionFor(suspensions, -1)).toThrow(RangeError);
  });
});

describe('objections', () => {
  const deadlines = (id: string, days: Parameters<typeof objectionDeadlines>[3]) => {
    const found = objectionDeadlines(calendar, pack(id), pack(id).objection!, days);
    return [found.raise?.day, found.late, found.answer?.day];
  };

  it('HN-24.2 three working days alone, five with help, from the day of receipt; Hunan sets the subject no term', () => {
    expect(deadlines('hunan', { received: '2026-03-02', helped: false })).toEqual([undefined, false, '2026-03-05']);
    expect(deadlines('hunan', { received: '2026-03-02', helped: true })).toEqual([undefined, false, '2026-03-09']);
  });

  it('WG-15.a WG-15.b fifteen days from the reply, thirty from the acceptance and not from the receipt; a late one is marked', () => {
    expect(deadlines('wugang', { served: '2026-03-02', received: '2026-03-17', helped: false })).toEqual(['2026-03-17', false, undefined]);
    expect(deadlines('wugang', { served: '2026-03-02', received: '2026-03-18', accepted: '2026-03-20', helped: false })).toEqual([
      '2026-03-17',
      true,
      '2026-04-20',
    ]);
  });

  it('SD-10.a SD-10.b the review is counted from the later of application and proof, and not at all before both are there', () => {
    expect(deadlines('shandong', { served: '2026-01-05', received: '2026-01-06', helped: false })).toEqual([
      '2026-01-26',
      false,
      undefined,
    ]);
    expect(deadlines('shandong', { received: '2026-01-06', proofReceived: '2026-01-12', helped: false })[2]).toBe('2026-02-02');
    expect(deadlines('shandong', { received: '2026-01-12', proofReceived: '2026-01-06', helped: false })[2]).toBe('2026-02-02');
  });

  it('WG-A1 the form names the parts that are missing', () => {
    const { parts } = pack('wugang').objection!;
    expect(missingParts(parts, { applicant: '甲', contact: '乙', content: '丙', reason: ' ' })).toEqual(['reason', 'commitment']);
  });
});

describe('repair', () => {
  const facts = (over: Partial<RepairFacts> = {}): RepairFacts => ({
    confirmedOn: '2026-01-31',
    severity: 'general',
    corrected: true,
    effectGone: true,
    committed: true,
    newRecords: [],
    ...over,
  });
  const publicity = pack('national').repair!.publicity;
  const hunan = pack('hunan').repair!;
  const unmet = (over: Partial<RepairFacts>, day: string) =>
    mayRepair(hunan, publicity, facts(over), day)
      .conditions.filter((one) => !one.met)
      .map(({ code }) => code);

  it('HN-25 each condition is answered by itself, and all are needed', () => {
    expect(mayRepair(hunan, publicity, facts(), '2026-04-30')).toMatchObject({ may: true });
    expect(unmet({}, '2026-04-29')).toEqual(['publicity-served']);
    expect(unmet({ severity: 'minor' }, '2026-01-31')).toEqual([]);
    expect(unmet({ severity: 'serious' }, '2027-01-30')).toEqual(['publicity-served']);
    expect(unmet({ corrected: false, effectGone: false }, '2026-05-01')).toEqual(['corrected', 'effect-gone']);
    expect(unmet({ newRecords: ['2026-02-01'] }, '2026-05-01')).toEqual(['no-new-record']);
    expect(unmet({ newRecords: ['2026-01-31', '2026-05-02'] }, '2026-05-01')).toEqual([]);
  });

  it('HN-25 where nobody has set the shortest publicity the condition is not met', () => {
    expect(mayRepair(hunan, undefined, facts({ severity: 'minor' }), '2030-01-01').may).toBe(false);
  });

  it('SD-12 at the end of the measure a repair comes by itself only with its three conditions; time alone is not enough', () => {
    const rule = pack('shandong').repair!;
    const at = (over: Partial<RepairFacts>, day: string) => automaticRepair(rule, facts(over), '2026-06-30', day);
    expect(at({}, '2026-06-30')).toEqual({ repaired: false, missing: [] });
    expect(at({}, '2026-07-01')).toEqual({ repaired: true, missing: [] });
    expect(at({ corrected: false }, '2026-07-01')).toEqual({ repaired: false, missing: ['corrected'] });
    expect(at({ committedBy: '2026-03-31', committedOn: '2026-04-01' }, '2026-07-01')).toEqual({ repaired: false, missing: ['committed'] });
    expect(at({ committedBy: '2026-03-31', committedOn: '2026-03-31' }, '2026-07-01').repaired).toBe(true);
    expect(automaticRepair(hunan, facts(), '2026-06-30', '2026-07-01').repaired).toBe(false);
  });

  it('HN-27 the mark is made from the day', () => {
    expect(repairMark(hunan, '2026-05-09')).toBe('2026年5月9日修复');
  });
});

describe('lists', () => {
  const rule = pack('hunan').lists[0]!;
  const whole = (codes: readonly string[]) => Object.fromEntries(codes.map((code) => [code, `${code} 的内容`]));
  const listing = (over: Partial<Listing> = {}): Listing => ({
    kind: 'organisation',
    circumstances: ['major-loss'],
    notice: whole(rule.notice),
    document: whole(rule.document),
    names: { 'actual-controller': '某人' },
    ...over,
  });

  it('HN-35.2 U19 drop any one part and the listing is refused with its name', () => {
    expect(mayList(rule, listing())).toEqual({ may: true, missing: [] });
    for (const code of rule.notice)
      expect(mayList(rule, listing({ notice: { ...whole(rule.notice), [code]: ' ' } })).missing).toEqual([{ part: 'notice', code }]);
    for (const code of rule.document)
      expect(mayList(rule, listing({ document: { ...whole(rule.document), [code]: '' } })).missing).toEqual([{ part: 'document', code }]);
  });

  it('ZM-3.2.7 an organisation is not listed without the persons behind it; a person needs none', () => {
    expect(mayList(rule, listing({ names: {} })).missing).toEqual([
      { part: 'name', code: 'legal-representative|responsible-person|actual-controller' },
    ]);
    expect(mayList(rule, listing({ names: {}, kind: 'person' })).may).toBe(true);
  });

  it('HN-35.1 an objection is answered first; a circumstance that the list does not know is refused', () => {
    expect(mayList(rule, listing({ objection: { raisedOn: '2026-03-02' } })).may).toBe(false);
    expect(mayList(rule, listing({ objection: { raisedOn: '2026-03-02', answeredOn: '2026-03-04' } })).may).toBe(true);
    expect(mayList(rule, listing({ circumstances: ['bad-mood'] })).missing).toEqual([{ part: 'circumstance', code: 'bad-mood' }]);
    expect(mayList(rule, listing({ circumstances: [] })).may).toBe(false);
  });

  it('ZM-3.2.5 the circumstances have the numbers of the text: there is no thirteenth', () => {
    const zhongmu = pack('zhongmu').lists[0]!;
    expect(zhongmu.circumstances).toHaveLength(14);
    expect(zhongmu.circumstances).not.toContain('13');
    expect(zhongmu.circumstances.every((code) => MODEL.codes.get('dishonest-conduct')?.values.has(code))).toBe(true);
  });

  it('HN-33 a severe listing is public for three years from the day of recognition, that day included', () => {
    expect(listedUntil(calendar, pack('hunan'), rule, '2026-05-20')).toBe('2029-05-19');
  });

  it('ZM-3.2.6 HN-33 U20 five years: the last day is inside, the next is not, and only the banned roles count', () => {
    const [zhongmu, hunan] = (['zhongmu', 'hunan'] as const).map((id) => banOf(calendar, pack(id), pack(id).bans[0]!, '2026-05-20'));
    expect(zhongmu).toMatchObject({ from: '2026-05-21', to: '2031-05-20' });
    expect(isBanned(zhongmu!, 'legal-representative', '2031-05-20')).toBe(true);
    expect(isBanned(zhongmu!, 'legal-representative', '2031-05-21')).toBe(false);
    expect(isBanned(zhongmu!, 'actual-controller', '2030-01-01')).toBe(false);
    expect(isBanned(hunan!, 'actual-controller', '2030-01-01')).toBe(true);
  });
});
