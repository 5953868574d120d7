/**
 * One PostgreSQL for all test files: TEST_DATABASE_URL or DATABASE_URL, else an embedded one that is thrown away. The schema is migrated
 * once into a template; test files copy it (`database.ts`). Published to them:
 * `HUB_TEST_PG` the server (URL of a maintenance database), `HUB_TEST_RUN` the prefix of every database of this run.
 */
import { randomBytes } from 'node:crypto';
import { accessSync, constants, existsSync, statfsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { freemem, tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { type EmbeddedPostgres, startEmbedded } from '../../src/store/embedded.ts';

let embedded: EmbeddedPostgres | undefined;
let folder: string | undefined;

export async function startServer(): Promise<void> {
  const given = process.env.TEST_DATABASE_URL || process.env.DATABASE_URL || undefined;
  if (given === undefined) {
    folder = await mkdtemp(join(fastFolder(), 'credit-hub-test-'));
    embedded = await startEmbedded({ dataDir: folder, test: true });
  }
  const server = given ?? embedded?.url('postgres') ?? '';
  const run = `hubtest_${randomBytes(4).toString('hex')}`;
  process.env.HUB_TEST_PG = server;
  process.env.HUB_TEST_RUN = run;
  try {
    await onServer(server, (client) => client.query(`create database ${run}_template template template0`));
    await migrateTemplate(server, `${run}_template`);
    // A copy fails while anybody is connected to the original, autovacuum included.
    await onServer(server, (client) => client.query(`alter database ${run}_template allow_connections false`));
  } catch (error) {
    await stopServer();
    throw error;
  }
}

export async function stopServer(): Promise<void> {
  if (embedded) await embedded.stop('immediate');
  else await onServer(process.env.HUB_TEST_PG ?? '', dropAll);
  if (folder !== undefined) await rm(folder, { recursive: true, force: true });
}

/** Copying a database is making some hundred files, which memory does far faster than a disk. Taken only where there is plenty. */
function fastFolder(): string {
  const memory = '/dev/shm';
  const plenty = 4 * 1024 ** 3;
  try {
    accessSync(memory, constants.W_OK);
    const { bavail, bsize } = statfsSync(memory);
    return bavail * bsize >= plenty && freemem() >= plenty ? memory : tmpdir();
  } catch {
    return tmpdir();
  }
}

async function migrateTemplate(server: string, database: string): Promise<void> {
  const module = new URL('../../src/store/migrate.ts', import.meta.url);
  if (!existsSync(module)) return;
  const { migrate } = (await import(module.href)) as { migrate(url: string): Promise<void> };
  const url = new URL(server);
  url.pathname = `/${database}`;
  await migrate(url.href);
}

async function dropAll(client: Client): Promise<void> {
  const run = process.env.HUB_TEST_RUN ?? '';
  const { rows } = await client.query<{ datname: string }>('select datname from pg_database where starts_with(datname, $1)', [run]);
  for (const { datname } of rows) await client.query(`drop database ${datname} with (force)`);
}

async function onServer(server: string, work: (client: Client) => Promise<unknown>): Promise<void> {
  const client = new Client({ connectionString: server });
  await client.connect();
  try {
    await work(client);
  } finally {
    await client.end();
  }
}
