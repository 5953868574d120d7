import { type Holder, chosen, regionOf } from './front-rows.ts';
import type { Population, Row } from './population.ts';
import { type Random, randomOf } from './random.ts';
import { addDays, dayBetween, earlier, timeOn } from './times.ts';

const MOST = 40;

/** Packets of the provincial platform's file mode: labour departments, courts and the drug administration. */
export function packets(population: Population): Map<string, Row[]> {
  return new Map([
    ['hunan-credit-files/employer-registrations', employers(population)],
    ['hunan-credit-files/labour-violations', labourViolations(population)],
    ['hunan-credit-files/consumption-restrictions', restrictions(population)],
    ['hunan-credit-files/judgments', judgments(population)],
    ['hunan-credit-files/drug-licences', drugLicences(population)],
    ['hunan-credit-files/drug-penalties', drugPenalties(population)],
  ]);
}

function packed(random: Random, population: Population, since: string, columns: Row): Row {
  const day = earlier(addDays(since, random.int(1, 20)), addDays(population.today, -1));
  return { XXBH: random.guid(), ...columns, GXSJ: timeOn(random, day) };
}

function someDay(random: Random, population: Population): string {
  return dayBetween(random, `${population.year - 3}-01-05`, addDays(population.today, -60));
}

function employers(population: Population): Row[] {
  const random = randomOf(population.seed, 'RS_CBDW');
  return population.organisations
    .filter((_, i) => i === 0 || random.chance(0.3))
    .slice(0, MOST * 2)
    .map((one, i) =>
      packed(random, population, someDay(random, population), {
        DWMC: one.name,
        TYSHXYDM: one.creditCode,
        DWBH: `SB${one.county.code}${String(i + 1).padStart(6, '0')}`,
        DWLX: one.publicOwned ? '事业单位' : one.creditCode.startsWith('92') ? '个体工商户' : '企业',
        FDDBR: one.legalRepresentative.name,
        CBRQ: addDays(one.establishedOn, 40),
        CBRS: String(random.int(3, 800)),
        JBJG: `${one.county.name}社会保险经办机构`,
        XZQH: one.county.code,
      }),
    );
}

function labourViolations(population: Population): Row[] {
  const random = randomOf(population.seed, 'RS_WFXW');
  return population.organisations
    .filter((one, i) => i === 0 || one.troubled)
    .slice(0, MOST)
    .map((one, i) => {
      const day = someDay(random, population);
      return packed(random, population, day, {
        DWMC: one.name,
        TYSHXYDM: one.creditCode,
        WSH: `湘人社监〔${day.slice(0, 4)}〕${i + 1}号`,
        WFSS: '未按时足额缴纳社会保险费',
        CLYJ: '《中华人民共和国社会保险法》第八十六条',
        CLNR: '责令限期缴纳，并加收滞纳金',
        CLRQ: day,
        CLJG: `${one.county.prefecture.name}人力资源和社会保障局`,
        XZQH: one.county.code,
      });
    });
}

/** Name and number of whoever a judgment is about; the packets have no column for the kind of subject. */
function party(of: Holder): Row {
  return { DSRMC: of.organisation?.name ?? of.person?.name ?? '', ZJHM: of.organisation?.creditCode ?? of.person?.idNumber ?? '' };
}

function courtOf(of: Holder): string {
  return `${(of.organisation ?? of.person)?.county.name ?? ''}人民法院`;
}

function restrictions(population: Population): Row[] {
  const random = randomOf(population.seed, 'FY_XZXF');
  return chosen(random, population, 0.08, 0.02).map((of, i) => {
    const filed = someDay(random, population);
    const year = filed.slice(0, 4);
    return packed(random, population, addDays(filed, 20), {
      ...party(of),
      AH: `（${year}）湘演执限${i + 1}号`,
      FY: courtOf(of),
      ZXYJWH: `（${year}）湘演民初${i + 501}号`,
      XXNR: '不得实施高消费及非生活和工作必需的消费行为',
      LARQ: filed,
      FBRQ: addDays(filed, 20),
      JCRQ: i % 6 === 5 ? addDays(filed, 45) : '',
      XZQH: regionOf(of),
    });
  });
}

function judgments(population: Population): Row[] {
  const random = randomOf(population.seed, 'FY_CPWS');
  return chosen(random, population, 0.05, 0.02).map((of, i) => {
    const decided = someDay(random, population);
    return packed(random, population, addDays(decided, 16), {
      ...party(of),
      AH: `（${decided.slice(0, 4)}）湘演刑初${i + 1}号`,
      FY: courtOf(of),
      AY: of.organisation ? '合同纠纷（医疗保障服务协议）' : '诈骗罪（骗取医疗保障基金）',
      CPNR: '判令退回医疗保障基金，并承担相应责任',
      CPRQ: decided,
      SXRQ: addDays(decided, 16),
      BDJE: `${random.int(2, 90)}0000.00`,
      XZQH: regionOf(of),
    });
  });
}

function drugLicences(population: Population): Row[] {
  const random = randomOf(population.seed, 'YJ_YPJY');
  return population.organisations
    .filter((one) => one.kind === 'pharmacy' || one.kind === 'pharma')
    .slice(0, MOST)
    .map((one, i) => {
      const day = dayBetween(random, `${population.year - 4}-02-01`, `${population.year - 1}-11-30`);
      return packed(random, population, day, {
        QYMC: one.name,
        TYSHXYDM: one.creditCode,
        XKZH: `湘CB${one.county.code}${String(i + 1).padStart(4, '0')}`,
        JYFW: '化学药、中成药、生物制品（除疫苗）',
        FDDBR: one.legalRepresentative.name,
        FZJG: `${one.county.prefecture.name}药品监督管理局`,
        FZRQ: day,
        YXQZ: addDays(day, 365 * 5),
        ZT: '有效',
        XZQH: one.county.code,
      });
    });
}

function drugPenalties(population: Population): Row[] {
  const random = randomOf(population.seed, 'YJ_XZCF');
  return population.organisations
    .filter((one, i) => i === 0 || (one.troubled && one.market))
    .slice(0, MOST)
    .map((one, i) => {
      const day = someDay(random, population);
      const fine = random.int(1, 40) * 1000;
      return packed(random, population, day, {
        QYMC: one.name,
        TYSHXYDM: one.creditCode,
        CFWSH: `湘药监罚〔${day.slice(0, 4)}〕${i + 1}号`,
        CFLB: '罚款',
        WFSS: '未按照药品经营质量管理规范储存药品',
        CFYJ: '《中华人民共和国药品管理法》第一百二十六条',
        CFNR: `罚款人民币${fine}元`,
        FKJE: `${fine}.00`,
        CFRQ: day,
        CFJG: `${one.county.prefecture.name}药品监督管理局`,
        XZQH: one.county.code,
      });
    });
}
