import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { decode } from '../src/log/canonical.ts';
import { ensureLogPartitions } from '../src/log/partitions.ts';
import { verifyLog } from '../src/log/verify.ts';
import type { QueryLog, Receipt } from '../src/log/writer.ts';
import { LogUnavailable, openLog } from '../src/log/writer.ts';
import type { Dedicated, Pool } from '../src/store/sql.ts';
import { sampleDocument, sampleEntry } from './fixtures/log-entries.ts';
import type { LogDatabase } from './setup/log.ts';
import { fill, logDatabase, put, sound } from './setup/log.ts';

let database: LogDatabase;
let pool: Pool;
let open: LogDatabase['open'];
let tamper: LogDatabase['tamper'];
let partition: string;

beforeAll(async () => {
  database = await logDatabase();
  ({ pool, open, tamper, partition } = database);
});
afterAll(() => database.drop());
beforeEach(() => database.clear());

async function storedIds(): Promise<Set<string>> {
  const { rows } = await pool.query<{ id: string }>(`select writer || '-' || seq as id from query_log`);
  return new Set(rows.map((row) => row.id));
}

function isAway(log: QueryLog): boolean {
  try {
    log.check();
    return false;
  } catch {
    return true;
  }
}

const logSession = `pid in (select pid from pg_stat_activity where application_name like 'hub-log %' and datname = current_database())`;

describe('appending to the query log', () => {
  it('P1 HN-23.2 resolves only when the entry can be read by everybody, with who, when, what and why', async () => {
    const log = await open();
    const document = await log.document(sampleDocument(1));
    const entry = sampleEntry(1, { document });
    const receipt = await log.append(entry);
    const { rows } = await pool.query<Record<string, unknown> & { body: Buffer; hash: Buffer }>('select * from query_log');
    expect(rows).toHaveLength(1);
    expect(rows[0]).toMatchObject({
      writer: receipt.writer,
      seq: receipt.seq,
      at: receipt.at,
      person: entry.person.id,
      person_name: entry.person.name,
      document,
      purpose: entry.purpose.code,
      subjects: entry.subjects,
    });
    expect(rows[0]?.hash.toString('hex')).toBe(receipt.hash);
    expect(decode(rows[0]!.body)).toEqual({ entry, at: new Date(receipt.at) });
    expect(receipt.id).toBe(`${receipt.writer}-1`);
    await log.close();
  });

  it('P1 flushes every commit although server, database and role default to not waiting', async () => {
    await pool.query(`do $$ begin execute format('alter database %I set synchronous_commit = off', current_database()); end $$`);
    const sessions: Dedicated[] = [];
    const watched: Pool = { ...pool, dedicated: async () => (sessions[sessions.length] = await pool.dedicated()) };
    const log = await open({ pool: watched });
    const { rows } = await sessions[0]!.query<{ synchronous_commit: string }>('show synchronous_commit');
    expect(rows[0]?.synchronous_commit).toBe('on');
    await log.close();
  });

  it('P8 does not open on a server that would lose commits in a power cut', async () => {
    const { rows } = await pool.query<{ fsync: string }>('show fsync');
    const opening = openLog({ pool, node: 'test', suite: 'sha256' });
    if (rows[0]?.fsync === 'off') {
      await expect(opening).rejects.toThrow('fsync = off');
    } else {
      await (await opening).close();
    }
  });

  it.each(['sha256', 'sm3'] as const)('P3 gives 64 concurrent callers one dense chain (%s)', async (suite) => {
    const log = await open({ suite });
    const receipts = await fill(log, 64);
    expect(receipts.map((receipt) => receipt.seq).sort((a, b) => a - b)).toEqual(Array.from({ length: 64 }, (_, n) => n + 1));
    expect(await verifyLog(pool, { batch: 10 })).toEqual(sound(64));
    await log.close();
    expect(await verifyLog(pool)).toEqual(sound(64));
  });

  it('P3 gives each process a chain of its own, closed or not', async () => {
    const logs = await Promise.all([open(), open({ suite: 'sm3' }), open()]);
    await Promise.all(logs.map((log) => fill(log, 20)));
    await logs[0].close();
    await logs[0].close();
    expect(new Set(logs.map((log) => log.writer)).size).toBe(3);
    expect(await verifyLog(pool)).toEqual(sound(60, 3));
    await Promise.all(logs.map((log) => log.close()));
    expect(await verifyLog(pool, { batch: 7 })).toEqual(sound(60, 3));
  });

  it('P2 reads the entry when it is given and takes any text a caller can send', async () => {
    const log = await open();
    const entry = sampleEntry(0, { document: '', client: 'x\0y', purpose: { code: 'a\0b', basis: '\ud800', case: null } });
    const appended = log.append(entry);
    entry.person.name = 'another';
    await appended;
    await expect(log.append(sampleEntry(1, { rows: 0.5 }))).rejects.toThrow(RangeError);
    expect(await verifyLog(pool)).toEqual(sound(1));
    await log.close();
  });

  it('P16 writes what waits before it closes, then takes no more', async () => {
    const log = await open({ maxBatch: 3 });
    const document = await log.document(sampleDocument(0));
    const appended = Array.from({ length: 10 }, (_, n) => log.append(sampleEntry(n, { document })));
    await log.close();
    expect((await Promise.all(appended)).map((receipt) => receipt.seq)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    await expect(log.append(sampleEntry(1))).rejects.toThrow(LogUnavailable);
    expect(await verifyLog(pool)).toEqual(sound(10));
  });
});

describe('a log that cannot be written', () => {
  it('P1 refuses the entry when there is no partition for its month, and loses nothing before or after', async () => {
    const log = await open();
    await fill(log, 3);
    await pool.query(`alter table query_log detach partition ${partition}`);
    await expect(log.append(sampleEntry(3))).rejects.toThrow(LogUnavailable);
    const [year, month] = new Date().toISOString().split('-').map(Number);
    const bounds = [0, 1].map((ahead) => new Date(Date.UTC(year!, month! - 1 + ahead)).toISOString());
    await pool.query(`alter table query_log attach partition ${partition} for values from ('${bounds[0]}') to ('${bounds[1]}')`);
    await fill(log, 6, 3);
    await log.close();
    expect(await verifyLog(pool)).toEqual(sound(6));
  });

  it('P1 gives up at the deadline while the table is locked, and goes on when it is free', async () => {
    const log = await open({ deadlineMs: 300 });
    await fill(log, 2);
    await pool.transaction(async (sql) => {
      await sql.query('lock table query_log in exclusive mode');
      const outcomes = await Promise.allSettled([1, 2, 3].map((n) => log.append(sampleEntry(n))));
      expect(outcomes.map((outcome) => outcome.status === 'rejected' && outcome.reason instanceof LogUnavailable)).toEqual([
        true,
        true,
        true,
      ]);
    });
    while (isAway(log)) await new Promise((resolve) => setTimeout(resolve, 20));
    const receipts = await fill(log, 4);
    const ids = await storedIds();
    expect(receipts.every((receipt) => ids.has(receipt.id))).toBe(true);
    await log.close();
    expect((await verifyLog(pool)).faults).toEqual([]);
  });

  it('P1 answers nothing that is not stored, and forks nothing, when its connection is killed under load', async () => {
    const log = await open();
    const answered: Receipt[] = [];
    const stopping = new AbortController();
    const stop = stopping.signal;
    const callers = Array.from({ length: 16 }, async (_, caller) => {
      for (let n = caller; !stop.aborted; n += 16) {
        try {
          answered.push(await put(log, n));
        } catch (error) {
          expect(error).toBeInstanceOf(LogUnavailable);
          await new Promise((resolve) => setTimeout(resolve, 5));
        }
      }
    });
    let killed = 0;
    for (let before = 0; killed < 8; before = answered.length) {
      // Only where entries are on their way is there anything to lose.
      while (answered.length < before + 32) await new Promise((resolve) => setTimeout(resolve, 5));
      const { rows } = await pool.query<{ dead: boolean }>(
        `select pg_terminate_backend(pid) as dead from pg_stat_activity where ${logSession}`,
      );
      killed += rows.length;
    }
    stopping.abort();
    await Promise.all(callers);
    const ids = await storedIds();
    expect(answered.filter((receipt) => !ids.has(receipt.id))).toEqual([]);
    await log.close();
    expect((await verifyLog(pool)).faults).toEqual([]);
  });

  it('P1 takes an entry as stored when the server committed it but its answer was lost', async () => {
    let cut = false;
    const cutting: Pool = {
      ...pool,
      async dedicated() {
        const real = await pool.dedicated();
        return {
          query: async (text, values) => {
            const result = await real.query<never>(text, values);
            if (!cut || !text.startsWith('insert into query_log')) return result;
            cut = false;
            real.release();
            throw Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' });
          },
          transaction: (work) => real.transaction(work),
          listen: (channel, heard) => real.listen(channel, heard),
          release: () => real.release(),
          lost: real.lost,
          get alive() {
            return real.alive;
          },
        };
      },
    };
    const log = await open({ pool: cutting });
    await fill(log, 2);
    cut = true;
    const receipts = await fill(log, 5, 2);
    expect(receipts.map((receipt) => receipt.seq).sort()).toEqual([3, 4, 5]);
    await log.close();
    expect(await verifyLog(pool)).toEqual(sound(5));
  });

  it('P3 stops for good when what it confirmed is no longer there', async () => {
    const log = await open();
    await fill(log, 5);
    await tamper('delete from query_log where seq = 5');
    await pool.query(`select pg_terminate_backend(pid) from pg_stat_activity where ${logSession}`);
    await expect(log.append(sampleEntry(6))).rejects.toThrow('stands at 5 but 4 is stored');
    await expect(log.append(sampleEntry(7))).rejects.toThrow(LogUnavailable);
    await log.close();
    expect((await verifyLog(pool)).faults).toEqual([{ writer: log.writer, seq: 0, what: 'the chain does not end where it was closed' }]);
  });
});

describe('the partitions of the query log', () => {
  it('P17 are made by the month in UTC, ahead, once, and by one process at a time', async () => {
    const now = new Date('2030-11-30T23:30:00Z');
    const made = await Promise.all([1, 2, 3].map(() => ensureLogPartitions(pool, now, 2)));
    expect(made.flat()).toEqual(['query_log_2030_11', 'query_log_2030_12', 'query_log_2031_01']);
    expect(await ensureLogPartitions(pool, now, 3)).toEqual(['query_log_2031_02']);
    await expect(pool.query('truncate query_log_2030_12')).rejects.toThrow('append-only');
  });
});
