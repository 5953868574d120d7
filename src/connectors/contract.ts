/**
 * What a connector gives to and takes from the jobs. Everything here is raw: nothing is trimmed, converted or judged, that is the mapping's
 * work. Every failure is a `RetryLater` or a `StopStream`; anything else thrown from this folder is a bug.
 */
import type { Json, PushStream, ReadStream } from '../model/types.ts';

export interface RawRecord {
  /** Where in the source: `page 3 row 17`, `line 42`. Never holds a value of the record. */
  at: string;
  data: Record<string, unknown>;
  /** The source sent something that is no record; `data` then holds it as it came. The caller stores an issue and goes on. */
  broken?: { rule: string; message: string };
}

export interface Page {
  records: RawRecord[];
  /** To be stored in the transaction that stores the page, and given back as `PullFrom.cursor`. Opaque. */
  cursor: Json;
  /** No page follows in this run. */
  last: boolean;
  /** How many records the source says this run has in all, where it says so. */
  total?: number;
  /** MUST be called after the page is committed, and only then: tells the source that these rows were taken, and which of them were refused. */
  ack?: (refused?: readonly Refusal[]) => Promise<void>;
}

/** A raw record of a page that was refused. No part of it may be a value of the record: the sender reads it. */
export interface Refusal {
  /** `at` of the raw record. */
  at: string;
  rule: string;
  reason: string;
}

export interface PullFrom {
  cursor: Json | null;
  /** Known subject identifiers of a scheme after `after`, ordered, at most `limit`; needed by streams that ask per subject. */
  keys?: (scheme: string, after: string | null, limit: number) => Promise<string[]>;
  /** Whom a stream that runs on demand asks about, one a line; blank ones are passed over. */
  lines?: readonly string[];
  /** A CSV file that stands in for the transport of the stream. */
  file?: string;
}

export interface PushItem {
  /** Idempotency key `record:version`. The same key always comes with the same body. */
  key: string;
  body: Record<string, Json>;
}

export interface PushResult {
  key: string;
  /**
   * `accepted` has a receipt. `refused` is final. `pending`: handed over, the answer comes later (`collect`).
   * `unknown`: it may have arrived or not; repeat it with the same key.
   */
  outcome: 'accepted' | 'refused' | 'pending' | 'unknown';
  /** `at` is the receiver's time as an ISO 8601 UTC instant. */
  receipt?: { number: string; at: string };
  reason?: string;
}

export interface OpenOptions {
  now: () => Date;
  /** Longest wait for one call or statement, body included; 30 s when absent. */
  timeoutMs?: number;
  /** Aborted: calls in flight end with `RetryLater`. */
  signal?: AbortSignal;
  /** How long a push waits for the feedback of a front database; 2 s when absent. */
  feedbackWaitMs?: number;
}

export interface OpenConnector {
  /** Pages in order. A run may stop after any page and go on later from that page's cursor. */
  pull(stream: ReadStream, from: PullFrom): AsyncIterable<Page>;
  /**
   * One result per item that was sent, as soon as it is known. An item without a result was not sent: an earlier version of the same record
   * is unknown, or the iteration ended with an error. The results given before an error hold.
   */
  push(stream: PushStream, items: PushItem[]): AsyncIterable<PushResult>;
  /** Asks what became of items handed over earlier; sends nothing. */
  collect(stream: PushStream, keys: string[]): AsyncIterable<PushResult>;
  /** Hands a file over; the receipt says that the platform has it. StopStream where the connector takes none. */
  upload(file: { name: string; content: Uint8Array }): Promise<FileReceipt>;
  close(): Promise<void>;
}

/** `number` finds the file at the platform; `keptUntil` in its own words, '' when it says nothing. */
export interface FileReceipt {
  number: string;
  keptUntil: string;
}

export type Values = Readonly<Record<string, string | number>>;

export const DEFAULT_TIMEOUT_MS = 30_000;
