/** P14: `hub documents` as an operator runs it. */
import { expect, it } from '@jest/globals';
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { decode } from '../src/log/canonical.ts';
import { newKeyRing } from '../src/store/keys.ts';
import { openPool } from '../src/store/sql.ts';
import { freshDatabase } from './setup/database.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const FIND = 'query Find($code: String!) { subject(code: $code) { name } }\n';
const HASH = createHash('sha256').update(FIND).digest('hex');

it('P14 registers, lists and withdraws a document, each under a name in the query log', async () => {
  const database = await freshDatabase();
  const folder = await mkdtemp(join(tmpdir(), 'credit-hub-documents-'));
  const env = { PATH: process.env['PATH'], DATABASE_URL: database.url, HUB_KEYS: newKeyRing(), HUB_DATA: folder, HUB_TEST_UNSAFE: 'yes' };
  const documents = async (...args: string[]): Promise<string> => {
    const options = ['--disable-warning=ExperimentalWarning', '--import', './scripts/ts-hook.mjs', 'src/main.ts', 'documents'];
    const run = promisify(execFile)(process.execPath, [...options, ...args, '--id', 'o-7', '--name', '赵敏'], { cwd: root, env });
    return run.then(
      ({ stdout }) => stdout,
      (error: { code: number; stderr: string }) => `exit ${error.code}: ${error.stderr}`,
    );
  };
  const pool = openPool(database.url);
  try {
    const file = join(folder, 'find.graphql');
    await writeFile(file, FIND);
    const health = ['--department', 'health'];
    expect(await documents('register', file, ...health, '--purpose', 'credit-evaluation')).toBe(`${HASH}\n`);
    expect(await documents('register', file, ...health, '--purpose', 'fund-payment')).toMatch(/^exit 1: .*授权/);
    const listed = { hash: HASH, department: 'health', role: '', purpose: 'credit-evaluation', operation: 'Find' };
    expect(JSON.parse(await documents('list'))).toEqual(listed);
    expect(await documents('withdraw', HASH, ...health)).toBe('');
    expect(await documents('withdraw', HASH, ...health)).toMatch(/^exit 1: health has no document/);
    expect(await documents('list')).toBe('');
    const { rows } = await pool.query<{ body: Buffer }>('select body from query_log order by at');
    const entries = rows.map(({ body }) => decode(body).entry);
    expect(entries.map(({ kind, person, purpose }) => [kind, person.id, purpose.basis?.split(' ')[1]])).toEqual(
      ['register', 'register', 'list', 'withdraw', 'withdraw', 'list'].map((what) => ['admin', 'o-7', what]),
    );
  } finally {
    await pool.close();
    await database.drop();
    await rm(folder, { recursive: true, force: true });
  }
}, 300_000);
