import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { classify } from '../identity/classify.ts';
import { dayInShanghai } from '../mapping/dates.ts';

/**
 * `hub identify < codes.txt`: one JSON line per line read, in order. Blank lines are codes too: unknown and not valid. `valid` speaks of the code as
 * written; one that holds only after folding (case, full width) is not valid, says so, and `normalized` is the form that holds.
 */
export async function identify(input: Readable, output: Writable, now: Date): Promise<void> {
  const today = dayInShanghai(now);
  for await (const line of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
    if (!output.write(`${JSON.stringify(told(line, today))}\n`)) await once(output, 'drain');
  }
}

function told(line: string, today: string): { code: string; kind: string; valid: boolean; normalized: string; reason: string } {
  const { code, kind, valid, normalized, reason } = classify(line, today);
  const folded = valid && normalized.length === line.trim().length && normalized !== line.trim();
  return folded
    ? { code, kind, valid: false, normalized, reason: 'not-normalised: holds after folding' }
    : { code, kind, valid, normalized, reason };
}
