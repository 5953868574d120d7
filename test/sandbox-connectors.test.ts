import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Pool } from 'pg';
import { fileURLToPath } from 'node:url';
import { openConnector } from '../src/connectors/connector.ts';
import type { OpenConnector, PushResult } from '../src/connectors/contract.ts';
import { resolveSettings } from '../src/connectors/settings.ts';
import { RejectRecord } from '../src/errors.ts';
import { compileMapping } from '../src/mapping/compile.ts';
import { loadModel, pullStreams, pushStreams } from '../src/model/load.ts';
import type { PullStream } from '../src/model/types.ts';
import { generate } from '../src/sandbox/generate.ts';
import type { Execute } from '../src/sandbox/seeding.ts';
import { type Sandboxes, startSandboxes } from '../src/sandbox/start.ts';
import { type TestDatabase, emptyDatabase } from './setup/database.ts';

const data = generate({ seed: 7, organisations: 60, persons: 200 });
const model = loadModel(fileURLToPath(new URL('../schema', import.meta.url)));
const codes = (data.streams.get('national-insurance/institution-lookup') ?? []).map((row) => String(row['fixmedins_code'])).toSorted();

describe('the connectors on the sandboxes', () => {
  let database: TestDatabase;
  let pool: Pool;
  let sandboxes: Sandboxes;
  const open = new Map<string, OpenConnector>();
  beforeAll(async () => {
    database = await emptyDatabase();
    pool = new Pool({ connectionString: database.url, max: 4 });
    const execute: Execute = async (text, values = []) => ({ rows: (await pool.query<Record<string, unknown>>(text, [...values])).rows });
    sandboxes = await startSandboxes({
      data,
      execute: { nationalInsurance: execute, hunanCredit: execute },
      databaseUrls: { nationalInsurance: database.url, hunanCredit: database.url },
      frontDatabaseEveryMs: 20,
    });
    for (const [id, connector] of model.connectors) {
      open.set(id, openConnector(connector, resolveSettings(connector, sandboxes.env).settings, { now: () => new Date() }));
    }
  });
  afterAll(async () => {
    for (const connector of open.values()) await connector.close();
    await sandboxes.stop();
    await pool.end();
    await database.drop();
  });

  const read = async (stream: PullStream): Promise<{ records: Record<string, unknown>[]; broken: number }> => {
    const from = {
      cursor: null,
      keys: async (_: string, after: string | null, limit: number) => codes.filter((code) => code > (after ?? '')).slice(0, limit),
    };
    const found: { records: Record<string, unknown>[]; broken: number } = { records: [], broken: 0 };
    for await (const page of open.get(stream.connector)?.pull(stream, from) ?? []) {
      for (const record of page.records) {
        if (record.broken) found.broken++;
        else found.records.push(record.data);
      }
      await page.ack?.();
    }
    return found;
  };

  it('HN-16 P5 read every raw record of every stream once, and the mappings refuse the planted ones only', async () => {
    for (const stream of pullStreams(model)) {
      const name = `${stream.connector}/${stream.id}`;
      const expected = data.expected[name];
      if (!expected) continue;
      const { records, broken } = await read(stream);
      const { map } = compileMapping(model, stream);
      const refused = records.filter((record) => {
        try {
          return map(record, data.now.slice(0, 10)) === undefined;
        } catch (error) {
          return error instanceof RejectRecord;
        }
      }).length;
      expect([name, records.length + broken, refused + broken]).toEqual([name, expected.in, expected.issues]);
    }
  });

  it('HN-28 P6 get a receipt from both receivers for a grade, and the reason for one they do not take', async () => {
    const body = {
      TYSHXYDM: data.showcase.creditCode,
      PJFA: 'hunan-medical-insurance',
      PJND: 2025,
      PJDJ: 'B',
      PJDJMC: 'B级',
      PJJG: '医疗保障部门',
      PJRQ: null,
      CXBZ: '0',
    };
    for (const stream of pushStreams(model).filter(({ id }) => id === 'evaluation-results')) {
      const name = stream.connector === 'hunan-credit' ? 'ZTMC' : 'PJZTMC';
      const items = [
        { key: `${stream.connector}-1:1`, act: 'publish' as const, subject: '1', body: { ...body, [name]: data.showcase.name } },
        {
          key: `${stream.connector}-2:1`,
          act: 'publish' as const,
          subject: '2',
          body: { ...body, [name]: '无此主体', TYSHXYDM: '91430104MA4999999X' },
        },
      ];
      const results: PushResult[] = [];
      for await (const result of open.get(stream.connector)?.push(stream, items) ?? []) results.push(result);
      const outcomes = results.toSorted((a, b) => (a.key < b.key ? -1 : 1)).map((result) => result.outcome);
      expect([stream.connector, ...outcomes]).toEqual([stream.connector, 'accepted', 'refused']);
    }
  });
});
