/**
 * What the hub must hold, from what the platforms told and the mapping alone, and how what it does hold differs. Nothing of the store decides
 * here: it only gives the names of the keys, the blind hash, and the opened values.
 */
import { createHash } from 'node:crypto';
import { RejectRecord } from '../../src/errors.ts';
import { type CompiledMapping, compileMapping } from '../../src/mapping/compile.ts';
import { contentOf, type MappedRecord } from '../../src/mapping/record.ts';
import type { Field, FieldValue, Model, PullStream } from '../../src/model/types.ts';
import type { Keys } from '../../src/store/keys.ts';
import { type Opener, openerOf } from '../../src/store/subject-keys.ts';
import { storedKey } from '../../src/store/records.ts';
import type { Sql } from '../../src/store/sql.ts';

/** One version of a record as a source told it. */
interface Version {
  category: number;
  /** The source's own name of the version; null where it has none. */
  version: string | null;
  /** Blind hash of the canonical content. */
  content: string;
  /** Day, period, deletion and every field, as text. */
  values: string;
}

/** Differences by name: `connector/stream key`, the key as the hub keeps it, so that no name is a person's number. */
export interface Verdict {
  compared: number;
  /** Rows that the mapping refuses: the hub must not hold them. */
  refused: number;
  /** Told, and not held. */
  missing: string[];
  /** Held with other content than the newest version that was told. */
  stale: string[];
  /** Held under a key that nobody told, a version that nobody told, or one version twice. */
  doubled: string[];
  /** By category: records, and SHA-256 over all of them in the order of their names. Equal exactly when all records are. */
  expected: Record<string, string>;
  held: Record<string, string>;
}

export interface Oracle {
  /** Rows that a platform held at some time, newer ones later. */
  tell(stream: string, rows: readonly Readonly<Record<string, unknown>>[]): void;
  compare(sql: Sql): Promise<Verdict>;
}

export function openOracle(model: Model, keys: Keys, streamOf: (name: string) => PullStream, today: string): Oracle {
  const mappings = new Map<string, CompiledMapping>();
  /** `connector/stream key` → what was told of it, in order. */
  const told = new Map<string, Version[]>();
  let refused = 0;

  function tell(name: string, rows: readonly Readonly<Record<string, unknown>>[]): void {
    const { map } = mappings.get(name) ?? remembered(mappings, name, compileMapping(model, streamOf(name)));
    for (const row of rows) {
      const record = accepted(() => map(row, today));
      if (record === undefined) {
        refused += 1;
        continue;
      }
      const key = `${name} ${storedKey(keys, record)}`;
      const versions = told.get(key) ?? remembered(told, key, []);
      versions.push(versionOf(record));
    }
  }

  function versionOf(record: MappedRecord): Version {
    const fields = model.categories.get(record.category)?.fields ?? new Map<string, Field>();
    const known = Object.entries(record.fields).filter(([name, value]) => value !== null && fields.has(name));
    const values = known.map(([name, value]) => [name, fields.get(name)?.sensitivity === 'identity' ? String(value) : value] as const);
    return {
      category: record.category,
      version: record.version,
      content: keys.fingerprint('content', contentOf(record)).toString('hex'),
      values: textOf(record.deleted, [record.occurredOn, record.validFrom, record.validTo], values),
    };
  }

  function valuesOf(row: Held, open: Opener): string {
    const { type = '', fields } = model.categories.get(row.category) ?? {};
    const plain = [row.open, row.internal, row.commercial, row.personal].flatMap((part) => Object.entries(part ?? {}));
    const opened = Object.entries(row.sealed ?? {}).map(([name, text]) => [name, open(text, `${type}.${name}`) ?? null] as const);
    const known = [...plain, ...opened].filter(([name]) => fields?.has(name) ?? false);
    return textOf(row.deleted, [row.occurred_on, row.valid_from, row.valid_to], known);
  }

  async function compare(sql: Sql): Promise<Verdict> {
    const held = await sql.query<Held>(
      `select id, connector || '/' || stream || ' ' || source_key as name, category, encode(content, 'hex') as content, deleted,
         occurred_on, valid_from, valid_to, open, internal, commercial, personal, sealed from record`,
    );
    const versions = await sql.query<{ record_id: number; version: string | null; content: string }>(
      `select record_id, source_version as version, encode(content, 'hex') as content from record_version order by record_id, version`,
    );
    const open = await openerOf(
      sql,
      keys,
      held.rows.flatMap((row) => Object.values(row.sealed ?? {})),
    );
    const history = Map.groupBy(versions.rows, (row) => row.record_id);
    const records = new Map(held.rows.map((row) => [row.name, row]));
    const verdict: Verdict = { compared: records.size, refused, missing: [], stale: [], doubled: [], expected: {}, held: {} };
    for (const [name, all] of told) {
      const record = records.get(name);
      const newest = newestOf(all);
      if (record === undefined) verdict.missing.push(name);
      else if (record.content !== newest.content || valuesOf(record, open) !== newest.values) verdict.stale.push(name);
    }
    for (const [name, record] of records) {
      const sent = new Set(told.get(name)?.map(nameOf));
      const stored = (history.get(record.id) ?? []).map(nameOf);
      if (stored.length !== new Set(stored).size || stored.some((one) => !sent.has(one))) verdict.doubled.push(name);
    }
    verdict.expected = checksums(
      [...told].map(([name, all]) => ({ name, ...newestOf(all) })),
      (one) => one.values,
    );
    verdict.held = checksums(held.rows, (row) => valuesOf(row, open));
    return verdict;
  }

  return { tell, compare };
}

interface Held {
  id: number;
  name: string;
  category: number;
  content: string;
  deleted: boolean;
  occurred_on: string | null;
  valid_from: string | null;
  valid_to: string | null;
  open: Record<string, FieldValue> | null;
  internal: Record<string, FieldValue> | null;
  commercial: Record<string, FieldValue> | null;
  personal: Record<string, FieldValue> | null;
  sealed: Record<string, string> | null;
}

/** The highest version; of several under one name, or where versions have no names, the last that was told. */
function newestOf(versions: readonly Version[]): Version {
  return versions.reduce((newest, one) => ((one.version ?? '') >= (newest.version ?? '') ? one : newest));
}

function nameOf({ version, content }: { version: string | null; content: string }): string {
  return `${version} ${content}`;
}

function textOf(deleted: boolean, days: readonly (string | null)[], values: readonly (readonly [string, FieldValue])[]): string {
  return JSON.stringify([deleted, days, values.toSorted(([a], [b]) => (a < b ? -1 : 1))]);
}

function checksums<T extends { name: string; category: number; content: string }>(
  records: readonly T[],
  valuesOf: (record: T) => string,
): Record<string, string> {
  const lines = records.map((one) => ({ category: one.category, line: `${one.name}\t${one.content}\t${valuesOf(one)}\n` }));
  const categories = [...Map.groupBy(lines, (one) => one.category)].toSorted(([a], [b]) => a - b);
  return Object.fromEntries(
    categories.map(([category, own]) => {
      const hash = createHash('sha256');
      for (const { line } of own.toSorted((a, b) => (a.line < b.line ? -1 : 1))) hash.update(line);
      return [String(category), `${own.length} ${hash.digest('hex')}`];
    }),
  );
}

function remembered<K, V>(map: Map<K, V>, key: K, value: V): V {
  map.set(key, value);
  return value;
}

function accepted(work: () => MappedRecord): MappedRecord | undefined {
  try {
    return work();
  } catch (error) {
    if (error instanceof RejectRecord) return undefined;
    throw error;
  }
}
