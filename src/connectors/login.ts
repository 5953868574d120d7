import { RetryLater, StopStream } from '../errors.ts';
import type { HttpPushVia, HttpVia, Json, LoginAuth } from '../model/types.ts';
import type { Values } from './contract.ts';
import { address, mustBeReadable } from './http.ts';
import type { Answer, Http, Request } from './http.ts';
import { said } from './said.ts';
import { fillJson, fillText, fillTexts, textAt } from './template.ts';

type Api = Pick<HttpVia | HttpPushVia, 'base' | 'headers' | 'auth' | 'ok' | 'error'>;

/** One call, as configured: the texts still hold `{name}`. */
export interface Call {
  method: 'GET' | 'POST';
  path: string;
  headers?: Record<string, string>;
  query?: Record<string, string>;
  body?: Json | undefined;
  /** Page variables; settings are known already. */
  values?: Values;
}

/** An API with its login. The token is shared by all calls, asked for when first needed and again once per call when it is refused. */
export interface Session {
  label(call: Call): string;
  /** Logs in where that is still to be done, so that what fails after it is the call itself. */
  ready(): Promise<void>;
  /** The answer as it is, whatever its status; 401 and 403 only after the login was renewed. */
  send(call: Call): Promise<Answer>;
  /** The body of an answer that says success, else RetryLater or StopStream. */
  read(call: Call): Promise<Json>;
}

export interface Verdict {
  ok: boolean;
  /** The platform's own status, where the API has one. */
  code: string;
  message: string;
}

/** What the platform says inside a readable answer. */
export function verdictOf(body: Json | undefined, api: Pick<Api, 'ok' | 'error'>): Verdict {
  const message = api.error === undefined ? '' : said(textAt(body, api.error));
  if (api.ok === undefined) return { ok: true, code: '', message };
  const code = textAt(body, api.ok.at) ?? '';
  return { ok: code === api.ok.equals, code, message };
}

/** A platform's own status that begins with 5 says "busy", as HTTP's does. */
export function saysBusy(code: string): boolean {
  return /^5\d*$/.test(code);
}

export function openSession(http: Http, name: string, api: Api, settings: Values): Session {
  let token: Promise<string> | undefined;

  async function send(call: Call): Promise<Answer> {
    const { auth } = api;
    if (auth === undefined) return http.send(request(call, {}));
    const used = (token ??= login(auth));
    const answer = await http.send(request(call, header(auth, await settled(used))));
    if (!isExpired(answer, auth)) return answer;
    if (token === used) token = undefined;
    return http.send(request(call, header(auth, await settled((token ??= login(auth))))));
  }

  async function ready(): Promise<void> {
    if (api.auth !== undefined) await settled((token ??= login(api.auth)));
  }

  async function read(call: Call): Promise<Json> {
    const answer = await send(call);
    const at = label(call);
    const verdict = verdictOf(answer.body, api);
    mustBeReadable(answer, at, verdict.message);
    if (verdict.ok) return answer.body ?? null;
    const message = `${at} 返回状态 ${said(verdict.code) || '（无）'}：${verdict.message}`;
    if (saysBusy(verdict.code)) throw new RetryLater(`platform-busy: ${message}`);
    throw new StopStream(`platform-refused: ${message}`);
  }

  async function login(auth: LoginAuth): Promise<string> {
    const call: Call = { method: 'POST', path: auth.path, body: auth.body };
    const answer = await http.send(request(call, {}));
    const verdict = verdictOf(answer.body, api);
    mustBeReadable(answer, label(call), verdict.message);
    if (!verdict.ok && saysBusy(verdict.code)) throw new RetryLater(`platform-busy: ${label(call)} ${verdict.message}`);
    const found = textAt(answer.body, auth.token);
    if (!verdict.ok || !found) throw new StopStream(`login-refused: ${label(call)} 登录失败：${verdict.message}`);
    return found;
  }

  /** A login that failed is not remembered. */
  async function settled(used: Promise<string>): Promise<string> {
    try {
      return await used;
    } catch (error) {
      if (token === used) token = undefined;
      throw error;
    }
  }

  function isExpired(answer: Answer, auth: LoginAuth): boolean {
    if (answer.status === 401 || answer.status === 403) return true;
    return api.ok !== undefined && auth.expired.includes(textAt(answer.body, api.ok.at) ?? '');
  }

  function header(auth: LoginAuth, value: string): Record<string, string> {
    return { [auth.header]: `${auth.prefix}${value}` };
  }

  function label(call: Call): string {
    return `${name} ${call.method} ${call.path}`;
  }

  function request(call: Call, extra: Record<string, string>): Request {
    const values = { ...settings, ...call.values };
    return {
      label: label(call),
      method: call.method,
      url: address(fillText(api.base, values), fillText(call.path, values, encodeURIComponent), label(call)),
      headers: { ...fillTexts(api.headers, values), ...call.headers, ...extra },
      query: fillTexts(call.query ?? {}, values),
      body: call.body === undefined ? undefined : fillJson(call.body, values),
    };
  }

  return { label, ready, send, read };
}
