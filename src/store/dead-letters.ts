import { Refused } from '../errors.ts';
import type { Act } from './operate.ts';
import { ask } from './operate.ts';
import { PUSH_CHANNEL } from './outbox.ts';
import { settleUnknown } from './sending.ts';
import type { Sql } from './sql.ts';

/**
 * Rows of the outbox that wait for a person: refused by the platform, withheld from it, or of unknown outcome. A row is sent again, its outcome is told,
 * or it is given up; nothing is ever deleted.
 */
export interface DeadLetter {
  id: number;
  connector: string;
  stream: string;
  act: 'publish' | 'recall';
  state: 'refused' | 'withheld' | 'unknown' | 'waiting' | 'done' | 'discarded';
  reason: string | null;
  attempts: number;
  createdAt: string;
  changedAt: string;
  /** Who asked to give it up, while nobody has decided. */
  discardAskedBy: string | null;
}

const ARTICLE = 'HN-28';
const COLUMNS = `o.id, o.connector, o.stream, o.act, o.state, o.reason, o.attempts, o.created_at as "createdAt", o.changed_at as "changedAt",
  (select requested_name from outbox_discard d where d.outbox_id = o.id and d.state = 'requested') as "discardAskedBy"`;
const DEAD = `o.state in ('refused', 'withheld', 'unknown')`;

/** Oldest first; `after` is the id of the last one seen. */
export async function listDeadLetters(
  sql: Sql,
  where: { connector: string | undefined; stream: string | undefined },
  page: { first: number; after: number | undefined },
): Promise<DeadLetter[]> {
  const { rows } = await sql.query<DeadLetter>(
    `select ${COLUMNS} from outbox o where ${DEAD} and ($1::text is null or o.connector = $1) and ($2::text is null or o.stream = $2)
       and o.id > $3 order by o.id limit $4`,
    [where.connector ?? null, where.stream ?? null, page.after ?? 0, page.first],
  );
  return rows;
}

/** Sends a refused or withheld row again under its key. Throws `Refused` REASON_REQUIRED, DEAD_LETTER_NOT_FOUND, or OUTCOME_UNKNOWN: that is told first. */
export async function retryDeadLetter(sql: Sql, id: number, act: Act): Promise<DeadLetter> {
  return handle(sql, id, act, async (tx, row) => {
    if (row.state === 'unknown')
      throw new Refused('OUTCOME_UNKNOWN', '该条结果不明,须先核实平台是否已收到', { details: { article: ARTICLE } });
    await tx.query(`update outbox set state = 'waiting', reason = null, changed_at = now() where id = $1`, [id]);
    await sendAgain(tx, row, act);
    await closeIssues(tx, row, act, `重新发送:${act.reason}`);
  });
}

/**
 * A person has found out at the platform whether a row of unknown outcome arrived: with its receipt number it is done, without it is sent again.
 * Throws as {@link retryDeadLetter}, OUTCOME_KNOWN for any other row, and RECEIPT_REQUIRED.
 */
export async function settleDeadLetter(
  sql: Sql,
  id: number,
  found: { arrived: boolean; receipt: string },
  act: Act,
  now: Date,
): Promise<DeadLetter> {
  return handle(sql, id, act, async (tx, row) => {
    if (row.state !== 'unknown') throw new Refused('OUTCOME_KNOWN', '该条结果已明,无须核实', { details: { article: ARTICLE } });
    const number = found.receipt.trim();
    if (found.arrived && number === '') throw new Refused('RECEIPT_REQUIRED', '平台已收到的,须填写其回执编号');
    const by = act.by.name;
    await settleUnknown(tx, id, found.arrived ? { arrived: true, receipt: { number, at: now.toISOString() }, by } : { arrived: false, by });
    if (!found.arrived) await sendAgain(tx, row, act);
  });
}

/**
 * Gives a refused or withheld row up. Where a newer version of the record went out, or is about to, nothing is lost and it is given up at once; else a
 * second person decides. Throws as {@link retryDeadLetter}, RECALL_STAYS for a recall, which stays until it is done, and DISCARD_OPEN.
 */
export async function discardDeadLetter(sql: Sql, id: number, act: Act): Promise<DeadLetter> {
  return handle(sql, id, act, async (tx, row) => {
    if (row.state === 'unknown')
      throw new Refused('OUTCOME_UNKNOWN', '该条结果不明,须先核实平台是否已收到', { details: { article: ARTICLE } });
    if (row.act === 'recall') throw new Refused('RECALL_STAYS', '撤回须办结,不得放弃', { details: { article: 'HN-27' } });
    const newer = await tx.query(
      `select from outbox o join outbox n on n.connector = o.connector and n.stream = o.stream and n.record_id = o.record_id and n.id > o.id
         and n.state in ('waiting', 'sent', 'done') where o.id = $1`,
      [id],
    );
    if (newer.rowCount > 0) return giveUp(tx, row, act);
    const asked = await tx.query(
      `insert into outbox_discard (outbox_id, reason, requested_by, requested_name) values ($1, $2, $3, $4)
       on conflict (outbox_id) where state = 'requested' do nothing`,
      [id, act.reason, act.by.id, act.by.name],
    );
    if (asked.rowCount === 0) throw new Refused('DISCARD_OPEN', '该条已有待决定的放弃申请');
  });
}

/** Decides on giving a row up; never the person who asked. Throws as {@link retryDeadLetter}, REQUEST_NOT_FOUND and FOUR_EYES. */
export async function decideDiscard(sql: Sql, id: number, approve: boolean, act: Act): Promise<DeadLetter> {
  return handle(sql, id, act, async (tx, row) => {
    const { rows } = await tx.query<{ by: string; reason: string }>(
      `select requested_by as by, reason from outbox_discard where outbox_id = $1 and state = 'requested' for update`,
      [id],
    );
    const [asked] = rows;
    if (asked === undefined) throw new Refused('REQUEST_NOT_FOUND', '未找到该申请');
    if (asked.by === act.by.id) throw new Refused('FOUR_EYES', '申请人不得审批本人的申请', { status: 403, details: { article: ARTICLE } });
    await tx.query(
      `update outbox_discard set state = $2, decided_by = $3, decided_name = $4, decided_at = now(), decision_reason = $5
       where outbox_id = $1 and state = 'requested'`,
      [id, approve ? 'approved' : 'rejected', act.by.id, act.by.name, act.reason],
    );
    if (approve) await giveUp(tx, row, { ...act, reason: asked.reason });
  });
}

async function handle(sql: Sql, id: number, { reason }: Act, work: (tx: Sql, row: DeadLetter) => Promise<void>): Promise<DeadLetter> {
  if (reason.trim() === '') throw new Refused('REASON_REQUIRED', '须说明原因');
  return sql.transaction(async (tx) => {
    const { rows } = await tx.query<DeadLetter>(`select ${COLUMNS} from outbox o where o.id = $1 and ${DEAD} for update of o`, [id]);
    const [row] = rows;
    if (row === undefined) throw new Refused('DEAD_LETTER_NOT_FOUND', '未找到待处理的推送');
    await work(tx, row);
    const after = await tx.query<DeadLetter>(`select ${COLUMNS} from outbox o where o.id = $1`, [id]);
    return after.rows[0] ?? row;
  });
}

async function giveUp(tx: Sql, row: DeadLetter, act: Act): Promise<void> {
  await tx.query(`update outbox set state = 'discarded', reason = $2, changed_at = now() where id = $1`, [row.id, act.reason]);
  await closeIssues(tx, row, act, `放弃推送:${act.reason}`);
}

async function sendAgain(tx: Sql, { connector, stream }: DeadLetter, act: Act): Promise<void> {
  await ask(tx, { connector, stream }, act, null);
  await tx.query(`select pg_notify('${PUSH_CHANNEL}', $1)`, [`${connector}/${stream}`]);
}

async function closeIssues(tx: Sql, { id, connector, stream }: DeadLetter, { by }: Act, resolution: string): Promise<void> {
  await tx.query(
    `update issue set state = 'fixed', handled_by = $4, resolution = $5, changed_at = now() where connector = $1 and stream = $2 and at = $3
       and state = 'open' and rule in ('push-refused', 'push-withheld', 'recall-refused')`,
    [connector, stream, `outbox ${id}`, by.id, resolution],
  );
}
