import type { Keys } from './keys.ts';

/** What an opaque text of the graph stands for. The kinds never mix: a cursor is no id, a subject no record. */
export type Place = 'subject' | 'record' | 'cursor' | 'submission' | 'erasure' | 'consent' | 'recall' | 'recall-notice' | 'objection';
const TAGS: Record<Place, number> = {
  subject: 1,
  record: 2,
  cursor: 3,
  submission: 4,
  erasure: 5,
  consent: 6,
  recall: 7,
  'recall-notice': 8,
  objection: 9,
};
const DAY = 86_400_000;

/** A row's id as the graph shows it: says nothing about how many rows there are, and cannot be made up. */
export function concealId(keys: Keys, place: Place, id: number): string {
  return keys.conceal(blockOf(place, id, 0));
}

export function revealId(keys: Keys, place: Place, text: string): number | undefined {
  return readBlock(keys, place, text)?.id;
}

/** Where a page ended: the day the list is ordered by (or one that no record has) and the row's id. Only a position; what is visible there is the grant's matter. */
export function concealCursor(keys: Keys, day: string, id: number): string {
  return keys.conceal(blockOf('cursor', id, Math.round(Date.parse(`${day}T00:00:00Z`) / DAY)));
}

export function revealCursor(keys: Keys, text: string): { day: string; id: number } | undefined {
  const block = readBlock(keys, 'cursor', text);
  return block && { day: new Date(block.days * DAY).toISOString().slice(0, 10), id: block.id };
}

function blockOf(place: Place, id: number, days: number): Buffer {
  const block = Buffer.alloc(16);
  block.writeUInt8(TAGS[place], 0);
  block.writeInt32BE(days, 4);
  block.writeBigUInt64BE(BigInt(id), 8);
  return block;
}

function readBlock(keys: Keys, place: Place, text: string): { id: number; days: number } | undefined {
  const block = keys.reveal(text);
  if (block === undefined || block.readUInt8(0) !== TAGS[place] || block.readUIntBE(1, 3) !== 0) return undefined;
  const id = Number(block.readBigUInt64BE(8));
  const days = block.readInt32BE(4);
  return Number.isSafeInteger(id) && Math.abs(days) < 4_000_000 ? { id, days } : undefined;
}
