import { byTime, revised, shared } from './front-rows.ts';
import type { SandboxOrganisation } from './organisations.ts';
import type { Population, Row } from './population.ts';
import { type Random, randomOf } from './random.ts';
import { OPEN_END, addDays, dayBetween } from './times.ts';

/** QZK.GX_QYDJ: whoever is registered with market supervision, with some later changes. */
export function marketRegistrations(population: Population): Row[] {
  const random = randomOf(population.seed, 'market-registrations');
  const first = population.organisations
    .filter((one) => one.market)
    .map((one) => {
      const bureau = `${one.county.name}市场监督管理局`;
      return shared(random, population, bureau, dayBetween(random, `${population.year - 4}-01-05`, `${population.year}-06-30`), {
        ZTMC: one.name,
        TYSHXYDM: one.creditCode,
        FDDBR: one.legalRepresentative.name,
        FDDBR_ZJHM: one.legalRepresentative.idNumber,
        ZCZB: `${random.int(5, 6000)}.00`,
        ZTLX: one.creditCode.startsWith('92') ? '个体工商户' : one.kind === 'pharma' ? '股份有限公司' : '有限责任公司（自然人投资或控股）',
        DJJG: bureau,
        CLRQ: one.establishedOn,
        JYQX_Z: random.chance(0.7) ? OPEN_END : `${population.year + random.int(1, 15)}-12-31`,
        DJZT: random.weighted([
          ['存续', 12],
          ['在业', 5],
        ]),
        DZ: `湖南省${one.county.prefecture.name}${one.county.name}虚拟大道${random.int(1, 500)}号`,
        JYFW: one.kind === 'medical' ? '医疗服务' : one.kind === 'pharmacy' ? '药品零售；第二类医疗器械销售' : '健康咨询服务；货物进出口',
        XZQH: one.county.code,
      });
    });
  const later = first.flatMap((row) => {
    if (random.chance(0.08)) return [revised(random, population, row, 'U', { ZCZB: `${random.int(6001, 9000)}.00` })];
    return random.chance(0.02) ? [revised(random, population, row, 'U', { DJZT: random.pick(['注销', '吊销']) })] : [];
  });
  return byTime([...first, ...later]);
}

const REASONS = ['未按照规定的期限公示年度报告', '通过登记的住所或者经营场所无法联系', '公示企业信息隐瞒真实情况、弄虚作假'];

/** QZK.GX_JYYC: put on the list of abnormal operations, and for half of them taken off again. Days are yyyy/MM/dd. */
export function abnormalOperations(population: Population): Row[] {
  const random = randomOf(population.seed, 'abnormal-operations');
  const listed = population.organisations
    .filter((one, i) => one.market && (i === 0 || random.chance(one.troubled ? 0.45 : 0.14)))
    .map((one) => abnormal(random, population, one));
  const removed = listed
    .filter((_, i) => i === 0 || random.chance(0.5))
    .map((row) => {
      const off = revised(random, population, row, 'U', { YCYY: '已改正并申请移出', YCJG: row['LRJG'] ?? null });
      return { ...off, YCRQ: slashed(String(off['GXSJ']).slice(0, 10)) };
    });
  return byTime([...listed, ...removed]);
}

function abnormal(random: Random, population: Population, one: SandboxOrganisation): Row {
  const day = dayBetween(random, `${population.year - 4}-01-05`, addDays(population.today, -60));
  const bureau = `${one.county.name}市场监督管理局`;
  return shared(random, population, bureau, day, {
    ZTMC: one.name,
    TYSHXYDM: one.creditCode,
    LRRQ: slashed(day),
    LRYY: random.pick(REASONS),
    LRJG: bureau,
    YCRQ: '',
    YCYY: '',
    YCJG: '',
    XZQH: one.county.code,
  });
}

/** QZK.GX_GGXYPJ: the public evaluation of the last three finished years. */
export function publicCreditEvaluations(population: Population): Row[] {
  const random = randomOf(population.seed, 'public-credit-evaluations');
  const unit = '湖南省公共信用信息中心';
  return byTime(
    population.organisations.flatMap((one) =>
      [3, 2, 1].map((back) => {
        const score = one.troubled ? random.int(3200, 7400) : random.int(5600, 9900);
        const day = `${population.year - back + 1}-0${random.int(2, 5)}-1${random.int(0, 9)}`;
        return shared(random, population, unit, day, {
          ZTMC: one.name,
          TYSHXYDM: one.creditCode,
          PJDJ: score >= 8500 ? '优' : score >= 6500 ? '良' : score >= 4000 ? '中' : '差',
          PJDF: (score / 100).toFixed(2),
          PJND: String(population.year - back),
          PJDW: unit,
          PJRQ: day,
          XZQH: one.county.code,
        });
      }),
    ),
  );
}

function slashed(day: string): string {
  return day.replaceAll('-', '/');
}
