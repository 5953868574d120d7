/** WG-9: refused records go back to the national platform as a file through 9101. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { unzipSync } from 'fflate';
import { RetryLater, StopStream } from '../src/errors.ts';
import { runFeedback } from '../src/jobs/feedback.ts';
import { runPull } from '../src/jobs/pull.ts';
import type { Connector } from '../src/model/types.ts';
import { generate } from '../src/sandbox/generate.ts';
import { fileStore } from '../src/sandbox/national-files.ts';
import { type Answer, type Call, objectOf } from '../src/sandbox/server.ts';
import { tifSignature } from '../src/sandbox/tif.ts';
import { storeIssues } from '../src/store/issues.ts';
import { openHub, type TestHub } from './setup/platforms.ts';
import { MODEL, pullStreamOf } from './setup/store.ts';

const NATIONAL = MODEL.connectors.get('national-insurance') as Connector;
const STREAM = { connector: NATIONAL.id, id: 'medical-institutions' };
const SECRET_NUMBER = '430102199001010010';

let hub: TestHub;
let answer: (call: Call, proper: Answer) => Answer;
/** Bodies of all calls of 9101, as they came over the line. */
let calls: Record<string, unknown>[];

beforeAll(async () => {
  hub = await openHub({
    data: generate({ seed: 11, organisations: 40, persons: 120 }),
    answer: async (call, proper) => {
      if (call.path !== '/9101') return proper;
      calls.push(objectOf(objectOf(objectOf(call.body)['input'])['fsUploadIn']));
      return answer(call, proper);
    },
  });
});
afterAll(() => hub.close());
beforeEach(async () => {
  calls = [];
  answer = (_, proper) => proper;
  await hub.pool.query('truncate issue, feedback, run, stream_state, record cascade');
});

const rows = async <R>(text: string) => (await hub.pool.query<R>(text)).rows;
const send = () => runFeedback(hub.jobs, NATIONAL, 'manual');
const refuse = (at: string, place = 'USCC', reason = '代码校验未通过') =>
  hub.jobs.pool.transaction((sql) =>
    storeIssues(sql, hub.jobs.keys, STREAM, 1, [
      { rule: 'bad-identifier', at, place, reason, refused: true, raw: { at, number: SECRET_NUMBER } },
    ]),
  );

/** 9102 as the platform's own people would ask for what was handed in. */
async function handedIn(number: string): Promise<{ name: string; text: string }> {
  const env = hub.sandboxes.env;
  const call = async (infno: string, signNo: string, input: unknown) => {
    const timestamp = String(Math.floor(Date.now() / 1000));
    const institution = env['NATIONAL_INSURANCE_INSTITUTION'] ?? '';
    return fetch(`${env['NATIONAL_INSURANCE_URL']}/${infno}`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        'x-tif-paasid': env['NATIONAL_INSURANCE_PAAS_ID'] ?? '',
        'x-tif-timestamp': timestamp,
        'x-tif-nonce': 'abc123',
        'x-tif-signature': tifSignature(timestamp, env['NATIONAL_INSURANCE_SECRET'] ?? '', 'abc123'),
      },
      body: JSON.stringify({
        infno,
        msgid: `${institution}202611200930150001`,
        mdtrtarea_admvs: '439900',
        recer_sys_code: 'HNXY',
        infver: 'V1.0',
        opter_type: '1',
        opter: 'p01',
        opter_name: '平台人员',
        inf_time: '2026-11-20 09:30:15',
        fixmedins_code: institution,
        sign_no: signNo,
        input,
      }),
    });
  };
  const signed = (await (await call('9001', '', { signIn: { opter_no: 'p01' } })).json()) as {
    output: { signinoutb: { sign_no: string } };
  };
  const input = { fsDownloadIn: { file_qury_no: number, filename: 'x.zip', fixmedins_code: 'plc' } };
  const response = await call('9102', signed.output.signinoutb.sign_no, input);
  const [[name, bytes] = ['', new Uint8Array()]] = Object.entries(unzipSync(new Uint8Array(await response.arrayBuffer())));
  return { name, text: Buffer.from(bytes).toString() };
}

describe('WG-9 refused records of the national platform', () => {
  it('WG-9 go back through 9101: the platform has the file, the hub its number, and nothing of a record is in it', async () => {
    await runPull(hub.jobs, pullStreamOf('national-insurance/medical-institutions'), { trigger: 'manual' });
    await refuse('row 2026-11-20 08:00:00 RID-1');
    const refused = await rows<{ stream: string; at: string; rule: string }>(
      'select stream, at, rule from issue where refused order by id',
    );
    expect(refused.length).toBeGreaterThan(1);
    const [sent, ...more] = (await send()) ?? [];
    expect([sent?.issues, more]).toEqual([refused.length, []]);
    const { name, text } = await handedIn(sent?.number ?? '');
    expect(`${name.replace(/csv$/, 'zip')}`).toBe(sent?.file);
    const lines = text.trimEnd().split('\n');
    expect(lines[0]).toBe('stream,at,place,rule,reason,seen,since');
    expect(lines.slice(1).map((line) => line.slice(1, -1).split('","').slice(0, 4).toSpliced(2, 1))).toEqual(
      refused.map(({ stream, at, rule }) => [stream, at, rule]),
    );
    expect(text).not.toContain(SECRET_NUMBER);
    expect(await rows('select issues, number, kept_until is not null as kept, sent_at is not null as sent from feedback')).toEqual([
      { issues: refused.length, number: sent?.number, kept: true, sent: true },
    ]);
    expect(await rows(`select state, pushed, receipts from run where stream = 'feedback'`)).toEqual([
      { state: 'done', pushed: refused.length, receipts: 1 },
    ]);
  });

  it('WG-9 go back once: what is new makes the next file, what was fixed and came again goes back again, what a person closed never', async () => {
    await refuse('row 1');
    await refuse('row 2');
    await hub.pool.query(`update issue set state = 'dismissed' where at = 'row 2'`);
    expect((await send())?.map((file) => file.issues)).toEqual([1]);
    expect(await send()).toEqual([]);
    await refuse('row 1');
    expect(await send()).toEqual([]);
    await hub.pool.query(`update issue set state = 'fixed' where at = 'row 1'`);
    await refuse('row 1');
    await refuse('row 3');
    expect((await send())?.map((file) => file.issues)).toEqual([2]);
    expect(calls).toHaveLength(2);
  });

  it('WG-9 HN-17 an err_msg is a refusal whatever infcode says: the stream stops, there is no receipt, and the same file is sent again', async () => {
    await refuse('row 1');
    answer = (_, proper) => ({ ...proper, body: { ...objectOf(proper.body), infcode: 0, err_msg: 'FSI-文件服务未授权' } });
    await expect(send()).rejects.toThrow(new StopStream('platform-refused: 国家医保平台 9101 FSI-文件服务未授权'));
    expect(await rows(`select state, receipts from run where stream = 'feedback'`)).toEqual([{ state: 'stopped', receipts: 0 }]);
    expect(await rows('select number, sent_at from feedback')).toEqual([{ number: null, sent_at: null }]);
    await refuse('row 2');
    answer = (_, proper) => proper;
    expect((await send())?.map((file) => file.issues)).toEqual([1, 1]);
    expect(calls[1]).toEqual(calls[0]);
    expect(calls[2]?.['filename']).not.toBe(calls[0]?.['filename']);
  });

  it('P6 an answer that is lost costs no issue and makes no second file: the same name and the same bytes come again', async () => {
    await refuse('row 1');
    answer = (_, proper) => ({ ...proper, wire: 'reset' });
    await expect(send()).rejects.toBeInstanceOf(RetryLater);
    answer = (_, proper) => proper;
    expect(await send()).toHaveLength(1);
    expect(calls[1]).toEqual(calls[0]);
    expect(await rows('select count(*)::int as files, count(number)::int as received from feedback')).toEqual([{ files: 1, received: 1 }]);
  });

  it('WG-9 the platform takes only a ZIP of one file from the institution that calls', async () => {
    const refusals: unknown[] = [];
    await refuse('row 1');
    answer = (_, proper) => ({ ...proper, wire: 'reset' });
    await expect(send()).rejects.toBeInstanceOf(RetryLater);
    answer = (_, proper) => {
      refusals.push(objectOf(proper.body)['err_msg']);
      return proper;
    };
    const broken = (changes: string) => hub.pool.query(`update feedback set ${changes}`);
    await broken(`content = 'no zip'`);
    await expect(send()).rejects.toBeInstanceOf(StopStream);
    await broken(`content = ''`);
    await expect(send()).rejects.toBeInstanceOf(StopStream);
    await broken(`file_name = 'a.csv'`);
    await expect(send()).rejects.toBeInstanceOf(StopStream);
    expect(refusals).toEqual(['FSI-文件内容应为只含一个文件的ZIP包', 'FSI-文件内容不能为空', 'FSI-文件名应以.zip结尾且不超过200个字符']);
    const other = { fsUploadIn: { in: 'eA==', filename: 'a.zip', fixmedins_code: 'H43010000001' } };
    expect(fileStore(() => new Date()).take(other, 'H43010000002')).toBe('FSI-fixmedins_code与报文中的机构编号不一致');
  });

  it('ZM-3.2.3 is in the query log before it leaves, under the officer who answers for it, and two at once send one file', async () => {
    await refuse('=HYPERLINK("x")');
    const sent = await Promise.all([send(), send()]);
    const files = sent.flatMap((one) => one ?? []);
    expect([files.length, calls.length]).toEqual([1, 1]);
    const { text } = await handedIn(files[0]?.number ?? '');
    expect(text).toContain(`"'=HYPERLINK(""x"")"`);
    const logged = await rows<{ body: Buffer }>(
      `select body from query_log where position('national-insurance/feedback'::bytea in body) > 0`,
    );
    expect(logged.length).toBeGreaterThan(0);
    expect(logged.at(-1)?.body.includes(NATIONAL.officer.id)).toBe(true);
  });
});
