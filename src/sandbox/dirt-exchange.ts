import { LONG, type Recipe, miscopied, text, wide } from './dirt.ts';
import type { Row } from './population.ts';

const organisation = (row: Row): boolean => text(row, 'CF_XDR_SHXYM') !== '';
const OLD_PENALTIES = 'credit-china/penalties-legacy';
const OLD_LICENCES = 'credit-china/licences-legacy';
const DEBTORS = 'credit-china/dishonest-judgment-debtors';
const RED_LIST = 'credit-china/honours';
const CODES = 'credit-china/unified-codes';
const HANDLINGS = 'hunan-credit/violations';
const GRADE_A = 'hunan-credit-service/tax-grade-a';
const HEALTH = 'hunan-credit-service/health-penalties';
const JUDGMENTS = 'hunan-credit-files/judgments';
const DRUG_LICENCES = 'hunan-credit-files/drug-licences';
const EMPLOYERS = 'hunan-credit-files/employer-registrations';
const DRUG_PENALTIES = 'hunan-credit-files/drug-penalties';
const REPORTS = 'zhengzhou-credit/credit-reports';
const AGENCIES = 'credit-agencies/credit-reports';
const WUGANG = 'henan-supervision/wugang-grades';
const SHANDONG = 'shandong-credit/handlings';
const LEADS = 'shandong-credit/leads';
const SHENZHEN = 'shenzhen-credit/adverse-handlings';

/** One line, one dirty row, of the platforms that exchange by directories and packets. */
export const EXCHANGE_RECIPES: readonly Recipe[] = [
  {
    dirt: 'bad-check-digit',
    stream: OLD_PENALTIES,
    fits: organisation,
    spoil: (row) => ({ CF_XDR_SHXYM: miscopied(row, 'CF_XDR_SHXYM') }),
  },
  { dirt: 'bad-date', stream: OLD_PENALTIES, spoil: () => ({ CF_JDRQ: '2015-02-30' }) },
  { dirt: 'unknown-code', stream: OLD_LICENCES, spoil: () => ({ XK_SPLB: '备案' }) },
  { dirt: 'missing-required', stream: DEBTORS, spoil: () => ({ AH: '' }) },
  // Honours of a county have no place in category 10 of Hunan.
  { dirt: 'unknown-code', stream: RED_LIST, spoil: () => ({ DEPT_LEVEL: '县级' }) },
  { dirt: 'untidy', stream: CODES, spoil: (row) => ({ TYSHXYDM: wide(text(row, 'TYSHXYDM')) }) },
  { dirt: 'duplicate', stream: CODES, spoil: () => ({}) },
  { dirt: 'unknown-key', stream: GRADE_A, spoil: () => ({ NEW_FIELD: '新增字段' }) },
  { dirt: 'bad-amount', stream: HEALTH, spoil: () => ({ FKJE: '伍仟元' }) },
  { dirt: 'missing-required', stream: JUDGMENTS, spoil: () => ({ SXRQ: '' }) },
  { dirt: 'too-long', stream: JUDGMENTS, spoil: () => ({ CPNR: LONG }) },
  { dirt: 'bad-check-digit', stream: DRUG_LICENCES, spoil: (row) => ({ TYSHXYDM: miscopied(row, 'TYSHXYDM') }) },
  { dirt: 'bad-period', stream: DRUG_LICENCES, spoil: () => ({ YXQZ: '2001-01-01' }) },
  { dirt: 'no-identifier', stream: EMPLOYERS, spoil: () => ({ TYSHXYDM: '' }) },
  { dirt: 'control-character', stream: DRUG_PENALTIES, spoil: () => ({ WFSS: '储存药品\u0001不符合规范' }) },
  // An issuer that is not in the filing list, and one whose filing had run out on the day of issue.
  { dirt: 'unknown-code', stream: REPORTS, spoil: () => ({ BABH: 'YS-999999-0001', CJJG: '无备案信用服务有限公司（演示）' }) },
  { dirt: 'unknown-code', stream: AGENCIES, spoil: () => ({ BABH: 'YS-440000-0003', CJJG: '云雀资信评估有限公司（演示）' }) },
  { dirt: 'bad-period', stream: AGENCIES, spoil: () => ({ YXQZ: '2039-12-30' }) },
  // A grade of Hunan is none of Wugang.
  { dirt: 'unknown-code', stream: WUGANG, spoil: () => ({ DJ: 'A' }) },
  // What the media say is no fact.
  { dirt: 'unknown-code', stream: SHANDONG, spoil: () => ({ XXLY: '公共媒体舆情' }) },
  { dirt: 'unknown-code', stream: LEADS, spoil: () => ({ HSZT: '传闻' }) },
  { dirt: 'unknown-article', stream: SHANDONG, spoil: () => ({ WFTK: '条例41' }) },
  { dirt: 'unknown-article', stream: SHENZHEN, spoil: () => ({ WFTK: '条例42' }) },
  { dirt: 'unknown-article', stream: HANDLINGS, spoil: () => ({ WFTK: '条例35' }) },
];
