import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import type { RawRecord } from '../src/connectors/contract.ts';
import { StopStream } from '../src/errors.ts';
import { compileMapping } from '../src/mapping/compile.ts';
import { loadModel } from '../src/model/load.ts';
import { open, pagesOf } from './fixtures/platform-server.ts';

const folder = mkdtempSync(join(tmpdir(), 'connectors-file-'));
const connector = open({});
const FILE = { kind: 'file', format: 'csv' } as const;
let files = 0;
afterAll(() => rmSync(folder, { recursive: true }));

function written(content: string | Uint8Array): string {
  const path = join(folder, `${(files += 1)}.csv`);
  writeFileSync(path, content);
  return path;
}
const read = async (content: string | Uint8Array) =>
  (await pagesOf(connector, FILE, { file: written(content) })).flatMap((page) => page.records);
const brief = (records: RawRecord[]) => records.map((record) => [record.at, record.broken?.rule ?? record.data]);
/** 宁波 in GB18030, which Node can read but not write. */
const NINGBO = [0xc4, 0xfe, 0xb2, 0xa8];
const bytes = (...parts: (string | number[])[]) => Buffer.concat(parts.map((part) => Buffer.from(part as string)));

describe('a CSV file', () => {
  it('P11 keeps the good neighbours of rows with too many or too few columns', async () => {
    expect(brief(await read('id,name\r\n1,甲\r\n2\r\n3,丙,多\r\n\r\n4,丁\r\n'))).toEqual([
      ['line 2', { id: '1', name: '甲' }],
      ['line 3', 'bad-row'],
      ['line 4', 'bad-row'],
      ['line 6', { id: '4', name: '丁' }],
    ]);
  });

  it('P11 reads cells with commas, quotes and line breaks, and says on which line a row begins', async () => {
    expect(brief(await read('id,name\n1,"a,""b""\nc"\n2,5" pipe\n3, x \n'))).toEqual([
      ['line 2', { id: '1', name: 'a,"b"\nc' }],
      ['line 4', { id: '2', name: '5" pipe' }],
      ['line 5', { id: '3', name: ' x ' }],
    ]);
  });

  it('P11 loses only the row whose quote is never closed', async () => {
    const good = Array.from({ length: 300 }, (_, i) => `${i},x`);
    const records = await read(['id,name', ...good.slice(0, 150), '150,"open', ...good.slice(151)].join('\n'));
    expect(records.filter((record) => record.broken).map((record) => [record.at, record.data])).toEqual([
      ['line 152', { line: '150,"open' }],
    ]);
    expect(records).toHaveLength(300);
    expect(brief(await read('id,name\n1,"open\n2,x\n3,"also\n4,y\n')).map(([, what]) => (what === 'bad-row' ? what : 'row'))).toEqual([
      'bad-row',
      'row',
      'bad-row',
      'row',
    ]);
  });

  it('P5 comes in pages of 500 that leave the cursor of the stream as it was', async () => {
    const path = written(`id\n${Array.from({ length: 1001 }, (_, i) => `${i}`).join('\n')}`);
    const pages = await pagesOf(connector, FILE, { file: path, cursor: { since: '2026-11-21 09:30:15' } });
    expect(pages.map((page) => [page.records.length, page.last])).toEqual([
      [500, false],
      [500, false],
      [1, true],
    ]);
    expect(pages[0]?.cursor).toEqual({ since: '2026-11-21 09:30:15' });
  });

  it('P11 gives every row of a table back whatever its cells hold', async () => {
    const cell = fc.string({ unit: fc.constantFrom('a', '宁', '𠮷', ',', '"', '\n', ' ', '=', '\u0001') });
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(cell, cell), { minLength: 1, maxLength: 8 }), async (rows) => {
        const csv = rows.map((row) => row.map((text) => `"${text.replaceAll('"', '""')}"`).join(',')).join('\n');
        expect((await read(`a,b\n${csv}\n`)).map((record) => [record.data['a'], record.data['b']])).toEqual(rows);
      }),
      { numRuns: 200 },
    );
  });

  it.each([
    ['has no header', ''],
    ['has an empty column name', 'id,,name\n1,2,3\n'],
    ['has a column name twice', 'id,id\n1,2\n'],
    ['has a line without end', `id\n${'x'.repeat(1_100_000)}\n`],
  ])('P11 stops the stream when it %s', async (_, content) => {
    await expect(read(content)).rejects.toBeInstanceOf(StopStream);
  });

  it('P11 stops the stream when it is not there, or when a file stream is read without one', async () => {
    await expect(pagesOf(connector, FILE, { file: join(folder, 'none.csv') })).rejects.toThrow(/file-unreadable: .*ENOENT/);
    await expect(pagesOf(connector, FILE)).rejects.toThrow(/file-required/);
  });
});

describe('the encoding of a file', () => {
  it('is UTF-8 with or without a byte order mark, or GB18030', async () => {
    for (const content of ['\ufeffid,name\n1,宁波\n', 'id,name\n1,宁波\n', bytes('id,name\n1,', NINGBO, '\n')]) {
      expect(brief(await read(content))).toEqual([['line 2', { id: '1', name: '宁波' }]]);
    }
  });

  it('is found although characters lie across the chunks of a long file', async () => {
    const rows = Array.from({ length: 40_000 }, () => bytes('7,', NINGBO, '\n'));
    const records = await read(Buffer.concat([Buffer.from('i,name\n'), ...rows]));
    expect(records).toHaveLength(40_000);
    expect(new Set(records.map((record) => record.data['name']))).toEqual(new Set(['宁波']));
  });

  it('P11 that is none stops the stream and names the byte', async () => {
    await expect(read(bytes('id,name\n1,', NINGBO, [0xff], '\n'))).rejects.toThrow(/第 14 字节/);
    await expect(read(bytes('id\n', [0xc4]))).rejects.toThrow(/第 4 字节/);
    const far = bytes('a'.repeat(70_000), NINGBO, [0xff]);
    await expect(read(far)).rejects.toThrow(/第 70004 字节/);
  });

  it('P11 broken UTF-8 is not read as GB18030, which would turn names into others', async () => {
    await expect(read(bytes('id,name\n1,宁波样例有限公司\n2,', NINGBO, '\n'))).rejects.toThrow(/UTF-8/);
    await expect(read(bytes('\ufeffid\n', NINGBO))).rejects.toThrow(/UTF-8/);
  });
});

describe('the example of Ningbo', () => {
  const model = loadModel(new URL('../schema/', import.meta.url).pathname);
  const ningbo = model.connectors.get('ningbo-market');
  async function mapped(id: string, file: string) {
    const stream = ningbo?.streams.get(id);
    if (stream?.direction !== 'pull') throw new Error(`no stream ${id}`);
    const { map } = compileMapping(model, stream);
    const pages = await pagesOf(connector, stream.via, { file: new URL(`fixtures/${file}`, import.meta.url).pathname });
    return pages.flatMap((page) => page.records.map((record) => map(record.data, '2026-11-21')));
  }

  it('HN-14(1) registrations need no code, only YAML', async () => {
    const records = await mapped('registrations', 'ningbo-market-registrations.csv');
    expect(records.map((record) => record.subject.identifiers[0])).toEqual(
      ['91330206MA2X00019C', '91330203MA2X00027U', '91330281MA2X00035M', '93330212MA2X00043C', '91330205MA2X000519'].map((code) => ({
        scheme: 'uscc',
        code,
      })),
    );
    expect(records.flatMap((record) => record.unknownKeys)).toEqual([]);
    expect(records[1]).toMatchObject({
      region: '330203',
      validFrom: '2020-03-02',
      validTo: null,
      fields: {
        registeredName: '宁波样例乙贸易有限公司',
        registrationStatus: '存续',
        industry: '其他广告服务',
        establishedOn: '2020-03-02',
      },
    });
  });

  it('HN-14(5) abnormal operations come in GB18030 and keep their removal', async () => {
    const records = await mapped('abnormal', 'ningbo-market-abnormal.csv');
    expect(records.flatMap((record) => record.unknownKeys)).toEqual([]);
    expect(records.map((record) => [record.fields['listedOn'], record.fields['removedOn'] ?? null, record.validTo])).toEqual([
      ['2022-06-28', '2023-11-17', '2023-11-17'],
      ['2023-12-25', null, null],
      ['2013-07-01', '2014-04-14', '2014-04-14'],
      ['2009-07-30', '2010-02-07', '2010-02-07'],
      ['2023-09-29', null, null],
    ]);
    expect(records[4]?.subject.name).toBe('宁波样例戊𠮷文化合伙企业');
  });
});
