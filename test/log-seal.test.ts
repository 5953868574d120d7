import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import type { Checkpoint } from '../src/log/checkpoint.ts';
import { checkpointHash, cosignedBytes, decodeCheckpoint, encodeCheckpoint, leafIndex } from '../src/log/checkpoint.ts';
import { inclusionPath, merkleRoot, rootOfPath } from '../src/log/merkle.ts';
import { checkReceipt, parseReceipt, proveReceipt, signReceipt } from '../src/log/receipt.ts';
import { seal } from '../src/log/seal.ts';
import { startSealer } from '../src/log/sealer.ts';
import { openPublicKeys } from '../src/log/signature.ts';
import { verifyLog } from '../src/log/verify.ts';
import type { Pool } from '../src/store/sql.ts';
import type { LogDatabase } from './setup/log.ts';
import { fill, logDatabase, logKey, put, sound } from './setup/log.ts';

const sha256 = (...parts: Buffer[]): Buffer => createHash('sha256').update(Buffer.concat(parts)).digest();
const hashes = (count: number): Buffer[] => Array.from({ length: count }, (_, n) => sha256(Buffer.from([n >> 8, n & 255])));

describe('the Merkle tree over sealed entries', () => {
  /** The definition of RFC 6962 §2.1, word for word. */
  function byDefinition(leaves: readonly Buffer[]): Buffer {
    if (leaves.length === 0) return sha256();
    if (leaves.length === 1) return sha256(Buffer.of(0), leaves[0]!);
    let split = 1;
    while (split * 2 < leaves.length) split *= 2;
    return sha256(Buffer.of(1), byDefinition(leaves.slice(0, split)), byDefinition(leaves.slice(split)));
  }

  it('P3 is that of RFC 6962, for every size up to 70', () => {
    for (let size = 0; size <= 70; size++) expect(merkleRoot('sha256', hashes(size))).toEqual(byDefinition(hashes(size)));
    expect(merkleRoot('sha256', []).toString('hex')).toBe('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
  });

  it('P3 proves each leaf in its place, in both suites, and in no other place or tree', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 200 }),
        fc.nat(),
        fc.nat(),
        fc.constantFrom('sha256' as const, 'sm3' as const),
        (size, a, b, suite) => {
          const leaves = hashes(size);
          const [index, other] = [a % size, b % size];
          const path = inclusionPath(suite, leaves, index);
          const root = merkleRoot(suite, leaves);
          const leads = (data: Buffer, at: number, of: number, way: Buffer[]): boolean =>
            rootOfPath(suite, data, at, of, way)?.equals(root) ?? false;
          expect(leads(leaves[index]!, index, size, path)).toBe(true);
          if (other !== index) {
            expect(leads(leaves[other]!, index, size, path)).toBe(false);
            expect(leads(leaves[index]!, other, size, path)).toBe(false);
          }
          expect(leads(leaves[index]!, index, size, [...path, root])).toBe(false);
          if (path.length > 0) expect(leads(leaves[index]!, index, size, path.slice(1))).toBe(false);
          expect(leads(leaves[index]!, size, size, path)).toBe(false);
          expect(() => inclusionPath(suite, leaves, size)).toThrow(RangeError);
        },
      ),
    );
  });

  it('P3 changes with every leaf, and with their order', () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 64 }), fc.nat(), fc.nat({ max: 255 }), (size, at, bit) => {
        const leaves = hashes(size);
        const changed = leaves.map((leaf) => Buffer.from(leaf));
        changed[at % size]!.writeUInt8(changed[at % size]!.readUInt8(bit % 32) ^ (1 << (bit % 8)), bit % 32);
        expect(merkleRoot('sha256', changed).equals(merkleRoot('sha256', leaves))).toBe(false);
        expect(merkleRoot('sha256', leaves.toReversed()).equals(merkleRoot('sha256', leaves))).toBe(false);
      }),
    );
  });
});

const seq = fc.integer({ min: 1, max: 2 ** 40 });
const anyCheckpoint: fc.Arbitrary<Checkpoint> = fc
  .record({
    suite: fc.constantFrom('sha256' as const, 'sm3' as const),
    month: fc.option(fc.constantFrom('2026-01', '2031-12')),
    n: seq,
    prev: fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Buffer.from(bytes)),
    at: fc.date({ noInvalidDate: true }),
    heads: fc.uniqueArray(fc.record({ writer: fc.integer({ min: 1, max: 2 ** 31 }), from: seq, by: fc.integer({ min: 1, max: 1000 }) }), {
      selector: ({ writer }) => writer,
      maxLength: 5,
    }),
  })
  .map(({ heads, month, ...rest }) => ({
    ...rest,
    month,
    kind: month === null ? 'seal' : 'close',
    root: sha256(),
    rows: month === null ? heads.reduce((sum, { by }) => sum + by, 0) : 0,
    heads: heads
      .sort((a, b) => a.writer - b.writer)
      .map(({ writer, from, by }) => ({ writer, from, seq: month === null ? from + by : from, hash: sha256(Buffer.from([writer % 256])) })),
  }));

describe('the bytes of a checkpoint', () => {
  it('P3 read back as what was written, and nothing else is read', () => {
    fc.assert(
      fc.property(anyCheckpoint, fc.nat(), (checkpoint, cut) => {
        const bytes = encodeCheckpoint(checkpoint);
        expect(decodeCheckpoint(bytes)).toEqual(checkpoint);
        expect(() => decodeCheckpoint(bytes.subarray(0, cut % bytes.length))).toThrow('not a checkpoint');
        expect(() => decodeCheckpoint(Buffer.concat([bytes, Buffer.of(0)]))).toThrow('not a checkpoint');
      }),
    );
  });

  it('P3 that contradict themselves are refused', () => {
    const [good] = fc.sample(
      anyCheckpoint.filter(({ kind, heads }) => kind === 'seal' && heads.length > 1),
      { numRuns: 1, seed: 7 },
    );
    const [first, second, ...more] = good!.heads;
    const bad: Partial<Checkpoint>[] = [
      { rows: good!.rows + 1 },
      { n: 0 },
      { heads: [second!, first!, ...more] },
      { heads: [first!, first!, ...more] },
      { heads: [{ ...first!, seq: first!.from }, second!, ...more], rows: good!.rows - (first!.seq - first!.from) },
      { kind: 'close' },
      { month: '2026-01' },
    ];
    for (const change of bad) expect(() => decodeCheckpoint(encodeCheckpoint({ ...good!, ...change }))).toThrow('it contradicts itself');
  });

  it('P21 stay what they were: every frozen checkpoint has its bytes, its hash, its signature and its cosignature, in both suites', () => {
    interface Frozen {
      keys: string[];
      vectors: {
        checkpoint: Record<string, never>;
        bytes: string;
        hash: string;
        key: number;
        signature: string;
        cosigned: string;
        cosignature: string;
      }[];
    }
    const frozen = JSON.parse(readFileSync(new URL('fixtures/log-checkpoint-vectors.json', import.meta.url), 'utf8')) as Frozen;
    const keys = openPublicKeys(frozen.keys.join('\n'));
    expect(frozen.vectors.length).toBeGreaterThanOrEqual(6);
    for (const vector of frozen.vectors) {
      const bytes = Buffer.from(vector.bytes, 'hex');
      const checkpoint = decodeCheckpoint(bytes);
      const shown = (value: unknown): unknown => JSON.parse(JSON.stringify(value, (_, part: unknown) => hexOf(part)));
      expect(shown(checkpoint)).toEqual(vector.checkpoint);
      expect(encodeCheckpoint(checkpoint).equals(bytes)).toBe(true);
      const hash = checkpointHash(checkpoint.suite, bytes);
      expect(hash.toString('hex')).toBe(vector.hash);
      const key = keys[vector.key]!;
      expect(key.verify('checkpoint', bytes, Buffer.from(vector.signature, 'hex'))).toBe(true);
      expect(key.verify('cosignature', cosignedBytes(hash, new Date(vector.cosigned)), Buffer.from(vector.cosignature, 'hex'))).toBe(true);
      expect(key.verify('receipt', bytes, Buffer.from(vector.signature, 'hex'))).toBe(false);
    }
  });

  const hexOf = (part: unknown): unknown => {
    const { type, data } = (part ?? {}) as { type?: string; data?: number[] };
    return type === 'Buffer' && data ? Buffer.from(data).toString('hex') : part;
  };
});

describe('sealing', () => {
  let database: LogDatabase;
  let pool: Pool;
  const { signer, key } = logKey();
  const keys = [key];

  beforeAll(async () => {
    database = await logDatabase();
    ({ pool } = database);
  });
  afterAll(() => database.drop());
  beforeEach(() => database.clear());

  const sealAll = (maxRows = 1000) => seal(pool, { signer, suite: 'sha256', maxRows });

  it('P3 covers every committed entry of every writer, in checkpoints of at most so many rows', async () => {
    const logs = await Promise.all([database.open(), database.open({ suite: 'sm3' }), database.open()]);
    await Promise.all(logs.map((log) => fill(log, 25)));
    expect(await sealAll(10)).toEqual({ checkpoints: 8, rows: 75, broken: [] });
    expect(await sealAll()).toEqual({ checkpoints: 0, rows: 0, broken: [] });
    await fill(logs[1]!, 30, 25);
    expect(await sealAll()).toEqual({ checkpoints: 1, rows: 5, broken: [] });
    await put(logs[2]!, 99);
    expect(await verifyLog(pool, { keys, batch: 12 })).toEqual(sound(81, 3, { checkpoints: 9, sealed: 80 }));
    await Promise.all(logs.map((log) => log.close()));
    await sealAll();
    expect(await verifyLog(pool, { keys })).toEqual(sound(81, 3, { checkpoints: 10, sealed: 81 }));
  });

  it('P3 leaves unsealed what does not follow from the sealed part, and says where; other writers go on', async () => {
    const [first, second] = await Promise.all([database.open(), database.open()]);
    await fill(first, 5);
    await sealAll();
    await fill(first, 10, 5);
    await fill(second, 4);
    await database.tamper('update query_log set body = set_byte(body, 40, get_byte(body, 40) # 1) where writer = $1 and seq = 8', [
      first.writer,
    ]);
    expect(await sealAll()).toEqual({ checkpoints: 1, rows: 6, broken: [{ writer: first.writer, seq: 8 }] });
    await Promise.all([first.close(), second.close()]);
    const { sealed, faults } = await verifyLog(pool, { keys });
    expect(sealed).toBe(11);
    expect(faults[0]).toEqual({ writer: first.writer, seq: 8, what: 'the hash does not follow from the entry before' });
  });

  it('P3 binds a new writer to the latest checkpoint, so that its chain cannot be made up for the time before', async () => {
    const log = await database.open();
    await fill(log, 3);
    await sealAll();
    const later = await database.open();
    await fill(later, 3);
    const { rows } = await pool.query<{ after_n: number }>('select after_n from log_writer order by id');
    expect(rows.map((row) => row.after_n)).toEqual([0, 1]);
    await Promise.all([log.close(), later.close()]);
    await sealAll();
    expect((await verifyLog(pool, { keys })).faults).toEqual([]);
    await database.tamper('update log_writer set after_n = 0 where id = $1', [later.writer]);
    expect((await verifyLog(pool, { keys })).faults).toContainEqual({
      writer: later.writer,
      seq: 0,
      what: 'the genesis is not that of the writer',
    });
  });

  it('P3 is done by one process at a time; another takes over when that one ends', async () => {
    const log = await database.open();
    const troubles: string[] = [];
    const start = () => startSealer({ pool, signer, suite: 'sha256', everyMs: 20, onTrouble: (what) => void troubles.push(what) });
    const sealers = [start(), start()];
    for (let n = 0; n < 10; n++) {
      await put(log, n);
      if (n === 5) await sealers[0]!.close();
    }
    await log.close();
    const unsealed = async (): Promise<number> => 10 - (await verifyLog(pool, { keys })).sealed;
    const deadline = Date.now() + 20_000;
    while ((await unsealed()) > 0 && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 50));
    await sealers[1]!.close();
    expect(troubles).toEqual([]);
    expect(await verifyLog(pool, { keys })).toMatchObject({ verified: true, sealed: 10 });
  });

  it('P22 signs with SM2 over SM3 in the national suite, and verifies it', async () => {
    const national = logKey('sm2');
    const log = await database.open({ suite: 'sm3' });
    await fill(log, 5);
    await seal(pool, { signer: national.signer, suite: 'sm3' });
    await log.close();
    expect(await verifyLog(pool, { keys: [national.key] })).toEqual(sound(5, 1, { checkpoints: 1, sealed: 5 }));
    expect((await verifyLog(pool, { keys })).faults).toEqual([{ writer: 0, seq: 0, checkpoint: 1, what: 'no known key has signed it' }]);
  });

  it('P3 a receipt is proven: signed alone, sealed with its checkpoint, and not for another entry', async () => {
    const receiptKey = logKey();
    const trust = { keys: [key, receiptKey.key] };
    const log = await database.open();
    const receipts = (await fill(log, 9)).map((receipt) => signReceipt(receipt, receiptKey.signer));
    await log.close();
    const receipt = parseReceipt(JSON.parse(JSON.stringify(receipts[4])));
    expect(checkReceipt(receipt, undefined, trust)).toEqual({ signed: true, sealed: null, witnessed: null, faults: [] });
    expect(await proveReceipt(pool, receipt)).toEqual({ stored: true, proof: undefined });
    await sealAll();
    const { stored, proof } = await proveReceipt(pool, receipt);
    expect(stored).toBe(true);
    expect(checkReceipt(receipt, JSON.parse(JSON.stringify(proof)), trust)).toEqual({
      signed: true,
      sealed: 1,
      witnessed: null,
      faults: [],
    });
    expect(checkReceipt(receipts[5]!, proof, trust)).toMatchObject({ sealed: null, faults: ['checkpoint 1 does not seal this entry'] });
    expect(checkReceipt({ ...receipt, at: receipts[0]!.at.replace('2', '1') }, proof, trust).signed).toBe(false);
    expect(checkReceipt(receipt, proof, { keys: [receiptKey.key] }).faults).toEqual(['no known key has signed the checkpoint']);
    await database.tamper('delete from query_log where seq = $1', [receipt.seq]);
    expect((await proveReceipt(pool, receipt)).stored).toBe(false);
    expect(() => parseReceipt({ ...receipt, hash: 'x' })).toThrow('not a receipt');
  });

  it('P3 the place of a row among the leaves follows from the checkpoint alone', () => {
    const heads = [
      { writer: 2, from: 5, seq: 7, hash: sha256() },
      { writer: 9, from: 0, seq: 3, hash: sha256() },
    ];
    const checkpoint: Checkpoint = {
      suite: 'sha256',
      kind: 'seal',
      month: null,
      n: 1,
      prev: sha256(),
      at: new Date(0),
      rows: 5,
      root: sha256(),
      heads,
    };
    expect([5, 6, 7, 8].map((n) => leafIndex(checkpoint, 2, n))).toEqual([undefined, 0, 1, undefined]);
    expect([1, 3].map((n) => leafIndex(checkpoint, 9, n))).toEqual([2, 4]);
    expect(leafIndex(checkpoint, 3, 1)).toBeUndefined();
  });
});
