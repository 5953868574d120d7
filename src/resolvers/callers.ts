import { createHash } from 'node:crypto';
import { createRemoteJWKSet, errors, jwtVerify, type JWTPayload, type JWTVerifyGetKey } from 'jose';
import type { Caller, OwnSubject } from '../access/caller.ts';
import { Refused } from '../errors.ts';
import { classify } from '../identity/classify.ts';
import type { Model } from '../model/types.ts';
import type { Revoked } from '../store/sessions.ts';
import { devPublicKeys } from './token.ts';

/** What a request shows of who sends it. */
export interface Presented {
  authorization: string | undefined;
  /** The client's certificate (DER), where the connection was made with one. */
  certificate?: Buffer | undefined;
  /** `X-Officer-Id` and `X-Officer-Name`: the person for whom a system of a department asks. */
  officerId?: string | undefined;
  officerName?: string | undefined;
}

/** Tells who calls, from a bearer token. */
export interface Callers {
  /**
   * Throws `Refused` TOKEN_REQUIRED, TOKEN_EXPIRED, TOKEN_INVALID, TOKEN_BOUND, TOKEN_REVOKED (401), CALLER_UNKNOWN, OFFICER_REQUIRED,
   * OFFICER_NOT_DELEGATED (403) or IDENTITY_UNAVAILABLE (503).
   */
  identify(presented: Presented): Promise<Caller>;
}

export interface TokenTrust {
  issuer: string;
  audience: string;
  /** Where the issuer publishes its keys; undefined: only tokens of the local development key in `data` are taken. */
  jwksUrl: string | undefined;
  /** How long fetched keys are used, and how often a key that is not among them may be looked for again; a minute and half of one unless told. */
  keyTimes?: { maxAgeMs: number; cooldownMs: number };
  data: string;
  /** Tokens that are taken back before they are over; left out: none is. */
  revoked?: Revoked;
}

/** Nobody yet: what the log says of a request that was refused before it was known who sent it. */
export const ANONYMOUS: Caller = {
  id: 'anonymous',
  name: '未认证',
  department: '',
  role: '',
  region: '',
  actingFor: '',
  purposes: undefined,
};

const CLOCK_SKEW_SECONDS = 30;

export async function openCallers(model: Model, trust: TokenTrust): Promise<Callers> {
  const keys: JWTVerifyGetKey =
    trust.jwksUrl === undefined
      ? await devPublicKeys(trust.data)
      : createRemoteJWKSet(new URL(trust.jwksUrl), {
          timeoutDuration: 5000,
          cooldownDuration: trust.keyTimes?.cooldownMs ?? 30_000,
          cacheMaxAge: trust.keyTimes?.maxAgeMs ?? 60_000,
        });
  return {
    async identify(presented) {
      const token = /^Bearer (\S+)$/i.exec(presented.authorization ?? '')?.[1];
      if (token === undefined) throw new Refused('TOKEN_REQUIRED', '请求未携带令牌', { status: 401 });
      const claims = await verify(token, keys, trust);
      checkBinding(claims, presented.certificate);
      if (await isRevoked(claims, trust.revoked)) throw new Refused('TOKEN_REVOKED', '令牌已被撤销,请重新登录', { status: 401 });
      return toCaller(model, claims, presented);
    },
  };
}

/** A token that names a certificate is good only over a connection made with it (RFC 8705): a stolen one is of no use elsewhere. */
function checkBinding(claims: JWTPayload, certificate: Buffer | undefined): void {
  const { cnf } = claims;
  if (cnf === undefined) return;
  const wanted = typeof cnf === 'object' && cnf !== null && 'x5t#S256' in cnf ? cnf['x5t#S256'] : undefined;
  const shown = certificate && createHash('sha256').update(certificate).digest('base64url');
  // A confirmation that is not understood is one that does not hold.
  if (typeof wanted !== 'string' || shown !== wanted)
    throw new Refused('TOKEN_BOUND', '令牌与客户端证书绑定,须以该证书建立连接', { status: 401 });
}

async function isRevoked({ jti, sub, iat }: JWTPayload, revoked: Revoked | undefined): Promise<boolean> {
  try {
    return (await revoked?.has({ id: jti, person: sub ?? '', issuedAt: iat })) ?? false;
  } catch {
    throw new Refused('IDENTITY_UNAVAILABLE', '身份认证服务暂不可用', { status: 503 });
  }
}

async function verify(token: string, keys: JWTVerifyGetKey, trust: TokenTrust): Promise<JWTPayload> {
  try {
    const { payload } = await jwtVerify(token, keys, {
      issuer: trust.issuer,
      audience: trust.audience,
      algorithms: ['ES256', 'PS256', 'RS256', 'EdDSA'],
      clockTolerance: CLOCK_SKEW_SECONDS,
      requiredClaims: ['sub', 'exp'],
    });
    return payload;
  } catch (error) {
    if (error instanceof errors.JWTExpired) throw new Refused('TOKEN_EXPIRED', '令牌已过期,请重新登录', { status: 401 });
    if (isOfIssuer(error)) throw new Refused('IDENTITY_UNAVAILABLE', '身份认证服务暂不可用', { status: 503 });
    throw new Refused('TOKEN_INVALID', '令牌无效', { status: 401 });
  }
}

/** Whether it is the issuer's keys that could not be had, not the token that is wrong: jose says so of an answer that is no key set without a class of its own. */
function isOfIssuer(error: unknown): boolean {
  if (error instanceof errors.JWKSTimeout || error instanceof errors.JWKSInvalid) return true;
  return !(error instanceof errors.JOSEError) || error.code === errors.JOSEError.code;
}

/**
 * A caller is a named natural person of a known department, or nobody: ZM-3.2.3 asks for the name. A system of a department (claim `system`) is
 * nobody by itself: it names the officer for whom it asks, and the log has both. A token given for somebody else (claim `act`, RFC 8693) names the actor.
 */
function toCaller(model: Model, claims: JWTPayload, presented: Presented): Caller {
  const text = (name: string) => (typeof claims[name] === 'string' ? claims[name].trim() : '');
  const purposes = claims['purposes'];
  const caller: Caller = {
    ...personOf(claims, presented, text),
    department: text('department'),
    role: text('role'),
    region: text('region'),
    purposes: Array.isArray(purposes) ? purposes.filter((p) => typeof p === 'string') : undefined,
    subject: ownSubject(text('subject_code')),
  };
  // One role a token: nobody is two of the three administrators at once, nor adds up what two roles are given.
  if ((claims['role'] ?? '') !== '' && caller.role === '')
    throw new Refused('CALLER_UNKNOWN', '令牌须载明一个岗位,且只能载明一个', { status: 403, details: { article: 'HN-23.2' } });
  const known = model.codes.get('departments')?.values.has(caller.department) ?? false;
  if (caller.name === '' || !known)
    throw new Refused('CALLER_UNKNOWN', '令牌未载明查询人姓名或部门', { status: 403, details: { article: 'HN-23.2' } });
  if (caller.id.split('/').some(isOfPerson))
    throw new Refused('CALLER_UNKNOWN', '查询人编号不得为证件号码', { status: 403, details: { article: 'HN-5' } });
  return caller;
}

const today = () => new Date().toISOString().slice(0, 10);

/** Whether a text is the number of a person. The id of the caller is in every log entry, where no such number may stand. */
function isOfPerson(text: string): boolean {
  const { valid, kind } = classify(text, today());
  return valid && (kind === 'citizen-id' || kind === 'residence-permit' || kind === 'foreign-permanent-resident');
}

/** The code of the subject whose identity the issuer has proved (WG-10). It is repeated nowhere, not even where it is wrong. */
function ownSubject(code: string): OwnSubject | undefined {
  if (code === '') return undefined;
  const { valid, kind, normalized } = classify(code, today());
  if (!valid || kind === 'unknown')
    throw new Refused('CALLER_UNKNOWN', '令牌所载本主体代码无效', { status: 403, details: { article: 'WG-10' } });
  return { scheme: kind, code: normalized };
}

/** Who asks, and on whose behalf or through which system. */
function personOf(claims: JWTPayload, presented: Presented, text: (name: string) => string): Pick<Caller, 'id' | 'name' | 'actingFor'> {
  const { act } = claims;
  const actor = typeof act === 'object' && act !== null && 'sub' in act && typeof act.sub === 'string' ? act.sub : '';
  const named = presented.officerId !== undefined || presented.officerName !== undefined;
  if (claims['system'] !== true) {
    if (named) throw new Refused('OFFICER_NOT_DELEGATED', '该令牌不得代其他人员查询', { status: 403, details: { article: 'ZM-3.2.3' } });
    return { id: text('sub'), name: text('name'), actingFor: text('acting_for') || actor };
  }
  const [id, name] = [decoded(presented.officerId), decoded(presented.officerName)];
  if (id === '' || name === '')
    throw new Refused('OFFICER_REQUIRED', '系统查询须载明查询人编号和姓名', { status: 403, details: { article: 'ZM-3.2.3' } });
  return { id: `${text('sub')}/${id}`, name, actingFor: text('name') || text('sub') };
}

const OFFICER_LENGTH = 64;
function decoded(header: string | undefined): string {
  try {
    return decodeURIComponent(header ?? '')
      .trim()
      .slice(0, OFFICER_LENGTH);
  } catch {
    return '';
  }
}
