import { usccFor } from '../identity/uscc.ts';
import type { SandboxOrganisation } from './organisations.ts';
import type { SandboxPerson } from './persons.ts';
import type { Population } from './population.ts';
import { type Random, randomOf } from './random.ts';
import type { County } from './regions.ts';
import { addDays, dayBetween } from './times.ts';

/** One finding of an authority. A case of a medical-insurance bureau shows at two platforms under one decision number. */
export interface Case {
  organisation: SandboxOrganisation | null;
  /** Only where the finding is about a person. */
  person: SandboxPerson | null;
  authority: Authority;
  number: string;
  decidedOn: string;
  /** Short name of the article that was broken, as GX_YBWG.WFTK has it. */
  article: string;
  facts: string;
  basis: string;
  penalty: string;
  /** Fen. */
  fine: number;
  confiscated: number;
}

export interface Authority {
  name: string;
  creditCode: string;
  insurance: boolean;
  mark: string;
}

interface Conduct {
  article: string;
  basis: string;
  facts: string;
}

const INSURANCE: readonly Conduct[] = [
  { article: '条例36', basis: '《医疗保障基金使用监督管理条例》第三十六条', facts: '经办过程中审核不严，造成医疗保障基金支出异常' },
  { article: '条例38', basis: '《医疗保障基金使用监督管理条例》第三十八条', facts: '重复收费、超标准收费、分解项目收费' },
  { article: '条例38', basis: '《医疗保障基金使用监督管理条例》第三十八条', facts: '将不属于医疗保障基金支付范围的医药费用纳入结算' },
  { article: '条例39', basis: '《医疗保障基金使用监督管理条例》第三十九条', facts: '未按照规定保管财务账目、会计凭证、处方、病历等资料' },
  { article: '条例41(1)', basis: '《医疗保障基金使用监督管理条例》第四十一条第一款', facts: '将本人的医疗保障凭证交由他人冒名使用' },
  { article: '条例46', basis: '《医疗保障基金使用监督管理条例》第四十六条', facts: '泄露、篡改、毁损医疗保障数据' },
];
const HEALTH: readonly Conduct[] = [
  { article: '卫健法57', basis: '《中华人民共和国基本医疗卫生与健康促进法》', facts: '使用非卫生专业技术人员从事诊疗活动' },
  { article: '卫健法82', basis: '《中华人民共和国基本医疗卫生与健康促进法》', facts: '超出诊疗科目范围开展诊疗活动' },
];
const MARKET: readonly Conduct[] = [
  { article: '', basis: '《中华人民共和国药品管理法》', facts: '未凭处方销售处方药' },
  { article: '', basis: '《中华人民共和国广告法》', facts: '发布虚假医药广告' },
];

/** 2 to 6 cases for each troubled organisation, one or two for one practitioner in fifteen; the showcase and one of its staff always. */
export function makeCases(population: Population): Case[] {
  const random = randomOf(population.seed, 'cases');
  const showcase = population.institutions[0];
  const first = population.staff.find((one) => one.institution === showcase?.institutionCode)?.person;
  const cases: Case[] = [];
  const add = (organisation: SandboxOrganisation | null, person: SandboxPerson | null, times: number): void => {
    for (let i = 0; i < times; i++) cases.push(makeCase(random, population, cases.length + 1, organisation, person));
  };
  for (const organisation of population.organisations) if (organisation.troubled) add(organisation, null, random.int(2, 6));
  for (const { person } of population.staff) {
    if (person !== first && random.chance(0.06)) add(null, person, random.int(1, 2));
  }
  if (first) add(null, first, 2);
  return cases;
}

function makeCase(
  random: Random,
  population: Population,
  serial: number,
  organisation: SandboxOrganisation | null,
  person: SandboxPerson | null,
): Case {
  const county = (organisation ?? person)?.county;
  if (!county) throw new RangeError('a case needs a subject');
  const designated = person !== null || organisation?.institutionCode !== null;
  const kind = designated
    ? random.weighted([
        ['医疗保障局', 6],
        ['卫生健康局', 2],
        ['市场监督管理局', 2],
      ] as const)
    : '市场监督管理局';
  const authority = authorityOf(county, kind);
  const conduct = random.pick(kind === '医疗保障局' ? INSURANCE : kind === '卫生健康局' ? HEALTH : MARKET);
  const decidedOn = dayBetween(random, `${population.year - 4}-01-05`, addDays(population.today, -10));
  const fined = random.chance(0.7);
  return {
    organisation,
    person,
    authority,
    number: `湘${authority.mark}罚〔${decidedOn.slice(0, 4)}〕${serial}号`,
    decidedOn,
    ...conduct,
    penalty: fined ? '罚款' : random.pick(['警告', '通报批评', '没收违法所得、没收非法财物', '暂扣许可证件', '责令停产停业', '限制从业']),
    fine: fined ? random.int(1, 900) * 20_000 : 0,
    confiscated: random.chance(0.3) ? random.int(10, 90_000) * 100 : 0,
  };
}

const MARKS = { 医疗保障局: ['医保', 1], 卫生健康局: ['卫健', 2], 市场监督管理局: ['市监', 3], 行政审批服务局: ['审批', 4] } as const;

/** The bureau of a prefecture. Its credit code is made by code, like all others. */
export function authorityOf(county: County, kind: keyof typeof MARKS): Authority {
  const [mark, digit] = MARKS[kind];
  const prefecture = county.prefecture;
  return {
    name: `${prefecture.name}${kind}`,
    creditCode: usccFor(`11${prefecture.code}`, `MB0${digit}${prefecture.code.slice(2)}`),
    insurance: kind === '医疗保障局',
    mark,
  };
}
