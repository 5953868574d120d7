import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { openBackend, type StreamQueue } from '../src/jobs/queues.ts';
import { syncAll } from '../src/jobs/sync.ts';
import { enqueueStream } from '../src/jobs/worker.ts';
import { allStreams } from '../src/model/load.ts';
import { generate } from '../src/sandbox/generate.ts';
import { randomOf } from '../src/sandbox/random.ts';
import { newKeyRing } from '../src/store/keys.ts';
import { openOutbox } from '../src/store/sending.ts';
import { lastRunId } from '../src/store/runs.ts';
import type { Pool } from '../src/store/sql.ts';
import { openHub, type TestHub, until } from './setup/platforms.ts';
import { MODEL } from './setup/store.ts';
import { doneAfter, readyOf, runningAfter, startVictim } from './setup/worker-child.ts';
import { SEED } from './setup/seed.ts';

const KILLS = Number(process.env['HUB_KILLS'] ?? 3);
const data = generate({ seed: 11, organisations: 40, persons: 120 });
/** What the sandboxes stand for; files and entries by hand have nobody to bring them here. */
const STREAMS = allStreams(MODEL).filter((s) => s.direction === 'push' || `${s.connector}/${s.id}` in data.expected);
const ring = newKeyRing();

/** Asks for every stream and waits until the ledger has all of them done: those that come after others when these are. `check` throws to end it. */
async function syncByLedger(hub: TestHub, queue: StreamQueue, check: () => void): Promise<void> {
  const before = await lastRunId(hub.pool);
  const asked = new Set<string>();
  await until(async () => {
    check();
    const done = await doneAfter(hub.pool, before);
    for (const { connector, id: stream } of readyOf(STREAMS, done)) {
      const name = `${connector}/${stream}`;
      if (asked.has(name)) continue;
      asked.add(name);
      await enqueueStream(queue, { connector, stream, trigger: 'manual' });
    }
    return STREAMS.every((s) => done.has(`${s.connector}/${s.id}`));
  });
  await until(async () => {
    check();
    const open = await openOutbox(hub.pool);
    for (const { connector, stream } of open) await enqueueStream(queue, { connector, stream, trigger: 'manual' });
    return open.length === 0 && (await runningAfter(hub.pool, 0)).length === 0;
  });
}

/** All that must not depend on what became of the process. */
async function stateOf(pool: Pool): Promise<Record<string, unknown[]>> {
  const rows = async (text: string) => (await pool.query(text)).rows;
  return {
    records: await rows(
      `select connector, stream, source_key, encode(content, 'hex') as content, deleted, source_version,
         (select count(*)::int from record_version v where v.record_id = r.id) as versions from record r order by 1, 2, 3`,
    ),
    versions: await rows(
      `select r.connector, r.stream, r.source_key, v.source_version, encode(v.content, 'hex') as content
       from record_version v join record r on r.id = v.record_id order by 1, 2, 3, 4, 5`,
    ),
    subjects: await rows(
      `select s.kind, array_agg(encode(i.token, 'hex') order by i.token) as identifiers
       from subject s join subject_identifier i on i.subject_id = s.id group by s.id order by 2`,
    ),
    issues: await rows(
      // Several streams bring one code table: which of them is first to tell of a value that nobody knows, is left to them.
      `select connector, case when rule = 'unknown-code-value' then 'any' else stream end as stream, rule, place,
         encode(fingerprint, 'hex') as fingerprint from issue order by 1, 2, 3, 4, 5`,
    ),
    sent: await rows(
      `select o.connector, o.stream, r.source_key, o.state, p.number is not null as receipt
       from outbox o join record r on r.id = o.record_id and r.version = o.version left join receipt p on p.outbox_id = o.id order by 1, 2, 3`,
    ),
  };
}

describe(`a worker that is killed ${KILLS} times in the middle of a sync (HUB_SEED=${SEED})`, () => {
  let hub: TestHub;
  let expected: Record<string, unknown[]>;
  let interrupted: number[];
  let kills: number;

  beforeAll(
    async () => {
      const calm = await openHub({ data, ring });
      try {
        const worker = await calm.work();
        await syncAll(worker, MODEL, 'manual', () => undefined);
        await until(async () => (await openOutbox(calm.pool)).length === 0);
        expected = await stateOf(calm.pool);
      } finally {
        await calm.close();
      }

      hub = await openHub({ data, ring, slowMs: 15 });
      const backend = openBackend({ databaseUrl: hub.databaseUrl });
      const queue = backend.queue(() => undefined);
      await queue.waitUntilReady();
      const victim = startVictim(hub, { ring });
      const killing = victim.killAgain(KILLS, { random: randomOf(SEED, 'kills'), afterMs: [0, 600] });
      const syncing = (async () => {
        do await syncByLedger(hub, queue, victim.check);
        while (victim.kills() < KILLS);
      })();
      try {
        await Promise.all([killing, syncing]);
      } finally {
        await victim.end();
        await queue.close();
        await backend.close();
      }
      interrupted = victim.interrupted;
      kills = victim.kills();
    },
    120_000 + KILLS * 30_000,
  );
  afterAll(() => hub.close());

  it('P5 P7 leaves exactly the records, versions, subjects and issues of a run that nobody disturbed', async () => {
    expect(kills).toBe(KILLS);
    const state = await stateOf(hub.pool);
    for (const part of ['records', 'versions', 'subjects', 'issues', 'sent']) expect([part, state[part]]).toEqual([part, expected[part]]);
    expect(state['records']?.length).toBeGreaterThan(500);
  });

  it('P6 has a receipt for everything that is published, and the platform holds each once', async () => {
    const { rows } = await hub.pool.query<{ open: number; done: number; receipts: number }>(
      `select count(*) filter (where state in ('waiting', 'sent'))::int as open,
         count(*) filter (where state = 'done' and o.connector = 'credit-china')::int as done,
         count(r.number) filter (where o.connector = 'credit-china')::int as receipts
       from outbox o left join receipt r on r.outbox_id = o.id`,
    );
    const answer = await fetch(`${hub.sandboxes.urls.creditChina}/sandbox/holdings`);
    const { holdings } = (await answer.json()) as { holdings: number };
    expect(rows).toEqual([{ open: 0, done: holdings, receipts: holdings }]);
  });

  it('P7 says in the ledger which runs were interrupted, and loses none of their streams', async () => {
    expect(interrupted.length).toBeGreaterThanOrEqual(1);
    const { rows } = await hub.pool.query<{ id: number; state: string; stream: string; later: string[] }>(
      `select id, state, stream, array(select l.state from run l where (l.connector, l.stream) = (r.connector, r.stream) and l.id > r.id) as later
       from run r where id = any($1)`,
      [interrupted],
    );
    for (const run of rows) expect([run.id, run.state]).toEqual([run.id, 'interrupted']);
    for (const run of rows) expect([run.stream, run.later]).toEqual([run.stream, expect.arrayContaining(['done'])]);
  });
});
