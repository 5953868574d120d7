/** A hub as its callers know it: the HTTP API over a database of its own, with the small world of `fixtures/credit-records.ts`. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decode } from '../../src/log/canonical.ts';
import type { LogEntry } from '../../src/log/entry.ts';
import { ensureLogPartitions } from '../../src/log/partitions.ts';
import { type LogOptions, openLog, type QueryLog } from '../../src/log/writer.ts';
import { needsOfPurpose } from '../../src/model/check-policies.ts';
import { findStream } from '../../src/model/load.ts';
import type { CapacityLimit, Limit, Limits, Model, PullStream, QueryLimit, StreamLimit } from '../../src/model/types.ts';
import { openCallers } from '../../src/resolvers/callers.ts';
import { type ServerOptions, startServer } from '../../src/resolvers/server.ts';
import { mintToken, type TokenRequest } from '../../src/resolvers/token.ts';
import { type Keys, newKeyRing, openKeys } from '../../src/store/keys.ts';
import { followRevocations } from '../../src/store/sessions.ts';
import { WRITER } from '../../src/store/roles.ts';
import { storeRecords } from '../../src/store/records.ts';
import { openPool, type Pool } from '../../src/store/sql.ts';
import { worldRecords } from '../fixtures/credit-records.ts';
import { freshDatabase } from './database.ts';
import { MODEL } from './store.ts';

export const ISSUER = 'urn:credit-hub:test';
export const AUDIENCE = 'credit-hub';
/** The case that is stated where a purpose needs one and the test names none. */
export const CASE_STATED = 'TEST-case';
export const TODAY = '2026-11-23';

/** Who asks, for what, and how. Left out: an officer of the health department of the province, for a credit evaluation. */
export interface Asking {
  department?: string;
  region?: string;
  role?: string;
  /** Null: none is stated. */
  purpose?: string | null;
  /** Left out: some case, and some basis, where the purpose needs one. */
  case?: string;
  basis?: string;
  /** The caller's own statutory code, as its token states it. */
  subject?: string;
  /** Purposes the token is restricted to. */
  purposes?: string[];
  /** The whole `Authorization` header; null: none. */
  authorization?: string | null;
  variables?: Record<string, unknown>;
  operationName?: string;
  headers?: Record<string, string>;
}

export interface AnswerError {
  message: string;
  path?: (string | number)[];
  extensions: { code: string } & Record<string, unknown>;
}
export interface Answer {
  status: number;
  text: string;
  // oxlint-disable-next-line typescript/no-explicit-any -- answers have the shape of their queries
  data: any;
  errors: AnswerError[];
  codes: string[];
  extensions: Record<string, unknown>;
}
export interface LogRow {
  writer: number;
  seq: number;
  at: string;
  hash: string;
  body: Buffer;
  entry: LogEntry;
}

export interface TestHub {
  url: string;
  routes: readonly string[];
  model: Model;
  /** The connections of an administrator, for what a test does to the database behind the hub's back. */
  pool: Pool;
  keys: Keys;
  log: QueryLog;
  /** What the server reported that was no refusal. */
  faults: unknown[];
  token(request?: Partial<TokenRequest>): Promise<string>;
  ask(query: string, asking?: Asking): Promise<Answer>;
  /** A request to /graphql as it is, for those that are no queries. */
  send(body: string | Buffer<ArrayBuffer> | undefined, asking?: Asking, method?: string): Promise<Answer>;
  /** The log of this hub, oldest first. */
  entries(): Promise<LogRow[]>;
  /** What `work` gives, and the entries that it added. */
  logged<T>(work: () => Promise<T>): Promise<{ result: T; added: LogRow[] }>;
  close(): Promise<void>;
}

export interface HubOptions {
  /** Left out: that of schema/. */
  model?: Model;
  /** A migrated database; left out: a fresh one that is dropped in the end. */
  databaseUrl?: string;
  /** Fill it with the world; true unless said otherwise. */
  seed?: boolean;
  logDeadlineMs?: number;
  /** Key ring; a new one when left out. */
  ring?: string;
  /** Limits of one request that differ from those of the model. */
  limits?: Partial<Record<QueryLimit, number>>;
  /** How the query log is opened, where it differs. */
  log?: Partial<LogOptions>;
  /** What runs at once; without it as much as comes. */
  capacity?: Partial<Record<CapacityLimit, number>>;
  /** What of subscriptions differs from the model. */
  streams?: Partial<Record<StreamLimit, number>>;
  /** What may be asked; without it without end. */
  budgets?: Partial<Limits['budgets']>;
  /** What the server takes for the time; left out: noon of the test's day. */
  clock?: () => Date;
  /** Whether tokens can be taken back. */
  revocable?: boolean;
  server?: Pick<ServerOptions, 'trustProxy' | 'documentMode' | 'webhooks'>;
  /** What the server reads and writes through, made of the pool; the log keeps to the pool itself. */
  serve?: (pool: Pool) => Pool;
}

/** Stores the world through one stream, as a page of it would be. */
export async function seedWorld(pool: Pool, keys: Keys, model: Model): Promise<void> {
  const stream = findStream(model, 'credit-china/penalties') as PullStream;
  await pool.transaction((sql) => storeRecords(sql, keys, model, stream, worldRecords(), { id: 0, today: TODAY }));
}

export async function openHub(options: HubOptions = {}): Promise<TestHub> {
  const model = options.model ?? MODEL;
  const data = await mkdtemp(join(tmpdir(), 'credit-hub-api-'));
  const database = options.databaseUrl === undefined ? await freshDatabase() : undefined;
  const keys = openKeys(options.ring ?? newKeyRing());
  const url = options.databaseUrl ?? database?.url ?? '';
  const pool = openPool(url, { max: 4, applicationName: 'hub test' });
  const own = openPool(url, { max: 10, applicationName: 'hub', statementTimeoutMs: 30_000, role: WRITER });
  await ensureLogPartitions(pool, new Date(), 2);
  if (options.seed !== false) await seedWorld(pool, keys, model);
  const log = await openLog({
    pool: own,
    node: 'test',
    suite: keys.suite.hash,
    allowUnsafe: true,
    deadlineMs: options.logDeadlineMs ?? 3000,
    ...options.log,
  });
  const faults: unknown[] = [];
  const revoked = options.revocable ? await followRevocations(own) : undefined;
  const server = await startServer({
    model,
    pool: options.serve?.(own) ?? own,
    keys,
    log,
    limits: limitsOf(model.limits, options),
    ...options.server,
    callers: await openCallers(model, { issuer: ISSUER, audience: AUDIENCE, jwksUrl: undefined, data, ...(revoked ? { revoked } : {}) }),
    host: '127.0.0.1',
    port: 0,
    now: options.clock ?? (() => new Date(`${TODAY}T04:00:00Z`)),
    onError: (error) => void faults.push(error),
  });

  const token = (request: Partial<TokenRequest> = {}): Promise<string> =>
    mintToken(data, {
      id: 'wj-0001',
      name: '陈静',
      department: 'health',
      role: 'officer',
      region: '430000',
      purposes: [],
      issuer: ISSUER,
      audience: AUDIENCE,
      expiresIn: 3600,
      ...request,
    });

  async function headersOf(asking: Asking): Promise<Record<string, string>> {
    const { department = 'health', region = '430000', role = 'officer', purposes = [], purpose = 'credit-evaluation' } = asking;
    const own = asking.subject === undefined ? {} : { subject: asking.subject };
    const authorization =
      asking.authorization === undefined ? `Bearer ${await token({ department, region, role, purposes, ...own })}` : asking.authorization;
    const needs = purpose === null ? [] : needsOfPurpose(model, purpose);
    const stated = (need: 'case' | 'basis', given: string | undefined) => given ?? (needs.includes(need) ? `TEST-${need}` : undefined);
    const reason = { case: stated('case', asking.case), basis: stated('basis', asking.basis) };
    return {
      'content-type': 'application/json',
      accept: 'application/graphql-response+json',
      ...(authorization === null ? {} : { authorization }),
      ...(purpose === null ? {} : { 'x-purpose': purpose }),
      ...(reason.case === undefined ? {} : { 'x-purpose-case': encodeURIComponent(reason.case) }),
      ...(reason.basis === undefined ? {} : { 'x-purpose-basis': encodeURIComponent(reason.basis) }),
      ...asking.headers,
    };
  }

  const send: TestHub['send'] = async (body, asking = {}, method = 'POST') => {
    const response = await fetch(`${server.url}/graphql`, {
      method,
      headers: await headersOf(asking),
      ...(body === undefined ? {} : { body }),
    });
    return toAnswer(response.status, await response.text());
  };

  const entries: TestHub['entries'] = async () => {
    const { rows } = await pool.query<{ writer: number; seq: number; at: string; body: Buffer; hash: Buffer }>(
      'select writer, seq, at, body, hash from query_log where writer = $1 order by seq',
      [log.writer],
    );
    return rows.map((row) => ({ ...row, hash: row.hash.toString('hex'), entry: decode(row.body).entry }));
  };

  return {
    url: server.url,
    routes: server.routes,
    model,
    pool,
    keys,
    log,
    faults,
    token,
    send,
    ask: (query, asking = {}) => send(JSON.stringify({ query, variables: asking.variables, operationName: asking.operationName }), asking),
    entries,
    async logged(work) {
      const before = (await entries()).length;
      const result = await work();
      return { result, added: (await entries()).slice(before) };
    },
    async close() {
      await server.stop();
      revoked?.close();
      await log.close().catch(() => undefined);
      await own.close();
      await pool.close();
      await database?.drop();
      await rm(data, { recursive: true, force: true });
    },
  };
}

const ENDLESS = { burst: 1e12, perMinute: 1e12 };

function limitsOf(limits: Limits, { limits: query = {}, capacity = {}, streams = {}, budgets = {} }: HubOptions): Limits {
  const changed = <N extends string>(of: Readonly<Record<N, Limit>>, changes: Partial<Record<N, number>>, otherwise?: number) =>
    Object.fromEntries(
      Object.entries<Limit>(of).map(([name, limit]) => [name, { ...limit, max: changes[name as N] ?? otherwise ?? limit.max }]),
    ) as Record<N, Limit>;
  return {
    query: changed<QueryLimit>(limits.query, query),
    streams: changed<StreamLimit>(limits.streams, streams),
    capacity: changed<CapacityLimit>(limits.capacity, capacity, 60_000),
    budgets: { request: limits.budgets.request, department: ENDLESS, person: ENDLESS, stranger: ENDLESS, ...budgets },
  };
}

function toAnswer(status: number, text: string): Answer {
  const body = text.startsWith('{') ? (JSON.parse(text) as Partial<Answer>) : {};
  const errors = body.errors ?? [];
  return { status, text, data: body.data, errors, codes: errors.map((e) => e.extensions.code), extensions: body.extensions ?? {} };
}
