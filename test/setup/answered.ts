/** P1 under kills: clients that ask without a pause, and a hand that kills the API and PostgreSQL in turn. What was answered MUST be in the log. */
import { mkdtemp, rm } from 'node:fs/promises';
import { Agent, request } from 'node:http';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { decode } from '../../src/log/canonical.ts';
import { ensureLogPartitions } from '../../src/log/partitions.ts';
import { type Verification, verifyLog } from '../../src/log/verify.ts';
import { mintToken } from '../../src/resolvers/token.ts';
import { randomOf } from '../../src/sandbox/random.ts';
import { type EmbeddedPostgres, startEmbedded } from '../../src/store/embedded.ts';
import { newKeyRing, openKeys } from '../../src/store/keys.ts';
import { migrate } from '../../src/store/migrate.ts';
import { openPool } from '../../src/store/sql.ts';
import { HOSPITAL } from '../fixtures/credit-records.ts';
import { AUDIENCE, ISSUER, seedWorld } from './hub.ts';
import { killPostgres, type Serving, startServing } from './serve-child.ts';
import { MODEL } from './store.ts';

export interface AnsweredOptions {
  seed: number;
  kills: number;
  clients: number;
  /** What is killed; in turn where both. */
  victims: readonly ('api' | 'postgres')[];
  build?: readonly string[];
}

export interface AnsweredResult {
  asked: number;
  /** Case numbers of the complete answers with data, and those of them that no row of the log shows. */
  answered: number;
  unlogged: string[];
  /** Rows of requests whose answer never arrived: what became of them is unknown to the caller, and the log says so much more. */
  unanswered: number;
  /** Case numbers that more than one row shows. */
  twice: string[];
  /** Writers whose numbers are not 1, 2, 3 … */
  gaps: number[];
  writers: number;
  kills: { api: number; postgres: number };
  verification: Verification;
  /** Answers that were neither data nor a refusal by the book. */
  strange: string[];
}

const QUERY = JSON.stringify({ query: `{ subject(code: "${HOSPITAL.identifiers[0].code}") { name } }` });
const AFTER_MS = [400, 1300] as const;
const OUTAGE = /"code":"(?:LOG_)?UNAVAILABLE"/;

/** Two APIs over a PostgreSQL of their own, and clients that ask them without a pause. */
interface Busy {
  databaseUrl: string;
  server: EmbeddedPostgres;
  dataDir: string;
  apis: Serving[];
  clients: Clients;
}

export interface BusyOptions {
  clients: number;
  build?: readonly string[];
  /** Folder for the data of PostgreSQL; one of its own when left out. */
  dataDir?: string;
  /** Over a PostgreSQL that does not wait for the disk. */
  unsafe?: boolean;
}

/** Runs `work` while clients ask, and takes everything away again afterwards. */
export async function whileAsked<T>(options: BusyOptions, work: (busy: Busy) => Promise<T>): Promise<T> {
  const dataDir = options.dataDir ?? (await mkdtemp(join(tmpdir(), 'credit-hub-answered-')));
  const data = await mkdtemp(join(tmpdir(), 'credit-hub-answered-key-'));
  const steps: (() => unknown)[] = [() => rm(dataDir, { recursive: true, force: true }), () => rm(data, { recursive: true, force: true })];
  try {
    const busy = { dataDir, server: await startEmbedded({ dataDir, ...(options.unsafe ? { test: true } : {}) }) };
    steps.push(() => busy.server.stop('immediate'));
    const { server } = busy;
    const databaseUrl = server.url('hub');
    await migrate(databaseUrl);
    const ring = newKeyRing();
    await withPool(databaseUrl, async (pool) => {
      await ensureLogPartitions(pool, new Date(), 1);
      await seedWorld(pool, openKeys(ring), MODEL);
    });
    const token = await mintToken(data, {
      id: 'wj-0001',
      name: '陈静',
      department: 'health',
      role: 'officer',
      region: '430000',
      purposes: [],
      issuer: ISSUER,
      audience: AUDIENCE,
      expiresIn: 7200,
    });
    const shared = {
      databaseUrl,
      ring,
      data,
      issuer: ISSUER,
      audience: AUDIENCE,
      build: options.build ?? [],
      ...(options.unsafe ? { unsafe: true } : {}),
    };
    const apis: Serving[] = [];
    for (const port of await freePorts(2)) apis.push(startServing({ ...shared, port }));
    steps.push(() => Promise.all(apis.map((api) => api.end())));
    await Promise.all(apis.map((api) => api.ready()));

    const clients = startClients(apis, token, options.clients);
    steps.push(() => clients.stop());
    return await work(Object.assign(busy, { databaseUrl, apis, clients }));
  } finally {
    for (const step of steps.toReversed()) await step();
  }
}

export function answersUnderKills(options: AnsweredOptions): Promise<AnsweredResult> {
  return whileAsked(options, async (busy) => {
    const { apis, clients, databaseUrl } = busy;
    const random = randomOf(options.seed, 'answered');
    const kills = { api: 0, postgres: 0 };
    for (let n = 0; n < options.kills; n += 1) {
      const before = clients.answered.size;
      await sleep(random.int(...AFTER_MS));
      const victim = options.victims[n % options.victims.length];
      if (victim === 'api') await random.pick(apis).kill();
      else busy.server = await killPostgres(busy.server, busy.dataDir);
      kills[victim ?? 'api'] += 1;
      // A kill disturbs only what is at work.
      if (n + 1 < options.kills) await clients.moreThan(before);
    }
    await sleep(500);
    await clients.stop();
    await Promise.all(apis.map((api) => api.end()));
    return withPool(databaseUrl, async (pool) => ({
      asked: clients.asked(),
      answered: clients.answered.size,
      kills,
      strange: clients.strange,
      ...(await compare(pool, clients.answered)),
    }));
  });
}

type Pool = ReturnType<typeof openPool>;

export async function withPool<T>(url: string, work: (pool: Pool) => Promise<T>): Promise<T> {
  const pool = openPool(url, { max: 2 });
  try {
    return await work(pool);
  } finally {
    await pool.close();
  }
}

export async function compare(
  pool: Pool,
  answered: ReadonlySet<string>,
): Promise<Omit<AnsweredResult, 'asked' | 'answered' | 'kills' | 'strange'>> {
  const { rows } = await pool.query<{ body: Buffer }>('select body from query_log');
  const seen = new Map<string, number>();
  for (const { body } of rows) {
    const { entry } = decode(body);
    // Of a refusal nothing was answered.
    if (entry.outcome === 'answered') seen.set(entry.purpose.case ?? '', (seen.get(entry.purpose.case ?? '') ?? 0) + 1);
  }
  const gaps = await pool.query<{ writer: number }>(
    'select writer from query_log group by writer having min(seq) <> 1 or max(seq) <> count(*) or count(distinct seq) <> count(*) order by writer',
  );
  const verification = await verifyLog(pool);
  return {
    unlogged: [...answered].filter((one) => !seen.has(one)),
    unanswered: [...seen.keys()].filter((one) => !answered.has(one)).length,
    twice: [...seen].filter(([, times]) => times > 1).map(([one]) => one),
    gaps: gaps.rows.map((row) => row.writer),
    writers: verification.writers,
    verification,
  };
}

interface Clients {
  readonly answered: ReadonlySet<string>;
  readonly strange: string[];
  asked(): number;
  /** Resolves when more than so many were answered. */
  moreThan(answers: number): Promise<void>;
  stop(): Promise<void>;
}

function startClients(apis: readonly Serving[], token: string, count: number): Clients {
  const answered = new Set<string>();
  const strange: string[] = [];
  let asked = 0;
  const over = new AbortController();
  const agent = new Agent({ keepAlive: true, maxSockets: count });

  async function client(own: number): Promise<void> {
    for (let n = 0; !over.signal.aborted; n += 1) {
      const name = `案-${own}-${n}`;
      asked += 1;
      const { url } = apis[(own + n) % apis.length] as Serving;
      const answer = await ask(`${url}/graphql`, agent, token, name);
      if (answer?.status === 200 && answer.text.includes(HOSPITAL.name)) answered.add(name);
      else {
        if (answer !== undefined && !(answer.status === 503 && OUTAGE.test(answer.text))) strange.push(`${answer.status} ${answer.text}`);
        await sleep(20);
      }
    }
  }
  const all = Promise.all(Array.from({ length: count }, (_, own) => client(own)));
  return {
    answered,
    strange,
    asked: () => asked,
    async moreThan(answers) {
      for (let tries = 0; answered.size <= answers; tries += 1) {
        if (tries > 1200) throw new Error('nobody is answered any more');
        await sleep(25);
      }
    },
    async stop() {
      over.abort();
      await all;
      agent.destroy();
    },
  };
}

/** The answer when it arrived whole; undefined when the connection broke at any place. */
function ask(url: string, agent: Agent, token: string, name: string): Promise<{ status: number; text: string } | undefined> {
  return new Promise((resolve) => {
    const headers = {
      'content-type': 'application/json',
      authorization: `Bearer ${token}`,
      'x-purpose': 'credit-evaluation',
      'x-purpose-case': encodeURIComponent(name),
    };
    const sent = request(url, { method: 'POST', agent, headers, timeout: 20_000 }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', () => resolve(undefined));
      response.on('close', () =>
        resolve(response.complete ? { status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString() } : undefined),
      );
    });
    sent.on('error', () => resolve(undefined));
    sent.on('timeout', () => sent.destroy());
    sent.end(QUERY);
  });
}

async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer().listen(0, '127.0.0.1');
      await once(server, 'listening');
      return server;
    }),
  );
  return Promise.all(
    servers.map(async (server) => {
      const address = server.address();
      server.close();
      await once(server, 'close');
      if (address === null || typeof address === 'string') throw new Error('no free port');
      return address.port;
    }),
  );
}
