import { existsSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import type { ServerOptions as HttpsOptions } from 'node:https';
import { ApolloServer } from '@apollo/server';
import {
  ApolloServerPluginCacheControlDisabled,
  ApolloServerPluginLandingPageDisabled,
  ApolloServerPluginUsageReportingDisabled,
} from '@apollo/server/plugin/disabled';
import fastifyStatic from '@fastify/static';
import fastify, { type FastifyInstance, type FastifyRequest } from 'fastify';
import { Refused } from '../errors.ts';
import { openFloods } from '../log/floods.ts';
import { needsOfPurpose } from '../model/check-policies.ts';
import { shares } from '../store/share.ts';
import { answering } from './answer.ts';
import type { Context } from './context.ts';
import { openBudgets } from './budget.ts';
import { answer, type Endpoint, type EndpointOptions, refuse } from './endpoint.ts';
import { openGate } from './gate.ts';
import { openDeliveries } from './deliver.ts';
import { openStreams } from './stream.ts';
import { followFeed } from '../store/feed.ts';
import { formatError, textOf } from './refusal.ts';
import { readBody } from './request.ts';
import { buildGraph } from './schema.ts';
import { stringify } from './serialise.ts';
import { type DocumentMode, openDocuments } from './trusted.ts';

export interface ServerOptions extends EndpointOptions {
  host: string;
  port: number;
  /** Left out: plain HTTP. With `clientCa` clients may show certificates, and those of the authority count. */
  tls?: { cert: string; key: string; clientCa: string | undefined } | undefined;
  /** Addresses of the proxies whose word is taken for who the caller is; without them that of the socket. */
  trustProxy?: readonly string[];
  /** Every document, or registered ones only; every one unless told. */
  documentMode?: DocumentMode;
  /** Folder of the built console; absent or missing: the API alone. */
  consoleDir?: string;
}

export interface Server {
  url: string;
  /** Every route, `GET /health`: what there is to ask from outside (L47). */
  routes: readonly string[];
  /** Takes no new requests, answers those under way, then ends. */
  stop(): Promise<void>;
}

/** A body has this long to arrive, and a whole request (what else it may drip) a little longer. */
const BODY_MS = 10_000;
const REQUEST_MS = 15_000;
/** Errors of a document that is wrong in many places: the first ones help, the rest would make a long answer. */
const MAX_ERRORS = 2;
const CONSOLE_CSP =
  "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self' 'unsafe-inline'; font-src 'self' data:; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/** The API: `/graphql`, `GET /health`, `GET /ready`, and the console's static files. */
export async function startServer(options: ServerOptions): Promise<Server> {
  const { model, pool, keys, log, limits = model.limits } = options;
  const schema = buildGraph(model);
  const endpoint: Endpoint = {
    ...options,
    limits,
    budgets: openBudgets(limits, () => performance.now()),
    gate: openGate(limits),
    floods: openFloods(log, options.onError),
    documents: await openDocuments(pool, options.documentMode ?? 'any', options.onError),
    poolOf: shares(pool, limits.capacity.connections.max),
  };
  const apollo = new ApolloServer<Context>({
    schema,
    introspection: true,
    allowBatchedHttpRequests: false,
    persistedQueries: false,
    parseOptions: { maxTokens: limits.query.tokens.max },
    // Suggestions are told to nobody, so they are not looked for.
    validationOptions: { maxErrors: MAX_ERRORS, hideSuggestions: true },
    stringifyResult: stringify,
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
      answering({ model, schema, keys, log, limits, budgets: endpoint.budgets, onError: options.onError }),
    ],
  });
  await apollo.start();
  const feed = followFeed(pool, limits.streams.days.max, options.onError);
  const streams = openStreams(endpoint, apollo, feed);
  const { webhooks } = options;
  const deliveries = webhooks && openDeliveries(endpoint, apollo, feed, webhooks.sender, webhooks.retryMs);
  const app = fastify({
    ...serving(options.tls),
    logger: false,
    requestTimeout: REQUEST_MS,
    http: { headersTimeout: BODY_MS, connectionsCheckingInterval: 1000 },
    forceCloseConnections: 'idle',
    exposeHeadRoutes: false,
    trustProxy: options.trustProxy && options.trustProxy.length > 0 ? [...options.trustProxy] : false,
  });
  const routes: string[] = [];
  app.addHook('onRoute', ({ method, url }) => void routes.push(...[method].flat().map((name) => `${name} ${url}`)));
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', async (_request: FastifyRequest, payload: IncomingMessage) =>
    readBody(payload, limits.query.bytes.max, BODY_MS),
  );
  app.addHook('onSend', async (_request, reply) => {
    void reply.headers({ 'x-content-type-options': 'nosniff', 'referrer-policy': 'no-referrer' });
  });
  app.setErrorHandler(async (error: Error & { statusCode?: number }, request, reply) => {
    const status = error instanceof Refused ? error.status : (error.statusCode ?? 500);
    if (status >= 500) options.onError(error);
    // Whoever is refused while still sending is not listened to any longer.
    if (status === 408 || status === 413) void reply.header('connection', 'close');
    if (error instanceof Refused) return refuse(endpoint, request, reply, error);
    const code = status >= 500 ? 'INTERNAL_SERVER_ERROR' : 'BAD_REQUEST';
    return refuse(endpoint, request, reply, new Refused(code, textOf(code), { status }));
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
  app.route({ method: ['GET', 'POST'], url: '/graphql', handler: (request, reply) => answer(endpoint, apollo, streams, request, reply) });
  app.route({
    method: ['HEAD', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'],
    url: '/graphql',
    handler: async (request, reply) => {
      void reply.header('allow', 'GET, POST');
      const refused = new Refused('METHOD_NOT_ALLOWED', '查询只接受 POST 和 GET 请求', { status: 405 });
      return refuse(endpoint, request, reply, refused);
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
    routes,
    async stop() {
      await streams.close();
      await deliveries?.close();
      await feed.close();
      await app.close();
      await endpoint.floods.flush();
      endpoint.documents.close();
      await apollo.stop();
    },
  };
}

/** A client without a certificate is served too: whether its token needs one is said by the token. */
function serving(tls: ServerOptions['tls']): { https: HttpsOptions | null } {
  if (tls === undefined) return { https: null };
  const { cert, key, clientCa } = tls;
  return {
    https: {
      cert,
      key,
      minVersion: 'TLSv1.2',
      headersTimeout: BODY_MS,
      connectionsCheckingInterval: 1000,
      ...(clientCa === undefined ? {} : { ca: clientCa, requestCert: true, rejectUnauthorized: false }),
    },
  };
}

async function serveConsole(app: FastifyInstance, options: ServerOptions): Promise<void> {
  const purposes = [...(options.model.codes.get('purposes')?.values.values() ?? [])]
    .filter((p) => p.code !== 'introspection')
    .map((p) => ({
      code: p.code,
      zh: p.zh,
      en: p.en,
      article: typeof p.extra['article'] === 'string' ? p.extra['article'] : '',
      needs: needsOfPurpose(options.model, p.code),
    }));
  app.get('/ide/purposes.json', () => purposes);
  if (options.consoleDir === undefined || !existsSync(options.consoleDir)) return;
  await app.register(fastifyStatic, {
    root: options.consoleDir,
    index: 'index.html',
    setHeaders: (reply) => void reply.header('content-security-policy', CONSOLE_CSP),
  });
}
