import { HeaderMap } from '@apollo/server';
import { unwrapResolverError } from '@apollo/server/errors';
import { GraphQLError, type GraphQLFormattedError } from 'graphql';
import { type Decision, type Need, toldLift } from '../access/decide.ts';
import { Refused } from '../errors.ts';
import { isUnavailable } from '../store/unavailable.ts';

/** Chinese text of the codes that the GraphQL server itself gives; the English detail follows it where it helps and tells no data. */
const TEXTS: Readonly<Record<string, string>> = {
  GRAPHQL_PARSE_FAILED: '查询语句语法错误',
  GRAPHQL_VALIDATION_FAILED: '查询语句与接口结构不符',
  BAD_USER_INPUT: '查询变量不合要求',
  OPERATION_RESOLUTION_FAILURE: '未能确定要执行的操作',
  BAD_REQUEST: '请求格式不合要求',
  PERSISTED_QUERY_NOT_SUPPORTED: '不支持该查询方式',
  QUERY_TOO_LARGE: '查询超出规模限制',
  INTERNAL_SERVER_ERROR: '系统内部错误,已记录',
  UNAVAILABLE: '数据服务暂不可用,请稍后重试',
  LOG_UNAVAILABLE: '查询日志无法写入,按规定不返回数据,请稍后重试',
};
/** What the parser says of a document with too many tokens, or too deep for its stack. */
const TOO_LARGE = /more tha[tn] \d+ tokens|Maximum call stack/;
const TELLS = new Set(['GRAPHQL_PARSE_FAILED', 'GRAPHQL_VALIDATION_FAILED', 'BAD_USER_INPUT', 'BAD_REQUEST']);
/** Errors of ours: no data leaves beside them. */
export const FAILURES: ReadonlySet<string> = new Set([
  'INTERNAL_SERVER_ERROR',
  'UNAVAILABLE',
  'LOG_UNAVAILABLE',
  'DEADLINE_EXCEEDED',
  'ANSWER_TOO_LARGE',
]);

/** Refused for the form of the HTTP request. */
const OF_HTTP = new Set([
  'BODY_TOO_LARGE',
  'METHOD_NOT_ALLOWED',
  'NOT_ACCEPTABLE',
  'NUMBER_IN_ADDRESS',
  'REQUEST_TIMEOUT',
  'UNSUPPORTED_MEDIA_TYPE',
]);

/** Whether a code says that the request was no valid one, rather than that it asked for what may not be given. */
export function isInvalid(code: string): boolean {
  return (code in TEXTS && !FAILURES.has(code)) || OF_HTTP.has(code) || /^(BAD|MALFORMED)_/.test(code);
}

/** One error as the caller sees it: a Chinese message, a stable code, never a stack, a value or a statement. */
export function formatError(formatted: GraphQLFormattedError, error: unknown): GraphQLFormattedError {
  const original = thrownBy(unwrapResolverError(error));
  const place = {
    ...(formatted.locations ? { locations: formatted.locations.slice(0, MAX_PLACES) } : {}),
    ...(formatted.path ? { path: formatted.path } : {}),
  };
  if (original instanceof Refused) return { message: original.message, ...place, extensions: { code: original.code, ...original.details } };
  const code = isUnavailable(original)
    ? 'UNAVAILABLE'
    : typeof formatted.extensions?.['code'] === 'string'
      ? formatted.extensions['code']
      : 'INTERNAL_SERVER_ERROR';
  if (code === 'GRAPHQL_PARSE_FAILED' && TOO_LARGE.test(formatted.message))
    return { message: textOf('QUERY_TOO_LARGE'), extensions: { code: 'QUERY_TOO_LARGE' } };
  if (formatted.extensions?.['refusal'] === true)
    return { message: formatted.message, ...place, extensions: withoutMark(formatted.extensions) };
  const text = TEXTS[code] ?? TEXTS['INTERNAL_SERVER_ERROR'] ?? code;
  return {
    message: TELLS.has(code) ? `${text}:${withoutValues(formatted.message).slice(0, MAX_DETAIL)}` : text,
    ...(FAILURES.has(code) ? {} : place),
    extensions: { code: TEXTS[code] ? code : 'INTERNAL_SERVER_ERROR' },
  };
}

/** What was thrown: graphql-js wraps all that is no `Error` of its own realm, and with it an error of the socket that it cannot place. */
function thrownBy(error: unknown): unknown {
  return typeof error === 'object' && error !== null && 'thrownValue' in error ? error.thrownValue : error;
}

/** Of one error: places in the document, and characters of what graphql-js says. */
const MAX_PLACES = 3;
const MAX_DETAIL = 120;
/** A name that someone made as long as a page would make the refusal as long. */
const LONG_NAME = /(\w{60})\w+/g;

/** What graphql-js says of a request, without the values it quotes: a number written at the wrong place is repeated nowhere. */
function withoutValues(message: string): string {
  return message
    .replace(/ got invalid value .*$/s, ' got an invalid value')
    .replace(/,? found .*$/s, '')
    .replace(/ value: .*$/s, ' value')
    .replace(/\b(Name|Int|Float|String|BlockString) ".*"/s, '$1')
    .replace(/^Value ".*" does not/s, 'Value does not')
    .replaceAll(/\d{6,}/g, '…')
    .replaceAll(LONG_NAME, '$1…');
}

function withoutMark(extensions: Record<string, unknown>): Record<string, unknown> {
  const { refusal: _mark, http: _http, ...rest } = extensions;
  return rest;
}

/** A `Refused` for Apollo's own pipeline, which takes GraphQLErrors with the HTTP status in their extensions. */
export function asGraphQLError(refused: Refused): GraphQLError {
  const { retryAfter } = refused.details;
  return new GraphQLError(refused.message, {
    extensions: {
      code: refused.code,
      ...refused.details,
      refusal: true,
      http: { status: refused.status, headers: new HeaderMap(retryAfter === undefined ? [] : [['retry-after', String(retryAfter)]]) },
    },
  });
}

export function textOf(code: string): string {
  return TEXTS[code] ?? code;
}

const NEEDS: Readonly<Record<Need, string>> = {
  consent: '须有信用主体的有效授权',
  case: '须有已登记且在办的案件',
  identity: '须经本人身份认证',
};

/** The error of a selected field that the grant does not give. */
export function deniedError(decision: Decision): GraphQLFormattedError {
  const { coordinate, rule, article, lift, needs } = decision;
  const ways = [...(lift.length > 0 ? ['可更换查询用途后再查'] : []), ...needs.map((need) => NEEDS[need])];
  return {
    message: [`无权查看字段 ${coordinate}`, ...ways].join(','),
    extensions: { code: 'FIELD_DENIED', coordinate, rule: rule ?? 'no-rule', article, ...toldLift(decision) },
  };
}
