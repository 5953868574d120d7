import { LOG_WRITER } from '../store/roles.ts';
import type { Dedicated, Pool } from '../store/sql.ts';
import { genesis } from './chain.ts';
import type { Head, LogSuite } from './chain.ts';
import { NO_CHECKPOINT } from './checkpoint.ts';
import type { CheckpointHead } from './checkpoint.ts';
import type { LogEntry } from './entry.ts';
import { logText } from './entry.ts';

/** First key of the advisory locks that live writers hold; the second is the writer. */
export const WRITER_LOCK = 0x484c4f47;

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
  /** Resolves when it is no longer alive. */
  readonly lost: Promise<void>;
  /** The server's clock, to the millisecond. */
  clock(): Promise<Date>;
  /** One statement, one commit: all rows are durable when it resolves. */
  insert(writer: number, at: Date, rows: readonly Row[]): Promise<void>;
  /** Resolves when rows could be inserted: the table is there, open to this role and locked by nobody. Writes nothing. */
  probe(): Promise<void>;
  /** The last entry of the writer that is stored; undefined when there is none. */
  head(writer: number): Promise<Head | undefined>;
  /** Makes a new writer, claimed by this session and bound to the latest checkpoint. None of its entries is older than `since`. */
  register(node: string, suite: LogSuite): Promise<{ writer: number; genesis: Buffer; since: Date }>;
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
    lost: sql.lost,
    end: () => sql.release(),
    clock: () =>
      guard(async () => {
        const { rows } = await sql.query<{ at: string }>(`select date_trunc('milliseconds', clock_timestamp()) as at`);
        return new Date(rows[0]!.at);
      }),
    insert: (writer, at, rows) => guard(() => insert(sql, writer, at, rows)),
    probe: () => guard(() => insert(sql, 0, new Date(0), [])),
    head: (writer) =>
      guard(async () => {
        const { rows } = await sql.query<Head>('select seq, hash from query_log where writer = $1 order by seq desc limit 1', [writer]);
        return rows[0];
      }),
    register: (node, suite) =>
      guard(async () => {
        const { startedAt, after } = await beginning(sql);
        const origin = genesis(suite, { bootId: options.bootId, node, startedAt, after });
        const { rows } = await sql.query<{ id: number }>(
          'insert into log_writer (node, boot_id, started_at, suite, genesis, after_n) values ($1, $2, $3, $4, $5, $6) returning id',
          [node, options.bootId, startedAt.toISOString(), suite, origin, after.n],
        );
        const { id } = rows[0]!;
        await claim(sql, name, id);
        return { writer: id, genesis: origin, since: startedAt };
      }),
    claim: (writer) => guard(() => claim(sql, name, writer)),
    finish: (writer, head) =>
      guard(async () => {
        await sql.query('update log_writer set closed_seq = $2, closed_hash = $3 where id = $1', [writer, head.seq, head.hash]);
      }),
  };
}

/** Now by the server's clock, but not before the latest checkpoint. */
async function beginning(sql: Dedicated): Promise<{ startedAt: Date; after: CheckpointHead }> {
  const { rows } = await sql.query<{ now: string; n: number | null; hash: Buffer; at: string }>(
    `select date_trunc('milliseconds', clock_timestamp()) as now, c.n, c.hash, c.at
     from (select) as one left join (select n, hash, at from log_checkpoint order by n desc limit 1) as c on true`,
  );
  const { now, n, hash, at } = rows[0]!;
  if (n === null) return { startedAt: new Date(now), after: NO_CHECKPOINT };
  return { startedAt: new Date(Math.max(Date.parse(now), Date.parse(at))), after: { n, hash } };
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

/** From here on the session can append and close, and do nothing else: not even the writer of an entry may change or delete it. */
async function claim(sql: Dedicated, name: string, writer: number): Promise<void> {
  // Only the user who logged in may end the sessions of that user.
  await sql.query('set role none');
  await sql.query(
    `select pg_terminate_backend(pid) from pg_stat_activity
     where application_name = $1 and datname = current_database() and pid <> pg_backend_pid()`,
    [name],
  );
  await sql.query('select pg_advisory_lock($1, $2)', [WRITER_LOCK, writer]);
  await sql.query(`set role ${LOG_WRITER}`);
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
  // An entry that was held up longer than this belongs to a past that may be closed already (closing.ts).
  const column = (name: keyof Columns): (string | null)[] => rows.map((row) => row.columns[name]);
  const { rowCount } = await sql.query(
    `insert into query_log (writer, at, seq, body, hash, kind, person, person_name, department, document, purpose, outcome, subjects)
     select $1::int, $2::timestamptz, seq, body, hash, kind, person, person_name, department, document, purpose, outcome, subjects::bytea[]
     from unnest($3::bigint[], $4::bytea[], $5::bytea[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[], $11::text[], $12::text[], $13::text[])
       as t (seq, body, hash, kind, person, person_name, department, document, purpose, outcome, subjects)
     where $2::timestamptz > clock_timestamp() - interval '1 minute'`,
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
  if (rowCount !== rows.length) throw new Error('the entries waited too long between their instant and the server');
}
