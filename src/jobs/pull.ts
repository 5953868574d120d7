import { openConnector } from '../connectors/connector.ts';
import type { Page, RawRecord } from '../connectors/contract.ts';
import { resolveSettings } from '../connectors/settings.ts';
import { RejectRecord, StopStream } from '../errors.ts';
import { type CompiledMapping, compileMapping } from '../mapping/compile.ts';
import type { PullStream } from '../model/types.ts';
import type { NewIssue } from '../store/issues.ts';
import { applyPage, type MappedPage } from '../store/page.ts';
import { beginRun, type Counts, type HeldRun, NO_COUNTS, type Trigger } from '../store/runs.ts';
import { knownCodes } from '../store/subjects.ts';
import { jobEntry } from './entry.ts';
import { connectorOf, dayOf, type Jobs } from './hub.ts';

export interface RunOptions {
  trigger: Trigger;
  /** A CSV file that stands in for the transport. */
  file?: string;
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
export async function runPull(jobs: Jobs, stream: PullStream, options: RunOptions): Promise<RunResult | undefined> {
  const connector = connectorOf(jobs.model, stream.connector);
  const run = await beginRun(jobs.pool, stream, connector.officer, options.trigger);
  if (run === undefined) return undefined;
  try {
    const counts = await readPages(jobs, stream, run, options);
    await jobs.log.append(jobEntry(jobs, 'pull', connector, stream, { rows: counts.in, outcome: 'answered', code: '' }));
    await run.end('done');
    return { run: run.id, counts };
  } catch (error) {
    const state = error instanceof StopStream ? 'stopped' : 'failed';
    await jobs.log
      .append(jobEntry(jobs, 'pull', connector, stream, { rows: 0, outcome: 'failed', code: state.toUpperCase() }))
      .catch(() => undefined);
    await run.end(state, error instanceof Error ? error.message : String(error)).catch(() => undefined);
    throw error;
  }
}

async function readPages(jobs: Jobs, stream: PullStream, run: HeldRun, options: RunOptions): Promise<Counts> {
  const { settings, missing } = resolveSettings(connectorOf(jobs.model, stream.connector), jobs.environment);
  if (missing.length > 0 && options.file === undefined) throw new StopStream(`settings are missing: ${missing.join(', ')}`);
  const open = openConnector(connectorOf(jobs.model, stream.connector), settings, {
    now: jobs.now,
    ...(options.signal ? { signal: options.signal } : {}),
  });
  const mapping = compileMapping(jobs.model, stream);
  const reported = new Set<string>();
  const counts = { ...NO_COUNTS };
  try {
    const pages = open.pull(stream, {
      // A file is a whole of its own: it neither uses nor moves the cursor of the transport.
      cursor: options.file === undefined ? run.cursor : null,
      keys: (scheme, after, limit) => knownCodes(jobs.pool, scheme, after, limit),
      ...(options.file === undefined ? {} : { file: options.file }),
    });
    for await (const page of pages) {
      const mapped = mapPage(mapping, page, dayOf(jobs.now()), reported);
      if (options.file !== undefined) mapped.cursor = run.cursor;
      const result = await applyPage(jobs.pool, jobs.keys, jobs.model, stream, run, mapped, dayOf(jobs.now()));
      await page.ack?.(result.refused);
      counts.pages += 1;
      counts.in += page.records.length;
      counts.stored += result.stored;
      counts.unchanged += result.unchanged;
      counts.issues += result.issues;
      options.onProgress?.({ ...counts }, page.total);
      stopWhenBroken(page.records.length, result.issues);
    }
    return counts;
  } finally {
    await open.close();
  }
}

/** Maps a page: each raw record becomes a record or an issue, and keys that nobody mapped are reported once a run. */
function mapPage(mapping: CompiledMapping, page: Page, today: string, reported: Set<string>): MappedPage {
  const mapped: MappedPage = { records: [], issues: [], cursor: page.cursor };
  for (const raw of page.records) {
    if (raw.broken) {
      mapped.issues.push(issueOf(raw, raw.broken.rule, '', raw.broken.message));
      continue;
    }
    try {
      const record = mapping.map(raw.data, today);
      mapped.records.push({ record, raw: raw.data, at: raw.at });
      for (const key of record.unknownKeys) {
        if (reported.has(key)) continue;
        reported.add(key);
        mapped.issues.push({
          rule: 'unknown-key',
          at: raw.at,
          place: key,
          reason: '来源出现未登记的数据项,未入库,请确认映射',
          refused: false,
          raw: undefined,
        });
      }
    } catch (error) {
      if (!(error instanceof RejectRecord)) throw error;
      mapped.issues.push(issueOf(raw, error.rule, error.where, error.message));
    }
  }
  return mapped;
}

function issueOf(raw: RawRecord, rule: string, place: string, reason: string): NewIssue {
  return { rule, at: raw.at, place, reason, refused: true, raw: raw.data };
}

/** The page is stored with its issues; what comes after it waits for a person. */
function stopWhenBroken(records: number, issues: number): void {
  if (records >= BROKEN.least && issues > records * BROKEN.share) {
    throw new StopStream(`${issues} of ${records} records of a page were refused: the source or its mapping has changed`);
  }
}
