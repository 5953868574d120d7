/**
 * What a connector gives to and takes from the jobs. Everything here is raw: nothing is trimmed, converted or judged, that is the mapping's
 * work. Every failure is a `RetryLater` or a `StopStream`; anything else thrown from this folder is a bug.
 */
import type { Json, PullStream, PushStream, ReadStream } from '../model/types.ts';
import type { Reconciling } from './reconcile.ts';

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
  /** Idempotency key `record:version`, or `record:version:recall`. The same key always comes with the same body. */
  key: string;
  act: 'publish' | 'recall';
  /** Whose it is, for the order: while the outcome of an item is unknown, no later one of the same subject is sent. */
  subject: string;
  body: Record<string, Json>;
}

export interface PushResult {
  key: string;
  /**
   * `accepted` has a receipt. `refused` is final. `pending`: handed over, the answer comes later (`collect`). `unknown`: it may have arrived or not.
   * `absent`: it certainly has had no effect, and may be sent again. `drafted`: the platform keeps a draft without effect, to be confirmed next, or the
   * batch is named that it is written to next.
   */
  outcome: 'accepted' | 'refused' | 'pending' | 'unknown' | 'absent' | 'drafted';
  receipt?: Receipt;
  /** Number of the draft, or name of the batch. MUST be stored before the iteration goes on: then it is confirmed, or written. */
  draft?: string;
  reason?: string;
}

/** Stands before every call to a platform, whatever the transport. */
export interface Gate {
  /**
   * Makes the call where it may be made now, once. Throws `Deferred` without calling where it may not. A call that ends with `RetryLater`, or with
   * an answer that `isDown` knows, tells that the platform is not to be had.
   */
  pass<T>(call: () => Promise<T>, isDown?: (answer: T) => boolean): Promise<T>;
  close(): Promise<void>;
}

/** For whoever is told by nobody when to call. */
export const OPEN_GATE: Gate = { pass: (call) => call(), close: async () => {} };

export interface Receipt {
  number: string;
  /** The receiver's time as an ISO 8601 UTC instant. */
  at: string;
  /** Where the platform signs: what it signed and its signature in base64, not verified here. */
  signed?: { text: string; signature: string };
}

export interface OpenOptions {
  now: () => Date;
  /** Left out: every call passes. */
  gate?: Gate;
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
   * One result per item that was sent, as soon as it is known; a `drafted` one has another result after it. An item without a result was not sent: an
   * earlier one of its subject is unknown, or the iteration ended with an error. The results given before an error hold.
   */
  push(stream: PushStream, items: PushItem[]): AsyncIterable<PushResult>;
  /** Asks what became of items sent earlier, as the platform can be asked; sends none of them. A draft is confirmed, which is done once however often. */
  collect(stream: PushStream, items: readonly Doubtful[]): AsyncIterable<PushResult>;
  /** Hands a file over; the receipt says that the platform has it. StopStream where the connector takes none. */
  upload(file: { name: string; content: Uint8Array }): Promise<FileReceipt>;
  /** The questions with which a stream is compared with what the platform holds. */
  reconcile(stream: PullStream | PushStream): Reconciling;
  close(): Promise<void>;
}

/** Something that was sent, and of which it is not known what became. */
export interface Doubtful {
  key: string;
  act: 'publish' | 'recall';
  draft: string | null;
}

/** `number` finds the file at the platform; `keptUntil` in its own words, '' when it says nothing. */
export interface FileReceipt {
  number: string;
  keptUntil: string;
}

export type Values = Readonly<Record<string, string | number>>;

export const DEFAULT_TIMEOUT_MS = 30_000;
