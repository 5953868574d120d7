import { RejectRecord, Refused } from '../errors.ts';
import { compileMapping } from '../mapping/compile.ts';
import { ENTRY_KEYS, MANUAL, manualStreamId } from '../model/manual.ts';
import type { Model, PullStream } from '../model/types.ts';
import type { Keys } from './keys.ts';
import { enqueue } from './outbox.ts';
import { personTokens, sealPersonal } from './personal.ts';
import { storeRecords } from './records.ts';
import { transactionOf } from './repeat.ts';
import { SUBMISSION_CONTEXT } from './sealed-places.ts';
import type { Sql } from './sql.ts';
import { openerOf, sealersOf } from './subject-keys.ts';
import { identifierDomain } from './subjects.ts';

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
 * Throws `Refused` ENTRY_REFUSED with the rule and the field at fault, REGION_DENIED outside the actor's region, or SUBJECT_WITHHELD.
 */
export async function enterSubmission(sql: Sql, keys: Keys, model: Model, actor: Actor, entry: Entry, today: string): Promise<Submission> {
  const { record } = mapEntry(model, entry, 'check', today);
  const region = entry.values[ENTRY_KEYS.region] ?? '';
  if (!region.startsWith(actor.region))
    throw new Refused('REGION_DENIED', '只能录入本辖区的信用信息', { status: 403, details: { article: 'HN-6.2' } });
  // The subject may have a number whose form says nothing, a passport's; others may stand in the fields.
  const named = record.subject.kind === 'person' ? record.subject.identifiers : [];
  const tokens = [
    ...named.map(({ scheme, code }) => keys.blindToken(identifierDomain(scheme), code)),
    ...personTokens(keys, Object.values(entry.values)),
  ];
  const [personal] = await sealPersonal(sql, keys, [{ text: JSON.stringify(entry.values), tokens }], SUBMISSION_CONTEXT);
  if (!personal?.sealed) throw withheld();
  const { rows } = await sql.query<Submission>(
    `insert into submission (category, kind, region, sealed, tokens, basis, route, entered_by, entered_name, entered_department)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) returning ${COLUMNS}`,
    [entry.category, entry.kind, region, personal.sealed, tokens, entry.basis, entry.route, actor.id, actor.name, actor.department],
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
    const { rows } = await tx.query<Submission & { sealed: string | null; entered_by: string }>(
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

const withheld = () => new Refused('SUBJECT_WITHHELD', '该信用主体的个人信息已删除或仅限存储', { details: { article: 'PIPL-47' } });

async function storeApproved(
  sql: Sql,
  keys: Keys,
  model: Model,
  found: Submission & { sealed: string | null },
  today: string,
): Promise<number> {
  const text = found.sealed === null ? undefined : (await openerOf(sql, keys, [found.sealed]))(found.sealed, SUBMISSION_CONTEXT);
  if (text === undefined) throw withheld();
  const values = JSON.parse(text) as Record<string, string>;
  const { stream, record } = mapEntry(model, { category: found.category, kind: found.kind, values }, String(found.id), today);
  // The ledger knows no run of a person: 0 says so, and the submission says who.
  const result = await storeRecords(sql, keys, model, stream, [record], { id: 0, today });
  if (result.withheld.length > 0) throw withheld();
  const [stored] = result.changed;
  if (stored === undefined) throw new Refused('ENTRY_REFUSED', '主体标识分属不同的信用主体', { details: { rule: 'identifier-conflict' } });
  await enqueue(sql, model, result.changed);
  // Entered before the hub knew the person: from now on it lies under the person's key like the record.
  const sealer = (await sealersOf(sql, keys, [stored.subjectId]))(stored.subjectId);
  await sql.query('update submission set sealed = $2 where id = $1', [found.id, sealer.seal(text, SUBMISSION_CONTEXT)]);
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
