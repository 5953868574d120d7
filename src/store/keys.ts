import { createSecretKey, type KeyObject, randomBytes } from 'node:crypto';
import { INTERNATIONAL, type Suite } from './suite.ts';

/** The key ring as it stands in HUB_KEYS: base64 keys of 32 bytes. `active` names the sealing key for new values; old ones stay for reading. */
interface KeyRing {
  suite: string;
  active: string;
  seal: Record<string, string>;
  blind: string;
  opaque: string;
}

/** What the hub does with its keys. No key ever leaves this object. */
export interface Keys {
  readonly suite: string;
  /** `keyId.base64url`; `context` binds the value to its place (type and field), so that it cannot be moved elsewhere. */
  seal(plain: string, context: string): string;
  open(sealed: string, context: string): string;
  /** Blind index: the same 16 bytes for the same text and domain, and nothing else to be learnt from them. */
  blind(domain: string, text: string): Buffer;
  /** 16 bytes of `data` as an opaque text of 22 characters; `undo` gives them back, or undefined for a text that was not made here. */
  conceal(data: Buffer): string;
  reveal(text: string): Buffer | undefined;
}

/** A new ring with fresh keys, as JSON for HUB_KEYS. */
export function newKeyRing(): string {
  const key = () => randomBytes(32).toString('base64');
  const ring: KeyRing = { suite: INTERNATIONAL.id, active: 'k1', seal: { k1: key() }, blind: key(), opaque: key() };
  return JSON.stringify(ring);
}

/** Opens a key ring. Throws an Error that names what is wrong with its form and never a part of a key. */
export function openKeys(json: string): Keys {
  const ring = parseRing(json);
  const suite = suiteOf(ring.suite);
  const sealing = new Map(Object.entries(ring.seal).map(([id, text]) => [id, keyOf(`seal.${id}`, text)]));
  const blindKey = keyOf('blind', ring.blind);
  const opaqueKey = keyOf('opaque', ring.opaque);
  const active = sealing.get(ring.active);
  if (active === undefined) throw new Error('HUB_KEYS: active names no key of seal');
  return {
    suite: suite.id,
    seal: (plain, context) => `${ring.active}.${suite.seal(active, Buffer.from(plain), Buffer.from(context)).toString('base64url')}`,
    open(sealed, context) {
      const dot = sealed.indexOf('.');
      const key = sealing.get(sealed.slice(0, dot));
      if (key === undefined) throw new Error('a sealed value names a key that is not in the key ring');
      return suite.open(key, Buffer.from(sealed.slice(dot + 1), 'base64url'), Buffer.from(context)).toString();
    },
    blind: (domain, text) => suite.mac(blindKey, Buffer.from(`${domain}\0${text}`)).subarray(0, 16),
    conceal: (data) => suite.block(opaqueKey, data).toString('base64url'),
    reveal(text) {
      const data = Buffer.from(text, 'base64url');
      return data.length === 16 && data.toString('base64url') === text ? suite.unblock(opaqueKey, data) : undefined;
    },
  };
}

function suiteOf(id: string): Suite {
  if (id === INTERNATIONAL.id) return INTERNATIONAL;
  throw new Error(`HUB_KEYS: unknown suite ${id}`);
}

function keyOf(name: string, text: string): KeyObject {
  const key = Buffer.from(text, 'base64');
  if (key.length !== 32) throw new Error(`HUB_KEYS: ${name} must be 32 bytes in base64`);
  // A key object is prepared once; a Buffer would be prepared anew for every value, at six times the cost.
  return createSecretKey(key);
}

function parseRing(json: string): KeyRing {
  let ring: Partial<KeyRing>;
  try {
    ring = JSON.parse(json) as Partial<KeyRing>;
  } catch {
    throw new Error('HUB_KEYS is not JSON');
  }
  const { suite, active, seal, blind, opaque } = ring;
  if (!suite || !active || !seal || !blind || !opaque) throw new Error('HUB_KEYS needs suite, active, seal, blind and opaque');
  return { suite, active, seal, blind, opaque };
}
