import { parse } from 'csv-parse/sync';
import { RetryLater, StopStream } from '../errors.ts';
import type { Json } from '../model/types.ts';
import type { OpenOptions, Page, RawRecord } from './contract.ts';
import { encodingOf, textOf } from './encoding.ts';

const PAGE_SIZE = 500;
/** A cell may hold line breaks; a quote that is never closed must not swallow the file. */
const MOST_LINES = 100;
const LONGEST_LINE = 1024 * 1024;

interface Line {
  no: number;
  text: string;
}

/**
 * A CSV file with a header. A row that cannot be read is a broken record `bad-row` with its line, and its neighbours are taken; only a file
 * without a usable header, or of unknown encoding, stops the stream. `cursor` is handed back as it was: a file has no place to go on from.
 */
export async function* pullFile(path: string, cursor: Json | null, options: OpenOptions): AsyncGenerator<Page> {
  const encoding = await encodingOf(path);
  let header: string[] | undefined;
  let records: RawRecord[] = [];
  for await (const row of rowsOf(linesOf(textOf(path, encoding)), () => header?.length)) {
    if (options.signal?.aborted) throw new RetryLater('stopped: 文件读取被停止');
    if (header === undefined) {
      header = checkedHeader(row.cells ?? []);
      continue;
    }
    if (records.length === PAGE_SIZE) {
      yield { records, cursor, last: false };
      records = [];
    }
    records.push(toRecord(header, row));
  }
  if (header === undefined) throw new StopStream('empty-file: 文件没有表头');
  yield { records, cursor, last: true };
}

interface CsvRow {
  no: number;
  text: string;
  /** Undefined: these lines are no row. */
  cells: string[] | undefined;
}

/**
 * A row is a line, or the lines until its quotes are closed. When these lines make no row of the right width, only the first of them is at
 * fault: the others begin anew.
 */
async function* rowsOf(lines: AsyncIterable<Line>, width: () => number | undefined): AsyncGenerator<CsvRow> {
  let open: Line[] = [];
  const settle = function* (atEnd: boolean): Generator<CsvRow> {
    while (open.length > 0) {
      const count = closingLine(open);
      if (count === undefined && open.length < MOST_LINES && !atEnd) return;
      const whole = count === undefined ? undefined : cellsOf(joined(open.slice(0, count)), width());
      const taken = whole === undefined ? 1 : (count ?? 1);
      const text = joined(open.slice(0, taken));
      yield { no: open[0]?.no ?? 0, text, cells: whole ?? cellsOf(text, width()) };
      open = open.slice(taken);
    }
  };
  for await (const line of lines) {
    if (open.length === 0 && line.text.trim() === '') continue;
    open.push(line);
    yield* settle(false);
  }
  yield* settle(true);
}

/** How many of the lines it takes until the number of quotes is even. */
function closingLine(lines: Line[]): number | undefined {
  let quotes = 0;
  for (const [i, line] of lines.entries()) {
    quotes += line.text.split('"').length - 1;
    if (quotes % 2 === 0) return i + 1;
  }
  return undefined;
}

/** Stray quotes are forgiven within one line only: over several, they would make one cell of good rows. */
function cellsOf(text: string, width: number | undefined): string[] | undefined {
  // A parser per row costs more than the row; without quotes there is nothing to parse.
  const cells = text.includes('"') ? quotedCells(text) : text.split(',');
  return width === undefined || cells?.length === width ? cells : undefined;
}

function quotedCells(text: string): string[] | undefined {
  try {
    const rows = parse(text, { relax_column_count: true, relax_quotes: !text.includes('\n') });
    return rows.length === 1 ? rows[0] : undefined;
  } catch {
    return undefined;
  }
}

function joined(lines: Line[]): string {
  return lines.map((line) => line.text).join('\n');
}

async function* linesOf(chunks: AsyncIterable<string>): AsyncGenerator<Line> {
  let no = 0;
  let rest = '';
  for await (const chunk of chunks) {
    const parts = (rest + chunk).split('\n');
    rest = parts.pop() ?? '';
    for (const part of parts) yield lineOf(++no, part);
    lineOf(no + 1, rest);
  }
  if (rest !== '') yield lineOf(++no, rest);
}

function lineOf(no: number, text: string): Line {
  if (text.length > LONGEST_LINE) throw new StopStream(`too-large: 文件第 ${no} 行超过 ${LONGEST_LINE} 个字符`);
  return { no, text: text.replace(/\r$/, '') };
}

function checkedHeader(cells: string[]): string[] {
  const names = cells.map((cell) => cell.trim());
  // Lines that end in CR alone, or UTF-16: the whole file would be one header.
  if (names.some((name) => /[\0\r]/.test(name))) throw new StopStream('bad-header: 表头含有控制字符，换行或编码不符');
  if (names.length === 0 || names.includes('')) throw new StopStream('bad-header: 表头有空的列名');
  if (new Set(names).size < names.length) throw new StopStream('bad-header: 表头有重复的列名');
  return names;
}

function toRecord(header: string[], row: CsvRow): RawRecord {
  const at = `line ${row.no}`;
  if (row.cells) return { at, data: Object.fromEntries(header.map((name, i) => [name, row.cells?.[i] ?? ''])) };
  return { at, data: { line: row.text }, broken: { rule: 'bad-row', message: `该行的列数与表头（${header.length} 列）不符或引号不成对` } };
}
