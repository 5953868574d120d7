import { createCipheriv, createDecipheriv, createHmac, type KeyObject, randomBytes } from 'node:crypto';

/**
 * The cryptographic algorithms of a deployment, in one place (HN-36, U30). `international` is AES-256-GCM with HMAC-SHA-256; a national
 * set (SM4, HMAC-SM3) is another value of this shape, chosen by the key ring. Nothing else in the hub names an algorithm.
 */
export interface Suite {
  readonly id: string;
  /** Authenticated encryption; `context` is bound to the value and not stored with it. */
  seal(key: KeyObject, plain: Buffer, context: Buffer): Buffer;
  /** Throws when key, context or a single bit is wrong. */
  open(key: KeyObject, sealed: Buffer, context: Buffer): Buffer;
  /** Keyed hash, 32 bytes. */
  mac(key: KeyObject, data: Buffer): Buffer;
  /** One 16-byte block under a key: deterministic, for identifiers that must look like nothing. */
  block(key: KeyObject, data: Buffer): Buffer;
  unblock(key: KeyObject, data: Buffer): Buffer;
}

const NONCE = 12;
const TAG = 16;

export const INTERNATIONAL: Suite = {
  id: 'international',
  seal(key, plain, context) {
    const nonce = randomBytes(NONCE);
    const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(context);
    return Buffer.concat([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
  },
  open(key, sealed, context) {
    const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, NONCE)).setAAD(context);
    decipher.setAuthTag(sealed.subarray(sealed.length - TAG));
    return Buffer.concat([decipher.update(sealed.subarray(NONCE, sealed.length - TAG)), decipher.final()]);
  },
  mac: (key, data) => createHmac('sha256', key).update(data).digest(),
  block: (key, data) => single(createCipheriv('aes-256-ecb', key, null), data),
  unblock: (key, data) => single(createDecipheriv('aes-256-ecb', key, null), data),
};

function single(cipher: ReturnType<typeof createCipheriv> | ReturnType<typeof createDecipheriv>, data: Buffer): Buffer {
  cipher.setAutoPadding(false);
  return Buffer.concat([cipher.update(data), cipher.final()]);
}
