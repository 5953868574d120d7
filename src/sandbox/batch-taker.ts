import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { shanghai } from './times.ts';

/** What a line of a batch did, in the order in which it happened: the platform's own book, which only its owner reads. */
export interface BatchEffect {
  key: string;
  batch: string;
  recall: boolean;
  receipt: string;
  row: Readonly<Record<string, string>>;
}

export interface BatchTaker {
  env: Record<string, string>;
  book: readonly BatchEffect[];
  /** Takes what is whole and not answered yet; resolves with the number of batches. */
  round(): Promise<number>;
  stop(): Promise<void>;
}

/**
 * File mode of GB/T 39443, the platform's side: takes each batch of `folder/batches` that is as its control file says, each key once in however many
 * batches, and answers with a receipt file in `folder/receipts`, line by line. A batch stays where it is. What it took before a restart stands in its
 * receipts. A line without a unified code, or that takes back what is not there, is refused.
 */
export async function startBatchTaker(
  folder: string,
  options: { everyMs?: number; now?: () => Date; onError?: (error: unknown) => void },
): Promise<BatchTaker> {
  const [batches, receipts] = [join(folder, 'batches'), join(folder, 'receipts')];
  await Promise.all([batches, receipts].map((one) => mkdir(one, { recursive: true })));
  const book: BatchEffect[] = [];
  const taken = new Map<string, string>();
  for (const name of (await readdir(receipts)).filter((one) => one.endsWith('.receipt.csv')))
    for (const row of rowsOf(await readFile(join(receipts, name), 'utf8')))
      if (row['CLJG'] === '1') taken.set(row['XXBH'] ?? '', row['HZBH'] ?? '');

  function take(row: Record<string, string>, batch: string): { receipt: string; reason: string } {
    const key = row['XXBH'] ?? '';
    const known = taken.get(key);
    if (known !== undefined) return { receipt: known, reason: '' };
    const recall = (row['YXXBH'] ?? '') !== '';
    if (recall && !taken.has(row['YXXBH'] ?? '')) return { receipt: '', reason: '被撤回的信息不存在' };
    if (!recall && (row['TYSHXYDM'] ?? '') === '') return { receipt: '', reason: '统一社会信用代码不能为空' };
    const receipt = `PL${sha256(key).slice(0, 18).toUpperCase()}`;
    taken.set(key, receipt);
    book.push({ key, batch, recall, receipt, row });
    return { receipt, reason: '' };
  }

  async function round(): Promise<number> {
    const answered = new Set(await readdir(receipts));
    const names = (await readdir(batches)).filter((one) => one.endsWith('.sha256')).map((one) => one.slice(0, -'.sha256'.length));
    const open = names.filter((name) => !answered.has(`${name}.receipt.sha256`)).toSorted();
    let done = 0;
    for (const name of open) {
      const text = await readFile(join(batches, `${name}.csv`), 'utf8').catch(() => undefined);
      const control = await readFile(join(batches, `${name}.sha256`), 'utf8');
      if (text === undefined || control.split(/\s/)[0] !== sha256(text)) continue;
      const at = shanghai((options.now ?? (() => new Date()))());
      const lines = rowsOf(text).map((row) => {
        const { receipt, reason } = take(row, name);
        return [row['XXBH'] ?? '', reason === '' ? '1' : '2', reason, receipt, at];
      });
      const answer = [['XXBH', 'CLJG', 'CLYJ', 'HZBH', 'CLSJ'], ...lines].map((cells) => `${cells.join(',')}\r\n`).join('');
      await put(join(receipts, `${name}.receipt.csv`), answer);
      await put(join(receipts, `${name}.receipt.sha256`), `${sha256(answer)}  ${name}.receipt.csv\n`);
      done += 1;
    }
    return done;
  }

  let busy: Promise<unknown> = Promise.resolve();
  const timer =
    options.everyMs === undefined
      ? undefined
      : setInterval(() => {
          busy = busy.then(round).catch((error: unknown) => options.onError?.(error));
        }, options.everyMs);
  return {
    env: { HUNAN_CREDIT_BATCH_FOLDER: batches, HUNAN_CREDIT_RECEIPT_FOLDER: receipts },
    book,
    round,
    async stop() {
      clearInterval(timer);
      await busy;
    },
  };
}

async function put(path: string, text: string): Promise<void> {
  await writeFile(`${path}.part`, text);
  await rename(`${path}.part`, path);
}

/** Rows of a CSV, quoted or not, by their header. */
function rowsOf(text: string): Record<string, string>[] {
  const lines = text.matchAll(/(?:"(?:[^"]|"")*"|[^"\r\n])+/g);
  const cells = [...lines].map(([line]) =>
    [...line.matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^,]*))/g)].map(([, quoted, plain]) => quoted?.replaceAll('""', '"') ?? plain ?? ''),
  );
  const [header = [], ...rows] = cells;
  return rows.map((row) => Object.fromEntries(header.map((name, i) => [name, row[i] ?? ''])));
}

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
