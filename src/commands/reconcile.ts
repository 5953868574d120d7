import { type ComparedStream, isCompared, type ReconcileResult, runReconcile } from '../jobs/reconcile.ts';
import { allStreams, findStream } from '../model/load.ts';
import { personTokens } from '../store/personal.ts';
import { type Environment, jobsOf, openRuntime, type Runtime } from './runtime.ts';

export interface ReconcileCommand {
  day?: string;
  fix?: boolean;
  json?: boolean;
}

/** Exit codes: what was compared is equal, differs, or could not be proved. */
const EXIT = { green: 0, red: 1, unproven: 2, running: 2 } as const;
/** Differences a look prints; the ledger has all of them. */
const MOST_SHOWN = 1000;

/** `hub reconcile CONNECTOR/STREAM [--day DAY] [--fix]`: compares a stream with its platform; returns the exit code. */
export async function reconcile(
  environment: Environment,
  name: string,
  { day, fix = false, json = false }: ReconcileCommand,
  print: (text: string) => void,
): Promise<number> {
  if (day !== undefined && (!/^\d{4}-\d\d-\d\d$/.test(day) || Number.isNaN(Date.parse(day))))
    throw new Error(`${day} is no day: YYYY-MM-DD`);
  const runtime = await openRuntime({ environment, local: true });
  try {
    const stream = comparedStream(runtime, name);
    const jobs = jobsOf(runtime, await runtime.log('reconcile'));
    const result = await compared(() => runReconcile(jobs, stream, { trigger: 'manual', fix, ...(day === undefined ? {} : { day }) }));
    if (result === undefined) throw new Error(`${name} is being compared by another process`);
    if (typeof result === 'string') {
      print(json ? JSON.stringify({ stream: name, state: 'unproven', reason: result }) : `${name}: unproven – ${result}`);
      return EXIT.unproven;
    }
    for (const line of json ? [JSON.stringify(asJson(runtime, name, result))] : asText(runtime, name, result)) print(line);
    return EXIT[result.last.state];
  } finally {
    await runtime.close();
  }
}

/** What kept the platform from answering, as text: it is a result, not a fault of the command. */
async function compared(run: () => Promise<ReconcileResult | undefined>): Promise<ReconcileResult | string | undefined> {
  try {
    return await run();
  } catch (error) {
    if (error instanceof Error && (error.name === 'RetryLater' || error.name === 'StopStream')) return error.message;
    throw error;
  }
}

function comparedStream({ model }: Runtime, name: string): ComparedStream {
  const stream = findStream(model, name);
  if (stream !== undefined && isCompared(stream)) return stream;
  const names = allStreams(model).flatMap((s) => (isCompared(s) ? [`${s.connector}/${s.id}`] : []));
  throw new Error(`${name} is no stream that can be compared; those are: ${names.join(', ')}`);
}

/** A key with a person's number is nowhere printed: it is sealed in the ledger, for those with the duty. */
function shownKey({ keys }: Runtime, parts: readonly string[]): string {
  return personTokens(keys, parts).length > 0 ? '(sealed)' : parts.join(' / ') || '(sealed)';
}

function asJson(runtime: Runtime, stream: string, { last, differences, corrected }: ReconcileResult): object {
  const { id, state, method, day, cells, ours, theirs, accounted } = last;
  const shown = differences.slice(0, MOST_SHOWN).map((one) => {
    const { kind, category, day: on, region, parts } = one;
    return { kind, category, day: on, region, key: shownKey(runtime, parts) };
  });
  return {
    stream,
    reconciliation: id,
    state,
    method,
    day,
    cells,
    ours,
    theirs,
    accounted,
    differences: differences.length,
    corrected,
    keys: shown,
  };
}

function asText(runtime: Runtime, stream: string, { last, differences, corrected }: ReconcileResult): string[] {
  const { id, state, method, cells, ours, theirs, accounted } = last;
  return [
    `${stream}: ${state} (${method}, reconciliation ${id}): ${cells} cells, ours ${ours}, theirs ${theirs}, accounted for ${accounted}, differences ${differences.length}, corrected ${corrected}`,
    ...differences.slice(0, MOST_SHOWN).map((one) => `  ${one.kind} ${one.day} ${one.region} ${shownKey(runtime, one.parts)}`),
  ];
}
