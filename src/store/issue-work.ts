import { RejectRecord, Refused } from '../errors.ts';
import { compileMapping } from '../mapping/compile.ts';
import { findStream } from '../model/load.ts';
import type { MappedRecord } from '../mapping/record.ts';
import type { Model, PullStream } from '../model/types.ts';
import type { Keys } from './keys.ts';
import { enqueue } from './outbox.ts';
import { storedForms, storeRecords } from './records.ts';
import { transactionOf } from './repeat.ts';
import { holdStream } from './runs.ts';
import { issueContext } from './sealed-places.ts';
import { openerOf } from './subject-keys.ts';
import type { Sql } from './sql.ts';

/** An issue as people work on it: what, where, why, under which rule. The raw record stays sealed. */
export interface Issue {
  id: number;
  connector: string;
  stream: string;
  rule: string;
  at: string;
  place: string;
  reason: string;
  refused: boolean;
  state: 'open' | 'fixed' | 'dismissed';
  seen: number;
  resolution: string | null;
  handledBy: string | null;
  createdAt: string;
  changedAt: string;
}
export interface IssueWhere {
  connector?: string;
  stream?: string;
  rule?: string;
  state?: Issue['state'];
}

const COLUMNS = `id, connector, stream, rule, at, place, reason, refused, state, seen, resolution, handled_by as "handledBy", created_at as "createdAt", changed_at as "changedAt"`;

/** Issues, newest first; `after` is the id of the last one seen. */
export async function listIssues(sql: Sql, where: IssueWhere, page: { first: number; after: number | undefined }): Promise<Issue[]> {
  const { rows } = await sql.query<Issue>(
    `select ${COLUMNS} from issue where ($1::text is null or connector = $1) and ($2::text is null or stream = $2) and ($3::text is null or rule = $3)
       and ($4::text is null or state = $4) and ($5::bigint is null or id < $5) order by id desc limit $6`,
    [where.connector ?? null, where.stream ?? null, where.rule ?? null, where.state ?? null, page.after ?? null, page.first],
  );
  return rows;
}

/**
 * Tries a refused raw record again under the mapping as it is now (WG-9): stored, it closes the issue in the same transaction. Throws `Refused`
 * ISSUE_NOT_FOUND, ISSUE_CLOSED, ISSUE_NOT_REPLAYABLE, or ISSUE_STILL_REFUSED with the rule and place that refuse it now.
 */
export async function replayIssue(sql: Sql, keys: Keys, model: Model, by: string, id: number, today: string): Promise<Issue> {
  return transactionOf(sql, async (tx) => {
    const of = await tx.query<{ connector: string; stream: string }>('select connector, stream from issue where id = $1', [id]);
    // The stream before its issue, as a page has it.
    for (const row of of.rows) await holdStream(tx, row);
    const issue = await open(tx, id);
    const stream = findStream(model, `${issue.connector}/${issue.stream}`);
    if (!issue.refused || issue.raw === null || stream?.direction !== 'pull')
      throw new Refused('ISSUE_NOT_REPLAYABLE', '该问题没有可重放的原始记录');
    const text = (await openerOf(tx, keys, [issue.raw]))(issue.raw, issueContext(issue.connector, issue.stream));
    if (text === undefined) throw new Refused('ISSUE_NOT_REPLAYABLE', '该问题没有可重放的原始记录');
    const raw = JSON.parse(text) as Record<string, unknown>;
    try {
      const record = compileMapping(model, stream).map(raw, today);
      if (record.version === null && (await isKnownSince(tx, keys, stream, record, issue.last_run)))
        throw new RejectRecord('newer-known', '', '该记录已有此后读取的内容,重放会以旧覆新');
      const result = await storeRecords(tx, keys, model, stream, [record], { id: issue.last_run, today });
      if (result.conflicts.length > 0) throw new RejectRecord('identifier-conflict', '', '记录中的标识分属不同的信用主体');
      if (result.withheld.length > 0) throw new RejectRecord('subject-withheld', '', '该信用主体的个人信息已删除或仅限存储');
      await enqueue(tx, model, result.changed);
    } catch (error) {
      if (!(error instanceof RejectRecord)) throw error;
      throw new Refused('ISSUE_STILL_REFUSED', error.message, { details: { rule: error.rule, place: error.where } });
    }
    return close(tx, id, 'fixed', by, '按当前映射重放后入库');
  });
}

/** Closes an issue that will not be mended, with the reason. */
export async function dismissIssue(sql: Sql, by: string, id: number, reason: string): Promise<Issue> {
  if (reason.trim() === '') throw new Refused('REASON_REQUIRED', '关闭问题须说明理由');
  return sql.transaction(async (tx) => {
    await open(tx, id);
    return close(tx, id, 'dismissed', by, reason);
  });
}

async function open(sql: Sql, id: number): Promise<Issue & { raw: string | null; last_run: number }> {
  const { rows } = await sql.query<Issue & { raw: string | null; last_run: number }>(
    `select ${COLUMNS}, raw, last_run from issue where id = $1 for update`,
    [id],
  );
  const [issue] = rows;
  if (issue === undefined) throw new Refused('ISSUE_NOT_FOUND', '未找到该问题数据');
  if (issue.state !== 'open') throw new Refused('ISSUE_CLOSED', '该问题数据已处理');
  return issue;
}

async function close(sql: Sql, id: number, state: 'fixed' | 'dismissed', by: string, resolution: string): Promise<Issue> {
  const { rows } = await sql.query<Issue>(
    `update issue set state = $2, handled_by = $3, resolution = $4, changed_at = now() where id = $1 returning ${COLUMNS}`,
    [id, state, by, resolution],
  );
  const [issue] = rows;
  if (issue === undefined) throw new Error('an issue held for update is gone');
  return issue;
}

/** Whether a run after `run` stored the record: without a version of the source's own, only the order of arrival says which is newer. */
async function isKnownSince(sql: Sql, keys: Keys, stream: PullStream, record: MappedRecord, run: number): Promise<boolean> {
  const { rowCount } = await sql.query('select from record where connector = $1 and stream = $2 and source_key = any($3) and run_id > $4', [
    stream.connector,
    stream.id,
    storedForms(keys, record),
    run,
  ]);
  return rowCount > 0;
}
