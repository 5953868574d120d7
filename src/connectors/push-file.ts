import { createHash, randomBytes } from 'node:crypto';
import { access, open, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Deferred, RetryLater } from '../errors.ts';
import type { BatchAnswer, FilePushVia, Publication, PushStream } from '../model/types.ts';
import { type Doubtful, OPEN_GATE, type OpenOptions, type PushItem, type PushResult } from './contract.ts';
import { pullFile } from './file.ts';
import { instantOf, localTime } from './local-time.ts';
import { said } from './said.ts';
import { fillText } from './template.ts';

const POLL_MS = 100;
const DEFAULT_FEEDBACK_WAIT_MS = 2000;

export interface BatchFolders {
  batches: string;
  receipts: string;
}

export function openFolders(via: FilePushVia, settings: Readonly<Record<string, string>>): BatchFolders {
  return { batches: fillText(via.folder, settings), receipts: fillText(via.feedback.folder, settings) };
}

/**
 * Writes one batch file with a line for each item (GB/T 39443 file mode), then waits shortly for its receipt file. The name of the batch is given first,
 * as `drafted`, so that it is stored before anything is written. A batch is there when its control file is: written aside, flushed and renamed, after
 * the batch itself. What the platform has not answered by then is `pending`. RetryLater: the folder cannot be written; nothing is in effect.
 */
export async function* pushBatch(
  folders: BatchFolders,
  { via, publish }: PushStream,
  items: readonly PushItem[],
  options: OpenOptions,
): AsyncGenerator<PushResult> {
  if (via.kind !== 'file' || items.length === 0) return;
  const name = `${via.prefix}${localTime(options.now()).replaceAll(/\D/g, '')}_${randomBytes(6).toString('hex')}`;
  for (const { key } of items) yield { key, outcome: 'drafted', draft: name };
  const text = csvOf(columnsOf(via, publish), via.key, items);
  await called(options, () => writeBatch(folders.batches, name, text));
  const waiting = new Set(items.map(({ key }) => key));
  const until = performance.now() + (options.feedbackWaitMs ?? DEFAULT_FEEDBACK_WAIT_MS);
  for (;;) {
    const answers = await answersOf(folders.receipts, name, via.feedback, options);
    for (const [key, result] of answers ?? []) if (waiting.delete(key)) yield result;
    if (answers !== undefined || performance.now() >= until || options.signal?.aborted) break;
    await delay(POLL_MS);
  }
  for (const key of waiting) yield { key, outcome: 'pending' };
}

/**
 * What the receipt files say of items written earlier. Without one: `pending` while the batch is in place, `absent` where it is not – it never was whole,
 * since the platform leaves a batch until it has answered. A row that a whole receipt file does not name is `unknown`. RetryLater: no folder to look in.
 */
export async function* collectBatches(
  folders: BatchFolders,
  via: FilePushVia,
  items: readonly Doubtful[],
  options: OpenOptions,
): AsyncGenerator<PushResult> {
  for (const [name, own] of Map.groupBy(items, ({ draft }) => draft)) {
    // In this order: the platform answers before it takes a batch away.
    const isThere = name !== null && (await called(options, () => isWhole(folders.batches, name)));
    const answers = name === null ? undefined : await answersOf(folders.receipts, name, via.feedback, options);
    // Of a writer that may still be at it, nothing becomes whole after this.
    if (name !== null && !isThere && answers === undefined) await called(options, () => discard(folders.batches, name));
    for (const { key } of own) {
      if (answers === undefined) yield { key, outcome: isThere ? 'pending' : 'absent' };
      else yield answers.get(key) ?? { key, outcome: 'unknown', reason: '回执文件未列出该行' };
    }
  }
}

/** Of both acts: a recall is a line of its own. */
function columnsOf({ key }: FilePushVia, { body, recall }: Pick<Publication, 'body' | 'recall'>): string[] {
  return [...new Set([key, ...body.keys(), ...recall.body.keys()])];
}

function csvOf(columns: readonly string[], keyColumn: string, items: readonly PushItem[]): string {
  const cell = (value: unknown) => `"${String(value ?? '').replaceAll('"', '""')}"`;
  const line = (cells: readonly unknown[]) => `${cells.map(cell).join(',')}\r\n`;
  return [columns, ...items.map(({ key, body }) => columns.map((column) => (column === keyColumn ? key : body[column])))]
    .map(line)
    .join('');
}

async function writeBatch(folder: string, name: string, text: string): Promise<void> {
  const bytes = Buffer.from(text);
  await writeWhole(folder, `${name}.csv`, bytes);
  await writeWhole(folder, `${name}.sha256`, Buffer.from(`${sha256(bytes)}  ${name}.csv\n`));
}

/** Whoever looks finds the whole file or none; after a power cut too. */
async function writeWhole(folder: string, name: string, bytes: Uint8Array): Promise<void> {
  const path = join(folder, name);
  const file = await open(`${path}.part`, 'wx');
  try {
    await file.writeFile(bytes);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(`${path}.part`, path);
  const directory = await open(folder, 'r');
  await directory.sync().finally(() => directory.close());
}

async function isWhole(folder: string, name: string): Promise<boolean> {
  await access(folder);
  return exists(join(folder, `${name}.sha256`));
}

async function discard(folder: string, name: string): Promise<void> {
  for (const ending of ['sha256.part', 'csv', 'csv.part']) await rm(join(folder, `${name}.${ending}`), { force: true });
}

/** Key → what became of it; undefined while there is no receipt file whose control file holds. */
async function answersOf(
  folder: string,
  name: string,
  answer: BatchAnswer,
  options: OpenOptions,
): Promise<Map<string, PushResult> | undefined> {
  const path = join(folder, `${name}.receipt.csv`);
  const isThere = await called(options, async () => {
    await access(folder);
    if (!(await exists(join(folder, `${name}.receipt.sha256`))) || !(await exists(path))) return false;
    const control = await readFile(join(folder, `${name}.receipt.sha256`), 'utf8');
    return control.split(/\s/)[0] === sha256(await readFile(path));
  });
  if (!isThere) return undefined;
  const answers = new Map<string, PushResult>();
  for await (const page of pullFile(path, null, options))
    for (const { data, broken } of page.records) for (const result of broken ? [] : resultOf(data, answer)) answers.set(result.key, result);
  return answers;
}

/** Accepted without a number or a time is no answer. */
function resultOf(row: Record<string, unknown>, answer: BatchAnswer): PushResult[] {
  const of = (column: string) => String(row[column] ?? '').trim();
  const key = of(answer.key);
  if (of(answer.result) !== answer.accepted)
    return [{ key, outcome: 'refused', reason: said(of(answer.reason)) || `结果 ${of(answer.result)}` }];
  const [number, at] = [of(answer.receipt), instantOf(of(answer.time))];
  return number !== '' && at !== undefined ? [{ key, outcome: 'accepted', receipt: { number, at } }] : [];
}

/** The folder is the platform: a call that fails is one that the platform did not take. */
async function called<T>(options: OpenOptions, call: () => Promise<T>): Promise<T> {
  return (options.gate ?? OPEN_GATE).pass(async () => {
    try {
      return await call();
    } catch (error) {
      if (error instanceof Deferred || error instanceof RetryLater) throw error;
      const code = typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : 'unknown';
      throw new RetryLater(`folder-unreachable: 交换目录无法读写（${code}）`, { cause: new Error(code) });
    }
  });
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    (error: { code?: string }) => {
      if (error.code === 'ENOENT') return false;
      throw error;
    },
  );
}

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
