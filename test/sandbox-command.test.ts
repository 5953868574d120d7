import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Client } from 'pg';
import { resolveSettings } from '../src/connectors/settings.ts';
import { MODEL } from './setup/store.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const FAULTS = JSON.stringify({ odds: { 'http-500': 1, 'changed-before-ack': 1 }, most: 3 });

describe('hub sandbox, for those who connect a hub of their own', () => {
  let folder: string;
  let child: ChildProcess;
  const said = { out: '', err: '' };
  const env: Record<string, string> = {};

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'hub-sandbox-'));
    await chmod(folder, 0o755);
    const hub = ['--disable-warning=ExperimentalWarning', '--import', './scripts/ts-hook.mjs', 'src/main.ts'];
    child = spawn(process.execPath, [...hub, 'sandbox', '--seed', '9', '--faults', FAULTS], {
      cwd: ROOT,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { PATH: '/nonsense', HUB_DATA: folder, DATABASE_URL: 'nonsense' },
    });
    child.stdout?.on('data', (chunk: Buffer) => (said.out += chunk.toString()));
    child.stderr?.on('data', (chunk: Buffer) => (said.err += chunk.toString()));
    while (!said.err.includes('ready')) {
      if (child.exitCode !== null) throw new Error(`the sandbox ended with ${child.exitCode}: ${said.err}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    for (const [, name = '', value = ''] of said.out.matchAll(/^export (\w+)='(.*)'$/gm)) env[name] = value;
  }, 300_000);
  afterAll(async () => {
    child.kill('SIGKILL');
    await rm(folder, { recursive: true, force: true });
  });

  const asked = async <R extends Record<string, unknown>>(url: string, text: string): Promise<R[]> => {
    const client = new Client({ connectionString: url });
    await client.connect();
    try {
      return (await client.query<R>(text)).rows;
    } finally {
      await client.end();
    }
  };

  it('prints every variable that the connectors with a sandbox need', () => {
    for (const id of ['national-insurance', 'credit-china', 'hunan-credit']) {
      const connector = MODEL.connectors.get(id);
      expect(connector && resolveSettings(connector, env).missing).toEqual([]);
    }
  });

  it('fails as its plan says, as often as it says', async () => {
    const login = () =>
      fetch(`${env['CREDIT_CHINA_URL']}/service/login`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ appId: env['CREDIT_CHINA_APP_ID'], secret: env['CREDIT_CHINA_SECRET'] }),
      });
    const statuses: number[] = [];
    for (let n = 0; n < 5; n += 1) statuses.push((await login()).status);
    expect(statuses).toEqual([500, 500, 500, 200, 200]);
  });

  it('T4 gives an address that reaches the tables of the platform and nothing of the hub', async () => {
    const url = env['HUNAN_CREDIT_DATABASE_URL'] ?? '';
    const [row] = await asked<{ n: number }>(url, 'select count(*)::int as n from "QZK"."GX_RYXX"');
    expect(row?.n).toBeGreaterThan(100);
    const hub = new URL(url);
    hub.pathname = '/hub';
    const attributes = await asked(hub.href, 'select rolsuper, rolcreatedb, rolcreaterole from pg_roles where rolname = current_user');
    expect(attributes).toEqual([{ rolsuper: false, rolcreatedb: false, rolcreaterole: false }]);
    await expect(asked(url, 'drop table "QZK"."GX_RYXX"')).rejects.toThrow(/owner/);
  });

  it('P16 stops when it is told to, and says which faults there were', async () => {
    child.kill('SIGINT');
    const [code] = (await once(child, 'close')) as [number | null];
    expect(code).toBe(0);
    expect(JSON.parse(said.err.trim().split('\n').at(-1) ?? '')).toMatchObject({ 'http-500': 3 });
  });
});
