import type { Population, Row } from './population.ts';
import { type Random, randomOf } from './random.ts';
import { audit, practitioners } from './rows-insurance.ts';
import { OPEN_END, addDays, dayBetween } from './times.ts';

type Institution = Population['institutions'][number];
type Make = (random: Random, answer: Row, place: Institution) => Row;

/** CUSTCENT_DB.DR_INFO_B: the physicians of 5102; about one in twelve has a second row, for another institution. */
export function physicians(population: Population): Row[] {
  const random = randomOf(population.seed, 'second-places');
  const hospitals = population.institutions.filter((one) => one.kind === 'medical');
  const rows = register(population, '1', physician);
  const second = rows
    .filter((row) => row['NEMP_TIME'] === null && random.chance(0.08))
    .map((row) => {
      const place = random.pick(hospitals);
      const at = { MEDINS_CODE: place.institutionCode, MEDINS_NAME: place.name, PRACINS_NAME: place.name, ADMDVS: place.county.code };
      return { ...row, ...at, MUL_PRAC_FLAG: '1', RID: random.hex(32) };
    });
  return [...rows, ...second];
}

/** CUSTCENT_DB.PHAR_INFO_B. */
export function pharmacists(population: Population): Row[] {
  return register(population, '3', pharmacist);
}

/** CUSTCENT_DB.NURS_INFO_B. */
export function nurses(population: Population): Row[] {
  return register(population, '2', nurse);
}

/** CUSTCENT_DB.MED_TECN_INFO_B. */
export function technicians(population: Population): Row[] {
  return register(population, '4', technician);
}

/** The same people, places and days as the answers of 5102. */
function register(population: Population, profession: string, make: Make): Row[] {
  const random = randomOf(population.seed, `register ${profession}`);
  const places = new Map(population.institutions.map((one) => [one.institutionCode, one]));
  return practitioners(population).flatMap(({ institution, row }) => {
    const place = places.get(institution);
    if (place === undefined || row['prac_psn_type'] !== profession) return [];
    const changed = dayBetween(random, '2022-01-01', addDays(population.today, -1));
    return [{ ...make(random, row, place), ...audit(random, population, place.county.code, changed) }];
  });
}

/** What three of the registers share. What they say of conduct and grade is nothing the hub may build on. */
function employment(random: Random, answer: Row, place: Institution): Row {
  const left = answer['endtime'] !== OPEN_END;
  return {
    PSN_NO: answer['prac_psn_no'] ?? null,
    PRACINS_NAME: place.name,
    PRACINS_ADDR: `湖南省${place.county.prefecture.name}${place.county.name}`,
    NEMP_TIME: left ? (answer['endtime'] ?? null) : null,
    ADMDVS: place.county.code,
    CRED_LV: random.chance(0.2) ? random.pick(['1', '2', '3']) : null,
    VOLA_BHVR: random.chance(0.04) ? '门诊处方书写不规范' : null,
    PRAC_STAS: left ? '2' : '1',
    PSN_STAS: left ? '2' : '1',
    CNTR_BEGNTIME: answer['begntime'] ?? null,
    CNTR_ENDTIME: OPEN_END,
  };
}

function physician(random: Random, answer: Row, place: Institution): Row {
  const duty = random.pick(['医师', '主治', '副主任', '主任']);
  const kind = random.pick(['临床', '中医', '口腔']);
  return {
    DR_CODE: answer['prac_psn_code'] ?? null,
    DR_NAME: answer['prac_psn_name'] ?? null,
    DR_PRAC_TYPE_NAME: kind,
    DR_PRAC_TYPE: { 临床: '1', 中医: '2', 口腔: '3' }[kind] ?? null,
    DR_PRAC_SCP_NAME: kind === '临床' ? random.pick(['内科专业', '外科专业', '儿科专业', '妇产科专业']) : `${kind}专业`,
    PRAC_REGN: '湖南省',
    MUL_PRAC_FLAG: '0',
    DR_PRO_TECH_DUTY_NAME: duty,
    DR_PRAC_CERT_NO: answer['prac_cert_no'] ?? null,
    DR_CERT_CODG: answer['prac_psn_cert'] ?? null,
    MEDINS_CODE: place.institutionCode,
    MEDINS_NAME: place.name,
    DR_ID: random.hex(32),
    DR_PRAC_LV: '1',
    ...employment(random, answer, place),
  };
}

function pharmacist(random: Random, answer: Row, place: Institution): Row {
  const registered = String(answer['begntime']);
  return {
    PHAR_CODE: answer['prac_psn_code'] ?? null,
    PHAR_NAME: answer['prac_psn_name'] ?? null,
    PHAR_PRAC_TYPE_NAME: random.pick(['药学', '中药学']),
    PHAR_PRAC_SCP_NAME: place.kind === 'pharmacy' ? '药品零售' : '药品使用',
    PRACINS_NO: place.institutionCode,
    PHAR_TYPE: '1',
    PHAR_PRO_TECH_DUTY_NAME: random.pick(['药师', '主管']),
    PHAR_ID: random.hex(32),
    PHAR_PRAC_CERT_NO: answer['prac_psn_cert'] ?? null,
    REGCERT_NO: answer['prac_cert_no'] ?? null,
    PHAR_PRAC_EMP: place.name,
    REG_TIME: registered,
    EXPY_ENDTIME: addDays(registered, 365 * 15),
    ...employment(random, answer, place),
  };
}

function nurse(random: Random, answer: Row, place: Institution): Row {
  return {
    NURS_CODE: answer['prac_psn_code'] ?? null,
    NURS_NAME: answer['prac_psn_name'] ?? null,
    NURS_PRAC_CERT_NO: answer['prac_cert_no'] ?? null,
    PRACINS_NO: place.institutionCode,
    NURS_PRO_TECH_DUTY_NAME: random.pick(['护士', '护师', '主管护师']),
    NURS_ID: random.hex(32),
    PRAC_TYPE: '1',
    ...employment(random, answer, place),
  };
}

/** A table of its own shape: no contract, no status, no certificate. */
function technician(random: Random, answer: Row, place: Institution): Row {
  const { PSN_NO, PRACINS_NAME, PRACINS_ADDR, NEMP_TIME } = employment(random, answer, place);
  return {
    MED_TECN_CODE: answer['prac_psn_code'] ?? null,
    PSN_NO: PSN_NO ?? null,
    MED_TECN_NAME: answer['prac_psn_name'] ?? null,
    PRAC_TYPE: random.pick(['1', '2', '3']),
    PRAC_SCP: '1',
    PRAC_REGN_ADMDVS: place.county.code,
    TECN_PRO_TECH_DUTY: random.pick(['1', '2', '3']),
    PRACINS_NO: place.institutionCode,
    PRACINS_NAME: PRACINS_NAME ?? null,
    PRACINS_ADDR: PRACINS_ADDR ?? null,
    NEMP_TIME: NEMP_TIME ?? null,
  };
}

/** POLCENT_DB.FIXMEDINS_B: who is designated, and whether it settles online today. */
export function designations(population: Population): Row[] {
  const random = randomOf(population.seed, 'designations');
  return population.institutions.map((one) => ({
    FIXMEDINS_CODE: one.institutionCode,
    USCC: random.chance(0.1) ? null : one.creditCode,
    ORGCODE: one.creditCode.slice(8, 17),
    FIX_BLNG_ADMDVS: one.county.code,
    FIXMEDINS_NAME: one.name,
    FIXMEDINS_TYPE: one.kind === 'medical' ? '1' : '2',
    HOSP_LV: one.level,
    LMTPRIC_HOSP_LV: '9',
    DEDC_HOSP_LV: '9',
    BEGNTIME: one.establishedOn,
    ENDTIME: OPEN_END,
    HI_RESPER_NAME: one.legalRepresentative.name,
    FIX_ONLN_OPEN_FLAG: one.troubled && random.chance(0.2) ? '0' : '1',
    OUT_ONLN_OPEN_TYPE: '01',
    ...audit(random, population, one.county.code, dayBetween(random, '2022-01-01', addDays(population.today, -1))),
  }));
}

/** POLCENT_DB.FIXMEDINS_PAUS_D: every sixth institution was paused once, the first among them; the table gives no reason. */
export function designationSuspensions(population: Population): Row[] {
  const random = randomOf(population.seed, 'designation-suspensions');
  return population.institutions
    .filter((_, i) => i % 6 === 0)
    .map((one) => {
      const begin = dayBetween(random, `${population.year - 3}-01-05`, addDays(population.today, -30));
      return {
        FIXMEDINS_CODE: one.institutionCode,
        FIXMEDINS_PAUS_TYPE: random.pick(['1', '2', '3']),
        BEGNTIME: begin,
        ENDTIME: random.chance(0.2) ? OPEN_END : addDays(begin, random.int(30, 180)),
        ...audit(random, population, one.county.code, addDays(begin, 1)),
      };
    });
}
