import { createHash } from 'node:crypto';
import { appendFile, mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { RetryLater, StopStream } from '../errors.ts';
import type { DropFolder, Json } from '../model/types.ts';
import type { OpenOptions, Page, Refusal } from './contract.ts';
import { csvLine } from './feedback-file.ts';
import { pullFile } from './file.ts';

/** The last packet that was read, or of which `pages` pages were. `before`: how many packets stood before it in the order of names. */
interface Position {
  name: string;
  size: number;
  sha256: string;
  pages: number;
  done: boolean;
  before: number;
}

/**
 * The packets of a drop folder (GB/T 39443 file mode), in the order of their names, each from its header to its end. Nothing in the folder is
 * moved or changed: the cursor says which packet was last, with its size and hash. The sender MUST write a packet under another name, rename
 * it when it is whole, and name it after those it has sent before.
 * RetryLater: the folder cannot be read now. StopStream: a packet that was read has another content now, or one came in before the last one
 * read – either way records would be missed without a word.
 */
export async function* pullFolder(
  drop: DropFolder,
  settings: { folder: string; feedback: string },
  cursor: Json | null,
  options: OpenOptions,
): AsyncGenerator<Page> {
  const names = await packetsOf(settings.folder, drop.prefix);
  const last = positionFrom(cursor);
  if (last !== undefined) await checkLast(settings.folder, names, last);
  const open = names.filter((name) => last === undefined || name > last.name || (name === last.name && !last.done));
  if (open.length === 0) yield { records: [], cursor, last: true };
  for (const name of open) {
    const path = join(settings.folder, name);
    const seal = await sealOf(path);
    const before = names.indexOf(name);
    const skip = name === last?.name ? last.pages : 0;
    let pages = 0;
    for await (const page of pullFile(path, null, options)) {
      pages += 1;
      if (pages <= skip) continue;
      const records = page.records.map((record) => ({ ...record, at: `${name} ${record.at}` }));
      const keys = new Map(records.map((record) => [record.at, drop.feedback ? String(record.data[drop.feedback.key] ?? '') : '']));
      const first = pages === 1;
      const position: Json = { name, ...seal, pages, done: page.last, before };
      const ack =
        drop.feedback &&
        ((refused: readonly Refusal[] = []) => writeFeedback(settings.feedback, name, first, refused, (at) => keys.get(at) ?? ''));
      yield { records, cursor: position, last: page.last && name === open.at(-1), ...(ack ? { ack } : {}) };
    }
  }
}

/** Packets in the order of UTF-16 code units; a name that does not end in .csv is not yet, or not, a packet. */
async function packetsOf(folder: string, prefix: string): Promise<string[]> {
  try {
    return (await readdir(folder)).filter((name) => name.startsWith(prefix) && name.endsWith('.csv')).toSorted();
  } catch (error) {
    throw new RetryLater(`folder-unreachable: 交换目录无法读取（${codeOf(error)}）`, { cause: new Error(codeOf(error)) });
  }
}

async function sealOf(path: string): Promise<{ size: number; sha256: string }> {
  try {
    const bytes = await readFile(path);
    return { size: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') };
  } catch (error) {
    throw new RetryLater(`file-unreadable: 数据包无法读取（${codeOf(error)}）`, { cause: new Error(codeOf(error)) });
  }
}

/** The sender may clear packets away; what it may not do is to change one or to add one where nobody looks again. */
async function checkLast(folder: string, names: string[], last: Position): Promise<void> {
  if (names.filter((name) => name < last.name).length > last.before)
    throw new StopStream(`late-packet: 在已读取的数据包 ${last.name} 之前出现了新的数据包，请改名后重新投放`);
  if (!names.includes(last.name)) {
    if (last.done) return;
    throw new StopStream(`missing-packet: 数据包 ${last.name} 尚未读完即被移走`);
  }
  const { size, sha256 } = await sealOf(join(folder, last.name));
  if (size !== last.size || sha256 !== last.sha256)
    throw new StopStream(`changed-packet: 已读取的数据包 ${last.name} 内容被改动，请以新的文件名重新投放`);
}

/**
 * `PACKET.feedback.csv`: one line for each refused row, without any value of it. It appears with the first page, so that a packet without
 * refusals has its answer too. A crash between commit and feedback leaves lines out; the issues of the hub are complete.
 */
async function writeFeedback(
  folder: string,
  packet: string,
  first: boolean,
  refused: readonly Refusal[],
  keyOf: (at: string) => string,
): Promise<void> {
  const path = join(folder, `${packet.replace(/\.csv$/, '')}.feedback.csv`);
  const lines = refused.map(({ at, rule, reason }) => csvLine([at.replace(/^.* line /, ''), keyOf(at), rule, reason]));
  const text = [...(first ? ['line,key,rule,reason\n'] : []), ...lines].join('');
  try {
    await mkdir(folder, { recursive: true });
    if (!first) return await appendFile(path, text);
    await writeFile(`${path}.tmp`, text);
    await rename(`${path}.tmp`, path);
  } catch (error) {
    throw new RetryLater(`feedback-unwritable: 反馈文件无法写入（${codeOf(error)}）`, { cause: new Error(codeOf(error)) });
  }
}

function positionFrom(cursor: Json | null): Position | undefined {
  if (cursor === null) return undefined;
  const { name, size, sha256, pages, done, before } = typeof cursor === 'object' && !Array.isArray(cursor) ? cursor : {};
  const numbers = typeof size === 'number' && typeof pages === 'number' && typeof before === 'number';
  if (typeof name !== 'string' || typeof sha256 !== 'string' || typeof done !== 'boolean' || !numbers)
    throw new StopStream('bad-cursor: 交换目录的游标无法识别');
  return { name, size, sha256, pages, done, before };
}

function codeOf(error: unknown): string {
  return typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : 'unknown';
}
