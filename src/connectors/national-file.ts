import { RetryLater, StopStream } from '../errors.ts';
import type { CatalogueFile, Json, NationalInsuranceVia } from '../model/types.ts';
import type { Page, RawRecord } from './contract.ts';
import { textAt } from './template.ts';
import { unzipOne } from './unzip.ts';

/** What the platform gives for a catalogue: the output of its transaction, and the file that it names. Refusals are StopStream already. */
export interface Catalogues {
  ask(version: string): Promise<Json>;
  download(query: string, name: string): Promise<Uint8Array>;
}

/** Rows a page; the cursor stays until all rows of a file are stored, so that a stop repeats the file. */
const SIZE = 1000;
const MOST_FILES = 1000;
const FIRST_VERSION = '0';
/** Version 10 comes after version 9. */
const byVersion = new Intl.Collator('en', { numeric: true });

/**
 * Catalogues (1301 and the like), one file after the other until the platform has none newer. RetryLater: a file holds fewer rows than its
 * transaction says, which is never taken for the whole.
 */
export async function* pullFiles(
  catalogues: Catalogues,
  via: NationalInsuranceVia,
  file: CatalogueFile,
  cursor: Json | null,
): AsyncGenerator<Page> {
  const label = `国家医保平台 ${via.infno}`;
  let version = textAt(cursor ?? undefined, 'version') ?? FIRST_VERSION;
  let total = 0;
  for (let files = 0; files < MOST_FILES; files += 1) {
    const output = await catalogues.ask(version);
    const count = countOf(output, file, label);
    if (count === 0) {
      yield { records: [], cursor: version === FIRST_VERSION ? null : { version }, last: true, total };
      return;
    }
    const rows = rowsOf(unzipOne(await catalogues.download(...nameOf(output, file, label)), label), file, label);
    if (rows.length < count) throw new RetryLater(`short-file: ${label} 的文件应有 ${count} 行，实际 ${rows.length} 行`);
    total += rows.length;
    const next = newest(rows, file, version);
    for (let at = 0; at < rows.length; at += SIZE) {
      const whole = at + SIZE >= rows.length;
      yield {
        records: rows.slice(at, at + SIZE),
        cursor: whole ? { version: next } : version === FIRST_VERSION ? null : { version },
        last: whole && next === version,
        total,
      };
    }
    if (next === version) return;
    version = next;
  }
  throw new StopStream(`endless-files: ${label} 一次给出超过 ${MOST_FILES} 个文件，已停止读取`);
}

function countOf(output: Json, file: CatalogueFile, label: string): number {
  const text = textAt(output, file.count) ?? '';
  if (!/^\d{1,9}$/.test(text)) throw new StopStream(`unexpected-shape: ${label} 的应答在 ${file.count} 处没有行数`);
  return Number(text);
}

function nameOf(output: Json, file: CatalogueFile, label: string): [query: string, name: string] {
  const [query, name] = [textAt(output, file.query), textAt(output, file.name)];
  if (!query || !name) throw new StopStream(`unexpected-shape: ${label} 的应答没有文件查询号或文件名`);
  return [query, name];
}

/** Lines of tab-separated texts without a header; a line of nothing is none. */
function rowsOf(parts: readonly Uint8Array[], file: CatalogueFile, label: string): RawRecord[] {
  return textOf(parts, label)
    .split(/\r?\n/)
    .flatMap((line, i) => (line.trim() === '' ? [] : [toRecord(line.split('\t'), file.columns, `${label} line ${i + 1}`)]));
}

function textOf(parts: readonly Uint8Array[], label: string): string {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  try {
    return parts.map((part) => decoder.decode(part, { stream: true })).join('') + decoder.decode();
  } catch {
    throw new StopStream(`bad-encoding: ${label} 的文件不是 UTF-8 编码`);
  }
}

function toRecord(cells: readonly string[], columns: readonly string[], at: string): RawRecord {
  const data = Object.fromEntries(cells.map((cell, i) => [columns[i] ?? `column ${i + 1}`, cell]));
  if (cells.length >= columns.length) return { at, data };
  return { at, data, broken: { rule: 'bad-row', message: `该行应有 ${columns.length} 列，实际 ${cells.length} 列` } };
}

function newest(rows: readonly RawRecord[], file: CatalogueFile, version: string): string {
  let found = version;
  for (const { data } of rows) {
    const told = String(data[file.version] ?? '').trim();
    if (byVersion.compare(told, found) > 0) found = told;
  }
  return found;
}
