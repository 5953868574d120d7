/**
 * How long a caller waits for its refusal while the query log is away (P1: 503 within 50 ms, no data): `npm run bench:log-away`.
 * Every way the log can be away is tried on one hub: 32 clients ask again and again for some seconds, and the slowest refusals are printed.
 */
import 'reflect-metadata';
import { mkdtemp, rm } from 'node:fs/promises';
import { Agent, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type EmbeddedPostgres, startEmbedded } from '../src/store/embedded.ts';
import { migrate } from '../src/store/migrate.ts';
import { openHub } from '../test/setup/hub.ts';

const CLIENTS = 32;
const SECONDS = 5;
const dataDir = await mkdtemp(join(tmpdir(), 'credit-hub-bench-'));
let server: EmbeddedPostgres = await startEmbedded({ dataDir });
await migrate(server.url('hub'));
const hub = await openHub({ databaseUrl: server.url('hub'), log: { deadlineMs: 1000 } });
const body = JSON.stringify({ query: '{ subjects(first: 3) { nodes { name } } }' });
const headers = { 'content-type': 'application/json', authorization: `Bearer ${await hub.token()}`, 'x-purpose': 'credit-evaluation' };

function ask(agent: Agent): Promise<{ status: number; ms: number }> {
  const since = performance.now();
  return new Promise((resolve, reject) => {
    const sent = request(`${hub.url}/graphql`, { method: 'POST', agent, headers }, (response) => {
      response.resume().on('end', () => resolve({ status: response.statusCode ?? 0, ms: performance.now() - since }));
    });
    sent.on('error', reject).end(body);
  });
}

async function measure(name: string, clients = CLIENTS): Promise<void> {
  const agent = new Agent({ keepAlive: true, maxSockets: clients });
  const refusals: number[] = [];
  let answered = 0;
  const until = performance.now() + SECONDS * 1000;
  await Promise.all(
    Array.from({ length: clients }, async () => {
      while (performance.now() < until) {
        const { status, ms } = await ask(agent);
        if (status === 503) refusals.push(ms);
        else answered += 1;
        await delay(20);
      }
    }),
  );
  agent.destroy();
  refusals.sort((a, b) => a - b);
  const at = (share: number) => Math.round((refusals[Math.min(refusals.length - 1, Math.floor(refusals.length * share))] ?? 0) * 10) / 10;
  process.stdout.write(
    `${JSON.stringify({ case: name, clients, refused: refusals.length, answered, p50: at(0.5), p99: at(0.99), slowest: at(1) })}\n`,
  );
}

const ready = async () => {
  while ((await ask(new Agent())).status !== 200) await delay(50);
};

try {
  await measure('the log is there');
  for (const clients of [1, CLIENTS]) {
    await ready();
    await server.stop('immediate');
    await measure('PostgreSQL is down', clients);
    server = await startEmbedded({ dataDir, port: server.port });
  }
  await ready();
  const { rows } = await hub.pool.query<{ pid: number }>(`select pid from pg_stat_activity where application_name like 'hub-log %'`);
  const signal = (name: NodeJS.Signals) => rows.forEach(({ pid }) => pid > 1 && process.kill(pid, name));
  signal('SIGSTOP');
  await measure('the connection hangs, from the first moment');
  await measure('the connection hangs, known');
  signal('SIGCONT');
  await ready();
  await hub.pool.query('alter table query_log add constraint refused check (writer < 0) not valid');
  await measure('the database refuses the row');
  await hub.pool.query('alter table query_log drop constraint refused');
} finally {
  await hub.close();
  await server.stop('immediate');
  await rm(dataDir, { recursive: true, force: true });
}
