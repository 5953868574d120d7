import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from '@jest/globals';
import type { Page, Refusal } from '../src/connectors/contract.ts';
import { pullFolder } from '../src/connectors/folder.ts';
import { RetryLater, StopStream } from '../src/errors.ts';
import type { Json } from '../src/model/types.ts';

const root = mkdtempSync(join(tmpdir(), 'connectors-folder-'));
afterAll(() => rmSync(root, { recursive: true }));
let places = 0;

interface Place {
  folder: string;
  feedback: string;
  put(name: string, content: string): void;
  /** A run from `cursor` to its end, or to the page `stopAfter`; every page is taken, and `refused` of it reported. */
  run(
    cursor: Json | null,
    options?: { stopAfter?: number; refused?: (page: Page) => Refusal[] },
  ): Promise<{ pages: Page[]; cursor: Json | null }>;
}

function place(): Place {
  const folder = join(root, String((places += 1)));
  const feedback = join(folder, 'feedback');
  mkdirSync(folder);
  return {
    folder,
    feedback,
    put: (name, content) => writeFileSync(join(folder, name), content),
    async run(cursor, { stopAfter = Infinity, refused = () => [] } = {}) {
      const drop = { folder: '{folder}', prefix: 'YJ_', feedback: { folder: '{feedback}', key: 'id' } };
      const pages: Page[] = [];
      let at = cursor;
      for await (const page of pullFolder(drop, { folder, feedback }, cursor, { now: () => new Date() })) {
        pages.push(page);
        at = page.cursor;
        await page.ack?.(refused(page));
        if (pages.length === stopAfter) break;
      }
      return { pages, cursor: at };
    },
  };
}

const rowsOf = (pages: Page[]): unknown[] =>
  pages.flatMap((page) => page.records.map((record) => `${record.at}: ${String(record.data['id'])}`));
const packet = (...ids: string[]): string => ['id,name', ...ids.map((id) => `${id},甲`)].join('\n');
const many = (from: number, count: number): string => packet(...Array.from({ length: count }, (_, i) => String(from + i)));

describe('a drop folder', () => {
  it('P5 gives packets in the order of their names, each row with packet and line, and nothing twice', async () => {
    const { put, run } = place();
    put('YJ_2.csv', packet('3'));
    put('YJ_1.csv', packet('1', '2'));
    put('FY_1.csv', packet('other stream'));
    put('YJ_3.csv.part', packet('not whole yet'));
    const first = await run(null);
    expect(rowsOf(first.pages)).toEqual(['YJ_1.csv line 2: 1', 'YJ_1.csv line 3: 2', 'YJ_2.csv line 2: 3']);
    expect(first.pages.map((page) => page.last)).toEqual([false, true]);
    const again = await run(first.cursor);
    expect([rowsOf(again.pages), again.cursor]).toEqual([[], first.cursor]);
    put('YJ_3.csv', packet('4'));
    expect(rowsOf((await run(first.cursor)).pages)).toEqual(['YJ_3.csv line 2: 4']);
  });

  it('P5 goes on inside a packet where a run stopped', async () => {
    const { put, run } = place();
    put('YJ_1.csv', many(1, 1100));
    put('YJ_2.csv', packet('last'));
    const first = await run(null, { stopAfter: 2 });
    expect(rowsOf(first.pages)).toHaveLength(1000);
    const rest = rowsOf((await run(first.cursor)).pages);
    expect([rest.length, rest[0], rest.at(-1)]).toEqual([101, 'YJ_1.csv line 1002: 1001', 'YJ_2.csv line 2: last']);
  });

  it('lets the sender clear away what was read, and waits in an empty folder', async () => {
    const { folder, put, run } = place();
    expect((await run(null)).pages.map((page) => [page.records.length, page.last])).toEqual([[0, true]]);
    for (const n of [1, 2]) put(`YJ_${n}.csv`, packet(String(n)));
    const { cursor } = await run(null);
    for (const n of [1, 2]) rmSync(join(folder, `YJ_${n}.csv`));
    put('YJ_3.csv', packet('3'));
    expect(rowsOf((await run(cursor)).pages)).toEqual(['YJ_3.csv line 2: 3']);
  });

  it.each<[string, (at: Place) => void, string]>([
    ['a packet that was read has another content', ({ put }) => put('YJ_2.csv', packet('2', '2b')), 'changed-packet'],
    ['a packet has come in before those that were read', ({ put }) => put('YJ_11.csv', packet('late')), 'late-packet'],
  ])('P11 stops when %s', async (_name, change, code) => {
    const at = place();
    at.put('YJ_1.csv', packet('1'));
    at.put('YJ_2.csv', packet('2'));
    const { cursor } = await at.run(null);
    change(at);
    await expect(at.run(cursor)).rejects.toThrow(StopStream);
    await expect(at.run(cursor)).rejects.toThrow(code);
  });

  it('P11 stops when a packet goes before it was read to its end', async () => {
    const { folder, put, run } = place();
    put('YJ_1.csv', many(1, 600));
    const { cursor } = await run(null, { stopAfter: 1 });
    rmSync(join(folder, 'YJ_1.csv'));
    await expect(run(cursor)).rejects.toThrow('missing-packet');
  });

  it('stops at a packet that cannot be read, and does not pass it over', async () => {
    const { put, run } = place();
    put('YJ_1.csv', packet('1'));
    put('YJ_2.csv', 'id,id\n1,2\n');
    const { cursor } = await run(null, { stopAfter: 1 });
    await expect(run(cursor)).rejects.toThrow('bad-header');
    await expect(run({ name: 'YJ_1.csv' })).rejects.toThrow('bad-cursor');
  });

  it('tries again later while the folder is away', async () => {
    const { folder, run } = place();
    rmSync(folder, { recursive: true });
    await expect(run(null)).rejects.toThrow(RetryLater);
  });
});

describe('GB/T 39443 the feedback of a drop folder', () => {
  const refuse =
    (...ids: string[]) =>
    (page: Page): Refusal[] =>
      page.records
        .filter((record) => ids.includes(String(record.data['id'])))
        .map(({ at }) => ({ at, rule: 'required', reason: '列「name」必填项为空' }));

  it('tells for each packet the line, key, rule and reason of what was refused, and nothing else of the row', async () => {
    const { feedback, put, run } = place();
    put('YJ_1.csv', packet('1', '2'));
    put('YJ_2.csv', packet('=3'));
    await run(null, { refused: refuse('2', '=3') });
    expect(readdirSync(feedback).toSorted()).toEqual(['YJ_1.feedback.csv', 'YJ_2.feedback.csv']);
    expect(readFileSync(join(feedback, 'YJ_1.feedback.csv'), 'utf8')).toBe(
      'line,key,rule,reason\n"3","2","required","列「name」必填项为空"\n',
    );
    // A key that a spreadsheet would run as a formula stays a text.
    expect(readFileSync(join(feedback, 'YJ_2.feedback.csv'), 'utf8')).toContain(`"2","'=3",`);
  });

  it('has an empty answer for a packet without refusals, and leaves the packets as they are', async () => {
    const { folder, feedback, put, run } = place();
    put('YJ_1.csv', packet('1'));
    await run(null);
    expect(readFileSync(join(feedback, 'YJ_1.feedback.csv'), 'utf8')).toBe('line,key,rule,reason\n');
    expect(readFileSync(join(folder, 'YJ_1.csv'), 'utf8')).toBe(packet('1'));
  });

  it('grows with every page of a packet, and begins anew when the packet is read again', async () => {
    const { feedback, put, run } = place();
    put('YJ_1.csv', many(1, 700));
    for (let i = 0; i < 2; i++) await run(null, { refused: refuse('5', '600') });
    expect(readFileSync(join(feedback, 'YJ_1.feedback.csv'), 'utf8').match(/^"\d+"/gm)).toEqual(['"6"', '"601"']);
  });
});
