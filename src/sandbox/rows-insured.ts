import type { SandboxOrganisation } from './organisations.ts';
import { type SandboxPerson, makePerson } from './persons.ts';
import type { Population, Row } from './population.ts';
import { type Random, randomOf } from './random.ts';
import { audit } from './rows-insurance.ts';
import { OPEN_END, addDays, dayBetween } from './times.ts';

/** CUSTCENT_DB.INSU_EMP_INFO_B: every organisation employs somebody. The table has no column for the credit code. */
export function employers(population: Population): Row[] {
  const random = randomOf(population.seed, 'employers');
  return population.organisations.map((one, i) => ({
    EMP_NO: one.employerNumber,
    ...codes(random, one, i),
    EMP_MGT_TYPE: '1',
    ASOC_LEGENT_FLAG: '1',
    EMP_TYPE: one.publicOwned ? '02' : '01',
    EMP_NAME: one.name,
    REG_NAME: random.chance(0.5) ? one.name : null,
    LOC_ADMDVS: one.county.code,
    CONER_NAME: '医保专员',
    EMP_ADDR: `湖南省${one.county.prefecture.name}${one.county.name}`,
    APRV_ESTA_DATE: one.establishedOn,
    INSU_ADMDVS: one.county.code,
    ORG_VALI_STAS: '1',
    LEGREP_NAME: one.legalRepresentative.name,
    LEGREP_CERT_TYPE: one.legalRepresentative.certificateType,
    LEGREP_CERTNO: one.legalRepresentative.idNumber,
    ...audit(random, population, one.county.code, dayBetween(random, '2022-01-01', addDays(population.today, -1))),
  }));
}

/** The credit code as tax number, or as entity code beside the tax number of before 2015, or in neither of them. */
function codes(random: Random, one: SandboxOrganisation, i: number): Row {
  const before = `${one.county.code}${one.creditCode.slice(8, 17)}`;
  const chance = i === 0 ? 0 : random.next();
  if (chance < 0.75) return { TAX_REG_NO: one.creditCode, EMP_ENTT_CODG: random.chance(0.5) ? one.creditCode : random.digits(18) };
  return { TAX_REG_NO: before, EMP_ENTT_CODG: chance < 0.9 ? one.creditCode : `QY${random.digits(12)}` };
}

/** CLCTCENT_DB.EMP_CLCT_DETL_D: the last two months of every employer, late or open now and then. Yuan. */
export function employerContributions(population: Population): Row[] {
  const random = randomOf(population.seed, 'employer-contributions');
  return population.organisations.flatMap((one) => {
    const staff = random.int(3, 260);
    return [2, 1].map((back) => contribution(random, population, one, staff, monthBefore(population, back)));
  });
}

function contribution(random: Random, population: Population, one: SandboxOrganisation, staff: number, month: string): Row {
  const base = staff * random.int(3800, 9200);
  const open = random.chance(one.troubled ? 0.2 : 0.02);
  const late = !open && random.chance(one.troubled ? 0.25 : 0.03);
  const arrived = addDays(`${month.slice(0, 4)}-${month.slice(4)}-10`, late ? random.int(25, 31) : random.int(0, 9));
  const employer = Math.round(base * 8.7) / 100;
  const persons = Math.round(base * 2) / 100;
  const fee = late ? Math.round(employer * 1.5) / 100 : 0;
  return {
    EMP_CLCT_DETL_ID: `DW${month}${one.employerNumber}`,
    EMP_NO: one.employerNumber,
    CASHYM: month,
    ACCRYM_BEGN: month,
    ACCRYM_END: month,
    INSUTYPE: '310',
    EMP_CLCT_PARAVAL: 0.087,
    EMP_CLCTSTD_SUMAMT: base,
    EMP_CLCT_AMT: employer,
    PSN_CLCT_PARAVAL: 0.02,
    PSN_CLCTSTD_SUMAMT: base,
    PSN_CLCT_AMT: persons,
    CLCT_FLAG: open ? '0' : '1',
    CLCT_TYPE: '10',
    CLCT_PSNCNT: staff,
    STAF_TOTLWAG: base,
    AMT: Math.round((employer + persons + fee) * 100) / 100,
    LATEFEE: fee,
    REVS_FLAG: '0',
    ARVL_DATE: open ? null : arrived,
    TAXDEPT_CODE: `143${one.county.code}00`,
    ...unflagged(audit(random, population, one.county.code, arrived)),
  };
}

/** BASINFOCENT_DB.PSN_INFO_B: practitioners and insured persons. One number in thirty lies there enciphered. */
export function insuredPersons(population: Population): Row[] {
  const random = randomOf(population.seed, 'insured-persons');
  return insured(population).map((one) => ({
    PSN_NO: one.personNumber,
    PSN_NAME: one.name,
    GEND: random.pick(['1', '2']),
    PSN_CERT_TYPE: one.certificateType,
    CERTNO: random.chance(0.03) ? random.hex(96) : one.idNumber,
    NAT_REGN_CODE: one.certificateType === '08' ? '410' : '156',
    LIVE_ADMDVS: one.county.code,
    SURV_STAS: '1',
    MUL_PROV_MNT_FLAG: '0',
    ...audit(random, population, one.county.code, dayBetween(random, '2022-01-01', addDays(population.today, -1))),
  }));
}

/** CUSTCENT_DB.PSN_INSU_STAS_B: practitioners as employees where they work, the others as residents. */
export function insuranceRelations(population: Population): Row[] {
  const random = randomOf(population.seed, 'insurance-relations');
  const places = new Map(population.institutions.map((one) => [one.institutionCode, one.county.code]));
  const work = new Map(population.staff.map(({ person, institution }) => [person.personNumber, places.get(institution)]));
  return insured(population).map((one) => {
    const place = work.get(one.personNumber);
    const region = place ?? one.county.code;
    const begin = dayBetween(random, '2012-01-01', addDays(population.today, -200));
    const stopped = random.chance(0.05);
    return {
      PSN_INSU_RLTS_ID: relationOf(one),
      PSN_NO: one.personNumber,
      PSN_INSU_STAS: stopped ? '2' : '1',
      PSN_TYPE: place === undefined ? '1501' : '1101',
      INSUTYPE: place === undefined ? '390' : '310',
      CRT_INSU_DATE: begin,
      PAUS_INSU_DATE: stopped ? addDays(begin, random.int(30, 190)) : OPEN_END,
      INSU_ADMDVS: region,
      ...audit(random, population, region, dayBetween(random, '2022-01-01', addDays(population.today, -1))),
    };
  });
}

/** CLCTCENT_DB.RSDT_PSN_CLCT_DETL_D: what residents paid for this year and the last. Yuan. */
export function residentContributions(population: Population): Row[] {
  const random = randomOf(population.seed, 'resident-contributions');
  return residents(population).flatMap((one) =>
    [population.year - 1, population.year].map((year) => {
      const open = random.chance(0.06);
      const paid = dayBetween(random, `${year - 1}-10-01`, `${year - 1}-12-20`);
      return {
        RSDT_CLCT_DETL_ID: `JM${year}${one.personNumber.slice(0, 14)}`,
        PSN_NO: one.personNumber,
        PSN_INSU_RLTS_ID: relationOf(one),
        INSUTYPE: '390',
        PSN_TYPE: '1501',
        CASHYM: `${year}01`,
        ACCRYM_BEGN: `${year}01`,
        ACCRYM_END: `${year}12`,
        PSN_CLCT_AMT: 400,
        CLCT_FLAG: open ? '0' : '1',
        CLCT_TIME: open ? null : paid,
        TAXDEPT_CODE: `143${one.county.code}00`,
        FINSUBS_AMT: 700,
        CLCT_SUMAMT: 1100,
        ...unflagged(audit(random, population, one.county.code, paid)),
      };
    }),
  );
}

const REASONS = ['未按时缴纳居民医疗保险费', '参保地变更', '涉嫌出借医疗保障凭证，核查期间暂停联网结算'];

/** SETLCENT_DB.PSN_TRT_PAUS_D: one resident in four had the benefits suspended once, mostly for reasons that are nobody's fault. */
export function benefitSuspensions(population: Population): Row[] {
  const random = randomOf(population.seed, 'benefit-suspensions');
  return residents(population)
    .filter((_, i) => i % 4 === 0)
    .map((one) => {
      const begin = dayBetween(random, `${population.year - 3}-01-05`, addDays(population.today, -30));
      return {
        TRT_DCLA_DETL_SN: `DY${begin.replaceAll('-', '')}${random.digits(12)}`,
        PSN_NO: one.personNumber,
        PSN_INSU_RLTS_ID: relationOf(one),
        INSUTYPE: '390',
        INSU_ADMDVS: one.county.code,
        PAUS_TYPE: random.pick(['1', '2', '3']),
        CHG_REA_DSCR: random.pick(REASONS),
        BEGNDATE: begin,
        ENDDATE: random.chance(0.3) ? OPEN_END : addDays(begin, random.int(30, 360)),
        ...audit(random, population, one.county.code, addDays(begin, 1)),
      };
    });
}

function insured(population: Population): SandboxPerson[] {
  return [...population.staff.map(({ person }) => person), ...residents(population)];
}

/** Insured persons who do not work in care, and six foreigners, whose passports read like travel permits of Hong Kong. */
function residents(population: Population): SandboxPerson[] {
  const random = randomOf(population.seed, 'foreigners');
  const foreigners = Array.from({ length: 6 }, (_, i) => ({
    ...makePerson(random, 80_001 + i, 'insured'),
    certificateType: '08',
    idNumber: `M${String(10_000_001 + i)}`,
  }));
  return [...population.persons.filter((one) => one.role === 'insured'), ...foreigners];
}

function relationOf(one: SandboxPerson): string {
  return `CB${one.personNumber.slice(0, 14)}`;
}

/** `yyyyMM`, counted back from the data's own month. */
function monthBefore(population: Population, months: number): string {
  const first = new Date(Date.UTC(population.year, Number(population.today.slice(5, 7)) - 1 - months, 1));
  return first.toISOString().slice(0, 7).replace('-', '');
}

/** The audit columns of the two tables that say nothing of validity. */
function unflagged(row: Row): Row {
  return Object.fromEntries(Object.entries(row).filter(([column]) => column !== 'VALI_FLAG'));
}
