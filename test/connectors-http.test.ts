import type { ServerResponse } from 'node:http';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import type { OpenConnector } from '../src/connectors/contract.ts';
import { RetryLater, StopStream } from '../src/errors.ts';
import type { Json } from '../src/model/types.ts';
import { LOGIN, type Call, type Platform, httpVia, json, open, pagesOf, startPlatform } from './fixtures/platform-server.ts';

const SECRET = 'kept-to-itself-7c1b';
let platform: Platform;
let connector: OpenConnector;

beforeEach(async () => {
  platform = await startPlatform((_, response) => json(response, { status: 1, data: { list: [], total: 0 } }));
  connector = open({ url: platform.url, appId: 'hub', secret: SECRET });
});
afterEach(async () => {
  await connector.close();
  await platform.close();
});

/** Answers pages of these rows, as they are when each page is asked for. */
function serve(rows: () => Json[], before: (page: number) => void = () => undefined) {
  platform.respond = (call, response) => {
    const page = Number(call.body['page']);
    before(page);
    const all = rows();
    json(response, { status: 1, data: { list: all.slice((page - 1) * 3, page * 3), total: all.length } });
  };
}
const rowsTo = (n: number): { ID: number }[] => Array.from({ length: n }, (_, i) => ({ ID: i + 1 }));
const idsOf = (pages: { records: { data: Record<string, unknown> }[] }[]) => pages.flatMap((page) => page.records.map((r) => r.data['ID']));

describe('pages of a window', () => {
  it('P5 are read to the end, say where each row was, and leave a cursor that starts the next window', async () => {
    serve(() => rowsTo(7));
    const pages = await pagesOf(connector, httpVia());
    expect(idsOf(pages)).toEqual([1, 2, 3, 4, 5, 6, 7]);
    expect(pages.map((page) => [page.last, page.total])).toEqual([
      [false, 7],
      [false, 7],
      [true, 7],
    ]);
    expect(pages[1]?.records[2]?.at).toBe('page 2 row 3');
    expect(pages[2]?.cursor).toEqual({ since: '2026-11-21 09:20:15' });
    expect(platform.calls[0]?.body).toEqual({
      directory: 'xzcf',
      beginTime: '1970-01-01 00:00:00',
      endTime: '2026-11-21 09:20:15',
      page: 1,
      pageSize: 3,
    });
  });

  it('P5 go on in the same window after a stop, and begin the next one with the overlap', async () => {
    serve(() => rowsTo(7));
    const [first] = await pagesOf(connector, httpVia());
    platform.calls.length = 0;
    const later = open({ url: platform.url }, { now: () => new Date('2026-11-22T00:00:00Z') });
    expect(idsOf(await pagesOf(later, httpVia(), { cursor: first?.cursor ?? null }))).toEqual([4, 5, 6, 7]);
    expect(platform.calls[0]?.body).toMatchObject({ endTime: '2026-11-21 09:20:15', page: 2 });
    platform.calls.length = 0;
    await pagesOf(later, httpVia(), { cursor: { since: '2026-11-21 09:20:15' } });
    expect(platform.calls[0]?.body).toMatchObject({ beginTime: '2026-11-21 09:10:15', endTime: '2026-11-22 07:50:00', page: 1 });
    await later.close();
  });

  it('P5 P21 begin the window again when the model has another page size now', async () => {
    serve(() => rowsTo(7));
    const cursor = { since: '1970-01-01 00:00:00', until: '2026-11-20 12:00:00', page: 3, size: 2, total: 7 };
    expect(idsOf(await pagesOf(connector, httpVia(), { cursor }))).toEqual([1, 2, 3, 4, 5, 6, 7]);
    expect(platform.calls[0]?.body).toMatchObject({ endTime: '2026-11-20 12:00:00', page: 1, pageSize: 3 });
  });

  it('P5 lose no row when rows are changed while they are read and so leave the window', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ page: fc.integer({ min: 2, max: 7 }), row: fc.nat(17) }), { maxLength: 6 }),
        async (changes) => {
          let rows = rowsTo(18);
          const left = new Set<number>();
          const pending = [...changes];
          serve(
            () => rows,
            (page) => {
              for (const change of pending.filter((one) => one.page === page)) {
                pending.splice(pending.indexOf(change), 1);
                left.add(change.row + 1);
                rows = rows.filter((row) => row.ID !== change.row + 1);
              }
            },
          );
          const got = new Set(idsOf(await pagesOf(connector, httpVia())));
          expect(rowsTo(18).filter((row) => !left.has(row.ID) && !got.has(row.ID))).toEqual([]);
        },
      ),
      { numRuns: 60 },
    );
  });

  it('P5 stop the stream when the page before comes again in place of the one asked for, also in a run that goes on after a stop', async () => {
    serve(() => rowsTo(7));
    const [first] = await pagesOf(connector, httpVia());
    platform.respond = (_, response) => json(response, { status: 1, data: { list: rowsTo(3), total: 7 } });
    await expect(pagesOf(connector, httpVia(), { cursor: first?.cursor ?? null })).rejects.toThrow(/looping-pages/);
  });

  it('P5 stop the stream when the platform repeats a page for ever', async () => {
    platform.respond = (_, response) => json(response, { status: 1, data: { list: rowsTo(3), total: 3000 } });
    await expect(pagesOf(connector, httpVia())).rejects.toThrow(/looping-pages/);
    await expect(pagesOf(connector, httpVia())).rejects.toBeInstanceOf(StopStream);
  });

  it('P5 stop the stream when the total grows with every page', async () => {
    let id = 0;
    platform.respond = (call, response) => {
      const list = [{ ID: (id += 1) }, { ID: (id += 1) }, { ID: (id += 1) }];
      json(response, { status: 1, data: { list, total: 3 * Number(call.body['page']) + 3 } });
    };
    await expect(pagesOf(connector, httpVia())).rejects.toThrow(/endless-pages/);
  });

  it.each([
    ['empty', []],
    ['short', [{ ID: 1 }]],
  ])('P5 are tried again later when an %s page comes before the total is reached', async (_, list) => {
    platform.respond = (call, response) =>
      json(response, { status: 1, data: { list: call.body['page'] === 1 ? rowsTo(3) : list, total: 9 } });
    await expect(pagesOf(connector, httpVia())).rejects.toBeInstanceOf(RetryLater);
  });

  it('P11 keep a row that is no object as broken, and its neighbours', async () => {
    platform.respond = (_, response) => json(response, { status: 1, data: { list: [{ ID: 1 }, 'row', null], total: 3 } });
    const [page] = await pagesOf(connector, httpVia());
    expect(page?.records.map((record) => record.broken?.rule)).toEqual([undefined, 'bad-row', 'bad-row']);
    expect(page?.records[1]?.data).toEqual({ value: 'row' });
  });
});

const faults: [string, (response: ServerResponse) => void][] = [
  ['HTTP 500', (response) => json(response, {}, 500)],
  ['HTTP 429', (response) => json(response, {}, 429)],
  ['HTTP 408', (response) => json(response, {}, 408)],
  ['a platform status that says busy', (response) => json(response, { status: 50000, message: '系统繁忙' })],
  ['no answer in time', () => undefined],
  ['a body that never ends', (response) => response.writeHead(200).write('{"status":1,')],
  ['a reset connection', (response) => response.socket?.resetAndDestroy()],
  [
    'a body cut before its length',
    (response) => {
      response.writeHead(200, { 'content-length': '500' }).write('{"status":1,"data":{"list":[{"ID":1');
      setTimeout(() => response.socket?.destroy(), 20);
    },
  ],
  ['a body cut with a length that fits', (response) => response.end('{"status":1,"data":{"list":[{"ID":')],
  ['a body cut inside a character', (response) => response.end(Buffer.from('{"status":1,"message":"成功').subarray(0, -1))],
  ['an empty body', (response) => response.end()],
];
const stops: [string, (response: ServerResponse) => void][] = [
  ['HTTP 400', (response) => json(response, { message: '参数错误' }, 400)],
  ['HTTP 404', (response) => json(response, {}, 404)],
  ['HTTP 409', (response) => json(response, {}, 409)],
  ['HTTP 422', (response) => json(response, {}, 422)],
  ['HTTP 401 without a login', (response) => json(response, {}, 401)],
  ['a redirect', (response) => response.writeHead(302, { location: '/login.html' }).end()],
  ['a login page with 200', (response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<html>请登录</html>')],
  ['a platform status that refuses', (response) => json(response, { status: 40002, message: '参数错误' })],
  ['GBK bytes', (response) => response.end(Buffer.from([0x7b, 0x22, 0xb3, 0xc9, 0xb9, 0xa6, 0x22, 0x7d]))],
  ['another shape', (response) => json(response, { status: 1, data: { rows: [] } })],
  ['a total that is no number', (response) => json(response, { status: 1, data: { list: [], total: 'many' } })],
];

describe('what a bad answer means', () => {
  it.each(faults)('P18 %s: RetryLater', async (_, fault) => {
    platform.respond = (_call, response) => fault(response);
    await expect(pagesOf(connector, httpVia())).rejects.toBeInstanceOf(RetryLater);
    expect(platform.calls).toHaveLength(1);
  });

  it.each(stops)('P11 %s: StopStream', async (_, fault) => {
    platform.respond = (_call, response) => fault(response);
    await expect(pagesOf(connector, httpVia())).rejects.toBeInstanceOf(StopStream);
    expect(platform.calls).toHaveLength(1);
  });

  it('P18 a refused connection and a stopped process: RetryLater', async () => {
    await platform.close();
    await expect(pagesOf(connector, httpVia())).rejects.toBeInstanceOf(RetryLater);
    const stopped = open({ url: platform.url }, { signal: AbortSignal.abort() });
    await expect(pagesOf(stopped, httpVia())).rejects.toThrow(/stopped/);
    await stopped.close();
    platform = await startPlatform(() => undefined);
  });

  it('P18 Retry-After is handed on in milliseconds', async () => {
    platform.respond = (_, response) => json(response, {}, 503, { 'retry-after': '90' });
    await expect(pagesOf(connector, httpVia())).rejects.toMatchObject({ afterMs: 90_000 });
    platform.respond = (_, response) => json(response, {}, 503, { 'retry-after': 'Sat, 21 Nov 2026 01:31:15 GMT' });
    await expect(pagesOf(connector, httpVia())).rejects.toMatchObject({ afterMs: 60_000 });
  });

  it('P11 any bytes with any status end in pages, RetryLater or StopStream', async () => {
    const good = JSON.stringify({ status: 1, data: { list: rowsTo(1), total: 1 } });
    const body = fc.oneof(
      fc.uint8Array({ maxLength: 80 }).map((bytes) => Buffer.from(bytes)),
      fc.json().map((text) => Buffer.from(text)),
      fc.nat(good.length).map((length) => Buffer.from(good.slice(0, length))),
      fc.record({ at: fc.nat(good.length - 1), byte: fc.nat(255) }).map(({ at, byte }) => Buffer.from(good).fill(byte, at, at + 1)),
    );
    await fc.assert(
      fc.asyncProperty(body, fc.constantFrom(200, 200, 200, 201, 302, 401, 418, 500), async (bytes, status) => {
        platform.respond = (_, response) => response.writeHead(status).end(bytes);
        const outcome = await pagesOf(connector, httpVia()).catch((error: unknown) => error);
        expect(Array.isArray(outcome) || outcome instanceof RetryLater || outcome instanceof StopStream).toBe(true);
      }),
      { numRuns: 300 },
    );
  });

  it('P15 errors repeat neither secrets nor numbers that the platform repeats', async () => {
    platform.respond = (call, response) => {
      if (call.path === '/login') json(response, { status: 1, data: { token: 'token-5f00aa11' } });
      else json(response, { status: 40002, message: '证件号码 11010519491231002X 不存在' });
    };
    const error = await pagesOf(connector, httpVia({ auth: LOGIN })).catch((caught: unknown) => caught);
    platform.respond = (_, response) => response.socket?.resetAndDestroy();
    const reset = await pagesOf(connector, httpVia({ auth: LOGIN })).catch((caught: unknown) => caught);
    const text = [error, reset].map((one) => `${String(one)} ${JSON.stringify(one, Object.getOwnPropertyNames(one))}`).join(' ');
    expect(text).toContain('platform-refused');
    for (const kept of [SECRET, 'token-5f00aa11', '11010519491231002X']) expect(text).not.toContain(kept);
  });
});

describe('a login', () => {
  let logins: number;
  /** Tokens t1, t2 … of which those in `valid` are taken. */
  function withTokens(valid: (token: string) => boolean, refuse: (response: ServerResponse) => void) {
    logins = 0;
    platform.respond = (call: Call, response) => {
      if (call.path === '/login') json(response, { status: 1, data: { token: `t${(logins += 1)}`, expiresIn: 1800 } });
      else if (!valid(String(call.headers['authorization']).replace('Bearer ', ''))) refuse(response);
      else json(response, { status: 1, data: { list: rowsTo(2), total: 2 } });
    };
  }
  const via = httpVia({ auth: LOGIN });

  it('is made once and shared by the streams of a connector', async () => {
    withTokens(
      () => true,
      () => undefined,
    );
    await Promise.all([pagesOf(connector, via), pagesOf(connector, via)]);
    await pagesOf(connector, httpVia({ auth: LOGIN, path: '/other' }));
    expect(logins).toBe(1);
    expect(platform.calls[0]?.body).toEqual({ appId: 'hub', secret: SECRET });
  });

  it.each([
    ['HTTP 401', (response: ServerResponse) => json(response, {}, 401)],
    ['its own status', (response: ServerResponse) => json(response, { status: 40101, message: '令牌失效' })],
  ])('is renewed once when the platform refuses the token by %s', async (_, refuse) => {
    withTokens((token) => token !== 't1', refuse);
    expect(idsOf(await pagesOf(connector, via))).toEqual([1, 2]);
    expect(logins).toBe(2);
  });

  it('stops the stream when the renewed token is refused too', async () => {
    withTokens(
      () => false,
      (response) => json(response, {}, 401),
    );
    await expect(pagesOf(connector, via)).rejects.toBeInstanceOf(StopStream);
    expect(logins).toBe(2);
  });

  it('stops the stream when it is refused, and is tried again later when the platform is down', async () => {
    platform.respond = (_, response) => json(response, { status: 40301, message: '密钥错误' });
    await expect(pagesOf(connector, via)).rejects.toThrow(/login-refused/);
    platform.respond = (_, response) => json(response, {}, 502);
    await expect(pagesOf(connector, via)).rejects.toBeInstanceOf(RetryLater);
    withTokens(
      () => true,
      () => undefined,
    );
    expect(idsOf(await pagesOf(connector, via))).toEqual([1, 2]);
  });
});
