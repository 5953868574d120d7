/** Push in file mode (GB/T 39443): batch files that are whole or not there, receipt files that are believed when they are whole, and each line in effect once. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { PushItem, PushResult } from '../src/connectors/contract.ts';
import { collectBatches, pushBatch } from '../src/connectors/push-file.ts';
import { findStream } from '../src/model/load.ts';
import { checkPublication } from '../src/model/check-publications.ts';
import type { FilePushVia, PushStream } from '../src/model/types.ts';
import { type BatchTaker, startBatchTaker } from '../src/sandbox/batch-taker.ts';
import { MODEL } from './setup/store.ts';

const STREAM = findStream(MODEL, 'hunan-credit-batches/own-decisions') as PushStream;
const VIA = STREAM.via as FilePushVia;
const OPTIONS = { now: () => new Date('2026-11-24T04:00:00Z'), feedbackWaitMs: 0 };

let folder: string;
let taker: BatchTaker;
let folders: { batches: string; receipts: string };
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'push-file-'));
  taker = await startBatchTaker(folder, { now: OPTIONS.now });
  folders = { batches: join(folder, 'batches'), receipts: join(folder, 'receipts') };
});
afterEach(async () => {
  await taker.stop();
  rmSync(folder, { recursive: true });
});

const item = (key: string, body: PushItem['body'] = {}): PushItem => ({
  key,
  act: key.endsWith('recall') ? 'recall' : 'publish',
  subject: key,
  body: key.endsWith('recall') ? body : { XDRMC: '甲"院",\n一部', TYSHXYDM: '91430104MA4000012W', ...body },
});
const pushed = async (...items: PushItem[]): Promise<PushResult[]> => {
  const results: PushResult[] = [];
  for await (const result of pushBatch(folders, STREAM, items, OPTIONS)) results.push(result);
  return results;
};
const asked = async (draft: string | null, ...keys: string[]): Promise<PushResult[]> => {
  const results: PushResult[] = [];
  const doubtful = keys.map((key) => ({ key, act: 'publish' as const, draft }));
  for await (const result of collectBatches(folders, VIA, doubtful, OPTIONS)) results.push(result);
  return results;
};
const draftOf = (results: readonly PushResult[]): string => results.find(({ draft }) => draft !== undefined)?.draft ?? '';
const outcomes = (results: readonly PushResult[]) => results.map(({ key, outcome }) => `${key} ${outcome}`);
const sha256 = (text: string | Buffer) => createHash('sha256').update(text).digest('hex');
/** A receipt file as the platform would leave it; `control` is what its control file says. */
function answer(name: string, lines: string[], control?: string): void {
  const text = ['XXBH,CLJG,CLYJ,HZBH,CLSJ', ...lines].join('\r\n');
  writeFileSync(join(folders.receipts, `${name}.receipt.csv`), text);
  writeFileSync(join(folders.receipts, `${name}.receipt.sha256`), `${control ?? sha256(text)}  ${name}.receipt.csv\n`);
}

describe('a batch file', () => {
  it('HUB-2 is named before it is written, is whole when its control file stands, and is answered line by line, with the reason of what is refused', async () => {
    const writing = pushBatch(folders, STREAM, [item('1:1'), item('2:1', { TYSHXYDM: '' }), item('1:1:recall', { YXXBH: '9:9' })], OPTIONS);
    const named = (await writing.next()).value as PushResult;
    expect([named.outcome, readdirSync(folders.batches)]).toEqual(['drafted', []]);
    const name = named.draft ?? '';
    expect(name).toMatch(/^YB_SGS_20261124120000_[0-9a-f]{12}$/);
    const rest: PushResult[] = [];
    for await (const result of writing) rest.push(result);
    expect(outcomes(rest)).toEqual(['2:1 drafted', '1:1:recall drafted', '1:1 pending', '2:1 pending', '1:1:recall pending']);
    expect(readdirSync(folders.batches).toSorted()).toEqual([`${name}.csv`, `${name}.sha256`]);
    const bytes = readFileSync(join(folders.batches, `${name}.csv`));
    expect(readFileSync(join(folders.batches, `${name}.sha256`), 'utf8')).toBe(`${sha256(bytes)}  ${name}.csv\n`);
    expect(bytes.toString().split('\r\n')[0]).toBe(
      '"XXBH","XXLB","XDRMC","TYSHXYDM","WSH","NR","JDRQ","JDJG","YYBZ","CXBZ","YXXBH","YHZBH","CXYY","CXRQ","BZSM"',
    );

    expect(outcomes(await asked(name, '1:1'))).toEqual(['1:1 pending']);
    expect(await taker.round()).toBe(1);
    expect(await asked(name, '1:1', '2:1', '1:1:recall')).toEqual([
      { key: '1:1', outcome: 'accepted', receipt: { number: taker.book[0]?.receipt, at: '2026-11-24T04:00:00.000Z' } },
      { key: '2:1', outcome: 'refused', reason: '统一社会信用代码不能为空' },
      { key: '1:1:recall', outcome: 'refused', reason: '被撤回的信息不存在' },
    ]);
    expect(await taker.round()).toBe(0);
  });

  it('P6 a stop at any point before the control file leaves nothing in effect: what was written is taken away, and may be sent again', async () => {
    const writing = pushBatch(folders, STREAM, [item('1:1'), item('2:1')], OPTIONS);
    const name = ((await writing.next()).value as PushResult).draft ?? '';
    await writing.return(undefined);
    expect(outcomes(await asked(null, '1:1'))).toEqual(['1:1 absent']);
    expect(outcomes(await asked(name, '1:1', '2:1'))).toEqual(['1:1 absent', '2:1 absent']);
    for (const ending of ['csv.part', 'csv', 'sha256.part']) {
      writeFileSync(join(folders.batches, `${name}.${ending}`), 'x');
      expect([ending, await taker.round()]).toEqual([ending, 0]);
      expect(outcomes(await asked(name, '1:1'))).toEqual(['1:1 absent']);
      expect(readdirSync(folders.batches)).toEqual([]);
    }
  });

  it('P6 a stop after the control file is found out from the receipt file, and what is sent twice all the same has one effect', async () => {
    const name = draftOf(await pushed(item('1:1')));
    expect(outcomes(await asked(name, '1:1'))).toEqual(['1:1 pending']);
    await pushed(item('1:1'));
    expect(await taker.round()).toBe(2);
    expect(taker.book.map(({ key }) => key)).toEqual(['1:1']);
    // After a restart the platform knows from its receipts what it has taken.
    const again = await startBatchTaker(folder, { now: OPTIONS.now });
    const third = draftOf(await pushed(item('1:1')));
    expect([await again.round(), again.book.length]).toEqual([1, 0]);
    expect(await asked(third, '1:1')).toMatchObject([{ outcome: 'accepted', receipt: { number: taker.book[0]?.receipt } }]);
  });

  it('P6 the control: a platform that does not know a key again does the thing twice', async () => {
    await pushed(item('1:1'));
    await pushed(item('1:1+'));
    await taker.round();
    expect(taker.book).toHaveLength(2);
  });

  it('HUB-2 U24 a receipt file that is not as its control file says is no answer, and a line that is not in it is guessed by nobody', async () => {
    const name = draftOf(await pushed(item('1:1'), item('2:1'), item('3:1')));
    answer(name, ['1:1,1,,PL1,2026-11-24 12:00:01'], sha256('half'));
    expect(outcomes(await asked(name, '1:1'))).toEqual(['1:1 pending']);
    answer(name, ['1:1,1,,PL1,2026-11-24 12:00:01', '2:1,1,,,', '4:1,1,,PL4,2026-11-24 12:00:01']);
    expect(outcomes(await asked(name, '1:1', '2:1', '3:1'))).toEqual(['1:1 accepted', '2:1 unknown', '3:1 unknown']);
  });

  it('HUB-2 what was refused and is sent again stands in another batch, and only that one’s answer counts', async () => {
    const first = draftOf(await pushed(item('1:1', { TYSHXYDM: '' })));
    await taker.round();
    expect(outcomes(await asked(first, '1:1'))).toEqual(['1:1 refused']);
    const second = draftOf(await pushed(item('1:1')));
    expect(second).not.toBe(first);
    expect(outcomes(await asked(second, '1:1'))).toEqual(['1:1 pending']);
    await taker.round();
    expect(outcomes(await asked(second, '1:1'))).toEqual(['1:1 accepted']);
  });

  it('HUB-2 a folder that is not there is not made, and nothing is sent or told of it', async () => {
    folders = { ...folders, batches: join(folder, 'unmounted') };
    await expect(pushed(item('1:1'))).rejects.toThrow(/^folder-unreachable: .*ENOENT/);
    await expect(asked('YB_SGS_1', '1:1')).rejects.toThrow(/^folder-unreachable/);
    expect(readdirSync(folder).toSorted()).toEqual(['batches', 'receipts']);
  });
});

describe('the model', () => {
  it('HUB-2 takes batch files only for a platform that takes a key once, and knows no paths in a folder', () => {
    const said: string[] = [];
    const { publish } = STREAM;
    const bad = { ...publish, acknowledges: { mode: 'none' } as const, recall: { ...publish.recall, path: '/recall' } };
    checkPublication(MODEL, { ...STREAM, publish: bad }, 'p', '', (_, path, reason) => said.push(`${path}: ${reason}`));
    expect(said).toEqual([
      '/publish/recall/path: a front database or a folder has no paths',
      '/publish/acknowledges: a front database, and who reads batch files, takes a key once: keys',
    ]);
  });
});
