import { createHash } from 'node:crypto';
import type { Row } from './population.ts';

/** One thing that the platform holds, as it tells it to who compares: the key, what it stands at, when it was written, and where it belongs. */
export interface Holding {
  key: readonly string[];
  stamp: string;
  /** Local time `yyyy-MM-dd HH:mm:ss`. */
  time: string;
  region: string;
}

export interface Cell {
  RQ: string;
  XZQH: string;
  SL: number;
  ZY: string;
}

const TIME = /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/;
const SPACE = 1n << 256n;

/** The platform's own counts and set hashes of what it wrote in a window (beginTime, endTime]: this is its truth, whatever it delivers. */
export function totalsOf(holdings: readonly Holding[], query: Record<string, unknown>): { cells: Cell[] } | string {
  const inside = within(holdings, query);
  if (typeof inside === 'string') return inside;
  const cells = Map.groupBy(inside, ({ time, region }) => `${time.slice(0, 10)} ${region}`);
  return {
    cells: [...cells].map(([name, members]) => {
      const [RQ = '', XZQH = ''] = name.split(' ');
      return { RQ, XZQH, SL: members.length, ZY: hashOf(members) };
    }),
  };
}

/** A page of what it holds of a window. `columns` name the parts of the key. */
export function keysOf(
  holdings: readonly Holding[],
  query: Record<string, unknown>,
  columns: readonly string[],
  stampColumn: string,
): { keys: Row[]; total: number } | string {
  const inside = within(holdings, query);
  if (typeof inside === 'string') return inside;
  const { page, pageSize } = query;
  if (!Number.isInteger(page) || !Number.isInteger(pageSize) || Number(page) < 1 || Number(pageSize) < 1 || Number(pageSize) > 1000)
    return '参数错误：page或pageSize';
  const from = (Number(page) - 1) * Number(pageSize);
  const keys = inside.slice(from, from + Number(pageSize)).map(({ key, stamp }) => ({
    ...Object.fromEntries(columns.map((column, i) => [column, key[i] ?? ''])),
    [stampColumn]: stamp,
  }));
  return { keys, total: inside.length };
}

/** Rows of a directory as holdings; the region is that of the row, where it tells one. */
export function holdingsOfRows(rows: readonly Row[]): Holding[] {
  return rows.map((row) => ({
    key: [String(row['ID'])],
    stamp: String(row['SJC']),
    time: String(row['SJC']),
    region: String(row['XZQH'] ?? '').slice(0, 6),
  }));
}

function within(holdings: readonly Holding[], { beginTime, endTime }: Record<string, unknown>): Holding[] | string {
  if (typeof beginTime !== 'string' || typeof endTime !== 'string' || !TIME.test(beginTime) || !TIME.test(endTime))
    return '参数错误：时间格式应为yyyy-MM-dd HH:mm:ss';
  return holdings.filter(({ time }) => beginTime < time && time <= endTime);
}

/** The recipe that both sides agreed on, written down a second time: a stand-in that shared the hub's code could not find a fault in it. */
function hashOf(members: readonly Holding[]): string {
  let sum = 0n;
  for (const { key, stamp } of members) {
    const digest = createHash('sha256')
      .update(Buffer.from([...key, stamp].join('\n'), 'utf8'))
      .digest();
    sum += digest.reduce((number, byte) => number * 256n + BigInt(byte), 0n);
  }
  return (sum % SPACE).toString(16).padStart(64, '0');
}
