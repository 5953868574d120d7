import { fold } from '../identity/fold.ts';
import { SHANGHAI_MS } from './dates.ts';
import { reject } from './reject.ts';

/** Not there, or nothing but blanks (full-width ones too). */
export function isBlank(source: unknown): boolean {
  return source === undefined || source === null || (typeof source === 'string' && source.trim() === '');
}

/**
 * A source value as text: trimmed, NFC, well-formed, without control characters except tab and line ends. Numbers, booleans and Date (as local
 * time `yyyy-MM-dd HH:mm:ss.SSS`) are what drivers and JSON hand over; objects are refused.
 * A number that JSON could not hold exactly has already lost digits, so it is refused (`bad-amount`) rather than stored wrong.
 */
export function textOf(source: unknown, where: string): string {
  switch (typeof source) {
    case 'string':
      return clean(source, where);
    case 'number':
      if (!Number.isFinite(source) || (Number.isInteger(source) && !Number.isSafeInteger(source))) throw reject('bad-amount', where);
      return String(source);
    case 'bigint':
    case 'boolean':
      return String(source);
    default:
      if (source instanceof Date) return localText(source, where);
      throw reject('bad-text', where);
  }
}

/** Refuses text of more than `max` characters (code points). */
export function limited(text: string, max: number, where: string): string {
  if (text.length > max && (text.length > 2 * max || [...text].length > max)) throw reject('too-long', where);
  return text;
}

/** Finds the exact spelling, else the one that differs only in full-width forms, outer blanks or the case of ASCII letters. */
export function foldingLookup<T>(entries: Iterable<readonly [string, T]>): (text: string) => T | undefined {
  const exact = new Map(entries);
  const folded = new Map<string, T>();
  for (const [key, value] of exact) if (!folded.has(fold(key))) folded.set(fold(key), value);
  return (text) => exact.get(text) ?? folded.get(fold(text));
}

/** The first n characters, never half of one. */
export function firstCharacters(text: string, n: number): string {
  if (text.length <= n) return text;
  const characters = Array.from(text.slice(0, 2 * n));
  return characters.slice(0, n).join('');
}

function clean(source: string, where: string): string {
  let settled = true;
  for (let i = 0; i < source.length; i++) {
    const c = source.charCodeAt(i);
    if (c < 0x20) {
      if (c !== 9 && c !== 10 && c !== 13) throw reject('bad-text', where);
    } else if (c >= 0x300 && !isStable(c)) settled = false;
  }
  if (settled) return source.trim();
  // U+FFFD stands where a decoder met bytes it did not know: what was there is lost.
  if (!source.isWellFormed() || source.includes('\ufffd')) throw reject('bad-text', where);
  return source.trim().normalize('NFC');
}

/** Characters that NFC leaves alone wherever they stand: common Chinese, its punctuation and full-width forms. Spares most texts the work. */
function isStable(c: number): boolean {
  return (c >= 0x4e00 && c <= 0x9fff) || (c >= 0x3001 && c <= 0x3020) || (c >= 0xff01 && c <= 0xff5e);
}

function localText(source: Date, where: string): string {
  const local = new Date(source.getTime() + SHANGHAI_MS);
  if (Number.isNaN(local.getTime())) throw reject('bad-date', where);
  return local.toISOString().replace('T', ' ').slice(0, -1);
}
