/** Raw record → record of the catalog, and record → wire. The model is a small one built here; the real YAML has its own test. */
import { describe, expect, it } from '@jest/globals';
import { withCitizenCheck } from '../src/identity/citizen.ts';
import { compilePublication } from '../src/mapping/publish.ts';
import { contentOf, type MappedRecord } from '../src/mapping/record.ts';
import type { FieldType, Value } from '../src/model/types.ts';
import { FULL, field, map, ORGANISATION, type Override, PERSON, refusal, ruleOf, value } from './fixtures/mapping-model.ts';

/** What one field becomes when its column holds `source`. */
const read = (type: FieldType, of: Partial<Value>, source: unknown): unknown =>
  map({ fields: { x: [field('x', type), value({ from: ['X'], ...of })] } }, { ...FULL, X: source }).fields['x'];
describe('HUB-2 every source key is accounted for', () => {
  it('HUB-2 maps what is mapped, passes over what is ignored by name, and reports the rest', () => {
    const record = map({ ignore: ['ROW'] }, { ...FULL, ROW: 1, NEW_FIELD: 'x', OTHER: null });
    expect(record.unknownKeys).toEqual(['NEW_FIELD', 'OTHER']);
    expect(record.subject).toEqual({
      kind: 'organisation',
      name: '长沙康宁医院',
      region: null,
      roles: ['insured-unit'],
      identifiers: [{ scheme: 'uscc', code: ORGANISATION }],
    });
  });

  it('HUB-2 counts columns of subject, key, version, flag and dates as mapped', () => {
    const override: Override = {
      key: ['K'],
      version: value({ from: ['V'] }),
      deleted: { from: 'D', values: ['1'] },
      region: value({ from: ['R'] }),
      occurredOn: value({ from: ['O'] }),
      validFrom: value({ from: ['F'] }),
      validTo: value({ from: ['T1', 'T2'] }),
      kind: { from: 'KIND', lookup: new Map([['法人', 'organisation']]) },
    };
    const raw = { K: 1, V: 2, D: '0', R: '430100', O: '', F: null, T1: '', T2: '2026-01-01', KIND: '法人', CODE: ORGANISATION, NAME: '甲' };
    expect(map(override, raw)).toMatchObject({ unknownKeys: [], validTo: '2026-01-01', validFrom: null, region: '430100' });
  });

  it('HUB-2 reports a key that no database could store in escaped form', () => {
    expect(map({}, { ...FULL, 'A\u0000': 1 }).unknownKeys).toEqual(['A\\u0000']);
  });
});

describe('HN-17 values are read strictly', () => {
  it.each<[string, FieldType, Partial<Value>, unknown, unknown]>([
    ['text, trimmed', 'text', {}, '\u3000 a b\n', 'a b'],
    ['text in NFC', 'text', {}, 'e\u0301', 'é'],
    ['number as text', 'text', {}, 12.5, '12.5'],
    ['only the first characters', 'text', { first: 6 }, '430102001', '430102'],
    ['characters outside the BMP whole', 'text', { first: 1 }, '𠮷田', '𠮷'],
    ['lookup of a number', 'text', { lookup: new Map([['1', '是的']]) }, 1, '是的'],
    ['lookup of untidy spelling', 'text', { lookup: new Map([['A1', 'x']]) }, ' ａ1', 'x'],
    ['code', 'code', {}, 'AB', 'AB'],
    ['untidy code', 'code', {}, ' ａｂ ', 'AB'],
    ['date', 'date', {}, '2024-02-29', '2024-02-29'],
    ['moment for a date', 'date', {}, '2024-02-29 23:59:59.123456', '2024-02-29'],
    ['date yyyyMMdd', 'date', { date: 'yyyyMMdd' }, 20240229, '2024-02-29'],
    ['date yyyy/MM/dd', 'date', { date: 'yyyy/MM/dd' }, '2024/02/29', '2024-02-29'],
    ['date of yyyyMMddHHmmss', 'date', { date: 'yyyyMMddHHmmss' }, '20240229235959', '2024-02-29'],
    ['date in full-width digits', 'date', {}, '２０２４－０２－２９', '2024-02-29'],
    ['date of the driver, in local time', 'date', { date: 'yyyyMMdd' }, new Date('2024-02-28T16:30:00Z'), '2024-02-29'],
    ['open end of a date column', 'date', { none: ['2099-12-31'] }, '2099-12-31', undefined],
    ['open end of a timestamp column', 'date', { none: ['2099-12-31'] }, '2099-12-31 00:00:00', undefined],
    ['instant', 'instant', { date: 'yyyy-MM-dd HH:mm:ss' }, '2026-01-01 07:59:59', '2025-12-31T23:59:59.000Z'],
    ['instant of a day', 'instant', {}, '2026-01-01', '2025-12-31T16:00:00.000Z'],
    ['instant with microseconds', 'instant', {}, '2026-01-01 08:00:00.123456', '2026-01-01T00:00:00.123Z'],
    ['money in yuan', 'money', { money: 'yuan' }, '1234.5', 123450],
    ['money in yuan as a number', 'money', { money: 'yuan' }, 0.29, 29],
    ['money in ten thousand yuan', 'money', { money: 'wan-yuan' }, '1.234567', 1234567],
    ['money with a numeric column’s zeros', 'money', { money: 'yuan' }, '19.9900', 1999],
    ['largest money', 'money', { money: 'fen' }, '9007199254740991', 9007199254740991],
    ['no amount', 'money', { money: 'yuan', none: ['/'] }, '／', undefined],
    ['integer', 'integer', {}, '-12', -12],
    ['integer of a numeric column', 'integer', {}, '12.00', 12],
    ['decimal as stated', 'decimal', {}, '471.0', '471.0'],
    ['decimal of a number', 'decimal', {}, 98.5, '98.5'],
    ['boolean yes', 'boolean', {}, '是', true],
    ['boolean y', 'boolean', {}, 'y', true],
    ['boolean 0', 'boolean', {}, 0, false],
    ['boolean of JSON', 'boolean', {}, true, true],
    ['blank', 'text', {}, ' \u3000', undefined],
    ['null', 'code', {}, null, undefined],
    ['blank before lookup', 'text', { lookup: new Map([['', 'x']]) }, '', undefined],
  ])('HN-17 reads %s', (_name, type, of, source, expected) => {
    expect(read(type, of, source)).toBe(expected);
  });

  it.each<[string, FieldType, Partial<Value>, unknown, string]>([
    ['30 February', 'date', {}, '2023-02-30', 'bad-date'],
    ['29 February of 1900', 'date', {}, '1900-02-29', 'bad-date'],
    ['a moment where a day is declared', 'date', { date: 'yyyy-MM-dd' }, '2023-01-01 00:00:00', 'bad-date'],
    ['another format', 'date', { date: 'yyyyMMdd' }, '2023-01-01', 'bad-date'],
    ['hour 24', 'instant', {}, '2023-01-01 24:00:00', 'bad-date'],
    ['an offset', 'instant', {}, '2023-01-01 20:00:00+08', 'bad-date'],
    ['a year nobody means', 'date', {}, '0001-01-01', 'bad-date'],
    ['an invalid Date', 'date', {}, new Date(Number.NaN), 'bad-date'],
    ['money in words', 'money', { money: 'yuan' }, '壹万元', 'bad-amount'],
    ['separators', 'money', { money: 'yuan' }, '1,234.00', 'bad-amount'],
    ['less than a fen', 'money', { money: 'yuan' }, '0.001', 'bad-amount'],
    ['a sum with float noise', 'money', { money: 'yuan' }, 0.1 + 0.2, 'bad-amount'],
    ['negative money', 'money', { money: 'yuan' }, '-1', 'bad-amount'],
    ['an exponent', 'money', { money: 'yuan' }, '1e3', 'bad-amount'],
    ['a point without digits', 'money', { money: 'yuan' }, '1.', 'bad-amount'],
    ['money beyond safe integers', 'money', { money: 'yuan' }, '90071992547409.92', 'bad-amount'],
    ['a fraction as integer', 'integer', {}, '1.5', 'bad-amount'],
    ['no decimal', 'decimal', {}, '1.2.3', 'bad-amount'],
    ['a number that JSON rounded', 'text', {}, 4301011990010112e5, 'bad-amount'],
    ['an unknown code', 'code', {}, 'ZZ', 'unknown-code'],
    ['a lookup without this value', 'text', { lookup: new Map([['1', 'x']]) }, '2', 'unknown-code'],
    ['a doubtful boolean', 'boolean', {}, '2', 'unknown-code'],
    ['NUL', 'text', {}, 'a\u0000b', 'bad-text'],
    ['another control character, at the end too', 'text', {}, 'a\u000b', 'bad-text'],
    ['a control character in a code', 'code', {}, 'A\u0001B', 'bad-text'],
    ['half a character', 'text', {}, 'a\ud800', 'bad-text'],
    ['an object', 'text', {}, { a: 1 }, 'bad-text'],
    ['21 characters', 'text', {}, '字'.repeat(21), 'too-long'],
    ['blank but required', 'text', { required: true }, ' ', 'required'],
    ['none but required', 'text', { required: true, none: ['无'] }, '无', 'required'],
  ])('HN-17 refuses %s', (_name, type, of, source, rule) => {
    const error = refusal(() => read(type, of, source));
    expect([error.rule, error.where]).toEqual([rule, 'X']);
  });

  it('HN-17 keeps 20 characters outside the BMP where 20 are allowed, and line ends', () => {
    expect(read('text', {}, '𠮷'.repeat(20))).toBe('𠮷'.repeat(20));
    expect(read('text', {}, 'a\r\nb\tc')).toBe('a\r\nb\tc');
  });

  it('HN-17 takes the first column that is not blank, and a literal where there is none', () => {
    const both = { from: ['X', 'Y'] };
    const fields = { x: [field('x', 'text'), value(both)], y: [field('y', 'integer'), value({ literal: 7 })] } as const;
    expect(map({ fields }, { ...FULL, X: ' ', Y: 'second' }).fields).toEqual({ x: 'second', y: 7 });
    expect(map({ fields }, { ...FULL, Y: null }).fields).toEqual({ y: 7 });
  });

  it('HN-14 refuses a record without a field that its kind requires, mapped or not', () => {
    const x = [field('x', 'text'), value({ from: ['X'] })] as const;
    expect(refusal(() => map({ fields: { x }, required: ['x'] }, FULL))).toMatchObject({ rule: 'required', where: 'X' });
    expect(ruleOf(() => map({ required: ['missing'] }, FULL))).toBe('required');
  });

  it('HN-5 names column and rule in Chinese and never the value', () => {
    const secret = withCitizenCheck('43010119900101001').replace(/.$/, 'Q');
    const error = refusal(() => map({ kind: { fixed: 'person' } }, { ...FULL, CODE: secret }));
    expect(error).toMatchObject({ rule: 'bad-identifier', where: 'CODE' });
    expect(error.message).toMatch(/^列「CODE」主体编码未通过校验（规则 bad-identifier: [a-z-]+）$/);
    expect(error.message).not.toContain(secret.slice(0, 6));
  });
});

describe('U12 key, version, region and period', () => {
  it('U12 makes one key of untidy spellings and tells blank parts apart', () => {
    const key = (raw: Record<string, unknown>): string => map({ key: ['ID', 'PART'] }, { ...FULL, ...raw }).key;
    expect(key({ ID: ' ａ-1 ', PART: 2 })).toBe('["A-1","2"]');
    expect(key({ ID: 'a-1', PART: '' })).toBe('["A-1",null]');
    expect(refusal(() => key({ ID: '', PART: null }))).toMatchObject({ rule: 'required', where: 'ID/PART' });
  });

  it('U12 takes all mapped values as the key of a stream without one', () => {
    const one = map({ key: [] }, FULL);
    expect(one.key).toBe(contentOf(one));
    expect(map({ key: [] }, { ...FULL, NAME: '乙' }).key).not.toBe(one.key);
  });

  it('HN-5 says when the key names a person', () => {
    const kind: Override['kind'] = {
      from: 'TYPE',
      lookup: new Map([
        ['1', 'person'],
        ['2', 'organisation'],
      ]),
    };
    expect(map({ key: ['CODE'], kind }, { ...FULL, CODE: PERSON, TYPE: 1 }).keyIsPersonal).toBe(true);
    expect(map({ key: ['CODE'], kind }, { ...FULL, TYPE: 2 }).keyIsPersonal).toBe(false);
    expect(map({ kind }, { ...FULL, CODE: PERSON, TYPE: 1 }).keyIsPersonal).toBe(false);
    const fields = { x: [{ ...field('x', 'text'), sensitivity: 'identity' }, value({ from: ['X'] })] } as const;
    expect(map({ key: ['X'], fields }, { ...FULL, X: 'a' }).keyIsPersonal).toBe(true);
  });

  it.each([
    ['a local time', { date: 'yyyy-MM-dd HH:mm:ss' }, '2026-01-01 08:00:00.5', '2026-01-01T00:00:00.500000Z'],
    ['a local time without a format', {}, '2026-01-01 08:00:00', '2026-01-01T00:00:00.000000Z'],
    ['a Date', {}, new Date('2026-01-01T00:00:00Z'), '2026-01-01T00:00:00.000000Z'],
    ['a number', {}, 42, '00000000000000000042'],
    ['a text', {}, 'v2', 'v2'],
    ['nothing', {}, null, null],
  ] as const)('U12 reads the version from %s', (_name, of, source, expected) => {
    expect(map({ version: value({ from: ['V'], ...of }) }, { ...FULL, V: source }).version).toBe(expected);
  });

  it('U12 refuses a version that is no day of the calendar', () => {
    expect(ruleOf(() => map({ version: value({ from: ['V'] }) }, { ...FULL, V: '2023-02-30 00:00:00' }))).toBe('bad-date');
  });

  it('U12 gives the record the subject’s region where it has none, and the reverse', () => {
    const region = value({ from: ['R'], first: 6 });
    expect(map({ region }, { ...FULL, R: '430102001' })).toMatchObject({ region: '430102', subject: { region: '430102' } });
    expect(map({ subjectRegion: region }, { ...FULL, R: '430102' })).toMatchObject({ region: '430102', subject: { region: '430102' } });
    const both = { region: value({ from: ['S'] }), subjectRegion: region };
    expect(map(both, { ...FULL, R: '430102', S: '430100' })).toMatchObject({ region: '430100', subject: { region: '430102' } });
    expect(refusal(() => map({ region }, { ...FULL, R: '000102' }))).toMatchObject({ rule: 'bad-region', where: 'R' });
  });

  it('U12 refuses a period that ends before it begins, and takes one day', () => {
    const period = { validFrom: value({ from: ['F'] }), validTo: value({ from: ['T'] }) };
    expect(refusal(() => map(period, { ...FULL, F: '2026-01-02', T: '2026-01-01' }))).toMatchObject({ rule: 'bad-period', where: 'T' });
    expect(map(period, { ...FULL, F: '2026-01-02', T: '2026-01-02' }).validTo).toBe('2026-01-02');
  });

  it('U12 takes the source’s word that a record no longer holds', () => {
    const deleted = { from: 'FLAG', values: ['D'] };
    expect(['D', 'd ', 'I', null].map((FLAG) => map({ deleted }, { ...FULL, FLAG }).deleted)).toEqual([true, true, false, false]);
  });

  it('U12 sees a change in every part of the content and in nothing else', () => {
    const record = map({ fields: { x: [field('x', 'text'), value({ from: ['X'] })] } }, { ...FULL, X: 'a' });
    const same = { ...record, key: 'k', version: 'v', warnings: ['w'], unknownKeys: ['u'], keyIsPersonal: true };
    expect(contentOf(same)).toBe(contentOf(record));
    const changes: Partial<MappedRecord>[] = [
      { category: 4 },
      { kind: 'other' },
      { deleted: true },
      { region: '430100' },
      { occurredOn: '2026-01-01' },
      { validFrom: '2026-01-01' },
      { validTo: '2026-01-01' },
      { fields: { x: 'b' } },
      { fields: {} },
      { subject: { ...record.subject, kind: 'person' } },
      { subject: { ...record.subject, name: '乙' } },
      { subject: { ...record.subject, region: '430100' } },
      { subject: { ...record.subject, roles: [] } },
      { subject: { ...record.subject, identifiers: [] } },
    ];
    expect(new Set([record, ...changes.map((change) => ({ ...record, ...change }))].map(contentOf)).size).toBe(changes.length + 1);
    expect(contentOf({ ...record, fields: { b: 1, a: 2 } })).toBe(contentOf({ ...record, fields: { a: 2, b: 1 } }));
  });
});

describe('HUB-2 a record becomes what a platform takes', () => {
  const publish = compilePublication({
    body: new Map<string, { of: string; lookup: Map<string, string> | undefined } | { literal: string }>([
      ['XXBH', { of: 'record.id', lookup: undefined }],
      ['BB', { of: 'record.version', lookup: undefined }],
      ['LX', { of: 'record.kind', lookup: undefined }],
      [
        'CXBZ',
        {
          of: 'record.deleted',
          lookup: new Map([
            ['true', '1'],
            ['false', '0'],
          ]),
        },
      ],
      ['YYBZ', { of: 'record.disputed', lookup: new Map([['true', '1']]) }],
      ['ZTMC', { of: 'subject.name', lookup: undefined }],
      ['PJDJ', { of: 'grade', lookup: new Map([['a', 'A']]) }],
      ['PJNF', { of: 'year', lookup: undefined }],
      ['PJJG', { literal: '湖南省医疗保障局' }],
    ]),
  });
  const record = {
    key: '7:3',
    id: 'r1',
    version: 3,
    kind: 'evaluation',
    deleted: false,
    disputed: true,
    subject: { name: '甲' },
    fields: { grade: 'a', year: 2026 },
  };

  it('HUB-2 writes fields, subject, record and literals under the platform’s names', () => {
    expect(publish(record)).toEqual({
      XXBH: 'r1',
      BB: 3,
      LX: 'evaluation',
      CXBZ: '0',
      YYBZ: '1',
      ZTMC: '甲',
      PJDJ: 'A',
      PJNF: 2026,
      PJJG: '湖南省医疗保障局',
    });
  });

  it('HUB-2 writes nothing as an empty text, and refuses a value the platform has no word for', () => {
    expect(publish({ ...record, subject: {}, fields: { grade: null } })).toMatchObject({ ZTMC: '', PJDJ: '', PJNF: '' });
    expect(refusal(() => publish({ ...record, fields: { grade: 'z' } }))).toMatchObject({ rule: 'unknown-code', where: 'PJDJ' });
  });
});
