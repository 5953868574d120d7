import { randomBytes } from 'node:crypto';
import { refusalOf } from './evaluation.ts';
import type { SandboxData } from './generate.ts';
import { openHoldings } from './holdings.ts';
import type { Row } from './population.ts';
import type { Execute } from './seeding.ts';
import {
  type Answer,
  type Call,
  type Handler,
  type Server,
  type ServerOptions,
  answered,
  headerOf,
  objectOf,
  startServer,
} from './server.ts';

export interface CreditChinaAccount {
  appId: string;
  secret: string;
}

const TOKEN_SECONDS = 1800;
const TIME = /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/;

/**
 * Service mode of GB/T 39443 as JSON. A token is good for half an hour and for this process; without a good one the answer is 401.
 * With `execute`, accepted submissions are kept in a table, so that a restart still knows their keys.
 */
export async function startCreditChina(
  data: SandboxData,
  account: CreditChinaAccount,
  options: ServerOptions & { execute?: Execute } = {},
): Promise<Server> {
  const now = options.now ?? (() => new Date());
  const holdings = await openHoldings(options.execute);
  const tokens = new Map<string, number>();
  const directories: Record<string, readonly Row[]> = {
    xzcf: data.streams.get('credit-china/penalties') ?? [],
    xzxk: data.streams.get('credit-china/licences') ?? [],
  };

  const login = (call: Call): Answer => {
    const given = objectOf(call.body);
    if (given['appId'] !== account.appId || given['secret'] !== account.secret) return refused(40301, '应用标识或密钥错误', 403);
    const token = randomBytes(24).toString('base64url');
    tokens.set(token, now().getTime() + TOKEN_SECONDS * 1000);
    return done({ token, expiresIn: TOKEN_SECONDS });
  };

  const loggedIn = (handler: Handler): Handler => {
    return (call) => {
      const until = tokens.get(headerOf(call, 'authorization').replace(/^Bearer /, ''));
      return until !== undefined && until > now().getTime() ? handler(call) : refused(40101, '令牌无效或已过期', 401);
    };
  };

  const query = (call: Call): Answer => {
    const { directory, beginTime, endTime, page, pageSize } = objectOf(call.body);
    const rows = typeof directory === 'string' ? directories[directory] : undefined;
    if (!rows) return refused(40002, '参数错误：directory');
    if (typeof beginTime !== 'string' || typeof endTime !== 'string' || !TIME.test(beginTime) || !TIME.test(endTime))
      return refused(40002, '参数错误：时间格式应为yyyy-MM-dd HH:mm:ss');
    if (!isWhole(page, 1, Number.MAX_SAFE_INTEGER) || !isWhole(pageSize, 1, 500)) return refused(40002, '参数错误：page或pageSize');
    const inside = rows.filter((row) => beginTime < String(row['SJC']) && String(row['SJC']) <= endTime);
    return done({ list: inside.slice((page - 1) * pageSize, page * pageSize), total: inside.length, page, pageSize });
  };

  const submit = async (call: Call): Promise<Answer> => {
    const key = headerOf(call, 'idempotency-key');
    if (key === '' || key.length > 200) return refused(40002, '参数错误：Idempotency-Key');
    const body = objectOf(call.body);
    const held = holdings.get(key, body);
    if (held === 'other-body') return refused(40901, '同一幂等键对应的内容不一致');
    if (held) return done(held);
    const reason = refusalOf(body, data.directory);
    if (reason) return refused(42201, reason);
    return done(await holdings.keep(key, body, now()));
  };

  return startServer(
    {
      'POST /service/login': login,
      'POST /service/query': loggedIn(query),
      'POST /service/submit/ggxypj': loggedIn(submit),
      'GET /sandbox/holdings': () => answered(holdings.counts()),
    },
    options,
  );
}

function done(data: unknown): Answer {
  return answered({ status: 1, message: '成功', data });
}

function refused(status: number, message: string, http = 200): Answer {
  return answered({ status, message }, http);
}

function isWhole(value: unknown, min: number, max: number): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max;
}
