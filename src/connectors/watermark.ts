import { StopStream } from '../errors.ts';
import type { DatabaseVia, Json } from '../model/types.ts';
import type { Page, RawRecord } from './contract.ts';
import { quoted, tableName } from './database.ts';
import type { Database, Row } from './database.ts';

/** All texts are the source's own. `until` marks a run that is not finished; `after` is the last row it gave. */
interface Position {
  from: string | null;
  since: string | null;
  until: string | null;
  next: string | null;
  after: { time: string; id: string } | null;
}

/**
 * Rows of a table in the order (time, id), from the watermark of the last run less the overlap up to the newest row of the moment the run
 * starts. A row that is changed meanwhile leaves the run and is in the next one; a row that was committed late, with a time already read, is
 * within the overlap. Rows whose time lies in the future are read in every run, so that they cannot carry the watermark away.
 */
export async function* pullWatermark(
  database: Database,
  via: DatabaseVia,
  watermark: NonNullable<DatabaseVia['watermark']>,
  cursor: Json | null,
): AsyncGenerator<Page> {
  const table = tableName(via.table);
  const time = quoted(watermark.time);
  const id = quoted(watermark.id);
  let position = positionFrom(cursor, via.table);
  let total: number | undefined;
  let unreadable: RawRecord[] = [];
  if (position.until === null) {
    const start = await runStart(database, table, time, id, position.from, watermark.overlapMinutes);
    ({ total } = start);
    unreadable = start.unreadable === 0 ? [] : [withoutWatermark(via.table, start.unreadable)];
    if (start.until === null) {
      yield { records: unreadable, cursor: cursor ?? null, last: true, total: 0 };
      return;
    }
    position = { from: position.from, since: start.since, until: start.until, next: start.next, after: null };
  }
  for (;;) {
    const rows = await readPage(database, table, time, id, position, via.size);
    const last = rows.length < via.size;
    const records = [...unreadable, ...rows.map((row) => toRecord(row, watermark))];
    unreadable = [];
    const end = rows.at(-1);
    if (end) position = { ...position, after: { time: String(end[watermark.time]), id: String(end[watermark.id]) } };
    yield {
      records,
      cursor: last ? { from: position.next } : { ...position },
      last,
      ...(total === undefined ? {} : { total }),
    };
    if (last) return;
  }
}

/** One statement, so that the bounds and the count are of one moment. The source's database does the arithmetic on its own texts. */
async function runStart(database: Database, table: string, time: string, id: string, from: string | null, overlapMinutes: number) {
  const [row] = await database.query(
    `with bound as (
       select $1::text::timestamp - make_interval(mins => $2) as since, max(${time}) as until,
         count(*) filter (where ${time} is null or ${id} is null) as unreadable
       from ${table})
     select since::text, until::text, unreadable::text, least(until, localtimestamp)::text as next,
       (select count(*) from ${table} where ${time} <= until and (since is null or ${time} >= since))::text as total
     from bound`,
    [from, overlapMinutes],
  );
  if (row === undefined) throw new StopStream('database-refused: 统计语句没有返回结果');
  return {
    since: textOrNull(row['since']),
    until: textOrNull(row['until']),
    next: textOrNull(row['next']),
    unreadable: Number(row['unreadable']),
    total: Number(row['total']),
  };
}

function readPage(database: Database, table: string, time: string, id: string, position: Position, size: number): Promise<Row[]> {
  const { since, until, after } = position;
  const [lower, values] = after
    ? [`(${time}, ${id}) > ($3, $4)`, [after.time, after.id]]
    : since === null
      ? ['true', []]
      : [`${time} >= $3`, [since]];
  return database.query(`select * from ${table} where ${time} <= $1 and ${id} is not null and ${lower} order by ${time}, ${id} limit $2`, [
    until,
    size,
    ...values,
  ]);
}

function toRecord(row: Row, watermark: { time: string; id: string }): RawRecord {
  return { at: `row ${String(row[watermark.time])} ${String(row[watermark.id])}`, data: row };
}

/** They have no place in the order: said once per run instead of being passed over. */
function withoutWatermark(table: string, count: number): RawRecord {
  const message = `${count} 行没有更新时间或行标识，无法增量读取`;
  return { at: `table ${table}`, data: { count }, broken: { rule: 'no-watermark', message } };
}

function positionFrom(cursor: Json | null, table: string): Position {
  const none: Position = { from: null, since: null, until: null, next: null, after: null };
  if (cursor === null) return none;
  if (typeof cursor !== 'object' || Array.isArray(cursor)) throw new StopStream(`bad-cursor: ${table} 的游标无法识别`);
  const { from, since, until, next, after } = cursor;
  const found = { ...none, from: textOrNull(from), since: textOrNull(since), until: textOrNull(until), next: textOrNull(next) };
  if (after === null || after === undefined) return found;
  const { time, id } = typeof after === 'object' && !Array.isArray(after) ? after : {};
  if (typeof time !== 'string' || typeof id !== 'string') throw new StopStream(`bad-cursor: ${table} 的游标无法识别`);
  return { ...found, after: { time, id } };
}

function textOrNull(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}
