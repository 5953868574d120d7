/**
 * An embedded PostgreSQL for the demo and the tests: real server binaries from npm, a child of this process, reachable on 127.0.0.1
 * only and with a random password. Production uses a server of its own through DATABASE_URL.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Client } from 'pg';
import { type Home, prepareHome } from './embedded-home.ts';
import { secretFile, syncFolder } from './secret-file.ts';

export interface EmbeddedPostgres {
  /** Connection URL of a database of this server; it holds the password, so it MUST NOT be printed. `hub` exists from the start. */
  url(database: string): string;
  readonly port: number;
  readonly pid: number;
  /** Where the data really are; differs from the folder asked for when the server's user cannot reach that one. */
  readonly dataDir: string;
  /** `fast` ends sessions and writes a checkpoint, `immediate` leaves recovery to the next start. May be called more than once. */
  stop(mode?: 'fast' | 'immediate'): Promise<void>;
}

export interface EmbeddedOptions {
  /** Created when missing; MUST be empty or written by an earlier call. */
  dataDir: string;
  /** 0 or absent: a free one. */
  port?: number;
  /** For data nobody will miss: no fsync, no replication, so that tests are fast. */
  test?: boolean;
}

const USER = 'postgres';
const DATABASE = 'hub';
const PRODUCTION_FLAGS = ['max_connections=200', 'timezone=UTC', 'log_timezone=UTC'];
const TEST_FLAGS = [
  'fsync=off',
  'synchronous_commit=off',
  'full_page_writes=off',
  'wal_level=minimal',
  'max_wal_senders=0',
  'max_wal_size=256MB',
];
const STOP_PATIENCE_MS = 30_000;
const RETRIES = 60;
const GRACE = 10;

/**
 * Starts the server, creating its cluster on the first call. It ends with this process however that ends. Rejects with an `Error` that
 * says what to do: package missing, folder in use by a live server (names its pid), port taken, or the server's own last words.
 */
export async function startEmbedded(options: EmbeddedOptions): Promise<EmbeddedPostgres> {
  const home = prepareHome(options.dataDir);
  await awaitUnused(home.cluster);
  const password = ensurePassword(home);
  if (!existsSync(home.cluster)) await initCluster(home, options.test === true);
  const { child, port } = await launch(home, options);
  const guard = guardOf(child, home);
  const url = (database: string): string => addressOf(password, port, database);
  const stop = async (mode: 'fast' | 'immediate' = 'fast'): Promise<void> => {
    if (ended(child)) return;
    const exited = once(child, 'exit');
    child.ref();
    child.kill(mode === 'fast' ? 'SIGINT' : 'SIGQUIT');
    const escalation = setTimeout(() => child.kill('SIGQUIT'), STOP_PATIENCE_MS);
    await exited;
    clearTimeout(escalation);
    guard.kill();
  };
  try {
    await ensureDatabase(url('postgres'));
  } catch (error) {
    await stop('immediate');
    throw error;
  }
  return { url, port, pid: child.pid ?? 0, dataDir: home.dataDir, stop };
}

/** The address of a server that another process (the demo) runs on the folder; undefined when there is none. It holds the password. */
export function runningEmbedded(dataDir: string): ((database: string) => string) | undefined {
  if (!existsSync(dataDir)) return undefined;
  const home = prepareHome(dataDir);
  const file = join(home.cluster, 'postmaster.pid');
  if (!existsSync(file) || !existsSync(home.passwordFile)) return undefined;
  const lines = readFileSync(file, 'utf8').split('\n');
  const pid = Number(lines[0] ?? 0);
  const port = Number(lines[3] ?? 0);
  if (!alive(pid) || !isServerOf(pid, home.cluster) || lines[7]?.trim() !== 'ready') return undefined;
  return (database) => addressOf(readFileSync(home.passwordFile, 'utf8'), port, database);
}

const addressOf = (password: string, port: number, database: string): string =>
  `postgres://${USER}:${password}@127.0.0.1:${port}/${encodeURIComponent(database)}`;

const ensurePassword = ({ passwordFile, user }: Home): string =>
  secretFile(passwordFile, () => randomBytes(24).toString('base64url'), user);

/** A half-made cluster never gets the final name, so a crash here is repaired by the next start. */
async function initCluster(home: Home, test: boolean): Promise<void> {
  const draft = join(home.dataDir, 'cluster.new');
  rmSync(draft, { recursive: true, force: true });
  // The C order of code points is the same on every machine; a UTF-8 LC_CTYPE is what lets pg_trgm see Chinese characters.
  const ctype = process.platform === 'darwin' ? 'en_US.UTF-8' : 'C.UTF-8';
  const locale = ['--locale=C', `--lc-ctype=${ctype}`, '--locale-provider=builtin', '--builtin-locale=C.UTF-8', '--encoding=UTF8'];
  const access = [`--username=${USER}`, `--pwfile=${home.passwordFile}`, '--auth=scram-sha-256'];
  const args = ['-D', draft, ...locale, ...access, '--data-checksums', '--no-instructions', ...(test ? ['--no-sync'] : [])];
  const child = spawn(join(home.bin, 'initdb'), args, { ...home.user, env: environment(), stdio: ['ignore', 'ignore', 'pipe'] });
  const log = collectLog(child);
  if ((await exitCode(child)) !== 0) throw new Error(`initdb failed; set DATABASE_URL to use another server\n${log.join('\n')}`);
  renameSync(draft, home.cluster);
  syncFolder(home.cluster);
}

async function launch(home: Home, options: EmbeddedOptions): Promise<{ child: ChildProcess; port: number }> {
  for (let attempt = 1; ; attempt += 1) {
    const port = options.port || (await freePort());
    const settings = ['listen_addresses=127.0.0.1', 'unix_socket_directories=', `port=${port}`, ...PRODUCTION_FLAGS];
    if (options.test) settings.push(...TEST_FLAGS);
    const args = ['-D', home.cluster, ...settings.flatMap((setting) => ['-c', setting])];
    // Its own process group: Ctrl-C reaches the hub, which still needs the database to finish its work, and not the server.
    const child = spawn(join(home.bin, 'postgres'), args, {
      ...home.user,
      env: environment(),
      detached: true,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const log = collectLog(child);
    if (await ready(child, log)) {
      child.unref();
      (child.stderr as unknown as { unref(): void }).unref();
      return { child, port };
    }
    const words = log.join('\n');
    // After a kill -9 of the postmaster its sessions need a moment to notice; a port found free may be taken by now.
    const passing = /shared memory block .* is still in use/.test(words) || (!options.port && words.includes('could not bind'));
    if (words.includes('could not bind') && !passing) throw new Error(`port ${port} on 127.0.0.1 is taken`);
    if (!passing || attempt === RETRIES) throw new Error(`the embedded PostgreSQL in ${home.dataDir} does not start:\n${words}`);
    await delay(200);
  }
}

async function ready(child: ChildProcess, log: string[]): Promise<boolean> {
  const exited = exitCode(child).then(() => true);
  for (;;) {
    if (log.some((line) => line.includes('ready to accept connections'))) return true;
    if (await Promise.race([exited, delay(20, false)])) return false;
  }
}

/** The last lines of what the child says on its standard error, which MUST be read or the child would block. */
function collectLog(child: ChildProcess): string[] {
  const lines: string[] = [];
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    lines.push(...text.split('\n').filter((line) => line !== ''));
    lines.splice(0, lines.length - 40);
  });
  child.on('error', (error) =>
    lines.push(`cannot run ${child.spawnfile}: ${error.message} (the programs need glibc and an executable folder)`),
  );
  return lines;
}

/**
 * Ends the server when this process is gone, even by kill -9: the guard waits on a pipe that closes with us. So no handler for
 * signals or exit is needed here, and the hub's own graceful shutdown is not disturbed.
 */
function guardOf(child: ChildProcess, home: Home): ChildProcess {
  const script = 'read -r _; kill -INT "$1"';
  const guard = spawn('/bin/sh', ['-c', script, 'sh', String(child.pid)], {
    ...home.user,
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  guard.on('error', () => undefined);
  guard.unref();
  (guard.stdin as unknown as { unref(): void }).unref();
  child.once('exit', () => guard.kill());
  return guard;
}

/** Resolves when no live server holds the cluster: waits for one that is stopping, rejects for one that is not. */
async function awaitUnused(cluster: string): Promise<void> {
  const file = join(cluster, 'postmaster.pid');
  for (let attempt = 0; ; attempt += 1) {
    const lines = existsSync(file) ? readFileSync(file, 'utf8').split('\n') : [];
    const pid = Number(lines[0] ?? 0);
    if (!alive(pid)) return;
    if (!isServerOf(pid, cluster)) {
      // The pid went to another program, which PostgreSQL itself would take for a live server.
      rmSync(file, { force: true });
      return;
    }
    // One that was just killed may take a moment to be gone; one that says it is stopping is waited for longer.
    if (attempt >= (lines[7]?.trim() === 'stopping' ? RETRIES : GRACE)) {
      throw new Error(`${cluster} is in use by a running PostgreSQL, pid ${pid}: stop it (kill -INT ${pid}) or choose another folder`);
    }
    await delay(200);
  }
}

function alive(pid: number): boolean {
  if (!Number.isInteger(pid) || pid <= 0) return false;
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** Where there is no /proc, a live pid is taken for the server: the cautious side. */
function isServerOf(pid: number, cluster: string): boolean {
  if (!existsSync('/proc/self/cmdline')) return true;
  const file = `/proc/${pid}/cmdline`;
  return existsSync(file) && readFileSync(file, 'utf8').split('\0').includes(cluster);
}

async function ensureDatabase(url: string): Promise<void> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    const { rowCount } = await client.query('select 1 from pg_database where datname = $1', [DATABASE]);
    if (rowCount === 0) await client.query(`create database ${DATABASE}`);
  } finally {
    await client.end();
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no free port');
  return address.port;
}

async function exitCode(child: ChildProcess): Promise<number | null> {
  return await new Promise((resolve) => {
    child.once('close', resolve);
    child.once('error', () => resolve(null));
  });
}

const ended = (child: ChildProcess): boolean => child.exitCode !== null || child.signalCode !== null;
const environment = (): NodeJS.ProcessEnv => ({ PATH: process.env.PATH, LC_ALL: 'C', TZ: 'UTC' });
