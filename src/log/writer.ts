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
  /** Throws {@link LogUnavailable} when it is known that no entry can be written now: nothing need be read for an answer that may not leave. */
  check(): void;
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
  /** Largest entry in bytes; a larger one is refused. */
  maxEntryBytes?: number;
  /** How long a caller may wait for a commit that is under way. */
  deadlineMs?: number;
  /** How long a caller may wait for a lost connection to be made anew, before the log is known to be away. */
  reconnectMs?: number;
  /** Accept a server that runs without fsync. For tests. */
  allowUnsafe?: boolean;
}

const AGAIN_MS = 100;
const ENTRY_BYTES = 4 << 20;

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
 * Once the connection cannot be had anew, or a commit outlasts the deadline, the log is away: everybody is refused at once, while the writer goes on
 * trying in the background. So a caller only ever waits for a commit or a connection that is really being made.
 * Throws when PostgreSQL cannot be reached or does not keep what it commits.
 */
export async function openLog(options: LogOptions): Promise<QueryLog> {
  const { pool, suite, maxBatch = 500, maxEntryBytes = ENTRY_BYTES, deadlineMs = 1000, reconnectMs = 40, allowUnsafe = false } = options;
  const bootId = randomUUID();
  const connect = (): Promise<Session> => openSession(pool, { bootId, timeoutMs: deadlineMs, allowUnsafe });
  const queue = openQueue({ maxBatch, maxEntryBytes, deadlineMs });
  const keep = documentsOf(pool, suite);
  /** Sent, and the connection lost before the answer: stored or not. */
  let doubtful: Batch | undefined;
  /** Why nothing more is taken. */
  let refusal: LogUnavailable | undefined;
  /** Why nothing can be written just now. */
  let away: LogUnavailable | undefined;
  let busy = false;
  let drained = Promise.resolve();
  let closing: Promise<void> | undefined;
  const resting = new AbortController();
  let session: Session | undefined = await connect();
  const { writer, genesis, since } = await session.register(options.node, suite).catch((error: unknown) => {
    lose();
    throw error;
  });
  const origin: Head = { seq: 0, hash: genesis };
  let head = origin;
  let lastAt = since.getTime();
  void watch(session);

  function lose(): void {
    session?.end();
    session = undefined;
  }

  /** A connection that is lost while nobody waits is made anew at once: the next caller shall not have to find out. */
  async function watch(one: Session): Promise<void> {
    await one.lost;
    if (session === one) start();
  }

  function goAway(reason: string, cause?: unknown): void {
    away = new LogUnavailable(reason, { cause });
    queue.failAll(away);
    // Stored or not will be known with the next connection; nobody has to wait for it.
    for (const waiting of doubtful?.entries ?? []) waiting.fail(away);
  }

  /** The connection of this writer; a new one decides the doubtful batch by what is stored. */
  async function connected(): Promise<Session> {
    if (session?.alive) return session;
    lose();
    const patience = setTimeout(() => goAway('the connection is not back in time'), reconnectMs);
    try {
      session = await connect();
      void watch(session);
      await session.claim(writer);
      decide((await session.head(writer)) ?? origin);
      return session;
    } catch (error) {
      goAway('PostgreSQL cannot be reached', error);
      throw error;
    } finally {
      clearTimeout(patience);
    }
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
    const patience = setTimeout(() => goAway(`a commit takes longer than ${deadlineMs} ms`), deadlineMs);
    try {
      const at = new Date(Math.max((await open.clock()).getTime(), lastAt));
      lastAt = at.getTime();
      await commit(open, at, queue.take());
    } finally {
      clearTimeout(patience);
    }
  }

  async function commit(open: Session, at: Date, entries: readonly Waiting[]): Promise<void> {
    if (entries.length === 0) return;
    const batch = chained(entries, at);
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
  const broken = (): boolean => refusal === undefined && (away !== undefined || !session?.alive);

  /** Runs while anybody waits or there is a connection to win back. Never rejects. */
  async function drain(): Promise<void> {
    while (wanted() || broken()) {
      try {
        const open = await connected();
        if (away) await open.probe();
        away = undefined;
        if (queue.size > 0) await flush(open);
      } catch {
        lose();
        if (away) await sleep(AGAIN_MS, undefined, { ref: false, signal: resting.signal }).catch(() => undefined);
      }
    }
    busy = false;
  }

  function start(): void {
    if (busy) return;
    busy = true;
    drained = drain();
  }

  async function finish(): Promise<void> {
    refusal ??= new LogUnavailable('it is closed');
    resting.abort();
    await drained;
    try {
      await (await connected()).finish(writer, head);
    } catch (error) {
      throw new LogUnavailable('its end cannot be recorded', { cause: error });
    } finally {
      lose();
    }
  }

  function check(): void {
    const reason = refusal ?? away;
    if (reason) throw reason;
  }

  return {
    writer,
    check,
    async document(text) {
      check();
      const patience = new AbortController();
      try {
        const late = sleep(deadlineMs, undefined, { signal: patience.signal }).then(() => {
          throw new Error(`not within ${deadlineMs} ms`);
        });
        return await Promise.race([keep(text), late]);
      } catch (error) {
        throw new LogUnavailable('the document cannot be kept', { cause: error });
      } finally {
        patience.abort();
      }
    },
    async append(entry) {
      check();
      const receipt = queue.put(entry);
      start();
      return receipt;
    },
    close: () => (closing ??= finish()),
  };
}

function same(a: Head, b: Head): boolean {
  return a.seq === b.seq && a.hash.equals(b.hash);
}
