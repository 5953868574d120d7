import { createHash } from 'node:crypto';
import { RetryLater, StopStream } from '../errors.ts';
import type { HttpVia, Json, PageNumber } from '../model/types.ts';
import type { OpenOptions, Page, RawRecord } from './contract.ts';
import { faultOf } from './json.ts';
import { localTime, minutesBefore } from './local-time.ts';
import type { Call, Session } from './login.ts';
import { textAt, valueAt } from './template.ts';

const BEGINNING = '1970-01-01 00:00:00';
/** How often rows may leave a window while it is read before the run gives up for now. */
const MOST_STEPS_BACK = 50;
/** Of one answer. */
const MOST_ROWS = 100_000;

/** A window (since, until] of which `page` of pages of `size` is read next; without `until` the window before is finished. */
interface Window {
  since: string;
  until: string;
  page: number;
  /** What the platform said the window holds, when it was last asked. */
  total: number | undefined;
  /** Hash of the page before this one, so that a run that goes on knows a repeated page too. */
  before: string | undefined;
}

/**
 * Pages of an HTTP stream. `until` is fixed when a run starts, so a run ends although the platform goes on writing; a run that stopped half
 * way goes on in its own window. Page numbers move when rows leave the window (they were changed, so they belong to the next one): a total
 * that became smaller steps back by as many pages, since rows not yet read moved up onto pages already read.
 * A window ends `overlapMinutes` before now. A row that is changed must leave the window to make its total smaller; by the clock of a platform
 * that is behind ours it would only move to the end, and those that moved up for it would go unseen. What is newer is in the next run.
 * StopStream: the platform repeats a page, or has no end. RetryLater: a page is shorter than the total promises.
 */
export async function* pullHttp(session: Session, via: HttpVia, cursor: Json | null, options: OpenOptions): AsyncGenerator<Page> {
  const call: Call = { method: via.method, path: via.path, query: via.query, body: via.body };
  const label = session.label(call);
  const { paging } = via;
  if (paging === undefined) {
    const body = await session.read(call);
    const rows = rowsOf(body, via, label);
    yield { records: toRecords(rows, 1), cursor: null, last: true, total: rows.length };
    return;
  }

  const window = windowFrom(cursor, paging, options.now(), label);
  const { since, until } = window;
  let { page, total, before } = window;
  let firstTotal: number | undefined;
  let stepsBack = 0;
  const seen = new Map(before === undefined ? [] : [[before, page - 1]]);
  for (;;) {
    const body = await session.read({ ...call, values: { page, size: paging.size, since, until } });
    const rows = rowsOf(body, via, label);
    const count = totalOf(body, via, label);
    if (count !== undefined && count !== total) seen.clear();
    if (count !== undefined && total !== undefined && count < total && page > 1) {
      if (++stepsBack > MOST_STEPS_BACK) throw new RetryLater(`unstable-window: ${label} 的数据在读取期间不断变化`);
      page = Math.max(1, page - Math.ceil((total - count) / paging.size));
      total = count;
      continue;
    }
    total = count;
    firstTotal ??= count;
    checkLength(rows.length, page, paging.size, count, label);
    checkEnd(page, paging.size, firstTotal, label);
    before = checkRepeat(rows, page, seen, label);
    const last = count === undefined ? rows.length < paging.size : page * paging.size >= count;
    const next: Json = last ? { since: until } : { since, until, page: page + 1, size: paging.size, total: count ?? null, before };
    yield { records: toRecords(rows, page), cursor: next, last, ...(count === undefined ? {} : { total: count }) };
    if (last) return;
    page += 1;
  }
}

function windowFrom(cursor: Json | null, { overlapMinutes, size }: PageNumber, now: Date, label: string): Window {
  const until = minutesBefore(localTime(now), overlapMinutes);
  const fresh = { page: 1, total: undefined, before: undefined };
  if (cursor === null) return { since: BEGINNING, until, ...fresh };
  const { since, until: open, page, size: old, total, before } = typeof cursor === 'object' && !Array.isArray(cursor) ? cursor : {};
  if (typeof since !== 'string') throw new StopStream(`bad-cursor: ${label} 的游标无法识别`);
  if (typeof open === 'string' && typeof page === 'number') {
    // Page numbers mean nothing once the model has another size: the window begins again.
    if (old !== size) return { since, until: open, ...fresh };
    return {
      since,
      until: open,
      page,
      total: typeof total === 'number' ? total : undefined,
      before: typeof before === 'string' ? before : undefined,
    };
  }
  // A clock that went back must not turn the window round.
  return {
    since: since > BEGINNING ? minutesBefore(since, overlapMinutes) : since,
    until: until > since ? until : since,
    ...fresh,
  };
}

function rowsOf(body: Json, via: HttpVia, label: string): Json[] {
  const items = valueAt(body, via.items);
  if (Array.isArray(items)) return notTooMany(items, label);
  if ((items === undefined || items === null) && via.total !== undefined && textAt(body, via.total) === '0') return [];
  throw new StopStream(`unexpected-shape: ${label} 的应答在 ${via.items} 处没有列表`);
}

/** A small body can hold millions of rows that are nothing, and each costs more than its bytes. */
export function notTooMany(rows: Json[], label: string): Json[] {
  if (rows.length > MOST_ROWS) throw new StopStream(`too-large: ${label} 的一次应答超过 ${MOST_ROWS} 行`);
  return rows;
}

function totalOf(body: Json, via: HttpVia, label: string): number | undefined {
  if (via.total === undefined) return undefined;
  const text = textAt(body, via.total) ?? '';
  if (!/^\d{1,12}$/.test(text)) throw new StopStream(`unexpected-shape: ${label} 的应答在 ${via.total} 处没有总数`);
  return Number(text);
}

/** A platform that caps the page size, or answers an empty list in trouble, would otherwise lose rows without a word. */
function checkLength(rows: number, page: number, size: number, total: number | undefined, label: string): void {
  if (total === undefined) return;
  const expected = Math.min(size, Math.max(0, total - (page - 1) * size));
  if (rows < expected) throw new RetryLater(`short-page: ${label} 第 ${page} 页应有 ${expected} 条，实际 ${rows} 条`);
}

/** A total may grow while rows arrive late, but not with every page that is read. */
function checkEnd(page: number, size: number, firstTotal: number | undefined, label: string): void {
  if (firstTotal !== undefined && page > 2 * Math.ceil(firstTotal / size) + 1) {
    throw new StopStream(`endless-pages: ${label} 的页数超过首次告知总数的两倍，已停止读取`);
  }
}

function checkRepeat(rows: Json[], page: number, seen: Map<string, number>, label: string): string {
  const hash = createHash('sha256').update(JSON.stringify(rows)).digest('base64');
  if (rows.length === 0) return hash;
  const before = seen.get(hash);
  if (before !== undefined && before !== page)
    throw new StopStream(`looping-pages: ${label} 第 ${page} 页与第 ${before} 页内容相同，已停止读取`);
  seen.set(hash, page);
  return hash;
}

function toRecords(rows: Json[], page: number): RawRecord[] {
  return rows.map((row, i) => toRecord(row, `page ${page} row ${i + 1}`));
}

const SAYS = { 'repeated-key': '该行有重复的键', 'too-deep': '该行嵌套过深' };

/** A row that is no object is kept as it came under the key `value`. */
export function toRecord(row: Json, at: string): RawRecord {
  const fault = faultOf(row);
  if (row !== null && typeof row === 'object' && !Array.isArray(row))
    return { at, data: row, ...(fault ? { broken: { rule: fault, message: SAYS[fault] } } : {}) };
  return { at, data: { value: row }, broken: { rule: 'bad-row', message: '该行不是键值对象' } };
}
