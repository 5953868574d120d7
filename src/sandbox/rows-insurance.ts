import type { Population, Row } from './population.ts';
import type { SandboxOrganisation } from './organisations.ts';
import type { SandboxPerson } from './persons.ts';
import { type Random, randomOf } from './random.ts';
import { OPEN_END, addDays, dayBetween, earlier, timeOn } from './times.ts';

const GRADES = ['A级', 'B级', 'C级', 'D级'];

/** CUSTCENT_DB.MEDINS_INFO_B. Columns not named here are null. */
export function medicalInstitutions(population: Population): Row[] {
  const random = randomOf(population.seed, 'medical-institutions');
  return population.institutions.filter((one) => one.kind === 'medical').map((one) => medicalInstitution(random, population, one));
}

export function medicalInstitution(random: Random, population: Population, one: SandboxOrganisation): Row {
  const beds = Number(one.level) < 9 ? random.int(60, 1800) : random.int(0, 50);
  const grade = gradeOf(population.seed, one, population.year - 1);
  return {
    MEDINS_CODE: one.institutionCode,
    USCC: one.creditCode,
    MEDINS_NAME: one.name,
    ADMDVS: one.county.code,
    ADDR: `湖南省${one.county.prefecture.name}${one.county.name}演示路${random.int(1, 400)}号`,
    MEDINS_TYPE: { 综合医院: 'A1', 中医医院: 'A2', 专科医院: 'A5', 社区卫生服务中心: 'B1', 乡镇卫生院: 'C2' }[one.type] ?? 'D1',
    MEDINS_TYPE_NAME: one.type,
    FIXMEDINS_TYPE: '1',
    REG_STAS: '1',
    APRV_BED_CNT: beds,
    PRO_TECHSTF_PSNCNT: Math.ceil(beds * 1.3) + 3,
    MEDINSLV: Number(one.level) < 5 ? '3' : Number(one.level) < 8 ? '2' : '9',
    HOSP_LV: one.level,
    BEGNTIME: one.establishedOn,
    ENDTIME: OPEN_END,
    GRST_HOSP_FLAG: one.type === '乡镇卫生院' || one.type === '社区卫生服务中心' ? '1' : '0',
    CRED_LV: grade,
    CRED_LV_NAME: grade && (GRADES[Number(grade) - 1] ?? null),
    MEDINS_NATU: one.publicOwned ? '1' : '2',
    MEDINS_NATU_NAME: one.publicOwned ? '公立' : '民营',
    NPMO_FLAG: one.publicOwned ? '1' : '0',
    BIZNAT: one.publicOwned ? '1' : '2',
    MEDINS_INFO_ID: random.hex(32),
    LEGENT_NAME: one.name,
    LEGREP_NAME: one.legalRepresentative.name,
    MEDINS_PRAC_LIC_REGNO: `PDY${one.county.code}${random.digits(11)}`,
    MEDINS_PRAC_LIC_EXPY: `${random.int(population.year, population.year + 4)}-${random.pick(['03-31', '06-30', '12-31'])}`,
    ...audit(random, population, one.county.code, dayBetween(random, '2022-01-01', addDays(population.today, -1))),
  };
}

/** CUSTCENT_DB.RTAL_PHAC_B. */
export function pharmacies(population: Population): Row[] {
  const random = randomOf(population.seed, 'pharmacies');
  return population.institutions.filter((one) => one.kind === 'pharmacy').map((one) => pharmacy(random, population, one));
}

function pharmacy(random: Random, population: Population, one: SandboxOrganisation): Row {
  const chain = random.pick(['1', '1', '2', '3']);
  return {
    RTAL_PHAC_CODE: one.institutionCode,
    RTAL_PHAC_NAME: one.name,
    USCC: one.creditCode,
    ADMDVS: one.county.code,
    ADDR: `湖南省${one.county.prefecture.name}${one.county.name}样本街${random.int(1, 300)}号`,
    BEGNTIME: one.establishedOn,
    ENDTIME: OPEN_END,
    BRCH_FLAG: chain === '1' ? '0' : '1',
    DRUG_BIZ_LIC_NO: `湘D${random.pick(['A', 'B', 'C'])}${random.digits(9)}`,
    DRUG_BIZ_SCP: '中药饮片、中成药、化学药制剂、抗生素制剂',
    PHAR_PSNCNT: random.int(1, 4),
    PHAC_CHAN_TYPE: chain,
    RTAL_PHAC_ID: random.hex(32),
    BIZ_STAS: random.chance(0.96) ? '1' : '2',
    LEGREP_NAME: one.legalRepresentative.name,
    LEGREP_CERT_TYPE: one.legalRepresentative.certificateType,
    LEGREP_CERTNO: one.legalRepresentative.idNumber,
    REGCAP: `${random.int(5, 300)}.00`,
    BIZ_LIC_EXPY_BEGNTIME: one.establishedOn,
    BIZ_LIC_EXPY_ENDTIME: OPEN_END,
    BIZ_WAY: '零售',
    ...audit(random, population, one.county.code, dayBetween(random, '2022-01-01', addDays(population.today, -1))),
  };
}

/** POLCENT_DB.FIXMEDINS_CNTR_REG_D: an agreement per institution and year; the renewals of one year end often share one batch time. */
export function serviceAgreements(population: Population): Row[] {
  const random = randomOf(population.seed, 'service-agreements');
  return population.institutions.flatMap((one) =>
    [4, 3, 2, 1, 0]
      .filter((back) => back < 2 || random.chance(0.9))
      .map((back) => agreement(random, population, one, population.year - back)),
  );
}

function agreement(random: Random, population: Population, one: Population['institutions'][number], year: number): Row {
  const broken = one.troubled && random.chance(0.3);
  const signed = dayBetween(random, `${year - 1}-12-05`, `${year}-01-10`);
  const current = year === population.year;
  const medical = one.kind === 'medical';
  return {
    FIX_CNTR_ID: `XY${year}${one.institutionCode}`,
    FIXMEDINS_CODE: one.institutionCode,
    FIX_CNTR_TYPE: medical ? '1' : '2',
    BEGNTIME: `${year}-01-01`,
    FIX_BLNG_ADMDVS: one.county.code,
    FIX_CNTR_NAME: `${year}年度定点${medical ? '医疗机构' : '零售药店'}医疗保障服务协议`,
    CNTR_SIGN_YEAR: String(year),
    ENDTIME: current && random.chance(0.2) ? OPEN_END : `${year}-12-31`,
    CNTR_SIGN_TIME: signed,
    FIX_CNTR_SERV_OBJ: '职工,城乡居民',
    FIX_CNTR_SERV_SCP: medical ? '门诊,住院' : '购药',
    ISU_FLAG: '1',
    CNTR_STAS: broken ? random.pick(['3', '4']) : current ? '1' : '2',
    EFFT_TIME: `${year}-01-01`,
    INVD_TIME: broken ? dayBetween(random, `${year}-03-01`, earlier(`${year}-10-31`, population.today)) : null,
    ...audit(random, population, one.county.code, addDays(`${year}-01-10`, random.int(0, 200))),
    ...(random.chance(0.4) && { UPDT_TIME: earlier(`${year}-01-15 02:00:00`, population.now) }),
    VALI_FLAG: random.chance(0.004) ? '0' : '1',
  };
}

/** CUSTCENT_DB.V_MEDINS_CRED_LV: the grades of the last two finished years, for the institutions that were evaluated. */
export function creditGrades(population: Population): Row[] {
  const random = randomOf(population.seed, 'credit-grades');
  return population.institutions
    .filter((one) => one.kind === 'medical')
    .flatMap((one) =>
      [population.year - 2, population.year - 1].flatMap((year) => {
        const grade = gradeOf(population.seed, one, year);
        const at = timeOn(random, dayBetween(random, `${year + 1}-03-01`, `${year + 1}-04-28`));
        const row = { MEDINS_CODE: one.institutionCode, USCC: one.creditCode, MEDINS_NAME: one.name, ADMDVS: one.county.code };
        const name = GRADES[Number(grade) - 1] ?? null;
        const evaluated = {
          ...row,
          CRED_LV: grade,
          CRED_LV_NAME: name,
          EVAL_YEAR: String(year),
          RID: random.hex(32),
          UPDT_TIME: at,
          VALI_FLAG: '1',
        };
        return grade === null ? [] : [evaluated];
      }),
    );
}

/** What transaction 1201 answers for each institution; the directory leaves the credit code out now and then. */
export function institutionLookups(population: Population): Row[] {
  const random = randomOf(population.seed, 'institution-lookup');
  return population.institutions.map((one) => ({
    fixmedins_code: one.institutionCode,
    fixmedins_name: one.name,
    uscc: random.chance(0.05) ? '' : one.creditCode,
    fixmedins_type: one.kind === 'medical' ? '1' : '2',
    hosp_lv: one.level,
  }));
}

/** What transaction 5102 answers, each row with the institution it belongs to. */
export function practitioners(population: Population): { institution: string; row: Row }[] {
  const random = randomOf(population.seed, 'practitioners');
  return population.staff.map(({ person, institution }) => ({ institution, row: practitioner(random, population, person) }));
}

export function practitioner(random: Random, population: Population, person: SandboxPerson): Row {
  const begin = dayBetween(random, '2012-01-01', addDays(population.today, -141));
  const left = random.chance(0.05);
  return {
    psn_cert_type: person.certificateType,
    certno: person.idNumber,
    prac_psn_no: person.personNumber,
    prac_psn_code: person.practitionerCode,
    prac_psn_name: person.name,
    prac_psn_type: person.profession,
    prac_psn_cert: random.digits(24),
    prac_cert_no: `${person.profession ?? ''}${person.county.code}${random.digits(8)}`,
    hi_dr_flag: person.profession === '1' ? '1' : '0',
    begntime: begin,
    endtime: left ? addDays(begin, random.int(100, 140)) : OPEN_END,
    chg_rea: left ? '离职' : '',
  };
}

/** 1 A to 4 D, null for the one in twenty that was not evaluated; the same for every stream that shows it. */
function gradeOf(seed: number, one: SandboxOrganisation, year: number): string | null {
  const random = randomOf(seed, `grade ${one.creditCode} ${year}`);
  if (one.institutionCode === null || random.chance(0.05)) return null;
  return random.weighted(
    one.troubled
      ? [
          ['2', 2],
          ['3', 5],
          ['4', 3],
        ]
      : [
          ['1', 5],
          ['2', 4],
          ['3', 1],
        ],
  );
}

/** The audit columns of nearly every table of the platform. */
export function audit(random: Random, population: Population, region: string, changedOn: string): Row {
  const at = timeOn(random, earlier(changedOn, addDays(population.today, -1)));
  const clerk = { CRTER_ID: 'jb0001', CRTER_NAME: '经办演示', OPTER_ID: 'jb0002', OPTER_NAME: '经办演示' };
  const office = `${region.slice(0, 4)}99`;
  return {
    RID: random.hex(32),
    CRTE_TIME: '2021-12-20 09:00:00',
    UPDT_TIME: at,
    ...clerk,
    CRTE_OPTINS_NO: office,
    OPT_TIME: at,
    OPTINS_NO: office,
    VALI_FLAG: '1',
    POOLAREA_NO: office,
    VER: '1',
  };
}
