import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { dayOf } from '../jobs/hub.ts';
import { classify } from '../identity/classify.ts';

/** `hub identify < codes.txt`: one JSON line per line read, in order. Blank lines are codes too: unknown and not valid. Nothing is kept. */
export async function identify(input: Readable, output: Writable, now: Date): Promise<void> {
  const today = dayOf(now);
  for await (const line of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
    const { code, kind, valid, normalized, reason } = classify(line, today);
    if (!output.write(`${JSON.stringify({ code, kind, valid, normalized, reason })}\n`)) await once(output, 'drain');
  }
}
