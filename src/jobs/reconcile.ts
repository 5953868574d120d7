import type { OpenConnector, RawRecord } from '../connectors/contract.ts';
import { BEGINNING } from '../connectors/reconcile.ts';
import { resolveSettings } from '../connectors/settings.ts';
import { RetryLater, StopStream } from '../errors.ts';
import type { Json, PullStream, PushStream, Stream } from '../model/types.ts';
import { reopen } from '../store/held.ts';
import { beginReconciliation, keepComparison, leaveUnproven, noteCorrected, type Reconciliation } from '../store/reconciliation.ts';
import { beginRun, cursorOf, holdComparison, type Trigger } from '../store/runs.ts';
import type { Difference } from './compare.ts';
import { jobEntry } from './entry.ts';
import { endStateOf } from './failure.ts';
import { openPlatform } from './gate.ts';
import { connectorOf, type Jobs } from './hub.ts';
import { runPush } from './push.ts';
import { keyOf } from './push-body.ts';
import { compareAsked, compareReread, dayWindow, type Found, localOf } from './reconcile-pull.ts';
import { comparePush } from './reconcile-push.ts';
import { sinkOf } from './sink.ts';

export interface ReconcileOptions {
  trigger: Trigger;
  /** Only this day of the platform, YYYY-MM-DD. */
  day?: string;
  /** Whether what differs is read, or sent, again; then the two sides are compared once more. */
  fix?: boolean;
  signal?: AbortSignal;
}
export interface ReconcileResult {
  /** The last comparison: after a correction, the one that shows what came of it. */
  last: Reconciliation;
  differences: Difference[];
  /** How many keys were read or sent again. */
  corrected: number;
}
export type ComparedStream = PullStream | PushStream;

/** Whether a stream has another side to be compared with; code tables are read as a whole every time. */
export function isCompared(stream: Stream): stream is ComparedStream {
  if (stream.direction === 'push') return stream.reconcile !== undefined;
  const { via } = stream;
  return stream.direction === 'pull' && via.kind !== 'manual' && !(via.kind === 'file' && via.drop === undefined);
}

/** Keys a page when rows are stored again. */
const PAGE = 200;

/**
 * Compares a stream with its platform by category, day and region (U24), and corrects what differs where that was asked for: a pull stream reads exactly
 * those keys again, a push stream sends exactly those records again. Green only with evidence (U25): whatever keeps the platform from answering leaves
 * the comparison unproven. Undefined when another process compares the stream. Throws what the platform or the hub threw; the ledger has the reason.
 */
export async function runReconcile(jobs: Jobs, stream: ComparedStream, options: ReconcileOptions): Promise<ReconcileResult | undefined> {
  const letGo = await holdComparison(jobs.pool, stream);
  if (letGo === undefined) return undefined;
  try {
    const connector = connectorOf(jobs.model, stream.connector);
    const { settings, missing } = resolveSettings(connector, jobs.environment);
    const open = openPlatform(jobs, { connector, stream: stream.id, windows: stream.windows, signal: options.signal }, settings);
    try {
      const first = await compareOnce(jobs, stream, open, missing, options);
      if (!options.fix) return { ...first, corrected: 0 };
      const corrected = first.last.state === 'red' ? await correct(jobs, stream, open, first.differences, options) : 0;
      const second = corrected > 0 ? await compareOnce(jobs, stream, open, missing, options) : first;
      await noteCorrected(jobs.pool, stream, corrected, second.last.id);
      return { ...second, corrected };
    } finally {
      await open.close();
    }
  } finally {
    await letGo();
  }
}

async function compareOnce(
  jobs: Jobs,
  stream: ComparedStream,
  open: OpenConnector,
  missing: readonly string[],
  options: ReconcileOptions,
): Promise<{ last: Reconciliation; differences: Difference[] }> {
  const connector = connectorOf(jobs.model, stream.connector);
  const id = await beginReconciliation(jobs.pool, stream, connector.officer, options.trigger, options.day);
  const entry = { ...jobEntry(jobs, stream.direction, connector, stream, { rows: 0, outcome: 'answered', code: '' }) };
  const operation = `${stream.connector}/${stream.id} reconcile`;
  try {
    if (missing.length > 0) throw new StopStream(`settings are missing: ${missing.join(', ')}`);
    const found = await find(jobs, stream, open, options.day);
    // Logged before what was found can be seen, like every read.
    await jobs.log.append({ ...entry, operation, rows: found.cells.reduce((sum, cell) => sum + cell.theirs, 0) });
    const { method, until, cells, differences } = found;
    const last = await keepComparison(jobs.pool, jobs.keys, id, { method, until, answeredAt: jobs.now(), cells, differences });
    return { last, differences };
  } catch (error) {
    const state = endStateOf(error);
    await jobs.log.append({ ...entry, operation, outcome: 'failed', code: state.toUpperCase() }).catch(() => undefined);
    await leaveUnproven(jobs.pool, id, error instanceof Error ? error.message : String(error)).catch(() => undefined);
    throw error;
  }
}

async function find(jobs: Jobs, stream: ComparedStream, open: OpenConnector, day: string | undefined): Promise<Found> {
  const asking = open.reconcile(stream);
  const now = localOf(jobs.now().toISOString());
  const cursor: Json | null = stream.direction === 'pull' ? await cursorOf(jobs.pool, stream) : null;
  const due = asking.due(cursor);
  const whole = { since: BEGINNING, until: due ?? now };
  const window = day === undefined ? whole : dayWindow(day, whole);
  if (window.since >= window.until) throw new StopStream(`nothing-due: ${day} 尚未读取到可以核对的程度`);
  if (stream.direction === 'push') return comparePush(jobs, stream, asking, window);
  const side = { stream, asking, open, window: due === undefined ? whole : window, day, timed: due !== undefined, now };
  return stream.reconcile?.kind === 'asked' ? compareAsked(jobs, side) : compareReread(jobs, side);
}

/** Corrects what differs, and only that. What the platform has no longer is left to a person: a listing that is short would delete what holds. */
async function correct(
  jobs: Jobs,
  stream: ComparedStream,
  open: OpenConnector,
  differences: readonly Difference[],
  options: ReconcileOptions,
): Promise<number> {
  if (stream.direction === 'push') return pushAgain(jobs, stream, open, differences, options);
  const rows = differences.flatMap((one) => (one.raw === undefined ? [] : [one.raw]));
  return rows.length === 0 ? 0 : storeAgain(jobs, stream, rows, options.trigger);
}

/** In a run of its own, through the same mapping and the same transaction as any page; the cursor stays. */
async function storeAgain(jobs: Jobs, stream: PullStream, rows: readonly RawRecord[], trigger: Trigger): Promise<number> {
  const connector = connectorOf(jobs.model, stream.connector);
  const run = await beginRun(jobs.pool, stream, connector.officer, trigger);
  if (run === undefined) throw new RetryLater('the stream is being run by another process, or paused: it is corrected later');
  try {
    const sink = sinkOf(jobs, stream, run);
    for (let from = 0; from < rows.length; from += PAGE)
      await sink.store({ records: rows.slice(from, from + PAGE), cursor: run.cursor, last: true }, run.cursor);
    await sink.finish();
    await jobs.log.append(jobEntry(jobs, 'pull', connector, stream, { rows: rows.length, outcome: 'answered', code: '' }));
    await run.end('done');
    return rows.length;
  } catch (error) {
    await run.end(endStateOf(error), error instanceof Error ? error.message : String(error)).catch(() => undefined);
    throw error;
  }
}

async function pushAgain(
  jobs: Jobs,
  stream: PushStream,
  open: OpenConnector,
  differences: readonly Difference[],
  options: ReconcileOptions,
): Promise<number> {
  const keys = differences.flatMap((one) => {
    const [, recordId, version, recall] = one.kind === 'not-here' ? [] : (/^(\d+):(\d+)(:recall)?$/.exec(one.key) ?? []);
    const act = recall === undefined ? ('publish' as const) : ('recall' as const);
    return recordId === undefined ? [] : [{ recordId: Number(recordId), version: Number(version), act }];
  });
  if (keys.length === 0) return 0;
  await open.reconcile(stream).handOverAgain(keys.map(keyOf));
  const again = await reopen(jobs.pool, stream, keys, stream.via.kind === 'database' ? 'sent' : 'waiting');
  if ((await runPush(jobs, stream, { trigger: options.trigger })) === undefined)
    throw new RetryLater('the stream is being run by another process, or paused: it is sent later');
  return again;
}
