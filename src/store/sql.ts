import { Client, Pool as ClientPool, types as parsers } from 'pg';
import type { ClientBase, ClientConfig, CustomTypesConfig, QueryResult } from 'pg';
import { isUnavailable } from './unavailable.ts';

/** What the rest of the hub may do with PostgreSQL: ask, and ask in a transaction. */
export interface Sql {
  /** One statement with `$1` parameters. bigint arrives as a number where it is safe (else a bigint), timestamptz as ISO UTC, date as YYYY-MM-DD. */
  query<R>(text: string, values?: readonly unknown[]): Promise<{ rows: R[]; rowCount: number }>;
  /** Commits when `work` resolves, rolls back when it rejects. Inside a transaction it is a savepoint; do not run two at once on one connection. */
  transaction<T>(work: (sql: Sql) => Promise<T>): Promise<T>;
}

/** A connection of its own, outside the pool's count, for what needs a session: advisory locks, settings, LISTEN. */
export interface Dedicated extends Sql {
  /** False once the socket is known to be gone; true does not promise that it still works. */
  readonly alive: boolean;
  /** Resolves when {@link alive} turns false; never rejects. */
  readonly lost: Promise<void>;
  /** Calls `heard` at every NOTIFY of a channel, an identifier, for as long as the connection lives. */
  listen(channel: string, heard: (payload: string) => void): Promise<void>;
  /** Ends the socket at once; a statement under way rejects and its outcome is unknown. */
  release(): void;
}

/** Reads behind the second wall (wall.ts). */
export interface Walled {
  /**
   * One statement in a transaction of its own, that `enter` opens: both go out at once, so that the wall costs no round trip. Where `enter` fails, so
   * does the call.
   */
  read<R>(enter: string, text: string, values?: readonly unknown[]): Promise<{ rows: R[]; rowCount: number }>;
}

export interface Pool extends Sql, Walled {
  dedicated(): Promise<Dedicated>;
  close(): Promise<void>;
}

/** PostgreSQL's `2026-01-02 03:04:05.678901+00` as ISO, microseconds kept where there are any. */
function instant(text: string): string {
  const parts = /^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)(?:\.(\d+))?\+00$/.exec(text);
  if (parts) return `${parts[1]}T${parts[2]}.${(parts[3] ?? '').padEnd(3, '0')}Z`;
  const date = new Date(text);
  return Number.isNaN(date.getTime()) ? text : date.toISOString();
}

function integer(text: string): number | bigint {
  const value = Number(text);
  return Number.isSafeInteger(value) ? value : BigInt(text);
}

const SCALARS = new Map<number, (text: string) => unknown>([
  [20, integer],
  [1082, (text) => text],
  [1184, instant],
]);
const ARRAYS = new Map([
  [1016, 20],
  [1182, 1082],
  [1185, 1184],
]);
/** `{a,b,NULL}` as its elements: pg parses it, told that they are texts. */
const textArray: (text: string) => (string | null)[] = parsers.getTypeParser(1009 as number);

/** Kept to our own connections: pg's global parsers stay as MikroORM expects them. */
const types: CustomTypesConfig = {
  getTypeParser(oid, format) {
    if (format === 'binary') return parsers.getTypeParser(oid, 'binary');
    const element = SCALARS.get(ARRAYS.get(oid) ?? 0);
    if (element) return (text: string) => textArray(text).map((item) => (item === null ? null : element(item)));
    return SCALARS.get(oid) ?? parsers.getTypeParser(oid);
  },
};

const ignore = (): void => {};

function sqlOf(client: ClientBase, depth = 0): Sql {
  return {
    async query<R>(text: string, values?: readonly unknown[]) {
      const { rows, rowCount } = await client.query(text, values as unknown[]);
      return { rows: rows as R[], rowCount: rowCount ?? 0 };
    },
    async transaction(work) {
      const mark = `level_${depth}`;
      await client.query(depth === 0 ? 'begin' : `savepoint ${mark}`);
      try {
        const result = await work(sqlOf(client, depth + 1));
        const { command } = await client.query(depth === 0 ? 'commit' : `release ${mark}`);
        // PostgreSQL answers the COMMIT of a failed transaction with ROLLBACK and no error: `work` swallowed one.
        if (command === 'ROLLBACK') throw new Error('the transaction was rolled back: an error inside it was swallowed');
        return result;
      } catch (error) {
        await client.query(depth === 0 ? 'rollback' : `rollback to ${mark}`).catch(ignore);
        throw error;
      }
    },
  };
}

/** The connection MUST be one that pipelines. What goes wrong first is what is told; the transaction ends in every case. */
async function readBehind<R>(
  client: ClientBase,
  enter: string,
  text: string,
  values?: readonly unknown[],
): Promise<{ rows: R[]; rowCount: number }> {
  // As one prepared statement whatever its values: a text that holds a second one, such as the end of the transaction, is refused.
  const statement = { text, values: [...(values ?? [])], queryMode: 'extended' };
  const [entered, found, left] = await Promise.allSettled([client.query(enter), client.query(statement), client.query('commit')]);
  for (const step of [entered, found, left]) if (step.status === 'rejected') throw step.reason;
  const { rows, rowCount } = (found as PromiseFulfilledResult<QueryResult>).value;
  return { rows: rows as R[], rowCount: rowCount ?? 0 };
}

async function dedicatedOf(config: ClientConfig): Promise<Dedicated> {
  const client = new Client(config);
  let alive = true;
  const { promise: lost, resolve: tell } = Promise.withResolvers<void>();
  const gone = (): void => {
    alive = false;
    tell();
  };
  client.on('error', gone);
  client.on('end', gone);
  await client.connect();
  return {
    ...sqlOf(client),
    get alive() {
      return alive;
    },
    lost,
    async listen(channel, heard) {
      client.on('notification', (message) => message.channel === channel && heard(message.payload ?? ''));
      await client.query(`listen ${channel}`);
    },
    release() {
      gone();
      client.end().catch(ignore);
    },
  };
}

export interface PoolOptions {
  max?: number;
  applicationName?: string;
  statementTimeoutMs?: number;
  /** Who its connections are (roles.ts); left out: the user of the address. */
  role?: string;
}

/**
 * A pool of connections in UTC. A connection is asked for at most 5 s, then the call fails as unavailable ({@link isUnavailable} of unavailable.ts
 * tells). `statementTimeoutMs` is enforced by the server and holds for dedicated connections too, until they set their own.
 */
export function openPool(url: string, options: PoolOptions = {}): Pool {
  const config: ClientConfig = {
    connectionString: url,
    application_name: options.applicationName ?? 'hub',
    connectionTimeoutMillis: 5000,
    keepAlive: true,
    // Compiling a statement costs more than running any of ours.
    options: `-c TimeZone=UTC -c DateStyle=ISO -c jit=off${options.role === undefined ? '' : ` -c role=${options.role}`}`,
    types,
    ...(options.statementTimeoutMs === undefined ? {} : { statement_timeout: options.statementTimeoutMs }),
  };
  const pool = new ClientPool({ ...config, max: options.max ?? 10, pipeline: true });
  // A connection that breaks rejects the statement under way; without listeners the event would also end the process.
  pool.on('error', ignore);
  pool.on('connect', (client) => client.on('error', ignore));

  async function borrowed<T>(work: (sql: Sql, client: ClientBase) => Promise<T>): Promise<T> {
    const client = await pool.connect();
    let broken = false;
    const gone = (): void => {
      broken = true;
    };
    client.on('error', gone);
    try {
      return await work(sqlOf(client), client);
    } catch (error) {
      // The server says goodbye before it closes: such a connection must not go back to the pool.
      broken ||= isUnavailable(error);
      throw error;
    } finally {
      client.off('error', gone);
      client.release(broken);
    }
  }

  return {
    query: (text, values) => borrowed((sql) => sql.query(text, values)),
    transaction: (work) => borrowed((sql) => sql.transaction(work)),
    read: (enter, text, values) => borrowed((_sql, client) => readBehind(client, enter, text, values)),
    dedicated: () => dedicatedOf(config),
    close: () => pool.end(),
  };
}
