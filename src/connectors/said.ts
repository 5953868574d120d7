const RUN = /[0-9A-Za-z]{8,}/g;

/**
 * What the other side said, fit for an error message: cut, on one line, and without anything that could be an identity number, a code or
 * a token, since platforms like to repeat the value they refuse.
 */
export function said(text: string | undefined): string {
  const line = (text ?? '').replaceAll(/[\p{C}\s]+/gu, ' ').trim();
  return line.replaceAll(RUN, (run) => (/\d.*\d.*\d.*\d/.test(run) ? '***' : run)).slice(0, 200);
}
