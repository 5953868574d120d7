/** Daily comparison with the platforms (U24): what one side holds and the other does not is named, key by key; nothing is green without evidence (U25). */
import { afterEach, describe, expect, it } from '@jest/globals';
import { runPull } from '../src/jobs/pull.ts';
import { runPush } from '../src/jobs/push.ts';
import { type ComparedStream, type ReconcileOptions, runReconcile } from '../src/jobs/reconcile.ts';
import { findStream } from '../src/model/load.ts';
import type { PushStream } from '../src/model/types.ts';
import { generate, type SandboxData } from '../src/sandbox/generate.ts';
import type { Row } from '../src/sandbox/population.ts';
import { answered, objectOf } from '../src/sandbox/server.ts';
import { cellsOf, differencesOf } from '../src/store/reconciliation.ts';
import { pageOf } from '../src/sandbox/credit-china.ts';
import { type HubOptions, openHub, type TestHub, until } from './setup/platforms.ts';
import { MODEL, pullStreamOf } from './setup/store.ts';

const data = generate({ seed: 11, organisations: 40, persons: 120 });
const PENALTIES = 'credit-china/penalties';
const NOW = new Date('2026-11-23T01:00:00Z');

let hub: TestHub;
afterEach(() => hub.close());

const open = async (options: Partial<HubOptions> = {}) => {
  hub = await openHub({ data, now: () => NOW, ...options });
  hub.jobs.now = () => NOW;
};
const streamOf = (name: string) => findStream(MODEL, name) as ComparedStream;
const compare = async (name: string, options: Partial<ReconcileOptions> = {}) => {
  const result = await runReconcile(hub.jobs, streamOf(name), { trigger: 'manual', ...options });
  if (result === undefined) throw new Error('held elsewhere');
  return result;
};
const pull = (name: string) => runPull(hub.jobs, pullStreamOf(name), { trigger: 'manual' });
const push = (name: string) => runPush(hub.jobs, streamOf(name) as PushStream, { trigger: 'manual' });
const keysOf = async (id: number) =>
  (await differencesOf(hub.pool, hub.jobs.keys, id, 1000)).map((one) => `${one.kind} ${one.parts.join('/')}`);
const states = async () =>
  (await hub.pool.query<{ state: string }>('select state from reconciliation order by id')).rows.map((row) => row.state);

/** The platform delivers its pages and totals without these rows, and says nothing of it; asked what it holds, it tells the truth. */
function dropping({ streams }: SandboxData, ids: readonly string[]): NonNullable<HubOptions['answer']> {
  const delivered = (streams.get(PENALTIES) ?? []).filter((row) => !ids.includes(String(row['ID'])));
  return async (call, proper) => {
    const asked = objectOf(call.body);
    if (call.path !== '/service/query' || asked['directory'] !== 'xzcf') return proper;
    return answered({ status: 1, message: '成功', data: pageOf(delivered, asked) });
  };
}

/** `count` penalties of one organisation, over the last weeks. */
function many(count: number): SandboxData {
  const [template] = data.streams.get(PENALTIES)?.filter((row) => row['CF_XDR_SHXYM'] === data.showcase.creditCode) ?? [];
  const at = (i: number) => new Date(Date.parse('2026-10-01T00:00:00Z') + i * 300_000).toISOString().slice(0, 19).replace('T', ' ');
  const rows = Array.from({ length: count }, (_, i): Row => ({
    ...template,
    ID: `P${String(i).padStart(6, '0')}`,
    CF_WSH: `湘医保罚〔2026〕${i}号`,
    SJC: at(i),
  }));
  return { ...data, streams: new Map([...data.streams, [PENALTIES, rows]]) };
}

describe('a platform that drops rows in silence', () => {
  it('U24 drops 3 of 10,000: they are named exactly, read again by their keys, and then both sides are equal', async () => {
    const all = many(10_000);
    const dropped = ['P000000', 'P004321', 'P009999'];
    await open({ data: all, answer: dropping(all, dropped) });
    expect((await pull(PENALTIES))?.counts).toMatchObject({ in: 9997, stored: 9997, issues: 0 });

    const { last, corrected } = await compare(PENALTIES);
    expect(last).toMatchObject({ state: 'red', method: 'asked', differences: 3, ours: 9997, theirs: 10_000, direction: 'pull' });
    expect(corrected).toBe(0);
    expect((await keysOf(last.id)).toSorted()).toEqual(dropped.map((id) => `not-here ${id}`).toSorted());

    const after = await compare(PENALTIES, { fix: true });
    expect([after.last.state, after.corrected, after.last.ours, after.last.theirs]).toEqual(['green', 3, 10_000, 10_000]);
    expect(await states()).toEqual(['red', 'red', 'green']);
  });

  it('U24 a front database marks rows as exchanged that nobody has read: they are named, and read again', async () => {
    await open();
    const name = 'hunan-credit/honours';
    const outside = hub.sandboxes.env['HUNAN_CREDIT_DATABASE_URL'] ?? '';
    const { rows } = await atPlatform<{ XXBH: string }>(
      outside,
      `update "QZK"."GX_RYXX" set "JHKG" = '1' where "XH" in (select "XH" from "QZK"."GX_RYXX"
      where "XXBH" in (select "XXBH" from "QZK"."GX_RYXX" group by 1 having count(*) = 1) order by "XH" limit 3) returning "XXBH"`,
    );
    await pull(name);
    const { last } = await compare(name);
    expect(last).toMatchObject({ state: 'red', method: 'reread', differences: 3 });
    expect((await keysOf(last.id)).toSorted()).toEqual(rows.map((row) => `not-here ${row.XXBH.toUpperCase()}`).toSorted());
    expect((await compare(name, { fix: true })).last).toMatchObject({ state: 'green', differences: 0 });
  });
});

describe('every stream has some way to be compared', () => {
  const pulled = [
    'credit-china/licences',
    'credit-china/penalties-legacy',
    'credit-china/honours',
    'hunan-credit/violations',
    'hunan-credit-files/labour-violations',
    'national-insurance/insured-persons',
    'national-insurance/designation-suspensions',
    'shandong-credit/handlings',
  ];
  it.each(pulled)('U24 U25 %s: all that was delivered is stored or accounted for, and the comparison is green', async (name) => {
    await open();
    const result = await pull(name);
    expect(result?.counts.in).toBeGreaterThan(0);
    const { last, differences } = await compare(name);
    expect([last.state, differences.map((one) => [one.kind, one.key])]).toEqual(['green', []]);
    expect(last.theirs).toBeGreaterThan(0);
  });
});

describe('a platform that confirms and forgets', () => {
  const RESULTS = 'credit-china/evaluation-results';
  const later = (minutes: number) => (hub.jobs.now = () => new Date(NOW.getTime() + minutes * 60_000));
  const receipts = async (name: string) =>
    (
      await hub.pool.query<{ key: string }>(
        `select o.record_id || ':' || o.version as key from outbox o join receipt r on r.outbox_id = o.id where o.connector || '/' || o.stream = $1 order by o.id`,
        [name],
      )
    ).rows.map((row) => row.key);

  it.each([
    [RESULTS, 'asked'],
    ['hunan-credit/evaluation-results', 'listed'],
  ])(
    'U24 %s loses 3 of what it gave receipts for: they are named exactly, sent again, and then both sides are equal',
    async (name, method) => {
      const forgotten = new Set<string>();
      let forget = true;
      let n = 0;
      await open({
        forgets(key) {
          n += 1;
          if (!forget || n % 4 !== 0 || forgotten.size === 3) return false;
          forgotten.add(key);
          return true;
        },
      });
      await pull('national-insurance/credit-grades');
      // The first push alone: each platform has its own forgetting.
      await until(async () => {
        await push(name);
        return (await hub.pool.query(`select from outbox where state = 'sent' and connector || '/' || stream = $1`, [name])).rowCount === 0;
      });
      expect(forgotten.size).toBe(3);
      forget = false;
      const sent = await receipts(name);
      expect(sent.length).toBeGreaterThan(10);
      expect(sent).toEqual(expect.arrayContaining([...forgotten]));

      later(30);
      const { last } = await compare(name);
      expect(last).toMatchObject({ state: 'red', method, direction: 'push', differences: 3, ours: sent.length, theirs: sent.length - 3 });
      expect((await keysOf(last.id)).toSorted()).toEqual([...forgotten].map((key) => `not-there ${key}`).toSorted());
      const cells = await cellsOf(hub.pool, last.id, 500);
      expect(cells.reduce((sum, cell) => sum + cell.differences, 0)).toBe(3);

      const fixed = await compare(name, { fix: true });
      expect([fixed.corrected, (await receipts(name)).toSorted()]).toEqual([3, sent.toSorted()]);
      later(90);
      expect((await compare(name)).last).toMatchObject({ state: 'green', ours: sent.length, theirs: sent.length });
    },
  );

  it('U24 names what the platform holds of us without a receipt of ours', async () => {
    await open();
    await pull('national-insurance/credit-grades');
    await push(RESULTS);
    const [key = ''] = await receipts(RESULTS);
    await hub.pool.query(
      `delete from receipt r using outbox o where o.id = r.outbox_id and o.connector = 'credit-china' and o.record_id || ':' || o.version = $1`,
      [key],
    );
    later(30);
    const { last } = await compare(RESULTS);
    expect([last.state, await keysOf(last.id)]).toEqual(['red', [`not-here ${key}`]]);
  });
});

describe('what a stream cannot see by itself', () => {
  it('U24 P5 a row that comes later than the overlap is behind the cursor: it is named, and read by its key', async () => {
    const all = many(600);
    await open({ data: all });
    await pull(PENALTIES);
    const rows = all.streams.get(PENALTIES) as Row[];
    rows.push({ ...rows[300], ID: 'LATE', CF_WSH: '湘医保罚〔2026〕迟1号' } as Row);
    rows.sort((a, b) => (`${a['SJC']}` < `${b['SJC']}` ? -1 : 1));
    hub.jobs.now = () => new Date(NOW.getTime() + 3_600_000);
    expect((await pull(PENALTIES))?.counts.in).toBe(0);
    const { last } = await compare(PENALTIES);
    expect([last.state, await keysOf(last.id)]).toEqual(['red', ['not-here LATE']]);
    const cells = await cellsOf(hub.pool, last.id, 500);
    expect(cells.map((cell) => cell.differences)).toEqual([1, ...cells.slice(1).map(() => 0)]);
    expect(new Set(cells.slice(1).map((cell) => cell.proof))).toEqual(new Set(['hash']));
    // One day of the platform may be compared alone.
    const other = await compare(PENALTIES, { day: cells[1]?.day ?? '' });
    expect([other.last.state, other.last.cells]).toEqual(['green', 1]);
    const day = await compare(PENALTIES, { day: cells[0]?.day ?? '', fix: true });
    expect([day.last.state, day.corrected]).toEqual(['green', 1]);
    expect((await compare(PENALTIES)).last.state).toBe('green');
  });

  it('U24 a row that the platform changed under an old time, and one that it deleted without a word, are named; the deleted one is left to a person', async () => {
    const all = many(400);
    await open({ data: all });
    await pull(PENALTIES);
    const rows = all.streams.get(PENALTIES) as Row[];
    rows.splice(
      rows.findIndex((row) => row['ID'] === 'P000100'),
      1,
    );
    const stale = rows.find((row) => row['ID'] === 'P000200') as Row;
    stale['SJC'] = String(stale['SJC']).replace(/:\d\d$/, ':59');
    stale['CF_SY'] = '更正后的事实';
    const { last } = await compare(PENALTIES);
    expect((await keysOf(last.id)).toSorted()).toEqual(['differs P000200', 'not-there P000100']);
    const fixed = await compare(PENALTIES, { fix: true });
    expect([fixed.last.state, await keysOf(fixed.last.id)]).toEqual(['red', ['not-there P000100']]);
  });

  it('U24 a row that the platform has changed since it was read is not due, and no difference', async () => {
    const all = many(400);
    await open({ data: all });
    await pull(PENALTIES);
    const rows = all.streams.get(PENALTIES) as Row[];
    Object.assign(rows[10] as Row, { SJC: '2026-11-23 08:59:30', CF_SY: '新的事实' });
    expect((await compare(PENALTIES)).last).toMatchObject({ state: 'green', differences: 0 });
  });
});

describe('nothing is green without evidence', () => {
  const unanswered: [string, NonNullable<HubOptions['answer']>][] = [
    ['an error of the server', async () => answered({ message: 'Internal Server Error' }, 500)],
    ['a reset connection', async (_, proper) => ({ ...proper, wire: 'reset' })],
    ['an answer that breaks off', async (_, proper) => ({ ...proper, wire: 'cut' })],
    ['busy, in a success', async () => answered({ status: 50_000, message: '系统繁忙' })],
    ['no list of cells', async () => answered({ status: 1, message: '成功', data: {} })],
    ['cells without hashes', async () => answered({ status: 1, message: '成功', data: { cells: [{ RQ: '2026-11-20', SL: 3 }] } })],
    ['a refusal', async () => answered({ status: 40_002, message: '参数错误' })],
  ];
  it.each(unanswered)('U25 %s: the comparison is unproven, with the reason, and never green', async (_, spoilt) => {
    let spoil = false;
    await open({
      data: many(50),
      answer: (call, proper) => (spoil && call.path.startsWith('/service/reconcile') ? spoilt(call, proper) : Promise.resolve(proper)),
    });
    await pull(PENALTIES);
    spoil = true;
    await expect(compare(PENALTIES)).rejects.toThrow(/^[a-z-]+: /);
    const { rows } = await hub.pool.query<{ state: string; reason: string; answered_at: string | null }>(
      'select state, reason, answered_at from reconciliation',
    );
    expect(rows).toEqual([{ state: 'unproven', reason: expect.stringMatching(/^[a-z-]+: /), answered_at: null }]);
  });

  it('U25 the keys of a day that differs do not all come: unproven, though the totals came', async () => {
    const all = many(50);
    await open({
      data: all,
      async answer(call, proper) {
        if (call.path === '/service/reconcile/keys') return answered({ status: 1, message: '成功', data: { keys: [], total: 7 } });
        return dropping(all, ['P000007'])(call, proper);
      },
    });
    await pull(PENALTIES);
    await expect(compare(PENALTIES)).rejects.toThrow(/short-page/);
    expect(await states()).toEqual(['unproven']);
  });

  it('U25 a stream that was never read, and one without settings, are unproven', async () => {
    await open();
    await expect(compare(PENALTIES)).rejects.toThrow(/never-read/);
    hub.jobs.environment = {};
    await expect(compare('shandong-credit/handlings')).rejects.toThrow(/settings are missing/);
    expect(await states()).toEqual(['unproven', 'unproven']);
  });

  it('U25 the database itself refuses a green comparison without an answer, or with a difference', async () => {
    await open();
    const green = (columns: string, values: string) =>
      hub.pool.query(
        `insert into reconciliation (connector, stream, direction, state, trigger, officer_id, officer_name${columns}) values ('a', 'b', 'pull', 'green', 'manual', 'o', 'o'${values})`,
      );
    await expect(green('', '')).rejects.toThrow(/check constraint/);
    await expect(green(', answered_at, differences', ', now(), 1')).rejects.toThrow(/check constraint/);
    await green(', answered_at', ', now()');
  });

  it('U24 HN-23.2 every comparison is in the query log under the officer who answers for the stream', async () => {
    await open({ data: many(20) });
    await pull(PENALTIES);
    await compare(PENALTIES);
    const { rows } = await hub.pool.query<{ kind: string; person: string; outcome: string }>(
      `select kind, person, outcome from query_log where position($1::bytea in body) > 0`,
      [Buffer.from(`${PENALTIES} reconcile`)],
    );
    expect(rows).toEqual([{ kind: 'pull', person: MODEL.connectors.get('credit-china')?.officer.id, outcome: 'answered' }]);
  });
});

async function atPlatform<R>(url: string, text: string): Promise<{ rows: R[] }> {
  const { Client } = await import('pg');
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return { rows: (await client.query(text)).rows as R[] };
  } finally {
    await client.end();
  }
}
