import { randomBytes } from 'node:crypto';
import { type SuiteName, suiteOf } from './suite.ts';

export interface NamedKey {
  id: string;
  key: Buffer;
}

/**
 * The key ring as it stands in HUB_KEYS (there the keys are base64 of 32 bytes). Lists are in order of age, the newest last.
 * - `seal`: keys of sealed values and of subjects' own keys; `active` names the one for new values, the others only read.
 * - `blind`: generations of the blind index. A token of one generation is made from the token of the one before, so an index is brought to the
 *   next generation without a readable number; all of them stay. `live` names the oldest generation that is still written.
 * - `log`: keys of the tokens in the query log. The newest writes, all of them find: the log is never rewritten.
 * - `fingerprint`: tells whether contents are the same; `opaque`: identifiers and cursors of the graph.
 */
export interface KeyRing {
  suite: SuiteName;
  seal: NamedKey[];
  active: string;
  blind: NamedKey[];
  live: string;
  log: NamedKey[];
  fingerprint: Buffer;
  opaque: Buffer;
}

const BYTES = 32;
const PREFIX = { seal: 'k', blind: 'b', log: 'l' } as const;
export type KeyUse = keyof typeof PREFIX;

const freshKey = (use: KeyUse, number: number): NamedKey => ({ id: `${PREFIX[use]}${number}`, key: randomBytes(BYTES) });

/** A new ring with fresh keys, as JSON for HUB_KEYS. */
export function newKeyRing(suite: SuiteName = 'international'): string {
  return writeRing({
    suite,
    seal: [freshKey('seal', 1)],
    active: 'k1',
    blind: [freshKey('blind', 1)],
    live: 'b1',
    log: [freshKey('log', 1)],
    fingerprint: randomBytes(BYTES),
    opaque: randomBytes(BYTES),
  });
}

export function writeRing({ suite, seal, active, blind, live, log, fingerprint, opaque }: KeyRing): string {
  const texts = (keys: NamedKey[]) => keys.map(({ id, key }) => ({ id, key: key.toString('base64') }));
  const single = { fingerprint: fingerprint.toString('base64'), opaque: opaque.toString('base64') };
  return JSON.stringify({ suite, seal: texts(seal), active, blind: texts(blind), live, log: texts(log), ...single });
}

/** Reads and checks a ring. Throws an Error that names what is wrong with its form and never a part of a key. */
export function readRing(json: string): KeyRing {
  let raw: Record<string, unknown>;
  try {
    raw = JSON.parse(json) as Record<string, unknown>;
  } catch {
    throw new Error('HUB_KEYS is not JSON');
  }
  const missing = ['suite', 'seal', 'active', 'blind', 'live', 'log', 'fingerprint', 'opaque'].filter((name) => !raw[name]);
  if (missing.length > 0) throw new Error(`HUB_KEYS lacks ${missing.join(', ')}`);
  const ring: KeyRing = {
    suite: suiteOf(String(raw['suite'])).id,
    seal: keysOf('seal', raw['seal']),
    active: String(raw['active']),
    blind: keysOf('blind', raw['blind']),
    live: String(raw['live']),
    log: keysOf('log', raw['log']),
    fingerprint: bytesOf('fingerprint', raw['fingerprint']),
    opaque: bytesOf('opaque', raw['opaque']),
  };
  if (!ring.seal.some(({ id }) => id === ring.active)) throw new Error('HUB_KEYS: active names no key of seal');
  if (!ring.blind.some(({ id }) => id === ring.live)) throw new Error('HUB_KEYS: live names no key of blind');
  return ring;
}

function keysOf(use: KeyUse, raw: unknown): NamedKey[] {
  if (!Array.isArray(raw) || raw.length === 0) throw new Error(`HUB_KEYS: ${use} must be a list of keys`);
  const keys = (raw as { id?: unknown; key?: unknown }[]).map(({ id, key }) => ({
    id: String(id),
    key: bytesOf(`${use} ${String(id)}`, key),
  }));
  const numbers = keys.map(({ id }) => numberOf(use, id));
  // Ascending, so that a list put together by hand cannot turn the generations around.
  if (numbers.some((number, i) => i > 0 && number <= (numbers[i - 1] ?? 0)))
    throw new Error(`HUB_KEYS: the keys of ${use} must be in the order of their numbers`);
  return keys;
}

/** The number in a key's id: k12 → 12. At most 255, for it stands in one byte of a token. */
export function numberOf(use: KeyUse, id: string): number {
  const number = id.startsWith(PREFIX[use]) ? Number(id.slice(1)) : Number.NaN;
  if (!Number.isInteger(number) || number < 1 || number > 255)
    throw new Error(`HUB_KEYS: ${use} keys are named ${PREFIX[use]}1 to ${PREFIX[use]}255`);
  return number;
}

function bytesOf(name: string, text: unknown): Buffer {
  const key = Buffer.from(typeof text === 'string' ? text : '', 'base64');
  if (key.length !== BYTES) throw new Error(`HUB_KEYS: ${name} must be ${BYTES} bytes in base64`);
  return key;
}

/** The ring with one more key of a use. It is known from now on; a seal key seals only when it is made `active`. */
export function withNewKey(ring: KeyRing, use: KeyUse): KeyRing {
  const last = ring[use].at(-1);
  const next = freshKey(use, (last === undefined ? 0 : numberOf(use, last.id)) + 1);
  numberOf(use, next.id);
  return { ...ring, [use]: [...ring[use], next] };
}
