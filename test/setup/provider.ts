/** A real OpenID provider, on plain HTTP and in memory: officers log in by code flow with PKCE, systems get tokens bound to their certificate. */
import { createHash, randomBytes, X509Certificate } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, type JWK } from 'jose';
import { type Configuration, Provider } from 'oidc-provider';

export const AUDIENCE = 'credit-hub';
const RESOURCE = 'urn:credit-hub:api';
const SECRET = randomBytes(24).toString('hex');

export interface Issuer {
  url: string;
  jwksUrl: string;
  /** Logs an officer in as a browser would and exchanges the code; `verifier` other than the one sent in the beginning must fail. */
  login(account: string, options?: { verifier?: string }): Promise<{ status: number; token: string }>;
  /** A token of a system, bound to its certificate where one is given (PEM). */
  systemToken(certificate?: string): Promise<string>;
  /** Signs with a new key from now on; the old one is published as long as `keepOld`. */
  rotate(keepOld: boolean): Promise<void>;
  close(): void;
}

/** What the provider says of each account and of the system, beside the subject. */
export type Claims = Readonly<Record<string, Record<string, unknown>>>;

async function newKey(kid: string): Promise<JWK> {
  const { privateKey } = await generateKeyPair('ES256', { extractable: true });
  return { ...(await exportJWK(privateKey)), kid, alg: 'ES256', use: 'sig' };
}

export async function openIssuer(claims: Claims): Promise<Issuer> {
  let callback: (...args: Parameters<ReturnType<Provider['callback']>>) => unknown = () => undefined;
  const server: Server = createServer((request, response) => void callback(request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  let keys = [await newKey('k1')];
  let made = 1;
  const start = (): void => {
    const provider = new Provider(url, configuration(keys, claims));
    provider.on('server_error', (_ctx, error) => process.stderr.write(`${error.stack}\n`));
    callback = provider.callback();
  };
  start();
  const redirect = `${url}/done`;

  const token = async (form: Record<string, string>, headers: Record<string, string> = {}) => {
    const response = await fetch(`${url}/token`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
      body: new URLSearchParams(form),
    });
    const body = (await response.json()) as { access_token?: string };
    return { status: response.status, token: body.access_token ?? '' };
  };

  return {
    url,
    jwksUrl: `${url}/jwks`,
    async login(account, options = {}) {
      const verifier = randomBytes(32).toString('base64url');
      const challenge = createHash('sha256').update(verifier).digest('base64url');
      const browser = openBrowser(url);
      const asked = new URLSearchParams({
        client_id: 'console',
        response_type: 'code',
        scope: 'openid',
        redirect_uri: redirect,
        code_challenge: challenge,
        code_challenge_method: 'S256',
        resource: RESOURCE,
      });
      await browser.get(`/auth?${asked}`);
      await browser.submit({ prompt: 'login', login: account, password: 'x' });
      await browser.submit({ prompt: 'consent' });
      const code = new URL(browser.at()).searchParams.get('code') ?? '';
      return token({
        grant_type: 'authorization_code',
        code,
        redirect_uri: redirect,
        client_id: 'console',
        code_verifier: options.verifier ?? verifier,
        resource: RESOURCE,
      });
    },
    async systemToken(certificate) {
      const client = certificate === undefined ? 'plain-system' : 'bound-system';
      const shown: Record<string, string> = certificate === undefined ? {} : { 'x-certificate': encodeURIComponent(certificate) };
      const form = { grant_type: 'client_credentials', client_id: client, client_secret: SECRET, resource: RESOURCE };
      return (await token(form, shown)).token;
    },
    async rotate(keepOld) {
      made += 1;
      keys = [await newKey(`k${made}`), ...(keepOld ? keys : [])];
      start();
    },
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

function configuration(keys: JWK[], claims: Claims): Configuration {
  const system = {
    client_secret: SECRET,
    grant_types: ['client_credentials'],
    redirect_uris: [],
    response_types: [],
    token_endpoint_auth_method: 'client_secret_post' as const,
  };
  return {
    jwks: { keys } as NonNullable<Configuration['jwks']>,
    cookies: { keys: [SECRET] },
    clients: [
      {
        client_id: 'console',
        token_endpoint_auth_method: 'none',
        redirect_uris: ['http://127.0.0.1/done'],
        application_type: 'native',
        grant_types: ['authorization_code'],
        response_types: ['code'],
      },
      { client_id: 'plain-system', ...system },
      { client_id: 'bound-system', ...system, tls_client_certificate_bound_access_tokens: true },
    ],
    enabledJWA: { idTokenSigningAlgValues: ['ES256', 'RS256'] },
    clientDefaults: { id_token_signed_response_alg: 'ES256' },
    features: {
      devInteractions: { enabled: true },
      clientCredentials: { enabled: true },
      mTLS: {
        enabled: true,
        certificateBoundAccessTokens: true,
        getCertificate: (ctx) => {
          const shown = ctx.get('x-certificate');
          return shown === '' ? undefined : new X509Certificate(decodeURIComponent(shown));
        },
      },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => RESOURCE,
        getResourceServerInfo: () => ({
          scope: '',
          audience: AUDIENCE,
          accessTokenFormat: 'jwt',
          accessTokenTTL: 300,
          jwt: { sign: { alg: 'ES256' } },
        }),
      },
    },
    ttl: { AccessToken: 300, ClientCredentials: 300, AuthorizationCode: 60, Grant: 600, IdToken: 300, Interaction: 600, Session: 600 },
    findAccount: (_ctx, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
    extraTokenClaims: (_ctx, token) => claims['accountId' in token ? String(token.accountId) : (token.clientId ?? '')] ?? {},
  };
}

/** As much of a browser as the provider's own pages need: cookies, redirects, one form. */
function openBrowser(base: string): {
  get(path: string): Promise<void>;
  submit(fields: Record<string, string>): Promise<void>;
  at(): string;
} {
  const cookies = new Map<string, string>();
  let [at, page] = [base, ''];
  const go = async (to: string, body?: URLSearchParams): Promise<void> => {
    at = new URL(to, at).href;
    if (new URL(at).pathname === '/done') return;
    const response = await fetch(at, {
      method: body ? 'POST' : 'GET',
      redirect: 'manual',
      headers: { cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join('; ') },
      ...(body ? { body } : {}),
    });
    for (const cookie of response.headers.getSetCookie()) {
      const [pair = ''] = cookie.split(';');
      const cut = pair.indexOf('=');
      cookies.set(pair.slice(0, cut), pair.slice(cut + 1));
    }
    page = await response.text();
    const next = response.headers.get('location');
    if (next !== null) return go(next);
    if (response.status >= 400) throw new Error(`${response.status} at ${new URL(at).pathname}: ${page.slice(0, 300)}`);
  };
  return {
    get: (path) => go(path),
    submit: (fields) => go(/action="([^"]+)"/.exec(page)?.[1] ?? '', new URLSearchParams(fields)),
    at: () => at,
  };
}
