/** P4: old months of the log go under the rule or not unseen. The server's clock is the test's. */
import { appendFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { verifyArchive } from '../src/log/archive.ts';
import { closeMonths } from '../src/log/closing.ts';
import { boundsOf, nextMonth } from '../src/log/months.ts';
import { ensureLogPartitions } from '../src/log/partitions.ts';
import { executePruning, preparePruning, type PruneRule } from '../src/log/prune.ts';
import { type Approval, approve } from '../src/log/prune-record.ts';
import { seal } from '../src/log/seal.ts';
import { type Verification, verifyLog } from '../src/log/verify.ts';
import type { QueryLog } from '../src/log/writer.ts';
import type { Sql } from '../src/store/sql.ts';
import type { LogDatabase } from './setup/log.ts';
import { fill, logDatabase, logKey } from './setup/log.ts';

const FIRST = '2023-01';
const MONTHS = 40;
const { signer, key } = logKey();
const [one, two, stranger] = [logKey(), logKey(), logKey()];
const rule: PruneRule = {
  keepMonths: 36,
  officers: [
    { id: 'o-1', name: '张三', key: one.key },
    { id: 'o-2', name: '李四', key: two.key },
  ],
};
let database: LogDatabase;
let folder: string;
let log: QueryLog;
let statement: string;
const both = (): Approval[] => [approve(statement, 'o-1', one.signer), approve(statement, 'o-2', two.signer)];

const setClock = (at: Date) => database.pool.query('update test_clock set at = $1', [at.toISOString()]);
const sealing = { signer, suite: 'sha256' as const };
const verify = (sql: Sql = database.pool): Promise<Verification> => verifyLog(sql, { keys: [key], pruning: rule });
const prepare = (before: string) => preparePruning(database.pool, before, folder, signer, rule);

beforeAll(async () => {
  database = await logDatabase({ clock: true });
  folder = await mkdtemp(join(tmpdir(), 'credit-hub-archive-'));
  const { pool } = database;
  const { start } = boundsOf(FIRST);
  await setClock(start);
  await ensureLogPartitions(pool, start, MONTHS);
  const early = await database.open();
  log = await database.open();
  let month = FIRST;
  for (let n = 0; n < MONTHS; n++, month = nextMonth(month)) {
    const { start: begin, end } = boundsOf(month);
    await setClock(new Date(begin.getTime() + 10 * 86_400_000));
    await fill(log, 4);
    // One writer ends in the first month, which is pruned; one month has no entries of the other.
    if (n === 0) {
      await fill(early, 3);
      await early.close();
    }
    await seal(pool, sealing);
    await setClock(new Date(end.getTime() + 6 * 60_000));
    await seal(pool, { ...sealing, everyWriter: true });
    await closeMonths(pool, sealing);
  }
}, 300_000);
afterAll(async () => {
  await log?.close().catch(() => undefined);
  await database?.drop();
  if (folder) await rm(folder, { recursive: true, force: true });
});

class Undo extends Error {}

/** What the verifier says after a hand with all rights did something, which is taken back. */
async function after(work: (sql: Sql) => Promise<unknown>): Promise<Verification> {
  let result: Verification | undefined;
  const undo = new Undo();
  await database.pool
    .transaction(async (sql) => {
      await sql.query('set local session_replication_role = replica');
      await work(sql);
      result = await verify(sql);
      throw undo;
    })
    .catch((error: unknown) => {
      if (error !== undo) throw error;
    });
  return result!;
}

const dropMonth = (month: string) => (sql: Sql) => sql.query(`drop table query_log_${month.replace('-', '_')}`);

describe('the months of the query log', () => {
  it('P4 are closed one by one when they are over, each with every chain’s head', async () => {
    const { rows } = await database.pool.query<{ month: string }>('select month from log_checkpoint where month is not null order by n');
    expect(rows).toHaveLength(MONTHS);
    expect([rows[0]?.month, rows.at(-1)?.month]).toEqual([FIRST, '2026-04']);
    expect(await verify()).toMatchObject({ verified: true, faults: [], entries: 4 * MONTHS + 3 });
  });

  it('P4 that somebody drops by hand are missed', async () => {
    const { verified, faults } = await after(dropMonth(FIRST));
    expect(verified).toBe(false);
    expect(faults[0]?.what).toContain('missing');
  });

  it('P4 are not pruned before three years are over, whatever the rule says', async () => {
    await expect(prepare('2023-06')).rejects.toThrow('2023-05 is kept until 2026-06-01');
    await expect(preparePruning(database.pool, '2023-06', folder, signer, { ...rule, keepMonths: 1 })).rejects.toThrow('is kept until');
    await expect(prepare('2023-01')).rejects.toThrow('no month before');
  });

  it('P4 are archived, signed, and the archive is verified with public keys alone', async () => {
    const prepared = await prepare('2023-04');
    statement = JSON.stringify(prepared);
    expect(prepared.archives.map(({ month, rows }) => [month, rows])).toEqual([
      ['2023-01', 7],
      ['2023-02', 4],
      ['2023-03', 4],
    ]);
    for (const { file, rows } of prepared.archives) expect(await verifyArchive(join(folder, file), [key])).toBe(rows);
    await expect(verifyArchive(join(folder, prepared.archives[0]!.file), [stranger.key])).rejects.toThrow(
      'no known key has signed the archive',
    );
  });

  it('P4 stay while fewer than two officers approved exactly this, or an archive is another', async () => {
    const { pool } = database;
    const execute = (approvals: Approval[], text = statement, where = folder) => executePruning(pool, log, text, approvals, where, rule);
    const [first, second] = both();
    const bad: Approval[][] = [
      [],
      [first!],
      [first!, first!],
      [first!, { ...first!, officer: 'o-2' }],
      [first!, approve(statement, 'o-2', stranger.signer)],
      [first!, approve(`${statement} `, 'o-2', two.signer)],
    ];
    for (const approvals of bad) await expect(execute(approvals)).rejects.toThrow('it is not approved by two officers');
    await expect(execute(both(), '{}')).rejects.toThrow('no statement');
    await expect(execute(both(), statement, tmpdir())).rejects.toThrow('is not there');
    expect(second).toBeDefined();
    expect((await verify()).entries).toBe(4 * MONTHS + 3);
  });

  it('P4 go under the rule: the record is logged first, and the rest verifies from where they were closed', async () => {
    const receipt = await executePruning(database.pool, log, statement, both(), folder, rule);
    const rest = 4 * MONTHS + 3 - 15 + 1;
    expect(await verify()).toMatchObject({ verified: true, faults: [], entries: rest });
    await seal(database.pool, sealing);
    await fill(log, 2);
    expect(await verify()).toMatchObject({ verified: true, faults: [], entries: rest + 2 });
    const { rows } = await database.pool.query<{ person_name: string; kind: string }>(
      'select person_name, kind from query_log where writer = $1 and seq = $2',
      [receipt.writer, receipt.seq],
    );
    expect(rows).toEqual([{ person_name: '张三', kind: 'admin' }]);
  });

  it('P4 and the verifier misses them when it knows no officers, or when the next month is dropped by hand too', async () => {
    expect((await verifyLog(database.pool, { keys: [key] })).verified).toBe(false);
    const { verified, faults } = await after(dropMonth('2023-04'));
    expect(verified).toBe(false);
    expect(faults[0]?.what).toContain('missing');
  });

  it('P4 and a record that is altered, taken away or made before its date is reported', async () => {
    const of = `(select document from query_log where purpose = 'log-pruning')`;
    const changes: [string, string][] = [
      [`update log_document set text = replace(text, '2023-03', '2023-05') where hash = ${of}`, 'a pruning: '],
      [`delete from log_document where hash = ${of}`, 'a pruning: it cannot be read'],
      [`delete from query_log where purpose = 'log-pruning'`, 'missing'],
      [`update query_log set at = at - interval '40 days' where purpose = 'log-pruning'`, 'the column at is not what the entry says'],
    ];
    for (const [change, what] of changes) {
      const { verified, faults } = await after((sql) => sql.query(change));
      expect([change, verified]).toEqual([change, false]);
      expect(faults.map((fault) => fault.what)).toContainEqual(expect.stringContaining(what));
    }
    const early = await verifyLog(database.pool, { keys: [key], pruning: { ...rule, keepMonths: 60 } });
    expect(early.faults[0]?.what).toBe('a pruning: it came before the retention was over');
  });

  it('P4 and an archive that is changed is told from what was signed', async () => {
    const { archives } = JSON.parse(statement) as { archives: { file: string }[] };
    const path = join(folder, archives[1]!.file);
    await appendFile(path, 'x');
    await expect(verifyArchive(path, [key])).rejects.toThrow('the archive is not what was signed');
  });
});
