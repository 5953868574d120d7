/** A service that cannot be opened ends, whatever it has opened already, so that its supervisor starts it again. */
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { type AddressInfo, connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { newKeyRing } from '../src/store/keys.ts';
import { freshDatabase, type TestDatabase } from './setup/database.ts';

let database: TestDatabase;
let proxy: Server;
let folder: string;
/** A connection that sends this is cut, as by a database that goes away. */
let cutAt = '';
let cuts = 0;

beforeAll(async () => {
  database = await freshDatabase();
  folder = await mkdtemp(join(tmpdir(), 'credit-hub-start-'));
  const { hostname, port } = new URL(database.url);
  proxy = createServer((near) => {
    const far = connect(Number(port), hostname);
    near.on('data', (chunk) => {
      if (cutAt !== '' && chunk.includes(cutAt)) {
        cuts += 1;
        near.destroy();
        far.destroy();
      } else far.write(chunk);
    });
    far.on('data', (chunk) => near.write(chunk));
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      one.on('error', () => other.destroy());
      one.on('close', () => other.destroy());
    }
  });
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
});
afterAll(async () => {
  proxy.close();
  await database.drop();
  await rm(folder, { recursive: true, force: true });
});

function start(command: 'serve' | 'work'): ChildProcess {
  const url = new URL(database.url);
  url.hostname = '127.0.0.1';
  url.port = String((proxy.address() as AddressInfo).port);
  return spawn(process.execPath, ['--disable-warning=ExperimentalWarning', '--import', './scripts/ts-hook.mjs', 'src/main.ts', command], {
    stdio: 'ignore',
    env: {
      PATH: process.env['PATH'],
      DATABASE_URL: url.href,
      HUB_KEYS: newKeyRing(),
      HUB_DATA: folder,
      HUB_PORT: '0',
      OIDC_ISSUER: 'https://issuer.example',
      OIDC_AUDIENCE: 'hub',
      LOG_LEVEL: 'fatal',
      HUB_TEST_UNSAFE: 'yes',
    },
  });
}

it.each([
  ['serve', 'from model_use'],
  ['serve', 'from revocation'],
  ['work', 'from model_use'],
] as const)('P1 %s ends when its database goes away while it starts (%s)', async (command, at) => {
  cutAt = at;
  cuts = 0;
  const child = start(command);
  const ended = once(child, 'exit').then(([code]) => `exit ${code}`);
  try {
    // As long as a supervisor would wait.
    expect(await Promise.race([ended, sleep(60_000, 'it hangs', { ref: false })])).toBe('exit 1');
    expect(cuts).toBeGreaterThan(0);
  } finally {
    child.kill('SIGKILL');
  }
});
