import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Pool } from '../store/sql.ts';
import { isUnavailable } from '../store/unavailable.ts';
import { stamp } from './canonical.ts';
import { link } from './chain.ts';
import type { Head, LogSuite } from './chain.ts';
import { documentsOf } from './documents.ts';
import type { LogEntry } from './entry.ts';
import { LogUnavailable, openQueue } from './queue.ts';
import type { Receipt, Waiting } from './queue.ts';
import { openSession } from './session.ts';
import type { Row, Session } from './session.ts';

export { LogUnavailable } from './queue.ts';
export type { Receipt } from './queue.ts';

export interface QueryLog {
  readonly writer: number;
  /** Keeps the text of a document (its literals stripped) and gives the hex hash that `entry.document` needs. Rejects with {@link LogUnavailable}. */
  document(text: string): Promise<string>;
  /**
   * Resolves when the entry is committed and flushed; until then no answer may leave. Rejects with {@link LogUnavailable} within the deadline, or
   * with a RangeError for an entry that cannot be encoded. The entry is read when it is given; changes to it later have no effect.
   */
  append(entry: LogEntry): Promise<Receipt>;
  /** Takes nothing more, writes what waits, and closes the chain. */
  close(): Promise<void>;
}

export interface LogOptions {
  pool: Pool;
  /** The name of this process for people: host and role. */
  node: string;
  suite: LogSuite;
  /** Most entries in one commit. */
  maxBatch?: number;
  deadlineMs?: number;
  /** Accept a server that runs without fsync. For tests. */
  allowUnsafe?: boolean;
}

const RECONNECT_MS = 100;

/** Entries that were sent, and where the chain stands if they are stored. */
interface Batch {
  entries: readonly Waiting[];
  rows: readonly Row[];
  at: Date;
  head: Head;
}

/**
 * Opens the log as a new writer with its own chain (HN-23.2: no query without its record). Entries that come while a commit is under way share the
 * next one. When a connection is lost during a commit, the writer reads back what is stored before it goes on, so its chain has no gap and no fork.
 * Throws when PostgreSQL cannot be reached or does not keep what it commits.
 */
export async function openLog(options: LogOptions): Promise<QueryLog> {
  const { pool, suite, maxBatch = 500, deadlineMs = 3000, allowUnsafe = false } = options;
  const bootId = randomUUID();
  const connect = (): Promise<Session> => openSession(pool, { bootId, timeoutMs: deadlineMs, allowUnsafe });
  const queue = openQueue({ maxBatch, deadlineMs });
  const keep = documentsOf(pool, suite);
  /** Sent, and the connection lost before the answer: stored or not. */
  let doubtful: Batch | undefined;
  /** Why nothing more is taken. */
  let refusal: LogUnavailable | undefined;
  let busy = false;
  let drained = Promise.resolve();
  let closing: Promise<void> | undefined;
  let session: Session | undefined = await connect();
  const { writer, genesis, since } = await session.register(options.node, suite).catch((error: unknown) => {
    lose();
    throw error;
  });
  const origin: Head = { seq: 0, hash: genesis };
  let head = origin;
  let lastAt = since.getTime();

  function lose(): void {
    session?.end();
    session = undefined;
  }

  /** The connection of this writer; a new one decides the doubtful batch by what is stored. */
  async function connected(): Promise<Session> {
    if (session?.alive) return session;
    lose();
    session = await connect();
    await session.claim(writer);
    decide((await session.head(writer)) ?? origin);
    return session;
  }

  function decide(stored: Head): void {
    const batch = doubtful;
    doubtful = undefined;
    if (batch && same(stored, batch.head)) {
      confirm(batch);
    } else if (same(stored, head)) {
      for (const waiting of batch?.entries ?? [])
        if (waiting.attempts > 1) waiting.fail(new LogUnavailable('the connection was lost twice'));
      queue.putBack(batch?.entries.filter((waiting) => !waiting.settled) ?? []);
    } else {
      // What was confirmed is gone, or another hand has written: to go on would hide it. Only a new writer may.
      refusal = new LogUnavailable(`writer ${writer} stands at ${head.seq} but ${stored.seq} is stored`);
      for (const waiting of batch?.entries ?? []) waiting.fail(refusal);
      queue.failAll(refusal);
    }
  }

  function confirm(batch: Batch): void {
    head = batch.head;
    const at = batch.at.toISOString();
    for (const [index, { seq, hash }] of batch.rows.entries()) {
      batch.entries[index]?.done({ id: `${writer}-${seq}`, writer, seq, hash: hash.toString('hex'), at });
    }
  }

  function chained(entries: readonly Waiting[], at: Date): Batch {
    let { seq, hash } = head;
    const rows = entries.map((waiting): Row => {
      const { body, columns } = waiting;
      waiting.attempts++;
      stamp(body, at);
      hash = link(suite, hash, writer, ++seq, body);
      return { seq, hash, body, columns };
    });
    return { entries, rows, at, head: { seq, hash } };
  }

  async function flush(open: Session): Promise<void> {
    // The clock first: what arrives while the server answers shares the commit.
    const at = new Date(Math.max((await open.clock()).getTime(), lastAt));
    const entries = queue.take();
    if (entries.length === 0) return;
    const batch = chained(entries, at);
    lastAt = at.getTime();
    try {
      await open.insert(writer, at, batch.rows);
    } catch (error) {
      if (!open.alive || isUnavailable(error)) {
        doubtful = batch;
        throw error;
      }
      // The server refused the statement, so nothing of it is stored.
      const refused = new LogUnavailable('PostgreSQL refused it', { cause: error });
      for (const waiting of entries) waiting.fail(refused);
      return;
    }
    confirm(batch);
  }

  const wanted = (): boolean => queue.size > 0 || (doubtful?.entries.some((waiting) => !waiting.settled) ?? false);

  /** Runs while anybody waits; the deadlines of those who wait end it when PostgreSQL stays away. Never rejects. */
  async function drain(): Promise<void> {
    while (wanted()) {
      try {
        const open = await connected();
        if (queue.size > 0) await flush(open);
      } catch {
        lose();
        await sleep(RECONNECT_MS);
      }
    }
    busy = false;
  }

  async function finish(): Promise<void> {
    refusal ??= new LogUnavailable('it is closed');
    await drained;
    try {
      await (await connected()).finish(writer, head);
    } catch (error) {
      throw new LogUnavailable('its end cannot be recorded', { cause: error });
    } finally {
      lose();
    }
  }

  return {
    writer,
    async document(text) {
      try {
        return await keep(text);
      } catch (error) {
        throw new LogUnavailable('the document cannot be kept', { cause: error });
      }
    },
    async append(entry) {
      if (refusal) throw refusal;
      const receipt = queue.put(entry);
      if (!busy) {
        busy = true;
        drained = drain();
      }
      return receipt;
    },
    close: () => (closing ??= finish()),
  };
}

function same(a: Head, b: Head): boolean {
  return a.seq === b.seq && a.hash.equals(b.hash);
}
