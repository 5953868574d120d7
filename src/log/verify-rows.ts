import { hash } from 'node:crypto';
import type { LogSuite } from './chain.ts';
import type { Told } from './read-body.ts';
import { readBody } from './read-body.ts';

/** A writer as `log_writer` tells it, and its genesis made anew from what it tells. */
export interface Writer {
  id: number;
  node: string;
  boot_id: string;
  started_at: string;
  suite: LogSuite;
  genesis: Buffer;
  after_n: number;
  closed_seq: number | null;
  closed_hash: Buffer | null;
}

/** A row as the verifier reads it: `at` and `subjects` as PostgreSQL writes them. */
export interface Stored {
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
  subjects: string;
}

/** The columns of {@link Stored}, from `query_log as q`. */
export const STORED_COLUMNS = `q.writer, q.seq, q.at::text as at, q.body, q.hash, q.kind, q.person, q.person_name, q.department, q.document, q.purpose,
  q.outcome, q.subjects::text as subjects`;

/** A chain as far as it was read. */
export interface Chain {
  writer: Writer;
  seq: number;
  hash: Buffer;
  /** Milliseconds since 1970 of the last entry. */
  at: number;
  /** The month (UTC, ms since 1970) of its last entry ends here. */
  monthEnd: number;
  /** For each month with entries, its start and where the chain stood before it; those that no closing can ask for any more are dropped. */
  months: { start: number; seq: number; hash: Buffer }[];
}

export type Report = (writer: number, seq: number, what: string) => void;

/** Takes the next row of a chain: reports what is wrong with it and returns what its bytes tell. */
export function takeRow(chain: Chain, row: Stored, report: Report): Told | undefined {
  const told = readBody(row.body);
  for (const what of linkFaults(chain, row)) report(row.writer, row.seq, what);
  const at = told?.at ?? chain.at;
  if (at < chain.at) report(row.writer, row.seq, 'it is earlier than the entry before');
  if (told) contentFaults(row, told, report);
  else report(row.writer, row.seq, 'the entry cannot be read');
  if (at >= chain.monthEnd) {
    chain.months.push({ start: monthStart(at, 0), seq: chain.seq, hash: chain.hash });
    chain.monthEnd = monthStart(at, 1);
  }
  chain.seq = row.seq;
  chain.hash = row.hash;
  chain.at = at;
  return told;
}

/** Room for what is hashed: one call over one piece of memory is three times as fast as an object that is fed pieces. */
let scratch = Buffer.alloc(1 << 16);

function rowHash(suite: LogSuite, before: Buffer, row: Stored): Buffer {
  const length = 45 + row.body.length;
  if (length > scratch.length) scratch = Buffer.alloc(length);
  scratch[0] = 1;
  before.copy(scratch, 1);
  scratch.writeUInt32BE(row.writer, 33);
  scratch.writeUInt32BE(Math.floor(row.seq / 2 ** 32), 37);
  scratch.writeUInt32BE(row.seq % 2 ** 32, 41);
  row.body.copy(scratch, 45);
  return hash(suite, scratch.subarray(0, length), 'buffer');
}

function linkFaults(chain: Chain, row: Stored): string[] {
  if (row.seq <= chain.seq) return ['the sequence number is there twice or is not positive'];
  if (row.seq > chain.seq + 1) return [`${row.seq - chain.seq - 1} entries before it are missing`];
  const follows = chain.hash.length === 32 && row.hash.equals(rowHash(chain.writer.suite, chain.hash, row));
  return follows ? [] : ['the hash does not follow from the entry before'];
}

function contentFaults(row: Stored, told: Told, report: Report): void {
  const wrong = (column: string): void => report(row.writer, row.seq, `the column ${column} is not what the entry says`);
  if (row.at !== instantText(told.at)) wrong('at');
  if (row.kind !== told.kind) wrong('kind');
  if (row.person !== told.person) wrong('person');
  if (row.person_name !== told.personName) wrong('person_name');
  if (row.department !== told.department) wrong('department');
  if (row.document !== told.document) wrong('document');
  if (row.purpose !== told.purpose) wrong('purpose');
  if (row.outcome !== told.outcome) wrong('outcome');
  if (row.subjects !== told.subjects) wrong('subjects');
}

let lastInstant = Number.NaN;
let lastText = '';

/** An instant as PostgreSQL writes it in UTC. The rows of one flush share theirs. */
function instantText(at: number): string {
  if (at === lastInstant) return lastText;
  lastInstant = at;
  const date = new Date(at);
  if (Number.isNaN(date.getTime())) return (lastText = '');
  const [day = '', time = ''] = date.toISOString().slice(0, -1).split('T');
  return (lastText = `${day} ${time.replace(/\.?0+$/, '')}+00`);
}

/** A chain before its first row: at the writer's genesis, or where a pruning left it. */
export function openChain(writer: Writer, at: { seq: number; hash: Buffer }): Chain {
  return { writer, ...at, at: Date.parse(writer.started_at), monthEnd: -Infinity, months: [] };
}

/** Where the chain stood at an instant that is the start of a month (ms since 1970). */
export function headBefore(chain: Chain, boundary: number): { seq: number; hash: Buffer } {
  const later = chain.months.find(({ start }) => start >= boundary);
  chain.months = chain.months.filter(({ start }) => start > boundary);
  return later ?? { seq: chain.seq, hash: chain.hash };
}

/** The start of the UTC month of an instant, or of one so many months later, in milliseconds since 1970. */
function monthStart(at: number, later: number): number {
  const date = new Date(at);
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + later);
}
