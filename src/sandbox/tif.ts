import { createHash, timingSafeEqual } from 'node:crypto';
import { type Answer, type Call, answered, headerOf } from './server.ts';

const WINDOW_SECONDS = 300;

export interface TifAccount {
  paasId: string;
  secret: string;
}

/** Lower-case hex SHA-256 of timestamp + secret + nonce + timestamp. The body is not covered. */
export function tifSignature(timestamp: string, secret: string, nonce: string): string {
  return createHash('sha256').update(`${timestamp}${secret}${nonce}${timestamp}`).digest('hex');
}

/** What the gateway answers itself, in its own shape (no infcode): 403 for an unknown application, 401 for clock or signature; null: it lets the call through. */
export function gatewayRefusal(call: Call, account: TifAccount, now: Date): Answer | null {
  if (headerOf(call, 'x-tif-paasid') !== account.paasId) return answered({ code: 403, msg: '应用未授权' }, 403);
  const timestamp = headerOf(call, 'x-tif-timestamp');
  const nonce = headerOf(call, 'x-tif-nonce');
  if (!/^\d{10}$/.test(timestamp) || Math.abs(now.getTime() / 1000 - Number(timestamp)) > WINDOW_SECONDS)
    return answered({ code: 401, msg: '时间戳不在有效范围内' }, 401);
  const expected = Buffer.from(tifSignature(timestamp, account.secret, nonce));
  const given = Buffer.from(headerOf(call, 'x-tif-signature'));
  if (nonce === '' || given.length !== expected.length || !timingSafeEqual(given, expected))
    return answered({ code: 401, msg: '签名校验失败' }, 401);
  return null;
}
