import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createLocalJWKSet, exportJWK, generateKeyPair, importJWK, type JWK, type JWTVerifyGetKey, SignJWT } from 'jose';
import { secretFile } from '../store/secret-file.ts';

const ALGORITHM = 'ES256';
const FILE = 'dev-key.json';

/** The development signing key of this data folder, made at first use (file mode 0600). Never used where an issuer's keys are configured. */
async function devKey(data: string): Promise<JWK> {
  const path = join(data, FILE);
  if (!existsSync(path)) {
    const { privateKey } = await generateKeyPair(ALGORITHM, { extractable: true });
    const key: JWK = { ...(await exportJWK(privateKey)), alg: ALGORITHM, kid: 'dev', use: 'sig' };
    secretFile(path, () => JSON.stringify(key));
  }
  return JSON.parse(await readFile(path, 'utf8')) as JWK;
}

export async function devPublicKeys(data: string): Promise<JWTVerifyGetKey> {
  const { d: _private, ...publicKey } = await devKey(data);
  return createLocalJWKSet({ keys: [publicKey] });
}

export interface TokenRequest {
  id: string;
  name: string;
  department: string;
  role: string;
  region: string;
  /** Restricts the token to these purposes; empty: those of the department's policies. */
  purposes: readonly string[];
  /** The caller's own statutory code, for a query about itself. */
  subject?: string;
  issuer: string;
  audience: string;
  /** Seconds; negative makes an expired token, for tests. */
  expiresIn: number;
}

/** A token of the development key, for the demo, tests and developers (`npm run hub -- token`). */
export async function mintToken(data: string, request: TokenRequest): Promise<string> {
  const key = await importJWK(await devKey(data), ALGORITHM);
  const now = Math.floor(Date.now() / 1000);
  const { name, department, role, region, subject } = request;
  const claims = { name, department, role, region, ...(subject === undefined ? {} : { subject_code: subject }) };
  return new SignJWT(request.purposes.length > 0 ? { ...claims, purposes: [...request.purposes] } : claims)
    .setProtectedHeader({ alg: ALGORITHM, kid: 'dev' })
    .setJti(randomUUID())
    .setSubject(request.id)
    .setIssuer(request.issuer)
    .setAudience(request.audience)
    .setIssuedAt(now)
    .setExpirationTime(now + request.expiresIn)
    .sign(key);
}
