import type { Reconciling, Window } from '../connectors/reconcile.ts';
import { StopStream } from '../errors.ts';
import type { PushStream } from '../model/types.ts';
import { heldReceipts } from '../store/held.ts';
import { cellName, compareKeys, countCells, type Held, joinCells, placeDifferences, type Told } from './compare.ts';
import type { Jobs } from './hub.ts';
import { keyOf } from './push-body.ts';
import { dayOf, dayWindow, type Found, localOf } from './reconcile-pull.ts';

/**
 * Compares what we hold receipts for with what the platform holds: both by the key under which it was sent, `record:version`, and the number of the
 * receipt, so that a content that was taken under another number, or lost after it was confirmed, shows.
 */
export async function comparePush(jobs: Jobs, stream: PushStream, asking: Reconciling, window: Window): Promise<Found> {
  const { category } = stream.publish;
  const held = new Map<string, Held>();
  const due: Held[] = [];
  for await (const batch of heldReceipts(jobs.pool, stream)) {
    for (const row of batch) {
      const { number, receivedAt, region } = row;
      const key = keyOf(row);
      const one = { key, stamp: number, version: null, wire: [key, number], day: dayOf(receivedAt) ?? '', category, gone: false };
      held.set(key, { ...one, region: region ?? '' });
      const local = localOf(receivedAt);
      if (window.since < local && local <= window.until) due.push({ ...one, region: region ?? '' });
    }
  }
  const isDue = new Set(due.map((one) => one.key));
  const toldOf = (parts: readonly string[], stamp: string): Told => {
    const [key = ''] = parts;
    const ours = held.get(key);
    const place = { day: ours?.day ?? '', region: ours?.region ?? '' };
    return { forms: [key], parts, stamp, version: null, wire: [key, stamp], category, ...place };
  };
  const { reconcile } = stream;
  if (reconcile === undefined) throw new StopStream(`no-reconcile: ${stream.zh} 的接收方没有约定对账方式`);
  if (reconcile.kind === 'listed') {
    const told: Told[] = [];
    for await (const keys of asking.keys(window)) told.push(...keys.map(({ key, stamp }) => toldOf(key, stamp)));
    const { differences, newest } = compareKeys(held, told, (one) => isDue.has(one.key));
    const cells = joinCells(countCells(due), countCells(newest.values()));
    return { method: 'listed', until: window.until, cells: placeDifferences(cells, differences), differences };
  }
  const stated = await asking.totals(window);
  // The receiver tells no regions of its own: days are compared, and what differs has the region of our record.
  const ours = countCells(due.map((one) => ({ ...one, region: '' })));
  const cells = joinCells(ours, new Map(stated.map((cell) => [cellName({ ...cell, region: '', category }), cell])));
  const days = new Set(cells.filter((cell) => cell.proof === 'keys').map((cell) => cell.day));
  const told: Told[] = [];
  for (const day of days)
    for await (const keys of asking.keys(dayWindow(day, window)))
      told.push(...keys.map(({ key, stamp }) => ({ ...toldOf(key, stamp), day })));
  const { differences } = compareKeys(held, told, (one) => isDue.has(one.key) && days.has(one.day));
  return { method: 'asked', until: window.until, cells: placeDifferences(cells, differences), differences };
}
