import { createHash, createPublicKey } from 'node:crypto';
import { openSigner as openKey, publicKeyOf, verifySignature } from '../store/signing.ts';

/** What a signature is about. A signature made for one of these is none for another. */
export type Statement = 'checkpoint' | 'cosignature' | 'receipt' | 'archive' | 'approval';

/** Makes the log's signatures with one private key, which never leaves it. */
export interface Signer {
  /** Follows from the public key (16 hex digits), so that nobody has to give it out. */
  readonly keyId: string;
  readonly algorithm: string;
  /** In PEM, for those who check. */
  readonly publicKey: string;
  sign(statement: Statement, bytes: Buffer): Buffer;
}

/** Checks signatures of one public key. */
export interface PublicKey {
  readonly keyId: string;
  /** False for any signature that this key did not make over exactly this; never throws. */
  verify(statement: Statement, bytes: Buffer, signature: Buffer): boolean;
}

/** Opens a private key in PEM; the key says which algorithm (Ed25519 or SM2). Throws an Error that holds no part of it. */
export function openSigner(privateKey: string): Signer {
  const publicKey = attempt('a private signing key cannot be read', () => publicKeyOf(privateKey));
  const { keyId, algorithm, sign } = openKey(keyIdOf(publicKey), privateKey);
  return { keyId, algorithm, publicKey, sign: (statement, bytes) => sign(tagged(statement, bytes)) };
}

/** Opens a public key in PEM. Throws an Error when it is none. */
export function openPublicKey(publicKey: string): PublicKey {
  return {
    keyId: attempt('a public signing key cannot be read', () => keyIdOf(publicKey)),
    verify(statement, bytes, signature) {
      try {
        return verifySignature(publicKey, tagged(statement, bytes), signature);
      } catch {
        return false;
      }
    },
  };
}

/** Several public keys in PEM, one after the other. Throws an Error for a text without any. */
export function openPublicKeys(text: string): PublicKey[] {
  const blocks = text.match(/-----BEGIN PUBLIC KEY-----[^-]+-----END PUBLIC KEY-----/g) ?? [];
  if (blocks.length === 0) throw new Error('no public key in PEM');
  return blocks.map(openPublicKey);
}

function tagged(statement: Statement, bytes: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`credit-hub log ${statement} v1\0`), bytes]);
}

function keyIdOf(publicKey: string): string {
  const der = createPublicKey(publicKey).export({ type: 'spki', format: 'der' });
  return createHash('sha256').update(der).digest('hex').slice(0, 16);
}

function attempt<T>(what: string, work: () => T): T {
  try {
    return work();
  } catch {
    throw new Error(what);
  }
}
