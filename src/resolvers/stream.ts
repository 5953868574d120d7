import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ApolloServer } from '@apollo/server';
import type { FastifyReply } from 'fastify';
import { getOperationAST, type GraphQLFormattedError, OperationTypeNode, parse } from 'graphql';
import type { Caller } from '../access/caller.ts';
import { Refused } from '../errors.ts';
import { dayInShanghai } from '../mapping/dates.ts';
import type { FeedFollower } from '../store/feed.ts';
import type { Context } from './context.ts';
import type { Endpoint } from './endpoint.ts';
import { stringify } from './serialise.ts';
import { MAX_CHANGES, type Turn, turnOf } from './turn.ts';
import { refusedEntry } from './unanswered.ts';

/**
 * GraphQL over SSE, distinct connections: one request, one stream. Written here and not taken from a library, because every message is a request of
 * its own: its sender is identified, the grant decided, the entry in the log made durable, and the budget charged before it leaves; it has an id to
 * resume from; and a reader that does not keep up is cut off. Of graphql-sse's handler none of that would be left.
 */
export interface Streamed {
  query: string;
  operationName: string | undefined;
  variables: Record<string, unknown>;
  extensions: Record<string, unknown>;
  /** Place to resume from, as `Last-Event-ID` names it. */
  from: number | undefined;
}

export interface Streams {
  /** Serves one request until its stream ends; the reply is taken over. Throws `Refused` before anything is sent. `identify` asks anew who it is. */
  serve(request: Streamed, context: Context, identify: () => Promise<Caller>, reply: FastifyReply): Promise<void>;
  /** Ends all streams without a word of completion, so that their readers come back with their cursors. */
  close(): Promise<void>;
}

/** How often a stream that is told nothing is asked whether it may go on: a token that was taken back ends it within five seconds. */
const CHECK_MS = 2000;
/** Looks that may fail one after another, for a database that is away, before a stream ends. */
const PATIENCE = 5;
const AGAIN_MS = 1000;

type Result = { errors?: readonly GraphQLFormattedError[]; data?: unknown; extensions?: unknown };

export function openStreams(endpoint: Endpoint, apollo: ApolloServer<Context>, feed: FeedFollower): Streams {
  const { limits, budgets, gate, log, model } = endpoint;
  const open = new Map<string, number>();
  const ending = new Set<{ stop: () => void; done: Promise<void> }>();
  let isClosed = false;

  /** Counts a stream in; throws `Refused` STREAMS_EXCEEDED (429). */
  function enter({ department, id }: Caller): () => void {
    const of = [
      ['', limits.streams.open],
      [`department ${department}`, limits.streams.department],
      [`person ${department} ${id}`, limits.streams.person],
    ] as const;
    for (const [key, { max, zh }] of of)
      if ((open.get(key) ?? 0) >= max)
        throw new Refused('STREAMS_EXCEEDED', `订阅过多:${zh}上限为 ${max}`, { status: 429, details: { allowed: max, retryAfter: 30 } });
    const count = (by: number) => {
      for (const [key] of of) open.set(key, (open.get(key) ?? 0) + by);
    };
    count(1);
    return () => count(-1);
  }

  async function run(request: Streamed, base: Context, identify: () => Promise<Caller>, turn: Turn | undefined): Promise<Result> {
    const caller = await identify();
    const context: Context = {
      ...base,
      startedAt: performance.now(),
      caller,
      today: dayInShanghai(endpoint.now()),
      audit: { logged: false },
      granted: undefined,
      turn,
    };
    const leave = turn?.step === 'check' ? () => undefined : await gate.enter(caller);
    try {
      const { query, operationName, variables, extensions } = request;
      const response = await apollo.executeOperation(
        { query, ...(operationName === undefined ? {} : { operationName }), variables, extensions },
        { contextValue: context },
      );
      return response.body.kind === 'single' ? response.body.singleResult : {};
    } finally {
      leave();
    }
  }

  async function follow(request: Streamed, context: Context, identify: () => Promise<Caller>, sink: Sink): Promise<void> {
    const charge = (units: number) => budgets.rows(context.caller, units);
    const bell = openBell();
    const unfollow = feed.follow(bell.ring);
    try {
      const upto = await feed.look();
      const opening = turnOf({ step: 'opening', from: request.from, upto, granted: undefined, charge });
      const first = await run(request, context, identify, opening);
      if (!hasData(first)) return sink.end(first);
      await sink.next(first, opening.cursor);
      let [place, failed, most] = [opening.reached, 0, MAX_CHANGES];
      let checkedAt = performance.now();
      while (sink.isOpen) {
        if (place >= feed.head) await bell.rung(CHECK_MS, sink.gone);
        if (!sink.isOpen) return;
        const isDue = performance.now() - checkedAt >= CHECK_MS;
        if (!isDue && place >= feed.head) continue;
        const step = place < feed.head ? 'changes' : 'check';
        const turn = turnOf({ step, from: place, upto: feed.head, granted: opening.grant, charge, most });
        const result = await run(request, context, identify, turn).catch((error: unknown) => {
          if (!(error instanceof Refused) || !AWAY.has(error.code) || failed + 1 >= PATIENCE) throw error;
          return { errors: [{ message: error.message, extensions: { code: error.code } }] };
        });
        checkedAt = performance.now();
        if (!hasData(result)) {
          const code = String(result.errors?.[0]?.extensions?.['code']);
          // Fewer at once: else it would be too long each time its reader comes back.
          if (code === 'ANSWER_TOO_LARGE' && most > 1) {
            most = Math.ceil(most / 4);
            continue;
          }
          if (!AWAY.has(code) || (failed += 1) >= PATIENCE) return sink.end(result);
          await sleep(AGAIN_MS);
          continue;
        }
        [failed, most] = [0, MAX_CHANGES];
        if (turn.told > 0) await sink.next(result, turn.cursor);
        place = turn.reached;
      }
    } finally {
      unfollow();
    }
  }

  async function serve(request: Streamed, context: Context, identify: () => Promise<Caller>, reply: FastifyReply): Promise<void> {
    if (isClosed) throw new Refused('OVERLOADED', '系统正在停止,请稍后重试', { status: 503, details: { retryAfter: 5 } });
    const leave = enter(context.caller);
    const sink = openSink(reply, limits.streams.ping.max, limits.streams.stall.max);
    const work = async (): Promise<void> => {
      try {
        if (isSubscription(request)) await follow(request, context, identify, sink);
        else sink.end(await run(request, context, identify, undefined));
      } catch (error) {
        await sink.end(await refusal(error, context));
      } finally {
        if (sink.isSlow) await note('READER_TOO_SLOW', context);
        sink.close();
        leave();
      }
    };
    const entry = { stop: sink.close, done: work() };
    ending.add(entry);
    await entry.done.finally(() => ending.delete(entry));
  }

  const note = async (code: string, { caller, purpose, client, today }: Context): Promise<void> => {
    try {
      await log.append({ ...refusedEntry({ caller, purpose, code, model, today, client }), kind: 'subscription' });
    } catch (error) {
      endpoint.onError(error);
    }
  };

  /** Why a stream ends, as its reader is told; in the log like any refusal. */
  async function refusal(error: unknown, context: Context): Promise<Result> {
    if (!(error instanceof Refused)) {
      endpoint.onError(error);
      return { errors: [{ message: '系统内部错误,已记录', extensions: { code: 'INTERNAL_SERVER_ERROR' } }] };
    }
    await note(error.code, context);
    return { errors: [{ message: error.message, extensions: { code: error.code, ...error.details } }] };
  }

  return {
    serve,
    async close() {
      isClosed = true;
      for (const { stop } of ending) stop();
      await Promise.all([...ending].map(({ done }) => done));
    },
  };
}

/** Says nothing of data, and is over soon. */
const AWAY: ReadonlySet<string> = new Set(['UNAVAILABLE', 'DEADLINE_EXCEEDED', 'OVERLOADED', 'IDENTITY_UNAVAILABLE']);
const hasData = (result: Result) => result.data !== undefined && result.data !== null;

function isSubscription({ query, operationName }: Streamed): boolean {
  try {
    return getOperationAST(parse(query, { noLocation: true }), operationName)?.operation === OperationTypeNode.SUBSCRIPTION;
  } catch {
    return false;
  }
}

interface Sink {
  readonly isOpen: boolean;
  /** It was cut off because its reader did not take what was sent. */
  readonly isSlow: boolean;
  /** Aborted when nobody reads any more. */
  readonly gone: AbortSignal;
  /** Sends one message; resolves when it is taken, so that no more than one ever waits. */
  next(result: Result, cursor: string | undefined): Promise<void>;
  /** Sends the last one, and that it was the last. */
  end(result: Result): Promise<void>;
  close(): void;
}

function openSink(reply: FastifyReply, pingMs: number, stallMs: number): Sink {
  reply.hijack();
  const { raw } = reply;
  const gone = new AbortController();
  let isSlow = false;
  raw.once('close', () => gone.abort());
  raw.on('error', () => gone.abort());
  raw.writeHead(200, {
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-store',
    'x-accel-buffering': 'no',
    // A stream is the last thing on its connection: where it ends, so does that.
    connection: 'close',
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
  });
  raw.flushHeaders();
  // By the clock alone: what is not told must not be told by when the stream breathes.
  const ping = setInterval(() => !raw.writableNeedDrain && !raw.writableEnded && raw.write(':\n\n'), pingMs).unref();
  const send = async (text: string): Promise<void> => {
    if (gone.signal.aborted || raw.writableEnded || raw.write(text)) return;
    isSlow = !(await drained(raw, stallMs, gone.signal));
    if (isSlow) raw.destroy();
  };
  const message = (result: Result, cursor: string | undefined): string =>
    `${cursor === undefined ? '' : `id: ${cursor}\n`}event: next\ndata: ${stringify(result).trimEnd()}\n\n`;
  return {
    get isOpen() {
      return !gone.signal.aborted && !raw.writableEnded;
    },
    get isSlow() {
      return isSlow;
    },
    gone: gone.signal,
    next: (result, cursor) => send(message(result, cursor)),
    end: (result) => send(`${message(result, undefined)}event: complete\ndata:\n\n`),
    close() {
      clearInterval(ping);
      if (!raw.writableEnded) raw.end();
      gone.abort();
    },
  };
}

/** Whether what was written is taken in time; a reader that is gone is not a slow one. */
async function drained(raw: ServerResponse, stallMs: number, gone: AbortSignal): Promise<boolean> {
  const late = AbortSignal.timeout(stallMs);
  try {
    await once(raw, 'drain', { signal: AbortSignal.any([late, gone]) });
    return true;
  } catch {
    return gone.aborted;
  }
}

/** Rung by the feed; one ring is remembered while nobody waits. */
function openBell(): { ring: () => void; rung: (ms: number, gone: AbortSignal) => Promise<void> } {
  let isRung = false;
  let wake: (() => void) | undefined;
  return {
    ring() {
      isRung = true;
      wake?.();
    },
    async rung(ms, gone) {
      if (!isRung) {
        const stop = new AbortController();
        const rings = new Promise<void>((resolve) => (wake = resolve));
        const signal = AbortSignal.any([gone, stop.signal]);
        await Promise.race([rings, sleep(ms, undefined, { signal }).catch(() => undefined)]);
        stop.abort();
        wake = undefined;
      }
      isRung = false;
    },
  };
}
