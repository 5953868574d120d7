import { zipSync } from 'fflate';

/** One line of CSV. A text that a spreadsheet would take for a formula is kept a text. */
export function csvLine(cells: readonly string[]): string {
  return `${cells.map((cell) => `"${(/^[=+\-@\t\r]/.test(cell) ? `'${cell}` : cell).replaceAll('"', '""')}"`).join(',')}\n`;
}

/** A ZIP of one text in UTF-8, which the national platform wants files to be. */
export function zipText(name: string, text: string, at: Date): Uint8Array {
  return zipSync({ [name]: Buffer.from(text) }, { mtime: at });
}
