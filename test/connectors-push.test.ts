import type { ServerResponse } from 'node:http';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Client } from 'pg';
import type { OpenConnector, PushItem, PushResult } from '../src/connectors/contract.ts';
import { RetryLater, StopStream } from '../src/errors.ts';
import type { FrontDatabasePushVia, Json } from '../src/model/types.ts';
import { LOGIN, type Platform, httpPushVia, json, open, pushStream, pushed, startPlatform } from './fixtures/platform-server.ts';
import { type TestDatabase, emptyDatabase } from './setup/database.ts';

const item = (key: string, PJDJ = 'A'): PushItem => ({
  key,
  act: 'publish',
  subject: key.split(':')[0] ?? '',
  body: { TYSHXYDM: 'X', PJDJ },
});
const doubtful = (key: string, draft: string | null = null) => ({ key, act: 'publish' as const, draft });
const brief = (results: PushResult[]) => results.map((result) => [result.key, result.outcome]);

describe('push over HTTP', () => {
  let platform: Platform;
  let connector: OpenConnector;
  /** What the platform did, by key: the first body stands, as with a platform that honours the key. */
  const effects = new Map<string, Json>();

  function take(key: string, body: Json, response: ServerResponse): void {
    const known = effects.get(key);
    if (known !== undefined && JSON.stringify(known) !== JSON.stringify(body)) {
      json(response, { status: 40901, message: '同一幂等键内容不同' });
      return;
    }
    effects.set(key, body);
    json(response, { status: 1, message: '成功', data: { receiptNo: `CC-${key}`, receivedAt: '2026-11-21 09:30:15' } });
  }

  beforeEach(async () => {
    effects.clear();
    platform = await startPlatform((call, response) => take(String(call.headers['idempotency-key']), call.body, response));
    connector = open({ url: platform.url, appId: 'hub', secret: 'not-real' });
  });
  afterEach(async () => {
    await connector.close();
    await platform.close();
  });

  it('P6 the same key twice has one effect and the same receipt', async () => {
    const [first] = await pushed(connector, httpPushVia(), [item('r1:1')]);
    const [second] = await pushed(connector, httpPushVia(), [item('r1:1')]);
    expect(first).toEqual({ key: 'r1:1', outcome: 'accepted', receipt: { number: 'CC-r1:1', at: '2026-11-21T01:30:15.000Z' } });
    expect(second).toEqual(first);
    expect(effects.size).toBe(1);
  });

  it('P6 a refused record has its reason, and the others go on', async () => {
    platform.respond = (call, response) => {
      const key = String(call.headers['idempotency-key']);
      if (key === 'r1:1') json(response, { status: 42201, message: '统一社会信用代码 91430100MA4L0000X1 不存在' });
      else if (key === 'r2:1') json(response, { message: '格式错误' }, 422);
      else take(key, call.body, response);
    };
    const results = await pushed(connector, httpPushVia(), [item('r1:1'), item('r2:1'), item('r3:1')]);
    expect(results.map((result) => [result.outcome, result.reason])).toEqual([
      ['refused', '统一社会信用代码 *** 不存在'],
      ['refused', '格式错误'],
      ['accepted', undefined],
    ]);
    expect(brief(await pushed(connector, httpPushVia(), [item('r3:1', 'B')]))).toEqual([['r3:1', 'refused']]);
  });

  const losses: [string, (response: ServerResponse) => void][] = [
    ['no answer', () => undefined],
    ['a reset', (response) => response.socket?.resetAndDestroy()],
    ['a cut answer', (response) => response.end('{"status":1,')],
    ['HTTP 500', (response) => json(response, {}, 500)],
    ['success without a receipt', (response) => json(response, { status: 1, data: {} })],
  ];
  it.each(losses)('P6 after %s the outcome is unknown; repeated with the same key it takes effect once', async (_, lose) => {
    let lost = 0;
    platform.respond = (call, response) => {
      const key = String(call.headers['idempotency-key']);
      if (key !== 'r1:1' || lost++ > 0) return take(key, call.body, response);
      effects.set(key, call.body);
      return lose(response);
    };
    expect(brief(await pushed(connector, httpPushVia(), [item('r1:1'), item('r1:2'), item('r2:1')]))).toEqual([
      ['r1:1', 'unknown'],
      ['r2:1', 'accepted'],
    ]);
    expect(brief(await pushed(connector, httpPushVia(), [item('r1:1'), item('r1:2')]))).toEqual([
      ['r1:1', 'accepted'],
      ['r1:2', 'accepted'],
    ]);
    expect([...effects.keys()].toSorted()).toEqual(['r1:1', 'r1:2', 'r2:1']);
  });

  it('P6 what is known stays known when the platform goes away', async () => {
    const got: PushResult[] = [];
    platform.respond = (call, response) =>
      got.length === 0 ? take(String(call.headers['idempotency-key']), call.body, response) : json(response, {}, 500);
    const items = ['r1:1', 'r2:1', 'r3:1', 'r4:1', 'r5:1'].map((key) => item(key));
    await expect(pushed(connector, httpPushVia(), items, got)).rejects.toBeInstanceOf(RetryLater);
    expect(brief(got)).toEqual([
      ['r1:1', 'accepted'],
      ['r2:1', 'unknown'],
      ['r3:1', 'unknown'],
      ['r4:1', 'unknown'],
    ]);
  });

  it.each([
    ['HTTP 429', [], (response: ServerResponse) => json(response, {}, 429, { 'retry-after': '5' })],
    // It may have found itself busy after the effect.
    ['its busy status', [['r1:1', 'unknown']], (response: ServerResponse) => json(response, { status: 50000, message: '繁忙' })],
  ] as const)('P18 a platform that takes nothing now (%s) is tried again later', async (_, known, busy) => {
    platform.respond = (_call, response) => busy(response);
    const got: PushResult[] = [];
    await expect(pushed(connector, httpPushVia(), [item('r1:1'), item('r2:1')], got)).rejects.toBeInstanceOf(RetryLater);
    expect(brief(got)).toEqual(known);
  });

  it('a login is renewed once; without one the stream stops', async () => {
    let logins = 0;
    platform.respond = (call, response) => {
      if (call.path === '/login') json(response, { status: 1, data: { token: `t${(logins += 1)}` } });
      else if (call.headers['authorization'] === 'Bearer t2') take(String(call.headers['idempotency-key']), call.body, response);
      else json(response, { status: 40101, message: '令牌失效' });
    };
    const via = httpPushVia({ auth: LOGIN });
    expect(brief(await pushed(connector, via, [item('r1:1')]))).toEqual([['r1:1', 'accepted']]);
    platform.respond = (call, response) =>
      json(response, call.path === '/login' ? { status: 1, data: { token: 'x' } } : {}, call.path === '/login' ? 200 : 401);
    await expect(pushed(connector, via, [item('r2:1')])).rejects.toBeInstanceOf(StopStream);
  });

  it('P6 there is nobody to ask for outcomes but the call itself', async () => {
    const results: PushResult[] = [];
    for await (const result of connector.collect(pushStream(httpPushVia()), [doubtful('r1:1')])) results.push(result);
    expect(results).toEqual([{ key: 'r1:1', outcome: 'unknown' }]);
    expect(platform.calls).toEqual([]);
  });
});

const VIA: FrontDatabasePushVia = {
  kind: 'database',
  url: '{databaseUrl}',
  table: 'QZK.JS_YBXYPJ',
  key: 'XXBH',
  flag: 'JHKG',
  pending: '0',
  writtenAt: 'XRSJ',
  feedback: { table: 'QZK.FK_YBXYPJ', key: 'XXBH', result: 'CLJG', accepted: '1', reason: 'CLYJ', receipt: 'HZBH', time: 'CLSJ' },
};

describe('push into a front database', () => {
  let database: TestDatabase;
  let client: Client;
  let connector: OpenConnector;

  beforeAll(async () => {
    database = await emptyDatabase();
    client = new Client({ connectionString: database.url });
    await client.connect();
  });
  afterAll(async () => {
    await client.end();
    await database.drop();
  });
  beforeEach(async () => {
    connector = open({ databaseUrl: database.url });
    await client.query(`drop schema if exists "QZK" cascade; create schema "QZK";
      create table "QZK"."JS_YBXYPJ" ("XXBH" text, "TYSHXYDM" text, "PJDJ" varchar(2), "JHKG" text, "XRSJ" timestamp);
      create table "QZK"."FK_YBXYPJ" ("XXBH" text, "CLJG" text, "CLYJ" text, "HZBH" text, "CLSJ" timestamp)`);
  });
  afterEach(() => connector.close());

  /** The platform takes what waits and writes its feedback. */
  async function process(result = '1'): Promise<void> {
    await client.query(
      `with taken as (update "QZK"."JS_YBXYPJ" set "JHKG" = '1' where "JHKG" = '0' returning "XXBH")
       insert into "QZK"."FK_YBXYPJ" select "XXBH", $1, '主体不存在', 'HZ-' || "XXBH", '2026-11-21 09:31:00.5' from taken`,
      [result],
    );
  }
  const inbox = async () => (await client.query('select "XXBH", "JHKG", "XRSJ"::text from "QZK"."JS_YBXYPJ" order by 1')).rows;
  async function collected(keys: string[]): Promise<PushResult[]> {
    const results: PushResult[] = [];
    for await (const result of connector.collect(
      pushStream(VIA),
      keys.map((key) => doubtful(key)),
    ))
      results.push(result);
    return results.toSorted((a, b) => a.key.localeCompare(b.key));
  }

  it.each(['without', 'with'])('P6 the same key any number of times, at once and again, is one row (%s a unique index)', async (index) => {
    if (index === 'with') await client.query('create unique index on "QZK"."JS_YBXYPJ" ("XXBH")');
    const others = Array.from({ length: 8 }, () => open({ databaseUrl: database.url }, { feedbackWaitMs: 0 }));
    await Promise.all(others.map((one) => pushed(one, VIA, [item('r1:1')])));
    await Promise.all(others.map((one) => one.close()));
    expect(brief(await pushed(connector, VIA, [item('r1:1')]))).toEqual([['r1:1', 'pending']]);
    expect(await inbox()).toEqual([{ XXBH: 'r1:1', JHKG: '0', XRSJ: '2026-11-21 09:30:15' }]);
  });

  it('P6 a quick platform’s receipt comes with the same call, a slow one’s is collected later', async () => {
    connector = open({ databaseUrl: database.url }, { feedbackWaitMs: 5000 });
    const sending = pushed(connector, VIA, [item('r1:1')]);
    while ((await inbox()).length === 0) await new Promise((resolve) => setTimeout(resolve, 10));
    await process();
    const receipt = { number: 'HZ-r1:1', at: '2026-11-21T01:31:00.500Z' };
    expect(await sending).toEqual([{ key: 'r1:1', outcome: 'accepted', receipt }]);
    await connector.close();

    connector = open({ databaseUrl: database.url }, { feedbackWaitMs: 0 });
    expect(brief(await pushed(connector, VIA, [item('r2:1')]))).toEqual([['r2:1', 'pending']]);
    expect(brief(await collected(['r1:1', 'r2:1', 'r3:1']))).toEqual([
      ['r1:1', 'accepted'],
      ['r2:1', 'pending'],
      ['r3:1', 'absent'],
    ]);
    await process('2');
    expect(await collected(['r2:1'])).toEqual([{ key: 'r2:1', outcome: 'refused', reason: '主体不存在' }]);
  });

  it('P6 accepted without a receipt is not accepted yet', async () => {
    await pushed(connector, VIA, [item('r1:1')]);
    await client.query(`insert into "QZK"."FK_YBXYPJ" values ('r1:1', '1', null, null, now())`);
    expect(brief(await collected(['r1:1']))).toEqual([['r1:1', 'pending']]);
  });

  it('P11 a row the table cannot hold is refused without repeating it, and the others go in', async () => {
    const results = await pushed(connector, VIA, [item('r1:1', 'TOO LONG 11010519491231002X'), item('r2:1')]);
    expect(brief(results)).toEqual([
      ['r1:1', 'refused'],
      ['r2:1', 'pending'],
    ]);
    expect(results[0]?.reason).not.toContain('11010519491231002X');
  });

  it('P6 a connection lost while writing leaves the outcome unknown, and nothing else is sent', async () => {
    await client.query(`create function kill() returns trigger language plpgsql as
      $$ begin perform pg_terminate_backend(pg_backend_pid()); return new; end $$;
      create trigger kill before insert on "QZK"."JS_YBXYPJ" for each row when (new."XXBH" = 'r2:1') execute function kill()`);
    const got: PushResult[] = [];
    await expect(pushed(connector, VIA, [item('r1:1'), item('r2:1'), item('r3:1')], got)).rejects.toBeInstanceOf(RetryLater);
    await client.query('drop function kill cascade');
    expect(brief(got)).toEqual([
      ['r2:1', 'unknown'],
      ['r1:1', 'pending'],
    ]);
    expect(brief(await pushed(connector, VIA, [item('r2:1')]))).toEqual([['r2:1', 'pending']]);
  });

  it('P18 a missing table stops the stream', async () => {
    await client.query('drop table "QZK"."JS_YBXYPJ"');
    await expect(pushed(connector, VIA, [item('r1:1')])).rejects.toBeInstanceOf(StopStream);
  });
});
