import type { Sql } from '../store/sql.ts';
import type { Checkpoint, SealedHead } from './checkpoint.ts';
import { decodeCheckpoint } from './checkpoint.ts';
import { merkleRoot } from './merkle.ts';
import { boundsOf, nextMonth } from './months.ts';
import type { SealOptions } from './seal.ts';
import { lastCheckpoint, storeCheckpoint } from './seal.ts';

/** Entries are refused when they reach the server a minute after their instant (session.ts), and a commit takes seconds: by then a month is complete. */
const SETTLED_MS = 5 * 60_000;

/**
 * Closes every month (UTC) that is over and not closed yet, oldest first: one checkpoint each that says where every chain stood at its end. Call it
 * when all that is committed is sealed. Returns the months that it closed.
 */
export async function closeMonths(sql: Sql, options: SealOptions): Promise<string[]> {
  const closed: string[] = [];
  for (;;) {
    const month = await sql.transaction((tx) => closeNext(tx, options));
    if (month === undefined) return closed;
    closed.push(month);
  }
}

async function closeNext(sql: Sql, { signer, suite }: SealOptions): Promise<string | undefined> {
  const { last, now } = await lastCheckpoint(sql);
  const before = await latestClosing(sql);
  const month = before === undefined ? await firstMonth(sql) : nextMonth(before.month!);
  if (month === undefined || boundsOf(month).end.getTime() + SETTLED_MS > now) return undefined;
  const heads = await headsAt(sql, month, before?.heads ?? []);
  await storeCheckpoint(
    sql,
    {
      suite,
      kind: 'close',
      month,
      n: last.n + 1,
      prev: last.hash,
      at: new Date(Math.max(now, last.at)),
      rows: 0,
      root: merkleRoot(suite, []),
      heads,
    },
    signer,
  );
  return month;
}

async function latestClosing(sql: Sql): Promise<Checkpoint | undefined> {
  const { rows } = await sql.query<{ body: Buffer }>('select body from log_checkpoint where month is not null order by month desc limit 1');
  return rows[0] && decodeCheckpoint(rows[0].body);
}

async function firstMonth(sql: Sql): Promise<string | undefined> {
  const { rows } = await sql.query<{ at: string | null }>('select min(at) as at from query_log');
  return rows[0]?.at?.slice(0, 7);
}

/** Where every chain stood at the end of a month: as at the end of the month before, but for those with entries in it. */
async function headsAt(sql: Sql, month: string, before: readonly SealedHead[]): Promise<SealedHead[]> {
  const { start, end } = boundsOf(month);
  const { rows } = await sql.query<{ writer: number; seq: number; hash: Buffer }>(
    `select s.writer, q.seq, q.hash from log_sealed as s cross join lateral (
       select seq, hash from query_log where writer = s.writer and seq <= s.seq and at >= $1 and at < $2 order by seq desc limit 1) as q`,
    [start.toISOString(), end.toISOString()],
  );
  const heads = new Map(before.map((head) => [head.writer, head]));
  for (const { writer, seq, hash } of rows) heads.set(writer, { writer, from: seq, seq, hash });
  return [...heads.values()].sort((a, b) => a.writer - b.writer);
}
