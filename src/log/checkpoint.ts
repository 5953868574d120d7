import { createHash } from 'node:crypto';
import type { LogSuite } from './chain.ts';

/** How far a checkpoint takes one writer's chain: the rows after `from` up to `seq`, whose hash this is. */
export interface SealedHead {
  writer: number;
  from: number;
  seq: number;
  hash: Buffer;
}

/**
 * A statement about all chains. `seal`: these rows were added since the checkpoint before; `root` is the Merkle root over their hashes in order of
 * (writer, seq). `close`: nothing is added; `heads` says for every writer where its chain stood at the end of `month` (UTC), so that the months up
 * to it can be taken away and the rest still be verified.
 */
export interface Checkpoint {
  suite: LogSuite;
  kind: 'seal' | 'close';
  /** Of a closing `YYYY-MM`, else null. */
  month: string | null;
  /** Dense from 1. */
  n: number;
  /** Hash of the checkpoint before; 32 zero bytes before the first. */
  prev: Buffer;
  at: Date;
  rows: number;
  root: Buffer;
  /** In order of writer, each once. */
  heads: readonly SealedHead[];
}

/** Where the chain of checkpoints stands. */
export interface CheckpointHead {
  n: number;
  hash: Buffer;
}

export const NO_CHECKPOINT: CheckpointHead = { n: 0, hash: Buffer.alloc(32) };

const VERSION = 1;
const SUITES: readonly LogSuite[] = ['sha256', 'sm3'];
const KINDS = ['seal', 'close'] as const;
const FIXED = 103;
const PER_HEAD = 52;

/**
 * The bytes that are hashed and signed, kept for good: u8 version, u8 suite, u8 kind, u32 month (yyyymm or 0), u64 n, 32 bytes prev, i64 at (ms since
 * 1970), u64 rows, 32 bytes root, u32 count, u32 reserved 0, then per head u32 writer, u64 from, u64 seq, 32 bytes hash. Big-endian.
 */
export function encodeCheckpoint(checkpoint: Checkpoint): Buffer {
  const bytes = Buffer.alloc(FIXED + PER_HEAD * checkpoint.heads.length);
  bytes.writeUInt8(VERSION, 0);
  bytes.writeUInt8(SUITES.indexOf(checkpoint.suite) + 1, 1);
  bytes.writeUInt8(KINDS.indexOf(checkpoint.kind) + 1, 2);
  bytes.writeUInt32BE(Number((checkpoint.month ?? '0').replace('-', '')), 3);
  bytes.writeBigUInt64BE(BigInt(checkpoint.n), 7);
  checkpoint.prev.copy(bytes, 15);
  bytes.writeBigInt64BE(BigInt(checkpoint.at.getTime()), 47);
  bytes.writeBigUInt64BE(BigInt(checkpoint.rows), 55);
  checkpoint.root.copy(bytes, 63);
  bytes.writeUInt32BE(checkpoint.heads.length, 95);
  for (const [index, head] of checkpoint.heads.entries()) {
    const at = FIXED + PER_HEAD * index;
    bytes.writeUInt32BE(head.writer, at);
    bytes.writeBigUInt64BE(BigInt(head.from), at + 4);
    bytes.writeBigUInt64BE(BigInt(head.seq), at + 12);
    head.hash.copy(bytes, at + 20);
  }
  return bytes;
}

/** Reads exactly what {@link encodeCheckpoint} writes of a checkpoint that makes sense; throws an Error on anything else. */
export function decodeCheckpoint(bytes: Buffer): Checkpoint {
  const fail = (what: string): never => {
    throw new Error(`not a checkpoint: ${what}`);
  };
  if (bytes.length < FIXED || bytes[0] !== VERSION || bytes.readUInt32BE(99) !== 0) fail('unknown form');
  const whole = (at: number): number => {
    const value = Number(bytes.readBigUInt64BE(at));
    return Number.isSafeInteger(value) ? value : fail('number out of range');
  };
  const count = bytes.readUInt32BE(95);
  if (bytes.length !== FIXED + PER_HEAD * count) fail('wrong length');
  const heads = Array.from({ length: count }, (_, index): SealedHead => {
    const at = FIXED + PER_HEAD * index;
    return { writer: bytes.readUInt32BE(at), from: whole(at + 4), seq: whole(at + 12), hash: bytes.subarray(at + 20, at + PER_HEAD) };
  });
  const checkpoint: Checkpoint = {
    suite: SUITES[bytes.readUInt8(1) - 1] ?? fail('unknown suite'),
    kind: KINDS[bytes.readUInt8(2) - 1] ?? fail('unknown kind'),
    month: monthOf(bytes.readUInt32BE(3)),
    n: whole(7),
    prev: bytes.subarray(15, 47),
    at: new Date(Number(bytes.readBigInt64BE(47))),
    rows: whole(55),
    root: bytes.subarray(63, 95),
    heads,
  };
  const added = heads.reduce((sum, head) => sum + head.seq - head.from, 0);
  const sorted = heads.every((head, index) => index === 0 || head.writer > heads[index - 1]!.writer);
  const moves = heads.every((head) => (checkpoint.kind === 'seal' ? head.from < head.seq : head.from === head.seq));
  const closes = (checkpoint.kind === 'close') === (checkpoint.month !== null);
  if (!sorted || !moves || !closes || added !== checkpoint.rows || checkpoint.n < 1) fail('it contradicts itself');
  return checkpoint;
}

function monthOf(number: number): string | null {
  if (number === 0) return null;
  const text = String(number).padStart(6, '0');
  return `${text.slice(0, 4)}-${text.slice(4)}`;
}

/** The hash of a checkpoint: H(0x03 ‖ bytes). The next one names it, a witness cosigns it. */
export function checkpointHash(suite: LogSuite, bytes: Buffer): Buffer {
  return createHash(suite).update(Buffer.of(3)).update(bytes).digest();
}

/** What a witness signs: the checkpoint's hash and when it took it (i64, ms since 1970). */
export function cosignedBytes(hash: Buffer, at: Date): Buffer {
  const bytes = Buffer.alloc(40);
  hash.copy(bytes);
  bytes.writeBigInt64BE(BigInt(at.getTime()), 32);
  return bytes;
}

/** The place of a row among the leaves of a checkpoint; undefined when the checkpoint does not seal it. */
export function leafIndex(checkpoint: Checkpoint, writer: number, seq: number): number | undefined {
  let before = 0;
  for (const head of checkpoint.heads) {
    if (head.writer === writer) return seq > head.from && seq <= head.seq ? before + seq - head.from - 1 : undefined;
    before += head.seq - head.from;
  }
  return undefined;
}
