import { Refused } from '../errors.ts';
import { decisionMark } from '../mapping/marks.ts';
import { ownIds } from './erase.ts';
import type { Keys } from './keys.ts';
import { FACT_OF, writeMarks } from './marks.ts';
import { revealId } from './opaque.ts';
import { PUSH_CHANNEL, recall } from './outbox.ts';
import type { Sql } from './sql.ts';
import type { Actor } from './submissions.ts';
import { type Board, COLUMNS, type Recall, readBoard } from './recall-board.ts';

/** What a person may take a fact back for; the other codes of codes/recall-causes follow from the record by themselves. */
export const DECIDED_CAUSES = ['repair', 'expiry', 'correction', 'objection', 'deletion'] as const;
type DecidedCause = (typeof DECIDED_CAUSES)[number];

/** After these no later version of the record is published again; after the others the corrected one is. */
const FOR_GOOD: ReadonlySet<string> = new Set(['repair', 'expiry', 'deletion']);
/** These decide an objection that is pending: it is upheld. */
const UPHOLDING: ReadonlySet<string> = new Set(['correction', 'objection']);

/** The decision by which a fact is taken back. */
export interface RecallDecision {
  /** The record as the graph names it. */
  record: string;
  cause: string;
  /** YYYY-MM-DD. */
  decidedOn: string;
  number: string;
  authority: string;
  article: string;
}

export interface Office {
  department: string;
  region: string;
}

/** What has to be known of a record to find who was shown it. */
export interface TakenBack {
  /** Its subject, and those that became one with it. */
  subjectIds: readonly number[];
  subjectKind: string;
  category: number;
  kind: string;
  publicity: string;
  region: string;
  /** Instant since which the hub has it. */
  since: string;
  /** Instant until which it could be read as it was, where that is over. */
  until?: string;
}

/** Finds the offices that were shown a record: the query log knows them. */
export type Receivers = (tx: Sql, record: TakenBack) => Promise<Office[]>;

/**
 * Proposes that a fact of the actor's region is taken back. It has no effect before another person approves. Throws `Refused` RECALL_CAUSE,
 * BASIS_REQUIRED, RECORD_NOT_FOUND, or RECALL_EXISTS where the same decision on the same record stands already.
 */
export async function proposeRecall(sql: Sql, keys: Keys, actor: Actor, wish: RecallDecision, today: string): Promise<Board> {
  if (!isDecided(wish.cause)) throw new Refused('RECALL_CAUSE', '撤回原因不在可由人决定的范围内', { details: { article: 'HN-27' } });
  if ([wish.number, wish.authority, wish.article].some((text) => text.trim() === '') || wish.decidedOn > today)
    throw new Refused('BASIS_REQUIRED', '须填写已作出决定的日期、文号、决定机关和条款', { details: { article: 'HN-27' } });
  const { rows } = await sql.query<{ id: number }>(
    `insert into recall (record_id, fact, subject_id, category, region, cause, decided_on, number, authority, article, proposed_by, proposed_name, proposed_department)
     select id, fact, subject_id, category, coalesce(region, ''), $3, $4, $5, $6, $7, $8, $9, $10 from record
     where id = $1 and not withheld and starts_with(coalesce(region, ''), $2)
     on conflict (record_id, authority, number) where state <> 'rejected' do nothing returning id`,
    [
      revealId(keys, 'record', wish.record) ?? 0,
      actor.region,
      wish.cause,
      wish.decidedOn,
      wish.number.trim(),
      wish.authority.trim(),
      wish.article.trim(),
      actor.id,
      actor.name,
      actor.department,
    ],
  );
  const [made] = rows;
  if (made !== undefined) return readBoard(sql, made.id);
  const known = await sql.query('select from record where id = $1 and not withheld and starts_with(coalesce(region, $3), $2)', [
    revealId(keys, 'record', wish.record) ?? 0,
    actor.region,
    '',
  ]);
  if (known.rowCount > 0) throw new Refused('RECALL_EXISTS', '同一决定已登记撤回');
  throw new Refused('RECORD_NOT_FOUND', '未找到该信用信息,或其不在本辖区');
}

const isDecided = (cause: string): cause is DecidedCause => DECIDED_CAUSES.some((one) => one === cause);

/**
 * Approves or rejects a proposal; never the person who made it. An approved one, in one transaction: ends the publication of every record of the fact and
 * marks it in a version of its own, takes it back from every platform that received it, upholds the objections that a correction or an upheld objection
 * decides, and makes one notice for every office that was shown it, but for the department that
 * decided. Throws `Refused` RECALL_NOT_FOUND, ALREADY_REVIEWED, FOUR_EYES or REASON_REQUIRED.
 */
export async function reviewRecall(
  sql: Sql,
  actor: Actor,
  review: { id: number; approve: boolean; note: string },
  receivers: Receivers,
): Promise<Board> {
  return sql.transaction(async (tx) => {
    const { rows } = await tx.query<Recall & { proposed_by: string; proposed_department: string; record_id: number }>(
      `select ${COLUMNS}, k.proposed_by, k.proposed_department, k.record_id from recall k where k.id = $1 and starts_with(k.region, $2) for update`,
      [review.id, actor.region],
    );
    const [found] = rows;
    if (found === undefined) throw new Refused('RECALL_NOT_FOUND', '未找到该撤回事项,或其不在本辖区');
    if (found.state !== 'proposed') throw new Refused('ALREADY_REVIEWED', '该撤回事项已复核');
    if (found.proposed_by === actor.id)
      throw new Refused('FOUR_EYES', '提出人不得复核本人提出的撤回事项', { status: 403, details: { article: 'HN-27' } });
    if (!review.approve && review.note.trim() === '') throw new Refused('REASON_REQUIRED', '不予撤回须说明理由');
    await tx.query('update recall set state = $2, reviewed_by = $3, reviewed_name = $4, reviewed_at = now(), note = $5 where id = $1', [
      found.id,
      review.approve ? 'approved' : 'rejected',
      actor.id,
      actor.name,
      review.note,
    ]);
    if (review.approve) await carryOut(tx, actor, found, receivers);
    return readBoard(tx, found.id);
  });
}

type Decided = Recall & { proposed_department: string; record_id: number };

async function carryOut(tx: Sql, actor: Actor, decided: Decided, receivers: Receivers): Promise<void> {
  const { cause } = decided;
  if (!isDecided(cause)) throw new Error(`recall ${decided.id} has the cause ${cause}`);
  // No page adds a version meanwhile.
  const subjectIds = await ownIds(tx, decided.subjectId);
  const { rows: records } = await tx.query<TakenBack & { id: number }>(
    `select r.id, r.subject_kind as "subjectKind", r.category, r.kind, r.publicity, coalesce(r.region, '') as region,
       ${instant('r.recorded_at')} as since
     ${FACT_OF}`,
    [decided.record_id],
  );
  const offices = new Map<string, Office>();
  for (const record of records)
    for (const office of await receivers(tx, { ...record, subjectIds }))
      if (office.department !== decided.proposed_department) offices.set(JSON.stringify([office.department, office.region]), office);
  const ids = records.map(({ id }) => id);
  await tx.query(`update record set publicity = 'non-public', ended = $2, changed_at = now() where id = any($1)`, [
    ids,
    FOR_GOOD.has(cause),
  ]);
  await tx.query(`update record_version set publicity = 'non-public' where record_id = any($1)`, [ids]);
  await recall(tx, ids, cause);
  if (UPHOLDING.has(cause))
    await tx.query(
      `update objection set state = 'upheld', closed_by = $2, closed_name = $3, closed_at = now(), note = $4 where record_id = any($1) and state = 'open'`,
      [ids, actor.id, actor.name, decided.number],
    );
  // A version of its own, which follows what is taken back and is not sent.
  await writeMarks(tx, ids, decisionMark(decided.decidedOn, cause));
  // A platform that is being told already, for another reason, is tracked all the same.
  await tx.query(
    `insert into recall_task (recall_id, outbox_id)
     select distinct on (connector, stream, record_id) $2::bigint, id from outbox where record_id = any($1) and act = 'recall' and state <> 'superseded'
     order by connector, stream, record_id, version desc`,
    [ids, decided.id],
  );
  await notify(tx, decided.id, [...offices.values()]);
  const shown = records.map((record): TakenBack => ({ ...record, subjectIds }));
  await tx.query('update recall set shown = $2 where id = $1', [decided.id, JSON.stringify(shown)]);
}

async function notify(tx: Sql, id: number, offices: readonly Office[]): Promise<void> {
  await tx.query(
    `insert into recall_task (recall_id, department, region) select $1, * from unnest($2::text[], $3::text[])
     on conflict (recall_id, department, region) do nothing`,
    [id, offices.map((o) => o.department), offices.map((o) => o.region)],
  );
}

/** No answer is read as long as this before it is in the log, in minutes. */
const LONGEST_ANSWER = 10;

/**
 * Tells the offices whose answers were read before an approval and logged after it: the approval could not find them. Looks at every recall until no such
 * answer can come any more; a repetition tells nobody twice. For the sweep of the worker.
 */
export async function noticeLate(sql: Sql, receivers: Receivers): Promise<void> {
  const { rows } = await sql.query<{ id: number }>('select id from recall where shown is not null order by id');
  for (const { id } of rows)
    await sql.transaction(async (tx) => {
      const { rows: found } = await tx.query<{ shown: TakenBack[]; department: string; since: string; until: string; over: boolean }>(
        `select shown, proposed_department as department, ${instant('reviewed_at - $2::interval')} as since,
           ${instant('reviewed_at')} as until, reviewed_at < now() - $2::interval as over
         from recall where id = $1 and shown is not null for update`,
        [id, `${LONGEST_ANSWER} minutes`],
      );
      for (const { shown, department, since, until, over } of found) {
        for (const record of shown) {
          const offices = await receivers(tx, { ...record, since: record.since > since ? record.since : since, until });
          await notify(
            tx,
            id,
            offices.filter((office) => office.department !== department),
          );
        }
        if (over) await tx.query('update recall set shown = null where id = $1', [id]);
      }
    });
}

/** An instant of a query as text that sorts, UTC. */
const instant = (expression: string): string => `to_char((${expression}) at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`;

/**
 * An office says of its notice that it no longer uses the fact (done), or that it refuses, and why; a refusal can be answered anew, what is done stays
 * done. Throws `Refused` RECALL_NOT_FOUND for a notice of another office, REASON_REQUIRED.
 */
export async function answerNotice(
  sql: Sql,
  actor: Actor & { office: Office },
  answer: { id: number; done: boolean; reason: string },
): Promise<void> {
  if (!answer.done && answer.reason.trim() === '') throw new Refused('REASON_REQUIRED', '不予办理须说明理由');
  const own = [answer.id, actor.office.department, actor.office.region];
  await sql.query(
    `update recall_task set state = $4, answered_by = $5, answered_name = $6, answered_at = now(), reason = $7
     where id = $1 and department = $2 and region = $3 and state <> 'done'`,
    [...own, answer.done ? 'done' : 'refused', actor.id, actor.name, answer.reason.trim() || null],
  );
  const { rowCount } = await sql.query('select from recall_task where id = $1 and department = $2 and region = $3', own);
  if (rowCount === 0) throw new Refused('RECALL_NOT_FOUND', '未找到该通知,或其不属于本部门、本辖区');
}

/** Sends what platforms refused of an approved recall of the actor's region again, under the same keys. Throws `Refused` RECALL_NOT_FOUND. */
export async function retryRecall(sql: Sql, actor: Actor, id: number): Promise<Board> {
  return sql.transaction(async (tx) => {
    const { rowCount } = await tx.query(`select from recall where id = $1 and starts_with(region, $2) and state = 'approved'`, [
      id,
      actor.region,
    ]);
    if (rowCount === 0) throw new Refused('RECALL_NOT_FOUND', '未找到该撤回事项,或其不在本辖区');
    await tx.query(
      `with again as (update outbox o set state = 'waiting', reason = null, changed_at = now() from recall_task t
         where t.recall_id = $1 and t.outbox_id = o.id and o.state in ('refused', 'withheld') returning o.connector, o.stream)
       select pg_notify('${PUSH_CHANNEL}', connector || '/' || stream) from (select distinct connector, stream from again) s`,
      [id],
    );
    return readBoard(tx, id);
  });
}
