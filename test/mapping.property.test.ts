/** What must hold for every value a platform could send. */
import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { RejectRecord } from '../src/errors.ts';
import { readLocal, toInstant } from '../src/mapping/dates.ts';
import { fenOf } from '../src/mapping/numbers.ts';
import { contentOf, type MappedRecord } from '../src/mapping/record.ts';
import type { FieldType } from '../src/model/types.ts';
import { columns, compile, field, ORGANISATION, type Override, PERSON, TODAY, value } from './fixtures/mapping-model.ts';

const TYPES: FieldType[] = ['text', 'code', 'date', 'instant', 'money', 'integer', 'decimal', 'boolean'];
/** A field of every type from a column of its own name, both kinds of subject, every optional part. */
const everything: Override = {
  kind: {
    from: 'kind',
    lookup: new Map([
      ['1', 'person'],
      ['2', 'organisation'],
    ]),
  },
  identifiers: columns(['statutory', 'CODE'], ['practitioner-code', 'PRACTITIONER'], ['passport', 'PASSPORT']),
  fields: Object.fromEntries(
    TYPES.map((type) => [type, [field(type, type), value({ from: [type], money: 'wan-yuan', none: ['/', '2099-12-31'] })] as const]),
  ),
  key: ['ID', 'CODE'],
  version: value({ from: ['version'] }),
  deleted: { from: 'deleted', values: ['D'] },
  region: value({ from: ['region'], first: 6 }),
  occurredOn: value({ from: ['occurredOn'], date: 'yyyyMMdd' }),
  validFrom: value({ from: ['validFrom'], date: 'yyyy/MM/dd' }),
  validTo: value({ from: ['validTo'], date: 'yyyyMMddHHmmss' }),
};
const mapping = compile(everything);
const COLUMNS = [
  'kind',
  'CODE',
  'PRACTITIONER',
  'PASSPORT',
  'NAME',
  'ID',
  'version',
  'deleted',
  'region',
  'occurredOn',
  'validFrom',
  'validTo',
];

const hostile = fc.oneof(
  fc.jsonValue(),
  fc.string({ unit: 'binary' }),
  fc.string({ unit: fc.constantFrom('0', '1', '9', '.', '-', '/', ' ', '４', 'X', '\u0000', '\ud800') }),
  fc.constantFrom<unknown>(
    ORGANISATION,
    PERSON,
    '1',
    '2',
    '2024-02-29',
    '430102',
    'D',
    'AB',
    '2099-12-31',
    1e300,
    -0,
    undefined,
    5n,
    new Date(8.64e15),
  ),
);
const plausible = fc.record(
  {
    kind: fc.constantFrom('1', '2'),
    CODE: fc.constantFrom(ORGANISATION, PERSON, '', null),
    ID: fc.uuid(),
    NAME: fc.string({ maxLength: 100 }),
    text: fc.string({ maxLength: 20 }),
    money: fc.nat(),
    date: fc.constantFrom('2024-02-29', '2023-02-28'),
  },
  { requiredKeys: ['kind', 'CODE', 'ID'] },
);
const raws = fc
  .tuple(plausible, fc.dictionary(fc.oneof(fc.constantFrom(...COLUMNS, ...TYPES, '__proto__'), fc.string()), hostile))
  .map(([tidy, wild]): Record<string, unknown> => ({ ...tidy, ...wild }));

const attempt = (raw: Record<string, unknown>): MappedRecord | RejectRecord => {
  try {
    return mapping.map(raw, TODAY);
  } catch (error) {
    if (error instanceof RejectRecord) return error;
    throw error;
  }
};

describe('HUB-2 whatever a platform sends', () => {
  it('HUB-2 is mapped or refused, never an accident', () => {
    let taken = 0;
    fc.assert(
      fc.property(fc.oneof(raws, fc.dictionary(fc.string(), hostile), plausible), (raw) => {
        if (!(attempt(raw) instanceof RejectRecord)) taken++;
      }),
      { numRuns: 3000 },
    );
    expect(taken).toBeGreaterThan(100);
  });

  it('HUB-2 gives the same answer each time and leaves the raw record alone', () => {
    fc.assert(
      fc.property(raws, (raw) => {
        const before = Object.entries(raw);
        const [first, second] = [attempt(raw), attempt(Object.fromEntries(before.toReversed()))];
        expect(Object.entries(raw)).toEqual(before);
        if (first instanceof RejectRecord || second instanceof RejectRecord) {
          expect(second).toEqual(first);
        } else {
          expect({ ...second, unknownKeys: second.unknownKeys.toSorted() }).toEqual({
            ...first,
            unknownKeys: first.unknownKeys.toSorted(),
          });
          expect(contentOf(second)).toBe(contentOf(first));
        }
      }),
      { numRuns: 1000 },
    );
  });

  it('HUB-2 has every key that nobody mapped reported', () => {
    const known = new Set([...COLUMNS, ...TYPES, 'ID', 'X']);
    const names = fc.uniqueArray(fc.string({ minLength: 1 }).filter((name) => !known.has(name)));
    fc.assert(
      fc.property(names, hostile, (extra, source) => {
        const raw = Object.fromEntries([
          ...Object.entries({ kind: '2', CODE: ORGANISATION }),
          ...extra.map((name) => [name, source] as const),
        ]);
        expect(mapping.map(raw, TODAY).unknownKeys.toSorted()).toEqual(extra.toSorted());
      }),
    );
  });

  it('HN-5 never has a value of it in the refusal', () => {
    const secret = fc.string({ unit: fc.constantFrom(...'甲乙丙丁戊己庚辛'), minLength: 4, maxLength: 30 });
    fc.assert(
      fc.property(secret, fc.constantFrom(...COLUMNS, ...TYPES), (text, column) => {
        const result = attempt({ kind: '2', CODE: ORGANISATION, ID: '1', [column]: text });
        if (result instanceof RejectRecord) expect(result.message).not.toContain(text);
      }),
    );
  });
});

describe('HN-17 amounts and days are exact', () => {
  it('HN-17 shifts digits as integers of any size would', () => {
    const units = { fen: 0, yuan: 2, 'wan-yuan': 6 } as const;
    const amounts = fc.tuple(
      fc.bigInt({ min: 0n, max: 10n ** 18n }),
      fc.integer({ min: 0, max: 8 }),
      fc.constantFrom('fen', 'yuan', 'wan-yuan'),
    );
    fc.assert(
      fc.property(amounts, ([number, decimals, unit]) => {
        const text = number.toString().padStart(decimals + 1, '0');
        const plain = decimals === 0 ? text : `${text.slice(0, -decimals)}.${text.slice(-decimals)}`;
        const shifted = number * 10n ** BigInt(units[unit]);
        const divisor = 10n ** BigInt(decimals);
        const exact = shifted % divisor === 0n && shifted / divisor <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(shifted / divisor) : null;
        expect(fenOf(plain, unit)).toBe(exact);
      }),
      { numRuns: 5000 },
    );
  });

  it('HN-17 takes no text as an amount that is no plain decimal', () => {
    const texts = fc.string({ unit: fc.constantFrom('0', '5', '.', '-', '+', ',', 'e', ' ') });
    fc.assert(
      fc.property(texts, (text) => {
        if (fenOf(text, 'wan-yuan') !== null) expect(text).toMatch(/^\d+(\.\d+)?$/);
      }),
      { numRuns: 2000 },
    );
  });

  it('HN-17 knows the days of the calendar as the platform’s own Date does', () => {
    const parts = fc.tuple(fc.integer({ min: 1000, max: 9999 }), fc.integer({ min: 0, max: 13 }), fc.integer({ min: 0, max: 32 }));
    fc.assert(
      fc.property(parts, ([year, month, day]) => {
        const text = [year, String(month).padStart(2, '0'), String(day).padStart(2, '0')].join('-');
        const date = new Date(Date.UTC(year, month - 1, day));
        const real = date.getUTCFullYear() === year && date.getUTCMonth() === month - 1 && date.getUTCDate() === day;
        const expected = real ? text : null;
        expect(readLocal(text, 'yyyy-MM-dd')?.date ?? null).toBe(expected);
        expect(readLocal(text.replaceAll('-', ''), 'yyyyMMdd')?.date ?? null).toBe(expected);
        expect(readLocal(text.replaceAll('-', '/'), 'yyyy/MM/dd')?.date ?? null).toBe(expected);
      }),
      { numRuns: 3000 },
    );
  });

  it('U12 turns local time into UTC so that texts compare as times do', () => {
    const times = fc.date({ min: new Date('1900-01-01T00:00:00Z'), max: new Date('2100-01-01T00:00:00Z'), noInvalidDate: true });
    const local = (time: Date): string => new Date(time.getTime() + 28_800_000).toISOString().replace('T', ' ').slice(0, 23);
    const instant = (time: Date): string => {
      const read = readLocal(local(time), 'yyyy-MM-dd HH:mm:ss');
      if (read === null) throw new Error('not read');
      return toInstant(read, 6);
    };
    fc.assert(
      fc.property(times, times, (a, b) => {
        expect(instant(a)).toBe(a.toISOString().replace('Z', '000Z'));
        expect(instant(a) < instant(b)).toBe(a < b);
      }),
    );
  });
});
