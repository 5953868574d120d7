/** Who calls, told by a real OpenID provider: officers, systems that ask for them, certificates, keys that change, tokens taken back. */
import { execFileSync } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { openCallers } from '../src/resolvers/callers.ts';
import { type Server, startServer } from '../src/resolvers/server.ts';
import { followRevocations, type Revoked } from '../src/store/sessions.ts';
import { openHub, type TestHub } from './setup/hub.ts';
import { until } from './setup/platforms.ts';
import { AUDIENCE, type Issuer, openIssuer } from './setup/provider.ts';

const OFFICER = { name: '陈静', department: 'health', role: 'officer', region: '430000' };
const CLAIMS = {
  'wj-0001': OFFICER,
  'wj-0002': { ...OFFICER, name: '李明' },
  'sa-0001': { name: '周平', department: 'operations', role: 'system-administrator', region: '430000' },
  'of-0009': { ...OFFICER, act: { sub: 'portal-7' } },
  nobody: { department: 'health', role: 'officer' },
  'plain-system': { ...OFFICER, name: '卫健委业务系统', system: true },
  'bound-system': { ...OFFICER, name: '卫健委业务系统', system: true },
};
const KEY_TIMES = { maxAgeMs: 400, cooldownMs: 50 };

let hub: TestHub;
let issuer: Issuer;
let server: Server;
let revoked: Revoked;
let folder: string;
const pem: Record<string, string> = {};

beforeAll(async () => {
  // The provider reminds us that it keeps everything in memory.
  jest.spyOn(console, 'warn').mockImplementation(() => undefined);
  folder = await mkdtemp(join(tmpdir(), 'hub-callers-'));
  await makeCertificates();
  hub = await openHub();
  issuer = await openIssuer(CLAIMS);
  revoked = await followRevocations(hub.pool);
  server = await startServer({
    model: hub.model,
    pool: hub.pool,
    keys: hub.keys,
    log: hub.log,
    callers: await openCallers(hub.model, {
      issuer: issuer.url,
      audience: AUDIENCE,
      jwksUrl: issuer.jwksUrl,
      keyTimes: KEY_TIMES,
      data: folder,
      revoked,
    }),
    host: '127.0.0.1',
    port: 0,
    tls: { cert: pem['server'] ?? '', key: pem['server-key'] ?? '', clientCa: pem['ca'] },
    now: () => new Date(),
    onError: (error) => void hub.faults.push(error),
  });
}, 300_000);
afterAll(async () => {
  revoked.close();
  await server.stop();
  issuer.close();
  await hub.close();
  await rm(folder, { recursive: true, force: true });
});

interface Said {
  status: number;
  code: string | undefined;
  data: Record<string, unknown> | null | undefined;
}

/** A query over HTTPS, with a certificate where one is named. */
async function ask(token: string, options: { query?: string; certificate?: string; headers?: Record<string, string> } = {}): Promise<Said> {
  const { query = '{ catalog { no } }', certificate, headers = {} } = options;
  return new Promise((resolve, reject) => {
    const sent = request(
      `${server.url}/graphql`,
      {
        method: 'POST',
        ca: pem['ca'],
        ...(certificate === undefined ? {} : { cert: pem[certificate], key: pem[`${certificate}-key`] }),
        agent: false,
        headers: {
          'content-type': 'application/json',
          authorization: `Bearer ${token}`,
          'x-purpose': 'credit-evaluation',
          ...headers,
        },
      },
      (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (part: string) => (text += part));
        response.on('end', () => {
          const body = JSON.parse(text) as { data?: Said['data']; errors?: { extensions: { code: string } }[] };
          resolve({ status: response.statusCode ?? 0, code: body.errors?.[0]?.extensions.code, data: body.data });
        });
      },
    );
    sent.on('error', reject);
    sent.end(JSON.stringify({ query }));
  });
}

const officerOf = (id: string, name: string) => ({ 'x-officer-id': encodeURIComponent(id), 'x-officer-name': encodeURIComponent(name) });
const lastEntry = async () => (await hub.entries()).at(-1)?.entry;
const login = async (account: string) => (await issuer.login(account)).token;

describe('an officer', () => {
  it('ZM-3.2.3 logs in at the provider by code flow with PKCE and is known by name, department, role and region', async () => {
    expect(await ask(await login('wj-0001'))).toMatchObject({ status: 200, code: undefined });
    expect(await lastEntry()).toMatchObject({
      person: { id: 'wj-0001', name: '陈静' },
      department: 'health',
      role: 'officer',
      region: '430000',
      outcome: 'answered',
    });
  });

  it('ZM-3.2.3 gets no token for a code that another browser asked for', async () => {
    expect(await issuer.login('wj-0001', { verifier: 'x'.repeat(43) })).toMatchObject({ status: 400, token: '' });
  });

  it('ZM-3.2.3 without a name is nobody', async () => {
    expect(await ask(await login('nobody'))).toMatchObject({ status: 403, code: 'CALLER_UNKNOWN' });
  });

  it('ZM-3.2.3 for whom a portal asks is logged with the portal', async () => {
    expect((await ask(await login('of-0009'))).status).toBe(200);
    expect(await lastEntry()).toMatchObject({ person: { id: 'of-0009', name: '陈静' }, actingFor: 'portal-7' });
  });

  it('ZM-3.2.3 may not ask in the name of another', async () => {
    const refused = await ask(await login('wj-0001'), { headers: officerOf('wj-0002', '李明') });
    expect(refused).toMatchObject({ status: 403, code: 'OFFICER_NOT_DELEGATED' });
  });
});

describe('a system of a department', () => {
  it('ZM-3.2.3 names the officer for whom it asks, and both are in the log', async () => {
    const token = await issuer.systemToken();
    expect(await ask(token)).toMatchObject({ status: 403, code: 'OFFICER_REQUIRED' });
    expect(await ask(token, { headers: { ...officerOf('0815', '王芳'), 'x-officer-name': '%E0%A4%A' } })).toMatchObject({
      code: 'OFFICER_REQUIRED',
    });
    expect((await ask(token, { headers: officerOf('0815', '王芳') })).status).toBe(200);
    expect(await lastEntry()).toMatchObject({
      person: { id: 'plain-system/0815', name: '王芳' },
      actingFor: '卫健委业务系统',
      department: 'health',
    });
  });

  it('U1 a token bound to a certificate is good over a connection with that certificate alone', async () => {
    const token = await issuer.systemToken(pem['client']);
    const headers = officerOf('0815', '王芳');
    expect((await ask(token, { headers, certificate: 'client' })).status).toBe(200);
    expect(await ask(token, { headers })).toMatchObject({ status: 401, code: 'TOKEN_BOUND' });
    expect(await ask(token, { headers, certificate: 'other' })).toMatchObject({ status: 401, code: 'TOKEN_BOUND' });
    const foreign = await issuer.systemToken(pem['stranger']);
    expect(await ask(foreign, { headers, certificate: 'stranger' })).toMatchObject({ status: 401, code: 'TOKEN_BOUND' });
  });
});

describe('keys of the provider', () => {
  it('P21 change while tokens of both are taken, and a key that is withdrawn is forgotten', async () => {
    const old = await login('wj-0001');
    await issuer.rotate(true);
    const next = await login('wj-0001');
    await until(async () => (await ask(next)).status === 200);
    expect((await ask(old)).status).toBe(200);
    await issuer.rotate(false);
    await until(async () => (await ask(old)).code === 'TOKEN_INVALID');
    expect((await ask(await login('wj-0001'))).status).toBe(200);
  });
});

describe('tokens taken back', () => {
  const REVOKE = (what: string) => `mutation { revokeSessions(${what}, reason: "离职") { id reason } }`;

  it('HN-36 all tokens of a person are refused within five seconds; later ones and those of others are taken', async () => {
    const [administrator, one, other] = [await login('sa-0001'), await login('wj-0001'), await login('wj-0002')];
    expect((await ask(one)).status).toBe(200);
    expect((await ask(administrator, { query: REVOKE('person: "wj-0001"') })).code).toBeUndefined();
    await until(async () => (await ask(one)).code === 'TOKEN_REVOKED');
    expect((await ask(other)).status).toBe(200);
    await new Promise((resolve) => setTimeout(resolve, 1100));
    expect((await ask(await login('wj-0001'))).status).toBe(200);
    expect(await lastEntry()).toMatchObject({ outcome: 'answered' });
  });

  it('HN-36 one token is refused and others of the same person are not', async () => {
    const [administrator, one, two] = [await login('sa-0001'), await login('wj-0002'), await login('wj-0002')];
    const id = (JSON.parse(Buffer.from(one.split('.')[1] ?? '', 'base64url').toString()) as { jti: string }).jti;
    await ask(administrator, { query: REVOKE(`tokenId: "${id}"`) });
    await until(async () => (await ask(one)).code === 'TOKEN_REVOKED');
    expect((await ask(two)).status).toBe(200);
    const { data } = await ask(administrator, { query: '{ revocations { tokenId person reason revokedBy } }' });
    expect(data?.['revocations']).toEqual([
      { tokenId: id, person: null, reason: '离职', revokedBy: 'sa-0001' },
      { tokenId: null, person: 'wj-0001', reason: '离职', revokedBy: 'sa-0001' },
    ]);
  });

  it.each([
    ['an officer', 'wj-0002', REVOKE('person: "wj-0001"'), 'DUTY_REQUIRED'],
    ['nobody in particular', 'sa-0001', 'mutation { revokeSessions(reason: "x") { id } }', 'BAD_REVOCATION'],
    ['without a reason', 'sa-0001', 'mutation { revokeSessions(person: "x", reason: " ") { id } }', 'REASON_REQUIRED'],
  ])('HN-36 are not taken back by or for %s', async (_, account, query, code) => {
    expect((await ask(await login(account), { query })).code).toBe(code);
  });
});

/** An authority, a server, two clients of the authority and one of nobody. */
async function makeCertificates(): Promise<void> {
  const path = (name: string) => join(folder, name);
  const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] });
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
  const make = (name: string, ...more: string[]) =>
    openssl('req', '-x509', ...key, '-keyout', path(`${name}-key`), '-out', path(name), '-subj', `/CN=${name}`, ...more);
  make('ca');
  make('stranger');
  for (const name of ['server', 'client', 'other'])
    make(
      name,
      '-CA',
      path('ca'),
      '-CAkey',
      path('ca-key'),
      '-addext',
      'subjectAltName=IP:127.0.0.1',
      '-addext',
      'basicConstraints=critical,CA:FALSE',
    );
  for (const name of ['ca', 'server', 'client', 'other', 'stranger']) {
    pem[name] = await readFile(path(name), 'utf8');
    if (name !== 'ca') pem[`${name}-key`] = await readFile(path(`${name}-key`), 'utf8');
  }
}
