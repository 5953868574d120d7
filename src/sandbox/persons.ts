import { withCitizenCheck } from '../identity/citizen.ts';
import { type Random, randomOf } from './random.ts';
import { COUNTIES, type County } from './regions.ts';
import { dayBetween } from './times.ts';

/** 1 doctor, 2 nurse, 3 pharmacist, 4 technician: prac_psn_type of the national platform. */
export type Profession = '1' | '2' | '3' | '4';

export interface SandboxPerson {
  name: string;
  /** psn_cert_type of the national platform. */
  certificateType: string;
  /** Made by code: right by its check character, issued to nobody. */
  idNumber: string;
  county: County;
  role: 'practitioner' | 'legal-representative' | 'insured';
  profession: Profession | null;
  practitionerCode: string | null;
  personNumber: string;
}

const SURNAMES =
  '赵钱孙李周吴郑王冯陈褚卫蒋沈韩杨朱秦许何吕张孔曹严华金魏陶姜谢邹喻柏窦章苏潘葛范彭鲁韦马苗方俞任袁柳欧阳夏侯'.match(/欧阳|夏侯|./gu) ??
  [];
const GIVEN =
  '星遥 墨言 听澜 知夏 云舒 青禾 拾光 望舒 疏影 晚舟 鹿鸣 景行 若谷 南枝 北辰 听雪 怀瑾 书白 长歌 映川 初霁 半夏 灵溪 松雪 竹影 流萤 枕书 砚秋 予安 既明 扶摇 沐辰'.split(
    ' ',
  );
const CODE_LETTERS: Record<Profession, string> = { '1': 'D', '2': 'N', '3': 'Y', '4': 'T' };

/** Seventy in a hundred are practitioners, fifteen lead organisations, fifteen are insured persons with nothing else known of them. */
export function makePersons(seed: number, count: number): SandboxPerson[] {
  const random = randomOf(seed, 'persons');
  const practitioners = Math.round(count * 0.7);
  const leaders = Math.max(1, Math.round(count * 0.15));
  return Array.from({ length: count }, (_, i) =>
    makePerson(random, i + 1, i < practitioners ? 'practitioner' : i < practitioners + leaders ? 'legal-representative' : 'insured'),
  );
}

/** One more person. `serial` makes its codes unique. */
export function makePerson(random: Random, serial: number, role: SandboxPerson['role']): SandboxPerson {
  const county = random.pick(COUNTIES);
  const profession =
    role === 'practitioner'
      ? random.weighted<Profession>([
          ['1', 42],
          ['2', 34],
          ['3', 16],
          ['4', 8],
        ])
      : null;
  const [certificateType, idNumber] = certificate(random, county, serial);
  return {
    name: random.pick(SURNAMES) + random.pick(GIVEN),
    certificateType,
    idNumber,
    county,
    role,
    profession,
    practitionerCode: profession && `${CODE_LETTERS[profession]}${county.code}${String(serial).padStart(6, '0')}`,
    personNumber: `43000${String(serial).padStart(9, '0')}${random.digits(6)}`,
  };
}

/** Mostly citizens; a few of Hong Kong, Macau and Taiwan with residence or travel permits, fewer permanent residents. */
function certificate(random: Random, county: County, serial: number): [string, string] {
  const birth = dayBetween(random, '1950-01-01', '2000-12-31').replaceAll('-', '');
  const sequence = String(serial % 1000).padStart(3, '0');
  const kind = random.next();
  if (kind < 0.015) return ['17', withCitizenCheck(`${random.pick(['810000', '820000', '830000'])}${birth}${sequence}`)];
  if (kind < 0.02) return ['04', `H${String(serial).padStart(8, '0')}`];
  if (kind < 0.024) return ['07', withCitizenCheck(`943${random.pick(['840', '276', '392'])}${birth}${sequence}`)];
  return ['01', withCitizenCheck(`${county.code}${birth}${sequence}`)];
}
