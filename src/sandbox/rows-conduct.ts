import type { Case } from './cases.ts';
import { byTime, chosen, holder, prefectureOf, regionOf, revised, shared } from './front-rows.ts';
import type { Population, Row } from './population.ts';
import { randomOf } from './random.ts';
import { addDays, dayBetween } from './times.ts';

/** QZK.GX_SXBZXR: judgment debtors. LASJ is yyyyMMdd, FBSJ yyyy-MM-dd. */
export function judgmentDebtors(population: Population): Row[] {
  const random = randomOf(population.seed, 'dishonest-judgment-debtors');
  const rows = chosen(random, population, 0.12, 0.06).map((of, i) => {
    const filed = dayBetween(random, `${population.year - 4}-01-10`, addDays(population.today, -120));
    const court = `${(of.organisation ?? of.person)?.county.name ?? ''}人民法院`;
    return shared(random, population, '湖南省高级人民法院（演示）', addDays(filed, 60), {
      BZXRMC: of.organisation?.name ?? of.person?.name ?? '',
      BZXRLX: of.organisation ? '法人' : '自然人',
      TYSHXYDM: of.organisation?.creditCode ?? '',
      SFZH: of.person?.idNumber ?? '',
      FDDBR: of.organisation?.legalRepresentative.name ?? '',
      ZXFY: court,
      ZXYJWH: `（${filed.slice(0, 4)}）湘演民初${i + 101}号`,
      AH: `（${filed.slice(0, 4)}）湘演执${i + 1}号`,
      LASJ: filed.replaceAll('-', ''),
      ZCZXYJDW: court,
      YW: `支付货款人民币${random.int(2, 90)}万元及利息`,
      LXQK: random.pick(['全部未履行', '全部未履行', '部分未履行']),
      XWQX: random.pick(['有履行能力而拒不履行生效法律文书确定义务', '违反财产报告制度']),
      FBSJ: addDays(filed, random.int(30, 59)),
      XZQH: regionOf(of),
    });
  });
  const settled = rows.filter(() => random.chance(0.1)).map((row) => revised(random, population, row, 'U', { LXQK: '全部已履行' }));
  return byTime([...rows, ...settled]);
}

/** QZK.GX_YBWG: the cases of the insurance and health bureaus, and findings handled without a penalty. Amounts are 元 texts. */
export function violations(population: Population, cases: readonly Case[]): Row[] {
  const random = randomOf(population.seed, 'violations');
  const columns = { name: 'XDRMC', kind: 'XDRLX', number: 'ZJHM' };
  const punished = cases
    .filter((one) => one.article !== '')
    .map((one) =>
      shared(random, population, one.authority.name, one.decidedOn, {
        ...holder(one, columns),
        WFTK: one.article,
        WFSS: one.facts,
        SJJE: (random.int(500, 9_000_000) / 100).toFixed(2),
        CFWSH: one.number,
        CLJD: one.number,
        CLRQ: one.decidedOn,
        CLJG: one.authority.name,
        XZQH: regionOf(one),
      }),
    );
  const handled = chosen(random, population, 0.15, 0.07).map((of, i) => {
    const day = dayBetween(random, `${population.year - 3}-01-05`, addDays(population.today, -30));
    const bureau = `${prefectureOf(of)}医疗保障局`;
    return shared(random, population, bureau, day, {
      ...holder(of, columns),
      WFTK: of.organisation
        ? random.pick(['条例36', '条例37', '条例38', '条例39', '条例40', '条例46'])
        : random.pick(['条例41(1)', '条例41(1)', '条例41(2)']),
      WFSS: of.organisation ? '智能监控发现违规结算，已约谈并退回基金' : '重复享受医疗保障待遇，已退回基金',
      SJJE: (random.int(100, 2_000_000) / 100).toFixed(2),
      CFWSH: '',
      CLJD: `湘医保处〔${day.slice(0, 4)}〕${i + 1}号`,
      CLRQ: day,
      CLJG: bureau,
      XZQH: regionOf(of),
    });
  });
  return byTime([...punished, ...handled]);
}

const LISTS: readonly (readonly [string, string, string, string])[] = [
  ['医疗保障领域严重失信主体名单', '条例40', '虚构医药服务项目骗取医疗保障基金', '医疗保障局'],
  ['医疗保障领域严重失信主体名单', '条例37', '伪造变造资料骗取医疗保障基金支出', '医疗保障局'],
  ['社会救助领域信用黑名单', '社会救助暂行办法', '采取虚报、隐瞒手段骗取社会救助资金', '民政局'],
  ['严重违法失信名单', '严重违法失信名单管理办法', '被列入经营异常名录届满三年仍未履行义务', '市场监督管理局'],
  ['重大税收违法失信主体名单', '重大税收违法失信主体信息公布管理办法', '虚开增值税普通发票', '税务局'],
];

/** QZK.GX_SXZT: lists of dishonest subjects; a few are taken off or found wrong later. */
export function dishonestyLists(population: Population): Row[] {
  const random = randomOf(population.seed, 'dishonesty-lists');
  const rows = chosen(random, population, 0.1, 0.03).map((of, i) => {
    const [list, basis, reason, authority] =
      of.person && random.chance(0.7)
        ? (['医疗保障领域严重失信主体名单', '条例41(2)', '以骗取医疗保障基金为目的使用他人凭证', '医疗保障局'] as const)
        : random.pick(LISTS);
    const day = dayBetween(random, `${population.year - 3}-01-05`, addDays(population.today, -90));
    return shared(random, population, `${prefectureOf(of)}${authority}`, day, {
      ...holder(of, { name: 'ZTMC', kind: 'ZTLX', number: 'ZJHM' }),
      MDMC: list,
      LRSY: reason,
      LRYJ: basis,
      LRRQ: day,
      RDJG: `${prefectureOf(of)}${authority}`,
      YCRQ: '',
      WSH: `湘演名单〔${day.slice(0, 4)}〕${i + 1}号`,
      FDDBR: of.organisation?.legalRepresentative.name ?? '',
      XZQH: regionOf(of),
    });
  });
  const off = rows.slice(1).flatMap((row, i) => {
    if (i % 20 === 7) return [revised(random, population, row, 'D')];
    if (!random.chance(0.15)) return [];
    const later = revised(random, population, row, 'U');
    return [{ ...later, YCRQ: String(later['GXSJ']).slice(0, 10) }];
  });
  return byTime([...rows, ...off]);
}

/** QZK.GX_QTXX: false material and concealed facts. */
export function otherInformation(population: Population): Row[] {
  const random = randomOf(population.seed, 'other-information');
  return byTime(
    chosen(random, population, 0.1, 0.05).map((of) => {
      const day = dayBetween(random, `${population.year - 3}-01-05`, addDays(population.today, -30));
      const bureau = `${prefectureOf(of)}医疗保障局`;
      return shared(random, population, bureau, day, {
        ...holder(of, { name: 'ZTMC', kind: 'ZTLX', number: 'ZJHM' }),
        XXNR: of.organisation ? '申请定点时提供虚假资料' : '办理异地就医备案时隐瞒真实情况',
        RDYJ: '湖南省医疗保障信用管理办法第十四条第（十二）项',
        RDJG: bureau,
        RDRQ: day,
        XZQH: regionOf(of),
      });
    }),
  );
}
