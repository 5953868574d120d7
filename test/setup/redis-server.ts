/** A Redis of a test's own, which keeps nothing: whoever kills it has emptied it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { Redis } from 'ioredis';
import { until } from './platforms.ts';

export interface RedisServer {
  url: string;
  flush(): Promise<void>;
  /** With SIGKILL; what it held is gone. */
  kill(): Promise<void>;
  /** After a kill, on the same port. Resolves when it answers. */
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** Path of the server's program, or undefined where there is none. */
export const redisProgram: string | undefined = (process.env['PATH'] ?? '')
  .split(delimiter)
  .map((folder) => join(folder, 'redis-server'))
  .find((path) => {
    try {
      accessSync(path, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });

export async function startRedis(program: string): Promise<RedisServer> {
  const port = await freePort();
  const client = new Redis({ port, host: '127.0.0.1', lazyConnect: true, maxRetriesPerRequest: 0, retryStrategy: () => 50 });
  client.on('error', () => undefined);
  let child: ChildProcess | undefined;

  const start = async () => {
    child = spawn(program, ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', tmpdir()], {
      stdio: 'ignore',
    });
    const own = child;
    await until(async () => {
      if (own.exitCode !== null) throw new Error(`redis-server ended by itself with ${own.exitCode}`);
      return (await client.ping().catch(() => '')) === 'PONG';
    });
  };
  const kill = async () => {
    const own = child;
    child = undefined;
    if (own?.pid === undefined || own.exitCode !== null || own.signalCode !== null) return;
    const over = once(own, 'exit');
    own.kill('SIGKILL');
    await over;
  };
  await start();
  return {
    url: `redis://127.0.0.1:${port}`,
    flush: async () => void (await client.flushall()),
    kill,
    start,
    async stop() {
      client.disconnect();
      await kill();
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}
