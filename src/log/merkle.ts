import { hash } from 'node:crypto';
import type { LogSuite } from './chain.ts';

/**
 * The Merkle tree of RFC 6962 §2.1 over given leaves: a leaf is H(0x00 ‖ data), a node H(0x01 ‖ left ‖ right), the tree of nothing H(""), and a tree
 * of n leaves is split at the largest power of two below n. So no leaf can be taken for a node.
 */
export function merkleRoot(suite: LogSuite, leaves: readonly Buffer[]): Buffer {
  if (leaves.length === 0) return hash(suite, Buffer.alloc(0), 'buffer');
  let level = leaves.map((data) => leafOf(suite, data));
  // Pairing neighbours from the left and carrying an odd last one up gives the same tree as splitting from the top.
  while (level.length > 1) level = paired(suite, level);
  return level[0]!;
}

/** The hashes beside the way from leaf `index` up to the root, from below. Throws a RangeError for a leaf that is not there. */
export function inclusionPath(suite: LogSuite, leaves: readonly Buffer[], index: number): Buffer[] {
  if (!(index >= 0 && index < leaves.length)) throw new RangeError(`no leaf ${index} of ${leaves.length}`);
  const path: Buffer[] = [];
  let level = leaves.map((data) => leafOf(suite, data));
  for (let at = index; level.length > 1; at >>= 1) {
    const beside = level[at ^ 1];
    if (beside) path.push(beside);
    level = paired(suite, level);
  }
  return path;
}

/** The root that `data` at `index` of `size` leaves and a path lead to; undefined where the path does not fit the place. */
export function rootOfPath(suite: LogSuite, data: Buffer, index: number, size: number, path: readonly Buffer[]): Buffer | undefined {
  if (!(index >= 0 && index < size)) return undefined;
  let value = leafOf(suite, data);
  let used = 0;
  for (let at = index, last = size - 1; last > 0; at >>= 1, last >>= 1) {
    // An odd last one has nobody beside it and goes up as it is.
    if (at === last && at % 2 === 0) continue;
    const beside = path[used++];
    if (beside?.length !== value.length) return undefined;
    value = at % 2 === 1 ? nodeOf(suite, beside, value) : nodeOf(suite, value, beside);
  }
  return used === path.length ? value : undefined;
}

function paired(suite: LogSuite, level: readonly Buffer[]): Buffer[] {
  const above: Buffer[] = [];
  for (let at = 0; at < level.length; at += 2) {
    const [left, right] = [level[at]!, level[at + 1]];
    above.push(right ? nodeOf(suite, left, right) : left);
  }
  return above;
}

const LEAF = Buffer.of(0);
const NODE = Buffer.of(1);
const leafOf = (suite: LogSuite, data: Buffer): Buffer => hash(suite, Buffer.concat([LEAF, data]), 'buffer');
const nodeOf = (suite: LogSuite, left: Buffer, right: Buffer): Buffer => hash(suite, Buffer.concat([NODE, left, right]), 'buffer');
