/** A database with the query log alone, and logs filled with sample entries. */
import { ensureLogPartitions } from '../../src/log/partitions.ts';
import type { PublicKey, Signer } from '../../src/log/signature.ts';
import { openPublicKey, openSigner } from '../../src/log/signature.ts';
import type { Verification } from '../../src/log/verify.ts';
import type { LogOptions, QueryLog, Receipt } from '../../src/log/writer.ts';
import { openLog } from '../../src/log/writer.ts';
import { LOG_DDL } from '../../src/store/migrations/log-ddl.ts';
import { SEAL_DDL } from '../../src/store/migrations/seal-ddl.ts';
import { logWallDdl } from '../../src/store/migrations/wall-ddl.ts';
import type { SignatureAlgorithm } from '../../src/store/signing.ts';
import { newSigningKey } from '../../src/store/signing.ts';
import type { Pool } from '../../src/store/sql.ts';
import { openPool } from '../../src/store/sql.ts';
import { sampleDocument, sampleEntry } from '../fixtures/log-entries.ts';
import { emptyDatabase } from './database.ts';

export interface LogDatabase {
  pool: Pool;
  /** The name of the partition of this month. */
  partition: string;
  open(options?: Partial<LogOptions>): Promise<QueryLog>;
  /** What a hand with all rights in the database can do: the triggers do not fire. */
  tamper(statement: string, values?: readonly unknown[]): Promise<void>;
  clear(): Promise<void>;
  drop(): Promise<void>;
}

/** A clock of the server that a test sets: `select` finds it before the real one. */
const CLOCK = [
  'create table test_clock (at timestamptz not null)',
  'grant select on test_clock to public',
  'insert into test_clock values (pg_catalog.clock_timestamp())',
  `create function public.clock_timestamp() returns timestamptz language sql as 'select at from public.test_clock'`,
  `do $$ begin execute format('alter database %I set search_path = public, pg_catalog', current_database()); end $$`,
];

/** With `clock` the server's clock stands still until `update test_clock set at = …`. */
export async function logDatabase(options: { clock?: boolean } = {}): Promise<LogDatabase> {
  const database = await emptyDatabase();
  const first = openPool(database.url, { max: 1, applicationName: 'log test' });
  const ddl = [...LOG_DDL, ...SEAL_DDL];
  for (const statement of [...ddl, ...logWallDdl(ddl), ...(options.clock ? CLOCK : [])]) await first.query(statement);
  await first.close();
  const pool = openPool(database.url, { max: 4, applicationName: 'log test' });
  const [partition = ''] = options.clock ? [] : await ensureLogPartitions(pool, new Date(), 1);
  const tamper = (statement: string, values: readonly unknown[] = []): Promise<void> =>
    pool.transaction(async (sql) => {
      await sql.query('set local session_replication_role = replica');
      await sql.query(statement, values);
    });
  return {
    pool,
    partition,
    tamper,
    // A busy machine takes its time to make a connection; how long a caller waits for one is measured in bench/.
    open: (options) => openLog({ pool, node: 'test', suite: 'sha256', allowUnsafe: true, deadlineMs: 3000, reconnectMs: 3000, ...options }),
    clear: () => tamper('truncate query_log, log_writer, log_document, log_checkpoint, log_sealed, log_cosignature'),
    async drop() {
      await pool.close();
      await database.drop();
    },
  };
}

/** Keeps the document of a sample entry, then appends the entry. */
export async function put(log: QueryLog, n: number): Promise<Receipt> {
  return log.append(sampleEntry(n, { document: await log.document(sampleDocument(n)) }));
}

/** The sample entries from..to-1 at once. */
export function fill(log: QueryLog, to: number, from = 0): Promise<Receipt[]> {
  return Promise.all(Array.from({ length: to - from }, (_, index) => put(log, from + index)));
}

/** What the verifier says of a log that is as it was written; without checkpoints unless told. */
export function sound(entries: number, writers = 1, sealing: { checkpoints?: number; sealed?: number } = {}): Verification {
  return { entries, writers, checkpoints: 0, sealed: 0, verified: true, faults: [], ...sealing };
}

/** A new key that signs for the log, and the public half that checks. */
export function logKey(algorithm: SignatureAlgorithm = 'ed25519'): { signer: Signer; key: PublicKey } {
  const { privateKey, publicKey } = newSigningKey(algorithm);
  return { signer: openSigner(privateKey), key: openPublicKey(publicKey) };
}
