import { randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Client } from 'pg';
import type { OpenConnector, Page } from '../src/connectors/contract.ts';
import { RetryLater, StopStream } from '../src/errors.ts';
import type { DatabaseVia } from '../src/model/types.ts';
import { randomOf } from '../src/sandbox/random.ts';
import { CANARIES, SEED, mutated } from './fixtures/malformed.ts';
import { open, pagesOf, pullStream } from './fixtures/platform-server.ts';
import { type TestDatabase, emptyDatabase } from './setup/database.ts';

const NAMES = 200;
const WATERMARK: DatabaseVia = {
  kind: 'database',
  url: '{databaseUrl}',
  table: 'T.T',
  size: 1,
  watermark: { time: 'A', id: 'B', overlapMinutes: 10 },
  exchange: undefined,
};
const EXCHANGE: DatabaseVia = { ...WATERMARK, watermark: undefined, exchange: { flag: 'A', pending: '0', done: '1', order: 'B' } };
/** Type → two values of it. */
const TYPES: Record<string, [string, string]> = {
  text: ["'0'", "'x'"],
  'varchar(3)': ["'0'", "'𠮷'"],
  int: ['0', '7'],
  bigint: ['0', '9007199254740993'],
  numeric: ['0', "'NaN'"],
  float8: ['0', "'Infinity'"],
  bool: ['false', 'true'],
  date: ["'2026-11-21'", "'infinity'"],
  time: ["'00:00'", "'24:00'"],
  timestamp: ["'2026-11-21 08:00:00.123456'", "'infinity'"],
  timestamptz: ["'2026-11-21 08:00:00+08'", "'0044-03-15 00:00:00 BC'"],
  interval: ["'1 day'", "'-1 year'"],
  jsonb: ["'0'", `'{"__proto__":1}'`],
  bytea: ["'\\x30'", "'\\x00ff'"],
  uuid: ['gen_random_uuid()', 'gen_random_uuid()'],
  'text[]': ["'{0}'", "'{NULL,x}'"],
  inet: ["'127.0.0.1'", "'::1'"],
  point: ["'(0,0)'", "'(1,1)'"],
};
/** What each class of SQLSTATE a view or a trigger of the platform may raise. */
const STATES = [
  'P0001',
  '22012',
  '22P02',
  '23505',
  '40001',
  '40P01',
  '42501',
  '53300',
  '55P03',
  '57014',
  '58030',
  'XX000',
  'ZZ999',
  '00001',
];

let database: TestDatabase;
let source: Client;
let connector: OpenConnector;
const escaped: unknown[] = [];
const note = (error: unknown) => escaped.push(error);

beforeAll(async () => {
  process.on('unhandledRejection', note).on('uncaughtException', note);
  database = await emptyDatabase();
  source = new Client({ connectionString: database.url });
  await source.connect();
});
afterAll(async () => {
  await source.end();
  await database.drop();
  process.off('unhandledRejection', note).off('uncaughtException', note);
  expect(escaped).toEqual([]);
});
beforeEach(() => {
  connector = open({ databaseUrl: database.url });
});
afterEach(() => connector.close());

async function laidOut(sql: string): Promise<void> {
  await source.query(`drop schema if exists "T" cascade; create schema "T"; set search_path to "T"; ${sql}`);
}

/** Rows that share their place are taken by the next run. */
async function pull(from: OpenConnector, via: DatabaseVia): Promise<Page[]> {
  if (via.watermark) return pagesOf(from, via);
  const pages: Page[] = [];
  for (let before = -1; before < pages.length;) {
    before = pages.length;
    for await (const page of from.pull(pullStream(via), { cursor: null })) {
      if (page.records.length > 0) pages.push(page);
      await page.ack?.();
    }
  }
  return pages;
}

/** Pages, or one of the two errors without a value of the rows; anything else fails the test. */
async function outcomeOf(via: DatabaseVia, from = connector): Promise<Page[] | RetryLater | StopStream> {
  try {
    return await pull(from, via);
  } catch (error) {
    if (!(error instanceof RetryLater || error instanceof StopStream)) throw error;
    expect(CANARIES.filter((canary) => `${error.message} ${String(error.cause)}`.includes(canary))).toEqual([]);
    return error;
  }
}

describe.each([
  ['by watermark', WATERMARK],
  ['by its flag', EXCHANGE],
])('a table read %s', (_, via) => {
  const name = `'${CANARIES[2]}'`;

  it.each(Object.entries(TYPES))('P11 whose columns became %s gives every row or stops', async (type, [one, other]) => {
    for (const column of ['A', 'B']) {
      const right =
        via === WATERMARK ? { A: ['timestamp', 'localtimestamp'], B: ['text', "'r'"] } : { A: ['text', "'0'"], B: ['bigint', '1'] };
      const kept = column === 'A' ? right.B : right.A;
      const columns = column === 'A' ? `"A" ${type}, "B" ${kept[0]}` : `"A" ${kept[0]}, "B" ${type}`;
      const values = [one, other, 'null'].map((value) => (column === 'A' ? `${value}, ${kept[1]}` : `${kept[1]}, ${value}`));
      await laidOut(
        `create table "T" (${columns}, "N" text); insert into "T" values ${values.map((value) => `(${value}, ${name})`).join(', ')}`,
      );
      const due = via === WATERMARK ? 'true' : `"A" = '0'`;
      const there = source.query<{ n: number }>(`select count(*)::int as n from "T" where ${due}`).catch(() => undefined);
      const waiting = (await there)?.rows[0]?.n;
      const outcome = await outcomeOf(via);
      if (!Array.isArray(outcome)) continue;
      const records = outcome.flatMap((page) => page.records);
      const told = records.reduce((sum, record) => sum + (record.broken ? Number(record.data['count']) : 1), 0);
      expect(told).toBe(waiting);
    }
  });

  it.each([
    ['is gone', ''],
    ['lost a column', 'create table "T" ("A" timestamp, "N" text)'],
    ['has a column of another name', 'create table "T" ("a" timestamp, "b" text)'],
    [
      'is a view that divides by nothing',
      `create view "T" as select localtimestamp as "A", 1 / (n - 3) as "B", ${name} as "N" from generate_series(1, 9) n`,
    ],
    ['is a view that reads a number wrong', `create view "T" as select localtimestamp as "A", n::int as "B" from (values (${name})) v(n)`],
    ['may not be read', `create view "T" as select localtimestamp as "A", pg_read_file('/nowhere/${CANARIES[0]}') as "B"`],
    ...STATES.map((state): [string, string] => [
      `raises ${state}`,
      `create function f() returns text language plpgsql as $$ begin raise exception using errcode = '${state}', message = 'refused', detail = ${name}; end $$;
       create view "T" as select localtimestamp as "A", f() as "B"`,
    ]),
  ])('P11 that %s ends in RetryLater or StopStream', async (_what, sql) => {
    await laidOut(sql);
    expect(await outcomeOf(via)).toBeInstanceOf(Error);
  });
});

describe(`a database without an encoding (seed ${SEED})`, () => {
  const name = `hubtest_raw_${randomBytes(4).toString('hex')}`;
  const url = new URL('http://none');
  let raw: Client;
  let own: OpenConnector;
  beforeAll(async () => {
    await source.query(
      `create database ${name} template template0 encoding 'SQL_ASCII' locale_provider 'libc' lc_collate 'C' lc_ctype 'C'`,
    );
    url.href = database.url;
    url.pathname = `/${name}`;
    raw = new Client({ connectionString: url.href });
    await raw.connect();
    own = open({ databaseUrl: url.href });
  });
  afterAll(async () => {
    await own.close();
    await raw.end();
    await source.query(`drop database ${name} with (force)`);
  });

  it.each([
    ['by watermark', WATERMARK],
    ['by its flag', EXCHANGE],
  ])(`P11 ${NAMES} names of mutated bytes, read %s: a page has every row as it is, or is not given`, async (_, via) => {
    const random = randomOf(SEED, 'bytes');
    const good = Buffer.from(CANARIES[2] ?? '');
    const types = via === WATERMARK ? `"A" timestamp default now(), "B" text` : `"A" text default '0', "B" bigint`;
    await raw.query(`drop schema if exists "T" cascade; create schema "T"; create table "T"."T" (${types}, "N" text)`);
    const insert = `insert into "T"."T" ("B", "N") select n${via === WATERMARK ? '::text' : ''}, convert_from(decode(hex, 'hex'), 'SQL_ASCII')
      from unnest($1::text[]) with ordinality as b(hex, n)`;
    let stopped = 0;
    for (let n = 0; n < NAMES; n += 1) {
      const bytes = Buffer.from(mutated(good, random).bytes.filter((byte) => byte !== 0));
      await raw.query('truncate "T"."T"');
      await raw.query(insert, [[good, bytes, good].map((one) => one.toString('hex'))]);
      const outcome = await outcomeOf({ ...via, size: 10 }, own);
      const text = decoded(bytes);
      if (Array.isArray(outcome))
        expect(outcome.flatMap((page) => page.records.map(({ data }) => data['N']))).toEqual([CANARIES[2], text, CANARIES[2]]);
      else expect(outcome).toBeInstanceOf(StopStream);
      stopped += text === undefined ? 1 : 0;
      expect(Array.isArray(outcome)).toBe(text !== undefined);
    }
    expect(stopped).toBeGreaterThan(NAMES / 10);
  });
});

function decoded(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}
