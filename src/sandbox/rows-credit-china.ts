import { type Case, authorityOf } from './cases.ts';
import type { SandboxOrganisation } from './organisations.ts';
import type { SandboxPerson } from './persons.ts';
import type { Population, Row } from './population.ts';
import { type Random, randomOf } from './random.ts';
import { OPEN_END, addDays, dayBetween, earlier, timeOn } from './times.ts';

/** Directory xzcf: penalties, with the 2018 fields of 双公示. Amounts are 万元 texts. */
export function penalties(population: Population, cases: readonly Case[]): Row[] {
  const random = randomOf(population.seed, 'penalties');
  return cases.map((one) => penalty(random, population, one));
}

function penalty(random: Random, population: Population, one: Case): Row {
  const leader = one.organisation?.legalRepresentative;
  const parts = [one.fine > 0 && `罚款人民币${one.fine / 100}元`, one.confiscated > 0 && `没收违法所得人民币${one.confiscated / 100}元`];
  return {
    ID: random.hex(32),
    CF_WSH: one.number,
    CF_CFLB: one.penalty,
    CF_SY: one.facts,
    CF_WFXW: one.facts.split('，')[0] ?? one.facts,
    CF_YJ: one.basis,
    ...party('CF_XDR', one.organisation, one.person),
    CF_FRDB: leader?.name ?? '',
    CF_FR_ZJLX: leader ? '身份证' : '',
    CF_FR_ZJHM: leader?.idNumber ?? '',
    CF_NR: parts.filter(Boolean).join('；') || `给予${one.penalty}`,
    CF_NR_FK: tenThousands(one.fine),
    CF_NR_WFFF: tenThousands(one.confiscated),
    CF_NR_ZKDX: one.penalty === '暂扣许可证件' ? '医疗机构执业许可证' : '',
    CF_JDRQ: one.decidedOn,
    CF_YXQ: OPEN_END,
    CF_GSJZQ: addDays(one.decidedOn, 365 * random.pick([1, 1, 3])),
    CF_CFJG: one.authority.name,
    CF_CFJGDM: one.authority.creditCode,
    CF_SJLY: one.authority.name,
    CF_SJLYDM: one.authority.creditCode,
    BZ: '',
    CF_ZT: random.weighted([
      ['0', 94],
      ['1', 3],
      ['2', 2],
      ['3', 1],
    ]),
    SJC: timeOn(random, earlier(addDays(one.decidedOn, random.int(1, 9)), addDays(population.today, -1))),
  };
}

interface Permission {
  licence: string;
  content: string;
  kind: string;
  authority: '卫生健康局' | '市场监督管理局' | '行政审批服务局';
}

const MEDICAL: readonly Permission[] = [
  { licence: '医疗机构执业许可证', content: '准予执业登记', kind: '登记', authority: '卫生健康局' },
  { licence: '放射诊疗许可证', content: '准予开展放射诊疗', kind: '普通', authority: '卫生健康局' },
  { licence: '母婴保健技术服务执业许可证', content: '准予开展母婴保健技术服务', kind: '核准', authority: '卫生健康局' },
];
const TRADE: readonly Permission[] = [
  { licence: '药品经营许可证', content: '准予从事药品经营', kind: '普通', authority: '市场监督管理局' },
  { licence: '医疗器械经营许可证', content: '准予从事第三类医疗器械经营', kind: '普通', authority: '市场监督管理局' },
  { licence: '食品经营许可证', content: '准予从事预包装食品销售', kind: '认可', authority: '行政审批服务局' },
  { licence: '户外广告设置许可', content: '准予设置户外广告', kind: '特许', authority: '行政审批服务局' },
  { licence: '公共场所卫生许可证', content: '准予公共场所经营', kind: '其他', authority: '行政审批服务局' },
];

/** Directory xzxk: licences of all organisations, and the registrations of some practitioners. */
export function licences(population: Population): Row[] {
  const random = randomOf(population.seed, 'licences');
  let serial = 0;
  const ofOrganisations = population.organisations.flatMap((one) => {
    const choices = one.kind === 'medical' ? [...MEDICAL, ...TRADE.slice(3)] : TRADE;
    return random
      .shuffled(choices)
      .slice(0, random.int(1, 4))
      .map((choice) => licence(random, population, ++serial, choice, one, null));
  });
  const practice: Permission = { licence: '执业证书', content: '准予执业注册', kind: '登记', authority: '卫生健康局' };
  const ofPersons = population.staff
    .filter(() => random.chance(0.06))
    .map(({ person }) => licence(random, population, ++serial, practice, null, person));
  return [...ofOrganisations, ...ofPersons];
}

function licence(
  random: Random,
  population: Population,
  serial: number,
  what: Permission,
  organisation: SandboxOrganisation | null,
  person: SandboxPerson | null,
): Row {
  const county = (organisation ?? person)?.county;
  if (!county) throw new RangeError('a licence needs a subject');
  const authority = authorityOf(county, what.authority);
  const decided = dayBetween(random, `${population.year - 6}-01-05`, addDays(population.today, -12));
  const end = random.chance(0.15) ? OPEN_END : addDays(decided, 365 * 5);
  return {
    ID: random.hex(32),
    XK_XKWS: `准予行政许可决定书（${what.licence}）`,
    XK_WSH: `湘${authority.mark}许〔${decided.slice(0, 4)}〕${serial}号`,
    XK_XKLB: what.kind,
    XK_NR: what.content,
    ...party('XK_XDR', organisation, person),
    XK_FRDB: organisation?.legalRepresentative.name ?? '',
    XK_XKZS: what.licence,
    XK_XKBH: `XK${county.code}${random.digits(8)}`,
    XK_JDRQ: decided,
    XK_YXQZ: decided,
    XK_YXQZI: end,
    XK_XKJG: authority.name,
    XK_XKJGDM: authority.creditCode,
    XK_ZT: end < population.today ? '2' : '1',
    XK_LYDW: authority.name,
    XK_LYDWDM: authority.creditCode,
    BZ: '',
    SJC: timeOn(random, earlier(addDays(decided, random.int(1, 9)), addDays(population.today, -1))),
  };
}

/** The identifiers of the party concerned, in the nine columns of 双公示; only one kind of them is ever filled. */
function party(prefix: string, organisation: SandboxOrganisation | null, person: SandboxPerson | null): Row {
  const trader = organisation?.creditCode.startsWith('92') ? '个体工商户' : '法人及非法人组织';
  return {
    [`${prefix}_MC`]: organisation?.name ?? person?.name ?? '',
    [`${prefix}_LB`]: person ? '自然人' : trader,
    [`${prefix}_SHXYM`]: organisation?.creditCode ?? '',
    [`${prefix}_GSZC`]: '',
    [`${prefix}_ZZJG`]: '',
    [`${prefix}_SWDJ`]: '',
    [`${prefix}_SYDW`]: '',
    [`${prefix}_SHZZ`]: '',
    [`${prefix}_ZJLX`]: person ? '身份证' : '',
    [`${prefix}_ZJHM`]: person?.idNumber ?? '',
  };
}

/** Fen to a 万元 text: 200000 → 0.2. */
function tenThousands(fen: number): string {
  return fen === 0 ? '' : String(fen / 1_000_000);
}
