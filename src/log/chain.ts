import { createHash } from 'node:crypto';
import type { CheckpointHead } from './checkpoint.ts';

/** The hash of a deployment's algorithm suite: international or national (SM3, GB/T 32905). Both give 32 bytes. */
export type LogSuite = 'sha256' | 'sm3';

/** Where a writer's chain stands: its last sequence number (0: none yet) and that entry's hash (or the genesis). */
export interface Head {
  seq: number;
  hash: Buffer;
}

/** How a writer begins. All of it is in its genesis, so none of it can be changed later. */
export interface Origin {
  /** A UUID in lower case. */
  bootId: string;
  /** The name of the process for people. */
  node: string;
  startedAt: Date;
  /** The latest checkpoint when the writer began: a chain cannot be made up for a time before a checkpoint that was not there yet. */
  after: CheckpointHead;
}

/** What the first entry of a writer is chained to: H(0x02 ‖ u64 n ‖ hash of checkpoint n ‖ i64 ms started ‖ boot id ‖ node). */
export function genesis(suite: LogSuite, { bootId, node, startedAt, after }: Origin): Buffer {
  const place = Buffer.alloc(17, 2);
  place.writeBigUInt64BE(BigInt(after.n), 1);
  place.writeBigInt64BE(BigInt(startedAt.getTime()), 9);
  return createHash(suite).update(place.subarray(0, 9)).update(after.hash).update(place.subarray(9)).update(bootId).update(node).digest();
}

/** The hash of an entry: H(0x01 ‖ hash before ‖ u32 writer ‖ u64 seq ‖ body). */
export function link(suite: LogSuite, previous: Buffer, writer: number, seq: number, body: Buffer): Buffer {
  const place = Buffer.alloc(12);
  place.writeUInt32BE(writer);
  place.writeBigUInt64BE(BigInt(seq), 4);
  return createHash(suite).update(Buffer.of(1)).update(previous).update(place).update(body).digest();
}
