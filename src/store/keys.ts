import { randomBytes } from 'node:crypto';
import { type KeyRing, numberOf, readRing } from './ring.ts';
import { type Cipher, type Suite, suiteOf } from './suite.ts';

export { newKeyRing } from './ring.ts';

/** Seals values, under the key ring or under a subject's own key. `context` binds a value to its place (type and field), so that it cannot be moved elsewhere. */
export interface Sealer {
  /** `suite.keyId.base64url` */
  seal(plain: string, context: string): string;
}

/** Context under which a subject's key lies sealed. */
export const subjectKeyContext = (subjectId: number): string => `subject-key.${subjectId}`;

/** A subject's own key, unwrapped. */
export interface SubjectKey extends Sealer {
  /** Throws `Unreadable`. */
  open(sealed: string, context: string): string;
}

/** What the hub does with its keys. No key ever leaves this object. */
export interface Keys extends Sealer {
  readonly suite: Suite;
  /** The key that seals new values. */
  readonly active: string;
  /** Throws `Unreadable`. */
  open(sealed: string, context: string): string;
  /** A new key for a subject: `wrapped` under the ring, to be stored, and the key itself. */
  newSubjectKey(subjectId: number): { wrapped: string; key: SubjectKey };
  /** A stored key of a subject. Throws `Unreadable`. Remembered unwrapped for a minute, some thousands at most. */
  subjectKey(subjectId: number, wrapped: string): SubjectKey;
  /** Key of the query log's tokens: the same 16 bytes for the same text and domain, under the newest key. */
  logToken(domain: string, text: string): Buffer;
  /** The same under every key the log ever had, the newest first: an old entry is found under its old one. */
  logTokens(domain: string, text: string): Buffer[];
  /** Blind index: 17 bytes, the generation and 16 that tell nothing. Under the oldest generation that is written: for columns with one token. */
  blindToken(domain: string, text: string): Buffer;
  /** Under every generation that is written: each is a row, so that hubs with an older and a newer ring find and refuse the same numbers. */
  blindTokens(domain: string, text: string): Buffer[];
  /** Under every generation there is: for looking up. */
  blindForms(domain: string, text: string): Buffer[];
  /** The forms of a token under the generations after its own: an index moves on without a readable number. */
  blindLater(token: Buffer): Buffer[];
  /** Whether two contents are the same; 16 bytes, the same for the life of the ring. */
  fingerprint(domain: string, text: string): Buffer;
  /** 16 bytes of `data` as an opaque text of 22 characters; `undo` gives them back, or undefined for a text that was not made here. */
  conceal(data: Buffer): string;
  reveal(text: string): Buffer | undefined;
}

/** A sealed value that this hub cannot open: of another suite, under a key that is not in the ring, destroyed with its subject's key, or changed. */
export class Unreadable extends Error {
  readonly why: 'form' | 'suite' | 'key' | 'erased' | 'damaged';
  constructor(why: Unreadable['why'], message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'Unreadable';
    this.why = why;
  }
}

/** What stands in front of a sealed value: the tag of its suite and the id of its key. */
export function partsOf(sealed: string): { tag: string; keyId: string; payload: string } {
  const [tag, keyId, payload, ...rest] = sealed.split('.');
  if (!tag || !keyId || payload === undefined || rest.length > 0)
    throw new Unreadable('form', 'a text that should be a sealed value is none');
  return { tag, keyId, payload };
}

/** Opens a key ring. Throws an Error that names what is wrong with its form and never a part of a key. */
export function openKeys(json: string): Keys {
  const ring = readRing(json);
  const suite = suiteOf(ring.suite);
  const ciphers = new Map(ring.seal.map(({ id, key }) => [id, suite.cipher(key)]));
  const active = ciphers.get(ring.active) as Cipher;
  const opaque = suite.permutation(ring.opaque);
  const fingerprint = suite.mac(ring.fingerprint);
  const logMacs = ring.log.map(({ key }) => suite.mac(key)).toReversed();
  const textOf = (domain: string, text: string) => Buffer.from(`${domain}\0${text}`);
  const short = (mac: (data: Buffer) => Buffer, data: Buffer) => mac(data).subarray(0, 16);
  const seal: Keys['seal'] = (plain, context) => sealText(suite, ring.active, active, plain, context);
  const open: Keys['open'] = (sealed, context) => openText(suite, ciphers.get(partsOf(sealed).keyId), sealed, context);
  return {
    suite,
    active: ring.active,
    seal,
    open,
    ...subjectKeys(suite, seal, open),
    logToken: (domain, text) => short(logMacs[0] ?? fingerprint, textOf(domain, text)),
    logTokens: (domain, text) => logMacs.map((mac) => short(mac, textOf(domain, text))),
    ...blindIndex(suite, ring),
    fingerprint: (domain, text) => short(fingerprint, textOf(domain, text)),
    conceal: (data) => opaque.block(data).toString('base64url'),
    reveal(text) {
      const data = Buffer.from(text, 'base64url');
      return data.length === 16 && data.toString('base64url') === text ? opaque.unblock(data) : undefined;
    },
  };
}

function sealText(suite: Suite, keyId: string, cipher: Cipher, plain: string, context: string): string {
  return `${suite.tag}.${keyId}.${cipher.seal(Buffer.from(plain), Buffer.from(context)).toString('base64url')}`;
}

function openText(suite: Suite, cipher: Cipher | undefined, sealed: string, context: string): string {
  const { tag, keyId, payload } = partsOf(sealed);
  if (tag !== suite.tag)
    throw new Unreadable('suite', `a value is sealed under the suite "${tag}", this deployment has ${suite.id} ("${suite.tag}")`);
  if (cipher === undefined) throw new Unreadable('key', `a value is sealed under the key ${keyId}, which is not in the key ring`);
  try {
    return cipher.open(Buffer.from(payload, 'base64url'), Buffer.from(context)).toString();
  } catch (cause) {
    throw new Unreadable('damaged', `a value under the key ${keyId} was changed, moved, or sealed under another key of that name`, {
      cause,
    });
  }
}

const REMEMBERED = 5000;
const REMEMBERED_MS = 60_000;

function subjectKeys(suite: Suite, seal: Keys['seal'], open: Keys['open']): Pick<Keys, 'newSubjectKey' | 'subjectKey'> {
  // By the wrapped text: a key that was wrapped anew or destroyed is never answered from here.
  const remembered = new Map<string, { key: SubjectKey; until: number }>();
  const keyOf = (subjectId: number, material: Buffer): SubjectKey => {
    const cipher = suite.cipher(material);
    const keyId = `s${subjectId}`;
    return {
      seal: (plain, context) => sealText(suite, keyId, cipher, plain, context),
      open: (sealed, context) => openText(suite, partsOf(sealed).keyId === keyId ? cipher : undefined, sealed, context),
    };
  };
  return {
    newSubjectKey(subjectId) {
      const material = randomBytes(32);
      return { wrapped: seal(material.toString('base64'), subjectKeyContext(subjectId)), key: keyOf(subjectId, material) };
    },
    subjectKey(subjectId, wrapped) {
      const now = performance.now();
      const found = remembered.get(wrapped);
      if (found !== undefined && found.until > now) return found.key;
      const key = keyOf(subjectId, Buffer.from(open(wrapped, subjectKeyContext(subjectId)), 'base64'));
      // Every entry lives equally long, so the first one is always the next to go.
      for (const [text, { until }] of remembered) {
        if (until > now && remembered.size < REMEMBERED) break;
        remembered.delete(text);
      }
      remembered.set(wrapped, { key, until: now + REMEMBERED_MS });
      return key;
    },
  };
}

function blindIndex(suite: Suite, ring: KeyRing): Pick<Keys, 'blindToken' | 'blindTokens' | 'blindForms' | 'blindLater'> {
  const generations = ring.blind.map(({ id, key }) => ({ number: numberOf('blind', id), mac: suite.mac(key) }));
  const firstLive = ring.blind.findIndex(({ id }) => id === ring.live);
  const through = (from: number, start: Buffer): Buffer[] => {
    let data = start;
    return generations.slice(from).map(({ number, mac }) => (data = Buffer.concat([Buffer.of(number), mac(data).subarray(0, 16)])));
  };
  const blindForms = (domain: string, text: string) => through(0, Buffer.from(`${domain}\0${text}`));
  const blindTokens = (domain: string, text: string) => blindForms(domain, text).slice(firstLive);
  return {
    blindForms,
    blindTokens,
    blindToken: (domain, text) => blindTokens(domain, text)[0] as Buffer,
    blindLater(token) {
      const own = generations.findIndex(({ number }) => number === token[0]);
      if (own === -1) throw new Unreadable('key', `a blind index token names the generation b${token[0]}, which is not in the key ring`);
      return through(own + 1, token);
    },
  };
}
