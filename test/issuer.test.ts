/** Tokens of an issuer whose keys are fetched: what is the issuer's fault is never told as the caller's. */
import { createServer, type RequestListener, type Server } from 'node:http';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { loadModel } from '../src/model/load.ts';
import { openCallers } from '../src/resolvers/callers.ts';
import { mintToken } from '../src/resolvers/token.ts';

const model = loadModel(new URL('../schema/', import.meta.url).pathname);
const issuer = 'urn:credit-hub:test';
const audience = 'credit-hub';
let data: string;
let server: Server;
let answer: RequestListener;

beforeEach(async () => {
  data = await mkdtemp(join(tmpdir(), 'hub-issuer-'));
  server = createServer((request, response) => answer(request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});
afterEach(async () => {
  server.closeAllConnections();
  server.close();
  await rm(data, { recursive: true, force: true });
});

async function identify(): Promise<string> {
  const officer = { id: 'wj-0001', name: '陈静', department: 'health', role: 'officer', region: '430000', purposes: [] };
  const token = await mintToken(data, { ...officer, issuer, audience, expiresIn: 60 });
  const { port } = server.address() as AddressInfo;
  const callers = await openCallers(model, { issuer, audience, jwksUrl: `http://127.0.0.1:${port}/keys`, data });
  return callers.identify({ authorization: `Bearer ${token}` }).then(
    (caller) => caller.name,
    (error: { code?: string }) => String(error.code),
  );
}

const says =
  (status: number, body: string): RequestListener =>
  (_request, response) =>
    void response.writeHead(status, { 'content-type': 'application/json' }).end(body);

describe('the keys of an issuer', () => {
  it('ZM-3.2.3 tell who calls', async () => {
    await mintToken(data, { id: 'x', name: 'x', department: 'x', role: '', region: '', purposes: [], issuer, audience, expiresIn: 1 });
    const { d: _private, ...key } = JSON.parse(await readFile(join(data, 'dev-key.json'), 'utf8')) as Record<string, unknown>;
    answer = says(200, JSON.stringify({ keys: [key] }));
    expect(await identify()).toBe('陈静');
  });

  it.each([
    ['an error', says(500, '{}')],
    ['a page', says(200, '<html>maintenance</html>')],
    ['no key set', says(200, '{"keys":"none"}')],
    ['nothing', (request) => void request.socket.destroy()],
  ] as [string, RequestListener][])('P18 cannot be had while the issuer answers with %s: the caller may try again', async (_, listener) => {
    answer = listener;
    expect(await identify()).toBe('IDENTITY_UNAVAILABLE');
  });

  it('U1 that do not hold the key of the token make it no valid token', async () => {
    answer = says(200, '{"keys":[]}');
    expect(await identify()).toBe('TOKEN_INVALID');
  });
});
