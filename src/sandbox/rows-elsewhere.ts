import { withCitizenCheck } from '../identity/citizen.ts';
import { usccFor } from '../identity/uscc.ts';
import type { Row, Population } from './population.ts';
import { type Random, randomOf } from './random.ts';
import { served } from './rows-directories.ts';
import { addDays, dayBetween } from './times.ts';

/** Subjects of other provinces: enough for their platforms to have something to tell, made by code and registered with nobody. */
interface Place {
  code: string;
  name: string;
}
interface Stranger extends Place {
  subject: string;
  number: string;
  region: string;
}

const ZHONGMU: readonly Place[] = [{ code: '410122', name: '中牟县' }];
const WUGANG: readonly Place[] = [{ code: '410481', name: '舞钢市' }];
const TAIAN: readonly Place[] = ['370902泰山区', '370911岱岳区', '370921宁阳县', '370923东平县', '370982新泰市', '370983肥城市'].map(
  placeOf,
);
const SHENZHEN: readonly Place[] = ['440303罗湖区', '440304福田区', '440305南山区', '440306宝安区', '440307龙岗区'].map(placeOf);
const HOUSES = '星野 渡舟 云栖 拂晓 长汀 松间 若水 明川'.split(' ');
const NAMES = '林知遥 周听雪 郑望舒 许怀瑾 何初霁 沈流萤 唐枕书 叶砚秋'.split(' ');

function placeOf(text: string): Place {
  return { code: text.slice(0, 6), name: text.slice(6) };
}

/** What the platforms of Henan, Shandong and Shenzhen and the credit-service organisations hold. */
export function elsewhere(population: Population): Map<string, Row[]> {
  const zhongmu = institutions(population, ZHONGMU, 40);
  const shenzhen = institutions(population, SHENZHEN, 40);
  const medics = persons(population, TAIAN, 50);
  return new Map([
    ['zhengzhou-credit/credit-reports', reports(population, zhongmu, 'ZZ')],
    ['credit-agencies/credit-reports', reports(population, zhongmu.slice(5), 'XF')],
    ['henan-supervision/wugang-grades', wugangGrades(population)],
    ['shandong-credit/handlings', handlings(population, medics)],
    ['shandong-credit/leads', leads(population, medics)],
    ...shenzhenRows(population, shenzhen),
  ]);
}

function institutions(population: Population, places: readonly Place[], count: number): Stranger[] {
  const random = randomOf(population.seed, `institutions ${places[0]?.code}`);
  return Array.from({ length: count }, (_, i) => {
    const place = random.pick(places);
    return {
      ...place,
      subject: `${place.name}${random.pick(HOUSES)}${i + 1}号${random.pick(['医院', '诊所', '大药房'])}`,
      number: usccFor(`91${place.code}`, `MA9${String(i + 1).padStart(5, '0')}`),
      region: place.code,
    };
  });
}

function persons(population: Population, places: readonly Place[], count: number): Stranger[] {
  const random = randomOf(population.seed, `persons ${places[0]?.code}`);
  return Array.from({ length: count }, (_, i) => {
    const place = random.pick(places);
    const birth = dayBetween(random, '1960-01-01', '1998-12-31').replaceAll('-', '');
    return {
      ...place,
      subject: random.pick(NAMES),
      number: withCitizenCheck(`${place.code}${birth}${String(i + 1).padStart(3, '0')}`),
      region: place.code,
    };
  });
}

const ISSUERS = [
  ['星芒信用服务有限公司（演示）', 'YS-410000-0001'],
  ['远帆征信服务有限公司（演示）', 'YS-410000-0002'],
] as const;

function reports(population: Population, of: readonly Stranger[], mark: string): Row[] {
  const random = randomOf(population.seed, `reports ${mark}`);
  return of.map((one, i) => {
    const [issuer, filing] = random.pick(ISSUERS);
    const day = dayBetween(random, `${population.year - 2}-01-05`, addDays(population.today, -30));
    return served(random, population, day, {
      BGBH: `${mark}${day.slice(0, 4)}${String(i + 1).padStart(5, '0')}`,
      ZTMC: one.subject,
      TYSHXYDM: one.number,
      CJJG: issuer,
      BABH: filing,
      CJRQ: day,
      YXQZ: addDays(day, random.pick([180, 364])),
      DJ: random.pick(['AAA', 'AA', 'A', 'BBB']),
      FXTS: random.pick(['无重大风险提示', '存在一项行政处罚记录，请关注整改情况']),
      XZQH: one.region,
    });
  });
}

function wugangGrades(population: Population): Row[] {
  const random = randomOf(population.seed, 'xydj');
  return institutions(population, WUGANG, 30).flatMap((one) =>
    [2, 1].map((back) => {
      const day = `${population.year - back + 1}-02-${random.int(10, 25)}`;
      return served(random, population, day, {
        JGMC: one.subject,
        TYSHXYDM: one.number,
        PJND: String(population.year - back),
        DJ: random.pick(['优秀', '良好', '良好', '中等', '较差', '差']),
        DF: `${random.int(40, 99)}.5`,
        PJJG: '河南省医疗保障信用智慧监管平台（演示）',
        PJRQ: day,
        XZQH: one.region,
      });
    }),
  );
}

const SOURCES = ['业务信息系统', '智能审核系统', '基金监管及日常稽核', '主体上报', '政务大数据平台', '公共信用平台'];

/** Handlings under the articles of categories 9 and 11; every tenth caused no loss, which is not the same as none being told. */
function handlings(population: Population, of: readonly Stranger[]): Row[] {
  const random = randomOf(population.seed, 'clxx');
  return of.map((one, i) => {
    const day = dayBetween(random, `${population.year - 2}-08-10`, `${population.year}-08-08`);
    return served(random, population, day, {
      XDRMC: one.subject,
      ZJHM: one.number,
      XXLY: random.pick(SOURCES),
      WFTK: random.pick(['条例38', '条例38', '条例39', '条例40', '条例41(1)', '条例41(2)']),
      WFSS: random.pick(['分解项目收费', '将不属于基金支付范围的费用纳入结算', '冒名就医']),
      SSJE: i % 10 === 0 ? '0.00' : (random.int(50_000, 30_000_000) / 100).toFixed(2),
      CLJD: `泰医保处〔${day.slice(0, 4)}〕${i + 1}号`,
      CLRQ: day,
      CLJG: '泰安市医疗保障局',
      JLND: day.slice(0, 4),
      XZQH: one.region,
    });
  });
}

function leads(population: Population, of: readonly Stranger[]): Row[] {
  const random = randomOf(population.seed, 'mtyq');
  return of.slice(0, 20).map((one, i) => {
    const day = dayBetween(random, `${population.year - 1}-01-05`, `${population.year}-08-08`);
    return served(random, population, day, {
      XSBH: `YQ${day.slice(0, 4)}${String(i + 1).padStart(4, '0')}`,
      SJZTMC: one.subject,
      ZJHM: one.number,
      XSNR: '网络平台反映存在诱导住院情况，尚未核实（演示）',
      LYMT: '网络媒体（演示）',
      JSRQ: day,
      HSZT: random.pick(['待核实', '待核实', '已核实', '不属实']),
      XZQH: one.region,
    });
  });
}

/** The five classes of SZ-4.2. */
function shenzhenRows(population: Population, of: readonly Stranger[]): [string, Row[]][] {
  const random = randomOf(population.seed, 'shenzhen');
  const each = (count: number, columns: (one: Stranger, i: number, day: string) => Row): Row[] =>
    of.slice(0, count).map((one, i) => {
      const day = dayBetween(random, `${population.year - 2}-01-05`, addDays(population.today, -60));
      return served(random, population, day, { ZTMC: one.subject, ...columns(one, i, day), XZQH: one.region });
    });
  const serial = (i: number): string => String(i + 1).padStart(5, '0');
  const bureau = '深圳市医疗保障局（演示）';
  return [
    [
      'shenzhen-credit/basic',
      each(40, (one, i) => ({
        TYSHXYDM: one.number,
        JGBM: `H${one.region}${serial(i)}`,
        ZTLB: '定点医药机构',
        FDDBR: pickName(random),
        DZ: `深圳市${one.name}虚拟路${i + 1}号`,
      })),
    ],
    [
      'shenzhen-credit/performance',
      each(30, (one, i, day) => ({
        TYSHXYDM: one.number,
        XYBH: `SZXY${day.slice(0, 4)}${serial(i)}`,
        PJND: day.slice(0, 4),
        LYQK: random.pick(['履约良好', '履约基本良好，存在整改事项']),
        KHDF: `${random.int(60, 99)}.0`,
        PJJG: bureau,
        PJRQ: day,
      })),
    ],
    [
      'shenzhen-credit/adverse-handlings',
      each(20, (one, i, day) => ({
        ZJHM: one.number,
        WFTK: random.pick(['条例36', '条例38', '条例39', '条例40', '条例46', '卫健法57']),
        WFSS: '超标准收费',
        SJJE: (random.int(10_000, 5_000_000) / 100).toFixed(2),
        CLJD: `深医保处〔${day.slice(0, 4)}〕${i + 1}号`,
        CLRQ: day,
        CLJG: bureau,
      })),
    ],
    [
      'shenzhen-credit/adverse-penalties',
      each(15, (one, i, day) => ({
        ZJHM: one.number,
        CFWSH: `深医保罚〔${day.slice(0, 4)}〕${i + 1}号`,
        WFSS: '重复收费',
        CFNR: '罚款人民币5000元',
        FKJE: '5000.00',
        CFRQ: day,
        CFJG: bureau,
      })),
    ],
    [
      'shenzhen-credit/commitments',
      each(30, (one, _i, day) => ({
        ZJHM: one.number,
        CNLX: '主动公示型',
        CNNR: '遵守医疗保障法律法规和服务协议',
        CNRQ: day,
        LXZT: random.pick(['履行中', '已履行']),
        SLDW: bureau,
      })),
    ],
    [
      'shenzhen-credit/evaluations',
      each(30, (one, _i, day) => ({
        TYSHXYDM: one.number,
        PJND: String(Number(day.slice(0, 4)) - 1),
        PJJG: random.pick(['守信', '基本守信', '失信']),
        PJDW: bureau,
        PJRQ: day,
      })),
    ],
  ];
}

function pickName(random: Random): string {
  return random.pick(NAMES);
}
