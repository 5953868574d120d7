/** P3: seventeen ways to change the past, each at sixty random places (`HUB_SEED` repeats a run), and verifiers that are broken on purpose. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { proveReceipt, signReceipt, type SignedReceipt } from '../src/log/receipt.ts';
import { seal } from '../src/log/seal.ts';
import type { VerifyOptions } from '../src/log/verify.ts';
import { verifyLog } from '../src/log/verify.ts';
import type { WitnessView } from '../src/log/verify-checkpoints.ts';
import { openWitness } from '../src/log/witness.ts';
import type { QueryLog } from '../src/log/writer.ts';
import type { Sql } from '../src/store/sql.ts';
import type { LogDatabase } from './setup/log.ts';
import { fill, logDatabase, logKey, sound } from './setup/log.ts';
import { picker, snapshot, type Snapshot, TAMPERING } from './setup/tamper.ts';
import { SEED } from './setup/seed.ts';

const INSTANCES = 60;
const OF_A_MUTANT = 8;
/** Entries after the last checkpoint. */
const TAIL = 15;

const { signer, key } = logKey();
const other = logKey();
const receiptKey = logKey();
let database: LogDatabase;
let folder: string;
let log: Snapshot;
let witness: WitnessView;
let open: QueryLog;
const receipts: SignedReceipt[] = [];

beforeAll(async () => {
  database = await logDatabase();
  const { pool } = database;
  const logs = await Promise.all([database.open(), database.open(), database.open()]);
  open = logs[2]!;
  for (let round = 0; round < 8; round++) {
    for (const [index, one] of logs.entries()) await fill(one, round * 6 + 5 - index, round * 6);
    await seal(pool, { signer, suite: 'sha256', maxRows: 1000 });
  }
  await Promise.all(logs.slice(0, 2).map((one) => one.close()));
  receipts.push(...(await fill(open, 100 + TAIL, 100)).map((receipt) => signReceipt(receipt, receiptKey.signer)));
  log = await snapshot(pool);
  folder = await mkdtemp(join(tmpdir(), 'credit-hub-witness-'));
  const held = openWitness(folder, [key], () => new Date());
  const { rows } = await pool.query<{ body: Buffer; key: string; signature: Buffer }>(
    'select body, key, signature from log_checkpoint order by n',
  );
  held.take(rows);
  witness = {
    latest: held.latest,
    hashes: async (from, to) => new Map(held.hashes(from, to).map(({ n, hash }) => [n, hash.toString('hex')])),
  };
});
afterAll(async () => {
  await open?.close().catch(() => undefined);
  await database?.drop();
  if (folder) await rm(folder, { recursive: true, force: true });
});

class Undo extends Error {}

/** What `look` finds after one tampering, which is taken back. */
async function tampered<T>(kind: string, instance: number, look: (sql: Sql) => Promise<T>): Promise<T> {
  let result: T | undefined;
  const undo = new Undo();
  await database.pool
    .transaction(async (sql) => {
      await sql.query('set local session_replication_role = replica');
      await TAMPERING[kind]!({ sql, log, pick: picker(SEED + instance * 7919), stolen: signer, other: other.signer });
      result = await look(sql);
      throw undo;
    })
    .catch((error: unknown) => {
      if (error !== undo) throw error;
    });
  return result!;
}

/** The instances, of so many, in which a verifier finds nothing. */
async function missed(kind: string, instances: number, options: VerifyOptions, before?: (sql: Sql) => Promise<unknown>): Promise<number[]> {
  const unseen: number[] = [];
  for (let instance = 0; instance < instances; instance++) {
    const { verified } = await tampered(kind, instance, async (sql) => {
      await before?.(sql);
      return verifyLog(sql, options);
    });
    if (verified) unseen.push(instance);
  }
  return unseen;
}

const UNSEALED = 'cut the unsealed tail';
const KINDS = Object.keys(TAMPERING);
const every = (instances: number): number[] => Array.from({ length: instances }, (_, instance) => instance);

describe(`the past of the query log (HUB_SEED=${SEED})`, () => {
  it('P3 there are seventeen ways to change it, and the log that nobody touched verifies', async () => {
    expect(KINDS).toHaveLength(17);
    const verification = await verifyLog(database.pool, { keys: [key], witness });
    expect(verification).toEqual(sound(log.rows.length, 3, { checkpoints: 8, sealed: log.rows.length - TAIL }));
    expect(await tampered('drop a checkpoint', 0, async () => true)).toBe(true);
    expect(await verifyLog(database.pool, { keys: [key], witness })).toEqual(verification);
  });

  it.each(KINDS.filter((kind) => kind !== UNSEALED))(`P3 cannot be changed unseen: %s, ${INSTANCES} times`, async (kind) => {
    expect(await missed(kind, INSTANCES, { keys: [key], witness })).toEqual([]);
  });

  it(`P3 ${UNSEALED}: the log cannot tell, the receipts do, ${INSTANCES} times`, async () => {
    expect(await missed(UNSEALED, INSTANCES, { keys: [key], witness })).toEqual(every(INSTANCES));
    for (let instance = 0; instance < INSTANCES; instance++) {
      const lost = await tampered(UNSEALED, instance, async (sql) => {
        const { rows } = await sql.query<{ last: number }>('select max(seq) as last from query_log where writer = $1', [open.writer]);
        const gone = receipts.filter(({ seq }) => seq > rows[0]!.last);
        const shown = await Promise.all(gone.map(async (receipt) => (await proveReceipt(sql, receipt)).stored));
        return { gone: gone.length, shown };
      });
      expect(lost.gone).toBeGreaterThan(0);
      expect(lost.shown).not.toContain(true);
    }
  });

  it('P3 the first entry at fault is named', async () => {
    for (let instance = 0; instance < 20; instance++) {
      const { changed, fault } = await tampered('delete from the middle', instance, async (sql) => {
        const left = new Set((await snapshot(sql)).rows.map(({ writer, seq }) => `${writer}-${seq}`));
        const { faults } = await verifyLog(sql, { keys: [key], witness });
        return { changed: log.rows.filter(({ writer, seq }) => !left.has(`${writer}-${seq}`)), fault: faults[0]! };
      });
      // A gap is reported at the entry after it.
      expect([fault.writer, fault.seq]).toEqual([changed[0]!.writer, changed.at(-1)!.seq + 1]);
    }
  });
});

describe('a verifier that is broken on purpose misses what the table of the design says, so the test above can fail', () => {
  const TAKEN_BACK = ['cut the sealed tail and its checkpoints', 'restore an old backup'];
  const STOLEN = 'edit, make the chain anew and sign with the stolen key';
  const OTHER_KEY = 'edit, make the chain anew and sign with another key';

  it.each([...TAKEN_BACK, STOLEN])('P3 without the witness: %s', async (kind) => {
    expect(await missed(kind, OF_A_MUTANT, { keys: [key] })).toEqual(every(OF_A_MUTANT));
  });

  it('P3 without signatures and witness: whoever signs with another key', async () => {
    expect(await missed(OTHER_KEY, OF_A_MUTANT, {})).toEqual(every(OF_A_MUTANT));
  });

  it.each([
    'delete and make the chain anew',
    OTHER_KEY,
    STOLEN,
    'drop a checkpoint',
    'remove a whole writer',
    'cut the sealed tail, keep its checkpoints',
    ...TAKEN_BACK,
  ])('P3 with the chains alone: %s', async (kind) => {
    const chainsAlone = (sql: Sql) => sql.query('delete from log_checkpoint');
    expect(await missed(kind, OF_A_MUTANT, {}, chainsAlone)).toEqual(every(OF_A_MUTANT));
  });

  it('P3 and the chains alone find the plain changes, as the table says', async () => {
    for (const kind of KINDS.slice(0, 8))
      expect([kind, await missed(kind, OF_A_MUTANT, {}, (sql) => sql.query('delete from log_checkpoint'))]).toEqual([kind, []]);
  });
});
