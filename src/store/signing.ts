import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign, verify } from 'node:crypto';
import { sm2 } from 'sm-crypto-v2';

export type SignatureAlgorithm = 'ed25519' | 'sm2';

/** The user id of GB/T 32918.2 that every partner uses where none is agreed (GM/T 0009). */
const USER_ID = '1234567812345678';

/** What signs checkpoints: a key of the deployment, or later a signature server (签名验签服务器) behind the same three. */
export interface Signer {
  readonly keyId: string;
  readonly algorithm: SignatureAlgorithm;
  sign(data: Buffer): Buffer;
}

/** A new pair in PEM (PKCS #8 and SPKI), readable by openssl for both algorithms. */
export function newSigningKey(algorithm: SignatureAlgorithm): { privateKey: string; publicKey: string } {
  const { privateKey, publicKey } =
    algorithm === 'ed25519' ? generateKeyPairSync('ed25519') : generateKeyPairSync('ec', { namedCurve: 'SM2' });
  return {
    privateKey: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    publicKey: publicKey.export({ type: 'spki', format: 'pem' }).toString(),
  };
}

/** The public half of a private key, both in PEM. */
export function publicKeyOf(privateKey: string): string {
  return createPublicKey(privateKey).export({ type: 'spki', format: 'pem' }).toString();
}

/** A signer of a private key in PEM; the key says which algorithm. Throws an Error for any other kind of key. */
export function openSigner(keyId: string, privateKey: string): Signer {
  const key = createPrivateKey(privateKey);
  const algorithm = algorithmOf(key);
  if (algorithm === 'ed25519') return { keyId, algorithm, sign: (data) => sign(null, data, key) };
  const secret = scalarOf(key);
  const publicKey = pointOf(createPublicKey(privateKey));
  return {
    keyId,
    algorithm,
    // Node's own SM2 takes no user id and is plain ECDSA for fresh keys: nobody else could check such a signature.
    sign: (data) => derOf(Buffer.from(sm2.doSignature(data, secret, { hash: true, userId: USER_ID, publicKey }), 'hex')),
  };
}

/**
 * Whether `signature` (Ed25519: 64 bytes; SM2: DER of r and s) is that of `data` under a public key in PEM. A signature of another form is false,
 * a key of another kind throws an Error.
 */
export function verifySignature(publicKey: string, data: Buffer, signature: Buffer): boolean {
  const opened = openedKey(publicKey);
  if (opened.point === undefined) return verify(null, data, opened.key, signature);
  const numbers = numbersOf(signature);
  if (numbers === undefined) return false;
  try {
    return sm2.doVerifySignature(data, numbers.toString('hex'), opened.point, { hash: true, userId: USER_ID });
  } catch {
    // A number out of range.
    return false;
  }
}

interface Opened {
  key: KeyObject;
  /** Of an SM2 key, with its multiples: with them a signature is verified five times as fast. */
  point: ReturnType<typeof sm2.precomputePublicKey> | undefined;
}
/** A deployment has a handful of signing keys; whoever brings more of them only loses the speed. */
const MOST_OPENED = 32;
const openedKeys = new Map<string, Opened>();

function openedKey(publicKey: string): Opened {
  const known = openedKeys.get(publicKey);
  if (known !== undefined) return known;
  const key = createPublicKey(publicKey);
  const opened = { key, point: algorithmOf(key) === 'sm2' ? sm2.precomputePublicKey(pointOf(key)) : undefined };
  if (openedKeys.size >= MOST_OPENED) openedKeys.clear();
  openedKeys.set(publicKey, opened);
  return opened;
}

/** DER of r and s, 32 bytes each. The library's own reading takes changed headers too, so that one signature would have many forms. */
function derOf(numbers: Buffer): Buffer {
  const parts = [numbers.subarray(0, 32), numbers.subarray(32)].map((number) => {
    const first = number.findIndex((byte) => byte !== 0);
    const digits = first === -1 ? Buffer.of(0) : number.subarray(first);
    const body = (digits[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.of(0), digits]) : digits;
    return Buffer.concat([Buffer.of(2, body.length), body]);
  });
  const body = Buffer.concat(parts);
  return Buffer.concat([Buffer.of(0x30, body.length), body]);
}

/** r and s out of their DER; undefined for anything that is not exactly how they are written. */
function numbersOf(der: Buffer): Buffer | undefined {
  const length = der[3] ?? 0;
  const padded = [der.subarray(4, 4 + length), der.subarray(6 + length)].map((body) => {
    const digits = body[0] === 0 ? body.subarray(1) : body;
    return digits.length > 32 ? Buffer.alloc(0) : Buffer.concat([Buffer.alloc(32 - digits.length), digits]);
  });
  const numbers = Buffer.concat(padded);
  return numbers.length === 64 && derOf(numbers).equals(der) ? numbers : undefined;
}

function algorithmOf(key: KeyObject): SignatureAlgorithm {
  if (key.asymmetricKeyType === 'ed25519') return 'ed25519';
  const spki = (key.type === 'private' ? createPublicKey(key.export({ type: 'pkcs8', format: 'pem' })) : key).export({
    type: 'spki',
    format: 'der',
  });
  if (spki.includes(SM2_CURVE)) return 'sm2';
  throw new Error('a signing key must be Ed25519 or SM2');
}

/** OID 1.2.156.10197.1.301, the curve of GB/T 32918.5. */
const SM2_CURVE = Buffer.from('06082a811ccf5501822d', 'hex');

/** The private number as hex: in PKCS #8 it stands after version 1 and the header of 32 bytes (RFC 5915). Node gives it in no other form for SM2. */
function scalarOf(key: KeyObject): string {
  const der = key.export({ type: 'pkcs8', format: 'der' });
  const at = der.indexOf(Buffer.from('0201010420', 'hex')) + 5;
  if (at < 5) throw new Error('the private key is in no form that is known');
  return der.subarray(at, at + 32).toString('hex');
}

/** The public point as hex, uncompressed: the last 65 bytes of SPKI. */
function pointOf(key: KeyObject): string {
  return key.export({ type: 'spki', format: 'der' }).subarray(-65).toString('hex');
}
