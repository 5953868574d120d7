import { RejectRecord, Refused } from '../errors.ts';
import { compileMapping } from '../mapping/compile.ts';
import { ENTRY_KEYS, MANUAL, manualStreamId } from '../model/manual.ts';
import type { Model, PullStream } from '../model/types.ts';
import type { Keys } from './keys.ts';
import { enqueue } from './outbox.ts';
import { storeRecords } from './records.ts';
import { transactionOf } from './repeat.ts';
import { SUBMISSION_CONTEXT } from './sealed-places.ts';
import type { Sql } from './sql.ts';

/** Who acts on an entry: the query log and the table name the same person. */
export interface Actor {
  id: string;
  name: string;
  department: string;
  /** Region prefix of the actor's authority: an office sees and reviews its own entries only (HN-6.2, 属地). */
  region: string;
}

/** What is entered: catalog fields under their names, and who and when under ENTRY_KEYS. Texts, as a form gives them. */
export interface Entry {
  category: number;
  kind: string;
  values: Record<string, string>;
  /** Legal basis and document of the entry. */
  basis: string;
  /** Collection route of HN-16. */
  route: string;
}

export interface Submission {
  id: number;
  category: number;
  kind: string;
  region: string;
  basis: string;
  route: string;
  state: 'entered' | 'approved' | 'rejected';
  enteredBy: string;
  enteredAt: string;
  reviewedBy: string | null;
  reviewedAt: string | null;
  reason: string | null;
}

const COLUMNS = `id, category, kind, region, basis, route, state, entered_name as "enteredBy", entered_at as "enteredAt",
  reviewed_name as "reviewedBy", reviewed_at as "reviewedAt", reason`;

/**
 * Takes an entry after the checks that every platform's record must pass. It has no effect: no record, no archive, no push, until it is approved.
 * Throws `Refused` ENTRY_REFUSED with the rule and the field at fault, or REGION_DENIED outside the actor's region.
 */
export async function enterSubmission(sql: Sql, keys: Keys, model: Model, actor: Actor, entry: Entry, today: string): Promise<Submission> {
  mapEntry(model, entry, 'check', today);
  const region = entry.values[ENTRY_KEYS.region] ?? '';
  if (!region.startsWith(actor.region))
    throw new Refused('REGION_DENIED', '只能录入本辖区的信用信息', { status: 403, details: { article: 'HN-6.2' } });
  const { rows } = await sql.query<Submission>(
    `insert into submission (category, kind, region, sealed, basis, route, entered_by, entered_name, entered_department)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9) returning ${COLUMNS}`,
    [
      entry.category,
      entry.kind,
      region,
      keys.seal(JSON.stringify(entry.values), SUBMISSION_CONTEXT),
      entry.basis,
      entry.route,
      actor.id,
      actor.name,
      actor.department,
    ],
  );
  return only(rows);
}

/**
 * Approves or rejects an entry. Never the person who entered it. An approved one becomes a record in the same transaction, with the outbox rows
 * of a record from a platform. Throws `Refused` SUBMISSION_NOT_FOUND, FOUR_EYES, ALREADY_REVIEWED or ENTRY_REFUSED.
 */
export async function reviewSubmission(
  sql: Sql,
  keys: Keys,
  model: Model,
  actor: Actor,
  review: { id: number; approve: boolean; reason: string },
  today: string,
): Promise<Submission> {
  return transactionOf(sql, async (tx) => {
    const { rows } = await tx.query<Submission & { sealed: string; entered_by: string }>(
      `select ${COLUMNS}, sealed, entered_by from submission where id = $1 and starts_with(region, $2) for update`,
      [review.id, actor.region],
    );
    const [found] = rows;
    if (found === undefined) throw new Refused('SUBMISSION_NOT_FOUND', '未找到该录入信息,或其不在本辖区');
    if (found.state !== 'entered') throw new Refused('ALREADY_REVIEWED', '该录入信息已复核');
    if (found.entered_by === actor.id)
      throw new Refused('FOUR_EYES', '录入人不得复核本人录入的信息', { status: 403, details: { article: 'HN-6.2' } });
    if (!review.approve && review.reason.trim() === '') throw new Refused('REASON_REQUIRED', '退回须说明理由');
    const recordId = review.approve ? await storeApproved(tx, keys, model, found, today) : null;
    const updated = await tx.query<Submission>(
      `update submission set state = $2, reviewed_by = $3, reviewed_name = $4, reviewed_at = now(), reason = $5, record_id = $6 where id = $1 returning ${COLUMNS}`,
      [review.id, review.approve ? 'approved' : 'rejected', actor.id, actor.name, review.reason, recordId],
    );
    return only(updated.rows);
  });
}

/** Entries of the actor's region, newest first. */
export async function listSubmissions(
  sql: Sql,
  actor: Actor,
  state: Submission['state'] | undefined,
  limit: number,
): Promise<Submission[]> {
  const { rows } = await sql.query<Submission>(
    `select ${COLUMNS} from submission where starts_with(region, $1) and ($2::text is null or state = $2) order by id desc limit $3`,
    [actor.region, state ?? null, limit],
  );
  return rows;
}

async function storeApproved(sql: Sql, keys: Keys, model: Model, found: Submission & { sealed: string }, today: string): Promise<number> {
  const values = JSON.parse(keys.open(found.sealed, SUBMISSION_CONTEXT)) as Record<string, string>;
  const { stream, record } = mapEntry(model, { category: found.category, kind: found.kind, values }, String(found.id), today);
  // The ledger knows no run of a person: 0 says so, and the submission says who.
  const result = await storeRecords(sql, keys, model, stream, [record], { id: 0, today });
  const [stored] = result.changed;
  if (stored === undefined) throw new Refused('ENTRY_REFUSED', '主体标识分属不同的信用主体', { details: { rule: 'identifier-conflict' } });
  await enqueue(sql, model, result.changed);
  return stored.recordId;
}

function mapEntry(model: Model, entry: Pick<Entry, 'category' | 'kind' | 'values'>, reference: string, today: string) {
  const stream = streamOf(model, entry.category, entry.kind);
  try {
    const record = compileMapping(model, stream).map({ ...entry.values, [ENTRY_KEYS.reference]: reference }, today);
    const [unknown] = record.unknownKeys;
    if (unknown !== undefined) throw new RejectRecord('unknown-key', unknown, `目录中没有字段 ${unknown}`);
    return { stream, record };
  } catch (error) {
    if (!(error instanceof RejectRecord)) throw error;
    throw new Refused('ENTRY_REFUSED', error.message, { details: { rule: error.rule, field: error.where } });
  }
}

function streamOf(model: Model, no: number, kind: string): PullStream {
  const category = model.categories.get(no);
  const stream = category && model.connectors.get(MANUAL)?.streams.get(manualStreamId(category, kind));
  if (stream === undefined || stream.direction !== 'pull')
    throw new Refused('ENTRY_REFUSED', '目录中没有该类别或记录种类', { details: { rule: 'unknown-kind' } });
  return stream;
}

function only<T>(rows: readonly T[]): T {
  const [row] = rows;
  if (row === undefined) throw new Error('a statement that returns one row returned none');
  return row;
}
