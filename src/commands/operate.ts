import { dayInShanghai } from '../mapping/dates.ts';
import { type Act, askRun, backfill, pause, resetBreaker, resume, type Target } from '../store/operate.ts';
import { type PlatformStatus, platformStatus } from '../store/platform-status.ts';
import { withLog } from './policy.ts';
import type { Environment, Runtime } from './runtime.ts';

/** Who acts at the command line, and why: it stands in the query log before anything is done. */
export interface Operator {
  by: string;
  name: string;
  reason: string;
}
type Write = (text: string) => void;

/** `hub platforms status [CONNECTOR]`: a table, or with `json` one JSON line a platform. Throws an Error for a platform that does not exist. */
export async function showPlatforms(
  environment: Environment,
  connector: string | undefined,
  options: Operator & { json?: boolean },
  write: Write,
): Promise<void> {
  await acting(environment, options, `platforms status ${connector ?? ''}`, async ({ pool, model }) => {
    const found = await platformStatus(pool, model, connector, new Date());
    if (connector !== undefined && found.length === 0) throw new Error(`there is no platform ${connector}`);
    for (const platform of found) write(options.json ? JSON.stringify(platform) : textOf(platform));
  });
}

export const ACTS = ['pause', 'resume', 'run', 'backfill', 'reset'] as const;

/** `hub platforms pause|resume|run|backfill|reset NAME`: NAME is a connector or `connector/stream`. Throws `Refused` as the act does. */
export async function operate(
  environment: Environment,
  act: (typeof ACTS)[number],
  name: string,
  options: Operator & { from?: string; json?: boolean },
  write: Write,
): Promise<void> {
  const [connector = '', stream] = name.split('/');
  const target: Target = { connector, stream };
  const why: Act = { by: { id: options.by, name: options.name }, reason: options.reason };
  await acting(
    environment,
    options,
    `platforms ${act} ${name}${options.from === undefined ? '' : ` from ${options.from}`}`,
    async ({ pool, model }) => {
      if (act === 'pause') await pause(pool, model, target, why);
      else if (act === 'resume') await resume(pool, model, target, why);
      else if (act === 'run') await askRun(pool, model, target, why);
      else if (act === 'reset') await resetBreaker(pool, model, connector, why);
      else if (isDay(options.from)) await backfill(pool, model, target, options.from, why, dayInShanghai(new Date()));
      else throw new Error('--from DAY is needed, YYYY-MM-DD');
      for (const platform of await platformStatus(pool, model, connector, new Date()))
        write(options.json ? JSON.stringify(platform) : textOf(platform));
    },
  );
}

function acting(
  environment: Environment,
  { by, name, reason }: Operator,
  what: string,
  work: (runtime: Runtime) => Promise<void>,
): Promise<void> {
  if (reason.trim() === '') throw new Error('--reason must say why');
  return withLog(environment, { id: by, name }, `${what.trim()}: ${reason}`, work);
}

function isDay(text: string | undefined): text is string {
  return (
    text !== undefined && /^\d{4}-\d\d-\d\d$/.test(text) && !Number.isNaN(Date.parse(text)) && new Date(text).toISOString().startsWith(text)
  );
}

function textOf({ connector, paused, breaker, budget, streams }: PlatformStatus): string {
  const used = budget.filter(({ limit }) => limit !== null).map(({ span, used: calls, limit }) => `${calls}/${limit} a ${span}`);
  const head = [connector, paused === null ? undefined : `PAUSED by ${paused.by}: ${paused.reason}`, `breaker ${breaker}`, ...used];
  const lines = streams.map((s) =>
    [
      `  ${s.stream.padEnd(32)} ${s.state.padEnd(9)}`,
      s.nextRun ?? '-',
      s.deferredWhy,
      s.waiting > 0 ? `${s.waiting} waiting` : '',
      s.deadLetters > 0 ? `${s.deadLetters} dead` : '',
    ]
      .filter((part) => part)
      .join('  '),
  );
  return [head.filter((part) => part !== undefined).join('  '), ...lines].join('\n');
}
