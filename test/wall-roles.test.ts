/** The roles that the second wall stands on, and what each may do with the tables, by PostgreSQL's own privileges. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ensureLogPartitions } from '../src/log/partitions.ts';
import { APP, LOG_WRITER, OWNER, readerRole, READERS, VIEWER, WRITER } from '../src/store/roles.ts';
import { openPool, type Pool } from '../src/store/sql.ts';
import { freshDatabase, type TestDatabase } from './setup/database.ts';
import { codeOf } from './setup/wall.ts';

const DENIED = '42501';
let database: TestDatabase;
let admin: Pool;
beforeAll(async () => {
  database = await freshDatabase();
  admin = openPool(database.url, { max: 2 });
  await ensureLogPartitions(admin, new Date(), 1);
});
afterAll(async () => {
  await admin.close();
  await database.drop();
});
const as = (role: string, text: string): Promise<unknown> => codeOf(admin.read(`begin; set local role ${role}`, text));

describe('the roles', () => {
  it('T10 nobody can log in as one of them, and none of them is above the rules', async () => {
    const roles = [OWNER, VIEWER, WRITER, LOG_WRITER, APP, ...READERS.keys()];
    const { rows } = await admin.query(
      `select rolname from pg_roles where rolname = any($1) and (rolcanlogin or rolsuper or rolbypassrls or rolcreaterole or rolcreatedb)`,
      [roles],
    );
    expect(rows).toEqual([]);
    expect((await admin.query('select from pg_roles where rolname = any($1)', [roles])).rowCount).toBe(roles.length);
    expect(READERS.size).toBe(32);
  });

  it('T10 every table, view and function of the hub belongs to a role that nobody logs in as', async () => {
    const { rows } = await admin.query(
      `select c.relname from pg_class c join pg_roles r on r.oid = c.relowner join pg_namespace n on n.oid = c.relnamespace
       where n.nspname in ('public', 'wall') and c.relkind in ('r', 'p', 'v', 'S') and c.relname !~ '^migration' and r.rolname not in ('${OWNER}', '${VIEWER}')`,
    );
    expect(rows).toEqual([]);
  });

  it('T10 the query log takes new entries from its writer alone, and no role changes or deletes one', async () => {
    const [partition] = (
      await admin.query<{ name: string }>(
        `select inhrelid::regclass::text as name from pg_inherits where inhparent = 'query_log'::regclass`,
      )
    ).rows;
    const entry = `(writer, seq, at, body, hash, kind, person, person_name, document, purpose, outcome, subjects)
      select 1, 1, now(), '\\x00', '\\x00', 'query', 'p', 'n', 'd', 'x', 'answered', '{}'`;
    expect(await as(LOG_WRITER, `insert into query_log ${entry}`)).toBe('done');
    for (const role of [WRITER, VIEWER, readerRole([])])
      expect([role, await as(role, `insert into query_log ${entry}`)]).toEqual([role, DENIED]);
    for (const role of [LOG_WRITER, WRITER, VIEWER, ...READERS.keys()])
      for (const table of ['query_log', 'log_document', 'log_writer', partition?.name ?? ''])
        for (const statement of [
          `update ${table} set ${table === 'log_document' ? 'text' : table === 'log_writer' ? 'genesis' : 'body'} = null`,
          `delete from ${table}`,
          `truncate ${table}`,
        ])
          expect([role, statement, await as(role, statement)]).toEqual([role, statement, DENIED]);
    for (const role of [WRITER, LOG_WRITER]) expect(await as(role, `insert into ${partition?.name} ${entry}`)).toBe(DENIED);
    expect(await as(LOG_WRITER, 'select from record')).toBe(DENIED);
  });

  it('T13 whoever writes records cannot change tables, rules or roles', async () => {
    for (const statement of [
      'alter table record disable row level security',
      'drop policy hub_reads on record',
      'create table more (id int)',
      `grant ${OWNER} to ${WRITER}`,
      'drop trigger append_only on query_log',
      'truncate record cascade',
    ])
      expect([statement, await as(WRITER, statement)]).toEqual([statement, DENIED]);
  });
});
