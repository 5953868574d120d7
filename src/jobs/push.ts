import type { Grant } from '../access/decide.ts';
import { decide } from '../access/decide.ts';
import { openConnector } from '../connectors/connector.ts';
import type { OpenConnector, PushItem, PushResult } from '../connectors/contract.ts';
import { resolveSettings } from '../connectors/settings.ts';
import { Refused, RejectRecord, RetryLater, StopStream } from '../errors.ts';
import { dayInShanghai } from '../mapping/dates.ts';
import { compilePublication } from '../mapping/publish.ts';
import type { Model, PushStream } from '../model/types.ts';
import { type OutboxRow, type Settled, settle, takeOutbox } from '../store/outbox.ts';
import { openReader } from '../store/reader.ts';
import type { PushableRecord } from '../store/rows.ts';
import { beginRun, type Counts, type HeldRun, NO_COUNTS } from '../store/runs.ts';
import { jobEntry } from './entry.ts';
import { endStateOf } from './failure.ts';
import { connectorOf, type Jobs } from './hub.ts';
import type { RunOptions, RunResult } from './pull.ts';

const BATCH = 100;

/**
 * Sends what waits in the outbox of a push stream, oldest first, and asks for the answers to what was handed over before. The receiver is a
 * caller: the same decision as for a query cuts the content (design §4). Undefined when another process holds the stream.
 */
export async function runPush(jobs: Jobs, stream: PushStream, options: RunOptions): Promise<RunResult | undefined> {
  const connector = connectorOf(jobs.model, stream.connector);
  const run = await beginRun(jobs.pool, stream, connector.officer, options.trigger);
  if (run === undefined) return undefined;
  const counts = { ...NO_COUNTS };
  try {
    const { settings, missing } = resolveSettings(connector, jobs.environment);
    if (missing.length > 0) throw new StopStream(`settings are missing: ${missing.join(', ')}`);
    const open = openConnector(connector, settings, { now: jobs.now, ...(options.signal ? { signal: options.signal } : {}) });
    try {
      await collectAnswers(jobs, stream, run, open, counts, options);
      await sendWaiting(jobs, stream, run, open, counts, options);
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

async function collectAnswers(
  jobs: Jobs,
  stream: PushStream,
  run: HeldRun,
  open: OpenConnector,
  counts: Counts,
  options: RunOptions,
): Promise<void> {
  for (let after = 0; ;) {
    const rows = await takeOutbox(jobs.pool, stream, 'sent', after, BATCH);
    if (rows.length === 0) return;
    after = rows.at(-1)?.id ?? after;
    const byKey = new Map(rows.map((row) => [keyOf(row), row]));
    const settled: Settled[] = [];
    for await (const result of open.collect(stream, [...byKey.keys()])) settled.push(...settledBy(byKey, result));
    await account(
      jobs,
      run,
      settled.filter((s) => s.state !== 'sent'),
      0,
      counts,
      options,
    );
  }
}

async function sendWaiting(
  jobs: Jobs,
  stream: PushStream,
  run: HeldRun,
  open: OpenConnector,
  counts: Counts,
  options: RunOptions,
): Promise<void> {
  const body = compilePublication(stream.publish);
  for (;;) {
    const rows = await takeOutbox(jobs.pool, stream, 'waiting', 0, BATCH);
    if (rows.length === 0) return;
    const { items, settled } = await prepare(jobs, stream, rows, body);
    const byKey = new Map(rows.map((row) => [keyOf(row), row]));
    let unknown = 0;
    let failure: unknown;
    try {
      for await (const result of open.push(stream, items)) {
        if (result.outcome === 'unknown') unknown += 1;
        settled.push(...settledBy(byKey, result));
      }
    } catch (error) {
      failure = error;
    }
    // What was answered before a failure is answered: its receipts are kept whatever became of the rest.
    await account(jobs, run, settled, items.length, counts, options);
    if (failure !== undefined) throw failure;
    if (unknown > 0 || settled.length < rows.length)
      throw new RetryLater(
        `${rows.length - settled.length} records were sent without a known outcome and are sent again under the same key`,
      );
  }
}

/** The key of a version never changes, so that sending it again cannot have a second effect. */
const keyOf = (row: { recordId: number; version: number }) => `${row.recordId}:${row.version}`;

function settledBy(byKey: Map<string, OutboxRow>, result: PushResult): Settled[] {
  const row = byKey.get(result.key);
  if (row === undefined) return [];
  switch (result.outcome) {
    case 'accepted':
      return [{ id: row.id, state: 'done', receipt: result.receipt ?? { number: '', at: '' } }];
    case 'refused':
      return [{ id: row.id, state: 'refused', reason: result.reason ?? '' }];
    case 'pending':
      return [{ id: row.id, state: 'sent' }];
    case 'unknown':
      return [];
  }
}

/** The bodies as the receiver may have them. They are in the query log before they leave: no log, no push. */
async function prepare(
  jobs: Jobs,
  stream: PushStream,
  rows: readonly OutboxRow[],
  body: (record: PushableRecord) => PushItem['body'],
): Promise<{ items: PushItem[]; settled: Settled[] }> {
  const grant = grantOf(jobs.model, stream, dayInShanghai(jobs.now()));
  const reader = openReader(jobs.pool, jobs.keys, jobs.model, grant);
  const records = new Map((await reader.pushable(rows)).map((record) => [keyOf(record), record]));
  const items: PushItem[] = [];
  const settled: Settled[] = [];
  for (const row of rows) {
    const record = records.get(keyOf(row));
    if (record === undefined) {
      settled.push({ id: row.id, state: 'withheld', reason: '接收方无权接收该记录' });
      continue;
    }
    try {
      items.push({ key: keyOf(row), body: body(record) });
    } catch (error) {
      if (!(error instanceof RejectRecord)) throw error;
      settled.push({ id: row.id, state: 'withheld', reason: error.message });
    }
  }
  const decisions = [...grant.decisions.values()];
  await jobs.log.append(
    jobEntry(jobs, 'push', connectorOf(jobs.model, stream.connector), stream, {
      rows: items.length,
      outcome: 'answered',
      code: '',
      fields: [...reader.shown.coordinates].sort(),
      masked: decisions.filter((d) => d.access === 'mask').map((d) => d.coordinate),
      denied: decisions.filter((d) => d.access === 'deny').map((d) => d.coordinate),
      subjects: [...reader.shown.subjects].map((id) => jobs.keys.logToken('log-subject', String(id))),
      rules: grant.rules,
    }),
  );
  return { items, settled };
}

/**
 * The decision for a push: the receiving platform asks for exactly the fields of the body, for the purpose of the publication. StopStream: no
 * policy gives the receiver anything for it.
 */
export function grantOf(model: Model, stream: PushStream, today: string): Grant {
  const { publish } = stream;
  const connector = connectorOf(model, stream.connector);
  const receiver = {
    id: connector.officer.id,
    name: connector.officer.name,
    department: publish.receiver,
    role: 'platform',
    region: '',
    actingFor: connector.id,
    purposes: undefined,
  };
  const type = model.categories.get(publish.category)?.type ?? '';
  const selected = new Set<string>();
  for (const source of publish.body.values()) {
    if ('literal' in source || source.of.startsWith('record.')) continue;
    if (!source.of.startsWith('subject.')) selected.add(`${type}.${source.of}`);
    else
      for (const subject of model.subjects.values())
        if (subject.fields.has(source.of.slice(8))) selected.add(`${subject.type}.${source.of.slice(8)}`);
  }
  try {
    return decide(
      model,
      receiver,
      { code: publish.purpose, basis: stream.article, case: '' },
      { selected, explicit: selected, constrained: new Set() },
      today,
    );
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    throw new StopStream(`push-not-granted: ${publish.receiver} may have nothing for ${publish.purpose}: ${error.code} ${error.message}`);
  }
}

async function account(
  jobs: Jobs,
  run: HeldRun,
  settled: readonly Settled[],
  pushed: number,
  counts: Counts,
  options: RunOptions,
): Promise<void> {
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
