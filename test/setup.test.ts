/** The tests' own tools: databases and the line that counts. */
import { describe, expect, it } from '@jest/globals';
import { Client } from 'pg';
import { emptyDatabase, freshDatabase } from './setup/database.ts';
import { describeWithRedis } from './setup/redis.ts';
import { countsLine } from './setup/reporter.ts';

async function tables(url: string): Promise<number> {
  const client = new Client({ connectionString: url });
  await client.connect();
  const sql =
    "select count(*)::int as n from pg_class where relkind in ('r', 'p') and relnamespace::regnamespace::text !~ '^(pg_|information)'";
  const { rows } = await client.query<{ n: number }>(sql);
  await client.end();
  return rows[0]?.n ?? -1;
}

describe('a database for one test file', () => {
  it('is a copy of its own, made while others are made, and leaves nothing', async () => {
    const [one, two, empty] = await Promise.all([freshDatabase(), freshDatabase(), emptyDatabase()]);
    expect(one.url).not.toBe(two.url);
    expect(await tables(one.url)).toBe(await tables(two.url));
    expect(await tables(empty.url)).toBe(0);
    await Promise.all([one.drop(), two.drop(), empty.drop()]);
    await expect(tables(one.url)).rejects.toThrow('does not exist');
  });
});

describeWithRedis('a Redis that was found', (url) => {
  it('is given to the tests by its URL', () => {
    expect(new URL(url).protocol).toBe('redis:');
  });
});

describe('the line at the end of the output', () => {
  const none = { numPassedTests: 0, numFailedTests: 0, numRuntimeErrorTestSuites: 0, numPendingTests: 0, numTodoTests: 0 };

  it.each([
    [{ numPassedTests: 3 }, '3 passed, 0 failed'],
    [{ numPassedTests: 3, numFailedTests: 1, numRuntimeErrorTestSuites: 1 }, '3 passed, 2 failed'],
    [{ numPassedTests: 3, numPendingTests: 1, numTodoTests: 1 }, '3 passed, 0 failed, 2 skipped'],
  ])('for %j reads "%s"', (some, line) => {
    expect(countsLine({ ...none, ...some })).toBe(line);
  });
});
