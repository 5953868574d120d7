import { type Holder, byTime, chosen, holder, prefectureOf, regionOf, revised, shared } from './front-rows.ts';
import type { Population, Row } from './population.ts';
import { type Random, randomOf } from './random.ts';
import { OPEN_END, addDays, dayBetween } from './times.ts';

const PROMISES = [
  '诚实守信，遵守医疗保障法律法规和服务协议，不欺诈骗保，不过度诊疗，接受监督检查和社会监督',
  '合理使用医疗保障基金，如实提供费用结算资料，自觉接受行政检查',
  '妥善保管医疗保障凭证，不出借、不冒用，如实提供参保信息',
];

/** QZK.GX_XYCN: organisations promise nearly every year, persons once or twice; some of the promises are reported fulfilled or broken later. */
export function creditCommitments(population: Population): Row[] {
  const random = randomOf(population.seed, 'credit-commitments');
  const parties: (Holder & { year: number })[] = [
    ...population.organisations.flatMap((organisation, i) =>
      [3, 2, 1, 0]
        .filter(() => i === 0 || random.chance(0.8))
        .map((back) => ({ organisation, person: null, year: population.year - back })),
    ),
    ...population.persons.flatMap((person) =>
      [1, 0]
        .filter((back) => back === 0 || random.chance(0.1))
        .map((back) => ({ organisation: null, person, year: population.year - back })),
    ),
  ];
  const first = parties.map((of) => commitment(random, population, of));
  const later = first
    .filter((row) => row['LXZT'] === '履行中' && random.chance(0.06))
    .map((row) => revised(random, population, row, 'U', { LXZT: random.pick(['已履行', '已履行', '未履行']) }));
  const withdrawn = first
    .filter((row) => row['LXZT'] === '已履行' && random.chance(0.005))
    .map((row) => revised(random, population, row, 'D'));
  return byTime([...first, ...later, ...withdrawn]);
}

function commitment(random: Random, population: Population, of: Holder & { year: number }): Row {
  const day = dayBetween(random, `${of.year}-01-04`, of.year === population.year ? addDays(population.today, -30) : `${of.year}-12-20`);
  const unit = `${prefectureOf(of)}医疗保障局`;
  return shared(random, population, unit, day, {
    ...holder(of, { name: 'CNRMC', kind: 'CNRLX', number: 'ZJHM' }),
    CNLX: random.weighted([
      ['主动公示型', 6],
      ['审批替代型', 2],
      ['行业自律型', 1],
      ['信用修复型', 1],
    ]),
    CNNR: of.organisation ? random.pick(PROMISES.slice(0, 2)) : random.pick(PROMISES),
    CNRQ: day,
    LXZT:
      of.year === population.year
        ? '履行中'
        : random.weighted([
            ['已履行', 9],
            ['未履行', of.organisation?.troubled ? 4 : 0.3],
          ]),
    SLDW: unit,
    XZQH: regionOf(of),
  });
}

const HONOURS: readonly (readonly [string, string, string])[] = [
  ['全国医疗保障系统先进集体（演示）', '国家级', '国家部委（演示）'],
  ['湖南省诚信示范单位（演示）', '省级', '湖南省人民政府（演示）'],
  ['湖南省文明单位（演示）', '省级', '湖南省文明办（演示）'],
  ['A级纳税人', '地市级', '税务局'],
  ['诚信兴商典型案例', '地市级', '商务局'],
  ['优秀定点医药机构', '地市级', '医疗保障局'],
];
const PERSONAL: readonly (readonly [string, string, string])[] = [
  ['优秀医师', '地市级', '卫生健康局'],
  ['最美护士', '地市级', '卫生健康局'],
  ['湖南省技术能手（演示）', '省级', '湖南省人民政府（演示）'],
];

/** QZK.GX_RYXX: honours of prefecture level and above. */
export function honours(population: Population): Row[] {
  const random = randomOf(population.seed, 'honours');
  return byTime(
    chosen(random, population, 0.5, 0.09).map((of, i) => {
      const [name, level, giver] = random.pick(of.organisation ? HONOURS : PERSONAL);
      const day = dayBetween(random, `${population.year - 5}-02-01`, addDays(population.today, -60));
      const authority = level === '地市级' ? `${prefectureOf(of)}${giver}` : giver;
      return shared(random, population, authority, day, {
        ...holder(of, { name: 'ZTMC', kind: 'ZTLX', number: 'ZJHM' }),
        RYMC: name,
        SYJG: authority,
        SYJGJB: level,
        SYRQ: day,
        YXQZ: random.chance(0.3) ? OPEN_END : addDays(day, 365 * 3),
        WSH: `演示表彰〔${day.slice(0, 4)}〕${i + 1}号`,
        XZQH: regionOf(of),
      });
    }),
  );
}
