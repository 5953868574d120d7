import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startCreditChina } from '../src/sandbox/credit-china.ts';
import { generate } from '../src/sandbox/generate.ts';
import { startNationalInsurance } from '../src/sandbox/national-insurance.ts';
import type { Server } from '../src/sandbox/server.ts';
import { tifSignature } from '../src/sandbox/tif.ts';
import { type Body, type Reply, at, post } from './setup/http.ts';

const data = generate({ seed: 7, organisations: 60, persons: 200 });
const HUB = 'H43990000001';

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
