import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { RetryLater, StopStream } from '../src/errors.ts';
import { endStateOf } from '../src/jobs/failure.ts';
import { runPull } from '../src/jobs/pull.ts';
import { backoffMs, openBackend } from '../src/jobs/queues.ts';
import { enqueueStream } from '../src/jobs/worker.ts';
import { LogUnavailable } from '../src/log/queue.ts';
import { allStreams, findStream } from '../src/model/load.ts';
import type { Model, PushStream } from '../src/model/types.ts';
import { generate } from '../src/sandbox/generate.ts';
import type { Answer, Call } from '../src/sandbox/server.ts';
import { openOutbox } from '../src/store/sending.ts';
import { SubjectRace } from '../src/store/race.ts';
import { newPrefix, openHub, type TestHub, until, type WorkOptions, wipeQueues, wipeRedis } from './setup/platforms.ts';
import { describeWithRedis } from './setup/redis.ts';
import { MODEL, pullStreamOf } from './setup/store.ts';

const data = generate({ seed: 11, organisations: 40, persons: 120 });
const SCHEDULED = new Map(
  allStreams(MODEL).flatMap((s) => (s.schedule === undefined ? [] : [[`${s.connector}/${s.id}`, s.schedule] as const])),
);
const MINUTE = 60_000;

describe('the wait before another attempt', () => {
  it('P7 doubles from two seconds to ten minutes, give or take a quarter, and is never less than the platform asked for', () => {
    const chance = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 60 }), fc.option(fc.nat(3_600_000)), chance, (attempt, after, random) => {
        const wait = backoffMs(attempt, after ?? undefined, () => random);
        const base = Math.min(600_000, 1000 * 2 ** attempt);
        expect(wait).toBeGreaterThanOrEqual(Math.max(after ?? 0, Math.floor(base * 0.75)));
        expect(wait).toBeLessThanOrEqual(Math.max(after ?? 0, Math.ceil(base * 1.25)));
      }),
    );
  });
});

describe('how a run ends that threw', () => {
  it.each([
    ['stopped', new StopStream('a setting is missing')],
    ['failed', new RetryLater('busy')],
    ['failed', new LogUnavailable('not within 5 ms')],
    ['failed', new Error('wrapped', { cause: Object.assign(new Error('gone'), { code: '57P01' }) })],
    ['failed', Object.assign(new Error('dead-lock'), { code: '40P01' })],
    ['failed', new SubjectRace('the same subject')],
    ['broken', Object.assign(new Error('duplicate key'), { code: '23505' })],
    ['broken', new TypeError('a bug of ours')],
    ['broken', 'no error at all'],
  ])('P7 %s: %s', (state, error) => {
    expect(endStateOf(error)).toBe(state);
  });
});

describe('jobs, queues on PostgreSQL', () => tests(undefined));
describeWithRedis('jobs, queues on Redis', (url) => tests(url));

function tests(redisUrl: string | undefined): void {
  let hub: TestHub;
  let queues: WorkOptions;
  let answer: (call: Call, proper: Answer) => Promise<Answer>;

  beforeEach(async () => {
    answer = async (_, proper) => proper;
    hub = await openHub({ data, answer: (call, proper) => answer(call, proper) });
    queues = { redisUrl, prefix: newPrefix() };
  });
  afterEach(() => hub.close());

  const rows = async <R>(text: string, values: unknown[] = []) => (await hub.pool.query<R>(text, values)).rows;
  const runsOf = (stream: string) =>
    rows<{ state: string; error: string | null }>(`select state, error from run where connector || '/' || stream = $1 order by id`, [
      stream,
    ]);
  const statesOf = async (stream: string) => (await runsOf(stream)).map((run) => run.state);
  const job = (name: string) => {
    const [connector = '', stream = ''] = name.split('/');
    return { connector, stream, trigger: 'manual' as const };
  };

  it('P7 U25 has one schedule per stream of the model, in the time of Shanghai, and removes those of streams that are gone', async () => {
    const backend = openBackend({ databaseUrl: hub.databaseUrl, redisUrl, prefix: queues.prefix ?? '' });
    const before = backend.queue(() => undefined);
    await before.upsertJobScheduler('gone/stream', { pattern: '0 0 * * *' }, { name: 'run', data: job('gone/stream') });
    const { queue } = await hub.work(queues);
    const schedulers = await queue.getJobSchedulers();
    expect(Object.fromEntries(schedulers.map((s) => [s.key, s.pattern]))).toEqual(Object.fromEntries(SCHEDULED));
    for (const { key, tz, next, pattern } of schedulers) {
      expect([key, tz]).toEqual([key, 'Asia/Shanghai']);
      // Schedules are made within this minute, so the next time is the first that fits after it.
      const first = nextFit(pattern ?? '', Date.now() - MINUTE);
      expect([key, [first, nextFit(pattern ?? '', Date.now())]]).toEqual([key, expect.arrayContaining([next])]);
    }
    await before.close();
    await backend.close();
  });

  it('P7 takes a changed schedule at the next start', async () => {
    await (await hub.work(queues)).stop();
    const changed = withSchedule(MODEL, 'credit-china/penalties', '7 4 * * *');
    const { queue } = await hub.work({ ...queues, jobs: { model: changed } });
    const found = (await queue.getJobSchedulers()).filter((s) => s.key === 'credit-china/penalties');
    expect(found.map((s) => s.pattern)).toEqual(['7 4 * * *']);
  });

  it('P7 two workers that start at once do not clash, and never run one stream at the same time', async () => {
    const [one, other] = await Promise.all([hub.work(queues), hub.work(queues)]);
    expect(await one.queue.getJobSchedulersCount()).toBe(SCHEDULED.size);
    const names = Object.keys(data.expected).filter((name) => name.startsWith('hunan-credit/'));
    for (let times = 0; times < 3; times += 1) {
      for (const name of names) await Promise.all([one, other].map((w) => enqueueStream(w.queue, job(name))));
      await until(async () => (await Promise.all(names.map(statesOf))).every((s) => s.filter((state) => state === 'done').length > times));
    }
    const overlaps = await rows(
      `select a.stream from run a join run b on (a.connector, a.stream) = (b.connector, b.stream) and a.id < b.id and b.started_at < a.ended_at`,
    );
    expect(overlaps).toEqual([]);
    expect(await rows(`select from run where state not in ('done', 'running')`)).toEqual([]);
    expect(hub.said.filter((line) => Number(line['level']) >= 40)).toEqual([]);
  });

  it('P5 P7 a platform that is busy is asked again with a growing wait, and the cursor stays until it answers', async () => {
    const name = 'credit-china/penalties';
    const stream = pullStreamOf(name);
    await runPull(hub.jobs, stream, { trigger: 'manual' });
    const cursor = () => rows(`select cursor from stream_state where connector = 'credit-china' and stream = 'penalties'`);
    const before = await cursor();
    const asked: number[] = [];
    answer = async (call, proper) => {
      if (!call.path.endsWith('/service/query') || asked.push(Date.now()) > 2) return proper;
      return { status: 503, body: {} };
    };
    const { queue } = await hub.work(queues);
    await enqueueStream(queue, job(name));
    await until(async () => (await statesOf(name)).filter((state) => state === 'failed').length === 2);
    expect(await cursor()).toEqual(before);
    await until(async () => (await statesOf(name)).at(-1) === 'done');
    expect(await statesOf(name)).toEqual(['done', 'failed', 'failed', 'done']);
    expect(await cursor()).not.toEqual(before);
    const [first = 0, second = 0, third = 0] = asked;
    expect(second - first).toBeGreaterThanOrEqual(1500);
    expect(third - second).toBeGreaterThanOrEqual(3000);
    expect(hub.said.filter((line) => line['msg'] === 'run will be repeated')).toHaveLength(2);
  });

  it('P7 a stream that needs an operator stops and is not tried again; the others go on', async () => {
    const { CREDIT_CHINA_SECRET: _, ...environment } = hub.sandboxes.env;
    const { queue, worker } = await hub.work({ ...queues, jobs: { environment } });
    const attempts = new Promise<number>((resolve) => worker.on('failed', (failed) => resolve(failed?.attemptsMade ?? 0)));
    const delayed = async () => (await queue.getDelayed()).filter((d) => d.data.trigger === 'manual');
    for (const name of ['credit-china/penalties', 'hunan-credit/honours']) await enqueueStream(queue, job(name));
    expect(await attempts).toBe(1);
    await until(async () => (await statesOf('hunan-credit/honours')).includes('done'));
    const [run, ...more] = await runsOf('credit-china/penalties');
    expect([run?.state, more.length]).toEqual(['stopped', 0]);
    expect(run?.error).toContain('CREDIT_CHINA_SECRET');
    expect(await delayed()).toEqual([]);
    expect(hub.said).toContainEqual(
      expect.objectContaining({ level: 50, msg: 'stream stopped: an operator is needed', stream: 'penalties' }),
    );
  });

  const bug = {
    environment: new Proxy<Record<string, string>>(
      {},
      {
        get: () => {
          throw new TypeError('a bug of ours');
        },
      },
    ),
  };

  it('P7 a bug is logged in full, tried three times and then left to an operator; the ledger says so, and the stream’s schedule tries it once', async () => {
    const name = 'hunan-credit/honours';
    const { queue, worker } = await hub.work({ ...queues, jobs: bug });
    const gaveUp = () =>
      new Promise<number>((resolve) => worker.on('failed', (failed) => failed?.finishedOn && resolve(failed.attemptsMade)));
    const first = gaveUp();
    await enqueueStream(queue, job(name));
    // A try during which the machine is too slow to reach the database is one more, and no bug.
    expect(await first).toBeGreaterThanOrEqual(3);
    expect(hub.said.find((line) => line['msg'] === 'bug')?.['err']).toMatch(/TypeError: a bug of ours\n +at /);
    const broken = async () => (await runsOf(name)).filter(({ state }) => state === 'broken');
    await until(async () => (await broken()).length === 3);
    expect(await broken()).toEqual([1, 2, 3].map(() => ({ state: 'broken', error: 'a bug of ours' })));
    expect(hub.said).toContainEqual(
      expect.objectContaining({ level: 50, msg: 'stream given up after a bug: an operator is needed', stream: 'honours' }),
    );
    const again = gaveUp();
    await enqueueStream(queue, job(name));
    expect(await again).toBe(1);
    expect(await broken()).toHaveLength(4);
  });

  it('P7 a stream given up is not queued by the sweep, however long ago; one with tries left, whose queue was wiped, is', async () => {
    const ended = (stream: string, states: string[]) =>
      hub.pool.query(
        `with known as (insert into stream_state (connector, stream) values ('hunan-credit', $1))
         insert into run (connector, stream, direction, state, trigger, officer_id, officer_name, ended_at)
         select 'hunan-credit', $1, 'pull', state, 'manual', 'o', 'o', now() - interval '1 hour' from unnest($2::text[]) as state`,
        [stream, states],
      );
    await ended('honours', ['broken', 'broken', 'broken']);
    await ended('violations', ['broken', 'broken', 'failed', 'broken', 'broken']);
    await hub.work(queues);
    await until(async () => (await statesOf('hunan-credit/violations')).includes('done'));
    expect(await statesOf('hunan-credit/honours')).toEqual(['broken', 'broken', 'broken']);
  });

  it('P7 a push that no bug lets through is not tried for ever because its outbox waits', async () => {
    for (const name of ['national-insurance/medical-institutions', 'national-insurance/pharmacies', 'national-insurance/credit-grades'])
      await runPull(hub.jobs, pullStreamOf(name), { trigger: 'manual' });
    const waiting = async () => (await openOutbox(hub.pool)).map(({ connector }) => connector).sort();
    expect(await waiting()).toEqual(['credit-china', 'hunan-credit']);
    await hub.pool.query(
      `insert into run (connector, stream, direction, state, trigger, officer_id, officer_name)
       select 'credit-china', 'evaluation-results', 'push', 'broken', 'manual', 'o', 'o' from generate_series(1, 3)`,
    );
    expect(await waiting()).toEqual(['hunan-credit']);
  });

  it('HN-23.2 P7 a push whose receiver no policy knows stops for an operator and sends nothing', async () => {
    for (const name of ['national-insurance/medical-institutions', 'national-insurance/pharmacies', 'national-insurance/credit-grades'])
      await runPull(hub.jobs, pullStreamOf(name), { trigger: 'manual' });
    const name = 'credit-china/evaluation-results';
    const push = findStream(MODEL, name) as PushStream;
    const rules = MODEL.rules.filter((rule) => !rule.departments.includes(push.publish.receiver));
    expect(rules.length).toBeLessThan(MODEL.rules.length);
    await hub.work({ ...queues, jobs: { model: { ...MODEL, rules } } });
    await until(async () => (await statesOf(name)).length > 0 && !(await statesOf(name)).includes('running'));
    const [run] = await runsOf(name);
    expect(run).toEqual({ state: 'stopped', error: expect.stringMatching(/^push-not-granted: .*NO_POLICY/) });
    expect(hub.said).toContainEqual(expect.objectContaining({ level: 50, msg: 'stream stopped: an operator is needed' }));
    expect(await rows(`select distinct state from outbox where connector = 'credit-china'`)).toEqual([{ state: 'waiting' }]);
    expect(await statesOf(name)).toEqual(['stopped']);
  });

  it('P7 when every queue is wiped, what the outbox says is due is sent and the schedules come back', async () => {
    const { queue } = await hub.work(queues);
    if (redisUrl === undefined) await wipeQueues(hub.pool);
    else expect(await wipeRedis(redisUrl, queues.prefix ?? '')).toBeGreaterThan(0);
    for (const name of ['national-insurance/medical-institutions', 'national-insurance/pharmacies', 'national-insurance/credit-grades'])
      await runPull(hub.jobs, pullStreamOf(name), { trigger: 'manual' });
    const grades = data.expected['national-insurance/credit-grades']?.stored;
    await until(async () => (await rows(`select from outbox where state in ('waiting', 'sent')`)).length === 0);
    expect(
      await rows(`select o.connector, count(*)::int as sent from outbox o join receipt r on r.outbox_id = o.id
        where o.stream = 'evaluation-results' group by 1 order by 1`),
    ).toEqual(['credit-china', 'hunan-credit'].map((connector) => ({ connector, sent: grades })));
    await until(async () => (await queue.getJobSchedulersCount()) === SCHEDULED.size);
  });

  it('P7 a retry that went with a wiped queue is asked for again once its wait is certainly over; one that may still wait is left alone', async () => {
    const failed = (stream: string, minutes: number) =>
      hub.pool.query(
        `with known as (insert into stream_state (connector, stream) values ('hunan-credit', $1))
         insert into run (connector, stream, direction, state, trigger, officer_id, officer_name, started_at, ended_at)
         select 'hunan-credit', $1, 'pull', 'failed', 'manual', 'o', 'o', at, at from (select now() - make_interval(mins => $2) as at) t`,
        [stream, minutes],
      );
    await failed('honours', 60);
    await failed('violations', 5);
    await hub.work(queues);
    await until(async () => (await statesOf('hunan-credit/honours')).includes('done'));
    expect(await statesOf('hunan-credit/violations')).toEqual(['failed']);
  });
}

function withSchedule(model: Model, name: string, schedule: string): Model {
  const stream = findStream(model, name);
  const connector = model.connectors.get(stream?.connector ?? '');
  if (stream === undefined || connector === undefined) throw new Error(`there is no stream ${name}`);
  const streams = new Map(connector.streams).set(stream.id, { ...stream, schedule });
  return { ...model, connectors: new Map(model.connectors).set(connector.id, { ...connector, streams }) };
}

/** The first minute after `from` that fits the pattern in Shanghai: minute, hour, day, any month, weekday. */
function nextFit(pattern: string, from: number): number {
  const [minute = '', hour = '', day = '', , weekday = ''] = pattern.split(' ');
  for (let at = Math.floor(from / MINUTE + 1) * MINUTE; ; at += MINUTE) {
    const there = new Date(at + 8 * 60 * MINUTE);
    const today = fits(day, there.getUTCDate()) && fits(weekday, there.getUTCDay());
    if (today && fits(minute, there.getUTCMinutes()) && fits(hour, there.getUTCHours())) return at;
  }
}

/** Numbers, ranges and stars, each with a step, and lists of them. */
function fits(field: string, value: number): boolean {
  return field.split(',').some((part) => {
    const [range = '', step = '1'] = part.split('/');
    const [low = 0, high = low] = range === '*' ? [0, 59] : range.split('-').map(Number);
    return value >= low && value <= high && (value - low) % Number(step) === 0;
  });
}
