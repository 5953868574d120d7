import { StopStream } from '../errors.ts';
import type { Json } from '../model/types.ts';

/** What is wrong with a row although JSON.parse takes it. */
export type RowFault = 'repeated-key' | 'too-deep';

/** No platform nests deeper. JSON.stringify fails at some thousand levels, and JSON.parse takes fifty bytes for each bracket that stays open. */
const DEEPEST = 64;

/** Beside the values, because JSON has no place for it. */
const faults = new WeakMap<object, RowFault>();

interface Frame {
  /** Of an object: those seen so far. Undefined: an array. */
  keys: Set<string> | undefined;
  /** Where in it the scan is. */
  at: string | number;
}
interface Found {
  fault: RowFault;
  /** Keys down to the first element of an array: the row. */
  row: (string | number)[];
}

/**
 * JSON.parse that says what it would pass over: a key that comes twice (the last one would win) and nesting that nothing after it could
 * take, which becomes the text it came as. The outermost list element that holds such a thing has a fault (`faultOf`), its neighbours have
 * none. Throws SyntaxError for a text that is no JSON, StopStream when what is ambiguous is no part of a list.
 */
export function parseJson(text: string, label: string): Json {
  const { found, readable } = scan(text);
  const body = JSON.parse(readable) as Json;
  for (const { fault, row } of found) {
    if (typeof row.at(-1) !== 'number') throw new StopStream(`${fault}: ${label} 的应答有重复的键或嵌套过深，无法确定含义`);
    const value = row.reduce<Json | undefined>((json, key) => (json as Record<string | number, Json> | undefined)?.[key], body);
    if (typeof value === 'object' && value !== null) faults.set(value, fault);
  }
  return body;
}

/** The fault that `parseJson` found in an element of a list. */
export function faultOf(row: Json): RowFault | undefined {
  return typeof row === 'object' && row !== null ? faults.get(row) : undefined;
}

function scan(text: string): { found: Found[]; readable: string } {
  const found: Found[] = [];
  const stack: Frame[] = [];
  let frame: Frame | undefined;
  let expectsKey = false;
  let readable = '';
  let copied = 0;
  for (let i = 0; i < text.length; i++) {
    switch (text.charCodeAt(i)) {
      case QUOTE: {
        const end = endOfString(text, i);
        if (expectsKey && frame?.keys) {
          const key = keyOf(text.slice(i + 1, end));
          if (frame.keys.has(key)) add(found, 'repeated-key', stack.slice(0, -1));
          frame.keys.add(key);
          frame.at = key;
          expectsKey = false;
        }
        i = end;
        break;
      }
      case OBJECT:
      case ARRAY: {
        if (stack.length === DEEPEST) {
          const end = endOfContainer(text, i);
          add(found, 'too-deep', stack);
          readable += text.slice(copied, i) + JSON.stringify(text.slice(i, end + 1));
          copied = end + 1;
          i = end;
          break;
        }
        expectsKey = text.charCodeAt(i) === OBJECT;
        frame = expectsKey ? { keys: new Set(), at: '' } : { keys: undefined, at: 0 };
        stack.push(frame);
        break;
      }
      case OBJECT_END:
      case ARRAY_END:
        stack.pop();
        frame = stack.at(-1);
        expectsKey = false;
        break;
      case COMMA:
        if (typeof frame?.at === 'number') frame.at += 1;
        expectsKey = frame?.keys !== undefined;
        break;
    }
  }
  return { found, readable: readable + text.slice(copied) };
}

const [QUOTE, OBJECT, OBJECT_END, ARRAY, ARRAY_END, COMMA, BACKSLASH] = [0x22, 0x7b, 0x7d, 0x5b, 0x5d, 0x2c, 0x5c];

/** One fault for a row is enough, and keeps a text of nothing but faults from being kept twice. */
function add(found: Found[], fault: RowFault, path: readonly Frame[]): void {
  const list = path.findIndex((frame) => frame.keys === undefined);
  const row = (list < 0 ? path : path.slice(0, list + 1)).map((frame) => frame.at);
  const last = found.at(-1)?.row;
  if (last?.length !== row.length || last.some((key, i) => key !== row[i])) found.push({ fault, row });
}

/** Index of the closing quote; past the end when there is none. */
function endOfString(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); end >= 0; end = text.indexOf('"', end + 1)) {
    let escapes = 0;
    while (text.charCodeAt(end - 1 - escapes) === BACKSLASH) escapes += 1;
    if (escapes % 2 === 0) return end;
  }
  return text.length;
}

function endOfContainer(text: string, start: number): number {
  let depth = 0;
  for (let i = start; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c === QUOTE) i = endOfString(text, i);
    else if (c === OBJECT || c === ARRAY) depth += 1;
    else if ((c === OBJECT_END || c === ARRAY_END) && (depth -= 1) === 0) return i;
  }
  throw new SyntaxError('a bracket stays open');
}

/** `\u0041` and `A` are one key. What is no JSON text is refused by JSON.parse afterwards. */
function keyOf(text: string): string {
  if (!text.includes('\\')) return text;
  try {
    return String(JSON.parse(`"${text}"`));
  } catch {
    return text;
  }
}
