import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { checkCitizenId, checkForeignPermanentResident, checkResidencePermit, withCitizenCheck } from '../src/identity/citizen.ts';
import { classify } from '../src/identity/classify.ts';
import { fold } from '../src/identity/fold.ts';
import { checkPassport, checkTravelPermitHkMo, checkTravelPermitTw } from '../src/identity/permits.ts';
import { checkInstitutionCode, checkPractitionerCode, checkRegion, isProvince, parentRegion } from '../src/identity/platform.ts';
import { checkUscc, usccFor, withUsccCheck } from '../src/identity/uscc.ts';

interface Vectors {
  uscc: Record<'valid' | 'invalid' | 'lowerCase' | 'edge', { code: string }[]>;
  citizenId: {
    valid: { number: string }[];
    invalid: { number: string; why: string }[];
    fifteen: { number: string; to18: string | null }[];
  };
  residencePermit: { number: string }[];
  foreignPermanentResident: Record<'valid' | 'invalid', { number: string }[]>;
  travelPermitHkMo: Record<'valid' | 'invalid', string[]>;
  travelPermitTw: Record<'valid' | 'invalid', string[]>;
  provinces: string[];
}
const vectors = JSON.parse(readFileSync(new URL('./fixtures/identity-vectors.json', import.meta.url), 'utf8')) as Vectors;
const TODAY = '2026-11-23';
const ALPHABET = '0123456789ABCDEFGHJKLMNPQRTUWXY';

/** `code` with the character at `at` replaced. */
const changed = (code: string, at: number, by: string): string => code.slice(0, at) + by + code.slice(at + 1);
const printable = fc.integer({ min: 33, max: 126 }).map((n) => String.fromCharCode(n));
const uscc = fc
  .record({
    head: fc.constantFrom('11', '12', '51', '52', '91', '92', '93'),
    region: fc.constantFrom('430100', '430102', '410122', '370902', '440300'),
    org: fc.string({ unit: fc.constantFrom(...ALPHABET), minLength: 8, maxLength: 8 }),
  })
  .map(({ head, region, org }) => usccFor(head + region, org));
const birth = fc
  .date({ min: new Date('1900-01-01T00:00:00Z'), max: new Date('2026-11-23T00:00:00Z'), noInvalidDate: true })
  .map((d) => d.toISOString().slice(0, 10).replaceAll('-', ''));
const citizen = fc
  .record({
    region: fc.constantFrom('430104', '110105', '410481', '370902', '362324'),
    birth,
    sequence: fc.integer({ min: 1, max: 999 }).map((n) => String(n).padStart(3, '0')),
  })
  .map((p) => withCitizenCheck(p.region + p.birth + p.sequence));

describe('unified social credit codes (GB 32100)', () => {
  it.each(vectors.uscc.valid.map((v) => v.code))('HN-13 accepts the registered code %s without remark', (code) => {
    expect(checkUscc(code)).toEqual({ valid: true, normalized: code, reason: '', warnings: [] });
    expect(classify(code, TODAY)).toMatchObject({ kind: 'uscc', valid: true, code });
  });

  it.each(vectors.uscc.invalid.map((v) => v.code))('HN-13 refuses %s with a reason', (code) => {
    expect(checkUscc(code)).toMatchObject({ valid: false, reason: expect.stringMatching(/^[a-z-]+: /) });
    expect(classify(code, TODAY).valid).toBe(false);
  });

  it.each(vectors.uscc.lowerCase.map((v) => v.code))('HN-13 takes the lower-case spelling %s after folding', (code) => {
    expect(checkUscc(code)).toMatchObject({ valid: true, normalized: code.toUpperCase() });
  });

  it('refuses the registered code whose outer check character is wrong: who trusts its source decides there', () => {
    expect(checkUscc(vectors.uscc.edge[0]!.code)).toMatchObject({ valid: false, reason: expect.stringMatching(/^check: /) });
  });

  it('accepts a wrong inner check character (GB 11714) with a warning', () => {
    const inner = withUsccCheck('91430100MA4L16JQ0');
    expect(checkUscc(inner)).toMatchObject({ valid: true, warnings: [expect.stringMatching(/^organisation-code-check: /)] });
    expect(classify(inner, TODAY).kind).toBe('uscc');
  });

  it('generates only valid codes, and no changed character passes', () => {
    fc.assert(
      fc.property(uscc, fc.nat(17), printable, (code, at, by) => {
        expect(checkUscc(code)).toEqual({ valid: true, normalized: code, reason: '', warnings: [] });
        expect(classify(code, TODAY)).toMatchObject({ valid: true, kind: 'uscc' });
        fc.pre(fold(by) !== code[at]);
        expect(checkUscc(changed(code, at, by)).valid).toBe(false);
      }),
    );
  });

  it('does not make a code of what can begin none', () => {
    expect(() => withUsccCheck('0143010012345678X')).toThrow(RangeError);
    expect(() => usccFor('91430100', 'IIIIIIII')).toThrow(RangeError);
  });
});

describe('citizen numbers (GB 11643)', () => {
  it.each(vectors.citizenId.valid.map((v) => v.number))('HN-13 accepts citizen number %#', (number) => {
    expect(checkCitizenId(number, TODAY)).toEqual({ valid: true, normalized: number, reason: '', warnings: [] });
    expect(classify(number, TODAY)).toMatchObject({ kind: 'citizen-id', valid: true });
  });

  it.each(vectors.citizenId.invalid)('HN-13 refuses a citizen number: $why', ({ number }) => {
    expect(checkCitizenId(number, TODAY)).toMatchObject({ valid: false, reason: expect.stringMatching(/^[a-z-]+: /) });
    expect(classify(number, TODAY).valid).toBe(false);
  });

  it.each(vectors.citizenId.fifteen)('takes 15 characters to 18, or refuses them: vector %#', ({ number, to18 }) => {
    const checked = checkCitizenId(number, TODAY);
    expect(checked).toMatchObject({ valid: to18 !== null, normalized: to18 ?? number });
    expect(classify(number, TODAY)).toMatchObject({ kind: 'citizen-id', valid: to18 !== null });
    if (to18 !== null) expect(checkCitizenId(to18, TODAY).valid).toBe(true);
  });

  it('knows every province prefix of the sources', () => {
    expect(vectors.provinces.filter((p) => p !== '83' && !isProvince(p))).toEqual([]);
  });

  it('refuses a birth date after today and takes one of today', () => {
    const number = withCitizenCheck('43010420260301001');
    expect(checkCitizenId(number, '2026-03-01').valid).toBe(true);
    expect(checkCitizenId(number, '2026-02-28')).toMatchObject({ valid: false, reason: 'birth-date: in the future' });
  });

  it('only warns about a county that is unknown among known neighbours', () => {
    const known = new Set(['430100', '430102', '430104']);
    const abolished = withCitizenCheck('43011219800101001');
    expect(checkCitizenId(abolished, TODAY, known)).toMatchObject({ valid: true, warnings: [expect.stringMatching(/^unknown-county: /)] });
    expect(checkCitizenId(withCitizenCheck('36232419800101001'), TODAY, known).warnings).toEqual([]);
  });

  it('generates only valid numbers, and no changed character passes', () => {
    fc.assert(
      fc.property(citizen, fc.nat(17), printable, (number, at, by) => {
        expect(checkCitizenId(number, TODAY).valid).toBe(true);
        expect(classify(number, TODAY)).toMatchObject({ valid: true, kind: 'citizen-id' });
        fc.pre(fold(by) !== number[at]);
        expect(checkCitizenId(changed(number, at, by), TODAY).valid).toBe(false);
      }),
    );
  });
});

describe('permits of people without a citizen number', () => {
  it.each(vectors.residencePermit.map((v) => v.number))('HN-13 accepts the residence permit %#', (number) => {
    expect(checkResidencePermit(number, TODAY)).toEqual({ valid: true, normalized: number, reason: '', warnings: [] });
    expect(classify(number, TODAY)).toMatchObject({ kind: 'residence-permit', valid: true });
  });

  it.each(vectors.foreignPermanentResident.valid.map((v) => v.number))('HN-13 accepts the permanent resident card %#', (number) => {
    expect(checkForeignPermanentResident(number, TODAY).valid).toBe(true);
    expect(classify(number, TODAY)).toMatchObject({ kind: 'foreign-permanent-resident', valid: true });
  });

  it.each(vectors.foreignPermanentResident.invalid.map((v) => v.number))('HN-13 refuses the permanent resident card %#', (number) => {
    expect(checkForeignPermanentResident(number, TODAY).valid).toBe(false);
    expect(classify(number, TODAY).valid).toBe(false);
  });

  it('takes the old form of the permanent resident card with a warning', () => {
    expect(classify('CAN110119810803', TODAY)).toMatchObject({
      kind: 'foreign-permanent-resident',
      valid: true,
      warnings: [expect.any(String)],
    });
  });

  it('HN-13 tells travel permits by their form', () => {
    for (const code of vectors.travelPermitHkMo.valid)
      expect(classify(code, TODAY)).toMatchObject({ kind: 'travel-permit-hk-mo', valid: true });
    for (const code of vectors.travelPermitTw.valid) expect(classify(code, TODAY)).toMatchObject({ kind: 'travel-permit-tw', valid: true });
    for (const code of vectors.travelPermitHkMo.invalid) {
      expect([checkTravelPermitHkMo(code).valid, classify(code, TODAY).valid]).toEqual([false, false]);
    }
    for (const code of vectors.travelPermitTw.invalid) {
      expect([checkTravelPermitTw(code).valid, classify(code, TODAY).valid]).toEqual([false, false]);
    }
  });

  it('holds a declared passport to its shape only', () => {
    expect([checkPassport('e12345678').valid, checkPassport('E1234 5678').valid]).toEqual([true, false]);
  });
});

describe('what a code is', () => {
  it('takes a number that is both a citizen number and a credit code for a citizen number', () => {
    const both = vectors.uscc.edge[1]!.code;
    expect(checkUscc(both).valid).toBe(true);
    expect(classify(both, TODAY)).toMatchObject({ kind: 'citizen-id', valid: true });
  });

  it('never takes a mistyped citizen number for an organisation unless every check of one holds', () => {
    fc.assert(
      fc.property(citizen, fc.nat(17), fc.constantFrom(...'0123456789'), (number, at, by) => {
        fc.pre(by !== number[at]);
        const found = classify(changed(number, at, by), TODAY);
        if (found.kind === 'uscc' && found.valid) expect(found.warnings).toEqual([]);
      }),
      { numRuns: 2000 },
    );
  });

  it('never repeats a code in its reason or warnings', () => {
    fc.assert(
      fc.property(fc.oneof(citizen, uscc, fc.string({ unit: fc.constantFrom(...'0123456789'), minLength: 8, maxLength: 20 })), (code) => {
        const { reason, warnings } = classify(code, TODAY);
        expect([reason, ...warnings].join(' ')).not.toContain(code);
        expect([reason, ...warnings].join(' ')).not.toMatch(/\d{7}/);
      }),
    );
  });

  it('keeps the code as given, whatever it is', () => {
    fc.assert(fc.property(fc.string({ unit: 'grapheme' }), (raw) => expect(classify(raw, TODAY).code).toBe(raw)));
    expect(classify('', TODAY)).toMatchObject({ kind: 'unknown', valid: false });
  });

  it('folds full-width and lower-case spellings, and folding twice changes nothing', () => {
    expect(fold('　９１１１ａＸ ')).toBe('9111AX');
    fc.assert(fc.property(fc.string({ unit: 'binary' }), (raw) => expect(fold(fold(raw))).toBe(fold(raw))));
  });
});

describe('codes of the national platform', () => {
  it('takes regions of GB/T 2260 and the pooled ones of the platform', () => {
    for (const code of ['430102', '430199', '439900'])
      expect(checkRegion(code)).toMatchObject({ valid: true, normalized: code, warnings: [] });
    for (const code of ['430102001', '16', '160101', '', '43010A']) expect(checkRegion(code).valid).toBe(false);
    expect(checkRegion('430198', new Set(['430102'])).warnings).toEqual([expect.stringMatching(/^unknown-region: /)]);
  });

  it('finds the region above', () => {
    expect(['430102', '430199', '430100', '439900', '430000'].map(parentRegion)).toEqual([
      '430100',
      '430100',
      '430000',
      '430000',
      undefined,
    ]);
  });

  it('checks institution and practitioner codes by shape and province', () => {
    expect(checkInstitutionCode('h43010200001')).toMatchObject({ valid: true, normalized: 'H43010200001' });
    for (const code of ['A43010200001', 'H4301020001', 'P99010200001']) expect(checkInstitutionCode(code).valid).toBe(false);
    expect(checkPractitionerCode('D430102000001')).toMatchObject({ valid: true, warnings: [] });
    expect(checkPractitionerCode('Y430102000001').warnings).toHaveLength(1);
    expect(checkPractitionerCode('D43010200001').valid).toBe(false);
  });
});
