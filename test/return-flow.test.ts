/** What the tables of the national platform's return flow become: by the real model, on rows of the sandbox. */
import { describe, expect, it } from '@jest/globals';
import { fileURLToPath } from 'node:url';
import { compileMapping } from '../src/mapping/compile.ts';
import { compileDictionary } from '../src/mapping/dictionary.ts';
import type { MappedRecord } from '../src/mapping/record.ts';
import { findStream, loadModel, pullStreams } from '../src/model/load.ts';
import { generate } from '../src/sandbox/generate.ts';
import type { Row } from '../src/sandbox/population.ts';
import { RETURN_FLOW } from '../src/sandbox/tables.ts';

const data = generate({ seed: 7, organisations: 60, persons: 200 });
const model = loadModel(fileURLToPath(new URL('../schema', import.meta.url)));
const streams = new Map(pullStreams(model).flatMap((one) => (one.connector === 'national-insurance' ? [[one.id, one]] : [])));

function rows(id: string): readonly Row[] {
  return data.streams.get(`national-insurance/${id}`) ?? [];
}

/** The first row that `fits`, with some columns said differently, as the hub takes it. */
function told(id: string, changes: Row = {}, fits: (row: Row) => boolean = () => true): MappedRecord {
  const stream = streams.get(id);
  const row = rows(id).find(fits);
  if (stream === undefined || row === undefined) throw new Error(`no ${id}`);
  return compileMapping(model, stream).map({ ...row, ...changes }, data.now.slice(0, 10));
}

const schemes = (record: MappedRecord): string[] => record.subject.identifiers.map(({ scheme }) => scheme);

describe('the return flow of the national platform', () => {
  it('HN-17 knows every column of its tables, so that the next one to appear is reported', () => {
    const unknown = RETURN_FLOW.flatMap((table) => {
      const stream = findStream(model, String(table.stream));
      if (stream === undefined || stream.direction === 'push') return [String(table.stream)];
      const columns = table.columns
        .trim()
        .split(/\s+/)
        .map((column) => column.split(':')[0] ?? '');
      const row = Object.fromEntries(columns.map((column) => [column, null]));
      const raw = { ...row, ...rows(stream.id)[0], NEW: '1' };
      if (stream.direction === 'dictionary') return compileDictionary(stream).map(raw).unknownKeys;
      return compileMapping(model, stream).map(raw, data.now.slice(0, 10)).unknownKeys;
    });
    expect(unknown).toEqual(RETURN_FLOW.map(() => 'NEW'));
  });

  it('HN-13 finds an employer by the unified code wherever it stands, and by its number alone where it stands nowhere', () => {
    const { creditCode } = data.showcase;
    const before = { TAX_REG_NO: '430104MA4000012' };
    expect(told('employers').subject.identifiers[0]).toEqual({ scheme: 'uscc', code: creditCode });
    expect(told('employers', { ...before, EMP_ENTT_CODG: creditCode }).subject.identifiers[0]).toEqual({
      scheme: 'uscc',
      code: creditCode,
    });
    const unresolved = told('employers', { ...before, EMP_ENTT_CODG: 'QY0001' });
    expect([schemes(unresolved), unresolved.warnings]).toEqual([['employer-code'], ['not-an-identifier']]);
  });

  it.each([
    ['01', 'citizen-id'],
    ['04', 'travel-permit-hk-mo'],
    ['08', 'passport'],
    ['17', 'residence-permit'],
  ])('HN-13 reads the number of certificate type %s as %s', (type, scheme) => {
    const permit = data.persons.find((one) => one.certificateType === '17')?.idNumber ?? null;
    const given: Record<string, Row> = {
      '01': {},
      '04': { PSN_CERT_TYPE: '04', CERTNO: 'H12345678' },
      '08': { PSN_CERT_TYPE: '08', CERTNO: 'M12345678' },
      '17': { PSN_CERT_TYPE: '17', CERTNO: permit },
    };
    const record = told('insured-persons', given[type], (one) => one['PSN_CERT_TYPE'] === '01' && /^4\d{16}/.test(String(one['CERTNO'])));
    expect(schemes(record)).toEqual([scheme, 'person-number']);
  });

  it('HN-13 leaves a person with an enciphered number, or one of another certificate, known by the person number alone', () => {
    expect(schemes(told('insured-persons', { PSN_CERT_TYPE: '01', CERTNO: 'A9'.repeat(300) }))).toEqual(['person-number']);
    expect(schemes(told('insured-persons', { PSN_CERT_TYPE: '02', CERTNO: '12345678' }))).toEqual(['person-number']);
  });

  it('HN-14(9) takes no remark on conduct for a violation, and no grade of a register for an evaluation', () => {
    for (const id of ['physicians', 'pharmacists', 'nurses']) {
      const record = told(id, { VOLA_BHVR: '重复收费', CRED_LV: '4' });
      expect([record.category, record.kind, record.unknownKeys]).toEqual([2, 'medical-practitioner', []]);
      expect(Object.values(record.fields).filter((value) => value === '重复收费' || value === '4')).toEqual([]);
    }
    const national = [...streams.values()].map(({ mapping }) => mapping.category);
    expect(national).not.toContain(9);
  });

  it('HN-14(3) takes a suspension of benefits for administration, its reason for the person’s', () => {
    const record = told('benefit-suspensions', { CHG_REA_DSCR: '欠费' });
    expect(record).toMatchObject({ category: 3, kind: 'benefit-suspension', fields: { suspensionReason: '欠费' } });
    expect(model.categories.get(3)?.fields.get('suspensionReason')?.sensitivity).toBe('personal');
    expect(model.categories.get(3)?.kinds.get('benefit-suspension')?.publicity).toBe('non-public');
  });

  it('HN-15 takes contributions in fen, to the fen', () => {
    const paid = { EMP_CLCT_AMT: '1234.50', PSN_CLCT_AMT: '283.8000', LATEFEE: '0', CASHYM: '202610', CLCT_FLAG: '1' };
    const fields = { employerAmount: 123450, personAmount: 28380, lateFee: 0, period: '202610', paymentStatus: '1' };
    expect(told('employer-contributions', paid)).toMatchObject({ kind: 'employer-contribution', fields });
    expect(told('resident-contributions', { PSN_CLCT_AMT: '400' })).toMatchObject({
      kind: 'person-contribution',
      fields: { personAmount: 40000 },
    });
  });
});

describe('HN-15 the tax authority', () => {
  const rule = model.rules.find(({ id }) => id === 'tax/contributions');
  it('sees the contributions of organisations where it collects or verifies them, and nothing else of this kind', () => {
    expect(rule).toMatchObject({ subjects: ['organisation'], purposes: ['social-security', 'fee-verification'], categories: [1] });
    for (const name of ['period', 'insuranceType', 'paymentStatus', 'employerAmount', 'personAmount', 'lateFee'])
      expect([name, rule?.fields.get(`RegistrationRecord.${name}`)]).toEqual([name, 'allow']);
    expect(rule?.fields.get('RegistrationRecord.bankAccount')).toBeUndefined();
    const others = model.rules.filter(({ policy, id }) => policy === 'tax' && id !== 'tax/contributions');
    expect(others.filter(({ fields }) => fields.has('RegistrationRecord.employerAmount'))).toEqual([]);
  });
});
