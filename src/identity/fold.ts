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
