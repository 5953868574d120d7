import { KINDS, OUTCOMES, TOKEN_BYTES, logText } from './entry.ts';
import type { LogEntry } from './entry.ts';

/**
 * The bytes that are hashed, kept for good: a version byte, the instant (i64, milliseconds since 1970), then the fields of the entry in the order
 * below. Each value is a tag and, but for null, its length or count as u32 and its content; an integer is an i64. Big-endian, texts in UTF-8. Two
 * different entries never have the same bytes, and each entry has exactly one form. A new field means a new version byte; old versions stay readable.
 */
const VERSION = 1;
const INSTANT_AT = 1;
const FIELDS_AT = 9;
const NULL = 0x4e;
const TEXT = 0x53;
const INTEGER = 0x49;
const BYTES = 0x42;
const LIST = 0x4c;

type Value = null | string | number | Buffer | readonly Value[];

const fieldsOf = (e: LogEntry): Value[] => [
  e.kind,
  e.person.id,
  e.person.name,
  e.department,
  e.role,
  e.region,
  e.actingFor,
  e.purpose.code,
  e.purpose.basis,
  e.purpose.case,
  e.operation,
  e.document,
  e.variables,
  e.fields,
  e.masked,
  e.denied,
  e.categories,
  e.subjects,
  e.rows,
  e.policy,
  e.rules,
  e.outcome,
  e.code,
  e.durationMs,
  e.client,
];

function write(parts: Buffer[], value: Value): void {
  if (value === null) {
    parts.push(Buffer.of(NULL));
  } else if (typeof value === 'number') {
    if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`a log entry takes safe integers from 0, not ${value}`);
    const part = Buffer.alloc(9, INTEGER);
    part.writeBigInt64BE(BigInt(value), 1);
    parts.push(part);
  } else if (typeof value === 'string') {
    const bytes = Buffer.from(logText(value));
    parts.push(head(TEXT, bytes.length), bytes);
  } else if (Buffer.isBuffer(value)) {
    if (value.length !== TOKEN_BYTES) throw new RangeError(`a subject token has ${TOKEN_BYTES} bytes, not ${value.length}`);
    parts.push(head(BYTES, value.length), value);
  } else {
    parts.push(head(LIST, value.length));
    for (const item of value) write(parts, item);
  }
}

function head(tag: number, length: number): Buffer {
  const part = Buffer.alloc(5, tag);
  part.writeUInt32BE(length, 1);
  return part;
}

/** The canonical bytes of an entry at an instant. Throws RangeError for numbers and tokens out of range: a bug of the caller. */
export function encode(entry: LogEntry, at: Date): Buffer {
  const parts: Buffer[] = [Buffer.alloc(FIELDS_AT, VERSION)];
  for (const value of fieldsOf(entry)) write(parts, value);
  const body = Buffer.concat(parts);
  stamp(body, at);
  return body;
}

/** Puts the instant into encoded bytes: an entry is encoded when it comes, its instant is known when it is written. */
export function stamp(body: Buffer, at: Date): void {
  body.writeBigInt64BE(BigInt(at.getTime()), INSTANT_AT);
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Reads exactly what {@link encode} writes; throws on anything else, trailing bytes included. */
export function decode(body: Buffer): { entry: LogEntry; at: Date } {
  let offset = FIELDS_AT;
  const fail = (what: string): never => {
    throw new Error(`not a log entry: ${what} at byte ${offset}`);
  };
  const take = (length: number): Buffer => {
    if (offset + length > body.length) fail('cut off');
    offset += length;
    return body.subarray(offset - length, offset);
  };
  const tag = (): number => take(1).readUInt8();
  const expect = (expected: number): void => {
    if (tag() !== expected) fail('wrong type');
  };
  const size = (): number => take(4).readUInt32BE();
  const content = (): string => utf8.decode(take(size()));
  const text = (): string => {
    expect(TEXT);
    return content();
  };
  const textOrNull = (): string | null => {
    const found = tag();
    if (found !== TEXT && found !== NULL) fail('wrong type');
    return found === NULL ? null : content();
  };
  const integer = (): number => {
    expect(INTEGER);
    const value = Number(take(8).readBigInt64BE());
    return Number.isSafeInteger(value) && value >= 0 ? value : fail('number out of range');
  };
  const token = (): Buffer => {
    expect(BYTES);
    return size() === TOKEN_BYTES ? take(TOKEN_BYTES) : fail('token of a wrong length');
  };
  const list = <T>(item: () => T): T[] => {
    expect(LIST);
    const items: T[] = [];
    for (let left = size(); left > 0; left--) items.push(item());
    return items;
  };
  const one = <T extends string>(allowed: readonly T[]): T => {
    const found = text();
    return allowed.find((value) => value === found) ?? fail('unknown word');
  };

  if (body.length < FIELDS_AT || body[0] !== VERSION) fail('unknown version');
  const at = new Date(Number(body.readBigInt64BE(INSTANT_AT)));
  if (Number.isNaN(at.getTime())) fail('no instant');
  const entry: LogEntry = {
    kind: one(KINDS),
    person: { id: text(), name: text() },
    department: textOrNull(),
    role: textOrNull(),
    region: textOrNull(),
    actingFor: textOrNull(),
    purpose: { code: text(), basis: textOrNull(), case: textOrNull() },
    operation: textOrNull(),
    document: text(),
    variables: text(),
    fields: list(text),
    masked: list(text),
    denied: list(text),
    categories: list(integer),
    subjects: list(token),
    rows: integer(),
    policy: text(),
    rules: list(text),
    outcome: one(OUTCOMES),
    code: text(),
    durationMs: integer(),
    client: text(),
  };
  if (offset !== body.length) fail('bytes left over');
  return { entry, at };
}
