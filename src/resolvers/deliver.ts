import type { ApolloServer } from '@apollo/server';
import type { Caller } from '../access/caller.ts';
import { Refused } from '../errors.ts';
import { dayInShanghai } from '../mapping/dates.ts';
import { checkPlace, type FeedFollower } from '../store/feed.ts';
import type { Keys } from '../store/keys.ts';
import { trustedDocuments } from '../store/trusted.ts';
import { type Due, hasWebhooks, noteDelivery, takeDue } from '../store/webhooks.ts';
import { counted } from '../store/under-way.ts';
import type { Context } from './context.ts';
import type { Endpoint } from './endpoint.ts';
import { FAILURES } from './refusal.ts';
import { stringify } from './serialise.ts';
import { MAX_CHANGES, turnOf } from './turn.ts';

/** Delivers over the wire; the connectors' matter. Never rejects. */
export interface Sender {
  allows(url: string): boolean;
  post(url: string, headers: Readonly<Record<string, string>>, body: string): Promise<{ status: number } | { failed: string }>;
}

export interface Deliveries {
  close(): Promise<void>;
}

const EVERY_MS = 1000;
/** Longer than an attempt can take. */
const LEASE_MS = 60_000;
const AT_ONCE = 8;
const LONGEST_WAIT_MS = 3_600_000;
const DAY_MS = 86_400_000;
/** An error of ours: the attempt is made again. */
const AGAIN: ReadonlySet<string> = new Set([...FAILURES, 'OVERLOADED']);

/**
 * Delivers webhooks: for each the same document that a subscription runs, with the department as the caller, decided and logged (as `push`) before
 * every attempt. In order and one at a time for each webhook, across all processes; the number of a delivery is the same for all its attempts.
 * `retryMs`: wait after the first failure, which doubles from there to an hour.
 */
export function openDeliveries(
  endpoint: Endpoint,
  apollo: ApolloServer<Context>,
  feed: FeedFollower,
  sender: Sender,
  retryMs: number,
): Deliveries {
  const { pool, keys, limits, gate } = endpoint;
  const closing = new AbortController();
  let running: Promise<void> | undefined;
  let unfollow: (() => void) | undefined;

  async function round(): Promise<void> {
    if (!(await hasWebhooks(pool))) {
      unfollow?.();
      unfollow = undefined;
      return;
    }
    unfollow ??= feed.follow(wake);
    for (let more = true; more && !closing.signal.aborted;) {
      const due = await takeDue(pool, keys, await feed.look(), LEASE_MS, AT_ONCE);
      await Promise.all(due.map((one) => deliver(one).catch((error: unknown) => failed(one, error))));
      more = due.length > 0;
    }
  }
  function wake(): void {
    if (closing.signal.aborted) return;
    running ??= round()
      .catch(endpoint.onError)
      .finally(() => (running = undefined));
  }

  const waitOf = (attempts: number) => Math.min(LONGEST_WAIT_MS, retryMs * 2 ** Math.min(attempts, 30)) * (0.75 + Math.random() / 4);
  async function again(due: Due, note: string): Promise<void> {
    const since = due.failingSince === null ? undefined : Date.parse(due.failingSince);
    const isDead = since !== undefined && Date.now() - since > limits.streams.retry.max * DAY_MS;
    await noteDelivery(pool, due, isDead ? { to: 'dead', note } : { to: 'failed', note, waitMs: waitOf(due.attempts) });
  }
  async function failed(due: Due, error: unknown): Promise<void> {
    if (!(error instanceof Refused)) endpoint.onError(error);
    await again(due, error instanceof Refused ? error.code : 'INTERNAL_SERVER_ERROR').catch(endpoint.onError);
  }

  async function deliver(due: Due): Promise<void> {
    try {
      await checkPlace(pool, due.place, Number.POSITIVE_INFINITY);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      // What it missed is no longer there: to go on would hide that.
      return void (await noteDelivery(pool, due, { to: 'ended', note: error.code }));
    }
    const documents = await trustedDocuments(pool);
    const document = documents.find((d) => d.hash === due.document && d.department === due.department && d.purpose === due.purpose);
    if (document === undefined) return void (await noteDelivery(pool, due, { to: 'ended', note: 'DOCUMENT_UNKNOWN' }));
    for (let most = MAX_CHANGES; ; most = Math.ceil(most / 4)) {
      const turn = turnOf({
        step: 'changes',
        from: due.place,
        upto: due.pending ?? feed.head,
        granted: undefined,
        charge: () => undefined,
        most,
      });
      const context = contextOf(due, turn);
      const leave = await gate.enter(context.caller);
      const response = await apollo
        .executeOperation(
          { query: document.text, ...(document.operation === '' ? {} : { operationName: document.operation }) },
          { contextValue: context },
        )
        .finally(leave);
      const result = response.body.kind === 'single' ? response.body.singleResult : {};
      if (result.data === undefined || result.data === null) {
        const code = String(result.errors?.[0]?.extensions?.['code']);
        if (code === 'ANSWER_TOO_LARGE' && most > 1) continue;
        return AGAIN.has(code) ? again(due, code) : void (await noteDelivery(pool, due, { to: 'ended', note: code }));
      }
      if (turn.told === 0) return void (await noteDelivery(pool, due, { to: 'passed', place: turn.reached }));
      // What is on its way is known before it leaves: the attempt after a crash is the same delivery.
      if (!(await noteDelivery(pool, due, { to: 'pending', place: turn.reached }))) return;
      const body = stringify(result).trimEnd();
      const posted = await sender.post(due.url, signedHeaders(keys, due, body, endpoint.now()), body);
      if ('status' in posted && posted.status >= 200 && posted.status < 300)
        return void (await noteDelivery(pool, due, { to: 'taken', place: turn.reached }));
      return again({ ...due, attempts: due.attempts + 1 }, 'status' in posted ? String(posted.status) : posted.failed);
    }
  }

  function contextOf(due: Due, turn: Context['turn']): Context {
    const caller: Caller = {
      id: due.officer,
      name: due.officerName,
      department: due.department,
      role: due.role,
      region: due.region,
      actingFor: `webhook ${due.id}`,
      purposes: undefined,
    };
    return {
      startedAt: performance.now(),
      caller,
      purpose: { code: due.purpose, basis: due.basis, case: due.case },
      strict: false,
      method: 'POST',
      mediaType: 'application/json',
      client: '',
      model: endpoint.model,
      services: { sql: counted(endpoint.poolOf(due.department)), keys },
      today: dayInShanghai(endpoint.now()),
      audit: { logged: false, kind: 'push' },
      granted: undefined,
      turn,
    };
  }

  const timer = setInterval(wake, EVERY_MS).unref();
  return {
    async close() {
      closing.abort();
      clearInterval(timer);
      unfollow?.();
      await running;
    },
  };
}

/**
 * The form of Standard Webhooks: the signature is HMAC over `id.timestamp.body` under the webhook's secret, SHA-256 (`v1`) or SM3 (`v1sm3`) by the
 * hub's suite. The id is the same for every attempt; receivers refuse a timestamp that is more than five minutes off.
 */
export function signedHeaders(
  keys: Keys,
  { id, number, secret, keyVersion }: Pick<Due, 'id' | 'number' | 'secret' | 'keyVersion'>,
  body: string,
  now: Date,
): Record<string, string> {
  const webhookId = `${id}.${number + 1}`;
  const timestamp = String(Math.floor(now.getTime() / 1000));
  const mac = keys.suite.mac(Buffer.from(secret, 'base64'))(Buffer.from(`${webhookId}.${timestamp}.${body}`));
  return {
    'content-type': 'application/json; charset=utf-8',
    'user-agent': 'credit-hub',
    'webhook-id': webhookId,
    'webhook-timestamp': timestamp,
    'webhook-key': String(keyVersion),
    'webhook-signature': `${keys.suite.hash === 'sm3' ? 'v1sm3' : 'v1'},${mac.toString('base64')}`,
  };
}
