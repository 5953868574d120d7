import type { Faults } from './faults.ts';
import { toGb18030 } from './gb18030.ts';

const BOM = Buffer.from([0xef, 0xbb, 0xbf]);

/** A CSV file as it really arrives. With `half-file` it ends within a row; with `mislabelled-gb18030` it bears the mark of UTF-8 and is not. */
export function faultyFile(faults: Faults, text: string): Buffer {
  const whole = faults.roll('half-file') ? halfOf(text, faults) : text;
  return faults.roll('mislabelled-gb18030') ? Buffer.concat([BOM, toGb18030(whole)]) : Buffer.from(whole);
}

/** Cut within the first cells of a row, so that the row is visibly no whole one. */
function halfOf(text: string, faults: Faults): string {
  const lines = text.trimEnd().split('\n');
  const row = faults.random('half-file').int(Math.min(2, lines.length - 1), lines.length - 1);
  const line = lines[row] ?? '';
  return [...lines.slice(0, row), line.slice(0, Math.max(1, line.indexOf(',') + 2))].join('\n');
}
