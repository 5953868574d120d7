import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Presented, Witness } from './witness.ts';
import { WitnessRefusal } from './witness.ts';

const MAX_BODY = 8 << 20;
const MAX_HASHES = 10_000;
const STATUS = { fork: 409, gap: 409, signature: 403, form: 400 } as const;

export interface WitnessServer {
  url: string;
  close(): Promise<void>;
}

/**
 * The witness on HTTP. `GET /checkpoint`: the last one it holds and its public key. `GET /hashes?from=&to=`: what it holds. `POST /checkpoints`: takes
 * checkpoints; 200 with the cosignature, 409 for a fork or a gap (with what it holds), 403 for an unknown signature, 400 for anything else. Nothing
 * here is secret: hashes tell nothing of the log.
 */
export async function serveWitness(
  witness: Witness,
  at: { host: string; port: number },
  onRefusal: (what: string) => void,
): Promise<WitnessServer> {
  const server = createServer((request, response) => {
    answer(witness, request, onRefusal).then(
      ({ status, body }) => send(response, status, body),
      () => send(response, 500, { error: 'the witness failed' }),
    );
  });
  server.requestTimeout = 30_000;
  server.listen(at.port, at.host);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://${at.host.includes(':') ? `[${at.host}]` : at.host}:${port}`,
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

function send(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' }).end(JSON.stringify(body));
}

const headOf = ({ latest, first }: Witness) => ({ first, n: latest.n, hash: latest.hash.toString('hex') });

async function answer(
  witness: Witness,
  request: IncomingMessage,
  onRefusal: (what: string) => void,
): Promise<{ status: number; body: unknown }> {
  const url = new URL(request.url ?? '/', 'http://witness');
  const route = `${request.method} ${url.pathname}`;
  if (route === 'GET /checkpoint') return { status: 200, body: { ...headOf(witness), publicKey: witness.publicKey } };
  if (route === 'GET /ready') return { status: 200, body: {} };
  if (route === 'GET /hashes') {
    const [from, to] = [Number(url.searchParams.get('from')), Number(url.searchParams.get('to'))];
    if (!Number.isSafeInteger(from) || !Number.isSafeInteger(to) || to - from >= MAX_HASHES)
      return { status: 400, body: { error: 'from and to' } };
    return { status: 200, body: witness.hashes(from, to).map(({ n, hash }) => [n, hash.toString('hex')]) };
  }
  if (route !== 'POST /checkpoints') return { status: 404, body: { error: 'no such address' } };
  try {
    const { n, key, at, signature } = witness.take(presentedIn(await bodyOf(request)));
    return { status: 200, body: { n, key, at: at.toISOString(), signature: signature.toString('base64') } };
  } catch (error) {
    if (!(error instanceof WitnessRefusal)) throw error;
    onRefusal(`${error.kind}: ${error.message}`);
    return { status: STATUS[error.kind], body: { error: error.kind, message: error.message, held: headOf(witness) } };
  }
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    size += part.length;
    if (size > MAX_BODY) throw new WitnessRefusal('form', 'too large');
    parts.push(part);
  }
  return Buffer.concat(parts).toString();
}

function presentedIn(text: string): Presented[] {
  const fail = (): never => {
    throw new WitnessRefusal('form', 'no list of checkpoints');
  };
  let list: unknown;
  try {
    list = JSON.parse(text);
  } catch {
    fail();
  }
  if (!Array.isArray(list)) return fail();
  return (list as Record<string, unknown>[]).map((one) => {
    const { body, key, signature } = one ?? {};
    if (typeof body !== 'string' || typeof key !== 'string' || typeof signature !== 'string') return fail();
    return { body: Buffer.from(body, 'base64'), key, signature: Buffer.from(signature, 'base64') };
  });
}
