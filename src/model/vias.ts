/** Transports, as data: how a stream reads from or writes to its platform. */

export type Via = HttpVia | NationalInsuranceVia | DatabaseVia | FileVia | ManualVia;

export type Json = string | number | boolean | null | Json[] | { [key: string]: Json };

/** GET/POST JSON. Texts in `path`, `query`, `body` and `headers` may hold `{name}` of a setting or of a page variable. */
export interface HttpVia {
  kind: 'http';
  base: string;
  method: 'GET' | 'POST';
  path: string;
  headers: Record<string, string>;
  query: Record<string, string>;
  body: Json | undefined;
  /** Success is `value at ok.at` equal to ok.equals; else the text at `error` says why. Dots separate keys. */
  ok: { at: string; equals: string } | undefined;
  error: string | undefined;
  items: string;
  total: string | undefined;
  auth: LoginAuth | undefined;
  paging: PageNumber | undefined;
}
/** Log in once, send the token with every call, log in again when it is refused (401 or `expired`) – once per call. */
export interface LoginAuth {
  kind: 'login';
  path: string;
  body: Json;
  token: string;
  header: string;
  prefix: string;
  expired: string[];
}
/**
 * Pages 1, 2, 3 … of a window (since, until]. `until` is `overlapMinutes` before the start of the run, `since` as long before the end of the
 * window of the run before: clocks may differ by that much, and rows may be written that late.
 * Page variables: {page}, {size}, {since}, {until} (local time `yyyy-MM-dd HH:mm:ss`, Asia/Shanghai; the first `since` is 1970-01-01 00:00:00).
 */
export interface PageNumber {
  kind: 'page-number';
  size: number;
  overlapMinutes: number;
}
/** The HTTP interface of the national platform: envelope, TIF signature and sign-in are in code, the transaction is data. */
export interface NationalInsuranceVia {
  kind: 'national-insurance';
  infno: string;
  input: Json;
  /** Node of `output` that holds the records; '' where a file holds them. */
  node: string;
  /**
   * Nodes beside it whose first item belongs to the record, its keys as `NODE.KEY`. With it, every further node of the answer is a key of the
   * record too, to be mapped or ignored by name.
   */
  first?: string[] | undefined;
  /**
   * One call for each combination of `with`, times each known subject identifier of `scheme` ({code}), or each line that somebody gives: `ask`
   * names its parts, which tabs separate. Who is asked about by line is never in a cursor, a message or a place.
   */
  each: { scheme?: string | undefined; ask?: string[] | undefined; with: Record<string, string[]>; size: number } | undefined;
  file?: CatalogueFile | undefined;
  /** Whether {code} also stands in the envelope's fixmedins_code. */
  onBehalf: boolean;
}
/**
 * The transaction answers with the number of a file, which 9102 hands out: a ZIP of one text, tabs between the columns, no header. Page variable
 * {version}: the greatest value of the column `version` that was read, '0' at first. `query`, `name` and `count` say where `output` has them.
 */
export interface CatalogueFile {
  query: string;
  name: string;
  count: string;
  /** Further columns come as `column N`. */
  columns: string[];
  version: string;
}
/** Another organisation's tables, read by keyset on (time, id), or through a front database with control columns. */
export interface DatabaseVia {
  kind: 'database';
  url: string;
  table: string;
  size: number;
  watermark: { time: string; id: string; overlapMinutes: number } | undefined;
  /** Front database (前置库): rows with `flag = pending` are read in `order`, and set to `done` after they are stored. */
  exchange: { flag: string; pending: string; done: string; order: string } | undefined;
}
/** CSV files: given by hand (`--file`), or the packets of a drop folder, read in the order of their names. */
export interface FileVia {
  kind: 'file';
  format: 'csv';
  /** Absent: only files given by hand. */
  drop?: DropFolder | undefined;
}
export interface DropFolder {
  folder: string;
  /** The packets of the stream: `PREFIX….csv`. */
  prefix: string;
  /** Where a file of refused rows is written for each packet; `key` is the column that names the row to the sender, never a personal one. */
  feedback: { folder: string; key: string } | undefined;
}

/** No transport: people enter these records, and a second person approves them (HN-6.2). */
export interface ManualVia {
  kind: 'manual';
}

export type PushVia = HttpPushVia | FrontDatabasePushVia | FilePushVia;
export interface HttpPushVia {
  kind: 'http';
  base: string;
  path: string;
  headers: Record<string, string>;
  /** Header that carries the idempotency key; undefined where the platform takes none. */
  keyHeader: string | undefined;
  auth: LoginAuth | undefined;
  ok: { at: string; equals: string };
  error: string;
  receipt: string;
  receivedAt: string;
  /** Where the receipt repeats the idempotency key. */
  echo: string | undefined;
  /** `over`: the places of the signed values, in order, joined by a line feed; `key`: a public key in PEM, as a setting. */
  signature: { at: string; over: string[]; key: string } | undefined;
}
/** A row per record in the platform's inbound table; the answer appears in its feedback table under the same key. */
export interface FrontDatabasePushVia {
  kind: 'database';
  url: string;
  table: string;
  key: string;
  flag: string;
  pending: string;
  writtenAt: string;
  feedback: { table: string; key: string; result: string; accepted: string; reason: string; receipt: string; time: string };
}
/**
 * Batch files in a folder that the platform reads (GB/T 39443 file mode): `PREFIX….csv` with a line for each item, and beside it `PREFIX….sha256` when it
 * is whole. The platform MUST leave a batch where it is until its answer stands in the feedback folder: `PREFIX….receipt.csv` with its own
 * `PREFIX….receipt.sha256`, a line for each key. It takes a key once, in however many batches it comes.
 */
export interface FilePushVia {
  kind: 'file';
  folder: string;
  prefix: string;
  /** Column of the idempotency key. */
  key: string;
  feedback: { folder: string } & BatchAnswer;
}
/** The columns of a receipt file. */
export interface BatchAnswer {
  key: string;
  result: string;
  /** The result that says that a row was taken. */
  accepted: string;
  reason: string;
  receipt: string;
  time: string;
}
