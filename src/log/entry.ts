/** What an entry records: a read, a change, an introspection, a delivery to a subscriber, a scheduled pull or push, an act of administration, a decision about a query that nobody asked. */
export const KINDS = ['query', 'mutation', 'introspection', 'subscription', 'pull', 'push', 'admin', 'simulation'] as const;
/** `refused`: by the access decision; `invalid`: not a valid request; `failed`: an error of ours, no data left. */
export const OUTCOMES = ['answered', 'refused', 'invalid', 'failed'] as const;

export type Kind = (typeof KINDS)[number];
export type Outcome = (typeof OUTCOMES)[number];

/** Length in bytes of a keyed token of a subject. */
export const TOKEN_BYTES = 16;

/**
 * One query, allowed or refused: who, when (set by the log), what and why (HN-23.2, ZM-3.2.3), what came back and how it was decided. Holds no
 * value of a record and no citizen number: variables are tokenised, subjects are keyed tokens. Numbers are safe integers, not negative.
 */
export interface LogEntry {
  kind: Kind;
  /** The natural person; for a job the officer responsible for it; before authentication `anonymous` / `未认证`. */
  person: { id: string; name: string };
  department: string | null;
  role: string | null;
  region: string | null;
  /** The person or unit on whose behalf the caller acts. */
  actingFor: string | null;
  /** `code` is empty only where a request was refused or found invalid before it had a purpose. */
  purpose: { code: string; basis: string | null; case: string | null };
  /** Operation name of the document. */
  operation: string | null;
  /** Hex hash of the document without its literals, kept in `log_document`; empty when there was none. */
  document: string;
  /** Tokenised variables as JSON text (tokens.ts); of refusals that were counted their number, `{"times":n}` (floods.ts). */
  variables: string;
  /** Coordinates (`Type.field`) that were returned, masked, withheld. */
  fields: readonly string[];
  masked: readonly string[];
  denied: readonly string[];
  /** Numbers of the information categories touched, 1–12. */
  categories: readonly number[];
  /** Keyed tokens of the subjects in the answer, 16 bytes each. */
  subjects: readonly Buffer[];
  rows: number;
  /** Version of the policies, and the ids of the rules that decided. */
  policy: string;
  rules: readonly string[];
  outcome: Outcome;
  /** Error code of an outcome other than `answered`, else empty. */
  code: string;
  durationMs: number;
  /** Client address. */
  client: string;
}

/** A text as the log can hold it: PostgreSQL has no U+0000 and UTF-8 no lone surrogates, so both become U+FFFD. */
export const logText = (text: string): string => text.toWellFormed().replaceAll('\0', '\ufffd');
