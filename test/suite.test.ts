/** P22: the two suites of algorithms, the national one held against the standards' own examples and against openssl. */
import { spawnSync } from 'node:child_process';
import { createCipheriv, createHash, createHmac } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { sm2 } from 'sm-crypto-v2';
import { newKeyRing, openKeys, Unreadable } from '../src/store/keys.ts';
import { readRing, withNewKey, writeRing } from '../src/store/ring.ts';
import { newSigningKey, openSigner, publicKeyOf, verifySignature } from '../src/store/signing.ts';
import { INTERNATIONAL, NATIONAL, type SuiteName, suiteOf } from '../src/store/suite.ts';

interface Vectors {
  sm3: { input_utf8: string; hex: string }[];
  hmac_sm3: { key_utf8: string; input_utf8: string; hex: string }[];
  sm4_ecb: { key_hex: string; plain_hex: string; cipher_hex: string; rounds?: number }[];
  sm2_verify: { user_id: string; message_utf8: string; public_key_hex: string; signature_rs_hex: string; valid: boolean }[];
}
const vectors = JSON.parse(readFileSync(new URL('fixtures/gm-vectors.json', import.meta.url), 'utf8')) as Vectors;
const hex = (text: string) => Buffer.from(text, 'hex');
const SUITES = [INTERNATIONAL, NATIONAL];
const NAMES: SuiteName[] = ['international', 'national'];

describe('P22 the national algorithms', () => {
  it.each(vectors.sm3)('hash as GB/T 32905 says: $hex', ({ input_utf8, hex: expected }) => {
    expect(createHash(NATIONAL.hash).update(input_utf8).digest('hex')).toBe(expected);
  });

  it.each(vectors.hmac_sm3)('authenticate as HMAC-SM3 does: $hex', ({ key_utf8, input_utf8, hex: expected }) => {
    expect(createHmac('sm3', key_utf8).update(input_utf8).digest('hex')).toBe(expected);
    // The suite's keys are 32 bytes; HMAC pads a shorter key with zeros.
    const key = Buffer.concat([Buffer.from(key_utf8), Buffer.alloc(32 - key_utf8.length)]);
    expect(NATIONAL.mac(key)(Buffer.from(input_utf8)).toString('hex')).toBe(expected);
  });

  it.each(vectors.sm4_ecb)('encrypt a block as GB/T 32907 says: $cipher_hex', ({ key_hex, plain_hex, cipher_hex, rounds = 1 }) => {
    const permutation = NATIONAL.permutation(Buffer.concat([hex(key_hex), Buffer.alloc(16)]));
    // A million rounds as one chain: CBC of zeros is a block fed into itself.
    const chain = createCipheriv('sm4-cbc', hex(key_hex), Buffer.alloc(16)).setAutoPadding(false);
    const input = Buffer.alloc(16 * rounds);
    hex(plain_hex).copy(input);
    expect(chain.update(input).subarray(-16).toString('hex')).toBe(cipher_hex);
    if (rounds === 1) expect(permutation.block(hex(plain_hex)).toString('hex')).toBe(cipher_hex);
  });

  it.each(vectors.sm2_verify)('verify the signature of GB/T 32918.5', ({ message_utf8, public_key_hex, signature_rs_hex }) => {
    const [r = '', s = ''] = [signature_rs_hex.slice(0, 64), signature_rs_hex.slice(64)];
    const publicKey = pemOf(public_key_hex);
    const message = Buffer.from(message_utf8);
    expect(verifySignature(publicKey, message, derOf(r, s))).toBe(true);
    expect(verifySignature(publicKey, Buffer.from('message Digest'), derOf(r, s))).toBe(false);
    expect(verifySignature(publicKey, message, derOf(s, r))).toBe(false);
  });
});

/** SPKI of a public point on the curve of GB/T 32918.5. */
function pemOf(point: string): string {
  const der = Buffer.concat([hex('3059301306072a8648ce3d020106082a811ccf5501822d034200'), hex(point)]);
  return `-----BEGIN PUBLIC KEY-----\n${der.toString('base64')}\n-----END PUBLIC KEY-----\n`;
}
function derOf(...numbers: string[]): Buffer {
  const parts = numbers.map((number) => {
    const bytes = (hex(number)[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.alloc(1), hex(number)]) : hex(number);
    return Buffer.concat([Buffer.of(2, bytes.length), bytes]);
  });
  const body = Buffer.concat(parts);
  return Buffer.concat([Buffer.of(0x30, body.length), body]);
}

describe('P22 a signature', () => {
  it.each(NAMES)('of the %s suite holds for its bytes and key alone', (name) => {
    const { signature } = suiteOf(name);
    const { privateKey, publicKey } = newSigningKey(signature);
    const signer = openSigner('s1', privateKey);
    expect([signer.keyId, signer.algorithm]).toEqual(['s1', signature]);
    expect(publicKeyOf(privateKey)).toBe(publicKey);
    const other = newSigningKey(signature).publicKey;
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(), (bytes, at) => {
        const data = Buffer.from(bytes);
        const signed = signer.sign(data);
        expect(verifySignature(publicKey, data, signed)).toBe(true);
        expect(verifySignature(other, data, signed)).toBe(false);
        expect(verifySignature(publicKey, Buffer.concat([data, Buffer.of(0)]), signed)).toBe(false);
        const changed = Buffer.from(signed);
        changed[at % signed.length] = (changed[at % signed.length] ?? 0) ^ 1;
        expect(verifySignature(publicKey, data, changed)).toBe(false);
        expect(verifySignature(publicKey, data, signed.subarray(0, -1))).toBe(false);
      }),
      { numRuns: 20 },
    );
  });

  it('takes no key of another kind', () => {
    expect(() => openSigner('s1', newPem('P-256'))).toThrow('Ed25519 or SM2');
    expect(() => verifySignature(publicKeyOf(newPem('P-256')), Buffer.alloc(1), Buffer.alloc(64))).toThrow('Ed25519 or SM2');
  });
});

function newPem(curve: string): string {
  const { stdout } = spawnSync('openssl', ['ecparam', '-name', curve === 'P-256' ? 'prime256v1' : curve, '-genkey', '-noout']);
  return stdout.toString();
}

const hasSm2 = spawnSync('openssl', ['ecparam', '-name', 'SM2', '-genkey', '-noout']).status === 0;
// An openssl that was built without SM2 cannot be asked.
(hasSm2 ? describe : describe.skip)('P22 SM2 and openssl', () => {
  let folder: string;
  const at = (name: string) => join(folder, name);
  const openssl = (...args: string[]) => spawnSync('openssl', args, { cwd: folder });
  const SM2 = ['-rawin', '-digest', 'sm3', '-pkeyopt', 'distid:1234567812345678'];
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'credit-hub-sm2-'));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it('openssl verifies what the hub signs, and refuses it for other bytes', () => {
    const { privateKey, publicKey } = newSigningKey('sm2');
    writeFileSync(at('public.pem'), publicKey);
    for (let n = 0; n < 20; n += 1) {
      const data = Buffer.from(`checkpoint ${n}`);
      writeFileSync(at('data'), data);
      writeFileSync(at('signature'), openSigner('s1', privateKey).sign(data));
      const check = () => openssl('pkeyutl', '-verify', '-pubin', '-inkey', 'public.pem', '-in', 'data', '-sigfile', 'signature', ...SM2);
      expect(check().stdout.toString()).toContain('Signature Verified Successfully');
      writeFileSync(at('data'), 'something else');
      expect(check().status).not.toBe(0);
    }
  });

  it('the hub verifies what openssl signs, with keys that openssl made', () => {
    writeFileSync(at('key.pem'), openssl('genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:SM2').stdout);
    const privateKey = readFileSync(at('key.pem'), 'utf8');
    for (let n = 0; n < 20; n += 1) {
      writeFileSync(at('data'), `checkpoint ${n}`);
      const made = openssl('pkeyutl', '-sign', '-inkey', 'key.pem', '-in', 'data', '-out', 'signature', ...SM2);
      expect(made.status).toBe(0);
      const signature = readFileSync(at('signature'));
      expect(verifySignature(publicKeyOf(privateKey), Buffer.from(`checkpoint ${n}`), signature)).toBe(true);
      expect(verifySignature(publicKeyOf(privateKey), Buffer.from(`checkpoint ${n + 1}`), signature)).toBe(false);
    }
    // And the other way round under the same key: the key files mean the same to both.
    const data = Buffer.from('both');
    const point = openssl('ec', '-in', 'key.pem', '-pubout', '-outform', 'DER').stdout.subarray(-65).toString('hex');
    const signed = openSigner('s1', privateKey).sign(data).toString('hex');
    expect(sm2.doVerifySignature(data, signed, point, { der: true, hash: true, userId: '1234567812345678' })).toBe(true);
  });
});

describe.each(SUITES)('P22 a sealed value of the $id suite', (suite) => {
  const key = Buffer.alloc(32, 5);
  const cipher = suite.cipher(key);
  const bytes = fc.uint8Array({ maxLength: 200 }).map((data) => Buffer.from(data));

  it('opens under its key and context alone, and not when a bit is changed', () => {
    fc.assert(
      fc.property(bytes, bytes, fc.nat(), fc.nat(7), (plain, context, at, bit) => {
        const sealed = cipher.seal(plain, context);
        expect(cipher.open(sealed, context)).toEqual(plain);
        expect(() => cipher.open(sealed, Buffer.concat([context, Buffer.of(0)]))).toThrow();
        expect(() => suite.cipher(Buffer.alloc(32, 6)).open(sealed, context)).toThrow();
        const changed = Buffer.from(sealed);
        changed[at % sealed.length] = (changed[at % sealed.length] ?? 0) ^ (1 << bit);
        expect(() => cipher.open(changed, context)).toThrow();
        expect(() => cipher.open(sealed.subarray(0, at % sealed.length), context)).toThrow();
      }),
    );
  });

  it('does not let bytes move between the context and the value', () => {
    const sealed = cipher.seal(Buffer.from('value'), Buffer.from('context'));
    expect(() => cipher.open(Buffer.concat([Buffer.from('t'), sealed]), Buffer.from('contex'))).toThrow();
    expect(() => cipher.open(sealed.subarray(1), Buffer.concat([Buffer.from('context'), sealed.subarray(0, 1)]))).toThrow();
  });

  it('never has the nonce of another', () => {
    const length = suite === NATIONAL ? 16 : 12;
    const seen = new Set<string>();
    const [plain, context] = [Buffer.from('1'), Buffer.from('c')];
    for (let n = 0; n < 100_000; n += 1) seen.add(cipher.seal(plain, context).toString('latin1', 0, length));
    expect(seen.size).toBe(100_000);
  });

  it('is not the plain text, nor as long as to tell more than its length', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 4, maxLength: 60 }), (data) => {
        const sealed = cipher.seal(Buffer.from(data), Buffer.alloc(0));
        expect(sealed.includes(Buffer.from(data))).toBe(false);
        expect(sealed.length).toBe(data.length + cipher.seal(Buffer.alloc(0), Buffer.alloc(0)).length);
      }),
    );
  });
});

describe('P22 a key ring', () => {
  const why = (work: () => unknown) => {
    try {
      work();
    } catch (error) {
      return [error instanceof Unreadable && error.why, (error as Error).message];
    }
    return undefined;
  };

  it('writes the suite and the key into every sealed value', () => {
    expect(openKeys(newKeyRing('international')).seal('x', 'c')).toMatch(/^i\.k1\.[\w-]+$/);
    expect(openKeys(newKeyRing('national')).seal('x', 'c')).toMatch(/^n\.k1\.[\w-]+$/);
  });

  it('says which suite or key a value would need, and never what is in it', () => {
    const [one, other] = [openKeys(newKeyRing('international')), openKeys(newKeyRing('national'))];
    const sealed = one.seal('430102', 'c');
    expect(why(() => other.open(sealed, 'c'))).toEqual(['suite', expect.stringContaining('"i", this deployment has national')]);
    expect(why(() => one.open(sealed.replace('.k1.', '.k9.'), 'c'))).toEqual([
      'key',
      expect.stringContaining('k9, which is not in the key ring'),
    ]);
    expect(why(() => one.open(sealed, 'd'))?.[0]).toBe('damaged');
    expect(why(() => openKeys(newKeyRing()).open(sealed, 'c'))?.[0]).toBe('damaged');
    for (const text of ['', 'plain', 'a.b', 'a.b.c.d', '..']) expect(why(() => one.open(text, 'c'))?.[0]).toBe('form');
  });

  it('with a fault in its form is refused by name, without a part of a key', () => {
    const ring = JSON.parse(newKeyRing()) as Record<string, unknown>;
    const secret = (ring['seal'] as { key: string }[])[0]?.key ?? '';
    const faults: [Record<string, unknown>, string][] = [
      [{ suite: 'rot13' }, 'unknown suite rot13'],
      [{ active: 'k2' }, 'active names no key'],
      [{ live: 'b2' }, 'live names no key'],
      [{ seal: [{ id: 'k1', key: secret.slice(4) }] }, 'seal k1 must be 32 bytes'],
      [{ seal: [{ id: 'x', key: secret }] }, 'named k1 to k255'],
      [{ blind: [] }, 'blind must be a list'],
      [
        {
          log: [
            { id: 'l2', key: secret },
            { id: 'l1', key: secret },
          ],
        },
        'in the order of their numbers',
      ],
      [{ opaque: undefined }, 'lacks opaque'],
    ];
    for (const [change, expected] of faults) {
      const [, message] = why(() => openKeys(JSON.stringify({ ...ring, ...change }))) ?? [];
      expect(message).toContain(expected);
      expect(message).not.toContain(secret.slice(4, 12));
    }
    expect(why(() => openKeys('{'))?.[1]).toBe('HUB_KEYS is not JSON');
  });

  it.each(NAMES)('of the %s suite: blind index, fingerprint and log token tell equal texts of one domain, and nothing else', (name) => {
    const keys = openKeys(newKeyRing(name));
    fc.assert(
      fc.property(fc.string(), fc.string(), (a, b) => {
        for (const token of [keys.blindToken, keys.fingerprint, keys.logToken]) {
          expect(token('d', a).equals(token('d', b))).toBe(a === b);
          expect(token('d', a).equals(token('e', a))).toBe(false);
        }
      }),
    );
  });

  it.each(NAMES)('of the %s suite: an index goes on to a new generation by itself, and both are found meanwhile', (name) => {
    const before = readRing(newKeyRing(name));
    const during = withNewKey(before, 'blind');
    const after = { ...during, live: 'b2' };
    const [old, both, late] = [before, during, after].map((ring) => openKeys(writeRing(ring))) as [Keys, Keys, Keys];
    fc.assert(
      fc.property(fc.string(), (text) => {
        const token = old.blindToken('d', text);
        // Who writes with the old ring and who writes with the new one meet in the old token, later in the new one.
        expect(both.blindTokens('d', text)).toEqual([token, ...both.blindLater(token)]);
        expect(late.blindTokens('d', text)).toEqual(both.blindLater(token));
        expect(late.blindForms('d', text)).toEqual(both.blindTokens('d', text));
        expect([token[0], both.blindLater(token)[0]?.[0]]).toEqual([1, 2]);
      }),
    );
    expect(why(() => old.blindLater(Buffer.concat([Buffer.of(7), Buffer.alloc(16)])))?.[0]).toBe('key');
  });

  it('finds what the log holds under every key it ever had', () => {
    const before = readRing(newKeyRing());
    const [old, now] = [before, withNewKey(before, 'log')].map((ring) => openKeys(writeRing(ring))) as [Keys, Keys];
    expect(now.logTokens('log-subject', '7')).toEqual([now.logToken('log-subject', '7'), old.logToken('log-subject', '7')]);
    expect(now.logToken('log-subject', '7')).not.toEqual(old.logToken('log-subject', '7'));
  });
});
type Keys = ReturnType<typeof openKeys>;
