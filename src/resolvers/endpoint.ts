import { ApolloServer, HeaderMap } from '@apollo/server';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Caller, Purpose } from '../access/caller.ts';
import { Refused } from '../errors.ts';
import type { QueryLog } from '../log/writer.ts';
import { dayInShanghai } from '../mapping/dates.ts';
import type { Limits, Model } from '../model/types.ts';
import type { Keys } from '../store/keys.ts';
import type { Pool } from '../store/sql.ts';
import { ANONYMOUS, type Callers } from './callers.ts';
import type { Context } from './context.ts';
import { statedPurpose } from './purpose.ts';
import { textOf } from './refusal.ts';
import { type MediaType, mediaTypeOf, readRequest } from './request.ts';
import { checkShape } from './shape.ts';
import { refusedEntry } from './unanswered.ts';

export interface EndpointOptions {
  model: Model;
  pool: Pool;
  keys: Keys;
  log: QueryLog;
  callers: Callers;
  /** Unless given those of the model. */
  limits?: Limits;
  now: () => Date;
  /** Told of every error that is not a refusal; gets no personal data. */
  onError: (error: unknown) => void;
}

/** What is known of a request so far, for the log and for the form of the answer. */
interface Known {
  caller: Caller;
  purpose: Purpose | undefined;
  mediaType: MediaType;
}

/** `POST /graphql` and `GET /graphql`: every request ends here or in {@link refuse}, with one entry in the log. */
export async function answer(
  options: EndpointOptions,
  apollo: ApolloServer<Context>,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const startedAt = performance.now();
  const known: Known = { caller: ANONYMOUS, purpose: undefined, mediaType: 'application/json' };
  try {
    writable(options);
    known.caller = await options.callers.identify(request.headers.authorization);
    known.mediaType = mediaTypeOf(request.headers.accept);
    known.purpose = statedPurpose(request.headers, {});
    const { limits = options.model.limits } = options;
    const today = dayInShanghai(options.now());
    const { method, query, operationName, variables, extensions } = readRequest(
      { method: request.method, url: request.url, headers: request.headers, body: request.body },
      limits,
      today,
    );
    known.purpose = statedPurpose(request.headers, extensions);
    if (!query) throw new Refused('BAD_REQUEST', textOf('BAD_REQUEST'), { status: 400 });
    checkShape(query, limits);
    const context: Context = {
      startedAt,
      ...known,
      method,
      strict: request.headers['x-access'] === 'strict',
      client: request.ip,
      model: options.model,
      services: { sql: options.pool, keys: options.keys },
      today,
      audit: { logged: false },
      granted: undefined,
    };
    // Apollo gets one form only, whichever of the accepted ones came in.
    const response = await apollo.executeHTTPGraphQLRequest({
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
    });
    // What never reached the pipeline is logged here like any refusal.
    if (!context.audit.logged) throw new Refused('BAD_REQUEST', textOf('BAD_REQUEST'), { status: response.status ?? 400 });
    if (response.status === 405) void reply.header('allow', 'POST');
    return send(reply, response.status ?? 200, known.mediaType, response.body.kind === 'complete' ? response.body.string : '');
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    return refuse(options, request, reply, error, known);
  }
}

/** Nothing is read, and nobody identified, for an answer of which it is known that it could not be logged. */
function writable({ log }: EndpointOptions): void {
  try {
    log.check();
  } catch {
    throw new Refused('LOG_UNAVAILABLE', textOf('LOG_UNAVAILABLE'), { status: 503 });
  }
}

/** Answers a request that was refused before it was a query. It is logged first: no log, no answer but that. `known`: left out, only the token is asked. */
export async function refuse(
  options: EndpointOptions,
  request: FastifyRequest,
  reply: FastifyReply,
  refused: Refused,
  known?: Known,
): Promise<FastifyReply> {
  const { caller, purpose, mediaType } = known ?? {
    caller: await options.callers.identify(request.headers.authorization).catch(() => ANONYMOUS),
    purpose: undefined,
    mediaType: 'application/json' as const,
  };
  const error = (code: string, message: string, extra: Readonly<Record<string, unknown>>) => ({
    errors: [{ message, extensions: { code, ...extra } }],
  });
  try {
    const today = dayInShanghai(options.now());
    const entry = refusedEntry({ caller, purpose, code: refused.code, model: options.model, today, client: request.ip });
    const { id, writer, seq, hash, at } = await options.log.append(entry);
    const body = { ...error(refused.code, refused.message, refused.details), extensions: { log: { id, writer, seq, hash, at } } };
    return await send(reply, refused.status === 200 ? 400 : refused.status, mediaType, JSON.stringify(body));
  } catch (failure) {
    options.onError(failure);
    return send(reply, 503, mediaType, JSON.stringify(error('LOG_UNAVAILABLE', textOf('LOG_UNAVAILABLE'), {})));
  }
}

/** Nothing between the hub and its caller may keep an answer, and none has a tag that would say that two are equal. */
function send(reply: FastifyReply, status: number, mediaType: MediaType, text: string): FastifyReply {
  return reply.code(status).header('cache-control', 'no-store').type(`${mediaType}; charset=utf-8`).send(text);
}
