import type { FieldValue, Json, Publication, RecallForm, Wire } from '../model/types.ts';
import { reject } from './reject.ts';

/** A record as the grant of the receiver shows it; what is not granted is null or left out. */
export interface PublishedRecord {
  /** Idempotency key of the version. */
  key: string;
  id: string;
  version: number;
  kind: string;
  deleted: boolean;
  /** Whether an objection to it is pending (HN-24.3). */
  disputed: boolean;
  subject: Record<string, FieldValue>;
  fields: Record<string, FieldValue>;
}

/** What a recall says of what is taken back. */
export interface Recalled {
  /** The recall's own idempotency key, and that of the version that was received. */
  key: string;
  published: string;
  /** The number under which it was received; null when the platform never said. */
  receipt: string | null;
  /** A code of codes/recall-causes. */
  cause: string;
  /** The day of the recall in Asia/Shanghai, YYYY-MM-DD. */
  day: string;
  /** How the fact is marked by the decision that takes it back (HN-27: 某年某月某日修复); null where no person decided. */
  mark: string | null;
}

/**
 * Record → the body a platform takes, decided once per stream. Null becomes "": the platforms know no null.
 * Throws RejectRecord `unknown-code` with the wire key when a lookup has no word for the value.
 */
export function compilePublication({ body }: Pick<Publication, 'body'>): (record: PublishedRecord) => Record<string, Json> {
  return compileWire(body, compileOf);
}

/** The same for what says that a record is taken back. */
export function compileRecall({ body }: RecallForm): (recalled: Recalled) => Record<string, Json> {
  return compileWire(body, (of) => (recalled: Recalled) => recalled[of as keyof Recalled]);
}

function compileWire<T>(wire: Wire, compile: (of: string) => (from: T) => FieldValue): (from: T) => Record<string, Json> {
  const parts = [...wire].map(([wireKey, entry]): [string, (from: T) => FieldValue] => [
    wireKey,
    'literal' in entry ? () => entry.literal : compileLookup(wireKey, compile(entry.of), entry.lookup),
  ]);
  return (from) => Object.fromEntries(parts.map(([wireKey, read]) => [wireKey, read(from) ?? '']));
}

function compileLookup<T>(
  wireKey: string,
  read: (from: T) => FieldValue,
  lookup: ReadonlyMap<string, string> | undefined,
): (from: T) => FieldValue {
  if (lookup === undefined) return read;
  return (from) => {
    const value = read(from);
    if (value === null) return null;
    const found = lookup.get(String(value));
    if (found === undefined) throw reject('unknown-code', wireKey);
    return found;
  };
}

function compileOf(of: string): (record: PublishedRecord) => FieldValue {
  switch (of) {
    case 'record.key':
      return (record) => record.key;
    case 'record.id':
      return (record) => record.id;
    case 'record.version':
      return (record) => record.version;
    case 'record.kind':
      return (record) => record.kind;
    case 'record.deleted':
      return (record) => record.deleted;
    case 'record.disputed':
      return (record) => record.disputed;
  }
  if (of.startsWith('subject.')) {
    const name = of.slice('subject.'.length);
    return (record) => valueOf(record.subject, name);
  }
  return (record) => valueOf(record.fields, of);
}

function valueOf(values: Record<string, FieldValue>, name: string): FieldValue {
  return Object.hasOwn(values, name) ? (values[name] ?? null) : null;
}
