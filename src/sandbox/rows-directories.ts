import type { Population, Row } from './population.ts';
import { type Random, randomOf } from './random.ts';
import { addDays, dayBetween, earlier, timeOn } from './times.ts';

/** A row of a service directory: a row id, and the time (SJC) the platform took it in. */
export function served(random: Random, population: Population, since: string, columns: Row): Row {
  const day = earlier(addDays(since, random.int(1, 20)), addDays(population.today, -1));
  return { ID: random.hex(32), ...columns, SJC: timeOn(random, day) };
}

/** The directories of the national platform beside xzcf and xzxk. Much of it repeats what the province has told: the same facts. */
export function moreOfCreditChina(population: Population, good: ReadonlyMap<string, readonly Row[]>): Map<string, Row[]> {
  const of = (stream: string): readonly Row[] => good.get(stream) ?? [];
  return new Map([
    ['credit-china/penalties-legacy', legacyPenalties(population, of('credit-china/penalties'))],
    ['credit-china/licences-legacy', legacyLicences(population, of('credit-china/licences'))],
    ['credit-china/dishonest-judgment-debtors', repeated(population, 'sxbzxr', of('hunan-credit/dishonest-judgment-debtors'))],
    ['credit-china/abnormal-operations', repeated(population, 'jyyc', of('hunan-credit/abnormal-operations'))],
    ['credit-china/serious-violations', seriousViolations(population)],
    ['credit-china/honours', redList(population)],
    ['credit-china/public-credit-evaluations', repeated(population, 'ggxypj', of('hunan-credit/public-credit-evaluations'))],
    ['credit-china/unified-codes', unifiedCodes(population)],
  ]);
}

const CONTROL = new Set(['XXBH', 'SJHZDW', 'GXSJ', 'JHKG', 'ZSGBZ', 'XRSJ']);
const MOST = 40;

/** First versions of rows of the front database, without its control columns; those of the showcase always. */
function repeated(population: Population, directory: string, rows: readonly Row[]): Row[] {
  const random = randomOf(population.seed, directory);
  const showcase = population.organisations[0]?.creditCode;
  const first = rows.filter((row) => row['ZSGBZ'] === 'I');
  const ours = first.filter((row) => row['TYSHXYDM'] === showcase);
  const others = random.shuffled(first.filter((row) => row['TYSHXYDM'] !== showcase)).slice(0, MOST);
  return [...ours, ...others].map((row) => {
    const columns = Object.fromEntries(Object.entries(row).filter(([column]) => !CONTROL.has(column)));
    return served(random, population, String(row['GXSJ']).slice(0, 10), columns);
  });
}

/** An older system hands out some of the same decisions with the fields of 2014: no row id, square brackets, the authority by name only. */
function legacyPenalties(population: Population, rows: readonly Row[]): Row[] {
  return oldest(population, rows, 'CF_JDRQ', 'CF_XDR_SHXYM').map((row) => ({
    CF_WSH: bracketed(row['CF_WSH']),
    CF_CFMC: `${row['CF_XDR_MC']}行政处罚案`,
    CF_CFLB1: row['CF_CFLB'] ?? '',
    CF_CFLB2: '',
    CF_SY: row['CF_SY'] ?? '',
    CF_YJ: row['CF_YJ'] ?? '',
    CF_XDR_MC: row['CF_XDR_MC'] ?? '',
    CF_XDR_SHXYM: row['CF_XDR_SHXYM'] ?? '',
    CF_XDR_GSDJ: '',
    CF_XDR_ZDM: '',
    CF_XDR_SWDJ: '',
    CF_XDR_SFZ: row['CF_XDR_ZJHM'] ?? '',
    CF_FR: row['CF_FRDB'] ?? '',
    CF_JG: row['CF_NR'] ?? '',
    CF_JDRQ: row['CF_JDRQ'] ?? '',
    CF_JZRQ: row['CF_YXQ'] ?? '',
    GSQX: '1',
    CF_XZJG: row['CF_CFJG'] ?? '',
    DFBM: '430000',
    CF_ZT: row['CF_ZT'] ?? '0',
    SJC: row['SJC'] ?? '',
    BZ: '',
  }));
}

function legacyLicences(population: Population, rows: readonly Row[]): Row[] {
  return oldest(population, rows, 'XK_JDRQ', 'XK_XDR_SHXYM').map((row) => ({
    XK_WSH: bracketed(row['XK_WSH']),
    XK_XMMC: row['XK_XKZS'] ?? '',
    XK_SPLB: row['XK_XKLB'] ?? '',
    XK_NR: row['XK_NR'] ?? '',
    XK_XDR: row['XK_XDR_MC'] ?? '',
    XK_XDR_SHXYM: row['XK_XDR_SHXYM'] ?? '',
    XK_XDR_ZDM: '',
    XK_XDR_GSDJ: '',
    XK_XDR_SWDJ: '',
    XK_XDR_SFZ: row['XK_XDR_ZJHM'] ?? '',
    XK_FR: row['XK_FRDB'] ?? '',
    XK_JDRQ: row['XK_JDRQ'] ?? '',
    XK_JZQ: row['XK_YXQZI'] ?? '',
    XK_XZJG: row['XK_XKJG'] ?? '',
    XK_ZT: row['XK_ZT'] ?? '',
    DFBM: '430000',
    SJC: row['SJC'] ?? '',
    BZ: '',
  }));
}

function oldest(population: Population, rows: readonly Row[], day: string, code: string): Row[] {
  const showcase = population.organisations[0]?.creditCode;
  const byDay = rows.toSorted((a, b) => (String(a[day]) < String(b[day]) ? -1 : 1));
  return [...byDay.filter((row) => row[code] === showcase), ...byDay.filter((row) => row[code] !== showcase)].slice(0, MOST);
}

function bracketed(number: Row[string] | undefined): string {
  return String(number ?? '')
    .replace('〔', '[')
    .replace('〕', ']');
}

function seriousViolations(population: Population): Row[] {
  const random = randomOf(population.seed, 'yzwf');
  return population.organisations
    .filter((one, i) => one.market && (i === 0 || one.troubled))
    .slice(0, MOST)
    .map((one, i) => {
      const day = dayBetween(random, `${population.year - 3}-01-05`, addDays(population.today, -60));
      return served(random, population, day, {
        ZTMC: one.name,
        TYSHXYDM: one.creditCode,
        FDDBR: one.legalRepresentative.name,
        MDMC: '严重违法失信名单',
        LRYY: random.pick(['被列入经营异常名录届满三年仍未履行义务', '提交虚假材料取得行政许可']),
        LRYJ: '市场监督管理严重违法失信名单管理办法',
        LRRQ: day,
        LRJG: `${one.county.prefecture.name}市场监督管理局`,
        YCRQ: i % 5 === 0 && i > 0 ? addDays(day, 30) : '',
        YCYY: i % 5 === 0 && i > 0 ? '已履行义务' : '',
        WSH: `湘市监严〔${day.slice(0, 4)}〕${i + 1}号`,
        XZQH: one.county.code,
      });
    });
}

/** 守信红名单 in the columns of B.3. */
function redList(population: Population): Row[] {
  const random = randomOf(population.seed, 'hmd');
  return population.organisations
    .filter((one, i) => i === 0 || (!one.troubled && random.chance(0.2)))
    .slice(0, MOST)
    .map((one, i) => {
      const year = population.year - random.int(1, 3);
      const day = dayBetween(random, `${year}-03-01`, `${year}-11-30`);
      const [name, level, unit] = random.pick([
        ['诚信示范单位（演示）', '省级', '湖南省市场监督管理局（演示）'],
        ['守合同重信用企业（演示）', '地市级', `${one.county.prefecture.name}市场监督管理局`],
      ] as const);
      return served(random, population, day, {
        SUBJECT_NAME: one.name,
        CREDIT_CODE: one.creditCode,
        DATA_SOURCE: unit,
        DATA_CATEGORY: '守信激励对象名单',
        COMMENT_YEAR: String(year),
        IDENTIFICATION_NO: `演示红名单〔${year}〕${i + 1}号`,
        IDENTIFICATION_DATE: day,
        IDENTIFICATION_DEPT: unit,
        DEPT_LEVEL: level,
        FILE_NAME: name,
        EXPIRATION_DATE: addDays(day, 365 * 3),
        XZQH: one.county.code,
      });
    });
}

function unifiedCodes(population: Population): Row[] {
  const random = randomOf(population.seed, 'tyshxydm');
  return population.organisations
    .filter((_, i) => i === 0 || random.chance(0.2))
    .map((one) =>
      served(random, population, dayBetween(random, `${population.year - 2}-01-05`, addDays(population.today, -30)), {
        JGMC: one.name,
        TYSHXYDM: one.creditCode,
        JGLX: { '12': '事业单位', '52': '社会服务机构', '92': '个体工商户' }[one.creditCode.slice(0, 2)] ?? '企业',
        FDDBR: one.legalRepresentative.name,
        DJJG: `${one.county.name}${one.market ? '市场监督管理局' : '事业单位登记管理局'}`,
        ZCRQ: one.establishedOn,
        JYZT: '存续',
        XZQH: one.county.code,
      }),
    );
}
