import { createHash } from 'node:crypto';

/** The hash of a deployment's algorithm suite: international or national (SM3, GB/T 32905). Both give 32 bytes. */
export type LogSuite = 'sha256' | 'sm3';

/** Where a writer's chain stands: its last sequence number (0: none yet) and that entry's hash (or the genesis). */
export interface Head {
  seq: number;
  hash: Buffer;
}

/** What the first entry of a writer is chained to. `bootId` is a UUID in lower case. */
export function genesis(suite: LogSuite, bootId: string): Buffer {
  return createHash(suite).update('genesis').update(bootId).digest();
}

/** The hash of an entry: H(0x01 ‖ hash before ‖ u32 writer ‖ u64 seq ‖ body). */
export function link(suite: LogSuite, previous: Buffer, writer: number, seq: number, body: Buffer): Buffer {
  const place = Buffer.alloc(12);
  place.writeUInt32BE(writer);
  place.writeBigUInt64BE(BigInt(seq), 4);
  return createHash(suite).update(Buffer.of(1)).update(previous).update(place).update(body).digest();
}
