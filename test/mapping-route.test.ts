/** Which category a handling belongs to, and what else a mapping may say about a record: the real connectors, with rows made here. */
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { RejectRecord } from '../src/errors.ts';
import { withCitizenCheck } from '../src/identity/citizen.ts';
import { foldForMatch } from '../src/identity/fold.ts';
import { usccFor } from '../src/identity/uscc.ts';
import { compileMapping } from '../src/mapping/compile.ts';
import { addMonths } from '../src/rules/calendar.ts';
import type { MappedRecord } from '../src/mapping/record.ts';
import { crossCheck } from '../src/model/check.ts';
import { findStream, loadModel } from '../src/model/load.ts';
import type { Mapping, Model, PullStream } from '../src/model/types.ts';

const model = loadModel(fileURLToPath(new URL('../schema', import.meta.url)));
const ORGANISATION = usccFor('91430104', 'MA400077');
const PERSON = withCitizenCheck('43010219800101002');
const stream = (name: string): PullStream => findStream(model, name) as PullStream;
const mapped = (name: string, row: Record<string, unknown>): MappedRecord => compileMapping(model, stream(name)).map(row, '2026-11-20');
const ruleOf = (name: string, row: Record<string, unknown>): string => {
  try {
    return `taken into ${mapped(name, row).category}`;
  } catch (error) {
    if (error instanceof RejectRecord) return error.rule;
    throw error;
  }
};

const HANDLING = {
  XXBH: 'A-1',
  XDRMC: '长沙星芒医院',
  XDRLX: '机构',
  ZJHM: ORGANISATION,
  WFSS: '重复收费',
  SJJE: '120.50',
  CFWSH: '湘医保罚〔2025〕7号',
  CLJD: '湘医保处〔2025〕7号',
  CLRQ: '2025-03-04',
  CLJG: '长沙市医疗保障局',
  XZQH: '430104',
  SJHZDW: '',
  GXSJ: '2025-03-05 09:00:00',
  ZSGBZ: 'I',
  XH: 1,
  JHKG: '0',
  XRSJ: '2025-03-05 09:10:00',
};

describe('U13 the article decides the category', () => {
  it.each(['条例36', '条例38', '条例39', '条例41(1)', '条例46', '卫健法57', '卫健法82', ' 条例３８ ', '条例41（1）'])(
    'HN-14(9) %s belongs to violations',
    (WFTK) => {
      const record = mapped('hunan-credit/violations', { ...HANDLING, WFTK });
      expect([record.category, record.kind, record.unknownKeys]).toEqual([9, 'violation', []]);
      expect(record.fields['violationArticle']).toMatch(/^(regulation|law)-/);
    },
  );

  it.each(['条例37', '条例40', '条例41(2)'])('HN-14(11) %s puts the subject on the list of the bureau', (WFTK) => {
    const record = mapped('hunan-credit/violations', { ...HANDLING, WFTK });
    expect([record.category, record.kind, record.validFrom]).toEqual([11, 'insurance-dishonesty-list', '2025-03-04']);
    expect(record.fields).toMatchObject({
      basis: WFTK,
      listKind: 'fund-regulation',
      amount: 12_050,
      decisionNumber: '湘医保处〔2025〕7号',
    });
    // Columns that only the other category takes are known all the same.
    expect(record.unknownKeys).toEqual([]);
  });

  it.each(['条例35', '条例42', '条例41', '条例41(3)', '条例3', '38', '卫健法58', '卫健法', '其他'])(
    'P11 %s is an issue, never a default',
    (WFTK) => {
      expect(ruleOf('hunan-credit/violations', { ...HANDLING, WFTK })).toBe('unknown-article');
    },
  );

  it('P11 a handling without an article is refused', () => {
    expect(ruleOf('hunan-credit/violations', { ...HANDLING, WFTK: ' ' })).toBe('required');
  });

  it('U13 every text ends in exactly one of the two categories or in an issue', () => {
    fc.assert(
      fc.property(fc.string(), (WFTK) => {
        expect(['taken into 9', 'taken into 11', 'unknown-article', 'required', 'bad-text']).toContain(
          ruleOf('hunan-credit/violations', { ...HANDLING, WFTK }),
        );
      }),
    );
  });

  it('HN-14(3) a penalty on the same facts is linked by its number and stays at home in category 3', () => {
    expect(mapped('hunan-credit/violations', { ...HANDLING, WFTK: '条例38' }).fields['linkedDecision']).toBe('湘医保罚〔2025〕7号');
    expect(mapped('hunan-credit/violations', { ...HANDLING, WFTK: '条例38', CFWSH: '' }).fields).not.toHaveProperty('linkedDecision');
  });

  it('the start-up check wants one mapping for every category that an article names', () => {
    const faults = (change: Partial<Mapping>): string[] => {
      const real = stream('hunan-credit/violations');
      const connector = model.connectors.get('hunan-credit');
      if (!connector) throw new Error('hunan-credit is missing');
      const streams = new Map([[real.id, { ...real, mapping: { ...real.mapping, ...change } }]]);
      const changed: Model = { ...model, connectors: new Map([['hunan-credit', { ...connector, streams }]]), rules: [] };
      return crossCheck(changed, () => 'f')
        .map(({ reason }) => reason)
        .filter((reason) => !reason.startsWith('stream'));
    };
    const { route, ...none } = stream('hunan-credit/violations').mapping;
    expect(route).toBeDefined();
    expect(faults({ alternatives: [] })).toContain('no mapping takes category 11 of regulation-37');
    expect(faults({ alternatives: [stream('hunan-credit/violations').mapping] })).toContain('two mappings take the same category');
    expect(faults({ ...none, route: undefined })).toContain('alternatives need a route');
    const lookup = new Map([['条例99', 'regulation-99']]);
    expect(faults({ route: { from: ['WFTK'], codes: 'violation-articles', lookup } })).toContain(
      'regulation-99 has no category in codes/violation-articles',
    );
  });
});

const REPORT = {
  ID: 'r1',
  BGBH: 'ZZ202500001',
  ZTMC: '中牟县星野1号医院',
  TYSHXYDM: usccFor('91410122', 'MA900001'),
  CJJG: '星芒信用服务有限公司（演示）',
  BABH: 'YS-410000-0001',
  CJRQ: '2025-06-01',
  YXQZ: '2026-05-31',
  DJ: 'AA',
  FXTS: '无',
  XZQH: '410122',
  SJC: '2025-06-02 09:00:00',
};

describe('ZM-4.2 a credit report', () => {
  it.each<[string, Record<string, string>, string]>([
    ['of a filed issuer is taken', {}, 'taken into 6'],
    ['ZM-2.4 may hold for a year, the day included', { YXQZ: '2026-06-01' }, 'taken into 6'],
    ['ZM-2.4 of a year and a day is refused', { YXQZ: '2026-06-02' }, 'bad-period'],
    ['of an issuer that is not in the filing list is refused', { BABH: 'YS-410000-9999' }, 'unknown-code'],
    ['of an issuer whose filing has run out is refused', { BABH: 'YS-440000-0003' }, 'unknown-code'],
    [
      'of the same issuer is taken when the filing still held',
      { BABH: 'YS-440000-0003', CJRQ: '2022-12-31', YXQZ: '2023-12-31' },
      'taken into 6',
    ],
    ['issued before the filing began is refused', { CJRQ: '2019-02-28', YXQZ: '2019-12-31' }, 'unknown-code'],
    ['without the day of issue is refused', { CJRQ: '' }, 'required'],
  ])('%s', (_name, change, expected) => {
    expect(ruleOf('zhengzhou-credit/credit-reports', { ...REPORT, ...change })).toBe(expected);
    expect(ruleOf('credit-agencies/credit-reports', { ...REPORT, ...change })).toBe(expected);
  });
});

describe('records of other places', () => {
  const GRADE = { ...REPORT, JGMC: '舞钢市云栖2号医院', PJND: '2025', DF: '61.5', PJJG: '平台', PJRQ: '2026-02-11', XZQH: '410481' };
  it.each([
    ['优秀', 'wugang:excellent'],
    ['良好', 'wugang:good'],
    ['中等', 'wugang:medium'],
    ['较差', 'wugang:poor'],
    ['差', 'wugang:bad'],
  ])('WG-11 the grade %s stays %s', (DJ, grade) => {
    const record = mapped('henan-supervision/wugang-grades', { ...GRADE, DJ });
    expect([record.kind, record.fields['scheme'], record.fields['grade']]).toEqual(['received-evaluation', 'wugang', grade]);
  });

  it('WG-11 no letter of Hunan is a grade of Wugang', () => {
    expect(['A', 'D', '良'].map((DJ) => ruleOf('henan-supervision/wugang-grades', { ...GRADE, DJ }))).toEqual(
      Array(3).fill('unknown-code'),
    );
  });

  const SHANDONG = { ...HANDLING, ID: 's1', SSJE: '0.00', JLND: '2025', XZQH: '370902', SJC: '2025-03-05 09:00:00', WFTK: '条例38' };
  it('SD-9 keeps a loss of nothing apart from a loss that nobody told', () => {
    const of = (SSJE: string) => mapped('shandong-credit/handlings', { ...SHANDONG, XXLY: '主体上报', SSJE }).fields['lossAmount'];
    expect([of('0.00'), of(''), of('99999.99')]).toEqual([0, undefined, 9_999_999]);
  });

  it('SD-6 takes six of the seven sources for facts; what the media report is a lead', () => {
    const sources = [...(model.codes.get('information-sources')?.values.values() ?? [])];
    const taken = sources.map(({ zh, extra }) => [extra['fact'], ruleOf('shandong-credit/handlings', { ...SHANDONG, XXLY: zh })]);
    expect(taken).toEqual([...Array.from({ length: 6 }, () => [true, 'taken into 9']), [false, 'unknown-code']]);
    const lead = { ID: 'l1', XSBH: 'YQ1', SJZTMC: '某', ZJHM: PERSON, XSNR: '传闻', LYMT: '网络', JSRQ: '2025-05-06', HSZT: '待核实' };
    const record = mapped('shandong-credit/leads', { ...lead, XZQH: '370902', SJC: '2025-05-07 09:00:00' });
    expect([record.category, record.kind, model.categories.get(12)?.kinds.get('lead')?.publicity]).toEqual([12, 'lead', 'non-public']);
  });
});

describe('HN-14(3) decisions in the fields of 2014', () => {
  const OLD = { CF_WSH: '湘市监罚[2015]8号', CF_XDR_MC: '某', CF_JG: '警告', CF_JDRQ: '2015-03-04', CF_XZJG: '长沙市市场监督管理局' };
  const SJC = '2015-03-05 09:00:00';

  it('tell by the number alone whether a person or an organisation is meant', () => {
    const kindOf = (row: Record<string, string>): unknown => mapped('credit-china/penalties-legacy', { ...OLD, SJC, ...row }).subject.kind;
    expect([kindOf({ CF_XDR_SHXYM: ORGANISATION }), kindOf({ CF_XDR_SFZ: PERSON })]).toEqual(['organisation', 'person']);
    expect(ruleOf('credit-china/penalties-legacy', { ...OLD, SJC })).toBe('no-identifier');
    expect(ruleOf('credit-china/penalties-legacy', { ...OLD, SJC, CF_XDR_SFZ: '430102198001010000' })).toBe('bad-identifier');
  });

  it('P15 never keep a person’s number as a readable key', () => {
    expect(mapped('credit-china/penalties-legacy', { ...OLD, SJC, CF_XDR_SFZ: PERSON }).keyIsPersonal).toBe(true);
    expect(mapped('credit-china/penalties-legacy', { ...OLD, SJC, CF_XDR_SHXYM: ORGANISATION }).keyIsPersonal).toBe(false);
  });

  it('are the same fact as those of 2018, whatever brackets stand around the year', () => {
    expect(model.categories.get(3)?.kinds.get('penalty')?.fact).toEqual(['decisionNumber', 'authority']);
    const spellings = ['湘市监罚〔2015〕8号', '湘市监罚[2015]8号', '湘市监罚（２０１５）8号', ' 湘市监罚 【2015】８号'];
    expect(new Set(spellings.map(foldForMatch)).size).toBe(1);
    expect(foldForMatch('湘市监罚〔2015〕9号')).not.toBe(foldForMatch(spellings[0] ?? ''));
  });
});

describe('months', () => {
  it.each([
    ['2025-11-30', 3, '2026-02-28'],
    ['2024-02-29', 12, '2025-02-28'],
    ['2023-11-30', 3, '2024-02-29'],
    ['2025-12-31', 1, '2026-01-31'],
    ['2025-01-31', 12, '2026-01-31'],
  ])('%s and %d months are %s', (day, months, expected) => {
    expect(addMonths(day, months)).toBe(expected);
  });
});
