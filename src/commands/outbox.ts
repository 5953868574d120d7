import { dayInShanghai } from '../mapping/dates.ts';
import { decideDiscard, discardDeadLetter, listDeadLetters, retryDeadLetter, settleDeadLetter } from '../store/dead-letters.ts';
import { openDeadlines } from '../store/deadlines.ts';
import type { Act } from '../store/operate.ts';
import type { Operator } from './operate.ts';
import { withLog } from './policy.ts';
import type { Environment } from './runtime.ts';

type Write = (text: string) => void;
const MOST = 1000;

/** `hub outbox list` and `deadlines`: JSON lines. */
export async function listWaiting(environment: Environment, what: 'list' | 'deadlines', options: Operator, write: Write): Promise<void> {
  await withLog(environment, { id: options.by, name: options.name }, `outbox ${what}: ${options.reason}`, async ({ pool, model }) => {
    const rows =
      what === 'deadlines'
        ? await openDeadlines(pool, model, dayInShanghai(new Date()))
        : await listDeadLetters(pool, { connector: undefined, stream: undefined }, { first: MOST, after: undefined });
    for (const row of rows) write(JSON.stringify(row));
  });
}

export const LETTER_ACTS = ['retry', 'arrived', 'not-arrived', 'discard', 'approve', 'reject'] as const;

/** `hub outbox retry|arrived|not-arrived|discard|approve|reject ID`: prints the row as it is then. Throws `Refused` as the act does. */
export async function handleLetter(
  environment: Environment,
  act: (typeof LETTER_ACTS)[number],
  id: number,
  options: Operator & { receipt?: string },
  write: Write,
): Promise<void> {
  const { by, name, reason, receipt = '' } = options;
  const why: Act = { by: { id: by, name }, reason };
  await withLog(environment, { id: by, name }, `outbox ${act} ${id}: ${reason}`, async ({ pool }) => {
    const done = {
      retry: () => retryDeadLetter(pool, id, why),
      arrived: () => settleDeadLetter(pool, id, { arrived: true, receipt }, why, new Date()),
      'not-arrived': () => settleDeadLetter(pool, id, { arrived: false, receipt: '' }, why, new Date()),
      discard: () => discardDeadLetter(pool, id, why),
      approve: () => decideDiscard(pool, id, true, why),
      reject: () => decideDiscard(pool, id, false, why),
    };
    write(JSON.stringify(await done[act]()));
  });
}
