import { transactionOf } from './repeat.ts';
import { advance, type Run } from './runs.ts';
import type { Pool, Sql } from './sql.ts';

/** What a provider is told of a refused record (WG-9): where it is, and why it was refused. No value of it. */
export interface ReturnedIssue {
  id: number;
  stream: string;
  at: string;
  place: string;
  rule: string;
  reason: string;
  seen: number;
  createdAt: string;
}

/** A file of refused records that has not been received yet. */
export interface Feedback {
  id: number;
  name: string;
  content: Buffer;
  issues: number;
}

/** Refused records of a connector's streams that are still wrong and were not yet in a file, the oldest first. */
export async function unreturnedIssues(sql: Sql, connector: string, most: number): Promise<ReturnedIssue[]> {
  const { rows } = await sql.query<ReturnedIssue>(
    `select id, stream, at, place, rule, reason, seen, created_at as "createdAt" from issue
     where connector = $1 and refused and state = 'open' and feedback_id is null order by id limit $2 for update`,
    [connector, most],
  );
  return rows;
}

/** Makes the next file, with at most `most` issues; false when there is none to make. From then on these issues are in that file and in no other. */
export async function prepareFeedback(
  pool: Pool,
  connector: string,
  most: number,
  pack: (issues: readonly ReturnedIssue[]) => { name: string; content: Uint8Array },
): Promise<boolean> {
  return transactionOf(pool, async (sql) => {
    const issues = await unreturnedIssues(sql, connector, most);
    if (issues.length === 0) return false;
    const { name, content } = pack(issues);
    await sql.query(
      `with made as (insert into feedback (connector, file_name, content, issues) values ($1, $2, $3, cardinality($4::bigint[])) returning id)
       update issue set feedback_id = made.id from made where issue.id = any($4)`,
      [connector, name, Buffer.from(content), issues.map((issue) => issue.id)],
    );
    return true;
  });
}

/** The oldest file without a receipt. */
export async function waitingFeedback(sql: Sql, connector: string): Promise<Feedback | undefined> {
  const { rows } = await sql.query<Feedback>(
    'select id, file_name as name, content, issues from feedback where connector = $1 and number is null order by id limit 1',
    [connector],
  );
  return rows[0];
}

/** Keeps the receipt of a file with the count of the run, held by the run's fence. */
export async function keepReceipt(pool: Pool, run: Run, file: Feedback, receipt: { number: string; keptUntil: string }): Promise<void> {
  await pool.transaction(async (sql) => {
    await advance(sql, run, undefined, { pages: 1, pushed: file.issues, receipts: 1 });
    await sql.query('update feedback set number = $2, kept_until = $3, sent_at = now(), run_id = $4 where id = $1', [
      file.id,
      receipt.number,
      receipt.keptUntil,
      run.id,
    ]);
  });
}
