import { Refused } from '../errors.ts';
import type { Model } from '../model/types.ts';
import type { Keys } from './keys.ts';
import { revealId } from './opaque.ts';
import { eraseSubject, ownIds, restrictSubject } from './erase.ts';
import { keepUntil } from './retention.ts';
import type { Sql } from './sql.ts';
import type { Actor } from './submissions.ts';

/** A request to erase a person's information and what became of it. It stays when the information is gone. */
export interface Erasure {
  id: number;
  subjectId: number;
  /** `restricted`: approved, but the law wants something kept until `keepUntil`; nothing but keeping is done with it (PIPL 47). */
  state: 'requested' | 'rejected' | 'restricted' | 'erased';
  basis: string;
  requestedBy: string;
  requestedAt: string;
  reviewedBy: string | null;
  reviewedAt: string | null;
  note: string | null;
  keepUntil: string | null;
  /** Article that sets the term. */
  article: string | null;
  erasedAt: string | null;
}

const COLUMNS = `id, subject_id as "subjectId", state, basis, requested_name as "requestedBy", requested_at as "requestedAt", reviewed_name as "reviewedBy",
  reviewed_at as "reviewedAt", note, keep_until as "keepUntil", article, erased_at as "erasedAt"`;

/**
 * Asks for the erasure of a person of the actor's region, with its legal basis. Nothing happens to the information before another person approves.
 * Throws `Refused` BASIS_REQUIRED, SUBJECT_NOT_FOUND, ERASURE_NOT_A_PERSON or ERASURE_OPEN.
 */
export async function requestErasure(sql: Sql, keys: Keys, actor: Actor, request: { subject: string; basis: string }): Promise<Erasure> {
  if (request.basis.trim() === '') throw new Refused('BASIS_REQUIRED', '须填写删除的法律依据');
  return sql.transaction(async (tx) => {
    const { rows } = await tx.query<{ id: number; kind: string; region: string | null; withheld: string | null; merged: boolean }>(
      `select id, kind, region, withheld, merged_into is not null as merged from subject where id = $1 and starts_with(coalesce(region, ''), $2) for no key update`,
      [revealId(keys, 'subject', request.subject) ?? 0, actor.region],
    );
    const [subject] = rows;
    if (subject === undefined || subject.merged) throw new Refused('SUBJECT_NOT_FOUND', '未找到该信用主体,或其不在本辖区');
    if (subject.kind !== 'person') throw new Refused('ERASURE_NOT_A_PERSON', '只有自然人的个人信息可以申请删除');
    if (subject.withheld !== null) throw new Refused('ERASURE_OPEN', '该信用主体的个人信息已删除或仅限存储');
    const inserted = await tx.query<Erasure>(
      `insert into erasure (subject_id, region, basis, requested_by, requested_name, requested_department) values ($1, $2, $3, $4, $5, $6)
       on conflict (subject_id) where state in ('requested', 'restricted') do nothing returning ${COLUMNS}`,
      [subject.id, subject.region, request.basis, actor.id, actor.name, actor.department],
    );
    const [erasure] = inserted.rows;
    if (erasure === undefined) throw new Refused('ERASURE_OPEN', '该信用主体已有待办理的删除申请');
    return erasure;
  });
}

/**
 * Approves or rejects a request; never the person who made it. An approved one is carried out at once, or, while a legal term runs, turns into
 * keeping only. Throws `Refused` ERASURE_NOT_FOUND, ALREADY_REVIEWED, FOUR_EYES or REASON_REQUIRED.
 */
export async function reviewErasure(
  sql: Sql,
  model: Model,
  actor: Actor,
  review: { id: number; approve: boolean; note: string },
  today: string,
): Promise<Erasure> {
  return sql.transaction(async (tx) => {
    const { rows } = await tx.query<Erasure & { requested_by: string }>(
      `select ${COLUMNS}, requested_by from erasure where id = $1 and starts_with(coalesce(region, ''), $2) for update`,
      [review.id, actor.region],
    );
    const [found] = rows;
    if (found === undefined) throw new Refused('ERASURE_NOT_FOUND', '未找到该删除申请,或其不在本辖区');
    if (found.state !== 'requested') throw new Refused('ALREADY_REVIEWED', '该删除申请已复核');
    if (found.requested_by === actor.id)
      throw new Refused('FOUR_EYES', '申请人不得复核本人提出的删除申请', { status: 403, details: { article: 'PIPL-47' } });
    if (!review.approve && review.note.trim() === '') throw new Refused('REASON_REQUIRED', '不予删除须说明理由');
    const decided = review.approve ? await carryOut(tx, model, found.subjectId, today) : { state: 'rejected' as const, until: null };
    const updated = await tx.query<Erasure>(
      `update erasure set state = $2, reviewed_by = $3, reviewed_name = $4, reviewed_at = now(), note = $5, keep_until = $6, article = $7,
         erased_at = case when $2 = 'erased' then now() end where id = $1 returning ${COLUMNS}`,
      [review.id, decided.state, actor.id, actor.name, review.note, decided.until?.day ?? null, decided.until?.article ?? null],
    );
    return updated.rows[0] as Erasure;
  });
}

/** Erases, or restricts while a term runs. */
async function carryOut(tx: Sql, model: Model, subjectId: number, today: string) {
  // Held from here on: no page adds anything to the person meanwhile.
  const ids = await ownIds(tx, subjectId);
  const until = await keepUntil(tx, model, ids, today);
  if (until === undefined) {
    await eraseSubject(tx, ids);
    return { state: 'erased' as const, until: null };
  }
  await restrictSubject(tx, ids);
  return { state: 'restricted' as const, until };
}

/** Approved requests whose legal term is over by `today`, with who answers for them: what `hub erase` carries out. */
export async function dueErasures(
  sql: Sql,
  today: string,
): Promise<{ id: number; subjectId: number; reviewer: { id: string; name: string }; department: string; basis: string }[]> {
  const { rows } = await sql.query<{
    id: number;
    subjectId: number;
    reviewer: { id: string; name: string };
    department: string;
    basis: string;
  }>(
    `select id, subject_id as "subjectId", jsonb_build_object('id', reviewed_by, 'name', reviewed_name) as reviewer, requested_department as department, basis
     from erasure where state = 'restricted' and keep_until < $1::date order by id`,
    [today],
  );
  return rows;
}

/** Carries out one request that was due. False when it no longer is: another process did it, or records lengthened the term. */
export async function eraseDue(sql: Sql, model: Model, id: number, today: string): Promise<boolean> {
  return sql.transaction(async (tx) => {
    const { rows } = await tx.query<{ subject_id: number }>(
      `select subject_id from erasure where id = $1 and state = 'restricted' and keep_until < $2::date for update`,
      [id, today],
    );
    const [due] = rows;
    if (due === undefined) return false;
    const { state, until } = await carryOut(tx, model, due.subject_id, today);
    await tx.query(
      `update erasure set state = $2, keep_until = coalesce($3, keep_until), erased_at = case when $2 = 'erased' then now() end where id = $1`,
      [id, state, until?.day ?? null],
    );
    return state === 'erased';
  });
}

/** Requests of the actor's region, newest first. */
export async function listErasures(sql: Sql, actor: Actor, state: Erasure['state'] | undefined, limit: number): Promise<Erasure[]> {
  const { rows } = await sql.query<Erasure>(
    `select ${COLUMNS} from erasure where starts_with(coalesce(region, ''), $1) and ($2::text is null or state = $2) order by id desc limit $3`,
    [actor.region, state ?? null, limit],
  );
  return rows;
}
