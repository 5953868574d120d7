import { existsSync, readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { readConfig } from '../config.ts';
import { FAULT_KINDS, type FaultPlan, type Faults, holdingsOf, openFaults, readFaultPlan } from '../sandbox/faults.ts';
import { generate } from '../sandbox/generate.ts';
import { faultyAnswers } from '../sandbox/http-faults.ts';
import { tableFaults } from '../sandbox/table-faults.ts';
import { FRONT_DATABASE, RETURN_FLOW } from '../sandbox/tables.ts';
import { openPlatforms, type Platforms } from './platforms.ts';
import { type Environment, localDatabase } from './runtime.ts';
import { stopSignal } from './services.ts';

/** How often the rows of the database platforms may be disturbed. */
const DISTURB_EVERY_MS = 1000;

export interface SandboxCommand {
  seed: number;
  /** The national platform listens here and the credit platform on the next port; 0: free ones. */
  portBase: number;
  slow: number;
  /** A fault plan as JSON text, or the path of a file with it. */
  faults?: string;
}

/**
 * `hub sandbox`: the platforms for those who connect a hub of their own. Their tables are in the embedded PostgreSQL of HUB_DATA. The variables
 * to export go to standard output, everything else to standard error; runs until Ctrl-C, then says which faults happened.
 */
export async function sandbox(environment: Environment, options: SandboxCommand): Promise<void> {
  const say = (text: string) => void process.stderr.write(`${text}\n`);
  const plan = planOf(options);
  const steps: (() => Promise<void>)[] = [];
  try {
    const faults = openFaults(plan);
    const data = holdingsOf(generate({ seed: options.seed }), faults);
    const now = () => new Date();
    // Of the configuration only the folder counts: a configured database is none of the sandbox's.
    const databaseUrl = await localDatabase(readConfig({ HUB_DATA: environment['HUB_DATA'] }), steps);
    const platforms = await openPlatforms(data, databaseUrl, (step) => void steps.push(step), {
      prefix: `sandbox_seed${options.seed}`,
      guest: true,
      slowMs: options.slow,
      answer: faultyAnswers(faults, data, now),
      now: () => faults.clock(now()),
      ...(options.portBase === 0 ? {} : { ports: { nationalInsurance: options.portBase, creditChina: options.portBase + 1 } }),
      onError: (error) => say(error instanceof Error ? error.message : String(error)),
    });
    for (const [name, value] of Object.entries(platforms.sandboxes.env)) process.stdout.write(`export ${name}='${value}'\n`);
    say('the platforms are ready; the variables above hold secrets of this sandbox only, new at every start. Ctrl-C stops it.');
    await stopped(platforms, faults, say);
    say(JSON.stringify(Object.fromEntries(Object.entries(faults.injected).filter(([, count]) => count > 0))));
  } finally {
    for (const step of steps.toReversed()) await step();
  }
}

function planOf({ faults, seed }: SandboxCommand): FaultPlan {
  if (faults === undefined) return { seed, odds: {} };
  return readFaultPlan(existsSync(faults) ? readFileSync(faults, 'utf8') : faults, seed);
}

/** Until the signal, the platforms write in their tables as the plan says. */
async function stopped(platforms: Platforms, faults: Faults, say: (text: string) => void): Promise<void> {
  const stopping = new AbortController();
  const parts = [
    [tableFaults(faults, platforms.execute.nationalInsurance, () => new Date()), RETURN_FLOW],
    [tableFaults(faults, platforms.execute.hunanCredit, () => new Date()), FRONT_DATABASE],
  ] as const;
  const disturbing = (async () => {
    while (!stopping.signal.aborted) {
      for (const [actions, tables] of parts) await actions.disturb(tables).catch((error: unknown) => say(String(error)));
      await pause(DISTURB_EVERY_MS, undefined, { signal: stopping.signal }).catch(() => undefined);
    }
  })();
  await stopSignal();
  stopping.abort();
  await disturbing;
}

/** For the help of the command. */
export const FAULT_HELP = `fault plan as JSON or a file with it: {"odds": {"http-500": 0.1, …}, "most": 20, "clockSkewMinutes": -5}; kinds: ${FAULT_KINDS.join(', ')}`;
