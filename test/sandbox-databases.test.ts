/** The tables of the sandbox: whole, filled once, and answering what is handed in. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Pool } from 'pg';
import { startCreditChina } from '../src/sandbox/credit-china.ts';
import { generate } from '../src/sandbox/generate.ts';
import { takeRound } from '../src/sandbox/hunan-credit.ts';
import type { Execute } from '../src/sandbox/seeding.ts';
import { type Sandboxes, startSandboxes } from '../src/sandbox/start.ts';
import { FRONT_DATABASE, RETURN_FLOW } from '../src/sandbox/tables.ts';
import { type TestDatabase, emptyDatabase } from './setup/database.ts';
import { type Body, at, post } from './setup/http.ts';

const data = generate({ seed: 7, organisations: 60, persons: 200 });

describe('the databases of the sandbox', () => {
  let database: TestDatabase;
  let pool: Pool;
  let execute: Execute;
  let sandboxes: Sandboxes;
  beforeAll(async () => {
    database = await emptyDatabase();
    pool = new Pool({ connectionString: database.url, max: 4 });
    execute = async (text, values = []) => ({ rows: (await pool.query<Body>(text, [...values])).rows });
    const urls = { nationalInsurance: database.url, hunanCredit: database.url };
    sandboxes = await startSandboxes({
      data,
      execute: { nationalInsurance: execute, hunanCredit: execute, creditChina: execute },
      databaseUrls: urls,
      frontDatabaseEveryMs: 20,
    });
  });
  afterAll(async () => {
    await sandboxes.stop();
    await pool.end();
    await database.drop();
  });

  const count = async (table: string): Promise<number> => Number((await execute(`SELECT count(*) AS n FROM ${table}`)).rows[0]?.['n']);

  it('hold every row of every stream', async () => {
    const tables: Record<string, string> = {
      'national-insurance/medical-institutions': '"CUSTCENT_DB"."MEDINS_INFO_B"',
      'national-insurance/pharmacies': '"CUSTCENT_DB"."RTAL_PHAC_B"',
      'national-insurance/service-agreements': '"POLCENT_DB"."FIXMEDINS_CNTR_REG_D"',
      'national-insurance/credit-grades': '"CUSTCENT_DB"."V_MEDINS_CRED_LV"',
      'national-insurance/physicians': '"CUSTCENT_DB"."DR_INFO_B"',
      'national-insurance/pharmacists': '"CUSTCENT_DB"."PHAR_INFO_B"',
      'national-insurance/nurses': '"CUSTCENT_DB"."NURS_INFO_B"',
      'national-insurance/technicians': '"CUSTCENT_DB"."MED_TECN_INFO_B"',
      'national-insurance/designations': '"POLCENT_DB"."FIXMEDINS_B"',
      'national-insurance/designation-suspensions': '"POLCENT_DB"."FIXMEDINS_PAUS_D"',
      'national-insurance/employers': '"CUSTCENT_DB"."INSU_EMP_INFO_B"',
      'national-insurance/employer-contributions': '"CLCTCENT_DB"."EMP_CLCT_DETL_D"',
      'national-insurance/insured-persons': '"BASINFOCENT_DB"."PSN_INFO_B"',
      'national-insurance/insurance-relations': '"CUSTCENT_DB"."PSN_INSU_STAS_B"',
      'national-insurance/resident-contributions': '"CLCTCENT_DB"."RSDT_PSN_CLCT_DETL_D"',
      'national-insurance/benefit-suspensions': '"SETLCENT_DB"."PSN_TRT_PAUS_D"',
      'hunan-credit/market-registrations': '"QZK"."GX_QYDJ"',
      'hunan-credit/dishonest-judgment-debtors': '"QZK"."GX_SXBZXR"',
      'hunan-credit/abnormal-operations': '"QZK"."GX_JYYC"',
      'hunan-credit/public-credit-evaluations': '"QZK"."GX_GGXYPJ"',
      'hunan-credit/credit-commitments': '"QZK"."GX_XYCN"',
      'hunan-credit/violations': '"QZK"."GX_YBWG"',
      'hunan-credit/honours': '"QZK"."GX_RYXX"',
      'hunan-credit/dishonesty-lists': '"QZK"."GX_SXZT"',
      'hunan-credit/other-information': '"QZK"."GX_QTXX"',
    };
    for (const [stream, table] of Object.entries(tables)) expect([table, await count(table)]).toEqual([table, data.expected[stream]?.in]);
  });

  it('have every column of a row, so that nothing is lost on the way into a table', async () => {
    const { rows } = await execute(
      `SELECT table_name AS t, column_name AS c FROM information_schema.columns WHERE table_schema = 'QZK' OR table_schema LIKE '%CENT\\_DB'`,
    );
    const known = new Set(rows.map((row) => `${String(row['t'])}.${String(row['c'])}`));
    const used = (stream: string, table: string): string[] =>
      Object.keys(data.streams.get(stream)?.[0] ?? {}).map((column) => `${table}.${column}`);
    const columns = [...FRONT_DATABASE, ...RETURN_FLOW].flatMap(({ stream, name }) => (stream === undefined ? [] : used(stream, name)));
    expect(columns.filter((column) => !known.has(column))).toEqual([]);
  });

  it('are filled once: a second start changes no row, another seed is refused', async () => {
    const versions = async (): Promise<unknown> =>
      (await execute('SELECT "XH", xmin::text AS version FROM "QZK"."GX_QYDJ" ORDER BY "XH"')).rows;
    const before = await versions();
    const start = (given: typeof data): Promise<Sandboxes> =>
      startSandboxes({
        data: given,
        execute: { nationalInsurance: execute, hunanCredit: execute },
        databaseUrls: { nationalInsurance: '', hunanCredit: '' },
      });
    await (await start(data)).stop();
    expect(await versions()).toEqual(before);
    await expect(start(generate({ seed: 8, organisations: 60, persons: 200 }))).rejects.toThrow('another seed');
  });

  it('give the environment that the connectors read, with secrets made for this start', () => {
    const exchanged = Object.keys(sandboxes.env).filter((name) =>
      /^(HUNAN_CREDIT_SERVICE|ZHENGZHOU|CREDIT_AGENCIES|HENAN|SHANDONG|SHENZHEN)/.test(name),
    );
    expect(exchanged).toHaveLength(3 * 6);
    const receiving = Object.keys(sandboxes.env).filter((name) =>
      /^(HUNAN_EXCHANGE|NATIONAL_INSURANCE_RETURN|PROCUREMENT_PLATFORM|WUGANG_CREDIT)_(URL|SECRET|RECEIPT_KEY)$/.test(name),
    );
    expect(receiving).toHaveLength(4 * 3);
    const secrets = Object.entries(sandboxes.env).flatMap(([name, value]) => (name.endsWith('_SECRET') ? [value] : []));
    expect(new Set(secrets).size).toBe(12);
    expect(
      Object.keys(sandboxes.env)
        .filter((name) => !exchanged.includes(name) && !receiving.includes(name))
        .toSorted(),
    ).toEqual([
      'CREDIT_CHINA_APP_ID',
      'CREDIT_CHINA_SECRET',
      'CREDIT_CHINA_URL',
      'HUNAN_CREDIT_BATCH_FOLDER',
      'HUNAN_CREDIT_DATABASE_URL',
      'HUNAN_CREDIT_DROP_FOLDER',
      'HUNAN_CREDIT_FEEDBACK_FOLDER',
      'HUNAN_CREDIT_RECEIPT_FOLDER',
      'NATIONAL_INSURANCE_DATABASE_URL',
      'NATIONAL_INSURANCE_INSTITUTION',
      'NATIONAL_INSURANCE_INSTITUTION_NAME',
      'NATIONAL_INSURANCE_PAAS_ID',
      'NATIONAL_INSURANCE_REGION',
      'NATIONAL_INSURANCE_SECRET',
      'NATIONAL_INSURANCE_URL',
    ]);
  });

  it('P6 answer every row handed in exactly once: a receipt, or the reason of the refusal', async () => {
    const insert = `INSERT INTO "QZK"."JS_YBXYPJ" ("XXBH", "ZTMC", "TYSHXYDM", "PJFA", "PJND", "PJDJ", "PJDJMC", "PJJG", "PJRQ", "CXBZ", "JHKG", "XRSJ")
      VALUES ($1, $2, $3, '方案', '2025', $4, 'B级', '省医保局', '2026-04-20', '0', '0', '2026-11-20 09:00:00')`;
    await execute(insert, ['r1:1', data.showcase.name, data.showcase.creditCode, 'B']);
    await execute(insert, ['r2:1', data.showcase.name, data.showcase.creditCode, '优']);
    await execute(insert, ['r3:1', '无此主体', '91430104MA4000000X', 'B']);
    let rows: Body[] = [];
    while (rows.length < 3) ({ rows } = await execute('SELECT * FROM "QZK"."FK_YBXYPJ" ORDER BY "XXBH"'));
    expect(rows.map((row) => row['CLJG'])).toEqual(['1', '2', '2']);
    expect(rows.map((row) => [row['HZBH'] === '', row['CLYJ'] === ''])).toEqual([
      [false, true],
      [true, false],
      [true, false],
    ]);
    expect((await execute(`SELECT 1 FROM "QZK"."JS_YBXYPJ" WHERE "JHKG" <> '1'`)).rows).toEqual([]);
    expect(await takeRound(execute, {})).toBe(0);
  });

  it('remember the holdings of credit china over a restart', async () => {
    const account = { appId: 'a', secret: 'made-up-for-this-test' };
    const body = { PJZTMC: data.showcase.name, TYSHXYDM: data.showcase.creditCode, PJFA: '方案', PJND: '2025', PJDJ: 'B', CXBZ: '0' };
    const receiptOf = async (): Promise<unknown> => {
      const server = await startCreditChina(data, account, { execute });
      const login = await post(`${server.url}/service/login`, account);
      const headers = { authorization: `Bearer ${String(at(login.body, 'data.token'))}`, 'idempotency-key': 'kept:1' };
      const answer = await post(`${server.url}/service/submit/ggxypj`, body, headers);
      await server.stop();
      return at(answer.body, 'data');
    };
    const first = await receiptOf();
    expect(await receiptOf()).toEqual(first);
  });
});
