import type { Population, Row } from './population.ts';
import { randomOf } from './random.ts';
import { audit } from './rows-insurance.ts';
import { addDays, OPEN_END } from './times.ts';

interface Type {
  code: string;
  name: string;
  values: { code: string; name: string }[];
}

/** The dictionaries of the platform that matter here, `TYPE name: CODE+name …`. CRED_LV has a value that no code set of the hub knows. */
const TYPES: readonly Type[] = [
  'CRED_LV 信用等级: 1A级 2B级 3C级 4D级 5暂不评定',
  'FIXMEDINS_TYPE 定点医药机构类型: 1定点医疗机构 2定点零售药店',
  'FIX_ONLN_OPEN_FLAG 定点联网开通标志: 0暂停联网 1正常联网 2取消定点',
  'HOSP_LV 医院等级: 01三级特等 02三级甲等 03三级乙等 04三级丙等 05二级甲等 06二级乙等 07二级丙等 08一级甲等 09一级乙等 10一级丙等 11无等级',
  'INSUTYPE 险种类型: 310职工基本医疗保险 320公务员医疗补助 330大额医疗费用补助 340离休人员医疗保障 370企业补充医疗保险 390城乡居民基本医疗保险 392城乡居民大病医疗保险 410长期照护保险 510生育保险',
  'PRAC_PSN_TYPE 医药卫生执业人员类型: 1医师 2护士 3药师 4医技',
  'PSN_CERT_TYPE 人员证件类型: 01居民身份证 04港澳居民来往内地通行证 06台湾居民来往大陆通行证 07外国人永久居留证 08外国人护照 17港澳台居民居住证',
  'PSN_INSU_STAS 人员参保状态: 0未参保 1正常参保 2暂停参保 4终止参保',
].map((text) => {
  const [head = '', list = ''] = text.split(': ');
  const [code = '', name = ''] = head.split(' ');
  const values = list.split(' ').map((value) => ({ code: /^\d+/.exec(value)?.[0] ?? '', name: value.replace(/^\d+/, '') }));
  return { code, name, values };
});
/** What the hub asks 1901 about. */
const ASKED = ['CRED_LV', 'FIX_ONLN_OPEN_FLAG', 'HOSP_LV', 'INSUTYPE', 'PSN_INSU_STAS'];
const COUNTRY = '100000';

/** Rows of the dictionary tables, and what 1901 and the file of 1301 say. */
export function dictionaries(population: Population): Map<string, Row[]> {
  return new Map([
    ['national-insurance/dictionary-types', types(population)],
    ['national-insurance/dictionaries', national(population)],
    ['national-insurance/place-dictionaries', ofPlaces(population)],
    ['national-insurance/dictionary-query', asked(population)],
    ['national-insurance/drug-catalogue', drugs(population)],
  ]);
}

/** POLCENT_DB.DATA_DIC_TYPE_A. */
function types(population: Population): Row[] {
  const random = randomOf(population.seed, 'dictionary-types');
  return TYPES.map(({ code, name, values }, i) => {
    const { POOLAREA_NO: _, ...rest } = audit(random, population, COUNTRY, '2022-03-01');
    return { DIC_TYPE_CODE: code, DIC_TYPE_NAME: name, DIC_VAL_CODE_MAX_LENG: String(values[0]?.code.length ?? 1), SEQ: i + 1, ...rest };
  });
}

/** POLCENT_DB.NAT_DATA_DIC_A. */
function national(population: Population): Row[] {
  const random = randomOf(population.seed, 'dictionaries');
  return TYPES.flatMap((type) =>
    type.values.map(({ code, name }, i) => ({
      NAT_DATA_DIC_ID: random.hex(32),
      NAT_DIC_VAL_CODE: code,
      NAT_DIC_VAL_NAME: name,
      PRNT_DIC_VAL_CODE: null,
      DIC_TYPE_CODE: type.code,
      EXT_FLAG: '0',
      DIC_SOUC_ADMDVS: null,
      SEQ: i + 1,
      ...audit(random, population, COUNTRY, name === '暂不评定' ? addDays(population.today, -1) : '2022-03-01'),
    })),
  );
}

/** POLCENT_DB.PLACE_DATA_DIC_A: every national value under its own code, as the capital of the province keeps it. */
function ofPlaces(population: Population): Row[] {
  const random = randomOf(population.seed, 'place-dictionaries');
  return TYPES.filter(({ code }) => code === 'HOSP_LV' || code === 'PSN_INSU_STAS').flatMap((type) =>
    type.values.map(({ code, name }, i) => ({
      PLACE_DATA_DIC_ID: random.hex(32),
      DIC_TYPE_CODE: type.code,
      NAT_DIC_VAL_CODE: code,
      NAT_DIC_VAL_NAME: name,
      PLACE_DIC_VAL_CODE: code,
      PLACE_DIC_VAL_NAME: name,
      PRNT_DIC_VAL_CODE: null,
      ADMDVS: '430199',
      BEGNDATE: '2022-03-01',
      ENDDATE: OPEN_END,
      SEQ: i + 1,
      ...audit(random, population, '430100', '2022-03-02'),
    })),
  );
}

/** What 1901 answers for each type it is asked about. */
function asked(population: Population): Row[] {
  return TYPES.filter(({ code }) => ASKED.includes(code)).flatMap((type) =>
    type.values.map(({ code, name }, i) => ({
      type: type.code,
      label: name,
      value: code,
      parentValue: '',
      sort: i + 1,
      valiFlag: '1',
      createUser: 'jb0001',
      createDate: `${population.year - 4}-03-01`,
      version: '1',
    })),
  );
}

const DRUGS = '晨露片 远山胶囊 清溪颗粒 云雀口服液 松针滴丸 半月软膏 竹影注射液 初雪分散片'.split(' ');

/** The lines of the file of 1301: made-up drugs in packs of several makers, in two versions of the catalogue. */
function drugs(population: Population): Row[] {
  const random = randomOf(population.seed, 'drug-catalogue');
  return DRUGS.flatMap((name, i) =>
    Array.from({ length: 5 }, (_, maker) => ({
      MED_LIST_CODG: `XY${String(i + 1).padStart(2, '0')}${String(maker + 1).padStart(2, '0')}${random.digits(8)}`,
      DRUG_PRODNAME: maker === 0 ? '' : `演示${name}`,
      GENNAME_CODG: `T${String(i + 1).padStart(5, '0')}`,
      DRUG_GENNAME: name,
      VALI_FLAG: maker === 4 ? '0' : '1',
      UPDT_TIME: `${population.year - 1}-0${1 + (i % 9)}-10 10:00:00`,
      VER: i < 5 ? '1' : '2',
      VER_NAME: i < 5 ? 'F001' : 'F002',
    })),
  );
}
