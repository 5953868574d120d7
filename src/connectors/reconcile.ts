import { setTimeout as delay } from 'node:timers/promises';
import { StopStream } from '../errors.ts';
import type {
  AskedReconcile,
  DatabaseVia,
  FrontDatabasePushVia,
  HttpPushVia,
  HttpVia,
  Json,
  KeysQuestion,
  PullStream,
  PushStream,
} from '../model/types.ts';
import type { OpenOptions, Page, PullFrom, RawRecord } from './contract.ts';
import { quoted, tableName } from './database.ts';
import type { Database } from './database.ts';
import { localTime, minutesBefore } from './local-time.ts';
import type { Session } from './login.ts';
import { notTooMany, pullHttp, toRecord } from './paging.ts';
import { textAt, valueAt } from './template.ts';
import { pullWatermark } from './watermark.ts';

/** What the platform states of one day, and region where it tells regions: how many it holds, and their set hash. */
export interface StatedCell {
  day: string;
  region: string;
  count: number;
  hash: string;
}
/** The key of one thing it holds, and what that stands at: the version of a row, the number of a receipt. */
export interface StatedKey {
  key: string[];
  stamp: string;
}
/** A window (since, until] of the platform's times, local `yyyy-MM-dd HH:mm:ss`. */
export interface Window {
  since: string;
  until: string;
}

/** What a platform holds, asked for comparison. Every failure is a `RetryLater` or a `StopStream`: then nothing is proved. */
export interface Reconciling {
  /**
   * Up to which time of the platform the stream has been read, by its cursor, or receipts can be compared: what is newer is not due. Undefined:
   * the stream knows no such time. StopStream: it was never read to an end.
   */
  due(cursor: Json | null): string | undefined;
  totals(window: Window): Promise<StatedCell[]>;
  keys(window: Window): AsyncIterable<StatedKey[]>;
  /** Rows by their keys, as the stream delivers them; a key may have none any more. */
  rows(keys: readonly string[][]): AsyncIterable<RawRecord[]>;
  /** Everything again that the stream has delivered so far. */
  reread(window: Window, from: PullFrom): AsyncIterable<Page>;
  /** Rows that the stream has not delivered yet: whoever is among them is not due. */
  waiting(window: Window, from: PullFrom): AsyncIterable<Page>;
  /** Puts what was handed over back to "not taken yet", so that handing it over again has an effect. */
  handOverAgain(keys: readonly string[]): Promise<void>;
}

export const BEGINNING = '1970-01-01 00:00:00';
/** Receipts of the last minutes may still be on their way. */
const IN_FLIGHT_MINUTES = 10;

const POLL_MS = 100;
const TAKEN_WAIT_MS = 5000;

export interface Openers {
  session(via: HttpVia | HttpPushVia): Session;
  database(url: string): Database;
  pull(stream: PullStream, from: PullFrom): AsyncIterable<Page>;
}

/** The questions of a stream by its transport and its `reconcile`; which there are, data says. */
export function openReconcile(stream: PullStream | PushStream, open: Openers, options: OpenOptions): Reconciling {
  const refuse = (what: string) => new StopStream(`no-reconcile: ${stream.zh} 没有约定${what}`);
  const { reconcile, via } = stream;
  const asked = reconcile?.kind === 'asked' && via.kind === 'http' ? { reconcile, session: open.session(via) } : undefined;
  const listed = reconcile?.kind === 'listed' && via.kind === 'database' ? reconcile : undefined;
  return {
    due: (cursor) => (stream.direction === 'push' ? minutesBefore(localTime(options.now()), IN_FLIGHT_MINUTES) : readUntil(stream, cursor)),
    totals(window) {
      if (asked === undefined) throw refuse('对账汇总接口');
      return askTotals(asked.session, asked.reconcile, window);
    },
    keys(window) {
      if (asked !== undefined) return askKeys(asked.session, asked.reconcile.keys, window);
      if (listed !== undefined && via.kind === 'database') return listKeys(open.database(via.url), listed, window);
      throw refuse('对账明细');
    },
    rows(keys) {
      if (asked?.reconcile.rows === undefined) throw refuse('按主键取数的接口');
      return askRows(asked.session, asked.reconcile.rows, asked.reconcile.keys.key, keys);
    },
    reread: (window, from) => reread(stream, open, window, from, options),
    waiting: (window, from) => waiting(stream, open, window, from, options),
    async handOverAgain(keys) {
      if (stream.direction !== 'push' || stream.via.kind !== 'database') return;
      await putBack(open.database(stream.via.url), stream.via, keys, options);
    },
  };
}

async function askTotals(session: Session, { totals }: AskedReconcile, window: Window): Promise<StatedCell[]> {
  const call = { method: 'POST', path: totals.path, body: totals.body } as const;
  const label = session.label(call);
  const cells = listAt(await session.read({ ...call, values: { ...window } }), totals.cells, label).map((cell) => {
    const [day, count, hash] = [totals.day, totals.count, totals.hash].map((at) => textAt(cell, at) ?? '');
    const region = totals.region === undefined ? '' : textAt(cell, totals.region);
    if (
      !/^\d{4}-\d\d-\d\d$/.test(day ?? '') ||
      !/^\d{1,12}$/.test(count ?? '') ||
      !/^[0-9a-f]{64}$/.test(hash ?? '') ||
      region === undefined
    )
      throw new StopStream(`unexpected-shape: ${label} 的对账汇总缺少日期、区划、数量或摘要`);
    return { day: day ?? '', region, count: Number(count), hash: hash ?? '' };
  });
  if (new Set(cells.map(({ day, region }) => `${day} ${region}`)).size < cells.length)
    throw new StopStream(`unexpected-shape: ${label} 的对账汇总有重复的日期和区划`);
  return cells;
}

async function* askKeys(session: Session, question: KeysQuestion, window: Window): AsyncGenerator<StatedKey[]> {
  const call = { method: 'POST', path: question.path, body: question.body } as const;
  const label = session.label(call);
  const { size } = question;
  for (let page = 1, given = 0; ; page += 1) {
    const body = await session.read({ ...call, values: { ...window, page, size } });
    const rows = listAt(body, question.items, label);
    const total = Number(textAt(body, question.total) ?? 'none');
    if (!Number.isSafeInteger(total)) throw new StopStream(`unexpected-shape: ${label} 的应答没有总数`);
    const keys = rows.map((row) => ({
      key: question.key.map((column) => textAt(row, column) ?? ''),
      stamp: textAt(row, question.stamp) ?? '',
    }));
    given += rows.length;
    yield keys;
    if (given >= total) return;
    // Fewer than it promised: nothing may be concluded from what is left out.
    if (rows.length < size) throw new StopStream(`short-page: ${label} 应有 ${total} 个主键，实际 ${given} 个`);
  }
}

async function* askRows(
  session: Session,
  question: NonNullable<AskedReconcile['rows']>,
  columns: readonly string[],
  keys: readonly string[][],
): AsyncGenerator<RawRecord[]> {
  const call = { method: 'POST', path: question.path, body: question.body } as const;
  for (const [n, key] of keys.entries()) {
    const values = Object.fromEntries(columns.map((column, i) => [column, key[i] ?? '']));
    const rows = listAt(await session.read({ ...call, values }), question.items, session.label(call));
    yield rows.map((row) => toRecord(row, `reconcile row ${n + 1}`));
  }
}

/** The whole table within the window; a front database shows exactly what its platform holds. */
async function* listKeys(
  database: Database,
  { table, key, stamp, time }: { table: string; key: string; stamp: string; time: string },
  { since, until }: Window,
): AsyncGenerator<StatedKey[]> {
  const size = 5000;
  for (let after = ''; ;) {
    const rows = await database.query(
      `select ${quoted(key)}::text as key, ${quoted(stamp)}::text as stamp from ${tableName(table)}
       where ${quoted(time)} > $1 and ${quoted(time)} <= $2 and ${quoted(key)}::text > $3 order by ${quoted(key)}::text limit ${size}`,
      [since, until, after],
    );
    yield rows.map((row) => ({ key: [String(row['key'])], stamp: String(row['stamp'] ?? '') }));
    if (rows.length < size) return;
    after = String(rows.at(-1)?.['key']);
  }
}

/** Rows in the inbound table wait again; the platform is given a moment to take them, as after a push. */
async function putBack(database: Database, via: FrontDatabasePushVia, keys: readonly string[], options: OpenOptions): Promise<void> {
  const [table, key, flag] = [tableName(via.table), quoted(via.key), quoted(via.flag)];
  await database.query(`update ${table} set ${flag} = $1 where ${key} = any($2)`, [via.pending, [...keys]]);
  const until = performance.now() + (options.feedbackWaitMs ?? TAKEN_WAIT_MS);
  while (performance.now() < until && !options.signal?.aborted) {
    const waiting = await database.query(`select 1 as one from ${table} where ${flag} = $1 and ${key} = any($2) limit 1`, [
      via.pending,
      [...keys],
    ]);
    if (waiting.length === 0) return;
    await delay(POLL_MS);
  }
}

/** The end of the window that the cursor of a stream has behind it, less the overlap: in there, nothing may be missing. */
function readUntil({ via, zh }: PullStream, cursor: Json | null): string | undefined {
  const held = cursor !== null && typeof cursor === 'object' && !Array.isArray(cursor) ? cursor : {};
  const never = new StopStream(`never-read: ${zh} 还没有完整读取过，无从核对`);
  if (via.kind === 'http' && via.paging !== undefined) {
    if (typeof held['since'] !== 'string') throw never;
    return held['since'] > BEGINNING ? minutesBefore(held['since'], via.paging.overlapMinutes) : held['since'];
  }
  if (via.kind === 'database' && via.watermark !== undefined) {
    if (typeof held['from'] !== 'string') throw never;
    return minutesBefore(held['from'].slice(0, 19), via.watermark.overlapMinutes);
  }
  return undefined;
}

function reread(stream: PullStream | PushStream, open: Openers, window: Window, from: PullFrom, options: OpenOptions): AsyncIterable<Page> {
  if (stream.direction === 'push') throw new StopStream(`no-reconcile: ${stream.zh} 的接收方没有约定对账方式`);
  const { via } = stream;
  if (via.kind === 'http' && via.paging !== undefined) {
    const cursor = { ...window, page: 1, size: via.paging.size, total: null, before: null };
    return pullHttp(open.session(via), via, cursor, options);
  }
  if (via.kind === 'database') {
    const database = open.database(via.url);
    if (via.watermark !== undefined) return pullWatermark(database, via, via.watermark, { from: null, ...window, next: null, after: null });
    if (via.exchange !== undefined) return readFront(database, via, via.exchange, '<>');
  }
  if (via.kind === 'manual') throw new StopStream(`no-reconcile: ${stream.zh} 由人工录入，没有可以对照的平台`);
  if (via.kind === 'national-insurance' && via.each?.ask !== undefined)
    throw new StopStream(`no-reconcile: ${stream.zh} 逐人查询，不能整体对照`);
  // Files of a folder, and transactions that answer whole: everything from the beginning.
  return open.pull(stream, { ...from, cursor: null });
}

async function* waiting(
  stream: PullStream | PushStream,
  open: Openers,
  window: Window,
  from: PullFrom,
  options: OpenOptions,
): AsyncGenerator<Page> {
  const { via } = stream;
  if (via.kind === 'database' && 'exchange' in via && via.exchange !== undefined)
    yield* readFront(open.database(via.url), via, via.exchange, '=');
  else if ((via.kind === 'http' && 'paging' in via && via.paging !== undefined) || (via.kind === 'database' && 'watermark' in via))
    yield* reread(stream, open, window, from, options);
}

/** Rows of a front database by their flag: `=` those that wait, `<>` those that the platform takes to be exchanged; as they were when they waited. */
async function* readFront(
  database: Database,
  via: DatabaseVia,
  { flag, pending, order }: NonNullable<DatabaseVia['exchange']>,
  is: '=' | '<>',
): AsyncGenerator<Page> {
  const place = '__hub_place';
  let after: unknown[] = [];
  for (;;) {
    const rows = await database.query(
      `select *, ctid::text as ${place} from ${tableName(via.table)} where ${quoted(flag)} ${is} $1
       ${after.length === 0 ? '' : `and (${quoted(order)}, ctid) > ($3, $4::tid)`} order by ${quoted(order)}, ctid limit $2`,
      [pending, via.size, ...after],
    );
    const records = rows.map(({ [place]: _place, ...row }): RawRecord => ({
      at: `row ${String(row[order])}`,
      data: { ...row, [flag]: pending },
    }));
    const end = rows.at(-1);
    if (end) after = [end[order], end[place]];
    const last = rows.length < via.size;
    yield { records, cursor: null, last };
    if (last) return;
  }
}

function listAt(body: Json, at: string, label: string): Json[] {
  const list = valueAt(body, at);
  if (!Array.isArray(list)) throw new StopStream(`unexpected-shape: ${label} 的应答在 ${at} 处没有列表`);
  return notTooMany(list, label);
}
