import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { Client } from 'pg';
import type { OpenConnector, Page } from '../src/connectors/contract.ts';
import { RetryLater, StopStream } from '../src/errors.ts';
import type { DatabaseVia, Json } from '../src/model/types.ts';
import { open, pagesOf, pullStream } from './fixtures/platform-server.ts';
import { type TestDatabase, emptyDatabase } from './setup/database.ts';

const WATERMARK: DatabaseVia = {
  kind: 'database',
  url: '{databaseUrl}',
  table: 'CUSTCENT_DB.MEDINS_INFO_B',
  size: 3,
  watermark: { time: 'UPDT_TIME', id: 'RID', overlapMinutes: 10 },
  exchange: undefined,
};
const EXCHANGE: DatabaseVia = {
  ...WATERMARK,
  table: 'QZK.GX_JYYC',
  watermark: undefined,
  exchange: { flag: 'JHKG', pending: '0', done: '1', order: 'XH' },
};

let database: TestDatabase;
let source: Client;
let connector: OpenConnector;

beforeAll(async () => {
  database = await emptyDatabase();
  source = new Client({ connectionString: database.url });
  await source.connect();
  await source.query(`set timezone = 'Asia/Shanghai'; create schema "CUSTCENT_DB"; create schema "QZK"`);
});
afterAll(async () => {
  await source.end();
  await database.drop();
});
beforeEach(async () => {
  connector = open({ databaseUrl: database.url });
  await source.query(`drop table if exists "CUSTCENT_DB"."MEDINS_INFO_B", "QZK"."GX_JYYC";
    create table "CUSTCENT_DB"."MEDINS_INFO_B" ("RID" varchar(40) , "N" int, "BIG" bigint, "AMT" numeric(16,2), "D" date, "UPDT_TIME" timestamp);
    create table "QZK"."GX_JYYC" ("XH" bigint, "ZTMC" text, "GXSJ" timestamp, "JHKG" text)`);
});
afterEach(() => connector.close());

const valuesOf = (pages: Page[], key: string) => pages.flatMap((page) => page.records.filter((r) => !r.broken).map((r) => r.data[key]));

describe('a table read by watermark', () => {
  const insert = (rid: string | null, time: string | null, n = 0) =>
    source.query('insert into "CUSTCENT_DB"."MEDINS_INFO_B" values ($1, $2, 9007199254740993, 12.30, $3, $4)', [
      rid,
      n,
      '2026-02-28',
      time,
    ]);

  it('P5 gives every row once although many share a timestamp over page ends, and says how many', async () => {
    for (const [i, second] of [1, 1, 2, 2, 2, 2, 2, 3].entries()) await insert(`R${i}`, `2026-11-01 08:00:0${second}`);
    const pages = await pagesOf(connector, WATERMARK);
    expect(valuesOf(pages, 'RID')).toEqual(['R0', 'R1', 'R2', 'R3', 'R4', 'R5', 'R6', 'R7']);
    expect(pages.map((page) => [page.last, page.total])).toEqual([
      [false, 8],
      [false, 8],
      [true, 8],
    ]);
  });

  it('hands times, large numbers and decimals on exactly as the source wrote them', async () => {
    await insert('R0', '2026-11-01 08:00:00.123456');
    const [page] = await pagesOf(connector, WATERMARK);
    const data = { RID: 'R0', N: 0, BIG: '9007199254740993', AMT: '12.30', D: '2026-02-28', UPDT_TIME: '2026-11-01 08:00:00.123456' };
    expect(page?.records[0]?.data).toEqual(data);
    expect(page?.cursor).toEqual({ from: '2026-11-01 08:00:00.123456' });
  });

  it('P5 starts the next run with the overlap, so that a row committed late is not passed over', async () => {
    await insert('R0', '2026-11-01 08:00:00');
    await insert('R1', '2026-11-01 08:20:00');
    const cursor = (await pagesOf(connector, WATERMARK)).at(-1)?.cursor ?? null;
    await insert('LATE', '2026-11-01 08:10:00');
    expect(valuesOf(await pagesOf(connector, WATERMARK, { cursor }), 'RID')).toEqual(['LATE', 'R1']);
  });

  it('P5 goes on after the last page stored, in the same bounds, whatever was written meanwhile', async () => {
    for (const i of [0, 1, 2, 3, 4]) await insert(`R${i}`, '2026-11-01 08:00:00');
    const cursor = (await pagesOf(connector, WATERMARK))[0]?.cursor ?? null;
    await insert('NEW', '2026-11-01 09:00:00');
    const rest = await pagesOf(connector, WATERMARK, { cursor: JSON.parse(JSON.stringify(cursor)) as Json });
    expect(valuesOf(rest, 'RID')).toEqual(['R3', 'R4']);
    expect(valuesOf(await pagesOf(connector, WATERMARK, { cursor: rest.at(-1)?.cursor ?? null }), 'RID')).toContain('NEW');
  });

  it('P5 is not carried away by a row whose time lies in the future', async () => {
    await insert('R0', '2099-12-31 00:00:00');
    const cursor = (await pagesOf(connector, WATERMARK)).at(-1)?.cursor ?? null;
    await source.query(`insert into "CUSTCENT_DB"."MEDINS_INFO_B" ("RID", "UPDT_TIME") values ('R1', localtimestamp)`);
    expect(valuesOf(await pagesOf(connector, WATERMARK, { cursor }), 'RID')).toEqual(['R1', 'R0']);
  });

  it('P5 says so when rows have no watermark, instead of passing over them', async () => {
    await insert('R0', '2026-11-01 08:00:00');
    await insert('R1', null);
    await insert(null, '2026-11-01 08:00:00');
    const [page] = await pagesOf(connector, WATERMARK);
    expect(page?.records.map((record) => record.broken?.rule)).toEqual(['no-watermark', undefined]);
    expect(page?.records[0]?.data).toEqual({ count: 2 });
  });

  it('keeps its place when the table is empty', async () => {
    const cursor = { from: '2026-11-01 08:00:00' };
    expect(await pagesOf(connector, WATERMARK, { cursor })).toEqual([{ records: [], cursor, last: true, total: 0 }]);
  });

  it('P5 loses no row and no version while rows are written and changed between its pages', async () => {
    const write = fc.record({ rid: fc.nat(11), beforePage: fc.integer({ min: 1, max: 6 }) });
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 4 }),
        fc.array(fc.nat(3), { minLength: 8, maxLength: 8 }),
        fc.array(write),
        async (size, times, writes) => {
          await source.query('truncate "CUSTCENT_DB"."MEDINS_INFO_B"');
          for (const [i, second] of times.entries()) await insert(`R${i}`, `2026-11-01 08:00:0${second}`);
          const latest = new Map<unknown, unknown>();
          let cursor: Json | null = null;
          let clock = 10;
          for (const run of [1, 2]) {
            let page = 0;
            for await (const got of connector.pull(pullStream({ ...WATERMARK, size }), { cursor })) {
              for (const record of got.records) latest.set(record.data['RID'], record.data['N']);
              cursor = got.cursor;
              page += 1;
              for (const one of run === 1 ? writes.filter((w) => w.beforePage === page) : []) {
                const time = `2026-11-01 08:00:${(clock += 1)}`;
                const values = [`R${one.rid}`, clock, time];
                const changed = await source.query(
                  'update "CUSTCENT_DB"."MEDINS_INFO_B" set "N" = $2, "UPDT_TIME" = $3 where "RID" = $1',
                  values,
                );
                if (changed.rowCount === 0) await insert(`R${one.rid}`, time, clock);
              }
            }
          }
          const truth = await source.query<{ RID: string; N: number }>('select "RID", "N" from "CUSTCENT_DB"."MEDINS_INFO_B"');
          expect(latest).toEqual(new Map(truth.rows.map((row) => [row.RID, row.N])));
        },
      ),
      { numRuns: 40 },
    );
  });
});

describe('a front database', () => {
  const insert = (xh: number | null, name: string) => source.query(`insert into "QZK"."GX_JYYC" values ($1, $2, now(), '0')`, [xh, name]);
  const waiting = async () =>
    (await source.query(`select "ZTMC" from "QZK"."GX_JYYC" where "JHKG" = '0' order by 1`)).rows.map((row) => row.ZTMC);
  async function taken(): Promise<unknown[]> {
    const names: unknown[] = [];
    for await (const page of connector.pull(pullStream(EXCHANGE), { cursor: null })) {
      names.push(...page.records.map((record) => record.data['ZTMC']));
      await page.ack?.();
    }
    return names;
  }

  it('P5 gives the waiting rows in order, once, without columns of its own, and marks them after they are stored', async () => {
    for (const i of [4, 3, 2, 1]) await insert(i, `甲${i}`);
    const [first] = await pagesOf(connector, EXCHANGE);
    expect(Object.keys(first?.records[0]?.data ?? {})).toEqual(['XH', 'ZTMC', 'GXSJ', 'JHKG']);
    expect(await waiting()).toHaveLength(4);
    expect(await taken()).toEqual(['甲1', '甲2', '甲3', '甲4']);
    expect(await waiting()).toEqual([]);
    expect(await taken()).toEqual([]);
  });

  it('P5 gives rows again that were stored but not marked before the process ended', async () => {
    await insert(1, '甲');
    await pagesOf(connector, EXCHANGE);
    expect(await taken()).toEqual(['甲']);
  });

  it('P5 does not mark a row that was written again between reading and marking', async () => {
    for (const i of [1, 2, 3, 4]) await insert(i, `甲${i}`);
    for await (const page of connector.pull(pullStream(EXCHANGE), { cursor: null })) {
      await source.query(`update "QZK"."GX_JYYC" set "ZTMC" = '乙' where "XH" = 2 and "ZTMC" <> '乙'`);
      await page.ack?.();
    }
    expect(await waiting()).toEqual(['乙']);
    expect(await taken()).toEqual(['乙']);
  });

  it('P5 takes rows that share a number or have none', async () => {
    for (const name of ['a', 'b', 'c', 'd', 'e']) await insert(7, name);
    for (const name of ['x', 'y']) await insert(null, name);
    const names = [...(await taken()), ...(await taken())];
    expect(names.toSorted()).toEqual(['a', 'b', 'c', 'd', 'e', 'x', 'y']);
    expect(await waiting()).toEqual([]);
  });

  it('P5 ends a run although every row is written again behind it', async () => {
    for (const i of [1, 2, 3, 4, 5]) await insert(i, `甲${i}`);
    let pages = 0;
    for await (const page of connector.pull(pullStream(EXCHANGE), { cursor: null })) {
      await page.ack?.();
      await source.query(`update "QZK"."GX_JYYC" set "JHKG" = '0'`);
      expect((pages += 1)).toBeLessThan(4);
    }
    expect(await waiting()).toHaveLength(5);
  });
});

describe('what a database error means', () => {
  it.each([
    ['a missing table', WATERMARK, 'drop table "CUSTCENT_DB"."MEDINS_INFO_B"'],
    ['a missing column', { ...WATERMARK, watermark: { time: 'NO_TIME', id: 'RID', overlapMinutes: 1 } }, 'select 1'],
    ['a watermark that is no time', { ...WATERMARK, watermark: { time: 'N', id: 'RID', overlapMinutes: 1 } }, 'select 1'],
  ])('P18 %s: StopStream', async (_, via, before) => {
    await source.query(before);
    await expect(pagesOf(connector, via)).rejects.toBeInstanceOf(StopStream);
  });

  it('P18 a cursor nobody can read: StopStream', async () => {
    await source.query('insert into "CUSTCENT_DB"."MEDINS_INFO_B" ("RID", "UPDT_TIME") values ($1, now())', ['R0']);
    const cursors: Json[] = ['text', { from: 'never' }, { until: '2026-11-01', after: { time: 1 } }];
    for (const cursor of cursors) await expect(pagesOf(connector, WATERMARK, { cursor })).rejects.toBeInstanceOf(StopStream);
  });

  it('P18 a database that does not exist, an address that is none: StopStream', async () => {
    const wrong = new URL(database.url);
    wrong.pathname = '/no_such_database';
    for (const url of [wrong.href, 'not an address']) {
      const other = open({ databaseUrl: url });
      await expect(pagesOf(other, WATERMARK)).rejects.toBeInstanceOf(StopStream);
      await other.close();
    }
  });

  it('P18 nobody listening: RetryLater', async () => {
    const nobody = open({ databaseUrl: 'postgres://hub@127.0.0.1:1/none' });
    await expect(pagesOf(nobody, WATERMARK)).rejects.toBeInstanceOf(RetryLater);
    await nobody.close();
  });

  it('P18 a lock held too long, a session ended: RetryLater, and the next run succeeds', async () => {
    const holder = new Client({ connectionString: database.url });
    await holder.connect();
    await holder.query('begin; lock table "CUSTCENT_DB"."MEDINS_INFO_B"');
    await expect(pagesOf(connector, WATERMARK)).rejects.toBeInstanceOf(RetryLater);
    const cut = pagesOf(connector, WATERMARK).catch((error: unknown) => error);
    const end = `select pg_terminate_backend(pid) from pg_stat_activity
      where application_name = 'credit-hub' and state = 'active' and datname = current_database()`;
    while ((await source.query(end)).rowCount === 0) await new Promise((resolve) => setTimeout(resolve, 10));
    expect(await cut).toBeInstanceOf(RetryLater);
    await holder.end();
    expect(await pagesOf(connector, WATERMARK)).toHaveLength(1);
  });
});
