import type { Sql } from '../store/sql.ts';
import { decode } from './canonical.ts';
import type { LogEntry } from './entry.ts';

/** An entry with its place in the log. */
export interface Placed {
  writer: number;
  seq: number;
  at: Date;
  entry: LogEntry;
}

/** The entries of a time, oldest first, from `from` to before `to` (instants, ISO 8601), a batch at a time so that a year does not fill the memory. */
export async function* entriesBetween(sql: Sql, from: string, to: string, batch = 1000): AsyncGenerator<Placed> {
  let after: readonly [string, number, number] = [from, -1, -1];
  for (;;) {
    const { rows } = await sql.query<{ at: string; writer: number; seq: number; body: Buffer }>(
      `select at, writer, seq, body from query_log
       where at >= $1::timestamptz and at < $4::timestamptz and (at, writer, seq) > ($1::timestamptz, $2, $3) order by at, writer, seq limit $5`,
      [...after, to, batch],
    );
    for (const { writer, seq, body } of rows) yield { writer, seq, ...decode(body) };
    const last = rows.at(-1);
    if (last === undefined || rows.length < batch) return;
    after = [last.at, last.writer, last.seq];
  }
}

/** The texts of documents by their hash; one that is not kept is left out. */
export async function documentTexts(sql: Sql, hashes: readonly string[]): Promise<Map<string, string>> {
  const { rows } = await sql.query<{ hash: string; text: string }>('select hash, text from log_document where hash = any($1)', [hashes]);
  return new Map(rows.map(({ hash, text }) => [hash, text]));
}
