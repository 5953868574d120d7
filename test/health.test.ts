import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import { health } from '../src/commands/health.ts';

let server: Server | undefined;
afterEach(() => void server?.close());

/** A process that answers `/ready` with a status, on one address alone. */
async function listening(host: string, status: number): Promise<string> {
  server = createServer((request, response) => response.writeHead(request.url === '/ready' ? status : 404).end());
  server.listen(0, host);
  await once(server, 'listening');
  return String((server.address() as AddressInfo).port);
}

describe('the health command', () => {
  it.each([
    ['the loopback address', '127.0.0.1', '127.0.0.1'],
    ['another address of the machine', '127.0.0.2', '127.0.0.2'],
    ['every address', '0.0.0.0', '0.0.0.0'],
  ])('asks where the API listens: %s', async (_what, listens, host) => {
    expect(await health({ HUB_HOST: host, HUB_PORT: await listening(listens, 200) })).toBe(true);
  });

  it('is not content with an answer from another address, with one that is not ready, or with none', async () => {
    const port = await listening('127.0.0.2', 503);
    expect(await health({ HUB_HOST: '127.0.0.1', HUB_PORT: port })).toBe(false);
    expect(await health({ HUB_HOST: '127.0.0.2', HUB_PORT: port })).toBe(false);
    server?.close();
    expect(await health({ HUB_HOST: '127.0.0.2', HUB_PORT: port })).toBe(false);
  });
});
