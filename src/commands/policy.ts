import { supposed } from '../access/caller.ts';
import { explain } from '../access/decide.ts';
import { minimise } from '../access/minimise.ts';
import { documentTexts, entriesBetween } from '../log/read.ts';
import { foldUsage, usageSince } from '../log/usage.ts';
import { loadModel, modelOf } from '../model/load.ts';
import type { Model } from '../model/types.ts';
import { replay } from '../resolvers/replay.ts';
import { buildGraph } from '../resolvers/schema.ts';
import { dayInShanghai, daysBefore } from '../mapping/dates.ts';
import { modelTexts } from '../store/model-versions.ts';
import { readConfig } from '../config.ts';
import { type Environment, openRuntime, type Runtime } from './runtime.ts';

/** Who runs a command that reads the query log: reading it is logged under a name like any other look. */
export interface Reader {
  id: string;
  name: string;
}

const print = (value: unknown) => void process.stdout.write(`${JSON.stringify(value, null, 2)}\n`);

/** `hub policy explain`: one decision, without data and without a database. */
export function explainField(
  environment: Environment,
  options: { department: string; role: string; region: string; purpose: string; coordinate: string },
): void {
  const model = loadModel(readConfig(environment).schema);
  const { department, role, region, purpose, coordinate } = options;
  const caller = { id: '', name: '', department, role, region, actingFor: '', purposes: undefined };
  print(explain(model, caller, supposed(purpose), coordinate, dayInShanghai(new Date())));
}

/** `hub policy replay`: the logged queries of some days, decided again by the policies below another schema folder (U4). */
export async function replayPolicies(
  environment: Environment,
  options: Reader & { schema: string; from: string; to: string },
): Promise<void> {
  const after = loadModel(options.schema);
  await withLog(environment, options, `policy replay ${after.version}`, async ({ pool, model }) => {
    const report = await replay({
      schema: buildGraph(model),
      after,
      before: async (version) => {
        const texts = version === model.version ? undefined : await modelTexts(pool, version);
        return texts === undefined ? (version === model.version ? model : undefined) : modelOf(texts);
      },
      entries: entriesBetween(pool, `${options.from}T00:00:00+08:00`, `${options.to}T24:00:00+08:00`),
      texts: (hashes) => documentTexts(pool, hashes),
    });
    print(report);
  });
}

/** `hub policy minimise`: what the departments may read and do not (U7). */
export async function minimisePolicies(environment: Environment, options: Reader & { days: number }): Promise<void> {
  await withLog(environment, options, 'policy minimise', async ({ pool, model }) => {
    await foldUsage(pool);
    const from = daysBefore(dayInShanghai(new Date()), options.days);
    const { since, uses } = await usageSince(pool, from);
    print({ days: options.days, since, covered: since !== null && since <= from, unread: minimise(model, uses) });
  });
}

/** Runs `work` after an entry of the query log says that `reader` does `what` at the command line. */
export async function withLog(
  environment: Environment,
  reader: Reader,
  what: string,
  work: (runtime: Runtime) => Promise<void>,
): Promise<void> {
  const runtime = await openRuntime({ environment, local: true });
  try {
    const log = await runtime.log('cli');
    await log.append(adminEntry(runtime.model, reader, what));
    await work(runtime);
  } finally {
    await runtime.close();
  }
}

/** The entry of an act at the command line, under the name of who runs it. */
function adminEntry(model: Model, { id, name }: Reader, what: string): Parameters<Awaited<ReturnType<Runtime['log']>>['append']>[0] {
  return {
    kind: 'admin',
    person: { id, name },
    department: null,
    role: null,
    region: null,
    actingFor: null,
    purpose: { code: '', basis: what, case: null },
    operation: null,
    document: '',
    variables: '{}',
    fields: [],
    masked: [],
    denied: [],
    categories: [],
    subjects: [],
    rows: 0,
    policy: model.version,
    rules: [],
    outcome: 'answered',
    code: '',
    durationMs: 0,
    client: 'cli',
  };
}
