import type { FieldValue, Json, Publication } from '../model/types.ts';
import { reject } from './reject.ts';

/** A record as the grant of the receiver shows it; what is not granted is null or left out. */
export interface PublishedRecord {
  id: string;
  version: number;
  kind: string;
  deleted: boolean;
  subject: Record<string, FieldValue>;
  fields: Record<string, FieldValue>;
}

type Part = (record: PublishedRecord) => FieldValue;

/**
 * Record → the body a platform takes, decided once per stream. Null becomes "": the platforms know no null.
 * Throws RejectRecord `unknown-code` with the wire key when a lookup has no word for the value.
 */
export function compilePublication(publication: Publication): (record: PublishedRecord) => Record<string, Json> {
  const parts = [...publication.body].map(([wireKey, entry]): [string, Part] => [
    wireKey,
    'literal' in entry ? () => entry.literal : compileLookup(wireKey, compileOf(entry.of), entry.lookup),
  ]);
  return (record) => Object.fromEntries(parts.map(([wireKey, read]) => [wireKey, read(record) ?? '']));
}

function compileLookup(wireKey: string, read: Part, lookup: ReadonlyMap<string, string> | undefined): Part {
  if (lookup === undefined) return read;
  return (record) => {
    const value = read(record);
    if (value === null) return null;
    const found = lookup.get(String(value));
    if (found === undefined) throw reject('unknown-code', wireKey);
    return found;
  };
}

function compileOf(of: string): Part {
  switch (of) {
    case 'record.id':
      return (record) => record.id;
    case 'record.version':
      return (record) => record.version;
    case 'record.kind':
      return (record) => record.kind;
    case 'record.deleted':
      return (record) => record.deleted;
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
