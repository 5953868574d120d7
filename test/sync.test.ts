import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { checkDirt } from '../src/commands/demo-dirt.ts';
import { type SyncProgress, syncAll } from '../src/jobs/sync.ts';
import { enqueueStream, type RunningWorker } from '../src/jobs/worker.ts';
import { verifyLog } from '../src/log/verify.ts';
import { allStreams, pushStreams } from '../src/model/streams.ts';
import { generate } from '../src/sandbox/generate.ts';
import { openOutbox } from '../src/store/sending.ts';
import { beginRun, countsSince, lastRunId, type StreamCounts } from '../src/store/runs.ts';
import { openHub, type TestHub, until } from './setup/platforms.ts';
import { describeWithRedis } from './setup/redis.ts';
import { MODEL, OFFICER, pullStreamOf } from './setup/store.ts';

const data = generate({ seed: 11, organisations: 40, persons: 120 });
// A schedule that falls due during the test would read a stream a second time: what the hour is must not matter.
for (const stream of allStreams(MODEL)) stream.schedule = undefined;
const PUSHES = pushStreams(MODEL).map((stream) => `${stream.connector}/${stream.id}`);

describe('a full sync, queues on PostgreSQL', () => tests(undefined));
describeWithRedis('a full sync, queues on Redis', (url) => tests(url));

function tests(redisUrl: string | undefined): void {
  let hub: TestHub;
  let worker: RunningWorker;
  const told: SyncProgress[] = [];
  const sync = async (): Promise<StreamCounts[]> => {
    const before = await lastRunId(hub.pool);
    await syncAll(worker, MODEL, 'manual', (progress) => void told.push(progress));
    await until(async () => {
      const open = await openOutbox(hub.pool);
      for (const { connector, stream } of open) await enqueueStream(worker.queue, { connector, stream, trigger: 'manual' });
      return open.length === 0;
    });
    return countsSince(hub.pool, before);
  };
  const rows = async <R>(text: string) => (await hub.pool.query<R>(text)).rows;
  let first: StreamCounts[];

  beforeAll(async () => {
    hub = await openHub({ data });
    worker = await hub.work({ redisUrl });
    first = await sync();
  });
  afterAll(() => hub.close());

  it('P5 takes every raw record of every stream: in = stored + unchanged + issues, as the platforms hold them', () => {
    const pulled = first.filter((s) => !PUSHES.includes(`${s.connector}/${s.stream}`));
    const counted = pulled.map((s) => [
      `${s.connector}/${s.stream}`,
      { in: s.in, stored: s.stored, unchanged: s.unchanged, issues: s.issues },
    ]);
    expect(Object.fromEntries(counted)).toEqual(data.expected);
    for (const s of first) expect(s.in).toBe(s.stored + s.unchanged + s.issues);
  });

  it('P5 finds every planted fault, and nothing else', async () => {
    const dirt = await checkDirt(hub.pool, data);
    expect(dirt.filter((d) => d.found !== d.planted)).toEqual([]);
    expect(dirt.length).toBeGreaterThan(8);
    const refused = Object.values(data.expected).reduce((sum, s) => sum + s.issues, 0);
    expect(await rows('select count(*)::int as n from issue where refused')).toEqual([{ n: refused }]);
  });

  it('HN-28 P6 every published grade has the receipt of both receivers, and they hold what the outbox says', async () => {
    const done = await rows<{ connector: string; done: number; receipts: number }>(
      `select o.connector, count(*)::int as done, count(r.number)::int as receipts from outbox o left join receipt r on r.outbox_id = o.id
       where o.state = 'done' and o.stream = 'evaluation-results' group by 1 order by 1`,
    );
    const grades = data.expected['national-insurance/credit-grades']?.stored ?? 0;
    expect(grades).toBeGreaterThan(0);
    expect(done).toEqual(['credit-china', 'hunan-credit'].map((connector) => ({ connector, done: grades, receipts: grades })));
    const holdings = (await (await fetch(`${hub.sandboxes.urls.creditChina}/sandbox/holdings`)).json()) as Record<string, number>;
    const [others] = await rows<{ n: number }>(
      `select count(*)::int as n from outbox where state = 'done' and connector = 'credit-china' and stream <> 'evaluation-results'`,
    );
    expect(holdings).toMatchObject({ holdings: grades + (others?.n ?? 0), revoked: 0 });
  });

  it('ZM-3.2.3 every pull and push is in the query log under the officer who answers for it, and the log verifies', async () => {
    const entries = await rows<{ kind: string; person_name: string }>('select kind, person_name from query_log');
    const officers = new Set([...MODEL.connectors.values()].map((c) => c.officer.name));
    for (const entry of entries) expect(officers).toContain(entry.person_name);
    expect(entries.filter((e) => e.kind === 'pull').length).toBeGreaterThanOrEqual(Object.keys(data.expected).length);
    expect(new Set(entries.filter((e) => e.kind === 'push').map((e) => e.person_name)).size).toBe(2);
    expect(await verifyLog(hub.pool)).toMatchObject({ verified: true, entries: entries.length, faults: [] });
  });

  it('P5 a second sync stores nothing, sends nothing, and has no new issue', async () => {
    const before = await rows(`select (select count(*) from issue) as issues, (select count(*) from record_version) as versions,
      (select count(*) from subject) as subjects, (select count(*) from receipt) as receipts`);
    const second = await sync();
    expect(second.filter((s) => s.stored !== 0 || s.pushed !== 0)).toEqual([]);
    expect(second.map((s) => `${s.connector}/${s.stream}`)).toEqual(expect.arrayContaining(Object.keys(data.expected)));
    expect(
      await rows(`select (select count(*) from issue) as issues, (select count(*) from record_version) as versions,
      (select count(*) from subject) as subjects, (select count(*) from receipt) as receipts`),
    ).toEqual(before);
  });

  it('P7 waits for a stream that another process is running', async () => {
    const held = await beginRun(hub.pool, pullStreamOf('hunan-credit/honours'), OFFICER, 'manual');
    const skipped = new Promise<void>((resolve) => {
      worker.worker.on('completed', (_, result) => result.run === null && resolve());
    });
    const synced = sync();
    await skipped;
    await held?.end('done');
    expect((await synced).filter((s) => s.stored !== 0)).toEqual([]);
    expect(await rows(`select from run where state <> 'done'`)).toEqual([]);
  });

  it('P7 tells how far each stream is while it runs, and that none failed', () => {
    const of = (state: SyncProgress['state']) => new Set(told.filter((p) => p.state === state).map((p) => `${p.connector}/${p.stream}`));
    expect([...of('done')].toSorted()).toEqual([...Object.keys(data.expected), ...PUSHES].toSorted());
    expect([...of('failed')]).toEqual([]);
    expect(hub.said.filter((line) => Number(line['level']) >= 50)).toEqual([]);
  });

  it('P7 goes on without a stream that an operator paused, and says so', async () => {
    told.length = 0;
    const pause = (paused: boolean) => hub.pool.query(`update stream_state set paused = $1 where stream = 'honours'`, [paused]);
    await pause(true);
    const synced = await sync();
    await pause(false);
    expect(synced.filter((s) => s.connector === 'hunan-credit' && s.stream === 'honours')).toEqual([]);
    expect(told.filter((p) => p.state === 'failed').map((p) => [p.stream, p.error])).toContainEqual(['honours', 'the stream is paused']);
    expect(told.filter((p) => p.state === 'done').length).toBe(Object.keys(data.expected).length + PUSHES.length - 2);
  });
}
