import { cursorFrom } from '../connectors/rewind.ts';
import { resolveSettings } from '../connectors/settings.ts';
import { StopStream } from '../errors.ts';
import type { ReadStream } from '../model/types.ts';
import { placesOf } from '../rules/budget.ts';
import { beginRun, type Counts, type HeldRun, NO_COUNTS, type Trigger } from '../store/runs.ts';
import { knownCodes } from '../store/subjects.ts';
import { jobEntry } from './entry.ts';
import { endStateOf } from './failure.ts';
import { openPlatform } from './gate.ts';
import { connectorOf, type Jobs } from './hub.ts';
import { sinkOf } from './sink.ts';

export interface RunOptions {
  trigger: Trigger;
  /** A CSV file that stands in for the transport. */
  file?: string;
  /** Whom a stream that runs on demand asks about. They are in no message, cursor, ledger or log. */
  lines?: readonly string[];
  onProgress?: (counts: Counts, total: number | undefined) => void;
  signal?: AbortSignal;
}
export interface RunResult {
  run: number;
  counts: Counts;
}

/** More refused records than this share of a page of some size means that the source or its mapping is broken, not the records. */
const BROKEN = { least: 50, share: 0.5 };

/**
 * Reads one stream from its cursor to its end: pages are mapped and stored one by one, each in one transaction with its cursor. Undefined when
 * another process holds the stream or it is paused. Throws `RetryLater` and `StopStream` as the connector does; the ledger has the reason.
 */
export async function runPull(jobs: Jobs, stream: ReadStream, options: RunOptions): Promise<RunResult | undefined> {
  const connector = connectorOf(jobs.model, stream.connector);
  const run = await beginRun(jobs.pool, { ...stream, direction: 'pull' }, connector.officer, options.trigger, {
    concurrent: placesOf(connector.limits),
    now: jobs.now(),
  });
  if (run === undefined) return undefined;
  // What was stored before a failure is stored: the log says how many records were read either way.
  const counts = { ...NO_COUNTS };
  try {
    await readPages(jobs, stream, run, options, counts);
    await jobs.log.append(jobEntry(jobs, 'pull', connector, stream, { rows: counts.in, outcome: 'answered', code: '' }));
    await run.end('done');
    return { run: run.id, counts };
  } catch (error) {
    const state = endStateOf(error);
    await jobs.log
      .append(jobEntry(jobs, 'pull', connector, stream, { rows: counts.in, outcome: 'failed', code: state.toUpperCase() }))
      .catch(() => undefined);
    await run.end(state, error instanceof Error ? error.message : String(error)).catch(() => undefined);
    throw error;
  }
}

async function readPages(jobs: Jobs, stream: ReadStream, run: HeldRun, options: RunOptions, counts: Counts): Promise<void> {
  const connector = connectorOf(jobs.model, stream.connector);
  const { settings, missing } = resolveSettings(connector, jobs.environment);
  if (missing.length > 0 && options.file === undefined) throw new StopStream(`settings are missing: ${missing.join(', ')}`);
  const open = openPlatform(jobs, { connector, stream: stream.id, windows: stream.windows, signal: options.signal }, settings);
  const sink = sinkOf(jobs, stream, run);
  try {
    const pages = open.pull(stream, {
      // A file is a whole of its own: it neither uses nor moves the cursor of the transport.
      cursor: options.file === undefined ? beginningOf(stream, run) : null,
      keys: (scheme, after, limit) => knownCodes(jobs.pool, scheme, after, limit),
      ...(options.file === undefined ? {} : { file: options.file }),
      ...(options.lines === undefined ? {} : { lines: options.lines }),
    });
    for await (const page of pages) {
      const result = await sink.store(page, options.file === undefined ? page.cursor : run.cursor);
      await page.ack?.(result.refused);
      counts.pages += 1;
      counts.in += page.records.length;
      counts.stored += result.stored;
      counts.unchanged += result.unchanged;
      counts.issues += result.issues;
      options.onProgress?.({ ...counts }, page.total);
      stopWhenBroken(page.records.length, result.issues);
    }
    await sink.finish();
  } finally {
    await open.close();
  }
}

/** Where the run reads on, or from where a person asked to have it read again. */
function beginningOf({ via }: ReadStream, { cursor, backfillFrom }: HeldRun): HeldRun['cursor'] {
  return backfillFrom === null ? cursor : cursorFrom(via, backfillFrom);
}

/** The page is stored with its issues; what comes after it waits for a person. */
function stopWhenBroken(records: number, issues: number): void {
  if (records >= BROKEN.least && issues > records * BROKEN.share) {
    throw new StopStream(`${issues} of ${records} records of a page were refused: the source or its mapping has changed`);
  }
}
