import { createHash } from 'node:crypto';

/** Hash of a set, built up one member at a time. */
export interface SetHash {
  /** A member: what identifies it and what it says, in the order that both sides agreed on. */
  add(parts: readonly string[]): void;
  count(): number;
  /** 64 hex digits; the empty set has zeros. */
  text(): string;
}

const SPACE = 1n << 256n;

/**
 * Hash of a set as both sides of a reconciliation can compute it (HN-12, U24): the SHA-256 of each member's parts, joined by line feeds, as a
 * number; the numbers added modulo 2^256. A sum needs no order, so neither side has to sort its holdings as the other does; unlike XOR it counts a
 * member twice that is there twice. It finds what was lost or is out of date. It does not find who lies: a platform that made members up could
 * reach any sum, and could as well state a wrong one.
 */
export function setHash(): SetHash {
  let sum = 0n;
  let count = 0;
  return {
    add(parts) {
      sum = (sum + BigInt(`0x${createHash('sha256').update(parts.join('\n')).digest('hex')}`)) % SPACE;
      count += 1;
    },
    count: () => count,
    text: () => sum.toString(16).padStart(64, '0'),
  };
}
