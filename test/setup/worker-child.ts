/** The worker as it is deployed, in a process of its own that a test kills in the middle of its work. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Stream } from '../../src/model/types.ts';
import type { Random } from '../../src/sandbox/random.ts';
import { lastRunId } from '../../src/store/runs.ts';
import type { Pool } from '../../src/store/sql.ts';
import { type TestHub, until } from './platforms.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

export interface ChildOptions {
  ring: string;
  /** Changes of `build.mjs`, and the environment they need; the sources as they are when left out. */
  build?: readonly string[];
  env?: Record<string, string>;
}

export interface Victim {
  /** Runs that were under way when the process was killed. */
  readonly interrupted: number[];
  kills(): number;
  /** Throws when the process ended by itself. */
  check(): void;
  /** Ends it with SIGKILL and starts it again, as often as asked: each time when it has begun a run, and then some milliseconds later. */
  killAgain(
    times: number,
    how: { random: Random; afterMs: readonly [least: number, most: number]; when?: (n: number) => boolean },
  ): Promise<void>;
  /** What it said on standard error, over all its lives. */
  said(): string;
  /** For good, with SIGTERM. */
  end(): Promise<void>;
}

export function startVictim(hub: TestHub, options: ChildOptions): Victim {
  const said: string[] = [];
  const interrupted: number[] = [];
  let kills = 0;
  let child = start(hub, options, said);
  const check = () => {
    if (child.exitCode !== null) throw new Error(`the worker ended by itself: ${said.join('')}`);
  };
  return {
    interrupted,
    kills: () => kills,
    check,
    async killAgain(times, { random, afterMs: [least, most], when = () => true }) {
      for (let before = 0, n = 0; n < times; n += 1, before = await lastRunId(hub.pool)) {
        await until(async () => {
          check();
          return when(n) && (await runningAfter(hub.pool, before)).length > 0;
        });
        await sleep(random.int(least, most));
        await end(child, 'SIGKILL');
        kills += 1;
        interrupted.push(...(await runningAfter(hub.pool, 0)));
        child = start(hub, options, said);
      }
    },
    said: () => said.join(''),
    end: () => end(child, 'SIGTERM'),
  };
}

function start(hub: TestHub, { ring, build = [], env = {} }: ChildOptions, said: string[]): ChildProcess {
  const hooks = build.length === 0 ? [] : ['--import', './test/setup/build.mjs'];
  const child = spawn(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', '--import', './scripts/ts-hook.mjs', ...hooks, 'src/main.ts', 'work'],
    {
      cwd: ROOT,
      stdio: ['ignore', 'ignore', 'pipe'],
      env: {
        PATH: process.env['PATH'],
        ...hub.sandboxes.env,
        DATABASE_URL: hub.databaseUrl,
        HUB_KEYS: ring,
        HUB_PORT: '0',
        HUB_TEST_UNSAFE: 'yes',
        HUB_TEST_BUILD: build.join(' '),
        LOG_LEVEL: 'warn',
        ...env,
      },
    },
  );
  child.stderr?.on('data', (chunk: Buffer) => said.push(chunk.toString()));
  return child;
}

async function end(child: ChildProcess, signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  if (child.pid === undefined || child.pid <= 1) throw new Error('the child has no process');
  const over = once(child, 'exit');
  child.kill(signal);
  await over;
}

export async function runningAfter(pool: Pool, id: number): Promise<number[]> {
  const { rows } = await pool.query<{ id: number }>(`select id from run where state = 'running' and id > $1`, [id]);
  return rows.map((row) => row.id);
}

/** `connector/stream` of every stream that has a finished run after `id`. */
export async function doneAfter(pool: Pool, id: number): Promise<Set<string>> {
  const { rows } = await pool.query<{ name: string }>(
    `select distinct connector || '/' || stream as name from run where id > $1 and state = 'done'`,
    [id],
  );
  return new Set(rows.map((row) => row.name));
}

/** Streams that may run because all those they come after are done: pushes come after everything that is read. */
export function readyOf(streams: readonly Stream[], done: ReadonlySet<string>): Stream[] {
  const read = streams.filter((s) => s.direction !== 'push').map((s) => `${s.connector}/${s.id}`);
  return streams.filter((stream) => {
    const first = stream.direction === 'push' ? read : stream.after.map((id) => `${stream.connector}/${id}`);
    return first.every((name) => done.has(name));
  });
}
