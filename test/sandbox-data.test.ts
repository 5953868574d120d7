import { describe, expect, it } from '@jest/globals';
import { fileURLToPath } from 'node:url';
import { RejectRecord } from '../src/errors.ts';
import { classify } from '../src/identity/classify.ts';
import { checkInstitutionCode, checkPractitionerCode } from '../src/identity/platform.ts';
import { compileMapping } from '../src/mapping/compile.ts';
import { contentOf } from '../src/mapping/record.ts';
import { loadModel, pullStreams } from '../src/model/load.ts';
import { VERDICTS } from '../src/sandbox/dirt.ts';
import { type SandboxData, generate } from '../src/sandbox/generate.ts';
import type { Planted } from '../src/sandbox/plant.ts';
import type { Row } from '../src/sandbox/population.ts';

const data = generate({ seed: 7 });
const today = data.now.slice(0, 10);
const OF_PERSONS = ['practitioners', 'physicians', 'pharmacists', 'nurses', 'technicians'].map((id) => `national-insurance/${id}`);
const OF_INSURED = ['insured-persons', 'insurance-relations', 'resident-contributions', 'benefit-suspensions'].map(
  (id) => `national-insurance/${id}`,
);
const CODE_TABLES = ['dictionary-types', 'dictionaries', 'place-dictionaries', 'dictionary-query', 'drug-catalogue'].map(
  (id) => `national-insurance/${id}`,
);
/** Of the province's three platforms; what further ones tell of single organisations is theirs. */
const ORGANISATION_STREAMS = [...data.streams.keys()].filter(
  (stream) =>
    /^(national-insurance|credit-china|hunan-credit)\//.test(stream) && ![...OF_PERSONS, ...OF_INSURED, ...CODE_TABLES].includes(stream),
);

describe('the data of the sandbox', () => {
  it('is the same for the same seed and another for another', () => {
    expect(generate({ seed: 7 }).digest).toBe(data.digest);
    expect(generate({ seed: 8 }).digest).not.toBe(data.digest);
  });

  it('depends on the time it is told, never on the clock', () => {
    const earlier = generate({ seed: 7, organisations: 40, persons: 120, now: '2025-06-30 08:00:00' });
    const times = [...earlier.streams.values()].flat().flatMap((row) => [row['UPDT_TIME'], row['SJC'], row['GXSJ']]);
    expect(times.filter((time) => time !== undefined && String(time) > '2025-06-30 08:00:00')).toEqual([]);
  });

  it('HN-14 has about twelve thousand records through the pull streams of every connector', () => {
    const total = Object.values(data.expected).reduce((sum, counts) => sum + counts.in, 0);
    expect(total).toBeGreaterThanOrEqual(11000);
    expect(total).toBeLessThanOrEqual(13500);
    expect(Object.keys(data.expected).length).toBeGreaterThanOrEqual(29);
  });

  it('HN-13 finds every organisation by a right credit code and every person by a right number, each once', () => {
    const organisations = data.organisations.map((one) => classify(one.creditCode, today));
    expect(organisations.filter((one) => !one.valid || one.kind !== 'uscc' || one.warnings.length > 0)).toEqual([]);
    const persons = data.persons.map((one) => classify(one.idNumber, today));
    expect(persons.filter((one) => !one.valid || one.kind === 'uscc')).toEqual([]);
    expect(new Set(persons.map((one) => one.kind)).size).toBeGreaterThan(2);
    expect(new Set(organisations.map((one) => one.normalized)).size).toBe(data.organisations.length);
    expect(new Set(persons.map((one) => one.normalized)).size).toBe(data.persons.length);
    expect(new Set(data.organisations.map((one) => one.name)).size).toBe(data.organisations.length);
  });

  it('gives institutions and practitioners right codes of the platform', () => {
    const institutions = data.organisations.flatMap((one) => one.institutionCode ?? []);
    expect(institutions.length).toBeGreaterThan(200);
    expect(institutions.filter((code) => !checkInstitutionCode(code).valid)).toEqual([]);
    expect(data.persons.filter((one) => one.practitionerCode !== null && !checkPractitionerCode(one.practitionerCode).valid)).toEqual([]);
  });

  it('HN-13 tells the same practitioners in the registers as in 5102, under the number the platform insures them by', () => {
    const rowsOfStream = (id: string): readonly Row[] => data.streams.get(`national-insurance/${id}`) ?? [];
    const codes = { physicians: 'DR_CODE', pharmacists: 'PHAR_CODE', nurses: 'NURS_CODE', technicians: 'MED_TECN_CODE' };
    const told = Object.entries(codes).flatMap(([id, column]) => rowsOfStream(id).map((row) => `${row[column]} ${row['PSN_NO']}`));
    const asked = new Set(data.persons.map((one) => `${one.practitionerCode} ${one.personNumber}`));
    expect(told.filter((pair) => !asked.has(pair.toUpperCase().normalize('NFKC')))).toHaveLength(
      data.answerKey.filter(({ stream, dirt }) => stream in codes && dirt === 'no-identifier').length,
    );
    expect(new Set(told).size).toBeGreaterThanOrEqual(data.persons.filter((one) => one.profession !== null).length);
  });

  it('HN-14 shows one organisation in every stream that tells of organisations, and one of its staff in those of persons', () => {
    const { creditCode, institutionCode, employerNumber, practitionerIdNumber, practitionerCode } = data.showcase;
    const shows = (stream: string, codes: string[]): boolean =>
      (data.streams.get(stream) ?? []).some((row) => Object.values(row).some((value) => codes.includes(String(value))));
    const missing = ORGANISATION_STREAMS.filter((stream) => !shows(stream, [creditCode, institutionCode, employerNumber]));
    expect(missing).toEqual(['national-insurance/pharmacies']);
    const personal = [
      'credit-china/penalties',
      'hunan-credit/credit-commitments',
      'hunan-credit/violations',
      'national-insurance/practitioners',
      'national-insurance/insured-persons',
    ];
    expect(personal.filter((stream) => !shows(stream, [practitionerIdNumber]))).toEqual([]);
    expect(OF_PERSONS.slice(1).filter((stream) => shows(stream, [practitionerCode]))).toHaveLength(1);
  });
});

describe('the answer key of the sandbox', () => {
  it('has two to twenty rows of every kind of dirt', () => {
    const kinds = Object.keys(VERDICTS).map((dirt) => data.answerKey.filter((one) => one.dirt === dirt).length);
    expect(Math.min(...kinds)).toBeGreaterThanOrEqual(2);
    expect(Math.max(...kinds)).toBeLessThanOrEqual(20);
  });

  it('P15 names rows that are there, without a number of a person', () => {
    expect(data.answerKey.filter((one) => rowsOf(data, one).length === 0)).toEqual([]);
    for (const one of data.answerKey.filter(({ dirt }) => dirt === 'duplicate' || dirt === 'late')) {
      if (!one.key.startsWith('institution=')) expect(rowsOf(data, one)).toHaveLength(2);
    }
    const numbers = new Set(data.persons.map((one) => one.idNumber));
    expect(data.answerKey.filter((one) => one.key.split(/[=,]/).some((part) => numbers.has(part)))).toEqual([]);
  });

  it('adds up: in = stored + unchanged + issues, for every stream', () => {
    for (const [stream, counts] of Object.entries(data.expected)) {
      expect(counts.in).toBe(data.streams.get(stream)?.length);
      expect(counts.stored + counts.unchanged + counts.issues).toBe(counts.in);
    }
  });

  it('P11 is what the mappings of the connectors make of the rows, and no other row is refused', () => {
    const model = loadModel(fileURLToPath(new URL('../schema', import.meta.url)));
    for (const stream of pullStreams(model)) {
      const name = `${stream.connector}/${stream.id}`;
      const rows = data.streams.get(name);
      if (!rows) continue;
      const { map } = compileMapping(model, stream);
      const refused: string[] = [];
      const drifted: string[] = [];
      const seen = new Map<string, string>();
      let unchanged = 0;
      for (const row of rows) {
        try {
          const record = map(row, today);
          const before = seen.get(record.key);
          if (before !== undefined && (before.split(' ')[0] ?? '') >= `${record.version}`) unchanged++;
          else seen.set(record.key, `${record.version} ${contentOf(record)}`);
          drifted.push(...record.unknownKeys);
        } catch (error) {
          if (!(error instanceof RejectRecord)) throw error;
          refused.push(error.rule);
        }
      }
      const own = data.answerKey.filter((one) => `${one.connector}/${one.stream}` === name);
      const rules = own.filter((one) => one.outcome === 'issue').map((one) => `${one.rule}`);
      expect([name, ...refused.toSorted()]).toEqual([name, ...rules.toSorted()]);
      expect([name, drifted.length]).toEqual([name, own.filter((one) => one.dirt === 'unknown-key').length]);
      expect([name, unchanged]).toEqual([name, data.expected[name]?.unchanged]);
    }
  });
});

/** The raw rows that a label of the answer key names. */
function rowsOf(from: SandboxData, one: Planted): Row[] {
  const named = Object.fromEntries(one.key.split(',').map((part) => part.split('=')));
  if ('institution' in named) {
    const list = from.practitioners.filter(
      ({ institution, row }) => institution === named['institution'] && row['prac_psn_type'] === named['type'],
    );
    return list.slice(Number(named['no']) - 1, Number(named['no'])).map(({ row }) => row);
  }
  const rows = from.streams.get(`${one.connector}/${one.stream}`) ?? [];
  return rows.filter((row) => Object.entries(named).every(([column, value]) => String(row[column]) === value));
}
