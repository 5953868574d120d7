/** Finds a Redis for the tests that need one. Importing this file makes the probe; it never fails. */
import { describe, test } from '@jest/globals';
import { connect } from 'node:net';

const PROBE_MS = 300;
const candidate = process.env.REDIS_URL || 'redis://127.0.0.1:6379';

/** URL of a Redis that answered, or undefined. */
export const redisUrl: string | undefined = (await answers(candidate)) ? candidate : undefined;

/** Like `describe`, with the URL of a Redis; one skipped test says so where there is none. */
export function describeWithRedis(name: string, tests: (url: string) => void): void {
  const { hostname, port } = new URL(candidate);
  describe(name, () => {
    if (redisUrl !== undefined) tests(redisUrl);
    else test.skip(`skipped: no Redis reachable at ${hostname}:${port || '6379'} (set REDIS_URL)`, () => undefined);
  });
}

/** True when the server at `url` answers PING within 300 ms. A Redis behind TLS is not probed. */
async function answers(url: string): Promise<boolean> {
  const { hostname, port, username, password } = new URL(url);
  const auth = password ? `AUTH ${username ? `${decodeURIComponent(username)} ` : ''}${decodeURIComponent(password)}\r\n` : '';
  return await new Promise((resolve) => {
    const socket = connect({ host: hostname, port: Number(port || 6379) });
    let heard = '';
    const end = (answer: boolean): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(answer);
    };
    const timer = setTimeout(() => end(false), PROBE_MS);
    socket.on('error', () => end(false));
    socket.on('close', () => end(false));
    socket.on('connect', () => socket.write(`${auth}PING\r\n`));
    socket.on('data', (data) => {
      heard += data.toString('latin1');
      if (heard.includes('+PONG')) end(true);
    });
  });
}
