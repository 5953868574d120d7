import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { withCitizenCheck } from '../src/identity/citizen.ts';
import { usccFor } from '../src/identity/uscc.ts';
import { compileMapping } from '../src/mapping/compile.ts';
import { findStream } from '../src/model/streams.ts';
import type { PullStream } from '../src/model/types.ts';
import { storeRecords } from '../src/store/records.ts';
import { openHub, TODAY, type TestHub } from './setup/hub.ts';

let hub: TestHub;
beforeAll(async () => {
  hub = await openHub({ seed: false });
});
afterAll(() => hub.close());

const company = usccFor('91430102', 'MA9REL01');
const boss = withCitizenCheck('43010219700101011');
const registration = (over: Record<string, string>): Record<string, string> => ({
  XXBH: 'R-1',
  ZTMC: '长沙关系示例公司',
  TYSHXYDM: company,
  FDDBR: '夏侯长歌',
  FDDBR_ZJHM: boss,
  XZQH: '430102',
  DJJG: '长沙市市场监督管理局',
  DJZT: '存续',
  CLRQ: '2020-01-01',
  JYQX_Z: '2099-12-31',
  GXSJ: '2026-01-01 00:00:00',
  ZSGBZ: 'I',
  ...over,
});

async function arrive(...raws: Record<string, string>[]): Promise<string[][]> {
  const stream = findStream(hub.model, 'hunan-credit/market-registrations') as PullStream;
  const mapping = compileMapping(hub.model, stream);
  const records = raws.map((raw) => mapping.map(raw, TODAY));
  await hub.pool.transaction((sql) => storeRecords(sql, hub.keys, hub.model, stream, records, { id: 0, today: TODAY }));
  return records.map((record) => record.warnings);
}

const QUERY = `query R($code: String!) { subject(code: $code) { relations { kind direction subject { kind name } } } }`;
const relations = async (department: string, role = 'officer', purpose = 'credit-evaluation') =>
  (await hub.ask(QUERY, { department, role, purpose, variables: { code: company } })).data.subject.relations as unknown[];

describe('HN-3.2 relations between subjects', () => {
  it('HN-33(4) a registration ties a company to its legal representative by number, seen from both sides', async () => {
    await arrive(registration({}));
    expect(await relations('medical-insurance')).toEqual([
      { kind: 'legal-representative', direction: 'out', subject: { kind: 'PERSON', name: '夏侯长歌' } },
    ]);
    const other = await hub.ask(QUERY, { department: 'medical-insurance', purpose: 'credit-evaluation', variables: { code: boss } });
    expect(other.data.subject.relations).toEqual([
      { kind: 'legal-representative', direction: 'in', subject: { kind: 'ORGANISATION', name: '长沙关系示例公司' } },
    ]);
  });

  it('HUB-4 a relation to a subject outside the grant does not exist for the caller', async () => {
    expect(await relations('tax', 'officer', 'fee-verification')).toEqual([]);
  });

  it('HN-13 a new version of the record replaces its relations, and nobody is found by name', async () => {
    const next = withCitizenCheck('43010219800202022');
    await arrive(registration({ FDDBR: '欧阳听澜', FDDBR_ZJHM: next, GXSJ: '2026-02-01 00:00:00' }));
    expect(await relations('medical-insurance')).toEqual([
      { kind: 'legal-representative', direction: 'out', subject: { kind: 'PERSON', name: '欧阳听澜' } },
    ]);
    const warnings = await arrive(
      registration({ FDDBR: '欧阳听澜', FDDBR_ZJHM: '', GXSJ: '2026-03-01 00:00:00' }),
      registration({ XXBH: 'R-2', FDDBR_ZJHM: '430102198002020220', TYSHXYDM: usccFor('91430102', 'MA9REL02') }),
    );
    expect(warnings[1]).toContain('relation-not-identified');
    expect(await relations('medical-insurance')).toEqual([]);
  });
});
