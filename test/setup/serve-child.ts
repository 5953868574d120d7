/** The API as it is deployed, in processes of its own, over a PostgreSQL that keeps what it commits: a test kills either in the middle of its work. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type EmbeddedPostgres, startEmbedded } from '../../src/store/embedded.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

export interface ServeOptions {
  databaseUrl: string;
  ring: string;
  /** Folder of the development key, shared with whoever makes the tokens. */
  data: string;
  issuer: string;
  audience: string;
  port: number;
  /** Over a PostgreSQL without fsync, where that is not killed. */
  unsafe?: boolean;
  /** Changes of `build.mjs`; the sources as they are when left out. */
  build: readonly string[];
}

export interface Serving {
  readonly url: string;
  /** SIGKILL as soon as it listens, then the same again; does not wait for that. */
  kill(): Promise<void>;
  /** Resolves when it listens: a process that cannot start (its database is down) is started again, as a supervisor would. */
  ready(): Promise<void>;
  /** For good, with SIGTERM. */
  end(): Promise<void>;
  said(): string;
}

export function startServing(options: ServeOptions): Serving {
  const url = `http://127.0.0.1:${options.port}`;
  const said: string[] = [];
  let wanted = true;
  let child = launch();

  function launch(): ChildProcess {
    const hooks = options.build.length === 0 ? [] : ['--import', './test/setup/build.mjs'];
    const next = spawn(
      process.execPath,
      ['--disable-warning=ExperimentalWarning', '--import', './scripts/ts-hook.mjs', ...hooks, 'src/main.ts', 'serve'],
      {
        cwd: ROOT,
        stdio: ['ignore', 'ignore', 'pipe'],
        env: {
          PATH: process.env['PATH'],
          DATABASE_URL: options.databaseUrl,
          HUB_KEYS: options.ring,
          HUB_DATA: options.data,
          HUB_PORT: String(options.port),
          OIDC_ISSUER: options.issuer,
          OIDC_AUDIENCE: options.audience,
          HUB_TEST_BUILD: options.build.join(' '),
          LOG_LEVEL: 'fatal',
          ...(options.unsafe ? { HUB_TEST_UNSAFE: 'yes' } : {}),
        },
      },
    );
    next.stderr?.on('data', (chunk: Buffer) => said.push(chunk.toString()));
    next.once('exit', () => {
      if (wanted && next === child) setTimeout(() => wanted && next === child && (child = launch()), 200);
    });
    return next;
  }

  async function ready(): Promise<void> {
    for (let tries = 0; tries < 600; tries += 1) {
      if (
        await fetch(`${url}/health`)
          .then((r) => r.ok)
          .catch(() => false)
      )
        return;
      await sleep(50);
    }
    throw new Error(`the API does not start: ${said.slice(-5).join('')}`);
  }

  return {
    url,
    ready,
    async kill() {
      await ready();
      await stop(child, 'SIGKILL');
    },
    async end() {
      wanted = false;
      await stop(child, 'SIGTERM');
    },
    said: () => said.join(''),
  };
}

async function stop(child: ChildProcess, signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  if (child.pid === undefined || child.pid <= 1) throw new Error('the child has no process');
  const over = once(child, 'exit');
  child.kill(signal);
  await over;
}

/** Ends a PostgreSQL as a power cut would: SIGKILL to its postmaster and to all that it started; then starts it again on the same port. */
export async function killPostgres(server: EmbeddedPostgres, dataDir: string): Promise<EmbeddedPostgres> {
  const { pid, port } = server;
  if (pid <= 1) throw new Error('the server has no process');
  for (const one of [pid, ...childrenOf(pid)]) {
    try {
      process.kill(one, 'SIGKILL');
    } catch {
      // It ended by itself in the meantime.
    }
  }
  return startEmbedded({ dataDir, port });
}

function childrenOf(parent: number): number[] {
  return readdirSync('/proc')
    .map(Number)
    .filter((pid) => pid > 1 && parentOf(pid) === parent);
}

/** The fourth word of `stat`, after the name in parentheses, which may hold anything. */
function parentOf(pid: number): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
  } catch {
    return 0;
  }
}
