import { Refused } from '../errors.ts';
import type { Model } from '../model/types.ts';
import { ownIds } from './erase.ts';
import type { Keys } from './keys.ts';
import { FACT_OF, writeMarks } from './marks.ts';
import { revealId } from './opaque.ts';
import { enqueue } from './outbox.ts';
import type { Sql } from './sql.ts';
import type { Actor } from './submissions.ts';

/** An objection to a fact (HN-24.1). While it is open, each record of the fact is marked in every answer, event and push, and keeps its effect (U15). */
export interface Objection {
  id: number;
  recordId: number;
  subjectId: number;
  category: number;
  /** A code of codes/objection-grounds. */
  ground: string;
  /** Number of the case, in whose file the subject's statement lies. */
  number: string;
  /** YYYY-MM-DD. */
  receivedOn: string;
  /** `upheld`: the fact was taken back or corrected by a decision. */
  state: 'open' | 'upheld' | 'rejected' | 'withdrawn';
  openedBy: string;
  openedAt: string;
  closedBy: string | null;
  closedAt: string | null;
  note: string | null;
}

export interface ObjectionEntry {
  /** The record as the graph names it. */
  record: string;
  ground: string;
  number: string;
  receivedOn: string;
}

const COLUMNS = `id, record_id as "recordId", subject_id as "subjectId", category, ground, number, received_on as "receivedOn", state,
  opened_name as "openedBy", opened_at as "openedAt", closed_name as "closedBy", closed_at as "closedAt", note`;
const NOT_FOUND = () => new Refused('OBJECTION_NOT_FOUND', '未找到该异议,或其不在本辖区');

/**
 * Registers an objection to a fact of the actor's region. In one transaction every record of the fact is marked and sent, with its mark, to every platform
 * that is to have it. Throws `Refused` OBJECTION_GROUND, BASIS_REQUIRED, RECORD_NOT_FOUND, or OBJECTION_EXISTS for a number that stands already.
 */
export async function openObjection(
  sql: Sql,
  keys: Keys,
  model: Model,
  actor: Actor,
  entry: ObjectionEntry,
  today: string,
): Promise<Objection> {
  if (!model.codes.get('objection-grounds')?.values.has(entry.ground))
    throw new Refused('OBJECTION_GROUND', '异议事由不在代码表内', { details: { article: 'HN-24.1' } });
  if (entry.number.trim() === '' || entry.receivedOn > today)
    throw new Refused('BASIS_REQUIRED', '须填写受理编号和收到日期', { details: { article: 'HN-24.2' } });
  const recordId = revealId(keys, 'record', entry.record) ?? 0;
  return sql.transaction(async (tx) => {
    const found = await tx.query<{ subjectId: number }>(
      `select subject_id as "subjectId" from record where id = $1 and not withheld and starts_with(coalesce(region, ''), $2)`,
      [recordId, actor.region],
    );
    const [record] = found.rows;
    if (record === undefined) throw new Refused('RECORD_NOT_FOUND', '未找到该信用信息,或其不在本辖区');
    // No page adds a record to the fact meanwhile.
    await ownIds(tx, record.subjectId);
    const { rows } = await tx.query<Objection>(
      `insert into objection (record_id, subject_id, category, region, ground, number, received_on, opened_by, opened_name)
       select id, subject_id, category, coalesce(region, ''), $2, $3, $4, $5, $6 from record where id = $1 and not withheld
       on conflict (record_id, number) do nothing returning ${COLUMNS}`,
      [recordId, entry.ground, entry.number.trim(), entry.receivedOn, actor.id, actor.name],
    );
    const [made] = rows;
    if (made === undefined) throw new Refused('OBJECTION_EXISTS', '该信用信息已登记同一编号的异议');
    await remark(tx, model, made);
    return made;
  });
}

/**
 * Closes an objection that is not upheld: rejected after it was verified, or withdrawn by who made it. One that is upheld is closed by the recall of the
 * fact (recalls.ts), so that the mark stays until the fact is taken back. Throws `Refused` OBJECTION_NOT_FOUND, OBJECTION_CLOSED, REASON_REQUIRED.
 */
export async function closeObjection(
  sql: Sql,
  model: Model,
  actor: Actor,
  answer: { id: number; state: 'rejected' | 'withdrawn'; note: string },
): Promise<Objection> {
  if (answer.note.trim() === '') throw new Refused('REASON_REQUIRED', '须填写书面答复的文号或说明', { details: { article: 'HN-24.2' } });
  return sql.transaction(async (tx) => {
    const { rows } = await tx.query<Objection & { held: number }>(
      `select ${COLUMNS}, (select r.subject_id from record r where r.id = objection.record_id) as held
       from objection where id = $1 and starts_with(region, $2)`,
      [answer.id, actor.region],
    );
    const [found] = rows;
    if (found === undefined) throw NOT_FOUND();
    await ownIds(tx, found.held);
    const closed = await tx.query<Objection>(
      `update objection set state = $2, closed_by = $3, closed_name = $4, closed_at = now(), note = $5 where id = $1 and state = 'open' returning ${COLUMNS}`,
      [found.id, answer.state, actor.id, actor.name, answer.note.trim()],
    );
    const [objection] = closed.rows;
    if (objection === undefined) throw new Refused('OBJECTION_CLOSED', '该异议已办结');
    await remark(tx, model, objection);
    return objection;
  });
}

/** Objections to facts of the actor's region, newest first. */
export async function listObjections(sql: Sql, actor: Actor, limit: number): Promise<Objection[]> {
  const { rows } = await sql.query<Objection>(`select ${COLUMNS} from objection where starts_with(region, $1) order by id desc limit $2`, [
    actor.region,
    limit,
  ]);
  return rows;
}

/** Gives every record of the fact the mark it is to have, and those of its subject that bear one; what changed goes out. */
async function remark(tx: Sql, model: Model, { recordId }: Objection): Promise<void> {
  const { rows } = await tx.query<{ id: number }>(`select r.id ${FACT_OF}`, [recordId]);
  const marked = await tx.query<{ id: number }>(
    `select r.id from record r join record own on own.id = $1 where r.subject_id = own.subject_id and r.disputed order by r.id for update of r`,
    [recordId],
  );
  const ids = new Set([...rows, ...marked.rows].map(({ id }) => id));
  await enqueue(tx, model, await writeMarks(tx, [...ids]));
}
