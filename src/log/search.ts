import type { Sql } from '../store/sql.ts';
import { decode } from './canonical.ts';
import type { Kind, LogEntry, Outcome } from './entry.ts';

/** What entries are looked for by; each is an index of `query_log`. What is left out is no condition. */
export interface LogFilter {
  person?: string | undefined;
  department?: string | undefined;
  /** Keyed tokens of one subject, any of which an entry holds. */
  subjects?: readonly Buffer[] | undefined;
  purpose?: string | undefined;
  kind?: Kind | undefined;
  outcome?: Outcome | undefined;
  /** Instants, ISO UTC: from (inclusive) and to (exclusive). */
  from?: string | undefined;
  to?: string | undefined;
}

/** The place of an entry in the order of reading: newest first, then by writer and number. */
export interface LogPlace {
  at: string;
  writer: number;
  seq: number;
}

/** An entry as it was logged, with its place in its chain. Read from the hashed bytes, not from the search columns. */
export interface LoggedEntry extends LogPlace {
  /** Hex. */
  hash: string;
  entry: LogEntry;
}

interface Row extends LogPlace {
  body: Buffer;
  hash: Buffer;
}

/** The statement of a search and its values: `limit` entries from the place on, newest first. For {@link searchLog} and the test of its plans. */
export function searchStatement(filter: LogFilter, limit: number, after?: LogPlace): { text: string; values: unknown[] } {
  const values: unknown[] = [];
  const add = (value: unknown): string => `$${values.push(value)}`;
  const parts = ['true'];
  for (const column of ['person', 'department', 'purpose', 'kind', 'outcome'] as const) {
    const value = filter[column];
    if (value !== undefined) parts.push(`${column} = ${add(value)}`);
  }
  if (filter.subjects !== undefined) parts.push(`subjects && ${add(filter.subjects)}::bytea[]`);
  if (filter.from !== undefined) parts.push(`at >= ${add(filter.from)}::timestamptz`);
  if (filter.to !== undefined) parts.push(`at < ${add(filter.to)}::timestamptz`);
  if (after !== undefined) {
    const at = add(after.at);
    // The first condition is what an index can use.
    parts.push(
      `at <= ${at}::timestamptz and (at, writer, seq) < (${at}::timestamptz, ${add(after.writer)}::int, ${add(after.seq)}::bigint)`,
    );
  }
  return {
    text: `select writer, seq, at, body, hash from query_log where ${parts.join(' and ')} order by at desc, writer desc, seq desc limit ${add(limit)}`,
    values,
  };
}

/** Entries that meet every condition, newest first, from the place on. Throws where an entry cannot be read: `log verify` tells which. */
export async function searchLog(sql: Sql, filter: LogFilter, limit: number, after?: LogPlace): Promise<LoggedEntry[]> {
  const { text, values } = searchStatement(filter, limit, after);
  const { rows } = await sql.query<Row>(text, values);
  return rows.map(({ writer, seq, at, body, hash }) => ({ writer, seq, at, hash: hash.toString('hex'), entry: decode(body).entry }));
}

/** Texts of documents by their hex hash, without their literals. */
export async function documentTexts(sql: Sql, hashes: readonly string[]): Promise<Map<string, string>> {
  const { rows } = await sql.query<{ hash: string; text: string }>('select hash, text from log_document where hash = any($1)', [
    [...new Set(hashes)],
  ]);
  return new Map(rows.map((row) => [row.hash, row.text]));
}

/** Where a page of the log ended, as text; the receipts of callers say the same of single entries, so nothing has to be hidden in it. */
export const placeText = ({ at, writer, seq }: LogPlace): string => `${at}~${writer}-${seq}`;

/** Undefined for a text that is no such place. */
export function readPlace(text: string): LogPlace | undefined {
  const parts = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3,6}Z)~(\d{1,9})-(\d{1,15})$/.exec(text);
  if (parts?.[1] === undefined || Number.isNaN(Date.parse(parts[1]))) return undefined;
  return { at: parts[1], writer: Number(parts[2]), seq: Number(parts[3]) };
}
