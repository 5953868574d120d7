/** What operators do: pause, resume, run, backfill, reset – in the graph with its duty and its log, and at the command line. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { decode } from '../src/log/canonical.ts';
import { cursorFrom } from '../src/connectors/rewind.ts';
import { allStreams } from '../src/model/load.ts';
import { readsByTime } from '../src/model/streams.ts';
import { isMissed, nextRun } from '../src/rules/schedule.ts';
import { newKeyRing } from '../src/store/keys.ts';
import { advance, beginRun } from '../src/store/runs.ts';
import { openPool } from '../src/store/sql.ts';
import { dueStreams, restingStreams } from '../src/store/streams.ts';
import { freshDatabase } from './setup/database.ts';
import { type Answer, openHub, type TestHub } from './setup/hub.ts';
import { MODEL, OFFICER } from './setup/store.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
let hub: TestHub;
beforeAll(async () => {
  hub = await openHub();
});
afterAll(() => hub.close());

const ADMINISTRATOR = { department: 'operations', role: 'system-administrator', purpose: 'credit-evaluation' };
const STREAM = { connector: 'credit-china', id: 'penalties', direction: 'pull' as const };
const SHOWN = `{ connector breaker failures openUntil paused { by reason } budget { span used limit } streams { stream state nextRun backfillFrom askedBy deferredWhy paused { reason } } }`;
const act = (call: string, asking = ADMINISTRATOR): Promise<Answer> => hub.ask(`mutation Act { done: ${call} ${SHOWN} }`, asking);
const penaltiesOf = (answer: Answer) => (answer.data.done.streams as { stream: string }[]).find(({ stream }) => stream === 'penalties');
const begin = () => beginRun(hub.pool, STREAM, OFFICER, 'schedule');

const ACTS = [
  'pausePlatform(connector: "credit-china", reason: "平台升级")',
  'resumePlatform(connector: "credit-china", reason: "升级结束")',
  'runStream(connector: "credit-china", stream: "penalties", reason: "补采")',
  'backfillStream(connector: "credit-china", stream: "penalties", from: "2026-11-01", reason: "补采")',
  'resetBreaker(connector: "credit-china", reason: "平台已恢复")',
];

describe('HN-36 the acts of an operator', () => {
  it.each(ACTS)('P7 nobody without the duty may: %s', async (call) => {
    for (const [department, role] of [
      ['medical-insurance', 'data-steward'],
      ['security', 'security-administrator'],
      ['auditor', 'auditor'],
      ['operations', 'officer'],
    ]) {
      const refused = await act(call, { ...ADMINISTRATOR, department: department as string, role: role as string });
      expect([role, refused.codes]).toEqual([role, ['DUTY_REQUIRED']]);
    }
    expect((await hub.pool.query('select from platform where paused')).rowCount).toBe(0);
    expect((await hub.pool.query('select from stream_state where asked_at is not null')).rowCount).toBe(0);
  });

  it.each(ACTS)('P7 needs a reason: %s', async (call) => {
    expect((await act(call.replace(/reason: "[^"]*"/, 'reason: " "'))).codes).toEqual(['REASON_REQUIRED']);
  });

  it('P7 HN-23.2 a pause lets no run begin until it is ended, and stands in the log before it is made and after', async () => {
    const { result, added } = await hub.logged(() => act(ACTS[0] as string));
    expect(result.errors).toEqual([]);
    expect(result.data.done.paused).toEqual({ by: '陈静', reason: '平台升级' });
    expect(penaltiesOf(result)).toMatchObject({ state: 'paused', nextRun: null });
    expect(added.map(({ entry }) => [entry.kind, entry.code, entry.person.name])).toEqual([
      ['mutation', 'INTENT', '陈静'],
      ['mutation', '', '陈静'],
    ]);
    expect(await begin()).toBeUndefined();
    await hub.pool.query('insert into stream_state (connector, stream) values ($1, $2) on conflict do nothing', [
      STREAM.connector,
      STREAM.id,
    ]);
    expect(await restingStreams(hub.pool, new Date())).toContain('credit-china/penalties');
    expect((await act(ACTS[0] as string)).codes).toEqual(['ALREADY_PAUSED']);
    expect((await act(ACTS[1] as string)).data.done.paused).toBeNull();
    expect((await act(ACTS[1] as string)).codes).toEqual(['NOT_PAUSED']);
    const run = await begin();
    expect(run).toBeDefined();
    await run?.end('done');
  });

  it('P7 one stream may be paused while the others of its platform go on; what the pause put off goes on when it ends', async () => {
    const paused = await act('pausePlatform(connector: "credit-china", stream: "penalties", reason: "核对映射")');
    expect([paused.data.done.paused, penaltiesOf(paused)]).toMatchObject([null, { state: 'paused', paused: { reason: '核对映射' } }]);
    expect(await begin()).toBeUndefined();
    const other = await beginRun(hub.pool, { ...STREAM, id: 'licences' }, OFFICER, 'schedule');
    await other?.end('done');
    expect(other).toBeDefined();
    await hub.pool.query(`update stream_state set deferred_why = 'paused' where stream = 'penalties'`);
    await act('resumePlatform(connector: "credit-china", stream: "penalties", reason: "核对完毕")');
    expect(await dueStreams(hub.pool, new Date())).toEqual([{ connector: 'credit-china', stream: 'penalties', asked: true }]);
    await (await begin())?.end('done');
    expect(await dueStreams(hub.pool, new Date())).toEqual([]);
  });

  it('P5 a backfill moves the cursor back for the next run alone, keeps where it stood and who moved it, and is over with the first page', async () => {
    await hub.pool.query(`update stream_state set cursor = '{"since": "2026-11-20 00:00:00"}' where stream = 'penalties'`);
    const asked = await act(ACTS[3] as string);
    expect(penaltiesOf(asked)).toMatchObject({ backfillFrom: '2026-11-01', askedBy: '陈静' });
    const first = await begin();
    expect(first).toMatchObject({ backfillFrom: '2026-11-01', cursor: { since: '2026-11-20 00:00:00' } });
    await first?.end('failed');
    const second = await begin();
    expect(second?.backfillFrom).toBe('2026-11-01');
    if (second) await hub.pool.transaction((sql) => advance(sql, second, { since: '2026-11-02 00:00:00' }, { pages: 1 }));
    await second?.end('done');
    const third = await begin();
    expect(third).toMatchObject({ backfillFrom: null, cursor: { since: '2026-11-02 00:00:00' } });
    await third?.end('done');
    const { rows } = await hub.pool.query(
      'select stream, before, backfill_from as "from", changed_name as name, reason from cursor_change',
    );
    expect(rows).toEqual([
      { stream: 'penalties', before: { since: '2026-11-20 00:00:00' }, from: '2026-11-01', name: '陈静', reason: '补采' },
    ]);
  });

  it.each([
    ['runStream(connector: "nowhere", stream: "penalties", reason: "x")', 'PLATFORM_NOT_FOUND'],
    ['runStream(connector: "credit-china", stream: "nothing", reason: "x")', 'STREAM_NOT_FOUND'],
    ['runStream(connector: "ningbo-market", stream: "registrations", reason: "x")', 'STREAM_NOT_RUNNABLE'],
    ['backfillStream(connector: "credit-china", stream: "evaluation-results", from: "2026-11-01", reason: "x")', 'BACKFILL_NOT_POSSIBLE'],
    ['backfillStream(connector: "credit-china", stream: "penalties", from: "2099-11-01", reason: "x")', 'BAD_DAY'],
    ['resetBreaker(connector: "credit-china", reason: "x")', 'BREAKER_CLOSED'],
  ])('P7 %s is refused: %s', async (call, code) => {
    expect((await act(call)).codes).toEqual([code]);
  });

  it('P7 an open breaker is seen with its time, and a person may reset it: its streams are due at once and its issue is closed', async () => {
    const until = Date.now() + 3_600_000;
    const open = { state: 'open', failures: 5, since: until - 10_000, openedAt: until - 5000, until, probe: null };
    await hub.pool.query(
      `insert into platform (connector, breaker) values ('hunan-credit', $1) on conflict (connector) do update set breaker = excluded.breaker`,
      [JSON.stringify(open)],
    );
    await hub.pool.query(
      `insert into stream_state (connector, stream, deferred_until, deferred_why) values ('hunan-credit', 'honours', now() + interval '1 hour', 'breaker')`,
    );
    await hub.pool.query(
      `insert into issue (connector, stream, fingerprint, rule, at, place, reason, refused, first_run, last_run) values ('hunan-credit', 'platform', '\\x01', 'platform-down', '', '', '', false, 0, 0)`,
    );
    const { data } = await hub.ask(`query See { platforms(connector: "hunan-credit") ${SHOWN} }`, ADMINISTRATOR);
    expect(data.platforms).toMatchObject([{ breaker: 'open', openUntil: new Date(until).toISOString(), failures: 5 }]);
    expect(data.platforms[0].streams).toContainEqual(
      expect.objectContaining({ stream: 'honours', state: 'deferred', deferredWhy: 'breaker' }),
    );
    const reset = await act('resetBreaker(connector: "hunan-credit", reason: "平台已恢复")');
    expect(reset.data.done).toMatchObject({ breaker: 'closed', failures: 0, openUntil: null });
    expect(await dueStreams(hub.pool, new Date())).toEqual([{ connector: 'hunan-credit', stream: 'honours', asked: false }]);
    const { rows } = await hub.pool.query(`select state, resolution from issue where rule = 'platform-down'`);
    expect(rows).toEqual([{ state: 'fixed', resolution: '平台已恢复' }]);
  });
});

describe('P7 streams as they stand', () => {
  it.each([
    ['10 1 * * *', '2026-11-23T01:10', '2026-11-24T01:10'],
    ['*/10 * * * *', '2026-11-23T01:12', '2026-11-23T01:20'],
    ['5-59/10 * * * *', '2026-11-23T01:56', '2026-11-23T02:05'],
    ['0 2 * * 6', '2026-11-23T00:00', '2026-11-28T02:00'],
    ['0 2 * * 7', '2026-11-23T00:00', '2026-11-29T02:00'],
    ['0 0 29 2 *', '2026-11-23T00:00', '2028-02-29T00:00'],
    ['0 0 1,15 * 1', '2026-11-24T00:00', '2026-11-30T00:00'],
  ])('%s after %s is %s', (pattern, from, next) => {
    expect(nextRun(pattern, new Date(`${from}:00+08:00`))).toEqual(new Date(`${next}:00+08:00`));
  });
  it.each(['', '* * * *', '61 * * * *', '0 0 31 2 *', 'a b c d e'])('%j has no next time', (pattern) => {
    expect(nextRun(pattern, new Date('2026-11-23T00:00:00Z'))).toBeUndefined();
  });

  it('a time that came after the last run is missed once a job would have begun, and not before', () => {
    const at = (time: string) => new Date(`2026-11-23T${time}+08:00`);
    expect(isMissed('10 1 * * *', at('01:09:30'), at('01:10:09'))).toBe(false);
    expect(isMissed('10 1 * * *', at('01:09:30'), at('01:10:10'))).toBe(true);
    expect(isMissed('10 1 * * *', at('01:10:01'), at('23:59:00'))).toBe(false);
    expect(isMissed('0 0 31 2 *', at('01:10:01'), at('23:59:00'))).toBe(false);
  });

  it('every stream that has a schedule has a next run, and every stream read by time a cursor for a day', () => {
    for (const stream of allStreams(MODEL)) {
      if (stream.schedule !== undefined) expect([stream.id, nextRun(stream.schedule, new Date())]).toEqual([stream.id, expect.any(Date)]);
      if (stream.direction !== 'push' && readsByTime(stream.via)) expect(cursorFrom(stream.via, '2026-11-01')).toEqual(expect.any(Object));
    }
    expect(allStreams(MODEL).filter((s) => s.direction !== 'push' && readsByTime(s.via)).length).toBeGreaterThan(10);
  });
});

it('P7 HN-23.2 `hub platforms` does the same at the command line, with who and why in the log, and says so by JSON and exit code', async () => {
  const database = await freshDatabase();
  const folder = await mkdtemp(join(tmpdir(), 'credit-hub-platforms-'));
  const env = { PATH: process.env['PATH'], DATABASE_URL: database.url, HUB_KEYS: newKeyRing(), HUB_DATA: folder, HUB_TEST_UNSAFE: 'yes' };
  const platforms = async (...args: string[]): Promise<string> => {
    const options = ['--disable-warning=ExperimentalWarning', '--import', './scripts/ts-hook.mjs', 'src/main.ts', 'platforms'];
    return promisify(execFile)(process.execPath, [...options, ...args], { cwd: root, env }).then(
      ({ stdout }) => stdout,
      (error: { code: number; stderr: string }) => `exit ${error.code}: ${error.stderr}`,
    );
  };
  const who = ['--by', 'op-1', '--name', '李工', '--reason', '平台升级'];
  const pool = openPool(database.url);
  try {
    const paused = JSON.parse(await platforms('pause', 'hunan-credit', '--json', ...who)) as object;
    expect(paused).toMatchObject({ connector: 'hunan-credit', paused: { by: '李工', reason: '平台升级' } });
    expect(await platforms('pause', 'hunan-credit', ...who)).toMatch(/^exit 1: .*已暂停/);
    expect(await platforms('pause', 'hunan-credit')).toMatch(/^exit 1: .*--by/);
    expect(await platforms('backfill', 'hunan-credit/honours', ...who)).toMatch(/^exit 1: .*--from/);
    expect(await platforms('resume', 'hunan-credit', ...who)).toContain('honours');
    expect(await platforms('status', 'nowhere', ...who)).toMatch(/^exit 1: there is no platform nowhere/);
    const { rows } = await pool.query<{ body: Buffer }>('select body from query_log order by at');
    const entries = rows.map(({ body }) => decode(body).entry);
    expect(entries.map(({ kind, person, purpose }) => [kind, person.name, purpose.basis])).toEqual(
      ['pause hunan-credit', 'pause hunan-credit', 'resume hunan-credit', 'status nowhere'].map((what) => [
        'admin',
        '李工',
        `platforms ${what}: 平台升级`,
      ]),
    );
  } finally {
    await pool.close();
    await database.drop();
    await rm(folder, { recursive: true, force: true });
  }
}, 120_000);
