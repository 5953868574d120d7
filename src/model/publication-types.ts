/** The shapes of `publish:` after loading: what leaves the hub, for whom, and how it is taken back. */
import type { FieldValue } from './types.ts';
import type { Json } from './vias.ts';

export interface Publication {
  category: number;
  kinds: string[];
  /** Code field → the codes of which a record has one; a record without the field is not chosen. Empty: every record. */
  only: Map<string, string[]>;
  /** Departments or connectors that told the record: the bureau's own decisions, and nobody else's. Empty: whoever told it. */
  from: string[];
  /** The receiver as a caller: its department and the purpose of the push decide what it gets. */
  receiver: string;
  purpose: string;
  /** Wire key → what it holds. */
  body: Wire;
  recall: RecallForm;
  acknowledges: Acknowledges;
  deadline: PushDeadline | undefined;
}

/**
 * Wire key → a value of the record, or a literal. In a publication `of` is a record field, `subject.FIELD`, or `record.` with `id`, `version`,
 * `kind`, `deleted`, `disputed` or `key` (the idempotency key, by which a platform can be asked). Every publication tells `disputed`: a fact to
 * which an objection is pending is marked wherever it goes (HN-24.3, U15). In a recall it is one of {@link RECALL_PARTS}.
 */
export type Wire = Map<string, WirePart>;
export type WirePart = { of: string; lookup: Map<string, string> | undefined } | { literal: FieldValue };

/**
 * How the wire says that what was received is taken back (终止公示, 撤回). It holds no credit information, so that it can be sent whatever became of
 * the record and of the receiver's grant: `key` (the recall's own idempotency key), `published` (that of the version taken back), `receipt` (the
 * number which the platform gave for it), `cause` (a code of codes/recall-causes), `day`, and `mark` (某年某月某日修复, of a decision; else nothing).
 */
export interface RecallForm {
  /** Path of its own; undefined: that of the publication. */
  path: string | undefined;
  body: Wire;
}
export const RECALL_PARTS = ['key', 'published', 'receipt', 'cause', 'day', 'mark'] as const;

/**
 * What becomes of a push whose answer was lost, by what the platform can do. `keys`: it is sent again, the platform takes a key once. `asks`: the
 * platform is asked by the business key, and only what it does not have is sent again. `drafts`: a draft has no effect, its number is kept before
 * it is confirmed, and confirming a number again has no second effect. `none`: nothing is repeated, a person decides.
 */
export type Acknowledges =
  | { mode: 'keys' }
  /**
   * The answer holds a receipt, or says at `absent` that nothing was received under `{key}`; anything else is no answer. "Nothing" is believed
   * `afterSeconds` after the item was sent: until then the call may still be under way at the platform.
   */
  | { mode: 'asks'; path: string; body: Json; absent: { at: string; equals: string }; afterSeconds: number }
  /** `number`: where the answer to a draft has its number, `{draft}` in the call that confirms it and that is answered with the receipt. */
  | { mode: 'drafts'; number: string; path: string; body: Json }
  | { mode: 'none' };

/** Working days from a day of the record within which the receipt has to be there (双公示: seven from the decision). */
export interface PushDeadline {
  workingDays: number;
  /** A date field of the category. */
  from: string;
}
