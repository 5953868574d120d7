import type { Row } from './population.ts';
import { addDays } from './times.ts';

/** Planted faults of raw data, as platforms really deliver them. */
export type Dirt =
  | 'bad-check-digit'
  | 'missing-required'
  | 'unknown-code'
  | 'unknown-article'
  | 'bad-date'
  | 'bad-period'
  | 'bad-amount'
  | 'too-long'
  | 'control-character'
  | 'no-identifier'
  | 'unknown-key'
  | 'duplicate'
  | 'late'
  | 'untidy';
export type Outcome = 'issue' | 'stored' | 'unchanged';

/** What the hub has to make of each: the rule of the issue, and how the raw record is counted. */
export const VERDICTS: Record<Dirt, { rule: string | null; outcome: Outcome }> = {
  'bad-check-digit': { rule: 'bad-identifier', outcome: 'issue' },
  'missing-required': { rule: 'required', outcome: 'issue' },
  'unknown-code': { rule: 'unknown-code', outcome: 'issue' },
  'unknown-article': { rule: 'unknown-article', outcome: 'issue' },
  'bad-period': { rule: 'bad-period', outcome: 'issue' },
  'bad-date': { rule: 'bad-date', outcome: 'issue' },
  'bad-amount': { rule: 'bad-amount', outcome: 'issue' },
  'too-long': { rule: 'too-long', outcome: 'issue' },
  'control-character': { rule: 'bad-text', outcome: 'issue' },
  'no-identifier': { rule: 'no-identifier', outcome: 'issue' },
  'unknown-key': { rule: 'unknown-key', outcome: 'stored' },
  duplicate: { rule: null, outcome: 'unchanged' },
  late: { rule: null, outcome: 'unchanged' },
  untidy: { rule: null, outcome: 'stored' },
};

export interface Recipe {
  dirt: Dirt;
  stream: string;
  /** Which good rows may be copied; all when left out. */
  fits?: (row: Row) => boolean;
  /** What the copy has instead. Duplicates change nothing that a platform sends; every other copy but a late one gets a key of its own first. */
  spoil: (row: Row) => Row;
}

export const LONG = '超出长度的演示文字。'.repeat(600);
const organisation = (row: Row): boolean => text(row, 'CF_XDR_SHXYM') !== '' || text(row, 'XK_XDR_SHXYM') !== '';
const body = (row: Row): boolean => row['ZTLX'] === '机构';
const coded = (row: Row): boolean => row['USCC'] !== null;
const readable = (row: Row): boolean => /^4\d{16}[\dX]$/.test(text(row, 'CERTNO'));
const citizen = (row: Row): boolean => /^4\d{16}[\dX]$/.test(text(row, 'ZJHM'));

const PENALTIES = 'credit-china/penalties';
const LICENCES = 'credit-china/licences';
const INSTITUTIONS = 'national-insurance/medical-institutions';
const PRACTITIONERS = 'national-insurance/practitioners';
const GRADES = 'national-insurance/credit-grades';
const AGREEMENTS = 'national-insurance/service-agreements';
const PHYSICIANS = 'national-insurance/physicians';
const PHARMACISTS = 'national-insurance/pharmacists';
const NURSES = 'national-insurance/nurses';
const TECHNICIANS = 'national-insurance/technicians';
const DESIGNATIONS = 'national-insurance/designations';
const PAUSES = 'national-insurance/designation-suspensions';
const EMPLOYERS = 'national-insurance/employers';
const EMPLOYER_PAYS = 'national-insurance/employer-contributions';
const PERSONS = 'national-insurance/insured-persons';
const INSURANCE = 'national-insurance/insurance-relations';
const RESIDENT_PAYS = 'national-insurance/resident-contributions';
const BENEFITS = 'national-insurance/benefit-suspensions';
const MARKET = 'hunan-credit/market-registrations';
const ABNORMAL = 'hunan-credit/abnormal-operations';
const DEBTORS = 'hunan-credit/dishonest-judgment-debtors';
const EVALUATIONS = 'hunan-credit/public-credit-evaluations';
const COMMITMENTS = 'hunan-credit/credit-commitments';
const VIOLATIONS = 'hunan-credit/violations';
const HONOURS = 'hunan-credit/honours';
const OTHER = 'hunan-credit/other-information';

/** One line, one dirty row. NUL and lone surrogates only in JSON: PostgreSQL cannot hold them. */
export const RECIPES: readonly Recipe[] = [
  { dirt: 'bad-check-digit', stream: PENALTIES, fits: organisation, spoil: (row) => ({ CF_XDR_SHXYM: miscopied(row, 'CF_XDR_SHXYM') }) },
  { dirt: 'bad-check-digit', stream: LICENCES, fits: organisation, spoil: (row) => ({ XK_XDR_SHXYM: miscopied(row, 'XK_XDR_SHXYM') }) },
  { dirt: 'bad-check-digit', stream: INSTITUTIONS, spoil: (row) => ({ USCC: miscopied(row, 'USCC') }) },
  { dirt: 'bad-check-digit', stream: PRACTITIONERS, spoil: (row) => ({ certno: miscopied(row, 'certno') }) },
  { dirt: 'bad-check-digit', stream: VIOLATIONS, fits: citizen, spoil: (row) => ({ ZJHM: miscopied(row, 'ZJHM') }) },
  { dirt: 'bad-check-digit', stream: HONOURS, fits: body, spoil: (row) => ({ ZJHM: miscopied(row, 'ZJHM') }) },
  { dirt: 'missing-required', stream: PENALTIES, spoil: () => ({ CF_JDRQ: '' }) },
  { dirt: 'missing-required', stream: LICENCES, spoil: () => ({ XK_NR: '' }) },
  { dirt: 'missing-required', stream: HONOURS, spoil: () => ({ RYMC: '' }) },
  { dirt: 'missing-required', stream: DEBTORS, spoil: () => ({ AH: '' }) },
  { dirt: 'unknown-code', stream: GRADES, spoil: () => ({ CRED_LV: '7', CRED_LV_NAME: '特级' }) },
  { dirt: 'unknown-code', stream: EVALUATIONS, spoil: () => ({ PJDJ: '特优' }) },
  { dirt: 'unknown-code', stream: COMMITMENTS, spoil: () => ({ LXZT: '中止履行' }) },
  { dirt: 'unknown-code', stream: LICENCES, spoil: () => ({ XK_XKLB: '特批' }) },
  { dirt: 'unknown-code', stream: HONOURS, spoil: () => ({ SYJGJB: '县级' }) },
  { dirt: 'bad-date', stream: PENALTIES, spoil: () => ({ CF_JDRQ: '2023-02-30' }) },
  { dirt: 'bad-date', stream: LICENCES, spoil: () => ({ XK_YXQZI: '2027-13-01' }) },
  { dirt: 'bad-date', stream: ABNORMAL, spoil: () => ({ LRRQ: '2023/02/30' }) },
  { dirt: 'bad-date', stream: DEBTORS, spoil: () => ({ LASJ: '20230230' }) },
  { dirt: 'bad-amount', stream: PENALTIES, spoil: () => ({ CF_NR_FK: '壹万元' }) },
  { dirt: 'bad-amount', stream: PENALTIES, spoil: () => ({ CF_NR_FK: '0.2.5' }) },
  { dirt: 'bad-amount', stream: MARKET, spoil: () => ({ ZCZB: '壹佰万元' }) },
  { dirt: 'bad-amount', stream: VIOLATIONS, spoil: () => ({ SJJE: '约三万元' }) },
  { dirt: 'too-long', stream: PENALTIES, spoil: () => ({ CF_SY: LONG }) },
  { dirt: 'too-long', stream: LICENCES, spoil: () => ({ XK_NR: LONG }) },
  { dirt: 'too-long', stream: COMMITMENTS, spoil: () => ({ CNNR: LONG }) },
  { dirt: 'too-long', stream: OTHER, spoil: () => ({ XXNR: LONG }) },
  { dirt: 'control-character', stream: PENALTIES, spoil: () => ({ CF_SY: '重复收费\u0000超标准收费' }) },
  { dirt: 'control-character', stream: LICENCES, spoil: () => ({ XK_NR: '准予执业\ud800登记' }) },
  { dirt: 'control-character', stream: PRACTITIONERS, spoil: () => ({ prac_psn_name: '演示\u0000姓名' }) },
  { dirt: 'control-character', stream: VIOLATIONS, spoil: () => ({ WFSS: '分解项目\u0001收费' }) },
  { dirt: 'control-character', stream: OTHER, spoil: () => ({ XXNR: '提供虚假\u0001资料' }) },
  { dirt: 'no-identifier', stream: PENALTIES, fits: organisation, spoil: () => ({ CF_XDR_SHXYM: '' }) },
  { dirt: 'no-identifier', stream: LICENCES, fits: organisation, spoil: () => ({ XK_XDR_SHXYM: '' }) },
  { dirt: 'no-identifier', stream: HONOURS, spoil: () => ({ ZJHM: '' }) },
  { dirt: 'no-identifier', stream: MARKET, spoil: () => ({ TYSHXYDM: null }) },
  { dirt: 'unknown-key', stream: PENALTIES, spoil: () => ({ NEW_FIELD: '新增字段' }) },
  { dirt: 'unknown-key', stream: PENALTIES, spoil: () => ({ NEW_FIELD: '1' }) },
  { dirt: 'unknown-key', stream: LICENCES, spoil: () => ({ NEW_FIELD: '新增字段' }) },
  { dirt: 'unknown-key', stream: LICENCES, spoil: () => ({ NEW_FIELD: 1 }) },
  { dirt: 'unknown-key', stream: PRACTITIONERS, spoil: () => ({ NEW_FIELD: '新增字段' }) },
  { dirt: 'duplicate', stream: PENALTIES, spoil: () => ({}) },
  { dirt: 'duplicate', stream: LICENCES, spoil: () => ({}) },
  { dirt: 'duplicate', stream: PRACTITIONERS, spoil: () => ({}) },
  { dirt: 'duplicate', stream: COMMITMENTS, spoil: () => ({}) },
  { dirt: 'duplicate', stream: HONOURS, spoil: () => ({}) },
  { dirt: 'duplicate', stream: MARKET, spoil: () => ({}) },
  { dirt: 'late', stream: MARKET, spoil: (row) => ({ ...before(row), ZCZB: '1.00' }) },
  { dirt: 'late', stream: MARKET, spoil: (row) => ({ ...before(row), DZ: '湖南省（旧住所）' }) },
  { dirt: 'late', stream: COMMITMENTS, spoil: (row) => ({ ...before(row), CNNR: '信用承诺（旧版本）' }) },
  { dirt: 'late', stream: COMMITMENTS, spoil: (row) => ({ ...before(row), CNNR: '信用承诺（更早的版本）' }) },
  { dirt: 'late', stream: ABNORMAL, spoil: (row) => ({ ...before(row), LRYY: '列入原因（旧版本）' }) },
  { dirt: 'untidy', stream: PENALTIES, fits: organisation, spoil: (row) => ({ CF_XDR_SHXYM: text(row, 'CF_XDR_SHXYM').toLowerCase() }) },
  { dirt: 'untidy', stream: LICENCES, fits: organisation, spoil: (row) => ({ XK_XDR_SHXYM: wide(text(row, 'XK_XDR_SHXYM')) }) },
  { dirt: 'untidy', stream: HONOURS, fits: body, spoil: (row) => ({ ZJHM: `  ${text(row, 'ZJHM')} ` }) },
  { dirt: 'untidy', stream: AGREEMENTS, spoil: (row) => ({ FIXMEDINS_CODE: text(row, 'FIXMEDINS_CODE').toLowerCase() }) },
  { dirt: 'untidy', stream: INSTITUTIONS, spoil: (row) => ({ USCC: wide(text(row, 'USCC')) }) },
  { dirt: 'untidy', stream: PRACTITIONERS, spoil: (row) => ({ certno: ` ${wide(text(row, 'certno').toLowerCase())}` }) },
  { dirt: 'too-long', stream: PHYSICIANS, spoil: () => ({ DR_PRAC_CERT_NO: '1'.repeat(100) }) },
  { dirt: 'control-character', stream: PHYSICIANS, spoil: () => ({ DR_NAME: '演示\u0001姓名' }) },
  { dirt: 'untidy', stream: PHYSICIANS, spoil: (row) => ({ DR_CODE: text(row, 'DR_CODE').toLowerCase() }) },
  { dirt: 'control-character', stream: PHARMACISTS, spoil: () => ({ PRACINS_NAME: '演示\u0001大药房' }) },
  { dirt: 'no-identifier', stream: PHARMACISTS, spoil: () => ({ PHAR_CODE: '', PSN_NO: null }) },
  { dirt: 'no-identifier', stream: NURSES, spoil: () => ({ NURS_CODE: ' ', PSN_NO: null }) },
  { dirt: 'untidy', stream: NURSES, spoil: (row) => ({ NURS_CODE: wide(text(row, 'NURS_CODE')) }) },
  { dirt: 'control-character', stream: TECHNICIANS, spoil: () => ({ PRACINS_NAME: '演示\u0001医院' }) },
  { dirt: 'bad-check-digit', stream: DESIGNATIONS, fits: coded, spoil: (row) => ({ USCC: miscopied(row, 'USCC') }) },
  { dirt: 'unknown-code', stream: DESIGNATIONS, spoil: () => ({ FIX_ONLN_OPEN_FLAG: '7' }) },
  { dirt: 'untidy', stream: DESIGNATIONS, fits: coded, spoil: (row) => ({ USCC: wide(text(row, 'USCC')) }) },
  { dirt: 'missing-required', stream: PAUSES, spoil: () => ({ FIXMEDINS_PAUS_TYPE: ' ' }) },
  { dirt: 'no-identifier', stream: PAUSES, spoil: () => ({ FIXMEDINS_CODE: '' }) },
  // The platform's own row number is another: by the key of the table it is the same suspension.
  { dirt: 'duplicate', stream: PAUSES, spoil: (row) => ({ RID: [...text(row, 'RID')].toReversed().join('') }) },
  { dirt: 'missing-required', stream: EMPLOYERS, spoil: () => ({ EMP_NAME: '', REG_NAME: null }) },
  { dirt: 'unknown-code', stream: EMPLOYERS, spoil: () => ({ LEGREP_CERT_TYPE: '77' }) },
  { dirt: 'missing-required', stream: EMPLOYER_PAYS, spoil: () => ({ CASHYM: null }) },
  { dirt: 'unknown-code', stream: EMPLOYER_PAYS, spoil: () => ({ INSUTYPE: '999' }) },
  { dirt: 'bad-amount', stream: EMPLOYER_PAYS, spoil: () => ({ EMP_CLCT_AMT: 1234.567 }) },
  { dirt: 'unknown-code', stream: PERSONS, spoil: () => ({ PSN_CERT_TYPE: '55' }) },
  { dirt: 'no-identifier', stream: PERSONS, spoil: () => ({ PSN_NO: '', CERTNO: 'A9'.repeat(48) }) },
  {
    dirt: 'untidy',
    stream: PERSONS,
    fits: readable,
    spoil: (row) => ({ CERTNO: wide(text(row, 'CERTNO')) }),
  },
  { dirt: 'missing-required', stream: INSURANCE, spoil: () => ({ INSUTYPE: '' }) },
  { dirt: 'unknown-code', stream: INSURANCE, spoil: () => ({ PSN_INSU_STAS: '9' }) },
  { dirt: 'missing-required', stream: RESIDENT_PAYS, spoil: () => ({ CLCT_FLAG: null }) },
  { dirt: 'bad-amount', stream: RESIDENT_PAYS, spoil: () => ({ PSN_CLCT_AMT: 400.005 }) },
  { dirt: 'missing-required', stream: BENEFITS, spoil: () => ({ CHG_REA_DSCR: '' }) },
  { dirt: 'no-identifier', stream: BENEFITS, spoil: () => ({ PSN_NO: '' }) },
  { dirt: 'control-character', stream: BENEFITS, spoil: () => ({ CHG_REA_DSCR: '参保地\u0001变更' }) },
];

/** One character copied wrongly: neighbours at the end, where both kinds of code have their check character. */
export function miscopied(row: Row, column: string): string {
  const code = text(row, column);
  return code.slice(0, -1) + (code.endsWith('1') ? '2' : '1');
}

/** A version three days older than the one that the platform has already written. */
function before(row: Row): Row {
  const at = text(row, 'GXSJ');
  return { GXSJ: `${addDays(at.slice(0, 10), -3)}${at.slice(10)}` };
}

export function wide(code: string): string {
  return code.replace(/[!-~]/g, (c) => String.fromCharCode(c.charCodeAt(0) + 0xfee0));
}

export function text(row: Row, column: string): string {
  return String(row[column] ?? '');
}
