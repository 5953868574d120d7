import type { Population, Row } from './population.ts';
import { randomOf } from './random.ts';
import { served } from './rows-directories.ts';
import { addDays, dayBetween } from './times.ts';

const MOST = 40;

/** Directories of the provincial platform's service mode: health and tax departments. */
export function hunanServices(population: Population): Map<string, Row[]> {
  return new Map([
    ['hunan-credit-service/health-licences', practiceLicences(population)],
    ['hunan-credit-service/health-penalties', healthPenalties(population)],
    ['hunan-credit-service/tax-grade-a', gradeA(population)],
    ['hunan-credit-service/tax-abnormal', unreachable(population)],
    ['hunan-credit-service/tax-serious-violations', taxViolations(population)],
  ]);
}

function practiceLicences(population: Population): Row[] {
  const random = randomOf(population.seed, 'yljgzyxk');
  return population.institutions
    .filter((one) => one.kind === 'medical')
    .slice(0, MOST)
    .map((one) => {
      const day = dayBetween(random, `${population.year - 4}-01-05`, `${population.year - 1}-10-30`);
      return served(random, population, day, {
        JGMC: one.name,
        TYSHXYDM: one.creditCode,
        DJH: `PDY${one.institutionCode.slice(1)}`,
        ZLKM: '内科；外科；医学检验科',
        FDDBR: one.legalRepresentative.name,
        FZJG: `${one.county.prefecture.name}卫生健康局`,
        FZRQ: day,
        YXQZ: addDays(day, 365 * 5),
        JYRQ: addDays(day, 300),
        JYJL: random.pick(['合格', '合格', '合格', '暂缓校验']),
        ZT: '有效',
        XZQH: one.county.code,
      });
    });
}

function healthPenalties(population: Population): Row[] {
  const random = randomOf(population.seed, 'wjcf');
  return population.institutions
    .filter((one, i) => i === 0 || one.troubled)
    .slice(0, MOST)
    .map((one, i) => {
      const day = dayBetween(random, `${population.year - 3}-01-05`, addDays(population.today, -30));
      const fine = random.int(1, 60) * 500;
      return served(random, population, day, {
        XDRMC: one.name,
        ZJHM: one.creditCode,
        CFWSH: `湘卫医罚〔${day.slice(0, 4)}〕${i + 1}号`,
        CFLB: '罚款',
        WFSS: '使用非卫生专业技术人员从事诊疗活动',
        CFYJ: '《医疗机构管理条例》第二十七条',
        CFNR: `罚款人民币${fine}元`,
        FKJE: `${fine}.00`,
        CFRQ: day,
        CFJG: `${one.county.prefecture.name}卫生健康委员会`,
        CFJGDM: '',
        XZQH: one.county.code,
      });
    });
}

function gradeA(population: Population): Row[] {
  const random = randomOf(population.seed, 'swaj');
  return population.organisations
    .filter((one, i) => i === 0 || (one.market && !one.troubled && random.chance(0.3)))
    .map((one) => {
      const day = `${population.year}-04-${random.int(10, 28)}`;
      const unit = `国家税务总局${one.county.prefecture.name}税务局`;
      return served(random, population, day, {
        NSRMC: one.name,
        NSRSBH: one.creditCode,
        PJND: `${population.year - 1}年度`,
        PJJG: unit,
        JGJB: '地市级',
        PJRQ: day,
        XZQH: one.county.code,
      });
    });
}

function unreachable(population: Population): Row[] {
  const random = randomOf(population.seed, 'swfzch');
  return population.organisations
    .filter((one, i) => one.market && (i === 0 || random.chance(one.troubled ? 0.4 : 0.04)))
    .map((one, i) => {
      const day = dayBetween(random, `${population.year - 3}-01-05`, addDays(population.today, -90));
      return served(random, population, day, {
        NSRMC: one.name,
        NSRSBH: one.creditCode,
        RDRQ: day,
        RDYY: '未按照规定期限申报纳税且责令限期改正后逾期不改正',
        SWJG: `国家税务总局${one.county.name}税务局`,
        JCRQ: i % 2 === 0 ? addDays(day, 60) : '',
        XZQH: one.county.code,
      });
    });
}

function taxViolations(population: Population): Row[] {
  const random = randomOf(population.seed, 'swzdwf');
  return population.organisations
    .filter((one, i) => one.market && (i === 0 || random.chance(one.troubled ? 0.3 : 0.02)))
    .map((one, i) => {
      const day = dayBetween(random, `${population.year - 3}-01-05`, addDays(population.today, -60));
      return served(random, population, day, {
        NSRMC: one.name,
        NSRSBH: one.creditCode,
        FDDBR: one.legalRepresentative.name,
        WFSS: '虚开增值税普通发票',
        CLYJ: '重大税收违法失信主体信息公布管理办法',
        SJJE: `${random.int(10, 900)}0000.00`,
        WSH: `湘税稽罚〔${day.slice(0, 4)}〕${i + 1}号`,
        GBRQ: day,
        JCJG: `国家税务总局${one.county.prefecture.name}税务局稽查局`,
        TZGBRQ: '',
        XZQH: one.county.code,
      });
    });
}
