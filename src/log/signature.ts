import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, sign, verify } from 'node:crypto';

/** What a signature is about. A signature made for one of these is none for another. */
export type Statement = 'checkpoint' | 'cosignature' | 'receipt' | 'archive' | 'approval';

/** Makes signatures with one private key, which never leaves it. */
export interface Signer {
  /** Follows from the public key (16 hex digits), so that nobody gives it out. */
  readonly keyId: string;
  readonly algorithm: string;
  /** The text of the public key, for those who check. */
  readonly publicKey: string;
  sign(statement: Statement, bytes: Buffer): Buffer;
}

/** Checks signatures of one public key. */
export interface PublicKey {
  readonly keyId: string;
  readonly algorithm: string;
  /** False for any signature that this key did not make over exactly this; never throws. */
  verify(statement: Statement, bytes: Buffer, signature: Buffer): boolean;
}

/**
 * One way to sign. Keys are bytes in a form of the algorithm's own; `signer` and `verifier` throw on bytes that are no key. Ed25519 belongs to the
 * international suite; another suite adds its algorithm to {@link ALGORITHMS} and nothing else changes.
 */
export interface SignatureAlgorithm {
  /** Lower case letters and digits: it stands before the colon in the text of a key. */
  readonly id: string;
  generate(): Buffer;
  publicOf(privateKey: Buffer): Buffer;
  signer(privateKey: Buffer): (bytes: Buffer) => Buffer;
  verifier(publicKey: Buffer): (bytes: Buffer, signature: Buffer) => boolean;
}

export const ED25519: SignatureAlgorithm = {
  id: 'ed25519',
  generate: () => generateKeyPairSync('ed25519').privateKey.export({ format: 'der', type: 'pkcs8' }),
  publicOf: (der) => createPublicKey(ed25519(der)).export({ format: 'der', type: 'spki' }),
  signer(der) {
    const key = ed25519(der);
    return (bytes) => sign(null, bytes, key);
  },
  verifier(der) {
    const key = createPublicKey({ key: der, format: 'der', type: 'spki' });
    if (key.asymmetricKeyType !== 'ed25519') throw new Error('no Ed25519 key');
    return (bytes, signature) => verify(null, bytes, key, signature);
  },
};

function ed25519(der: Buffer): ReturnType<typeof createPrivateKey> {
  const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  if (key.asymmetricKeyType !== 'ed25519') throw new Error('no Ed25519 key');
  return key;
}

const ALGORITHMS = new Map([ED25519].map((algorithm) => [algorithm.id, algorithm]));

/** A new private key as text, `algorithm:base64`. Throws an Error for an algorithm that is not there. */
export function newSigningKey(algorithm = ED25519.id): string {
  return textOf(algorithm, algorithmOf(algorithm).generate());
}

/** Opens the text of a private key. Throws an Error that holds no part of it. */
export function openSigner(text: string): Signer {
  const { id, bytes } = parse(text, 'private');
  const algorithm = algorithmOf(id);
  const { publicKey, make } = attempt('private', () => ({ publicKey: algorithm.publicOf(bytes), make: algorithm.signer(bytes) }));
  return {
    keyId: keyIdOf(id, publicKey),
    algorithm: id,
    publicKey: textOf(id, publicKey),
    sign: (statement, signed) => make(tagged(statement, signed)),
  };
}

/** Opens the text of a public key. Throws an Error when it is none. */
export function openPublicKey(text: string): PublicKey {
  const { id, bytes } = parse(text, 'public');
  const check = attempt('public', () => algorithmOf(id).verifier(bytes));
  return {
    keyId: keyIdOf(id, bytes),
    algorithm: id,
    verify(statement, signed, signature) {
      try {
        return check(tagged(statement, signed), signature);
      } catch {
        return false;
      }
    },
  };
}

/** Several public keys, set apart by white space or commas. */
export function openPublicKeys(text: string): PublicKey[] {
  return text.split(/[\s,]+/).flatMap((key) => (key === '' ? [] : [openPublicKey(key)]));
}

function tagged(statement: Statement, bytes: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`credit-hub log ${statement} v1\0`), bytes]);
}

const textOf = (id: string, bytes: Buffer): string => `${id}:${bytes.toString('base64')}`;

const keyIdOf = (id: string, publicKey: Buffer): string => createHash('sha256').update(textOf(id, publicKey)).digest('hex').slice(0, 16);

function parse(text: string, what: string): { id: string; bytes: Buffer } {
  const [, id = '', base64 = ''] = /^([a-z0-9]+):([A-Za-z0-9+/=]+)$/.exec(text.trim()) ?? [];
  if (id === '') throw new Error(`a ${what} signing key is written algorithm:base64`);
  return { id, bytes: Buffer.from(base64, 'base64') };
}

function algorithmOf(id: string): SignatureAlgorithm {
  const algorithm = ALGORITHMS.get(id);
  if (!algorithm) throw new Error(`no signature algorithm ${id}; there are: ${[...ALGORITHMS.keys()].join(', ')}`);
  return algorithm;
}

function attempt<T>(what: string, work: () => T): T {
  try {
    return work();
  } catch {
    throw new Error(`a ${what} signing key cannot be read`);
  }
}
