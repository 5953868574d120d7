import type { OpenConnector, PushItem, PushResult } from '../connectors/contract.ts';
import { resolveSettings } from '../connectors/settings.ts';
import { RetryLater, StopStream } from '../errors.ts';
import type { PushStream } from '../model/types.ts';
import { placesOf } from '../rules/budget.ts';
import { beginRun, type Counts, type HeldRun, NO_COUNTS } from '../store/runs.ts';
import { keepDraft, markSent, type OutboxRow, settle, type Settled, takeSent, takeWaiting } from '../store/sending.ts';
import { endStateOf } from './failure.ts';
import { openPlatform } from './gate.ts';
import { connectorOf, type Jobs } from './hub.ts';
import type { RunOptions, RunResult } from './pull.ts';
import { keyOf, openPublication, type PublicationOf } from './push-body.ts';
import { verifiedReceipt } from './receipts.ts';

const BATCH = 100;
/** After so many batches in a row without any known outcome the platform is taken to be down. */
const MOST_DOUBTFUL = 3;

/** A push run under way. */
interface Push {
  jobs: Jobs;
  stream: PushStream;
  run: HeldRun;
  open: OpenConnector;
  settings: Readonly<Record<string, string>>;
  publication: PublicationOf;
  counts: Counts;
  options: RunOptions;
}

/**
 * Sends what waits in the outbox of a push stream, oldest first, after it has found out what became of what was sent before. A row is marked as sent
 * before it leaves, so that whatever ends this process nobody guesses: it is sent again under its key, asked about, confirmed, or left to a person, as
 * the platform `acknowledges`. The receiver is a caller: the same decision as for a query cuts the content (design §4). Undefined when another process
 * holds the stream.
 */
export async function runPush(jobs: Jobs, stream: PushStream, options: RunOptions): Promise<RunResult | undefined> {
  const connector = connectorOf(jobs.model, stream.connector);
  const run = await beginRun(jobs.pool, stream, connector.officer, options.trigger, {
    concurrent: placesOf(connector.limits),
    now: jobs.now(),
  });
  if (run === undefined) return undefined;
  const counts = { ...NO_COUNTS };
  try {
    const { settings, missing } = resolveSettings(connector, jobs.environment);
    if (missing.length > 0) throw new StopStream(`settings are missing: ${missing.join(', ')}`);
    // A call that nobody can be asked about is not broken off: stopping waits for its answer.
    const signal = stream.publish.acknowledges.mode === 'none' ? undefined : options.signal;
    const open = openPlatform(jobs, { connector, stream: stream.id, windows: stream.windows, signal }, settings);
    try {
      const push = { jobs, stream, run, open, settings, publication: openPublication(jobs, stream), counts, options };
      const doubtful = await resolveDoubtful(push);
      await sendWaiting(push);
      if (doubtful !== undefined) throw doubtful;
    } finally {
      await open.close();
    }
    await run.end('done');
    return { run: run.id, counts };
  } catch (error) {
    await run.end(endStateOf(error), error instanceof Error ? error.message : String(error)).catch(() => undefined);
    throw error;
  }
}

/** Rows that an earlier run sent, or was about to send when it ended. Gives why it has to be tried again; what else waits can be sent before. */
async function resolveDoubtful(push: Push): Promise<RetryLater | undefined> {
  const { jobs, stream, open } = push;
  const { acknowledges } = stream.publish;
  let early: number | undefined;
  let doubtful = 0;
  for (let after = 0; ;) {
    const rows = await takeSent(jobs.pool, stream, after, BATCH);
    if (rows.length === 0) break;
    after = rows.at(-1)?.id ?? after;
    if (acknowledges.mode === 'none') await account(push, statesOf(rows, 'unknown'), 0);
    else if (acknowledges.mode === 'keys' && stream.via.kind === 'http') doubtful += await send(push, rows);
    else {
      const byKey = new Map(rows.map((row) => [keyOf(row), row]));
      const settled: Settled[] = [];
      const asked = rows.map((row) => ({ key: keyOf(row), act: row.act, draft: row.draft }));
      try {
        for await (const result of open.collect(stream, asked)) {
          const row = byKey.get(result.key);
          if (row === undefined) continue;
          const wait = acknowledges.mode === 'asks' && result.outcome === 'absent' ? acknowledges.afterSeconds - row.age : 0;
          if (result.outcome === 'unknown') doubtful += 1;
          // The call may still be under way at the platform.
          if (wait > 0) early = Math.max(early ?? 0, wait);
          else settled.push(...settledBy(push, row, result));
        }
      } finally {
        await account(push, settled, 0);
      }
    }
  }
  if (early !== undefined) return new RetryLater('asked too early what became of a call', { afterMs: Math.ceil(early * 1000) });
  return doubtful > 0 ? new RetryLater(`it is still not known what became of ${doubtful} records`) : undefined;
}

async function sendWaiting(push: Push): Promise<void> {
  const { jobs, stream, options } = push;
  // Where nobody can be asked, a process that ends takes no more than one row into doubt.
  const limit = stream.publish.acknowledges.mode === 'none' ? 1 : BATCH;
  for (let doubtful = 0; ;) {
    if (options.signal?.aborted) throw new RetryLater('stopped: the worker ends');
    const rows = await takeWaiting(jobs.pool, stream, limit);
    if (rows.length === 0) return;
    const open = await send(push, rows);
    doubtful = open < rows.length ? 0 : doubtful + 1;
    if (open > 0 && (limit > 1 || doubtful >= MOST_DOUBTFUL))
      throw new RetryLater(`${open} records were sent without a known outcome, which is found out before anything else of theirs is sent`);
  }
}

/** Sends the rows and stores what became of them. Gives how many have no known outcome. */
async function send(push: Push, rows: readonly OutboxRow[]): Promise<number> {
  const { jobs, stream, run, open, publication } = push;
  const { items, withheld } = await publication.prepare(rows);
  await account(push, withheld, 0);
  const marked = await jobs.pool.transaction((sql) => markSent(sql, run, [...items.keys()]));
  const sending = new Map([...items].filter(([row]) => marked.has(row.id)).map(([row, item]) => [item.key, { row, item }]));
  const settled = new Map<number, Settled>();
  const tried = new Set<number>();
  let failure: unknown;
  let doubtful = 0;
  try {
    for await (const result of open.push(
      stream,
      [...sending.values()].map(({ item }): PushItem => item),
    )) {
      const row = sending.get(result.key)?.row;
      if (row === undefined) continue;
      tried.add(row.id);
      const { draft } = result;
      if (result.outcome === 'drafted' && draft !== undefined) await jobs.pool.transaction((sql) => keepDraft(sql, run, row.id, draft));
      else for (const one of settledBy(push, row, result)) settled.set(row.id, one);
      if (result.outcome === 'unknown' || result.outcome === 'absent') doubtful += 1;
    }
  } catch (error) {
    failure = error;
  }
  // What was not sent may be sent again, and what was answered before a failure is answered. A row that was sent before this run stays in doubt.
  const unsent = [...sending.values()].flatMap(({ row }) => (tried.has(row.id) || row.attempts > 0 ? [] : [row]));
  const held = sending.size - tried.size;
  await account(push, [...settled.values(), ...statesOf(unsent, 'waiting')], tried.size);
  if (failure !== undefined) throw failure;
  return doubtful + held;
}

const statesOf = (rows: readonly OutboxRow[], state: 'waiting' | 'unknown'): Settled[] => rows.map(({ id }) => ({ id, state }));

/** Nothing: the row stays sent, and is asked about or sent again under its key. */
function settledBy({ jobs, stream, settings }: Push, { id }: OutboxRow, result: PushResult): Settled[] {
  switch (result.outcome) {
    case 'accepted':
      return [{ id, state: 'done', receipt: verifiedReceipt(jobs, stream, settings, result.receipt) }];
    case 'refused':
      return [{ id, state: 'refused', reason: result.reason ?? '' }];
    case 'absent':
      return [{ id, state: 'waiting' }];
    case 'unknown':
      return stream.publish.acknowledges.mode === 'none' ? [{ id, state: 'unknown' }] : [];
    case 'pending':
    case 'drafted':
      return [];
  }
}

async function account({ jobs, run, counts, options }: Push, settled: readonly Settled[], pushed: number): Promise<void> {
  if (settled.length === 0 && pushed === 0) return;
  await jobs.pool.transaction((sql) => settle(sql, jobs.keys, run, settled, { pushed }));
  const refused = settled.filter((s) => s.state === 'refused' || s.state === 'withheld').length;
  counts.pages += 1;
  counts.in += refused;
  counts.issues += refused;
  counts.pushed += pushed;
  counts.receipts += settled.filter((s) => s.state === 'done').length;
  options.onProgress?.({ ...counts }, undefined);
}
