import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { EntityName, EntityProperty } from '@mikro-orm/core';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ENTITIES, IssueEntity, RunEntity, StreamStateEntity } from '../src/store/entities.ts';
import { migrate } from '../src/store/migrate.ts';
import { openOrm } from '../src/store/orm.ts';
import { openPool } from '../src/store/sql.ts';
import { emptyDatabase, freshDatabase, type TestDatabase } from './setup/database.ts';
import { applyOne, inRun, MODEL, OFFICER, pageOf, pullStreamOf, recordOf, type Store } from './setup/store.ts';
import { newKeyRing, openKeys } from '../src/store/keys.ts';
import { usccFor } from '../src/identity/uscc.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
/** How PostgreSQL says in its catalog what a migration writes. */
const NAMES: Readonly<Record<string, string>> = {
  int: 'integer',
  timestamptz: 'timestamp with time zone',
  varchar: 'character varying',
  'bytea[]': 'ARRAY',
};

let database: TestDatabase;
let orm: Awaited<ReturnType<typeof openOrm>>;
let store: Store;
beforeAll(async () => {
  database = await freshDatabase();
  orm = await openOrm(database.url);
  const pool = openPool(database.url, { max: 2 });
  const drop = async () => {
    await pool.close();
    await database.drop();
  };
  store = { url: database.url, pool, keys: openKeys(newKeyRing()), drop };
});
afterAll(async () => {
  await orm.close(true);
  await store.drop();
});

describe('entities and migrations', () => {
  it.each(ENTITIES.map((entity) => [entity.meta.tableName, entity] as const))(
    'P21 agree on the columns of %s: names, types, and what may be missing',
    async (table, entity) => {
      const { rows } = await store.pool.query<{ column_name: string; data_type: string; is_nullable: string }>(
        `select column_name, data_type, is_nullable from information_schema.columns where table_schema = 'public' and table_name = $1`,
        [table],
      );
      const columns = rows.map((c) => [c.column_name, c.data_type, c.is_nullable === 'YES']);
      const properties = Object.values<EntityProperty>(orm.getMetadata().get(entity as EntityName<object>).properties).map((p) => {
        const type = (p.columnTypes[0] ?? '').replace(/\(.*\)/, '');
        return [p.fieldNames[0], NAMES[type] ?? type, p.nullable ?? false];
      });
      expect(properties.toSorted()).toEqual(columns.toSorted());
      expect(columns.length).toBeGreaterThan(3);
    },
  );

  it('P21 runs, issues and streams can be read as entities', async () => {
    const stream = pullStreamOf('credit-china/penalties');
    const issue = { rule: 'bad-date', at: 'row 2', place: 'D', reason: '日期无效', refused: true, raw: { D: 'x' } };
    const page = pageOf([recordOf('a', usccFor('91430100', 'MA4L0001'))], { issues: [issue], cursor: { page: 2 } });
    await applyOne(store, stream, page);
    await inRun(store, stream, async () => undefined);
    const em = orm.em.fork();
    const runs = await em.find(RunEntity, { connector: 'credit-china', stream: 'penalties' }, { orderBy: { id: 'asc' } });
    expect(runs.map((r) => [r.state, r.taken, r.stored, r.issues, r.officerName])).toEqual([
      ['done', 2, 1, 1, OFFICER.name],
      ['done', 0, 0, 0, OFFICER.name],
    ]);
    expect(runs[0]?.startedAt).toBeInstanceOf(Date);
    const [found] = await em.find(IssueEntity, { state: 'open' });
    expect(found).toMatchObject({ rule: 'bad-date', place: 'D', seen: 1, refused: true, firstRun: runs[0]?.id });
    expect(Buffer.from(found?.fingerprint ?? []).length).toBeGreaterThan(0);
    const states = await em.find(StreamStateEntity, {});
    expect(states).toMatchObject([{ connector: 'credit-china', stream: stream.id, cursor: { page: 2 }, paused: false }]);
    expect(MODEL.connectors.has(states[0]?.connector ?? '')).toBe(true);
  });
});

describe('migrating', () => {
  let empty: TestDatabase;
  beforeAll(async () => {
    empty = await emptyDatabase();
  });
  afterAll(() => empty.drop());

  it('P21 two processes at once make the schema once, and both succeed', async () => {
    const results = await Promise.all([hubMigrate(empty.url), hubMigrate(empty.url)]);
    expect(results.map((r) => [r.code, r.err])).toEqual([
      [0, expect.any(String)],
      [0, expect.any(String)],
    ]);
    expect(results.map((r) => r.out.split(':')[0]?.trim()).toSorted()).toEqual(['done', 'the database is up to date']);
  });

  it('P21 a second time changes nothing', async () => {
    expect(await migrate(empty.url)).toEqual([]);
    expect(await tablesOf(empty.url)).toEqual(await tablesOf(database.url));
  });
});

async function tablesOf(url: string): Promise<unknown[]> {
  const pool = openPool(url, { max: 1 });
  try {
    const { rows } = await pool.query(
      `select table_name, column_name, data_type from information_schema.columns
       where table_schema = 'public' and table_name not like 'query\\_log\\_%' order by 1, 2`,
    );
    return rows;
  } finally {
    await pool.close();
  }
}

async function hubMigrate(url: string): Promise<{ code: number | null; out: string; err: string }> {
  const args = ['--disable-warning=ExperimentalWarning', '--import', './scripts/ts-hook.mjs', 'src/main.ts', 'migrate'];
  const env = { PATH: process.env['PATH'], DATABASE_URL: url };
  const child = spawn(process.execPath, args, { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'], env });
  const said = { out: '', err: '' };
  child.stdout.on('data', (chunk: Buffer) => (said.out += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (said.err += chunk.toString()));
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, ...said };
}
