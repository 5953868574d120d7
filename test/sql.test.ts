import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Pool } from '../src/store/sql.ts';
import { openPool } from '../src/store/sql.ts';
import { isUnavailable } from '../src/store/unavailable.ts';
import type { TestDatabase } from './setup/database.ts';
import { emptyDatabase } from './setup/database.ts';

let database: TestDatabase;
let pool: Pool;

beforeAll(async () => {
  database = await emptyDatabase();
  pool = openPool(database.url, { max: 2, applicationName: 'sql test', statementTimeoutMs: 5000 });
  await pool.query('create table item (id int primary key)');
});

afterAll(async () => {
  await pool.close();
  await database.drop();
});

const items = async (): Promise<number[]> =>
  (await pool.query<{ id: number }>('select id from item order by id')).rows.map((row) => row.id);

async function errorOf(work: Promise<unknown>): Promise<unknown> {
  try {
    await work;
  } catch (error) {
    return error;
  }
  throw new Error('expected a rejection');
}

describe('values from PostgreSQL', () => {
  it('are instants in UTC, calendar dates, safe numbers and bytes', async () => {
    const { rows } = await pool.query(`
      select '2026-03-04 20:00:00+08'::timestamptz as whole, '2026-03-04 12:00:00.123456Z'::timestamptz as micro, '2026-03-04'::date as day,
             9007199254740991::bigint as safe, 9223372036854775807::bigint as large, '\\x00ff'::bytea as bytes, 'infinity'::timestamptz as never,
             array['2026-03-04'::date, null] as days, array[1, null]::bigint[] as numbers, array['2026-03-04 12:00Z'::timestamptz] as instants`);
    expect(rows).toEqual([
      {
        whole: '2026-03-04T12:00:00.000Z',
        micro: '2026-03-04T12:00:00.123456Z',
        day: '2026-03-04',
        safe: 9007199254740991,
        large: 9223372036854775807n,
        bytes: Buffer.of(0, 255),
        never: 'infinity',
        days: ['2026-03-04', null],
        numbers: [1, null],
        instants: ['2026-03-04T12:00:00.000Z'],
      },
    ]);
  });
});

describe('a transaction', () => {
  it('keeps all or nothing, and an inner one that failed leaves the outer one whole', async () => {
    await pool.query('delete from item');
    await pool.transaction(async (sql) => {
      await sql.query('insert into item values (1)');
      await expect(sql.transaction((inner) => inner.query('insert into item values (2), (1)'))).rejects.toThrow('duplicate');
      await sql.transaction((inner) => inner.query('insert into item values (3)'));
    });
    await expect(
      pool.transaction(async (sql) => {
        await sql.query('insert into item values (4)');
        throw new Error('no');
      }),
    ).rejects.toThrow('no');
    expect(await items()).toEqual([1, 3]);
  });

  it('does not report success when an error inside was swallowed', async () => {
    await pool.query('delete from item');
    const swallowing = pool.transaction(async (sql) => {
      await sql.query('insert into item values (1)');
      await sql.query('insert into item values (1)').catch(() => 'swallowed');
    });
    await expect(swallowing).rejects.toThrow('rolled back');
    expect(await items()).toEqual([]);
  });
});

describe('a connection that is lost', () => {
  it('P18 is told as unavailable, and the pool goes on', async () => {
    const killed = pool.query('select pg_terminate_backend(pg_backend_pid())');
    expect(isUnavailable(await errorOf(killed))).toBe(true);
    expect((await pool.query<{ one: number }>('select 1 as one')).rows).toEqual([{ one: 1 }]);
  });

  it('P18 shows on a dedicated connection, which ends at once when released', async () => {
    const own = await pool.dedicated();
    expect(own.alive).toBe(true);
    const waiting = own.query('select pg_sleep(4)');
    own.release();
    expect(isUnavailable(await errorOf(waiting))).toBe(true);
    expect(own.alive).toBe(false);
  });

  it('P18 is told apart from a wrong statement, also when wrapped', async () => {
    const nowhere = openPool('postgres://nobody@127.0.0.1:1/none');
    const refused = await errorOf(nowhere.query('select 1'));
    await nowhere.close();
    expect(isUnavailable(refused)).toBe(true);
    expect(isUnavailable(new Error('wrapped', { cause: refused }))).toBe(true);
    expect(isUnavailable(await errorOf(pool.query('select nothing')))).toBe(false);
    for (const code of ['57P01', '08006', '53100', '53300', '25006', '57014'])
      expect(isUnavailable(Object.assign(new Error(code), { code }))).toBe(true);
    for (const code of ['23505', '42501']) expect(isUnavailable(Object.assign(new Error(code), { code }))).toBe(false);
  });
});
