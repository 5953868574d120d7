import { afterAll, describe, expect, it } from '@jest/globals';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Client } from 'pg';
import { type EmbeddedPostgres, startEmbedded } from '../src/store/embedded.ts';

const folders: string[] = [];

afterAll(async () => {
  for (const folder of folders) await rm(folder, { recursive: true, force: true });
});

async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'credit-hub-embedded-'));
  folders.push(folder);
  return folder;
}

async function ask(server: EmbeddedPostgres, sql: string): Promise<unknown[]> {
  const client = new Client({ connectionString: server.url('hub') });
  client.on('error', () => undefined);
  await client.connect();
  const { rows } = await client.query<unknown[]>({ text: sql, rowMode: 'array' });
  await client.end();
  return rows.flat();
}

async function gone(pid: number): Promise<boolean> {
  for (let attempt = 0; attempt < 300; attempt += 1) {
    try {
      process.kill(pid, 0);
    } catch {
      return true;
    }
    await delay(50);
  }
  return false;
}

describe('the embedded PostgreSQL', () => {
  it('starts, keeps its data over a stop, and recovers committed data after kill -9', async () => {
    const dataDir = await newFolder();
    let server = await startEmbedded({ dataDir });
    expect(await ask(server, 'select 1')).toEqual([1]);
    await ask(server, 'create table kept (n int)');
    await ask(server, 'insert into kept values (1)');
    await server.stop();
    expect(await gone(server.pid)).toBe(true);

    server = await startEmbedded({ dataDir });
    await ask(server, 'insert into kept values (2)');
    process.kill(server.pid, 'SIGKILL');

    server = await startEmbedded({ dataDir });
    expect(await ask(server, 'select n from kept order by n')).toEqual([1, 2]);
    await server.stop('immediate');
    await server.stop();
  });

  it('listens on 127.0.0.1 with a password and safe settings', async () => {
    const dataDir = await newFolder();
    const server = await startEmbedded({ dataDir });
    const names = [
      'listen_addresses',
      'unix_socket_directories',
      'fsync',
      'data_checksums',
      'TimeZone',
      'max_connections',
      'server_encoding',
    ];
    const settings = await ask(server, `select ${names.map((name) => `current_setting('${name}')`).join(', ')}`);
    expect(settings).toEqual(['127.0.0.1', '', 'on', 'on', 'UTC', '200', 'UTF8']);
    const client = new Client({ host: '127.0.0.1', port: server.port, user: 'postgres', password: 'guess', database: 'hub' });
    await expect(client.connect()).rejects.toThrow('password authentication failed');
    expect((await stat(join(server.dataDir, 'password'))).mode & 0o777).toBe(0o600);
    await server.stop();
  });

  it('sees Chinese characters as letters, so that names can be searched by trigram', async () => {
    const server = await startEmbedded({ dataDir: await newFolder(), test: true });
    await ask(server, 'create extension pg_trgm');
    expect(await ask(server, `select '长沙市中心医院' ilike '%中心%', cardinality(show_trgm('长沙市')) > 0`)).toEqual([true, true]);
    await server.stop('immediate');
  });

  it('refuses a folder that a live server holds, naming its pid, and one that holds other files', async () => {
    const dataDir = await newFolder();
    const server = await startEmbedded({ dataDir, test: true });
    await expect(startEmbedded({ dataDir, test: true })).rejects.toThrow(`pid ${server.pid}`);
    await expect(startEmbedded({ dataDir: await newFolder(), test: true, port: server.port })).rejects.toThrow(`port ${server.port}`);
    await server.stop('immediate');
    const other = await newFolder();
    await writeFile(join(other, 'letter.txt'), 'mine');
    await expect(startEmbedded({ dataDir: other })).rejects.toThrow('letter.txt');
    expect(await readFile(join(other, 'letter.txt'), 'utf8')).toBe('mine');
  });

  it('starts although the pid in a left-over pid file now belongs to another program', async () => {
    const dataDir = await newFolder();
    const first = await startEmbedded({ dataDir, test: true });
    const pidFile = join(first.dataDir, 'cluster', 'postmaster.pid');
    const content = await readFile(pidFile, 'utf8');
    await first.stop();
    await writeFile(pidFile, content.replace(/^\d+/, String(process.pid)));
    const second = await startEmbedded({ dataDir, test: true });
    expect(await ask(second, 'select 1')).toEqual([1]);
    await second.stop('immediate');
  });

  it('ends with the process that started it, even when that is killed', async () => {
    const dataDir = await newFolder();
    const script = `
      const { startEmbedded } = await import(${JSON.stringify(new URL('../src/store/embedded.ts', import.meta.url).href)});
      const server = await startEmbedded({ dataDir: ${JSON.stringify(dataDir)}, test: true });
      console.log(server.pid);
      setInterval(() => undefined, 1000);`;
    const hook = new URL('../scripts/ts-hook.mjs', import.meta.url).href;
    const parent = execFile(process.execPath, ['--import', hook, '--input-type=module', '-e', script]);
    const [line] = (await once(parent.stdout as NodeJS.ReadableStream, 'data')) as [string];
    const pid = Number(line);
    expect(pid).toBeGreaterThan(0);
    parent.kill('SIGKILL');
    expect(await gone(pid)).toBe(true);
    const again = await startEmbedded({ dataDir, test: true });
    await again.stop('immediate');
  });
});
