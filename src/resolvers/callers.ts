import { createRemoteJWKSet, errors, jwtVerify, type JWTPayload, type JWTVerifyGetKey } from 'jose';
import type { Caller, OwnSubject } from '../access/caller.ts';
import { Refused } from '../errors.ts';
import { classify } from '../identity/classify.ts';
import type { Model } from '../model/types.ts';
import { devPublicKeys } from './token.ts';

/** Tells who calls, from a bearer token. */
export interface Callers {
  /** Throws `Refused` TOKEN_REQUIRED, TOKEN_EXPIRED, TOKEN_INVALID (401) or CALLER_UNKNOWN (403), or IDENTITY_UNAVAILABLE (503). */
  identify(authorization: string | undefined): Promise<Caller>;
}

export interface TokenTrust {
  issuer: string;
  audience: string;
  /** Where the issuer publishes its keys; undefined: only tokens of the local development key in `data` are taken. */
  jwksUrl: string | undefined;
  data: string;
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
      : createRemoteJWKSet(new URL(trust.jwksUrl), { timeoutDuration: 5000, cooldownDuration: 30_000 });
  return {
    async identify(authorization) {
      const token = /^Bearer (\S+)$/i.exec(authorization ?? '')?.[1];
      if (token === undefined) throw new Refused('TOKEN_REQUIRED', '请求未携带令牌', { status: 401 });
      const claims = await verify(token, keys, trust);
      return toCaller(model, claims);
    },
  };
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

/** A caller is a named natural person of a known department, or nobody: ZM-3.2.3 asks for the name. */
function toCaller(model: Model, claims: JWTPayload): Caller {
  const text = (name: string) => (typeof claims[name] === 'string' ? claims[name].trim() : '');
  const purposes = claims['purposes'];
  const caller: Caller = {
    id: text('sub'),
    name: text('name'),
    department: text('department'),
    role: text('role'),
    region: text('region'),
    actingFor: text('acting_for'),
    purposes: Array.isArray(purposes) ? purposes.filter((p) => typeof p === 'string') : undefined,
    subject: ownSubject(text('subject_code')),
  };
  // One role a token: nobody is two of the three administrators at once, nor adds up what two roles are given.
  if ((claims['role'] ?? '') !== '' && caller.role === '')
    throw new Refused('CALLER_UNKNOWN', '令牌须载明一个岗位,且只能载明一个', { status: 403, details: { article: 'HN-23.2' } });
  const known = model.codes.get('departments')?.values.has(caller.department) ?? false;
  if (caller.name === '' || !known)
    throw new Refused('CALLER_UNKNOWN', '令牌未载明查询人姓名或部门', { status: 403, details: { article: 'HN-23.2' } });
  if (isOfPerson(caller.id))
    throw new Refused('CALLER_UNKNOWN', '令牌的 sub 不得为证件号码', { status: 403, details: { article: 'HN-5' } });
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
