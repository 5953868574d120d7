import { existsSync } from 'node:fs';
import { ApolloServer, HeaderMap } from '@apollo/server';
import {
  ApolloServerPluginCacheControlDisabled,
  ApolloServerPluginLandingPageDisabled,
  ApolloServerPluginUsageReportingDisabled,
} from '@apollo/server/plugin/disabled';
import fastifyStatic from '@fastify/static';
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import type { Caller, Purpose } from '../access/caller.ts';
import { Refused } from '../errors.ts';
import type { QueryLog } from '../log/writer.ts';
import { dayInShanghai } from '../mapping/dates.ts';
import type { Model } from '../model/types.ts';
import type { Keys } from '../store/keys.ts';
import type { Pool } from '../store/sql.ts';
import { answering } from './answer.ts';
import { ANONYMOUS, type Callers } from './callers.ts';
import type { Context } from './context.ts';
import { MAX_TOKENS } from './limits.ts';
import { statedPurpose } from './purpose.ts';
import { formatError, textOf } from './refusal.ts';
import { buildGraph } from './schema.ts';
import { refusedEntry } from './unanswered.ts';

export interface ServerOptions {
  model: Model;
  pool: Pool;
  keys: Keys;
  log: QueryLog;
  callers: Callers;
  host: string;
  port: number;
  /** Folder of the built console; absent or missing: the API alone. */
  consoleDir?: string;
  now: () => Date;
  /** Told of every error that is not a refusal; gets no personal data. */
  onError: (error: unknown) => void;
}

export interface Server {
  url: string;
  /** Takes no new requests, answers those under way, then ends. */
  stop(): Promise<void>;
}

/** Largest request body. Anything longer is refused before it is parsed. */
const BODY_LIMIT = 64 * 1024;
const CONSOLE_CSP =
  "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self' 'unsafe-inline'; font-src 'self' data:; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/** The API: `POST /graphql`, `GET /health`, `GET /ready`, and the console's static files. */
export async function startServer(options: ServerOptions): Promise<Server> {
  const { model, pool, keys, log } = options;
  const schema = buildGraph(model);
  const apollo = new ApolloServer<Context>({
    schema,
    introspection: true,
    allowBatchedHttpRequests: false,
    persistedQueries: false,
    parseOptions: { maxTokens: MAX_TOKENS },
    hideSchemaDetailsFromClientErrors: true,
    includeStacktraceInErrorResponses: false,
    stopOnTerminationSignals: false,
    formatError: (formatted, error) => {
      const shown = formatError(formatted, error);
      if (shown.extensions?.['code'] === 'INTERNAL_SERVER_ERROR') options.onError(error);
      return shown;
    },
    plugins: [
      ApolloServerPluginCacheControlDisabled(),
      ApolloServerPluginLandingPageDisabled(),
      ApolloServerPluginUsageReportingDisabled(),
      answering({ model, schema, sql: pool, keys, log, onError: options.onError }),
    ],
  });
  await apollo.start();
  const app = fastify({ bodyLimit: BODY_LIMIT, logger: false, requestTimeout: 30_000, forceCloseConnections: 'idle' });
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'string' }, (_request, body, done) => done(null, body));
  app.addHook('onSend', async (_request, reply) => {
    void reply.headers({ 'x-content-type-options': 'nosniff', 'referrer-policy': 'no-referrer' });
  });
  app.setErrorHandler(async (error: Error & { statusCode?: number }, request, reply) => {
    const status = error.statusCode ?? 500;
    if (status >= 500) options.onError(error);
    const code = status === 413 ? 'BODY_TOO_LARGE' : status >= 500 ? 'INTERNAL_SERVER_ERROR' : 'BAD_REQUEST';
    return refuse(
      options,
      request,
      reply,
      await callerOf(options, request),
      undefined,
      new Refused(code, status === 413 ? '请求内容过大' : textOf(code), { status }),
    );
  });
  app.get('/health', () => ({ status: 'ok' }));
  app.get('/ready', async (_request, reply) => {
    try {
      await pool.query('select 1');
      return { status: 'ready' };
    } catch {
      return reply.code(503).send({ status: 'unavailable' });
    }
  });
  app.post('/graphql', (request, reply) => answer(options, apollo, request, reply));
  app.route({
    method: ['GET', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'],
    url: '/graphql',
    handler: async (request, reply) => {
      void reply.header('allow', 'POST');
      const refused = new Refused('METHOD_NOT_ALLOWED', '查询只接受 POST 请求', { status: 405 });
      return refuse(options, request, reply, await callerOf(options, request), undefined, refused);
    },
  });
  // Fastify's own answer repeats the address, and with it whatever someone wrote into it.
  app.setNotFoundHandler((_request, reply) =>
    reply.code(404).send({ errors: [{ message: '地址不存在', extensions: { code: 'NOT_FOUND' } }] }),
  );
  await serveConsole(app, options);
  const url = await app.listen({ host: options.host, port: options.port });
  return {
    url,
    async stop() {
      await app.close();
      await apollo.stop();
    },
  };
}

async function answer(
  options: ServerOptions,
  apollo: ApolloServer<Context>,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const startedAt = performance.now();
  let caller = ANONYMOUS;
  let purpose: Purpose | undefined;
  try {
    caller = await options.callers.identify(request.headers.authorization);
    const body = parseBody(request.body);
    purpose = statedPurpose(request.headers, body);
    const context: Context = {
      startedAt,
      caller,
      purpose,
      strict: request.headers['x-access'] === 'strict',
      client: request.ip,
      model: options.model,
      services: { sql: options.pool, keys: options.keys },
      today: dayInShanghai(options.now()),
      audit: { logged: false },
      granted: undefined,
    };
    const headers = new HeaderMap();
    for (const [name, value] of Object.entries(request.headers)) if (value !== undefined) headers.set(name, String(value));
    const response = await apollo.executeHTTPGraphQLRequest({
      httpGraphQLRequest: { method: 'POST', headers, search: '', body },
      context: async () => context,
    });
    const text = response.body.kind === 'complete' ? response.body.string : '';
    // What never reached the pipeline (no query, wrong content type) is logged here like any refusal.
    if (!context.audit.logged)
      return await refuse(
        options,
        request,
        reply,
        caller,
        purpose,
        new Refused('BAD_REQUEST', textOf('BAD_REQUEST'), { status: response.status ?? 400 }),
      );
    for (const [name, value] of response.headers) void reply.header(name, value);
    return reply
      .code(response.status ?? 200)
      .header('cache-control', 'no-store')
      .send(text);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    return refuse(options, request, reply, caller, purpose, error);
  }
}

/** Answers a request that was refused before it was a query. It is logged first: no log, no answer but that. */
async function refuse(
  options: ServerOptions,
  request: FastifyRequest,
  reply: FastifyReply,
  caller: Caller,
  purpose: Purpose | undefined,
  refused: Refused,
): Promise<FastifyReply> {
  const send = (status: number, code: string, message: string, extra: Record<string, unknown>, extensions?: Record<string, unknown>) =>
    reply
      .code(status)
      .header('cache-control', 'no-store')
      .type('application/json; charset=utf-8')
      .send(JSON.stringify({ errors: [{ message, extensions: { code, ...extra } }], ...(extensions ? { extensions } : {}) }));
  try {
    const receipt = await options.log.append(
      refusedEntry({
        caller,
        purpose,
        code: refused.code,
        model: options.model,
        today: dayInShanghai(options.now()),
        client: request.ip,
      }),
    );
    const { id, writer, seq, hash, at } = receipt;
    return await send(
      refused.status === 200 ? 400 : refused.status,
      refused.code,
      refused.message,
      { ...refused.details },
      { log: { id, writer, seq, hash, at } },
    );
  } catch (error) {
    options.onError(error);
    return send(503, 'LOG_UNAVAILABLE', textOf('LOG_UNAVAILABLE'), {});
  }
}

/** Who sent a request that is refused whoever sent it: known if its token says so. */
function callerOf(options: ServerOptions, request: FastifyRequest): Promise<Caller> {
  return options.callers.identify(request.headers.authorization).catch(() => ANONYMOUS);
}

function parseBody(body: unknown): Record<string, unknown> {
  try {
    const parsed: unknown = JSON.parse(typeof body === 'string' ? body : '');
    if (typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed)) return parsed as Record<string, unknown>;
  } catch {
    // Falls through: what is no JSON object is refused below, without an echo of it.
  }
  throw new Refused('MALFORMED_REQUEST', '请求正文不是有效的 JSON 对象', { status: 400 });
}

async function serveConsole(app: FastifyInstance, options: ServerOptions): Promise<void> {
  const purposes = [...(options.model.codes.get('purposes')?.values.values() ?? [])]
    .filter((p) => p.code !== 'introspection')
    .map((p) => ({ code: p.code, zh: p.zh, en: p.en, article: typeof p.extra['article'] === 'string' ? p.extra['article'] : '' }));
  app.get('/ide/purposes.json', () => purposes);
  if (options.consoleDir === undefined || !existsSync(options.consoleDir)) return;
  await app.register(fastifyStatic, {
    root: options.consoleDir,
    index: 'index.html',
    setHeaders: (reply) => void reply.header('content-security-policy', CONSOLE_CSP),
  });
}
