/** The query log cannot be written, in each of the ways a log can be away: a typed 503 and no data, and no wait for what is known not to come. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { verifyLog } from '../src/log/verify.ts';
import type { LogOptions } from '../src/log/writer.ts';
import { type EmbeddedPostgres, startEmbedded } from '../src/store/embedded.ts';
import { migrate } from '../src/store/migrate.ts';
import { HOSPITAL } from './fixtures/credit-records.ts';
import type { Answer, TestHub } from './setup/hub.ts';
import { openHub } from './setup/hub.ts';

let dataDir: string;
let server: EmbeddedPostgres;
let hub: TestHub | undefined;

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'credit-hub-away-'));
  server = await startEmbedded({ dataDir });
  await migrate(server.url('hub'));
  const first = await openHub({ databaseUrl: server.url('hub') });
  await first.close();
});
afterEach(async () => {
  await hub?.close();
  hub = undefined;
});
afterAll(async () => {
  await server?.stop('immediate');
  await rm(dataDir, { recursive: true, force: true });
});

/** The world was sealed with the keys of the first hub; what is asked here is in clear. */
const QUERY = '{ subjects(first: 3) { nodes { name } } }';
/** Longer than any test: whoever waits for it does not come back. */
const NEVER = 600_000;

async function opened(log: Partial<LogOptions>): Promise<TestHub> {
  hub = await openHub({ databaseUrl: server.url('hub'), seed: false, log });
  expect((await hub.ask(QUERY)).data.subjects.nodes).not.toEqual([]);
  return hub;
}

function expectAway(answer: Answer): void {
  expect({ status: answer.status, codes: answer.codes, data: answer.data, extensions: answer.extensions }).toEqual({
    status: 503,
    codes: ['LOG_UNAVAILABLE'],
    data: undefined,
    extensions: {},
  });
  expect(answer.errors[0]?.message).toMatch(/\p{Script=Han}/u);
  expect(answer.text).not.toContain(HOSPITAL.name);
}

async function answeredAgain(one: TestHub): Promise<Answer> {
  for (;;) {
    const answer = await one.ask(QUERY);
    if (answer.status === 200) return answer;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

const LOG_SESSION = `select pid from pg_stat_activity where application_name like 'hub-log %' and datname = current_database()`;

describe('a query log that is away', () => {
  it('P1 refuses at once while PostgreSQL is down, however long a commit might be waited for, and answers when it is back', async () => {
    const one = await opened({ deadlineMs: NEVER });
    const before = (await one.entries()).length;
    await server.stop('immediate');
    for (let n = 0; n < 5; n += 1) expectAway(await one.ask(QUERY));
    expectAway(await one.ask('{ subjects(first: 2) { nodes { kind } } }'));
    expectAway(await one.ask(QUERY, { purpose: null }));
    expectAway(await one.send('[]'));
    server = await startEmbedded({ dataDir, port: server.port });
    expect((await answeredAgain(one)).data.subjects.nodes).not.toEqual([]);
    expect((await one.entries()).length).toBe(before + 1);
    expect((await verifyLog(one.pool)).faults).toEqual([]);
  });

  it('P1 P18 makes nobody wait twice for a connection that hangs: the first caller has the deadline, all others a refusal', async () => {
    const one = await opened({ deadlineMs: 1000 });
    const { rows } = await one.pool.query<{ pid: number }>(LOG_SESSION);
    const stopped = rows.map((row) => row.pid);
    expect(stopped).toHaveLength(1);
    const frozen = (signal: 'SIGSTOP' | 'SIGCONT'): void => {
      for (const pid of stopped) if (pid > 1) process.kill(pid, signal);
    };
    frozen('SIGSTOP');
    try {
      expectAway(await one.ask(QUERY));
      expect(() => one.log.check()).toThrow('longer than 1000 ms');
      for (let n = 0; n < 20; n += 1) {
        expectAway(await one.ask(QUERY));
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    } finally {
      frozen('SIGCONT');
    }
    const { extensions } = await answeredAgain(one);
    const last = (await one.entries()).at(-1);
    expect(last?.hash).toBe((extensions['log'] as { hash: string }).hash);
    expect((await verifyLog(one.pool)).faults).toEqual([]);
  });

  it('P1 gives a typed 503 and no data when its role may no longer insert, and answers when it may again', async () => {
    const one = await opened({ deadlineMs: NEVER });
    await one.pool.query('revoke insert on query_log from hub_log_writer');
    for (let n = 0; n < 3; n += 1) expectAway(await one.ask(QUERY));
    await one.pool.query('grant insert on query_log to hub_log_writer');
    expect((await answeredAgain(one)).data.subjects.nodes).not.toEqual([]);
    expect((await verifyLog(one.pool)).faults).toEqual([]);
  });

  it('P1 gives a typed 503 and no data when the month has no partition', async () => {
    const one = await opened({ deadlineMs: NEVER });
    const [year, month] = new Date().toISOString().split('-').map(Number) as [number, number];
    const partition = `query_log_${year}_${String(month).padStart(2, '0')}`;
    const bounds = [0, 1].map((ahead) => new Date(Date.UTC(year, month - 1 + ahead)).toISOString());
    await one.pool.query(`alter table query_log detach partition ${partition}`);
    for (let n = 0; n < 3; n += 1) expectAway(await one.ask(QUERY));
    await one.pool.query(`alter table query_log attach partition ${partition} for values from ('${bounds[0]}') to ('${bounds[1]}')`);
    expect((await one.ask(QUERY)).data.subjects.nodes).not.toEqual([]);
    expect((await verifyLog(one.pool)).faults).toEqual([]);
  });

  it('P1 gives a typed 503 and no data when the entry is larger than the log takes', async () => {
    const one = await opened({ deadlineMs: NEVER, maxEntryBytes: 1200 });
    expectAway(await one.ask(QUERY, { basis: '依'.repeat(490), case: '案'.repeat(490) }));
    expect((await one.ask(QUERY)).data.subjects.nodes).not.toEqual([]);
    expect((await verifyLog(one.pool)).faults).toEqual([]);
  });
});
