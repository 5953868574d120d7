import { createCipheriv, createDecipheriv, createHmac, createSecretKey, type KeyObject, randomBytes, timingSafeEqual } from 'node:crypto';
import type { SignatureAlgorithm } from './signing.ts';

export type SuiteName = 'international' | 'national';

/** Authenticated encryption under one key. */
export interface Cipher {
  /** `context` is bound to the value and not stored with it. The nonce is random and stands in front. */
  seal(plain: Buffer, context: Buffer): Buffer;
  /** Throws when key, context or a single bit is wrong. */
  open(sealed: Buffer, context: Buffer): Buffer;
}
/** One 16-byte block under a key: deterministic, for identifiers that must look like nothing. */
export interface Permutation {
  block(data: Buffer): Buffer;
  unblock(data: Buffer): Buffer;
}

/**
 * The cryptographic algorithms of a deployment, in one place (HN-36, U30, P22): one of two values of this shape, chosen by the key ring. All keys
 * are 32 bytes. Nothing else in the hub names an algorithm, so a cryptographic module behind another value of this shape is all that changes.
 */
export interface Suite {
  readonly id: SuiteName;
  /** Stands in front of every value sealed under the suite. */
  readonly tag: string;
  /** Of log chains and documents; 32 bytes. */
  readonly hash: 'sha256' | 'sm3';
  /** Of checkpoints. */
  readonly signature: SignatureAlgorithm;
  cipher(key: Buffer): Cipher;
  /** Keyed hash, 32 bytes. */
  mac(key: Buffer): (data: Buffer) => Buffer;
  permutation(key: Buffer): Permutation;
}

const TAG = 16;

/** AES-256-GCM, HMAC-SHA-256, Ed25519. */
export const INTERNATIONAL: Suite = {
  id: 'international',
  tag: 'i',
  hash: 'sha256',
  signature: 'ed25519',
  cipher(material) {
    const NONCE = 12;
    // A key object is prepared once; a Buffer would be prepared anew for every value, at six times the cost.
    const key = createSecretKey(material);
    return {
      seal(plain, context) {
        const nonce = randomBytes(NONCE);
        const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(context);
        return Buffer.concat([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
      },
      open(sealed, context) {
        if (sealed.length < NONCE + TAG) throw new Error('a sealed value is cut short');
        const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, NONCE)).setAAD(context);
        decipher.setAuthTag(sealed.subarray(sealed.length - TAG));
        return Buffer.concat([decipher.update(sealed.subarray(NONCE, sealed.length - TAG)), decipher.final()]);
      },
    };
  },
  mac: (key) => keyedHash('sha256', createSecretKey(key)),
  permutation: (key) => permutationOf('aes-256-ecb', createSecretKey(key)),
};

/**
 * SM4 (GB/T 32907), HMAC-SM3 (GB/T 32905), SM2 (GB/T 32918). OpenSSL has no SM4-GCM that Node can reach, so values are encrypted with SM4-CTR and
 * then authenticated with HMAC-SM3 (encrypt-then-MAC, both from OpenSSL; four times as fast as GCM in JavaScript for long values). The first half
 * of a key encrypts, the second authenticates: MAC(context ‖ nonce ‖ ciphertext ‖ length of the context), cut to 16 bytes, as in RFC 7518, 5.2.
 */
export const NATIONAL: Suite = {
  id: 'national',
  tag: 'n',
  hash: 'sm3',
  signature: 'sm2',
  cipher(material) {
    const NONCE = 16;
    const key = createSecretKey(material.subarray(0, 16));
    const mac = keyedHash('sm3', createSecretKey(material.subarray(16)));
    const tagOf = (body: Buffer, context: Buffer) => {
      const length = Buffer.alloc(8);
      length.writeBigUInt64BE(BigInt(context.length));
      return mac(Buffer.concat([context, body, length])).subarray(0, TAG);
    };
    return {
      seal(plain, context) {
        const nonce = randomBytes(NONCE);
        const cipher = createCipheriv('sm4-ctr', key, nonce);
        const body = Buffer.concat([nonce, cipher.update(plain), cipher.final()]);
        return Buffer.concat([body, tagOf(body, context)]);
      },
      open(sealed, context) {
        if (sealed.length < NONCE + TAG) throw new Error('a sealed value is cut short');
        const body = sealed.subarray(0, sealed.length - TAG);
        if (!timingSafeEqual(tagOf(body, context), sealed.subarray(body.length))) throw new Error('a sealed value is not authentic');
        const decipher = createDecipheriv('sm4-ctr', key, body.subarray(0, NONCE));
        return Buffer.concat([decipher.update(body.subarray(NONCE)), decipher.final()]);
      },
    };
  },
  mac: (key) => keyedHash('sm3', createSecretKey(key)),
  permutation: (key) => permutationOf('sm4-ecb', createSecretKey(key.subarray(0, 16))),
};

/** Throws an Error that names the suites there are. */
export function suiteOf(id: string): Suite {
  const suite = [INTERNATIONAL, NATIONAL].find((one) => one.id === id);
  if (suite === undefined) throw new Error(`HUB_KEYS: unknown suite ${id}; there are international and national`);
  return suite;
}

const keyedHash = (algorithm: 'sha256' | 'sm3', key: KeyObject) => (data: Buffer) => createHmac(algorithm, key).update(data).digest();

function permutationOf(algorithm: 'aes-256-ecb' | 'sm4-ecb', key: KeyObject): Permutation {
  const single = (cipher: ReturnType<typeof createCipheriv> | ReturnType<typeof createDecipheriv>, data: Buffer): Buffer => {
    cipher.setAutoPadding(false);
    return Buffer.concat([cipher.update(data), cipher.final()]);
  };
  return {
    block: (data) => single(createCipheriv(algorithm, key, null), data),
    unblock: (data) => single(createDecipheriv(algorithm, key, null), data),
  };
}
