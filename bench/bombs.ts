/**
 * What refusing costs (P12): `npm run bench:bombs -- [seconds]` (30 unless told). Starts an embedded PostgreSQL that keeps what it commits and
 * `hub serve` in a process of its own, then prints one JSON line per kind of bomb: the median time to its refusal over HTTP (log entry included)
 * and the processor time of the API for one; and one line for good traffic alone and beside 200 bombs a second: the 99th percentile of its
 * answers, and the memory of the API before and after. Each bomb is checked to be refused as it should.
 */
import 'reflect-metadata';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { mintToken } from '../src/resolvers/token.ts';
import { startEmbedded } from '../src/store/embedded.ts';
import { newKeyRing, openKeys } from '../src/store/keys.ts';
import { migrate } from '../src/store/migrate.ts';
import { openPool } from '../src/store/sql.ts';
import { type Bomb, BOMBS } from '../test/fixtures/bombs.ts';
import { HOSPITAL } from '../test/fixtures/credit-records.ts';
import { seedWorld } from '../test/setup/hub.ts';
import { MODEL } from '../test/setup/store.ts';

const seconds = Number(process.argv[2] ?? 30);
const ROUNDS = 20;
const GOOD_PER_SECOND = 20;
const BOMBS_PER_SECOND = 200;
const TICK_MS = 10;
const folder = mkdtempSync(join(tmpdir(), 'credit-hub-bombs-'));

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const address = probe.address();
  probe.close();
  if (typeof address !== 'object' || address === null) throw new Error('no port');
  return address.port;
}

/** Processor time so far in milliseconds and resident set in MiB, from /proc. */
function usage(pid: number): { cpu: number; memory: number } {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ');
  const memory = Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024;
  return { cpu: (Number(fields[11]) + Number(fields[12])) * TICK_MS, memory: Math.round(memory) };
}

const percentile = (times: readonly number[], share: number): number =>
  Math.round((times.toSorted((a, b) => a - b)[Math.floor((times.length - 1) * share)] ?? 0) * 10) / 10;

interface Said {
  status: number;
  text: string;
  ms: number;
}

/** Over at most as many sockets as the agent has: those who ask do not wait for those who bomb. */
function ask(agent: Agent, url: string, token: string, body: Bomb['body'], headers: Record<string, string> = {}): Promise<Said> {
  const started = performance.now();
  return new Promise((resolve, reject) => {
    const sending = request(
      `${url}/graphql`,
      {
        method: 'POST',
        agent,
        headers: {
          'content-type': 'application/json',
          'content-length': Buffer.byteLength(body),
          accept: 'application/graphql-response+json',
          'x-purpose': 'credit-evaluation',
          authorization: `Bearer ${token}`,
          ...headers,
        },
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => void chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString(), ms: performance.now() - started }),
        );
      },
    );
    sending.on('error', reject);
    sending.end(body);
  });
}

/** Sends at a fixed rate, whether or not answers come, and gives the time of each answer from the moment it was due. */
async function flow(perSecond: number, send: (i: number) => Promise<void>): Promise<number[]> {
  const started = performance.now();
  const times: number[] = [];
  const under: Promise<void>[] = [];
  for (let i = 0; i < perSecond * seconds; i += 1) {
    const due = started + (i * 1000) / perSecond;
    await sleep(Math.max(0, due - performance.now()));
    under.push(send(i).then(() => void times.push(performance.now() - due)));
  }
  await Promise.all(under);
  return times;
}

async function measure(url: string, api: ChildProcess): Promise<void> {
  const pid = api.pid ?? 0;
  const token = (id: string) =>
    mintToken(folder, {
      id,
      name: '测量',
      department: 'health',
      role: 'officer',
      region: '430000',
      purposes: [],
      issuer: 'urn:credit-hub:dev',
      audience: 'credit-hub',
      expiresIn: 3600,
    });
  const quiet = new Agent({ keepAlive: true, maxSockets: 20 });
  const loud = new Agent({ keepAlive: true, maxSockets: 50 });
  const good = JSON.stringify({ query: `{ subject(code: "${HOSPITAL.identifiers[0].code}") { name } }` });
  const answered = async (person: string) => {
    const answer = await ask(quiet, url, person, good);
    if (answer.status !== 200 || !answer.text.includes(HOSPITAL.name))
      throw new Error(`a good query was answered ${answer.status}: ${answer.text}`);
  };
  const officer = await token('good');
  for (let i = 0; i < 200; i += 1) await answered(officer);
  const medians: number[] = [];
  for (const [i, bomb] of BOMBS.entries()) {
    const bomber = await token(`bomber-${i}`);
    const before = usage(pid).cpu;
    const times: number[] = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      const { status, text, ms } = await ask(loud, url, bomber, bomb.body, bomb.headers);
      if (status !== bomb.status || !text.includes(bomb.code)) throw new Error(`${bomb.name}: ${status} ${text}`);
      times.push(ms);
    }
    const median = percentile(times, 0.5);
    medians.push(median);
    print({ bomb: bomb.name, median, worst: percentile(times, 1), cpu: Math.round(((usage(pid).cpu - before) / ROUNDS) * 10) / 10 });
  }
  const alone = await flow(GOOD_PER_SECOND, () => answered(officer));
  const before = usage(pid).memory;
  const bombers = await Promise.all(Array.from({ length: 20 }, (_, i) => token(`flood-${i}`)));
  const statuses = new Map<number, number>();
  const flood = flow(BOMBS_PER_SECOND, async (i) => {
    const bomb = BOMBS[i % BOMBS.length] as Bomb;
    // What the network refuses while it is sent is refused, too.
    const { status } = await ask(loud, url, bombers[i % bombers.length] ?? '', bomb.body, bomb.headers).catch(() => ({ status: 0 }));
    statuses.set(status, (statuses.get(status) ?? 0) + 1);
  });
  const beside = await flow(GOOD_PER_SECOND, () => answered(officer));
  await flood;
  quiet.destroy();
  loud.destroy();
  print({
    kinds: BOMBS.length,
    medianOfKinds: percentile(medians, 0.5),
    dearestKind: Math.max(...medians),
    bombsPerSecond: BOMBS_PER_SECOND,
    refused: Object.fromEntries(statuses),
    goodAlone: { p50: percentile(alone, 0.5), p99: percentile(alone, 0.99) },
    goodBeside: { p50: percentile(beside, 0.5), p99: percentile(beside, 0.99) },
    memory: { before, after: usage(pid).memory },
  });
}

function print(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

const postgres = await startEmbedded({ dataDir: join(folder, 'postgres') });
let api: ChildProcess | undefined;
try {
  const databaseUrl = postgres.url('hub');
  await migrate(databaseUrl);
  const ring = newKeyRing();
  const pool = openPool(databaseUrl);
  await seedWorld(pool, openKeys(ring), MODEL);
  await pool.close();
  const port = await freePort();
  api = spawn(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', '--max-old-space-size=256', '--import', './scripts/ts-hook.mjs', 'src/main.ts', 'serve'],
    {
      env: { PATH: process.env['PATH'], DATABASE_URL: databaseUrl, HUB_KEYS: ring, HUB_PORT: String(port), HUB_DATA: folder },
      stdio: ['ignore', 'ignore', 'inherit'],
    },
  );
  const url = `http://127.0.0.1:${port}`;
  for (let left = 120; ; left -= 1) {
    if (
      await fetch(`${url}/ready`).then(
        (r) => r.ok,
        () => false,
      )
    )
      break;
    if (left === 0) throw new Error('the API did not start');
    await sleep(500);
  }
  await measure(url, api);
} finally {
  if (api?.exitCode === null) {
    api.kill('SIGTERM');
    await once(api, 'exit');
  }
  await postgres.stop();
  rmSync(folder, { recursive: true, force: true });
}
