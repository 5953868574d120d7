/** PostgreSQL stops under a running hub, and comes back: no data without its log entry, no restart of the hub. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { verifyLog } from '../src/log/verify.ts';
import { LogUnavailable } from '../src/log/writer.ts';
import { type EmbeddedPostgres, startEmbedded } from '../src/store/embedded.ts';
import { migrate } from '../src/store/migrate.ts';
import { HOSPITAL } from './fixtures/credit-records.ts';
import type { Answer, TestHub } from './setup/hub.ts';
import { openHub } from './setup/hub.ts';

let dataDir: string;
let server: EmbeddedPostgres;
let hub: TestHub;

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'credit-hub-outage-'));
  server = await startEmbedded({ dataDir });
  await migrate(server.url('hub'));
  hub = await openHub({ databaseUrl: server.url('hub'), logDeadlineMs: 1000 });
});
afterAll(async () => {
  await hub?.close();
  await server?.stop('immediate');
  await rm(dataDir, { recursive: true, force: true });
});

const QUERY = `{ subject(code: "${HOSPITAL.identifiers[0].code}") { name records(first: 3) { nodes { kind } } } }`;

async function restart(): Promise<void> {
  server = await startEmbedded({ dataDir, port: server.port });
}

/** Asks until the hub answers again; it has the time of a test, and no help. */
async function answeredAgain(): Promise<Answer> {
  for (;;) {
    const answer = await hub.ask(QUERY);
    if (answer.status === 200) return answer;
    expectOutage(answer);
    await delay(100);
  }
}

/** The one thing a caller may get while the database is away. */
function expectOutage(answer: Answer): void {
  expect(answer.status).toBe(503);
  expect(answer.codes).toHaveLength(1);
  expect(['UNAVAILABLE', 'LOG_UNAVAILABLE']).toContain(answer.codes[0]);
  expect(answer.errors[0]?.message).toMatch(/\p{Script=Han}/u);
  expect(answer.data).toBeUndefined();
  expect(answer.text).not.toContain(HOSPITAL.name);
}

async function waitsForALock(): Promise<void> {
  for (;;) {
    const { rowCount } = await hub.pool.query(
      `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock' and query like '%from record%' and pid <> pg_backend_pid()`,
    );
    if (rowCount > 0) return;
    await delay(20);
  }
}

describe('PostgreSQL stops at once', () => {
  it('P1 U1 while a query waits in it: a typed 503 without data, the same while it is away, and answers afterwards', async () => {
    expect((await hub.ask(QUERY)).data.subject.name).toBe(HOSPITAL.name);
    const other = await hub.pool.dedicated();
    await other.query('begin');
    await other.query('lock table record in access exclusive mode');
    const hanging = hub.ask(QUERY);
    await waitsForALock();
    await server.stop('immediate');
    expectOutage(await hanging);
    expectOutage(await hub.ask(QUERY));
    expectOutage(await hub.ask(QUERY, { authorization: null }));
    // The operator is told why; the caller is not.
    expect(hub.faults.at(-1)).toMatchObject({ code: 'LOG_UNAVAILABLE' });
    expect((await fetch(`${hub.url}/ready`)).status).toBe(503);
    expect((await fetch(`${hub.url}/health`)).status).toBe(200);
    await restart();
    const { data, extensions } = await answeredAgain();
    expect(data.subject.name).toBe(HOSPITAL.name);
    expect((await fetch(`${hub.url}/ready`)).status).toBe(200);
    const entries = await hub.entries();
    expect(entries.at(-1)?.hash).toBe((extensions['log'] as { hash: string }).hash);
    expect((await verifyLog(hub.pool)).faults).toEqual([]);
  });

  it('P1 U1 under load, twice: every answer with data has its entry, and the chain is whole', async () => {
    const asked: Promise<Answer>[] = [];
    const load = async (queries: number): Promise<void> => {
      for (let i = 0; i < queries; i += 1) {
        asked.push(hub.ask(QUERY, { case: `案-${asked.length}` }));
        await delay(50);
      }
    };
    for (let round = 0; round < 2; round += 1) {
      await answeredAgain();
      const loading = load(30);
      await delay(300);
      await server.stop('immediate');
      expectOutage(await hub.ask(QUERY));
      await restart();
      await loading;
    }
    await answeredAgain();
    const answers = await Promise.all(asked);
    const answered = answers.filter((answer) => answer.status === 200);
    for (const answer of answers) if (answer.status !== 200) expectOutage(answer);
    const rows = new Map((await hub.entries()).map((row) => [row.hash, row.entry]));
    for (const answer of answered) {
      expect(answer.data.subject.name).toBe(HOSPITAL.name);
      expect(rows.get((answer.extensions['log'] as { hash: string }).hash)).toMatchObject({ outcome: 'answered', rows: 4 });
    }
    expect((await verifyLog(hub.pool)).faults).toEqual([]);
    // Nothing but the outage itself was reported.
    expect(hub.faults.filter((fault) => !(fault instanceof LogUnavailable))).toEqual([]);
  });
});
