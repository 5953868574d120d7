import { pushStreams } from '../model/streams.ts';
import type { Model, PushStream } from '../model/types.ts';
import { addWorkingDays, workingDaysLeft } from '../rules/calendar.ts';
import { storeIssues } from './issues.ts';
import type { Keys } from './keys.ts';
import type { Sql } from './sql.ts';

/** Publications that have to be received within working days of a day of the record (双公示: seven from the decision). */
export interface Deadline {
  outbox: number;
  connector: string;
  stream: string;
  /** The term is that of this article. */
  article: string;
  /** The state of the row: it waits, its outcome is open, or a person has to see to it. */
  state: string;
  from: string;
  due: string;
  /** Its term runs into a year whose notice is not known: the day may move. */
  provisional: boolean;
  /** Working days; below 0: missed by so many. */
  daysLeft: number;
}

/** From so many working days on, an issue names the row. */
const NEAR = 2;
const DEADLINE_LOCK = 7_301_011;
const DAY = /^\d{4}-\d\d-\d\d$/;

/** Every publication that is due and has no receipt yet, the most urgent first; a later version of what was received in its term has none of its own. A record without the day has no term: that is for its mapping to say. */
export async function openDeadlines(sql: Sql, model: Model, today: string): Promise<Deadline[]> {
  const found = [];
  for (const stream of pushStreams(model))
    if (stream.publish.deadline !== undefined) found.push(...(await deadlinesOf(sql, model, stream, today)));
  return found.sort((a, b) => (a.due === b.due ? a.outbox - b.outbox : a.due < b.due ? -1 : 1));
}

async function deadlinesOf(sql: Sql, model: Model, stream: PushStream, today: string): Promise<Deadline[]> {
  const { deadline, category } = stream.publish;
  const sensitivity = model.categories.get(category)?.fields.get(deadline?.from ?? '')?.sensitivity;
  // The day is taken out of the class of its field; a sealed field is never a date.
  if (deadline === undefined || sensitivity === undefined || sensitivity === 'identity') return [];
  const { rows } = await sql.query<{ outbox: number; state: string; from: string | null }>(
    `select o.id as outbox, o.state, v.${sensitivity} ->> $3 as from from outbox o
     join record_version v on v.record_id = o.record_id and v.version = o.version
     where o.connector = $1 and o.stream = $2 and o.act = 'publish' and o.state in ('waiting', 'sent', 'unknown', 'refused', 'withheld')
       and not exists (select from outbox d where d.record_id = o.record_id and d.connector = o.connector and d.stream = o.stream
         and d.act = 'publish' and d.state = 'done')`,
    [stream.connector, stream.id, deadline.from],
  );
  return rows.flatMap(({ outbox, state, from }) => {
    if (from === null || !DAY.test(from)) return [];
    const { day: due, provisional } = addWorkingDays(model.calendar, from, deadline.workingDays);
    const daysLeft = today > due ? Math.min(-1, workingDaysLeft(model.calendar, today, due)) : workingDaysLeft(model.calendar, today, due);
    return [{ outbox, connector: stream.connector, stream: stream.id, article: stream.article, state, from, due, provisional, daysLeft }];
  });
}

/**
 * Names every publication whose deadline nears or has passed in an issue, once, and closes the issues of those that have their receipt or are over
 * otherwise. One process at a time. Gives how many issues are new.
 */
export async function watchDeadlines(sql: Sql, keys: Keys, model: Model, today: string): Promise<number> {
  if (!pushStreams(model).some(({ publish }) => publish.deadline !== undefined)) return 0;
  return sql.transaction(async (tx) => {
    const lock = await tx.query<{ held: boolean }>('select pg_try_advisory_xact_lock($1) as held', [DEADLINE_LOCK]);
    if (lock.rows[0]?.held !== true) return 0;
    const urgent = (await openDeadlines(tx, model, today)).filter(({ daysLeft }) => daysLeft <= NEAR);
    const ruleOf = ({ daysLeft }: Deadline) => (daysLeft < 0 ? 'publication-late' : 'publication-due');
    const known = await tx.query<{ name: string }>(
      `select rule || ' ' || at as name from issue where rule in ('publication-due', 'publication-late') and state <> 'fixed'`,
    );
    const told = new Set(known.rows.map(({ name }) => name));
    const fresh = urgent.filter((one) => !told.has(`${ruleOf(one)} outbox ${one.outbox}`));
    for (const one of fresh) {
      const term = `${one.due}${one.provisional ? '(暂定)' : ''}`;
      const reason = one.daysLeft < 0 ? `公示期限 ${term} 已过,尚无回执` : `公示期限 ${term},剩余 ${one.daysLeft} 个工作日,尚无回执`;
      const place = `outbox ${one.outbox}`;
      await storeIssues(tx, keys, { connector: one.connector, id: one.stream }, 0, [
        { rule: ruleOf(one), at: place, place, reason, refused: false, raw: undefined },
      ]);
    }
    await tx.query(
      `update issue set state = 'fixed', resolution = '已有回执,或不再待公示', changed_at = now()
       where rule in ('publication-due', 'publication-late') and state = 'open' and not (rule || ' ' || at) = any($1)`,
      [urgent.map((one) => `${ruleOf(one)} outbox ${one.outbox}`)],
    );
    return fresh.length;
  });
}
