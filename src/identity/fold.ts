/**
 * One spelling for a code: full-width forms become half-width, outer blanks go, ASCII letters become upper-case.
 * Only ASCII letters are raised, so no foreign letter can turn into one that a check character would accept. Idempotent.
 */
export function fold(raw: string): string {
  return raw
    .replace(/[\uFF01-\uFF5E]/g, (c) => String.fromCharCode(c.charCodeAt(0) - 0xfee0))
    .trim()
    .replace(/[a-z]/g, (c) => c.toUpperCase());
}

/** The brackets around the year of a document number, as platforms write them; each pair in its own form. */
const OPENING = /[[(〔［【（{]/g;
const CLOSING = /[\])〕］】）}]/g;

/** A text as it is compared with another source's: folded, with one kind of brackets and no blanks. Never what is stored or shown. */
export function foldForMatch(raw: string): string {
  return fold(raw).replace(OPENING, '(').replace(CLOSING, ')').replace(/\s/g, '');
}
