import type { ServerResponse } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import fastify, { type FastifyInstance } from 'fastify';

export interface Call {
  path: string;
  headers: Record<string, string | string[] | undefined>;
  body: unknown;
}

export interface Answer {
  status: number;
  body: unknown;
  /** Sent in place of the body as JSON. */
  bytes?: Buffer;
  /** Content type, when it is not JSON's. */
  type?: string;
  /** What becomes of the answer on its way: none comes, the connection is reset, or it breaks after half of the promised bytes. */
  wire?: 'hang' | 'reset' | 'cut';
}

export interface ServerOptions {
  /** 0 or none: any free port. */
  port?: number;
  /** Every call waits this long before it is answered. */
  slowMs?: number;
  /** Every answer passes here before it is sent: the one place where a fault can be made. */
  answer?: (call: Call, proper: Answer) => Promise<Answer>;
  now?: () => Date;
}

export interface Server {
  url: string;
  stop(): Promise<void>;
}

export type Handler = (call: Call) => Promise<Answer> | Answer;

export function answered(body: unknown, status = 200): Answer {
  return { status, body };
}

/** A JSON server on 127.0.0.1. `routes` are `METHOD /path`; a body that is no JSON answers 400. */
export async function startServer(routes: Record<string, Handler>, options: ServerOptions): Promise<Server> {
  const app: FastifyInstance = fastify({ logger: false, bodyLimit: 4 * 1024 * 1024, forceCloseConnections: true });
  for (const [route, handler] of Object.entries(routes)) {
    const [method = 'GET', url = '/'] = route.split(' ');
    app.route({
      method,
      url,
      handler: async (request, reply) => {
        const call: Call = { path: request.url, headers: request.headers, body: request.body };
        if (options.slowMs) await pause(options.slowMs);
        const proper = await handler(call);
        const sent = options.answer ? await options.answer(call, proper) : proper;
        const bytes = sent.bytes ?? Buffer.from(JSON.stringify(sent.body));
        const type = sent.type ?? 'application/json; charset=utf-8';
        if (sent.wire) return breakOff(reply.hijack().raw, sent.wire, sent.status, type, bytes);
        return reply.code(sent.status).type(type).send(bytes);
      },
    });
  }
  await app.listen({ host: '127.0.0.1', port: options.port ?? 0 });
  const address = app.server.address();
  const port = typeof address === 'object' && address ? address.port : options.port;
  return { url: `http://127.0.0.1:${port}`, stop: () => app.close() };
}

/** A `hang` keeps the connection until the client or the server gives it up. */
function breakOff(raw: ServerResponse, wire: NonNullable<Answer['wire']>, status: number, type: string, bytes: Buffer): void {
  if (wire === 'reset') raw.socket?.resetAndDestroy();
  if (wire !== 'cut') return;
  raw.writeHead(status, { 'content-type': type, 'content-length': bytes.length });
  raw.write(bytes.subarray(0, bytes.length >> 1), () => raw.socket?.destroy());
}

/** The value as an object with text keys; an empty one for anything else. */
export function objectOf(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};
}

/** A header as one text, '' when it is missing. */
export function headerOf(call: Call, name: string): string {
  const value = call.headers[name.toLowerCase()];
  return typeof value === 'string' ? value : '';
}
