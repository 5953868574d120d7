/** Who a raw record is about. */
import { describe, expect, it } from '@jest/globals';
import { usccFor, withUsccCheck } from '../src/identity/uscc.ts';
import type { MappedRecord } from '../src/mapping/record.ts';
import { columns, FULL, map, ORGANISATION, type Override, PERSON, refusal, ruleOf, value } from './fixtures/mapping-model.ts';

/** Right by its outer check character only: what one text in 31 is by chance. */
const ODD = withUsccCheck(`${ORGANISATION.slice(0, 16)}${ORGANISATION[16] === '0' ? '1' : '0'}`);

describe('HN-13 the subject is found by checked numbers', () => {
  const person: Override = { kind: { fixed: 'person' } };

  it.each([
    ['an organisation in untidy spelling', {}, ` ${ORGANISATION.toLowerCase()} `, 'uscc', ORGANISATION],
    ['an organisation with gaps', {}, `${ORGANISATION.slice(0, 8)} ${ORGANISATION.slice(8)}`, 'uscc', ORGANISATION],
    ['a citizen', person, PERSON, 'citizen-id', PERSON],
    ['a resident of Hong Kong', person, 'H1234567802', 'travel-permit-hk-mo', 'H1234567802'],
  ] as const)('HN-13 takes the scheme from the number: %s', (_name, override, code, scheme, expected) => {
    expect(map(override, { ...FULL, CODE: code }).subject.identifiers).toEqual([{ scheme, code: expected }]);
  });

  it.each([
    ['a wrong check character', {}, `${ORGANISATION.slice(0, 17)}${ORGANISATION.endsWith('0') ? '1' : '0'}`],
    ['a person’s number on an organisation', {}, PERSON],
    ['an organisation’s code on a person', person, ORGANISATION],
    ['a number of no known form', person, '12345'],
  ] as const)('HN-13 refuses %s, even where the number may be left out', (_name, override, code) => {
    const identifiers = columns(['statutory', 'CODE'], ['institution-code', 'INST']);
    expect(ruleOf(() => map({ ...override, identifiers }, { ...FULL, CODE: code, INST: 'H43010000001' }))).toBe('bad-identifier');
  });

  it('HN-13 passes over blank numbers and keeps the platform’s codes in order', () => {
    const identifiers = columns(['statutory', 'CODE'], ['institution-code', 'INST'], ['employer-code', 'EMP']);
    const raw = { ...FULL, CODE: '', INST: ' h43010000001', EMP: '４３０１' };
    expect(map({ identifiers }, raw).subject.identifiers).toEqual([
      { scheme: 'institution-code', code: 'H43010000001' },
      { scheme: 'employer-code', code: '4301' },
    ]);
  });

  it('HN-13 refuses a record with a name only, a platform code of the other kind, an endless one, and two numbers that contradict', () => {
    expect(refusal(() => map({}, { ...FULL, CODE: null }))).toMatchObject({ rule: 'no-identifier', where: 'CODE' });
    const platform = columns(['practitioner-code', 'CODE']);
    expect(ruleOf(() => map({ identifiers: platform }, { ...FULL, CODE: 'D430100000001' }))).toBe('bad-identifier');
    expect(ruleOf(() => map({ identifiers: columns(['employer-code', 'CODE']) }, { ...FULL, CODE: '1'.repeat(51) }))).toBe('too-long');
    const two = columns(['statutory', 'CODE'], ['statutory', 'CODE2']);
    expect(ruleOf(() => map({ identifiers: two }, { ...FULL, CODE2: usccFor('91430100', 'MA4L0002') }))).toBe('bad-identifier');
    expect(map({ identifiers: two }, { ...FULL, CODE2: ORGANISATION }).subject.identifiers).toHaveLength(1);
  });

  it('HN-13 takes a declared passport by its shape, and of a declared scheme only its own numbers', () => {
    const passport: Override = { ...person, identifiers: columns(['passport', 'CODE']) };
    expect(map(passport, { ...FULL, CODE: 'e12345678' }).subject.identifiers).toEqual([{ scheme: 'passport', code: 'E12345678' }]);
    expect(ruleOf(() => map(passport, { ...FULL, CODE: '护照' }))).toBe('bad-identifier');
    const citizen: Override = { ...person, identifiers: columns(['citizen-id', 'CODE']) };
    expect(ruleOf(() => map(citizen, { ...FULL, CODE: 'H12345678' }))).toBe('bad-identifier');
  });

  it('HN-13 only tries a number in a column that may hold something else: what does not pass its check is no identifier and no fault', () => {
    const tried = { ...columns(['statutory', 'CODE'])[0]!, whenValid: true };
    const identifiers = [tried, ...columns(['employer-code', 'EMP'])];
    const told = (CODE: unknown): MappedRecord => map({ identifiers }, { ...FULL, CODE, EMP: '4301' });
    expect(told(ORGANISATION)).toMatchObject({ subject: { identifiers: [{ scheme: 'uscc' }, { scheme: 'employer-code' }] }, warnings: [] });
    const wrong = `${ORGANISATION.slice(0, 17)}${ORGANISATION.endsWith('0') ? '1' : '0'}`;
    for (const other of [wrong, PERSON, '430104MA4000012', 'A9'.repeat(300), ODD]) {
      expect(told(other)).toMatchObject({ subject: { identifiers: [{ scheme: 'employer-code' }] }, warnings: ['not-an-identifier'] });
    }
    expect(told(' ').warnings).toEqual([]);
    expect(refusal(() => map({ identifiers }, { ...FULL, CODE: wrong }))).toMatchObject({ rule: 'no-identifier', where: 'CODE/EMP' });
    expect(ruleOf(() => told('91\u0001'))).toBe('bad-text');
  });

  it('HN-13 still refuses two numbers that contradict where both are only tried', () => {
    const identifiers = columns(['statutory', 'CODE'], ['statutory', 'CODE2']).map((one) => ({ ...one, whenValid: true }));
    expect(ruleOf(() => map({ identifiers }, { ...FULL, CODE2: usccFor('91430100', 'MA4L0002') }))).toBe('bad-identifier');
  });

  it('HN-13 reads a number as the certificate type beside it says, and as nobody’s where that type identifies nobody', () => {
    const lookup = new Map([
      ['01', 'citizen-id'],
      ['04', 'travel-permit-hk-mo'],
      ['08', 'passport'],
    ]);
    const [number, code] = columns(['', 'CODE'], ['practitioner-code', 'P']);
    const identifiers = [{ ...number!, scheme: { from: 'TYPE', lookup } }, code!];
    const told = (TYPE: unknown, CODE: string): MappedRecord =>
      map({ ...person, identifiers }, { ...FULL, TYPE, CODE, P: 'D430100000001' });
    const schemes = (TYPE: unknown, CODE: string): string[] => told(TYPE, CODE).subject.identifiers.map(({ scheme }) => scheme);
    expect(schemes(' 01', PERSON)).toEqual(['citizen-id', 'practitioner-code']);
    expect(schemes('04', 'M12345678')).toEqual(['travel-permit-hk-mo', 'practitioner-code']);
    expect(schemes('08', 'M12345678')).toEqual(['passport', 'practitioner-code']);
    expect(schemes('02', '12345678')).toEqual(['practitioner-code']);
    expect(schemes(null, PERSON)).toEqual(['practitioner-code']);
    expect(told('01', PERSON).unknownKeys).toEqual([]);
    expect(ruleOf(() => told('01', 'M12345678'))).toBe('bad-identifier');
  });

  it('HN-13 decides the kind of subject by the source’s word for it', () => {
    const kind: Override['kind'] = {
      from: 'TYPE',
      lookup: new Map([
        ['自然人', 'person'],
        ['法人', 'organisation'],
      ]),
    };
    expect(map({ kind }, { ...FULL, CODE: PERSON, TYPE: ' 自然人' }).subject.kind).toBe('person');
    expect(ruleOf(() => map({ kind }, { ...FULL, TYPE: '个体' }))).toBe('unknown-code');
    expect(ruleOf(() => map({ kind }, { ...FULL, TYPE: '' }))).toBe('required');
  });

  it('HN-15 holds names to the length of the subject’s kind', () => {
    expect(ruleOf(() => map(person, { ...FULL, CODE: PERSON, NAME: '长'.repeat(101) }))).toBe('too-long');
    expect(map({}, { ...FULL, NAME: '长'.repeat(101) }).subject.name).toHaveLength(101);
  });

  it('HN-17 warns about what is odd and taken', () => {
    const record = map({ region: value({ from: ['R'] }) }, { ...FULL, R: '430199' });
    expect(record).toMatchObject({ region: '430199', warnings: ['unknown-region'] });
  });
});
