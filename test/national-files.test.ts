/** Catalogues that the national platform gives as files: 1301 says which and how many rows, 9102 hands out the ZIP. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { zipSync } from 'fflate';
import type { OpenConnector } from '../src/connectors/contract.ts';
import { unzipOne } from '../src/connectors/unzip.ts';
import { RetryLater, StopStream } from '../src/errors.ts';
import type { Json, NationalInsuranceVia } from '../src/model/types.ts';
import { json, open, pagesOf, type Platform, pullStream, startPlatform } from './fixtures/platform-server.ts';

const MB = 1024 * 1024;
const zip = (files: Record<string, string | Uint8Array>): Buffer =>
  Buffer.from(zipSync(Object.fromEntries(Object.entries(files).map(([name, text]) => [name, Buffer.from(text)]))));
const textOf = (parts: Uint8Array[]): string => Buffer.concat(parts).toString();

describe('an archive of one file', () => {
  it('is read whole, deflated or stored', () => {
    const text = '编码\t名称\n'.repeat(20_000);
    expect(textOf(unzipOne(zip({ 'a.txt': text }), 'x'))).toBe(text);
    const stored = Buffer.from(zipSync({ 'a.txt': Buffer.from(text) }, { level: 0 }));
    expect(textOf(unzipOne(stored, 'x'))).toBe(text);
    expect(textOf(unzipOne(zip({ 'a.txt': '' }), 'x'))).toBe('');
  });

  it('P12 with several files, or none, stops the stream', () => {
    expect(() => unzipOne(zip({ 'a.txt': 'a', 'b.txt': 'b' }), 'x')).toThrow(StopStream);
    expect(() => unzipOne(zip({}), 'x')).toThrow(StopStream);
  });

  it('P12 that is a bomb stops the stream long before it is inflated, whatever its headers say', () => {
    const bomb = zip({ 'a.txt': Buffer.alloc(100 * MB) });
    expect(bomb.length).toBeLessThan(MB);
    expect(() => unzipOne(bomb, 'x')).toThrow(/zip-bomb/);
    const lying = Buffer.from(bomb);
    // The uncompressed size in the header of the entry.
    lying.writeUInt32LE(10, 22);
    expect(() => unzipOne(lying, 'x')).toThrow(/zip-bomb/);
  });

  it('P5 that is cut or damaged is asked for again', () => {
    const whole = zip({ 'a.txt': Array.from({ length: 5000 }, (_, i) => `${i}\t${i * 7919}`).join('\n') });
    expect(() => unzipOne(whole.subarray(0, whole.length >> 1), 'x')).toThrow(RetryLater);
    const damaged = Buffer.from(whole);
    damaged.fill(0xff, 60, 400);
    expect(() => unzipOne(damaged, 'x')).toThrow(RetryLater);
  });
});

const VIA: NationalInsuranceVia = {
  kind: 'national-insurance',
  infno: '1301',
  input: { data: { ver: '{version}' } },
  node: '',
  each: undefined,
  file: { query: 'file_qury_no', name: 'filename', count: 'data_cnt', columns: ['CODE', 'NAME', 'VER'], version: 'VER' },
  onBehalf: false,
};

describe('a catalogue of the national platform', () => {
  let platform: Platform;
  let connector: OpenConnector;
  /** Version asked for → the count that is told and the file. */
  let files: Map<string, { count: number; file: Buffer | Json }>;
  let asked: string[];

  beforeEach(async () => {
    files = new Map();
    asked = [];
    platform = await startPlatform((call, response) => {
      const head = { infcode: 0, err_msg: '' };
      if (call.path === '/9001') return json(response, { ...head, output: { signinoutb: { sign_no: 'S1' } } });
      const input = call.body['input'] as Record<string, Record<string, string>>;
      if (call.path === '/1301') {
        const version = input['data']?.['ver'] ?? '';
        asked.push(version);
        const count = files.get(version)?.count ?? 0;
        return json(response, { ...head, output: { file_qury_no: count ? version : '', filename: 'a.zip', data_cnt: count } });
      }
      expect(input['fsDownloadIn']).toMatchObject({ filename: 'a.zip', fixmedins_code: 'plc' });
      const file = files.get(input['fsDownloadIn']?.['file_qury_no'] ?? '')?.file ?? null;
      if (!Buffer.isBuffer(file)) return json(response, file);
      return void response.writeHead(200, { 'content-type': 'text/plain' }).end(file);
    });
    // As long as a busy machine needs for fifty megabytes.
    connector = open(
      { url: platform.url, paasId: 'hub', secret: 'made-up', institution: 'H43010200001', region: '430199' },
      { timeoutMs: 15_000 },
    );
  });
  afterEach(async () => {
    await connector.close();
    await platform.close();
  });

  it('HN-16 comes file by file until the platform has none newer, and the next run asks after the last', async () => {
    files.set('0', { count: 2, file: zip({ 'a.txt': 'A\t甲\t9\r\nB\t乙\t10\n\n' }) });
    files.set('10', { count: 1, file: zip({ 'a.txt': 'C\t丙\t11' }) });
    const pages = await pagesOf(connector, VIA);
    expect(asked).toEqual(['0', '10', '11']);
    expect(pages.flatMap((page) => page.records.map((record) => record.data))).toEqual([
      { CODE: 'A', NAME: '甲', VER: '9' },
      { CODE: 'B', NAME: '乙', VER: '10' },
      { CODE: 'C', NAME: '丙', VER: '11' },
    ]);
    expect(pages.map((page) => [page.cursor, page.last])).toEqual([
      [{ version: '10' }, false],
      [{ version: '11' }, false],
      [{ version: '11' }, true],
    ]);
    asked = [];
    expect((await pagesOf(connector, VIA, { cursor: pages.at(-1)?.cursor ?? null })).flatMap((page) => page.records)).toEqual([]);
    expect(asked).toEqual(['11']);
  });

  it('P5 is never taken in part: with fewer rows than the platform says it is asked for again, and nothing of it is given', async () => {
    files.set('0', { count: 3, file: zip({ 'a.txt': 'A\t甲\t1\nB\t乙\t1\n' }) });
    const read = connector.pull(pullStream(VIA), { cursor: null })[Symbol.asyncIterator]();
    await expect(read.next()).rejects.toThrow(/short-file/);
    await expect(pagesOf(connector, VIA)).rejects.toBeInstanceOf(RetryLater);
  });

  it('P5 moves its cursor only with the last rows of a file', async () => {
    files.set('0', { count: 2500, file: zip({ 'a.txt': Array.from({ length: 2500 }, (_, i) => `C${i}\t名${i}\t1`).join('\n') }) });
    const pages = await pagesOf(connector, VIA);
    expect(pages.map((page) => [page.records.length, page.cursor])).toEqual([
      [1000, null],
      [1000, null],
      [500, { version: '1' }],
      [0, { version: '1' }],
    ]);
  });

  it('P11 with a row too short has that row refused; a further column is a key that nobody knows', async () => {
    files.set('0', { count: 2, file: zip({ 'a.txt': 'A\t甲\nB\t乙\t1\t新\n' }) });
    const [page] = await pagesOf(connector, VIA);
    expect(page?.records[0]?.broken?.rule).toBe('bad-row');
    expect(page?.records[1]?.data).toEqual({ CODE: 'B', NAME: '乙', VER: '1', 'column 4': '新' });
  });

  it('P18 takes an error text with infcode 0 for the error it is', async () => {
    files.set('0', { count: 1, file: { infcode: 0, err_msg: 'FSI-文件查询号不能为空', output: null } });
    await expect(pagesOf(connector, VIA)).rejects.toThrow(/platform-refused: 国家医保平台 9102 FSI-文件查询号不能为空/);
  });

  it.each([
    ['JSON where the file should be', { infcode: 0, err_msg: '', output: {} }, StopStream],
    ['a busy file service', { infcode: -1, err_msg: '系统繁忙，请稍后再试' }, RetryLater],
    ['a gateway’s own answer', { code: 999, msg: 'offline' }, RetryLater],
    ['a file in GB18030', zip({ 'a.txt': Buffer.from([0xbc, 0xd7, 0x09, 0xd2, 0xd2, 0x09, 0x31]) }), StopStream],
    ['a file that is cut', zip({ 'a.txt': 'A\t甲\t1\n'.repeat(999) }).subarray(0, 60), RetryLater],
  ])('P18 %s is a typed error', async (_, file, type) => {
    files.set('0', { count: 1, file });
    await expect(pagesOf(connector, VIA)).rejects.toBeInstanceOf(type);
  });

  it('P12 that is larger than 50 MB stops the stream', async () => {
    files.set('0', { count: 1, file: Buffer.concat([zip({ 'a.txt': 'A\t甲\t1\n' }), Buffer.alloc(51 * MB)]) });
    await expect(pagesOf(connector, VIA)).rejects.toThrow(/too-large.*50 MB/);
  }, 20_000);

  it('P5 ends when the platform gives the same file again for ever', async () => {
    const same = { count: 1, file: zip({ 'a.txt': 'A\t甲\t1\n' }) };
    for (const version of ['0', '1']) files.set(version, same);
    expect(await pagesOf(connector, VIA)).toHaveLength(2);
  });
});
