import type { Office } from './recalls.ts';
import type { Sql } from './sql.ts';
import type { Actor } from './submissions.ts';

/** A decision to take a fact back, as it was proposed and reviewed. */
export interface Recall {
  id: number;
  recordId: number;
  subjectId: number;
  category: number;
  cause: string;
  decidedOn: string;
  number: string;
  authority: string;
  article: string;
  /** `done`: approved, and every task is done; `open`: approved, and some task is not. */
  state: 'proposed' | 'rejected' | 'approved' | 'open' | 'done';
  proposedBy: string;
  proposedAt: string;
  reviewedBy: string | null;
  reviewedAt: string | null;
  note: string | null;
}

/** One who has the fact and is to give it up: a push stream, or an office. */
export interface RecallTask {
  id: number;
  recallId: number;
  /** `connector/stream`. */
  platform: string | null;
  department: string | null;
  region: string | null;
  /** `sent`: it may have arrived, the receipt is not there. */
  state: 'open' | 'sent' | 'refused' | 'done';
  /** Number of the platform's receipt. */
  receipt: string | null;
  reason: string | null;
  answeredBy: string | null;
  answeredAt: string | null;
}

export interface Board extends Recall {
  tasks: RecallTask[];
}

/** What an office is told: of whom and of which category, by which decision. Nothing of the record. */
export type Notice = Pick<Recall, 'subjectId' | 'category' | 'cause' | 'decidedOn' | 'number' | 'authority' | 'article'> &
  Pick<RecallTask, 'id' | 'state' | 'reason' | 'answeredBy' | 'answeredAt'> & { createdAt: string };

const DECISION = `k.subject_id as "subjectId", k.category, k.cause, k.decided_on as "decidedOn", k.number, k.authority, k.article`;
export const COLUMNS = `k.id, k.record_id as "recordId", ${DECISION}, k.state, k.proposed_name as "proposedBy", k.proposed_at as "proposedAt",
  k.reviewed_name as "reviewedBy", k.reviewed_at as "reviewedAt", k.note`;
/** A recall that was superseded had nothing to take back: what it was for never arrived. */
const STATE = `case when t.outbox_id is null then t.state else case o.state when 'waiting' then 'open' when 'sent' then 'sent' when 'unknown' then 'sent'
  when 'done' then 'done' when 'superseded' then 'done' else 'refused' end end`;

/** The decisions of the actor's region with their tasks, newest first. */
export async function listRecalls(sql: Sql, actor: Actor, limit: number): Promise<Board[]> {
  const { rows } = await sql.query<Recall>(`select ${COLUMNS} from recall k where starts_with(k.region, $1) order by k.id desc limit $2`, [
    actor.region,
    limit,
  ]);
  return withTasks(sql, rows);
}

export async function readBoard(sql: Sql, id: number): Promise<Board> {
  const { rows } = await sql.query<Recall>(`select ${COLUMNS} from recall k where k.id = $1`, [id]);
  const [board] = await withTasks(sql, rows);
  if (board === undefined) throw new Error(`there is no recall ${id}`);
  return board;
}

async function withTasks(sql: Sql, recalls: readonly Recall[]): Promise<Board[]> {
  const { rows } = await sql.query<RecallTask>(
    `select t.id, t.recall_id as "recallId", o.connector || '/' || o.stream as platform, t.department, t.region, ${STATE} as state, n.number as receipt,
       coalesce(t.reason, o.reason) as reason, t.answered_name as "answeredBy", t.answered_at as "answeredAt"
     from recall_task t left join outbox o on o.id = t.outbox_id left join receipt n on n.outbox_id = o.id where t.recall_id = any($1) order by t.id`,
    [recalls.map(({ id }) => id)],
  );
  return recalls.map((one) => {
    const tasks = rows.filter((task) => task.recallId === one.id);
    const state = one.state === 'approved' ? (tasks.every((task) => task.state === 'done') ? 'done' : 'open') : one.state;
    return { ...one, state, tasks };
  });
}

/** Notices to one office, newest first. */
export async function listNotices(sql: Sql, { department, region }: Office, limit: number): Promise<Notice[]> {
  const { rows } = await sql.query<Notice>(
    `select t.id, ${DECISION}, t.state, t.reason, t.answered_name as "answeredBy", t.answered_at as "answeredAt", t.created_at as "createdAt"
     from recall_task t join recall k on k.id = t.recall_id where t.department = $1 and t.region = $2 order by t.id desc limit $3`,
    [department, region, limit],
  );
  return rows;
}
