/** What platforms bear: budgets, hours and breakers, over several workers, with real HTTP, PostgreSQL and queues. Only the clock is a test's own. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { decode } from '../src/log/canonical.ts';
import { enqueueStream } from '../src/jobs/worker.ts';
import { runStream } from '../src/jobs/run.ts';
import { allStreams, findStream } from '../src/model/load.ts';
import type { Connector, Hours, Model, PullStream, Stream } from '../src/model/types.ts';
import { generate } from '../src/sandbox/generate.ts';
import type { Answer, Call } from '../src/sandbox/server.ts';
import { newKeyRing } from '../src/store/keys.ts';
import { beginRun } from '../src/store/runs.ts';
import { openHub, type TestHub, until } from './setup/platforms.ts';
import { MODEL, OFFICER } from './setup/store.ts';
import { startVictim } from './setup/worker-child.ts';

const data = generate({ seed: 11, organisations: 40, persons: 120 });
const CHINA = 'credit-china';
const PULLS = allStreams(MODEL).filter((s) => s.connector === CHINA && s.direction === 'pull');
const START = Date.parse('2026-11-23T12:00:00+08:00');
const ring = newKeyRing();

let hub: TestHub;
let clock: number;
let answer: (call: Call, proper: Answer) => Promise<Answer>;
/** Calls that reached Credit China, by the clock of the hub. */
let calls: number[];

beforeEach(async () => {
  clock = START;
  calls = [];
  answer = async (_, proper) => proper;
  hub = await openHub({
    data,
    ring,
    answer: (call, proper) => {
      if (call.path.startsWith('/service/')) calls.push(clock);
      return answer(call, proper);
    },
  });
});
afterEach(() => hub.close());

const now = () => new Date(clock);
const rows = async <R>(text: string, values: unknown[] = []) => (await hub.pool.query<R>(text, values)).rows;
const job = (stream: string) => ({ connector: CHINA, stream, trigger: 'manual' as const });
const statesOf = async (stream: string) =>
  (await rows<{ state: string }>('select state from run where connector = $1 and stream = $2 order by id', [CHINA, stream])).map(
    (r) => r.state,
  );
const platform = async () =>
  (
    await rows<{ breaker: { state: string } | null; usage: { minute: { calls: number } } }>(
      'select breaker, usage from platform where connector = $1',
      [CHINA],
    )
  )[0];
const state = async (stream: string) =>
  (
    await rows<{ until: string | null; why: string | null; cursor: unknown }>(
      'select deferred_until as until, deferred_why as why, cursor from stream_state where connector = $1 and stream = $2',
      [CHINA, stream],
    )
  )[0];
const logged = async (what: string) =>
  (await rows<{ body: Buffer }>(`select body from query_log where kind = 'admin' order by writer, seq`))
    .map(({ body }) => decode(body).entry)
    .filter((entry) => entry.operation?.startsWith(what));

/** The model with Credit China used otherwise, and every page of its pulls as small as is said. */
function modelWith(use: Partial<Pick<Connector, 'limits' | 'breaker'>> & { windows?: Hours[]; size?: number }): Model {
  const connector = MODEL.connectors.get(CHINA);
  if (connector === undefined) throw new Error('there is no Credit China');
  const smaller = (s: Stream): Stream =>
    ({
      ...s,
      windows: use.windows ?? [],
      ...(s.direction === 'pull' && s.via.kind === 'http' && s.via.paging && use.size
        ? { via: { ...s.via, paging: { ...s.via.paging, size: use.size } } }
        : {}),
    }) as Stream;
  const streams = new Map([...connector.streams].map(([id, s]) => [id, smaller(s)]));
  const { limits = connector.limits, breaker = connector.breaker } = use;
  return { ...MODEL, connectors: new Map(MODEL.connectors).set(CHINA, { ...connector, limits, breaker, streams }) };
}

describe('the budget of a platform', () => {
  it('P7 T23 two workers together never make more calls than it allows, no run fails by it, and every record comes', async () => {
    const perMinute = 12;
    const model = modelWith({ limits: { perMinute, perHour: undefined, perDay: undefined, concurrent: 8 }, size: 10 });
    const workers = [await hub.work({ jobs: { model, now } }), await hub.work({ jobs: { model, now } })];
    for (const [n, { id }] of PULLS.entries()) await enqueueStream((workers[n % 2] as (typeof workers)[0]).queue, job(id));
    /** Of the streams that are not done: when the first goes on, once nothing runs and all of them wait for a later time. */
    const next = async (): Promise<number | undefined> => {
      const left = await rows<{ until: string | null; running: boolean }>(
        `select s.deferred_until as until, exists (select from run where state = 'running') as running from unnest($2::text[]) as p(stream)
         left join stream_state s on s.connector = $1 and s.stream = p.stream
         where not exists (select from run r where r.connector = $1 and r.stream = p.stream and r.state = 'done')`,
        [CHINA, PULLS.map(({ id }) => id)],
      );
      if (left.length === 0) return Number.POSITIVE_INFINITY;
      const waits = left.map(({ until: at }) => Date.parse(at ?? ''));
      return left.some((one) => one.running) || !waits.every((at) => at > clock) ? undefined : Math.min(...waits);
    };
    for (let at = await until(next); at < Number.POSITIVE_INFINITY; at = await until(next)) clock = at;
    expect(clock - START).toBeGreaterThan(60_000);
    const byMinute = Map.groupBy(calls, (at) => Math.floor(at / 60_000));
    for (const [minute, made] of byMinute) expect([minute, made.length <= perMinute]).toEqual([minute, true]);
    const ends = await rows<{ state: string }>(`select distinct state from run where connector = $1 order by 1`, [CHINA]);
    expect(ends.map((r) => r.state)).toEqual(['deferred', 'done']);
    for (const { id } of PULLS) {
      const [sum] = await rows<{ stored: number }>(`select sum(stored)::int as stored from run where connector = $1 and stream = $2`, [
        CHINA,
        id,
      ]);
      expect([id, sum?.stored]).toEqual([id, data.expected[`${CHINA}/${id}`]?.stored]);
    }
  });

  it('P7 as many runs of a platform as may be are at it at once; the next is put off for a moment', async () => {
    const two = { concurrent: 2, now: now() };
    const held = [];
    for (const { id } of PULLS.slice(0, 2))
      held.push(await beginRun(hub.jobs.pool, { connector: CHINA, id, direction: 'pull' }, OFFICER, 'manual', two));
    const third = { connector: CHINA, id: PULLS[2]?.id ?? '', direction: 'pull' as const };
    await expect(beginRun(hub.jobs.pool, third, OFFICER, 'manual', two)).rejects.toMatchObject({ why: 'busy' });
    await held[0]?.end('done');
    const run = await beginRun(hub.jobs.pool, third, OFFICER, 'manual', two);
    expect(run).toBeDefined();
    for (const one of [held[1], run]) await one?.end('done');
  });
});

describe('the hours of a platform', () => {
  const night: Hours[] = [{ days: 'every', from: '01:00', to: '05:00' }];

  it('P7 T23 outside them nothing is asked and no cursor moves; at the opening the stream goes on by itself', async () => {
    const model = modelWith({ windows: night });
    const { queue } = await hub.work({ jobs: { model, now } });
    await enqueueStream(queue, job('penalties'));
    await until(async () => (await state('penalties'))?.why === 'window');
    expect(await state('penalties')).toEqual({ until: '2026-11-23T17:00:00.000Z', why: 'window', cursor: null });
    expect([calls, await statesOf('penalties')]).toEqual([[], []]);
    clock = Date.parse('2026-11-24T01:00:00+08:00');
    await until(async () => (await statesOf('penalties')).includes('done'));
    expect(await statesOf('penalties')).toEqual(['done']);
    expect(await state('penalties')).toMatchObject({ until: null, why: null });
  });

  it('P7 a run that is under way when they end stops after its page, and the rest comes at the next opening, each record once', async () => {
    clock = Date.parse('2026-11-24T04:59:00+08:00');
    const model = modelWith({ windows: night, size: 5 });
    const jobs = { ...hub.jobs, model, now };
    const stream = findStream(model, `${CHINA}/penalties`) as PullStream;
    let pages = 0;
    answer = async (call, proper) => {
      if (call.path.endsWith('/query') && (pages += 1) === 2) clock = Date.parse('2026-11-24T05:00:00+08:00');
      return proper;
    };
    expect(await runStream(jobs, stream, { trigger: 'manual' })).toEqual({
      deferred: { why: 'window', until: new Date('2026-11-24T17:00:00Z') },
    });
    expect([pages, await statesOf('penalties')]).toEqual([2, ['deferred']]);
    expect((await state('penalties'))?.cursor).toMatchObject({ page: 3 });
    clock = Date.parse('2026-11-25T01:00:00+08:00');
    expect(await runStream(jobs, stream, { trigger: 'manual' })).toMatchObject({ run: expect.any(Number) });
    const [sum] = await rows<{ stored: number; unchanged: number }>(
      `select sum(stored)::int as stored, sum(unchanged)::int as unchanged from run where stream = 'penalties'`,
    );
    expect(sum).toEqual({ stored: data.expected[`${CHINA}/penalties`]?.stored, unchanged: data.expected[`${CHINA}/penalties`]?.unchanged });
  });
});

describe('the breaker of a platform', () => {
  const breaker = { failures: 4, within: 60, open: 10 };

  it('P7 two workers stop asking a platform that is down, try it with exactly one call, and go on when it answers', async () => {
    const model = modelWith({ breaker });
    let down = true;
    const hold = Promise.withResolvers<void>();
    answer = async (_call, proper) => {
      if (down) return { status: 503, body: {} };
      await hold.promise;
      return proper;
    };
    const workers = [await hub.work({ jobs: { model, now } }), await hub.work({ jobs: { model, now } })];
    for (const [n, { id }] of PULLS.entries()) await enqueueStream((workers[n % 2] as (typeof workers)[0]).queue, job(id));
    await until(async () => (await platform())?.breaker?.state === 'open');
    // Whatever was under way ends; then every stream waits without a call, however often the workers look.
    await until(
      async () =>
        (await rows(`select from stream_state where connector = $1 and deferred_why = 'breaker'`, [CHINA])).length === PULLS.length,
    );
    const asked = calls.length;
    expect(asked).toBeGreaterThanOrEqual(breaker.failures);
    expect(asked).toBeLessThanOrEqual(breaker.failures + 8);
    const issues = () => rows<{ state: string; seen: number }>(`select state, seen from issue where rule = 'platform-down'`);
    expect(await issues()).toEqual([{ state: 'open', seen: 1 }]);
    expect((await logged('breaker-opened')).map((e) => [e.kind, e.person.id])).toEqual([
      ['admin', MODEL.connectors.get(CHINA)?.officer.id],
    ]);

    down = false;
    clock += 10_000;
    await until(() => calls.length > asked);
    // The others come too, and are sent away while that one call is out.
    await until(
      async () =>
        (await rows(`select from stream_state where connector = $1 and deferred_until > $2`, [CHINA, now().toISOString()])).length ===
        PULLS.length - 1,
    );
    expect([calls.length - asked, (await platform())?.breaker?.state]).toEqual([1, 'half-open']);
    hold.resolve();
    await until(async () => (await platform())?.breaker?.state === 'closed');
    clock += 5000;
    await until(
      async () => (await rows(`select distinct stream from run where connector = $1 and state = 'done'`, [CHINA])).length === PULLS.length,
    );
    expect(await issues()).toEqual([{ state: 'fixed', seen: 1 }]);
    expect(await logged('breaker-closed')).toHaveLength(1);
  });

  it('P7 a call that finds it still down leaves it alone for as long again', async () => {
    const model = modelWith({ breaker });
    const jobs = { ...hub.jobs, model, now };
    answer = async () => ({ status: 503, body: {} });
    const run = (id: string) =>
      runStream(jobs, findStream(model, `${CHINA}/${id}`) as Stream, { trigger: 'manual' }).catch((error: Error) => error.name);
    for (let n = 0; n < 4; n += 1) expect(await run('penalties')).toBe('RetryLater');
    expect(await run('penalties')).toEqual({ deferred: { why: 'breaker', until: new Date(START + 10_000) } });
    clock += 10_000;
    expect(await run('licences')).toBe('RetryLater');
    expect(await run('penalties')).toEqual({ deferred: { why: 'breaker', until: new Date(START + 20_000) } });
    expect([calls.length, await logged('breaker-opened')]).toEqual([5, [expect.anything()]]);
  });

  it('P7 a worker that is killed while it tries the platform is followed by another at once', async () => {
    let asked = Promise.withResolvers<void>();
    answer = async (call, proper) => {
      if (call.path.startsWith('/service/')) {
        asked.resolve();
        if (calls.length === 1) await new Promise(() => undefined);
      }
      return proper;
    };
    const past = Date.now() - 60_000;
    const open = { state: 'open', failures: 5, since: past, openedAt: past, until: past + 10_000, probe: null };
    await hub.pool.query('insert into platform (connector, breaker) values ($1, $2)', [CHINA, JSON.stringify(open)]);
    await hub.pool.query(
      `insert into stream_state (connector, stream, deferred_until, deferred_why) values ($1, 'penalties', now() - interval '1 minute', 'breaker')`,
      [CHINA],
    );
    const victim = startVictim(hub, { ring });
    try {
      await asked.promise;
      expect((await platform())?.breaker).toMatchObject({ state: 'half-open', probe: `${CHINA}/penalties` });
      asked = Promise.withResolvers<void>();
      await victim.killAgain(1, { random: { int: () => 0 } as never, afterMs: [0, 0] });
      await asked.promise;
      await until(async () => (await statesOf('penalties')).includes('done'));
      expect(await statesOf('penalties')).toEqual(['interrupted', 'done']);
      expect((await platform())?.breaker?.state).toBe('closed');
    } finally {
      await victim.end();
    }
  });
});
