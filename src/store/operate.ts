import { Refused } from '../errors.ts';
import { findStream, readsByTime, runsByItself } from '../model/streams.ts';
import type { Connector, Model, Stream } from '../model/types.ts';
import { CLOSED } from '../rules/breaker.ts';
import { closeIssue, held } from './platforms.ts';
import type { Sql } from './sql.ts';

/** What people do to the use of a platform (HN-36). Each act has its person and its reason; the query log has it before it is done. */

export interface Act {
  by: { id: string; name: string };
  reason: string;
}
/** A connector, or one stream of it. */
export interface Target {
  connector: string;
  stream: string | undefined;
}

const ARTICLE = 'HN-36';

/**
 * No run begins, and one that is under way ends after the call it is making; nothing is lost meanwhile. Throws `Refused` REASON_REQUIRED,
 * PLATFORM_NOT_FOUND, STREAM_NOT_FOUND or ALREADY_PAUSED.
 */
export async function pause(sql: Sql, model: Model, target: Target, { by, reason }: Act): Promise<void> {
  check(model, target, reason);
  const { rowCount } = await sql.query(
    target.stream === undefined
      ? `insert into platform (connector, paused, paused_by, paused_name, paused_at, pause_reason) values ($1, true, $2, $3, now(), $4)
         on conflict (connector) do update set paused = true, paused_by = $2, paused_name = $3, paused_at = now(), pause_reason = $4 where not platform.paused`
      : `insert into stream_state (connector, stream, paused, paused_by, paused_name, paused_at, pause_reason) values ($1, $5, true, $2, $3, now(), $4)
         on conflict (connector, stream) do update set paused = true, paused_by = $2, paused_name = $3, paused_at = now(), pause_reason = $4
         where not stream_state.paused`,
    [target.connector, by.id, by.name, reason, ...(target.stream === undefined ? [] : [target.stream])],
  );
  if (rowCount === 0) throw new Refused('ALREADY_PAUSED', '该平台或数据流已暂停', { details: { article: ARTICLE } });
}

/** What was put off by the pause goes on at once; the rest with its schedule. Throws as {@link pause} does, and NOT_PAUSED. */
export async function resume(sql: Sql, model: Model, target: Target, { by, reason }: Act): Promise<void> {
  check(model, target, reason);
  await sql.transaction(async (tx) => {
    const table = target.stream === undefined ? 'platform' : 'stream_state';
    const { rowCount } = await tx.query(
      `update ${table} set paused = false, paused_by = null, paused_name = null, paused_at = null, pause_reason = null
       where connector = $1 and paused ${target.stream === undefined ? '' : 'and stream = $2'}`,
      target.stream === undefined ? [target.connector] : [target.connector, target.stream],
    );
    if (rowCount === 0) throw new Refused('NOT_PAUSED', '该平台或数据流未暂停', { details: { article: ARTICLE } });
    await tx.query(
      `update stream_state set asked_at = now(), asked_by = $3, asked_name = $4, ask_reason = $5
       where connector = $1 and ($2::text is null or stream = $2) and deferred_why = 'paused'`,
      [target.connector, target.stream ?? null, by.id, by.name, reason],
    );
  });
}

/** The stream runs as soon as a worker hears of it, within its hours and budget. Throws as {@link pause}, and STREAM_NOT_RUNNABLE. */
export async function askRun(sql: Sql, model: Model, target: Target, act: Act): Promise<void> {
  runnable(model, target, act.reason);
  await ask(sql, target, act, null);
}

/**
 * Moves the cursor of a stream back to the beginning of a day: its next run, which is asked for with it, reads from there on. What is known already
 * is not stored twice. Throws as {@link askRun}, BACKFILL_NOT_POSSIBLE where the cursor is no time, and BAD_DAY for a day to come.
 */
export async function backfill(sql: Sql, model: Model, target: Target, from: string, act: Act, today: string): Promise<void> {
  const stream = runnable(model, target, act.reason);
  if (stream.direction === 'push' || !readsByTime(stream.via))
    throw new Refused('BACKFILL_NOT_POSSIBLE', '该数据流不按时间读取,无法指定起始日期', { details: { article: ARTICLE } });
  if (from > today) throw new Refused('BAD_DAY', '起始日期不得晚于今日', { status: 400 });
  await sql.transaction(async (tx) => {
    await tx.query(
      `insert into cursor_change (connector, stream, before, backfill_from, changed_by, changed_name, reason)
       select $1, $2, (select cursor from stream_state where connector = $1 and stream = $2), $3, $4, $5, $6`,
      [target.connector, target.stream, from, act.by.id, act.by.name, act.reason],
    );
    await ask(tx, target, act, from);
  });
}

/** Takes the platform to be back. Throws as {@link pause}, and BREAKER_CLOSED. */
export async function resetBreaker(sql: Sql, model: Model, connector: string, { by, reason }: Act): Promise<void> {
  check(model, { connector, stream: undefined }, reason);
  await sql.transaction(async (tx) => {
    const { breaker } = await held(tx, connector);
    if ((breaker ?? CLOSED).state === 'closed')
      throw new Refused('BREAKER_CLOSED', '该平台的熔断未打开', { details: { article: ARTICLE } });
    await tx.query('update platform set breaker = $2 where connector = $1', [connector, JSON.stringify(CLOSED)]);
    await tx.query(`update stream_state set deferred_until = now() where connector = $1 and deferred_why = 'breaker'`, [connector]);
    await closeIssue(tx, connector, by.id, reason);
  });
}

/** Has a worker run a stream as soon as it hears of it. */
export async function ask(sql: Sql, { connector, stream }: Target, { by, reason }: Act, from: string | null): Promise<void> {
  await sql.query(
    `insert into stream_state as s (connector, stream, asked_at, asked_by, asked_name, ask_reason, backfill_from) values ($1, $2, now(), $3, $4, $5, $6)
     on conflict (connector, stream) do update set asked_at = now(), asked_by = $3, asked_name = $4, ask_reason = $5,
       backfill_from = coalesce($6, s.backfill_from)`,
    [connector, stream, by.id, by.name, reason, from],
  );
}

function check(model: Model, { connector, stream }: Target, reason: string): Connector {
  if (reason.trim() === '') throw new Refused('REASON_REQUIRED', '须说明原因');
  const found = model.connectors.get(connector);
  if (found === undefined) throw new Refused('PLATFORM_NOT_FOUND', '没有该平台', { status: 400 });
  if (stream !== undefined && !found.streams.has(stream)) throw new Refused('STREAM_NOT_FOUND', '该平台没有该数据流', { status: 400 });
  return found;
}

function runnable(model: Model, target: Target, reason: string): Stream {
  check(model, target, reason);
  const stream = findStream(model, `${target.connector}/${target.stream}`);
  if (stream === undefined) throw new Refused('STREAM_NOT_FOUND', '该平台没有该数据流', { status: 400 });
  if (stream.direction !== 'push' && !runsByItself(stream.via))
    throw new Refused('STREAM_NOT_RUNNABLE', '该数据流须由人员提供文件或查询对象,不能直接运行', { details: { article: ARTICLE } });
  return stream;
}
