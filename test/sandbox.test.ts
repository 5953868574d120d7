import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Pool } from 'pg';
import { startCreditChina } from '../src/sandbox/credit-china.ts';
import { generate } from '../src/sandbox/generate.ts';
import { takeRound } from '../src/sandbox/hunan-credit.ts';
import { startNationalInsurance } from '../src/sandbox/national-insurance.ts';
import type { Execute } from '../src/sandbox/seeding.ts';
import type { Server } from '../src/sandbox/server.ts';
import { type Sandboxes, startSandboxes } from '../src/sandbox/start.ts';
import { FRONT_DATABASE, RETURN_FLOW } from '../src/sandbox/tables.ts';
import { tifSignature } from '../src/sandbox/tif.ts';
import { type TestDatabase, emptyDatabase } from './setup/database.ts';

const data = generate({ seed: 7, organisations: 60, persons: 200 });
const HUB = 'H43990000001';

type Body = Record<string, unknown>;
interface Reply {
  status: number;
  body: Body;
}

async function post(url: string, body: unknown, headers: Record<string, string> = {}): Promise<Reply> {
  const answer = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  });
  return { status: answer.status, body: (await answer.json()) as Body };
}

/** The value at a dotted path. */
function at(value: unknown, path: string): unknown {
  return path.split('.').reduce<unknown>((inside, key) => (inside as Body | undefined)?.[key], value);
}

describe('the signature of the gateway', () => {
  it('is the one of the published vector', () => {
    const expected = '637d90b608df9e26b961c7ae7048123b034a9fbdf80981c7fb60762896cbf424';
    expect(tifSignature('1763703015', 'test-secret-not-real', 'A1b2C3d4')).toBe(expected);
  });
});

describe('the national insurance platform of the sandbox', () => {
  const account = { paasId: 'hub-test', secret: 'made-up-for-this-test' };
  let server: Server;
  beforeAll(async () => {
    server = await startNationalInsurance(data, account);
  });
  afterAll(() => server.stop());

  const headers = (secret = account.secret, skew = 0): Record<string, string> => {
    const timestamp = String(Math.floor(Date.now() / 1000) + skew);
    const signature = tifSignature(timestamp, secret, 'abc123');
    return { 'x-tif-paasid': account.paasId, 'x-tif-timestamp': timestamp, 'x-tif-nonce': 'abc123', 'x-tif-signature': signature };
  };
  const envelope = (infno: string, input: unknown, signNo = '', institution = HUB): Body => ({
    infno,
    msgid: `${HUB}202611200930150001`,
    mdtrtarea_admvs: '439900',
    insuplc_admdvs: '',
    recer_sys_code: 'HNXY',
    dev_no: '',
    dev_safe_info: '',
    cainfo: '',
    signtype: 'SM2',
    infver: 'V1.0',
    opter_type: '1',
    opter: 'hub01',
    opter_name: '信用归集',
    inf_time: '2026-11-20 09:30:15',
    fixmedins_code: institution,
    fixmedins_name: '信用归集平台',
    sign_no: signNo,
    input,
  });
  const call = (body: Body, given = headers()): Promise<Reply> => post(`${server.url}/${String(body['infno'])}`, body, given);
  const signIn = async (): Promise<string> => {
    const { body } = await call(envelope('9001', { signIn: { opter_no: 'hub01', mac: '', ip: '' } }));
    return String(at(body, 'output.signinoutb.sign_no'));
  };

  it('refuses a wrong signature, a wrong clock and a stranger at the gateway, without infcode', async () => {
    const body = envelope('9001', { signIn: { opter_no: 'hub01' } });
    const answers = [
      await call(body, headers('another secret')),
      await call(body, headers(account.secret, -301)),
      await call(body, { ...headers(), 'x-tif-paasid': 'stranger' }),
    ];
    expect(answers.map((answer) => answer.status)).toEqual([401, 401, 403]);
    expect(answers.filter((answer) => 'infcode' in answer.body)).toEqual([]);
  });

  it('answers nothing without a sign-in, nor after the sign-out', async () => {
    const lookup = { medinsinfo: { fixmedins_type: '1', fixmedins_name: '', fixmedins_code: data.showcase.institutionCode } };
    const before = await call(envelope('1201', lookup));
    expect(before.body).toMatchObject({ infcode: -1, output: null });
    expect(before.body['err_msg']).toContain('签到');
    const signNo = await signIn();
    expect(signNo).toHaveLength(30);
    expect((await call(envelope('1201', lookup, signNo))).body).toMatchObject({ infcode: 0, err_msg: '' });
    await call(envelope('9002', { signOut: { sign_no: signNo, opter_no: 'hub01' } }, signNo));
    expect((await call(envelope('1201', lookup, signNo))).body['infcode']).toBe(-1);
  });

  it('checks the envelope: required fields, lengths and the thirty characters of msgid', async () => {
    const good = envelope('9001', { signIn: { opter_no: 'hub01' } });
    const wrong = [
      { opter: '' },
      { fixmedins_name: '名'.repeat(21) },
      { msgid: `${HUB}2026112009301500001` },
      { msgid: 'x' },
      { input: 'text' },
    ];
    const answers = await Promise.all(wrong.map((change) => call({ ...good, ...change })));
    expect(answers.map((answer) => answer.body['infcode'])).toEqual([-1, -1, -1, -1, -1]);
    const { body } = await call(good);
    expect(body['inf_refmsgid']).toMatch(/^439900\d{24}$/);
    expect(body['refmsg_time']).toMatch(/^\d{17}$/);
  });

  it('1201 finds an institution under its own type only', async () => {
    const signNo = await signIn();
    const ask = (type: string): Promise<Reply> =>
      call(
        envelope(
          '1201',
          { medinsinfo: { fixmedins_type: type, fixmedins_name: '', fixmedins_code: data.showcase.institutionCode } },
          signNo,
        ),
      );
    const found = at((await ask('1')).body, 'output.medinsinfo') as Body[];
    expect(found.map((row) => row['fixmedins_name'])).toEqual([data.showcase.name]);
    expect(at((await ask('2')).body, 'output.medinsinfo')).toEqual([]);
  });

  it('5102 tells every practitioner of every institution, the dirty ones too', async () => {
    const signNo = await signIn();
    let rows = 0;
    for (const institution of new Set(data.practitioners.map((one) => one.institution))) {
      for (const type of ['1', '2', '3', '4']) {
        const input = { data: { prac_psn_type: type, psn_cert_type: '', certno: '', prac_psn_name: '', prac_psn_code: '' } };
        const { body } = await call(envelope('5102', input, signNo, institution));
        rows += (at(body, 'output.feedetail') as Body[]).length;
      }
    }
    expect(rows).toBe(data.expected['national-insurance/practitioners']?.in);
  });
});

describe('credit china of the sandbox', () => {
  const account = { appId: 'hub-test', secret: 'made-up-for-this-test' };
  let server: Server;
  let token = '';
  const bearer = (): Record<string, string> => ({ authorization: `Bearer ${token}` });
  beforeAll(async () => {
    server = await startCreditChina(data, account);
    token = String(at((await post(`${server.url}/service/login`, account)).body, 'data.token'));
  });
  afterAll(() => server.stop());

  const evaluation = {
    PJZTMC: data.showcase.name,
    TYSHXYDM: data.showcase.creditCode,
    PJFA: '湖南省医疗保障信用评价',
    PJND: '2025',
    PJDJ: 'B',
    PJDJMC: 'B级',
    PJJG: '长沙市医疗保障局',
    PJRQ: '2026-04-20',
    CXBZ: '0',
  };
  const submit = (key: string, body: Body): Promise<Reply> =>
    post(`${server.url}/service/submit/ggxypj`, body, { ...bearer(), 'idempotency-key': key });

  it('gives nothing for a wrong secret, no token or a token it does not know', async () => {
    expect((await post(`${server.url}/service/login`, { ...account, secret: 'wrong' })).status).toBe(403);
    const body = { directory: 'xzcf', beginTime: '1970-01-01 00:00:00', endTime: '2026-12-31 00:00:00', page: 1, pageSize: 10 };
    expect((await post(`${server.url}/service/query`, body)).status).toBe(401);
    expect((await post(`${server.url}/service/query`, body, { authorization: 'Bearer unknown' })).status).toBe(401);
  });

  it('hands out a window in pages, in order, every row once', async () => {
    const list: Body[] = [];
    for (let page = 1; ; page++) {
      const window = { beginTime: '1970-01-01 00:00:00', endTime: '2026-11-20 08:00:00' };
      const { body } = await post(`${server.url}/service/query`, { directory: 'xzxk', ...window, page, pageSize: 50 }, bearer());
      const rows = at(body, 'data.list') as Body[];
      list.push(...rows);
      if (rows.length < 50) break;
    }
    expect(list).toHaveLength(data.expected['credit-china/licences']?.in ?? 0);
    const order = list.map((row) => `${String(row['SJC'])} ${String(row['ID'])}`);
    expect(order).toEqual(order.toSorted());
  });

  it('leaves out the begin of a window and takes in its end', async () => {
    const times = (data.streams.get('credit-china/penalties') ?? []).map((row) => String(row['SJC']));
    const [begin = '', end = ''] = [times[2], times.at(-3)];
    const { body } = await post(
      `${server.url}/service/query`,
      { directory: 'xzcf', beginTime: begin, endTime: end, page: 1, pageSize: 500 },
      bearer(),
    );
    expect(at(body, 'data.total')).toBe(times.filter((time) => begin < time && time <= end).length);
  });

  it('says what is wrong with a query, with HTTP 200', async () => {
    const good = { directory: 'xzcf', beginTime: '1970-01-01 00:00:00', endTime: '2026-12-31 00:00:00', page: 1, pageSize: 10 };
    const wrong = [{ directory: 'other' }, { beginTime: '2026-01-01' }, { page: '1' }, { pageSize: 0 }];
    const answers = await Promise.all(wrong.map((change) => post(`${server.url}/service/query`, { ...good, ...change }, bearer())));
    expect(answers.map((answer) => [answer.status, answer.body['status']])).toEqual(wrong.map(() => [200, 40002]));
  });

  it('P6 takes a submission once: the same key gets the same receipt, another body under it is refused', async () => {
    const first = await submit('record-1:1', evaluation);
    expect(first.body).toMatchObject({ status: 1, data: { receiptNo: expect.stringMatching(/^CC/) } });
    expect((await submit('record-1:1', evaluation)).body).toEqual(first.body);
    expect((await submit('record-1:1', { ...evaluation, PJDJ: 'C' })).body['status']).toBe(40901);
    expect((await submit('record-1:2', { ...evaluation, CXBZ: '1' })).body['status']).toBe(1);
    const answer = await fetch(`${server.url}/sandbox/holdings`);
    expect(await answer.json()).toEqual({ holdings: 2, subjects: 1, revoked: 1, repeated: 1 });
  });

  it('refuses a subject that is not in its directory, and a grade that is none', async () => {
    const stranger = generate({ seed: 8, organisations: 200, persons: 200 }).organisations.at(-1)?.creditCode;
    expect(stranger !== undefined && !data.directory.has(stranger)).toBe(true);
    const unknown = await submit('record-2:1', { ...evaluation, TYSHXYDM: stranger });
    expect([unknown.status, unknown.body]).toEqual([200, { status: 42201, message: '统一社会信用代码不存在' }]);
    expect((await submit('record-3:1', { ...evaluation, PJDJ: 'E' })).body['status']).toBe(42201);
  });
});

describe('a server of the sandbox', () => {
  it('sends every answer through one place, where a fault can be made of it', async () => {
    const server = await startCreditChina(
      data,
      { appId: 'a', secret: 'made-up-for-this-test' },
      {
        slowMs: 1,
        answer: async (call, proper) => (call.path === '/sandbox/holdings' ? { status: 503, body: {} } : proper),
      },
    );
    expect((await fetch(`${server.url}/sandbox/holdings`)).status).toBe(503);
    expect((await post(`${server.url}/service/query`, {})).status).toBe(401);
    await server.stop();
  });

  it('answers 400 to a body that is no JSON', async () => {
    const server = await startCreditChina(data, { appId: 'a', secret: 'made-up-for-this-test' });
    const sent = { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"appId":' };
    expect((await fetch(`${server.url}/service/login`, sent)).status).toBe(400);
    await server.stop();
  });
});

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
    const secrets = Object.entries(sandboxes.env).flatMap(([name, value]) => (name.endsWith('_SECRET') ? [value] : []));
    expect(new Set(secrets).size).toBe(8);
    expect(
      Object.keys(sandboxes.env)
        .filter((name) => !exchanged.includes(name))
        .toSorted(),
    ).toEqual([
      'CREDIT_CHINA_APP_ID',
      'CREDIT_CHINA_SECRET',
      'CREDIT_CHINA_URL',
      'HUNAN_CREDIT_DATABASE_URL',
      'HUNAN_CREDIT_DROP_FOLDER',
      'HUNAN_CREDIT_FEEDBACK_FOLDER',
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
