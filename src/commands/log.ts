import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { alarmRules } from '../log/alarm-rules.ts';
import { countAlarms, listAlarms } from '../log/alarms.ts';
import { type LogEntry, KINDS, OUTCOMES } from '../log/entry.ts';
import { documentTexts, type LogFilter, searchLog } from '../log/search.ts';
import { logTokens, regionsOfTokens, subjectIdsOf } from '../store/subject-ids.ts';
import { dayInShanghai } from '../mapping/dates.ts';
import { type Environment, openRuntime, type Runtime } from './runtime.ts';

/** Who reads the log at the command line, and why; it stands in the log before anything is printed. */
export interface LogReader {
  by: string;
  name: string;
  reason: string;
}
export interface LogSearchCommand extends LogReader {
  person?: string;
  department?: string;
  purpose?: string;
  kind?: string;
  outcome?: string;
  from?: string;
  to?: string;
  first: number;
  /** The subject's code is the first line of standard input: arguments are in everybody's list of processes. */
  subjectStdin?: boolean;
}

type Write = (line: string) => unknown;

/** `hub log search`: entries as JSON lines, newest first. Throws an Error for a code that fails its check, a kind or outcome that does not exist. */
export async function logSearch(environment: Environment, options: LogSearchCommand, input: Readable, write: Write): Promise<void> {
  const runtime = await openRuntime({ environment, local: true });
  try {
    const { pool, keys } = runtime;
    const kind = oneOf(KINDS, options.kind, '--kind');
    const outcome = oneOf(OUTCOMES, options.outcome, '--outcome');
    const ids = options.subjectStdin
      ? await subjectIdsOf(pool, keys, (await text(input)).trim(), dayInShanghai(new Date()))
      : ([] as number[]);
    if (ids === undefined) throw new Error('the code on standard input is no valid statutory code');
    const { person, department, purpose, from, to } = options;
    const subjects = logTokens(keys, ids);
    const filter: LogFilter = { person, department, purpose, kind, outcome, from, to, ...(options.subjectStdin ? { subjects } : {}) };
    const found = await searchLog(pool, filter, options.first);
    const texts = await documentTexts(
      pool,
      found.map(({ entry }) => entry.document),
    );
    await note(runtime, options, 'log search', found.length, ids);
    for (const { writer, seq, at, hash, entry } of found) {
      const tokens = entry.subjects.map((token) => token.toString('hex'));
      write(JSON.stringify({ id: `${writer}-${seq}`, at, hash, ...entry, document: texts.get(entry.document) ?? '', subjects: tokens }));
    }
  } finally {
    await runtime.close();
  }
}

/** `hub log alarms`: counts what came into the log since the last time, and prints the alarms that nobody acknowledged yet. */
export async function logAlarms(environment: Environment, options: LogReader, write: Write): Promise<void> {
  const runtime = await openRuntime({ environment, local: true });
  try {
    const { pool, keys, model } = runtime;
    await countAlarms(pool, alarmRules(model), (tokens) => regionsOfTokens(pool, keys, tokens), new Date());
    const alarms = await listAlarms(pool, true, 200);
    await note(runtime, options, 'log alarms', alarms.length, []);
    for (const alarm of alarms) write(JSON.stringify(alarm));
  } finally {
    await runtime.close();
  }
}

async function note(runtime: Runtime, who: LogReader, operation: string, rows: number, subjects: readonly number[]): Promise<void> {
  const log = await runtime.log('log');
  const entry: LogEntry = {
    kind: 'admin',
    person: { id: who.by, name: who.name },
    department: null,
    role: 'command-line',
    region: null,
    actingFor: null,
    purpose: { code: 'log-review', basis: who.reason, case: null },
    operation,
    document: '',
    variables: '{}',
    fields: [],
    masked: [],
    denied: [],
    categories: [],
    subjects: subjects.map((id) => runtime.keys.logToken('log-subject', String(id))),
    rows,
    policy: runtime.model.version,
    rules: [],
    outcome: 'answered',
    code: '',
    durationMs: 0,
    client: '',
  };
  await log.append(entry);
}

function oneOf<T extends string>(allowed: readonly T[], given: string | undefined, option: string): T | undefined {
  if (given === undefined) return undefined;
  const found = allowed.find((one) => one === given);
  if (found === undefined) throw new Error(`${option} is one of ${allowed.join(', ')}`);
  return found;
}
