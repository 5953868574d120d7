import type { Dedicated, Pool } from '../store/sql.ts';
import type { Head, LogSuite } from './chain.ts';
import type { LogEntry } from './entry.ts';
import { logText } from './entry.ts';

/** First key of the advisory locks; the second is the writer. */
const LOCK = 0x484c4f47;

/** The columns an entry can be searched by, besides its instant; `subjects` as the text of an array of bytea. */
export interface Columns {
  kind: string;
  person: string;
  personName: string;
  department: string | null;
  document: string;
  purpose: string;
  outcome: string;
  subjects: string;
}

/** A row as it goes into `query_log`: its place in the chain, its bytes, its columns. */
export interface Row {
  seq: number;
  hash: Buffer;
  body: Buffer;
  columns: Columns;
}

/** The connection of one writer. Every call rejects within about `timeoutMs`; one that is not answered ends the connection. */
export interface Session {
  readonly alive: boolean;
  /** The server's clock, to the millisecond. */
  clock(): Promise<Date>;
  /** One statement, one commit: all rows are durable when it resolves. */
  insert(writer: number, at: Date, rows: readonly Row[]): Promise<void>;
  /** The last entry of the writer that is stored; undefined when there is none. */
  head(writer: number): Promise<Head | undefined>;
  /** Makes a new writer, claimed by this session; returns its number. */
  register(node: string, suite: LogSuite, genesis: Buffer): Promise<number>;
  /**
   * Makes this the only session of the writer. Resolves when no earlier one is left: a session lost on our side may still be committing on the
   * server, and only after its end does {@link head} say what is stored.
   */
  claim(writer: number): Promise<void>;
  /** Records the end of the writer's chain: entries after it, or a shorter chain, are found by the verifier. */
  finish(writer: number, head: Head): Promise<void>;
  end(): void;
}

/** Opens a session that commits durably whatever the defaults of server, database and role; throws where the server itself cannot. */
export async function openSession(pool: Pool, options: { bootId: string; timeoutMs: number; allowUnsafe: boolean }): Promise<Session> {
  const name = `hub-log ${options.bootId}`;
  const sql = await pool.dedicated();
  const guard = async <T>(work: () => Promise<T>): Promise<T> => {
    const timer = setTimeout(() => sql.release(), options.timeoutMs + 500);
    try {
      return await work();
    } finally {
      clearTimeout(timer);
    }
  };
  try {
    await guard(() => prepare(sql, name, options));
  } catch (error) {
    sql.release();
    throw error;
  }

  return {
    get alive() {
      return sql.alive;
    },
    end: () => sql.release(),
    clock: () =>
      guard(async () => {
        const { rows } = await sql.query<{ at: string }>(`select date_trunc('milliseconds', clock_timestamp()) as at`);
        return new Date(rows[0]!.at);
      }),
    insert: (writer, at, rows) => guard(() => insert(sql, writer, at, rows)),
    head: (writer) =>
      guard(async () => {
        const { rows } = await sql.query<Head>('select seq, hash from query_log where writer = $1 order by seq desc limit 1', [writer]);
        return rows[0];
      }),
    register: (node, suite, genesis) =>
      guard(async () => {
        const { rows } = await sql.query<{ id: number }>(
          'insert into log_writer (node, boot_id, started_at, suite, genesis) values ($1, $2, clock_timestamp(), $3, $4) returning id',
          [node, options.bootId, suite, genesis],
        );
        const { id } = rows[0]!;
        await claim(sql, name, id);
        return id;
      }),
    claim: (writer) => guard(() => claim(sql, name, writer)),
    finish: (writer, head) =>
      guard(async () => {
        await sql.query('update log_writer set closed_seq = $2, closed_hash = $3 where id = $1', [writer, head.seq, head.hash]);
      }),
  };
}

async function prepare(sql: Dedicated, name: string, options: { timeoutMs: number; allowUnsafe: boolean }): Promise<void> {
  await sql.query(
    `select set_config('application_name', $1, false), set_config('synchronous_commit', 'on', false), set_config('statement_timeout', $2, false)`,
    [name, String(options.timeoutMs)],
  );
  const { rows } = await sql.query<{ name: string }>(
    `select name from pg_settings where name in ('fsync', 'full_page_writes') and setting <> 'on' order by name`,
  );
  if (rows.length > 0 && !options.allowUnsafe) {
    throw new Error(
      `the query log would not survive a power cut: PostgreSQL runs with ${rows.map((row) => `${row.name} = off`).join(', ')}`,
    );
  }
}

async function claim(sql: Dedicated, name: string, writer: number): Promise<void> {
  await sql.query(
    `select pg_terminate_backend(pid) from pg_stat_activity
     where application_name = $1 and datname = current_database() and pid <> pg_backend_pid()`,
    [name],
  );
  await sql.query('select pg_advisory_lock($1, $2)', [LOCK, writer]);
}

/** Reads an entry into its columns. */
export function columnsOf(entry: LogEntry): Columns {
  return {
    kind: entry.kind,
    person: logText(entry.person.id),
    personName: logText(entry.person.name),
    department: entry.department === null ? null : logText(entry.department),
    document: logText(entry.document),
    purpose: logText(entry.purpose.code),
    outcome: entry.outcome,
    // unnest() would flatten an array of arrays, so the tokens of a row travel as text.
    subjects: `{${entry.subjects.map((subject) => `"\\\\x${subject.toString('hex')}"`).join(',')}}`,
  };
}

async function insert(sql: Dedicated, writer: number, at: Date, rows: readonly Row[]): Promise<void> {
  const column = (name: keyof Columns): (string | null)[] => rows.map((row) => row.columns[name]);
  await sql.query(
    `insert into query_log (writer, at, seq, body, hash, kind, person, person_name, department, document, purpose, outcome, subjects)
     select $1::int, $2::timestamptz, seq, body, hash, kind, person, person_name, department, document, purpose, outcome, subjects::bytea[]
     from unnest($3::bigint[], $4::bytea[], $5::bytea[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[], $11::text[], $12::text[], $13::text[])
       as t (seq, body, hash, kind, person, person_name, department, document, purpose, outcome, subjects)`,
    [
      writer,
      at.toISOString(),
      rows.map((row) => row.seq),
      rows.map((row) => row.body),
      rows.map((row) => row.hash),
      column('kind'),
      column('person'),
      column('personName'),
      column('department'),
      column('document'),
      column('purpose'),
      column('outcome'),
      column('subjects'),
    ],
  );
}
