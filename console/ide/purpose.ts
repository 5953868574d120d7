/** Who asks and why: what the bar collects and every request carries as headers. All four are plain strings, empty when not given. */
export interface Asking {
  token: string;
  purpose: string;
  basis: string;
  case: string;
}

/** One purpose code as `GET /ide/purposes.json` lists it; `article` is the provision that knows the purpose. */
export interface PurposeCode {
  code: string;
  zh: string;
  en: string;
  article: string;
}

const KEY = 'credit-hub:asking';
const EMPTY: Asking = { token: '', purpose: '', basis: '', case: '' };
const CODE = /^[a-z0-9][a-z0-9._-]*$/i;
const VISIBLE_ASCII = /^[\x21-\x7e]+$/;

/**
 * What was given in this browser tab so far. Kept in `sessionStorage` only, so that closing the tab forgets the token;
 * it MUST NOT be moved to `localStorage`, where the next officer at a shared desk would find it.
 */
export function remembered(): Asking {
  try {
    const stored: unknown = JSON.parse(sessionStorage.getItem(KEY) ?? '{}');
    if (typeof stored !== 'object' || stored === null) return EMPTY;
    const text = (name: keyof Asking): string => {
      const value: unknown = Reflect.get(stored, name);
      return typeof value === 'string' ? value : '';
    };
    return { token: text('token'), purpose: text('purpose'), basis: text('basis'), case: text('case') };
  } catch {
    return EMPTY;
  }
}

export function remember(asking: Asking): void {
  sessionStorage.setItem(KEY, JSON.stringify(asking));
}

/**
 * Reads `#query=…&purpose=…&basis=…&case=…` of a link into this page. A token in the link is never read: links are forwarded and logged.
 * `query` is undefined when the link brings none.
 */
export function fromLink(hash: string): { query?: string; asking: Partial<Omit<Asking, 'token'>> } {
  const asking: Partial<Omit<Asking, 'token'>> = {};
  let query: string | undefined;
  for (const pair of hash.replace(/^#/, '').split('&')) {
    const cut = pair.indexOf('=');
    if (cut < 1) continue;
    const name = pair.slice(0, cut);
    const value = decoded(pair.slice(cut + 1));
    if (name === 'query' && value) query = value;
    if (name === 'purpose' || name === 'basis' || name === 'case') asking[name] = value;
  }
  return query === undefined ? { asking } : { query, asking };
}

/** Percent-decoding as `encodeURIComponent` encodes: a plus stays a plus, and a malformed value is taken as it stands. */
function decoded(value: string): string {
  try {
    return decodeURIComponent(value);
  } catch {
    return value;
  }
}

/**
 * The request headers for `asking`. Basis and case may hold Chinese and are URI-encoded UTF-8; the purpose is a code and is sent as it is.
 * Throws an `Error` in the officer's words when token or purpose cannot be sent in a header at all.
 */
export function headersFor(asking: Asking): Record<string, string> {
  const headers: Record<string, string> = {};
  const token = asking.token.trim().replace(/^Bearer\s+/i, '');
  const purpose = asking.purpose.trim();
  if (token && !VISIBLE_ASCII.test(token)) throw new Error('令牌含有空格或非法字符，请重新粘贴。The token has characters no token has.');
  if (purpose && !CODE.test(purpose)) {
    throw new Error('查询用途应填写代码，例如 administrative-licence。The purpose must be a code.');
  }
  if (token) headers['Authorization'] = `Bearer ${token}`;
  if (purpose) headers['X-Purpose'] = purpose;
  if (asking.basis.trim()) headers['X-Purpose-Basis'] = encodeURIComponent(asking.basis.trim());
  if (asking.case.trim()) headers['X-Purpose-Case'] = encodeURIComponent(asking.case.trim());
  return headers;
}

/** The purpose codes the hub knows; an empty list when they cannot be had, and the bar then takes the code as free text. */
export async function purposeCodes(): Promise<PurposeCode[]> {
  try {
    const response = await fetch('/ide/purposes.json', { headers: { Accept: 'application/json' } });
    const list: unknown = response.ok ? await response.json() : [];
    return Array.isArray(list) ? list.filter(isPurposeCode) : [];
  } catch {
    return [];
  }
}

function isPurposeCode(value: unknown): value is PurposeCode {
  if (typeof value !== 'object' || value === null) return false;
  return ['code', 'zh', 'en', 'article'].every((name) => typeof Reflect.get(value, name) === 'string');
}
