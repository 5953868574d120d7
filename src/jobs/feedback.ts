import { csvLine, zipText } from '../connectors/feedback-file.ts';
import { resolveSettings } from '../connectors/settings.ts';
import { StopStream } from '../errors.ts';
import { dayInShanghai } from '../mapping/dates.ts';
import type { Connector } from '../model/types.ts';
import { type Feedback, keepReceipt, prepareFeedback, type ReturnedIssue, waitingFeedback } from '../store/feedback.ts';
import { beginRun, type HeldRun, type Trigger } from '../store/runs.ts';
import { feedbackEntry } from './entry.ts';
import { endStateOf } from './failure.ts';
import { openPlatform } from './gate.ts';
import type { Jobs } from './hub.ts';

/** Rows a file: some hundred kilobytes, packed a tenth of it. */
const MOST = 5000;
/** Stands for the files in the ledger, beside the streams of the connector. */
const LEDGER_NAME = 'feedback';

export interface SentFile {
  file: string;
  issues: number;
  number: string;
  keptUntil: string;
}

/**
 * Sends refused records back to who provided them (WG-9): files whose receipt is missing first, then new ones until every open issue is in one.
 * Undefined when another process does so. Throws `RetryLater` and `StopStream` as the connector does; a file without a receipt is sent again under
 * the same name, with the same bytes.
 */
export async function runFeedback(jobs: Jobs, connector: Connector, trigger: Trigger): Promise<SentFile[] | undefined> {
  if (connector.feedback === undefined) throw new StopStream(`no-feedback: ${connector.zh} 没有约定问题数据的退回方式`);
  const { settings, missing } = resolveSettings(connector, jobs.environment);
  const run = await beginRun(jobs.pool, { connector: connector.id, id: LEDGER_NAME, direction: 'push' }, connector.officer, trigger);
  if (run === undefined) return undefined;
  try {
    if (missing.length > 0) throw new StopStream(`settings are missing: ${missing.join(', ')}`);
    const sent = await sendAll(jobs, connector, settings, run);
    await run.end('done');
    return sent;
  } catch (error) {
    await run.end(endStateOf(error), error instanceof Error ? error.message : String(error)).catch(() => undefined);
    throw error;
  }
}

async function sendAll(jobs: Jobs, connector: Connector, settings: Record<string, string>, run: HeldRun): Promise<SentFile[]> {
  const open = openPlatform(jobs, { connector, stream: LEDGER_NAME, windows: [] }, settings);
  const sent: SentFile[] = [];
  try {
    for (;;) {
      const file = (await waitingFeedback(jobs.pool, connector.id)) ?? (await nextFile(jobs, connector, run.id, sent.length));
      if (file === undefined) return sent;
      // Logged before it leaves, like every push.
      await jobs.log.append(feedbackEntry(jobs, connector, file.issues));
      const receipt = await open.upload(file);
      await keepReceipt(jobs.pool, run, file, receipt);
      sent.push({ file: file.name, issues: file.issues, ...receipt });
    }
  } finally {
    await open.close();
  }
}

async function nextFile(jobs: Jobs, connector: Connector, run: number, n: number): Promise<Feedback | undefined> {
  const at = jobs.now();
  const name = `feedback-${connector.id}-${dayInShanghai(at).replaceAll('-', '')}-${run}-${n + 1}`;
  const pack = (issues: readonly ReturnedIssue[]) => ({ name: `${name}.zip`, content: zipText(`${name}.csv`, feedbackText(issues), at) });
  await prepareFeedback(jobs.pool, connector.id, MOST, pack);
  return waitingFeedback(jobs.pool, connector.id);
}

/** The lines that the provider reads. */
export function feedbackText(issues: readonly ReturnedIssue[]): string {
  const lines = issues.map((i) => csvLine([i.stream, i.at, i.place, i.rule, i.reason, String(i.seen), i.createdAt]));
  return ['stream,at,place,rule,reason,seen,since\n', ...lines].join('');
}
