import { createHash } from 'node:crypto';
import type { Sql } from '../store/sql.ts';
import { decode } from './canonical.ts';
import { genesis, link } from './chain.ts';
import type { LogSuite } from './chain.ts';

/** What is wrong with an entry, or at `seq` 0 with its writer. Names the place and the kind of fault, never a value. */
export interface Fault {
  writer: number;
  seq: number;
  what: string;
}

export interface Verification {
  entries: number;
  writers: number;
  verified: boolean;
  /** The first faults, at most twenty. */
  faults: Fault[];
}

interface Writer {
  id: number;
  boot_id: string;
  suite: LogSuite;
  genesis: Buffer;
  closed_seq: number | null;
  closed_hash: Buffer | null;
}

interface Stored {
  writer: number;
  seq: number;
  at: string;
  body: Buffer;
  hash: Buffer;
  kind: string;
  person: string;
  person_name: string;
  department: string | null;
  document: string;
  purpose: string;
  outcome: string;
  subjects: Buffer[];
}

/** A chain as far as it was read. */
interface Chain {
  writer: Writer;
  seq: number;
  hash: Buffer;
  at: string;
}

const FAULTS = 20;

/**
 * Reads the whole query log and says whether it is as it was written: every chain dense from 1 and unbroken, time never running back, every entry
 * readable and its search columns and document true to it, closed chains as long as they were. Shares no code with the appending side but the
 * format of the bytes. What a signed checkpoint alone can show (a whole chain made anew, a tail cut off while the writer is open) is not found here.
 */
export async function verifyLog(sql: Sql, options: { batch?: number } = {}): Promise<Verification> {
  const batch = options.batch ?? 1000;
  const faults: Fault[] = [];
  const report = (writer: number, seq: number, what: string): void => {
    if (faults.length < FAULTS) faults.push({ writer, seq, what });
  };
  // Writers first: what was closed before the reading began is all there to be read.
  const writers = await writersOf(sql);
  const chains = new Map<number, Chain>();
  const documents = new Map<string, boolean>();
  let entries = 0;
  let after: readonly [number, number, string] = [-1, -1, '-infinity'];

  for (;;) {
    const { rows } = await sql.query<Stored>(
      `select writer, seq, at, body, hash, kind, person, person_name, department, document, purpose, outcome, subjects
       from query_log where (writer, seq, at) > ($1, $2, $3::timestamptz) order by writer, seq, at limit $4`,
      [...after, batch],
    );
    const last = rows.at(-1);
    if (!last) break;
    after = [last.writer, last.seq, last.at];
    entries += rows.length;
    if (rows.some((row) => !writers.has(row.writer))) for (const [id, writer] of await writersOf(sql)) writers.set(id, writer);
    await readDocuments(sql, rows, documents);
    for (const row of rows) {
      const writer = writers.get(row.writer);
      if (!writer) {
        report(row.writer, row.seq, 'the writer is unknown');
        continue;
      }
      const chain = chains.get(row.writer) ?? { writer, seq: 0, hash: genesis(writer.suite, writer.boot_id), at: '' };
      chains.set(row.writer, chain);
      for (const what of [...linkFaults(chain, row), ...contentFaults(row)]) report(row.writer, row.seq, what);
      if (row.document !== '' && !documents.get(row.document))
        report(row.writer, row.seq, 'the document is missing or not what was hashed');
      Object.assign(chain, { seq: row.seq, hash: row.hash, at: row.at });
    }
  }
  for (const writer of writers.values()) for (const what of writerFaults(writer, chains.get(writer.id))) report(writer.id, 0, what);
  return { entries, writers: writers.size, verified: faults.length === 0, faults };
}

async function writersOf(sql: Sql): Promise<Map<number, Writer>> {
  const { rows } = await sql.query<Writer>('select id, boot_id, suite, genesis, closed_seq, closed_hash from log_writer order by id');
  return new Map(rows.map((row) => [row.id, row]));
}

/** Looks up the documents named for the first time; true where the text has the hash, in either suite. */
async function readDocuments(sql: Sql, rows: readonly Stored[], known: Map<string, boolean>): Promise<void> {
  const named = [...new Set(rows.map((row) => row.document))].filter((hash) => !known.has(hash));
  if (named.length === 0) return;
  for (const hash of named) known.set(hash, false);
  const found = await sql.query<{ hash: string; text: string }>('select hash, text from log_document where hash = any($1)', [named]);
  for (const { hash, text } of found.rows) {
    known.set(
      hash,
      ['sha256', 'sm3'].some((suite) => createHash(suite).update(text).digest('hex') === hash),
    );
  }
}

function linkFaults(chain: Chain, row: Stored): string[] {
  const { suite } = chain.writer;
  const faults: string[] = [];
  if (row.seq <= chain.seq) faults.push('the sequence number is there twice or is not positive');
  else if (row.seq > chain.seq + 1) faults.push(`${row.seq - chain.seq - 1} entries before it are missing`);
  else if (!row.hash.equals(link(suite, chain.hash, row.writer, row.seq, row.body)))
    faults.push('the hash does not follow from the entry before');
  if (row.at < chain.at) faults.push('it is earlier than the entry before');
  return faults;
}

function contentFaults(row: Stored): string[] {
  try {
    const { entry, at } = decode(row.body);
    const told: [string, unknown, unknown][] = [
      ['at', row.at, at.toISOString()],
      ['kind', row.kind, entry.kind],
      ['person', row.person, entry.person.id],
      ['person_name', row.person_name, entry.person.name],
      ['department', row.department, entry.department],
      ['document', row.document, entry.document],
      ['purpose', row.purpose, entry.purpose.code],
      ['outcome', row.outcome, entry.outcome],
      ['subjects', hexes(row.subjects), hexes(entry.subjects)],
    ];
    return told.filter(([, column, body]) => column !== body).map(([name]) => `the column ${name} is not what the entry says`);
  } catch {
    return ['the entry cannot be read'];
  }
}

const hexes = (tokens: readonly (Buffer | null)[]): string => tokens.map((token) => token?.toString('hex')).join();

function writerFaults(writer: Writer, chain: Chain | undefined): string[] {
  const faults: string[] = [];
  const origin = genesis(writer.suite, writer.boot_id);
  if (!writer.genesis.equals(origin)) faults.push('the genesis is not that of the boot id');
  if (writer.closed_seq === null) return faults;
  const closedAs = writer.closed_hash?.equals(chain?.hash ?? origin);
  if (writer.closed_seq !== (chain?.seq ?? 0) || !closedAs) faults.push('the chain does not end where it was closed');
  return faults;
}
