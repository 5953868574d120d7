import { createHash } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { OpenConnector } from '../src/connectors/contract.ts';
import { resolveSettings } from '../src/connectors/settings.ts';
import { messageId, tifSignature } from '../src/connectors/tif.ts';
import { RetryLater, StopStream } from '../src/errors.ts';
import type { Connector, Json, NationalInsuranceVia } from '../src/model/types.ts';
import { NOW, type Call, type Platform, json, open, pagesOf, startPlatform } from './fixtures/platform-server.ts';

const SECRET = 'test-secret-not-real';
const OWN = 'H43010200001';
let platform: Platform;
let connector: OpenConnector;
let signIns: number;

beforeEach(async () => {
  platform = await startPlatform((call, response) => answer(call, response, () => ({})));
  connector = open({
    url: platform.url,
    paasId: 'hub',
    secret: SECRET,
    institution: OWN,
    institutionName: '示例'.repeat(15),
    region: '430199',
  });
  signIns = 0;
});
afterEach(async () => {
  await connector.close();
  await platform.close();
});

/** Signs in under S1, S2 …; any other transaction gets what the test says, or a refusal as text. */
function answer(call: Call, response: ServerResponse, output: (call: Call) => Json, infcode: Json = 0): void {
  const head = { infcode, inf_refmsgid: '430000202611210930150000000001', refmsg_time: '20261121093015000', err_msg: '' };
  if (call.path === '/9001') {
    json(response, { ...head, output: { signinoutb: { sign_time: '2026-11-21 09:30:15', sign_no: `S${(signIns += 1)}` } } });
    return;
  }
  const found = output(call);
  json(response, typeof found === 'string' ? { ...head, err_msg: found } : { ...head, output: found });
}

const LOOKUP: NationalInsuranceVia = {
  kind: 'national-insurance',
  infno: '1201',
  input: { medinsinfo: { fixmedins_type: '{type}', fixmedins_name: '', fixmedins_code: '{code}' } },
  node: 'medinsinfo',
  each: { scheme: 'institution-code', with: { type: ['1', '2'] }, size: 2 },
  onBehalf: false,
};
const CODES = ['H43010200002', 'H43010200003', 'P43010200001'];
const keys = (_: string, after: string | null, limit: number): Promise<string[]> =>
  Promise.resolve(CODES.filter((code) => after === null || code > after).slice(0, limit));
const lookup = (call: Call): Record<string, Json> => (call.body['input'] as { medinsinfo: Record<string, Json> }).medinsinfo;

describe('the national platform', () => {
  it('signs with the published vector: hash of timestamp, secret, nonce and timestamp', () => {
    expect(tifSignature('1763703015', SECRET, 'A1b2C3d4')).toBe('637d90b608df9e26b961c7ae7048123b034a9fbdf80981c7fb60762896cbf424');
  });

  it('numbers messages with the published vector: institution, local time, sequence', () => {
    expect(messageId(OWN, new Date('2026-11-21T09:30:15+08:00'), 1)).toBe('H43010200001202611210930150001');
    expect(messageId('H1', NOW, 12_345)).toHaveLength(30);
  });

  it('HN-16 gets the whole envelope and a signature that holds', async () => {
    await pagesOf(connector, LOOKUP, { keys });
    const [signIn, first] = platform.calls;
    expect(signIn?.body).toMatchObject({ infno: '9001', sign_no: '', input: { signIn: { opter_no: 'hub01', mac: '', ip: '' } } });
    expect(first?.path).toBe('/1201');
    const { msgid, ...rest } = first?.body ?? {};
    expect(msgid).toMatch(/^H4301020000120261121093015\d{4}$/);
    expect(rest).toEqual({
      infno: '1201',
      mdtrtarea_admvs: '430199',
      insuplc_admdvs: '',
      recer_sys_code: 'MBS_LOCAL',
      dev_no: '',
      dev_safe_info: '',
      cainfo: '',
      signtype: 'SM2',
      infver: 'V1.0',
      opter_type: '1',
      opter: 'hub01',
      opter_name: '信用归集',
      inf_time: '2026-11-21 09:30:15',
      fixmedins_code: OWN,
      fixmedins_name: '示例'.repeat(10),
      sign_no: 'S1',
      input: { medinsinfo: { fixmedins_type: '1', fixmedins_name: '', fixmedins_code: 'H43010200002' } },
    });
    const ids = platform.calls.map((call) => call.body['msgid']);
    expect(new Set(ids).size).toBe(ids.length);
    const header = (name: string) => String(first?.headers[`x-tif-${name}`]);
    const signed = `${header('timestamp')}${SECRET}${header('nonce')}${header('timestamp')}`;
    expect([header('paasid'), header('timestamp')]).toEqual(['hub', '1795224615']);
    expect(header('signature')).toBe(createHash('sha256').update(signed).digest('hex'));
  });

  it('HN-16 is asked for every known institution and every type, and goes on after the last one stored', async () => {
    platform.respond = (call, response) =>
      answer(call, response, () => {
        const { fixmedins_code: code, fixmedins_type: type } = lookup(call);
        return { medinsinfo: type === '1' ? [{ fixmedins_code: code ?? '', uscc: '' }] : null };
      });
    const pages = await pagesOf(connector, LOOKUP, { keys });
    expect(pages.map((page) => page.records.map((record) => record.data['fixmedins_code']))).toEqual([CODES.slice(0, 2), CODES.slice(2)]);
    expect(pages.map((page) => [page.cursor, page.last])).toEqual([
      [{ after: 'H43010200003' }, false],
      [null, true],
    ]);
    expect(pages[0]?.records[1]?.at).toBe('1201 subject 2 type=1 row 1');
    const rest = await pagesOf(connector, LOOKUP, { keys, cursor: pages[0]?.cursor ?? null });
    expect(rest).toHaveLength(1);
    expect(signIns).toBe(1);
  });

  it('HN-16 sees the institution asked about in the envelope where the hub asks on its behalf', async () => {
    await pagesOf(connector, { ...LOOKUP, onBehalf: true, each: { scheme: 'institution-code', with: { type: ['1'] }, size: 5 } }, { keys });
    expect(platform.calls.slice(1).map((call) => [call.body['fixmedins_code'], call.body['fixmedins_name']])).toEqual(
      CODES.map((c) => [c, '']),
    );
    expect(String(platform.calls[1]?.body['msgid'])).toMatch(/^H43010200001/);
  });

  it('takes infcode as number and as text', async () => {
    platform.respond = (call, response) => answer(call, response, () => ({ medinsinfo: [{ fixmedins_code: 'x' }] }), '0');
    expect((await pagesOf(connector, LOOKUP, { keys })).flatMap((page) => page.records)).toHaveLength(6);
  });

  it('takes infcode "0" with an error text for the error it is', async () => {
    platform.respond = (call, response) => answer(call, response, () => '机构类别不能为空', '0');
    await expect(pagesOf(connector, LOOKUP, { keys })).rejects.toThrow(/机构类别不能为空/);
    await expect(pagesOf(connector, LOOKUP, { keys })).rejects.toBeInstanceOf(StopStream);
  });

  it('P11 keeps the one institution that is refused as broken, and goes on with the others', async () => {
    platform.respond = (call, response) =>
      answer(call, response, () =>
        lookup(call)['fixmedins_code'] === CODES[1] ? '机构不存在' : { medinsinfo: [{ fixmedins_code: 'x' }] },
      );
    const records = (await pagesOf(connector, LOOKUP, { keys })).flatMap((page) => page.records);
    expect(records.filter((record) => record.broken).map((record) => record.data)).toEqual([
      { code: CODES[1], type: '1' },
      { code: CODES[1], type: '2' },
    ]);
    expect(records).toHaveLength(6);
  });

  it('is signed in to once more when it no longer knows the sign-in, and not a third time', async () => {
    platform.respond = (call, response) => answer(call, response, () => (call.body['sign_no'] === 'S1' ? '签到已失效，请重新签到' : {}));
    await pagesOf(connector, LOOKUP, { keys });
    expect(signIns).toBe(2);
    platform.respond = (call, response) => answer(call, response, () => '未签到');
    await expect(pagesOf(connector, LOOKUP, { keys })).rejects.toThrow(/sign-in-refused/);
    expect(signIns).toBe(3);
  });

  const bad: [string, (response: ServerResponse) => void, typeof RetryLater | typeof StopStream][] = [
    ['HTTP 401', (response) => json(response, {}, 401), StopStream],
    ['HTTP 403', (response) => json(response, {}, 403), StopStream],
    ['a refused signature', (response) => json(response, { infcode: -1, err_msg: '签名校验失败' }), StopStream],
    ['HTTP 502', (response) => json(response, {}, 502), RetryLater],
    ['a busy platform', (response) => json(response, { infcode: -1, err_msg: '系统繁忙，请稍后再试' }), RetryLater],
    ['a gateway’s own answer', (response) => json(response, { code: 999, msg: 'service offline' }), RetryLater],
    ['a reset', (response) => response.socket?.resetAndDestroy(), RetryLater],
    ['a hang', () => undefined, RetryLater],
  ];
  it.each(bad)('P18 %s is a typed error', async (_, fault, type) => {
    platform.respond = (call, response) => (call.path === '/9001' ? answer(call, response, () => ({})) : fault(response));
    await expect(pagesOf(connector, LOOKUP, { keys })).rejects.toBeInstanceOf(type);
  });
});

describe('settings', () => {
  it('come from the environment or their default, and missing ones are named by variable', () => {
    const settings: Connector['settings'] = new Map([
      ['url', { env: 'A_URL', default: undefined, secret: false }],
      ['region', { env: 'A_REGION', default: '430000', secret: false }],
      ['secret', { env: 'A_SECRET', default: undefined, secret: true }],
    ]);
    const connectorData = { settings } as Connector;
    expect(resolveSettings(connectorData, { A_URL: ' http://a ', A_SECRET: '  ' })).toEqual({
      settings: { url: 'http://a', region: '430000' },
      missing: ['A_SECRET'],
    });
  });
});
