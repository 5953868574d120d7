/** The hub on somebody else's PostgreSQL: migrated by a user who is no superuser, and served by one who may only become what `hub_app` may. */
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { usccFor } from '../src/identity/uscc.ts';
import { ensureLogPartitions } from '../src/log/partitions.ts';
import { openLog } from '../src/log/writer.ts';
import { verifyLog } from '../src/log/verify.ts';
import { migrate } from '../src/store/migrate.ts';
import { openReader } from '../src/store/reader.ts';
import { APP, OWNER, VIEWER, WRITER } from '../src/store/roles.ts';
import { openPool, type Pool } from '../src/store/sql.ts';
import { sampleDocument, sampleEntry } from './fixtures/log-entries.ts';
import { emptyDatabase, type TestDatabase } from './setup/database.ts';
import { applyOne, MODEL, pageOf, pullStreamOf, recordOf } from './setup/store.ts';
import { grantOf } from './setup/wall.ts';
import { newKeyRing, openKeys } from '../src/store/keys.ts';

const SUFFIX = randomBytes(4).toString('hex');
const MIGRATES = `hubtest_migrates_${SUFFIX}`;
const SERVES = `hubtest_serves_${SUFFIX}`;
const PASSWORD = randomBytes(12).toString('hex');

let database: TestDatabase;
let admin: Pool;
const urlOf = (user: string): string => {
  const url = new URL(database.url);
  url.username = user;
  url.password = PASSWORD;
  return url.href;
};

beforeAll(async () => {
  database = await emptyDatabase();
  admin = openPool(database.url, { max: 1 });
  for (const user of [MIGRATES, SERVES]) await admin.query(`create role ${user} login password '${PASSWORD}'`);
  await admin.query(`alter database ${new URL(database.url).pathname.slice(1)} owner to ${MIGRATES}`);
});
afterAll(async () => {
  await admin.query(`reassign owned by ${MIGRATES} to current_user`);
  for (const user of [MIGRATES, SERVES]) await admin.query(`drop owned by ${user}`);
  for (const user of [MIGRATES, SERVES]) await admin.query(`drop role ${user}`);
  await admin.close();
  await database.drop();
});

describe('a user who is no superuser', () => {
  it('P21 is told which statements an administrator has to run, and then brings the database up to date', async () => {
    const failure = await migrate(urlOf(MIGRATES)).then(
      () => '',
      (error: Error) => error.message,
    );
    expect(failure).toContain(`the database user "${MIGRATES}" may not make the roles of the hub`);
    const statements = failure.split('\n').slice(1).join('\n');
    expect(statements).toBe(`grant ${OWNER}, ${VIEWER}, ${APP} to "${MIGRATES}";`);
    await admin.query(statements);
    expect(await migrate(urlOf(MIGRATES))).toHaveLength(1);
    expect(await migrate(urlOf(MIGRATES))).toEqual([]);
  });

  it('T13 a member of hub_app alone writes, reads behind the wall and appends to the log, and is nobody by itself', async () => {
    await admin.query(`grant ${APP} to ${SERVES}`);
    const bare = openPool(urlOf(SERVES), { max: 1 });
    const pool = openPool(urlOf(SERVES), { max: 4, role: WRITER });
    const keys = openKeys(newKeyRing());
    try {
      await ensureLogPartitions(pool, new Date(), 1);
      const code = usccFor('91430100', 'MA4L0001');
      const store = { url: urlOf(SERVES), pool, keys, drop: async () => undefined };
      const page = pageOf([recordOf('a', code, { region: '430102' })]);
      expect(await applyOne(store, pullStreamOf('credit-china/penalties'), page)).toMatchObject({ stored: 1, issues: 0 });
      const reader = openReader(pool, keys, MODEL, grantOf(MODEL, 'medical-insurance', 'credit-evaluation', '430000'));
      expect((await reader.subjectByCode(code, undefined, '2026-11-23'))?.fields['creditCode']).toBe(code);
      expect((await reader.records({}, { first: 20, after: undefined })).nodes).toHaveLength(1);
      const log = await openLog({ pool, node: 'test', suite: 'sha256', allowUnsafe: true });
      await log.append(sampleEntry(1, { document: await log.document(sampleDocument(1)) }));
      await log.close();
      expect(await verifyLog(pool)).toMatchObject({ entries: 1, verified: true });
      for (const statement of ['select from record', 'select from wall.record', 'select from query_log', `set role ${OWNER}`])
        await expect(bare.query(statement)).rejects.toMatchObject({ code: '42501' });
    } finally {
      await pool.close();
      await bare.close();
    }
  });
});
