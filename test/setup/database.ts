/** Databases for one test file each, on the server that `global.ts` started. */
import { randomBytes } from 'node:crypto';
import { Client } from 'pg';

export interface TestDatabase {
  url: string;
  /** Removes it, ending the sessions that are left. */
  drop(): Promise<void>;
}

/** A copy of the migrated, empty schema. */
export async function freshDatabase(): Promise<TestDatabase> {
  return await create(`${setting('HUB_TEST_RUN')}_template`);
}

/** A database without any table, for tests of the migrations. */
export async function emptyDatabase(): Promise<TestDatabase> {
  return await create('template0');
}

async function create(template: string): Promise<TestDatabase> {
  const name = `${setting('HUB_TEST_RUN')}_${randomBytes(4).toString('hex')}`;
  await command(`create database ${name} template ${template}`);
  const url = new URL(setting('HUB_TEST_PG'));
  url.pathname = `/${name}`;
  return { url: url.href, drop: () => command(`drop database if exists ${name} with (force)`) };
}

async function command(sql: string): Promise<void> {
  const client = new Client({ connectionString: setting('HUB_TEST_PG') });
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}

function setting(name: string): string {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set: run the tests through npm test`);
  return value;
}
