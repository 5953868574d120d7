import { encode } from './canonical.ts';
import type { LogEntry } from './entry.ts';
import { columnsOf } from './session.ts';
import type { Columns } from './session.ts';

/** The entry could not be made durable in time (it may be stored all the same): the caller gets an error and no data. */
export class LogUnavailable extends Error {
  readonly code = 'LOG_UNAVAILABLE';
  constructor(reason: string, options?: { cause?: unknown }) {
    super(`the query log cannot be written: ${reason}`, options);
    this.name = 'LogUnavailable';
  }
}

/** Proof for the caller that its query was logged; `id` is `writer-seq`, `hash` is hex, `at` is ISO UTC. */
export interface Receipt {
  id: string;
  writer: number;
  seq: number;
  hash: string;
  at: string;
}

/** An entry on its way, and the caller that waits for it. Only the first of `done` and `fail` has an effect. */
export interface Waiting {
  readonly body: Buffer;
  readonly columns: Columns;
  /** How often it was sent. */
  attempts: number;
  readonly settled: boolean;
  done(receipt: Receipt): void;
  fail(error: LogUnavailable): void;
}

export interface Queue {
  readonly size: number;
  /** The promise of the caller; see `append` in writer.ts. */
  put(entry: LogEntry): Promise<Receipt>;
  /** The oldest entries, not more than one commit should carry. */
  take(): Waiting[];
  putBack(entries: readonly Waiting[]): void;
  failAll(error: LogUnavailable): void;
}

const QUEUE_LIMIT = 10_000;
const BATCH_BYTES = 8 << 20;

/** Entries in order of arrival. One that waits longer than the deadline, here or in a commit under way, is failed. */
export function openQueue(limits: { maxBatch: number; maxEntryBytes: number; deadlineMs: number }): Queue {
  const { maxBatch, maxEntryBytes, deadlineMs } = limits;
  let entries: Waiting[] = [];

  function enqueue(body: Buffer, columns: Columns, resolve: (receipt: Receipt) => void, reject: (error: LogUnavailable) => void): void {
    let settled = false;
    const settle = (tell: () => void): void => {
      if (settled) return;
      settled = true;
      clearTimeout(timer);
      tell();
    };
    const waiting: Waiting = {
      body,
      columns,
      attempts: 0,
      get settled() {
        return settled;
      },
      done: (receipt) => settle(() => resolve(receipt)),
      fail: (error) => settle(() => reject(error)),
    };
    const timer = setTimeout(() => {
      const index = entries.indexOf(waiting);
      if (index !== -1) entries.splice(index, 1);
      waiting.fail(new LogUnavailable(`not within ${deadlineMs} ms`));
    }, deadlineMs);
    entries.push(waiting);
  }

  return {
    get size() {
      return entries.length;
    },
    put: (entry) =>
      new Promise((resolve, reject) => {
        if (entries.length >= QUEUE_LIMIT) throw new LogUnavailable('too many entries wait');
        const body = encode(entry, new Date(0));
        if (body.length > maxEntryBytes) throw new LogUnavailable('the entry is too large');
        enqueue(body, columnsOf(entry), resolve, reject);
      }),
    take() {
      let bytes = 0;
      const full = entries.findIndex(({ body }, index) => index === maxBatch || (bytes += body.length) > BATCH_BYTES);
      return entries.splice(0, full === -1 ? entries.length : Math.max(full, 1));
    },
    putBack(again) {
      entries = [...again, ...entries];
    },
    failAll(error) {
      for (const waiting of entries.splice(0)) waiting.fail(error);
    },
  };
}
