import { usccFor } from '../identity/uscc.ts';
import type { SandboxPerson } from './persons.ts';
import { type Random, randomOf } from './random.ts';
import { COUNTIES, type County, countyOf } from './regions.ts';
import { dayBetween } from './times.ts';

export type OrganisationKind = 'medical' | 'pharmacy' | 'pharma' | 'employer' | 'third-party';

export interface SandboxOrganisation {
  kind: OrganisationKind;
  name: string;
  /** Right by both check characters, but made by code and registered by nobody. */
  creditCode: string;
  generated: true;
  county: County;
  /** Of the national platform; only medical institutions and pharmacies have one. */
  institutionCode: string | null;
  /** Under which the platform insures its staff. */
  employerNumber: string;
  legalRepresentative: SandboxPerson;
  establishedOn: string;
  /** hosp_lv of the national platform; pharmacies 11 (none). */
  level: string;
  type: string;
  publicOwned: boolean;
  /** Registered with market supervision (codes 91 and 92). */
  market: boolean;
  /** About one in seven: penalties, violations and low grades gather here, as they do in life. */
  troubled: boolean;
}

const WORDS =
  '墨羽 星芒 拾光 云雀 竹影 枫语 鹿溪 青岚 望舒 听泉 晨砚 松涛 漫川 映雪 橘洲梦 半山 澄心 远帆 银杏 白鹭 金穗 春笋 石榴 芷兰'.split(' ');
const MEDICAL_TYPES: readonly (readonly [string, number])[] = [
  ['综合医院', 18],
  ['中医医院', 12],
  ['专科医院', 14],
  ['社区卫生服务中心', 16],
  ['乡镇卫生院', 20],
  ['诊所', 20],
];
const LEVELS: Record<string, string[]> = { 综合医院: ['02', '03', '05', '06'], 中医医院: ['02', '05', '06'], 专科医院: ['03', '05', '09'] };
/** Letters in the organisation code keep every code apart from a citizen number. */
const ORG_PREFIX: Record<string, string> = { '12': 'MB', '52': 'MJ', '91': 'MA', '92': 'MA' };

/**
 * Half medical institutions, a third pharmacies, the rest employers, medicine companies and third parties. The first is the showcase:
 * a private general hospital of Changsha, so that market registration applies to it too.
 */
export function makeOrganisations(seed: number, count: number, leaders: readonly SandboxPerson[]): SandboxOrganisation[] {
  const random = randomOf(seed, 'organisations');
  const medical = Math.ceil(count / 2);
  const pharmacies = Math.round(count / 3);
  return Array.from({ length: count }, (_, i) => {
    const kind =
      i < medical
        ? 'medical'
        : i < medical + pharmacies
          ? 'pharmacy'
          : random.weighted<OrganisationKind>([
              ['employer', 5],
              ['pharma', 4],
              ['third-party', 1],
            ]);
    const organisation = makeOrganisation(random, i + 1, kind, leaders);
    return i === 0 ? asShowcase(organisation) : organisation;
  });
}

/** One more organisation. `serial` makes its codes and its name unique. */
export function makeOrganisation(
  random: Random,
  serial: number,
  kind: OrganisationKind,
  leaders: readonly SandboxPerson[],
): SandboxOrganisation {
  const county = random.pick(COUNTIES);
  const type = kind === 'medical' ? random.weighted(MEDICAL_TYPES) : '';
  const publicOwned = kind === 'medical' && type !== '诊所' && random.chance(0.7);
  const prefix = publicOwned
    ? '12'
    : kind === 'medical'
      ? random.pick(['52', '91', '92'])
      : kind === 'pharmacy'
        ? random.pick(['91', '92'])
        : '91';
  return {
    kind,
    name: nameOf(random, kind, type, county, serial),
    creditCode: codeFor(prefix, county, serial),
    generated: true,
    county,
    institutionCode:
      kind === 'medical' || kind === 'pharmacy'
        ? `${kind === 'medical' ? 'H' : 'P'}${county.code}${String(serial).padStart(5, '0')}`
        : null,
    employerNumber: employerNumber(county, serial),
    legalRepresentative: random.pick(leaders),
    establishedOn: dayBetween(random, '1996-01-01', '2021-06-30'),
    level: random.pick(LEVELS[type] ?? ['11']),
    type,
    publicOwned,
    market: prefix === '91' || prefix === '92',
    troubled: random.chance(0.15),
  };
}

/** The name shown by registers; words that no real institution bears, and a number that keeps two of them apart. */
function nameOf(random: Random, kind: OrganisationKind, type: string, county: County, serial: number): string {
  const own = `${random.pick(WORDS)}${serial}号`;
  if (kind === 'medical') return `${county.name}${own}${type}`;
  if (kind === 'pharmacy') return `${county.name}${own}${random.pick(['大药房', '药店', '大药房连锁店'])}`;
  if (kind === 'pharma') return `${county.prefecture.name}${own}${random.pick(['医药有限公司', '制药股份有限公司', '医疗器械有限公司'])}`;
  return kind === 'employer'
    ? `${county.prefecture.name}${own}${random.pick(['机械制造', '食品', '物流', '软件'])}有限公司`
    : `${county.prefecture.name}${own}健康管理服务有限公司`;
}

function codeFor(prefix: string, county: County, serial: number): string {
  return usccFor(`${prefix}${county.code}`, `${ORG_PREFIX[prefix] ?? 'MA'}4${String(serial).padStart(5, '0')}`);
}

function employerNumber(county: County, serial: number): string {
  return `${county.code}${String(serial).padStart(14, '0')}`;
}

function asShowcase(organisation: SandboxOrganisation): SandboxOrganisation {
  const county = countyOf('430104');
  return {
    ...organisation,
    name: '长沙橘洲梦综合医院',
    creditCode: codeFor('91', county, 1),
    county,
    institutionCode: `H${county.code}00001`,
    employerNumber: employerNumber(county, 1),
    level: '03',
    type: '综合医院',
    publicOwned: false,
    market: true,
    troubled: true,
  };
}
