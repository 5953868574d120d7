import type { IncomingMessage } from 'node:http';
import { Refused } from '../errors.ts';
import { classify } from '../identity/classify.ts';
import type { Limits } from '../model/types.ts';
import { textOf } from './refusal.ts';
import { refuseOver } from './shape.ts';

/** What /graphql takes, by the GraphQL-over-HTTP specification: JSON by POST, and questions by GET. Everything is refused here that needs no look at the document. */

/** The two media types of an answer. Under the older one a document that is wrong is answered with status 200. */
export type MediaType = 'application/json' | 'application/graphql-response+json';

/** A well-formed request; whether its document is one is not known yet. */
export interface GraphRequest {
  method: 'GET' | 'POST';
  query: string | undefined;
  documentId: string | undefined;
  operationName: string | undefined;
  variables: Record<string, unknown>;
  extensions: Record<string, unknown>;
}

/**
 * The media type to answer with: the newer one for those who name it, the older one for those who take anything. Throws `Refused`
 * NOT_ACCEPTABLE (406) before anything is asked of the hub.
 */
export function mediaTypeOf(accept: string | undefined): MediaType {
  if (accept === undefined || accept.trim() === '') return 'application/json';
  const ranges = accept.split(',').map((part) => {
    const [range = '', ...parameters] = part.split(';').map((text) => text.trim().toLowerCase());
    const q = parameters.find((text) => text.startsWith('q='));
    return { range, quality: q === undefined ? 1 : Number(q.slice(2)) || 0 };
  });
  const quality = (type: string): number =>
    [type, 'application/*', '*/*'].map((range) => ranges.find((r) => r.range === range)?.quality).find((q) => q !== undefined) ?? 0;
  const [older, newer] = [quality('application/json'), quality('application/graphql-response+json')];
  const named = ranges.some(({ range }) => range === 'application/graphql-response+json');
  if (newer > older || (named && newer === older && newer > 0)) return 'application/graphql-response+json';
  if (older > 0) return 'application/json';
  throw new Refused('NOT_ACCEPTABLE', '只能以 application/graphql-response+json 或 application/json 答复', { status: 406 });
}

/** Whether a stream of events is asked for, by its very name and nothing else that an answer could be. */
export function wantsEvents(accept: string | undefined): boolean {
  const named = (accept ?? '').split(',').map((range) => range.split(';')[0]?.trim().toLowerCase());
  return named.includes('text/event-stream') && !named.some((range) => range?.startsWith('application/'));
}

interface Message {
  method: string;
  /** Path and query string. */
  url: string;
  headers: Readonly<Record<string, string | string[] | undefined>>;
  body: unknown;
}

/** One request to /graphql. Throws `Refused` MALFORMED_REQUEST, BAD_REQUEST, UNSUPPORTED_MEDIA_TYPE, QUERY_TOO_LARGE or NUMBER_IN_ADDRESS. `today` as YYYY-MM-DD. */
export function readRequest(message: Message, limits: Limits, today: string): GraphRequest {
  return message.method === 'GET' ? fromAddress(message.url, limits, today) : fromBody(message, limits);
}

function fromBody({ headers, body }: Message, limits: Limits): GraphRequest {
  const [type = '', ...parameters] = String(headers['content-type'] ?? '')
    .toLowerCase()
    .split(';')
    .map((text) => text.trim());
  const charset = parameters.find((text) => text.startsWith('charset='))?.slice(8);
  const plain = headers['content-encoding'] === undefined || headers['content-encoding'] === 'identity';
  if (type !== 'application/json' || !plain || (charset !== undefined && !/^"?utf-?8"?$/.test(charset)))
    throw new Refused('UNSUPPORTED_MEDIA_TYPE', '请求正文须为未压缩的 application/json(UTF-8)', { status: 415 });
  return { method: 'POST', ...partsOf(parsed(textOfBody(body), limits, '请求正文不是有效的 JSON 对象')) };
}

/**
 * A question by GET stands in the address, and addresses stand in the logs of proxies and browsers. So a number of a person in one is refused
 * whatever is asked: the client that does it is found out with its first test.
 */
function fromAddress(url: string, limits: Limits, today: string): GraphRequest {
  const search = new URLSearchParams(url.includes('?') ? url.slice(url.indexOf('?') + 1) : '');
  for (const [number] of [...search.values()].join('\n').matchAll(/(?<!\d)(?:\d{17}[\dXx]|\d{15})(?!\d)/g)) {
    const found = classify(number, today);
    if (found.valid && found.kind !== 'uscc')
      throw new Refused('NUMBER_IN_ADDRESS', '证件号码不得写入网址,请改用 POST', { status: 400, details: { article: 'HN-5' } });
  }
  const one = (name: string): string | undefined => {
    const values = search.getAll(name);
    if (values.length > 1) throw badRequest();
    return values[0];
  };
  const json = (name: string): unknown => {
    const text = one(name);
    return text === undefined || text === '' ? undefined : parsed(text, limits, `参数 ${name} 不是有效的 JSON 对象`);
  };
  return {
    method: 'GET',
    ...partsOf({
      query: one('query'),
      documentId: one('documentId'),
      operationName: one('operationName') || undefined,
      variables: json('variables'),
      extensions: json('extensions'),
    }),
  };
}

function partsOf(body: Readonly<Record<string, unknown>>): Omit<GraphRequest, 'method'> {
  const { query, documentId, operationName, variables, extensions } = body;
  const texts = [query, documentId, operationName];
  if (!texts.every((text) => text === undefined || text === null || typeof text === 'string')) throw badRequest();
  if (![variables, extensions].every((value) => value === undefined || value === null || isObject(value))) throw badRequest();
  const text = (value: unknown) => (typeof value === 'string' ? value : undefined);
  const object = (value: unknown) => (isObject(value) ? value : {});
  return {
    query: text(query),
    documentId: text(documentId),
    operationName: text(operationName),
    variables: object(variables),
    extensions: object(extensions),
  };
}

function badRequest(): Refused {
  return new Refused('BAD_REQUEST', textOf('BAD_REQUEST'), { status: 400 });
}

function textOfBody(body: unknown): string {
  try {
    return Buffer.isBuffer(body) ? new TextDecoder('utf-8', { fatal: true }).decode(body) : '';
  } catch {
    throw new Refused('MALFORMED_REQUEST', '请求正文不是有效的 UTF-8', { status: 400 });
  }
}

function parsed(text: string, limits: Limits, message: string): Record<string, unknown> {
  refuseOver(limits, 'json', deepest(text));
  try {
    const value: unknown = JSON.parse(text);
    if (isObject(value)) return value;
  } catch {
    // Falls through: what is no JSON object is refused below, without an echo of it.
  }
  throw new Refused('MALFORMED_REQUEST', message, { status: 400 });
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);

/** How deep brackets nest in a JSON text, those in its strings left out. One pass, whatever the text is. */
function deepest(text: string): number {
  let [depth, most, quoted] = [0, 0, false];
  for (let i = 0; i < text.length; i += 1) {
    const char = text[i];
    if (quoted) {
      if (char === '\\') i += 1;
      else if (char === '"') quoted = false;
    } else if (char === '"') quoted = true;
    else if (char === '[' || char === '{') most = Math.max(most, ++depth);
    else if (char === ']' || char === '}') depth -= 1;
  }
  return most;
}

/**
 * The bytes of a body. Rejects with `Refused` BODY_TOO_LARGE (413) as soon as there are too many, or REQUEST_TIMEOUT (408) when they do not
 * arrive in time: a sender that drips holds one socket for as long as that, and nothing else.
 */
export async function readBody(payload: IncomingMessage, limit: number, timeoutMs: number): Promise<Buffer> {
  const tooLarge = () => new Refused('BODY_TOO_LARGE', '请求内容过大', { status: 413 });
  if (Number(payload.headers['content-length'] ?? 0) > limit) throw tooLarge();
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    const end = (refused: Error): void => {
      clearTimeout(timer);
      payload.off('data', take);
      // What still comes is thrown away.
      payload.resume();
      reject(refused);
    };
    const take = (chunk: Buffer): void => {
      bytes += chunk.length;
      if (bytes > limit) end(tooLarge());
      else chunks.push(chunk);
    };
    const timer = setTimeout(() => end(new Refused('REQUEST_TIMEOUT', '请求正文未在规定时间内到达', { status: 408 })), timeoutMs);
    payload.on('data', take);
    payload.once('end', () => {
      clearTimeout(timer);
      resolve(Buffer.concat(chunks));
    });
    payload.once('error', end);
  });
}
