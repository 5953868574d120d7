import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { create, isAxiosError } from 'axios';
import { Deferred, RetryLater, StopStream } from '../errors.ts';
import type { Json } from '../model/types.ts';
import { DEFAULT_TIMEOUT_MS, OPEN_GATE } from './contract.ts';
import type { OpenOptions } from './contract.ts';
import { parseJson } from './json.ts';

export interface Request {
  /** For messages: platform and path as configured, never a filled one. */
  label: string;
  method: 'GET' | 'POST';
  url: string;
  headers: Record<string, string>;
  query: Record<string, string>;
  body: Json | undefined;
}

export interface Answer {
  status: number;
  /** Undefined when the status is no success and the body no JSON. */
  body: Json | undefined;
  /** Retry-After in milliseconds. */
  afterMs: number | undefined;
}

/** A file, or what the platform says instead of one. */
export interface Download extends Answer {
  file: Buffer | undefined;
}

export interface Http {
  /** Sends exactly once. RetryLater: no whole answer came. StopStream: an answer came that is no JSON though its status says success. */
  send(request: Request): Promise<Answer>;
  /** The same for a call that answers with a ZIP file of at most `LARGEST_FILE` bytes; anything else must be JSON. */
  download(request: Request): Promise<Download>;
  close(): void;
}

const LARGEST_ANSWER = 32 * 1024 * 1024;
const LARGEST_FILE = 50 * 1024 * 1024;
const LONGEST_WAIT_MS = 6 * 3600_000;
/** The connection was never made, so nothing was sent. */
const NEVER_SENT = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH']);

/** One client per connector. It follows no redirect, uses no proxy and repeats nothing by itself; a time-out covers the body too. */
export function openHttp(options: OpenOptions): Http {
  const agents = {
    httpAgent: new HttpAgent({ keepAlive: true, maxSockets: 8 }),
    httpsAgent: new HttpsAgent({ keepAlive: true, maxSockets: 8 }),
  };
  const client = create({
    ...agents,
    adapter: 'http',
    proxy: false,
    maxRedirects: 0,
    maxContentLength: LARGEST_ANSWER,
    maxBodyLength: LARGEST_ANSWER,
    responseType: 'arraybuffer',
    validateStatus: () => true,
    transformRequest: (data: unknown) => data,
    transformResponse: (data: unknown) => data,
  });
  const timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
  const gate = options.gate ?? OPEN_GATE;

  async function send(request: Request): Promise<Answer> {
    return gate.pass(
      () => exchange(request, LARGEST_ANSWER, ({ status, bytes, afterMs }) => ({ status, body: bodyOf(status, bytes, request), afterMs })),
      ({ status }) => isBusy(status),
    );
  }

  function download(request: Request): Promise<Download> {
    const read = ({ status, bytes, afterMs }: { status: number; bytes: Buffer; afterMs: number | undefined }): Download => {
      const file = isSuccess(status) && isZip(bytes) ? bytes : undefined;
      return { status, body: file ? undefined : bodyOf(status, bytes, request), afterMs, file };
    };
    return gate.pass(
      () => exchange(request, LARGEST_FILE, read),
      ({ status }) => isBusy(status),
    );
  }

  async function exchange<T>(
    request: Request,
    largest: number,
    read: (answer: { status: number; bytes: Buffer; afterMs: number | undefined }) => T,
  ): Promise<T> {
    const deadline = AbortSignal.timeout(timeoutMs);
    try {
      const response = await client.request<Buffer>({
        url: withQuery(request),
        method: request.method,
        headers: {
          accept: 'application/json',
          ...(request.body === undefined ? {} : { 'content-type': 'application/json; charset=utf-8' }),
          ...request.headers,
        },
        data: request.body === undefined ? undefined : JSON.stringify(request.body),
        signal: options.signal ? AbortSignal.any([deadline, options.signal]) : deadline,
        maxContentLength: largest,
      });
      const afterMs = retryAfter(response.headers['retry-after'], options.now());
      return read({ status: response.status, bytes: response.data, afterMs });
    } catch (error) {
      if (!isAxiosError(error)) throw error;
      throw failure(request.label, error.code, error.message, deadline.aborted, options.signal?.aborted ?? false, largest);
    }
  }
  function close(): void {
    agents.httpAgent.destroy();
    agents.httpsAgent.destroy();
  }
  return { send, download, close };
}

function bodyOf(status: number, bytes: Buffer, { label }: Request): Json | undefined {
  return (isSuccess(status) ? parse : parseLeniently)(bytes, label);
}

function isSuccess(status: number): boolean {
  return status >= 200 && status < 300;
}

/** By its first bytes: platforms give files the content type of whatever they please. `PK\5\6` is an archive without entries. */
function isZip(bytes: Buffer): boolean {
  return bytes[0] === 0x50 && bytes[1] === 0x4b && (bytes[2] === 3 || bytes[2] === 5);
}

/** Whether a RetryLater of `send` means that the other side cannot have seen the request. */
export function neverSent(error: RetryLater): boolean {
  return error instanceof Deferred || (error.cause instanceof Error && NEVER_SENT.has(error.cause.message));
}

/** Status → what follows, for all transports over HTTP. Success statuses and 401/403 (a login may help) are left to the caller. */
export function mustBeReadable(answer: Answer, label: string, message: string): void {
  const { status, afterMs } = answer;
  if (isSuccess(status)) return;
  if (isBusy(status)) throw new RetryLater(`platform-busy: ${label} 暂时不可用（HTTP ${status}）${message}`, { afterMs });
  if (status >= 300 && status < 400)
    throw new StopStream(`platform-redirect: ${label} 要求跳转（HTTP ${status}），请核对接口地址或登录状态`);
  throw new StopStream(`platform-refused: ${label} 拒绝请求（HTTP ${status}）${message}`);
}

export function isBusy(status: number): boolean {
  return status === 408 || status === 425 || status === 429 || status >= 500;
}

/** An absolute http(s) address from a base and a path, both already filled. */
export function address(base: string, path: string, label: string): string {
  const url = `${base.replace(/\/+$/, '')}/${path.replace(/^\/+/, '')}`;
  if (!/^https?:\/\//i.test(url) || !URL.canParse(url)) throw new StopStream(`bad-address: ${label} 的接口地址不是有效的 http(s) 地址`);
  return url;
}

function withQuery(request: Request): string {
  const query = new URLSearchParams(request.query).toString();
  return query === '' ? request.url : `${request.url}${request.url.includes('?') ? '&' : '?'}${query}`;
}

/** Strict UTF-8 and JSON. A body that ends too early is a cut connection; other broken bytes mean that the platform speaks something else. */
function parse(bytes: Buffer, label: string): Json {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let text: string;
  try {
    text = decoder.decode(bytes, { stream: true });
  } catch {
    throw new StopStream(`bad-encoding: ${label} 的应答不是 UTF-8 编码`);
  }
  if (/^\s*</.test(text)) throw new StopStream(`not-json: ${label} 返回了网页而不是数据，可能是登录页或网关拦截页`);
  try {
    decoder.decode();
    return parseJson(text, label);
  } catch (error) {
    if (error instanceof StopStream) throw error;
    throw new RetryLater(`cut-answer: ${label} 的应答不是完整的 JSON`);
  }
}

function parseLeniently(bytes: Buffer, label: string): Json | undefined {
  try {
    return parseJson(new TextDecoder('utf-8', { fatal: true }).decode(bytes), label);
  } catch {
    return undefined;
  }
}

/** The axios error itself is not kept: it holds the headers and the body that were sent. */
function failure(
  label: string,
  code: string | undefined,
  message: string,
  late: boolean,
  stopped: boolean,
  largest: number,
): RetryLater | StopStream {
  const cause = new Error(code ?? 'unknown');
  if (stopped) return new RetryLater(`stopped: ${label} 的调用被停止`, { cause });
  if (late) return new RetryLater(`platform-timeout: ${label} 未在规定时间内完整应答`, { cause });
  if (message.startsWith('maxContentLength') || message.startsWith('maxBodyLength')) {
    return new StopStream(`too-large: ${label} 的报文超过 ${largest / 1024 / 1024} MB`, { cause });
  }
  return new RetryLater(`platform-unreachable: ${label} 连接失败或中断（${code ?? 'unknown'}）`, { cause });
}

function retryAfter(header: unknown, now: Date): number | undefined {
  if (typeof header !== 'string' || header.trim() === '') return undefined;
  const ms = /^\d+$/.test(header.trim()) ? Number(header) * 1000 : Date.parse(header) - now.getTime();
  return Number.isNaN(ms) ? undefined : Math.min(Math.max(ms, 0), LONGEST_WAIT_MS);
}
