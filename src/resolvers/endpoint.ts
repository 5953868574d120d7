import { TLSSocket } from 'node:tls';
import { ApolloServer, HeaderMap } from '@apollo/server';
import { isIP } from 'node:net';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Caller, Purpose } from '../access/caller.ts';
import { Refused } from '../errors.ts';
import type { Floods } from '../log/floods.ts';
import type { QueryLog } from '../log/writer.ts';
import { dayInShanghai } from '../mapping/dates.ts';
import type { Limits, Model } from '../model/types.ts';
import type { Keys } from '../store/keys.ts';
import type { Pool } from '../store/sql.ts';
import { counted } from '../store/under-way.ts';
import type { Budgets } from './budget.ts';
import { ANONYMOUS, type Callers, type Presented } from './callers.ts';
import type { Context } from './context.ts';
import type { Sender } from './deliver.ts';
import type { Gate } from './gate.ts';
import { statedPurpose } from './purpose.ts';
import { textOf } from './refusal.ts';
import { type MediaType, mediaTypeOf, readRequest, wantsEvents } from './request.ts';
import { checkShape } from './shape.ts';
import type { Streams } from './stream.ts';
import { revealPlace } from '../store/feed.ts';
import type { Documents } from './trusted.ts';
import { refusedEntry } from './unanswered.ts';

export interface EndpointOptions {
  model: Model;
  pool: Pool;
  keys: Keys;
  log: QueryLog;
  callers: Callers;
  /** Unless given those of the model. */
  limits?: Limits;
  /** What delivers webhooks, and the first wait after a failure, in milliseconds; left out: none is delivered, and none can be registered. */
  webhooks?: { sender: Sender; retryMs: number } | undefined;
  now: () => Date;
  /** Told of every error that is not a refusal; gets no personal data. */
  onError: (error: unknown) => void;
}

/** The API at work: the options, and what stands before every query. */
export interface Endpoint extends EndpointOptions {
  limits: Limits;
  budgets: Budgets;
  gate: Gate;
  floods: Floods;
  documents: Documents;
  /** The connections that a department may hold. */
  poolOf: (department: string) => Pool;
}

/** What is known of a request so far, for the log and for the form of the answer. */
interface Known {
  caller: Caller;
  purpose: Purpose | undefined;
  mediaType: MediaType;
}

/** `POST /graphql` and `GET /graphql`: every request ends here or in {@link refuse}, with one entry in the log. */
export async function answer(
  options: Endpoint,
  apollo: ApolloServer<Context>,
  streams: Streams,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const startedAt = performance.now();
  const known: Known = { caller: ANONYMOUS, purpose: undefined, mediaType: 'application/json' };
  try {
    writable(options);
    known.caller = await options.callers.identify(presentedBy(request));
    options.budgets.request(known.caller);
    const isStream = wantsEvents(request.headers.accept);
    known.mediaType = isStream ? 'application/json' : mediaTypeOf(request.headers.accept);
    known.purpose = statedPurpose(request.headers, {});
    const { limits } = options;
    const today = dayInShanghai(options.now());
    const asked = readRequest({ method: request.method, url: request.url, headers: request.headers, body: request.body }, limits, today);
    known.purpose = statedPurpose(request.headers, asked.extensions);
    const { query, operationName } = options.documents.resolve(asked, known.caller, known.purpose);
    const { method, variables } = asked;
    const { persistedQuery: _id, ...extensions } = asked.extensions;
    if (!query) throw new Refused('BAD_REQUEST', textOf('BAD_REQUEST'), { status: 400 });
    checkShape(query, limits);
    const context: Context = {
      startedAt,
      ...known,
      method,
      strict: request.headers['x-access'] === 'strict',
      client: clientOf(request),
      model: options.model,
      services: {
        sql: counted(options.poolOf(known.caller.department)),
        keys: options.keys,
        allowsWebhook: options.webhooks?.sender.allows,
      },
      today,
      audit: { logged: false },
      granted: undefined,
    };
    if (isStream) {
      const from = lastEventOf(request, options.keys);
      const identify = () => options.callers.identify(presentedBy(request));
      await streams.serve({ query, operationName, variables, extensions, from }, context, identify, reply);
      return reply;
    }
    const leave = await options.gate.enter(known.caller);
    // Apollo gets one form only, whichever of the accepted ones came in.
    const response = await apollo
      .executeHTTPGraphQLRequest({
        httpGraphQLRequest: {
          method: 'POST',
          headers: new HeaderMap([
            ['content-type', 'application/json'],
            ['accept', known.mediaType],
          ]),
          search: '',
          body: { query, operationName: operationName ?? null, variables, extensions },
        },
        context: async () => context,
      })
      .finally(leave);
    // What never reached the pipeline is logged here like any refusal.
    if (!context.audit.logged) throw new Refused('BAD_REQUEST', textOf('BAD_REQUEST'), { status: response.status ?? 400 });
    const retryAfter = response.headers.get('retry-after');
    if (retryAfter !== undefined) void reply.header('retry-after', retryAfter);
    if (response.status === 405) void reply.header('allow', 'POST');
    return send(reply, response.status ?? 200, known.mediaType, response.body.kind === 'complete' ? response.body.string : '');
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    return refuse(options, request, reply, error, known);
  }
}

/** Where a reader that was cut off wants to go on. */
function lastEventOf({ headers }: FastifyRequest, keys: Keys): number | undefined {
  const id = headers['last-event-id'];
  return typeof id === 'string' && id !== '' ? revealPlace(keys, id) : undefined;
}

function presentedBy({ headers, raw }: FastifyRequest): Presented {
  const { socket } = raw;
  const header = (name: string) => (typeof headers[name] === 'string' ? headers[name] : undefined);
  return {
    authorization: headers.authorization,
    certificate: socket instanceof TLSSocket && socket.authorized ? socket.getPeerCertificate().raw : undefined,
    officerId: header('x-officer-id'),
    officerName: header('x-officer-name'),
  };
}

/** Nothing is read, and nobody identified, for an answer of which it is known that it could not be logged. */
function writable({ log }: EndpointOptions): void {
  try {
    log.check();
  } catch {
    throw new Refused('LOG_UNAVAILABLE', textOf('LOG_UNAVAILABLE'), { status: 503 });
  }
}

/** Refusals that a caller can bring about as fast as it can send; they say nothing of data, and are counted in the log. */
const FLOODS = new Set(['BUDGET_EXCEEDED', 'OVERLOADED']);

/** Answers a request that was refused before it was a query. It is logged first: no log, no answer but that. `known`: left out, only the token is asked. */
export async function refuse(
  options: Endpoint,
  request: FastifyRequest,
  reply: FastifyReply,
  reason: Refused,
  known?: Known,
): Promise<FastifyReply> {
  const unknown = known ? undefined : await unidentified(options, request);
  const { caller, purpose, mediaType } = known ??
    unknown?.known ?? { caller: ANONYMOUS, purpose: undefined, mediaType: 'application/json' as const };
  const refused = charged(options, request, caller, unknown?.refused ?? reason, known !== undefined);
  const { retryAfter } = refused.details;
  if (retryAfter !== undefined) void reply.header('retry-after', String(retryAfter));
  const error = (code: string, message: string, extra: Readonly<Record<string, unknown>>) => ({
    errors: [{ message, extensions: { code, ...extra } }],
  });
  try {
    const today = dayInShanghai(options.now());
    const entry = refusedEntry({ caller, purpose, code: refused.code, model: options.model, today, client: clientOf(request) });
    const { id, writer, seq, hash, at } = await (FLOODS.has(refused.code) ? options.floods : options.log).append(entry);
    const body = { ...error(refused.code, refused.message, refused.details), extensions: { log: { id, writer, seq, hash, at } } };
    return await send(reply, refused.status === 200 ? 400 : refused.status, mediaType, JSON.stringify(body));
  } catch (failure) {
    options.onError(failure);
    return send(reply, 503, mediaType, JSON.stringify(error('LOG_UNAVAILABLE', textOf('LOG_UNAVAILABLE'), {})));
  }
}

/** Who sent a request that is refused whoever sent it; whoever shows no valid token is told that, and nothing of the request (L47). */
async function unidentified({ callers }: Endpoint, request: FastifyRequest): Promise<{ known?: Known; refused?: Refused }> {
  try {
    const caller = await callers.identify(presentedBy(request));
    return { known: { caller, purpose: undefined, mediaType: 'application/json' } };
  } catch (error) {
    if (error instanceof Refused) return { refused: error };
    throw error;
  }
}

/** The address of the caller, as far as proxies that are trusted say it: an address and nothing else, whatever a header holds. */
function clientOf(request: FastifyRequest): string {
  return isIP(request.ip) === 0 ? (request.socket.remoteAddress ?? '') : request.ip;
}

/** The refusal, or in its place that of a budget that pays for refusals: those of nobody, and those of a caller that were not paid before. */
function charged({ budgets }: Endpoint, request: FastifyRequest, caller: Caller, refused: Refused, paid: boolean): Refused {
  if (refused.status >= 500) return refused;
  try {
    if (caller === ANONYMOUS) budgets.stranger(clientOf(request));
    else if (!paid) budgets.request(caller);
    return refused;
  } catch (error) {
    if (error instanceof Refused) return error;
    throw error;
  }
}

/** Nothing between the hub and its caller may keep an answer, and none has a tag that would say that two are equal. */
function send(reply: FastifyReply, status: number, mediaType: MediaType, text: string): FastifyReply {
  return reply.code(status).header('cache-control', 'no-store').type(`${mediaType}; charset=utf-8`).send(text);
}
