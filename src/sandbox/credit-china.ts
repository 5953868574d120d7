import { randomBytes } from 'node:crypto';
import { refusalOf } from './evaluation.ts';
import type { SandboxData } from './generate.ts';
import { openHoldings } from './holdings.ts';
import type { Row } from './population.ts';
import { type Holding, holdingsOfRows, keysOf, totalsOf } from './reconcile.ts';
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

/** Whether a submission that was just confirmed is lost at once: the receiver's silent drop. */
export type Forgets = (key: string) => boolean;

/** Name under which the platform tells what it holds of what was submitted. */
const SUBMISSIONS = 'tjjl';
const TOKEN_SECONDS = 1800;
const TIME = /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/;

const DIRECTORIES = {
  xzcf: 'credit-china/penalties',
  xzxk: 'credit-china/licences',
  xzcf2016: 'credit-china/penalties-legacy',
  xzxk2016: 'credit-china/licences-legacy',
  sxbzxr: 'credit-china/dishonest-judgment-debtors',
  jyyc: 'credit-china/abnormal-operations',
  yzwf: 'credit-china/serious-violations',
  hmd: 'credit-china/honours',
  ggxypj: 'credit-china/public-credit-evaluations',
  tyshxydm: 'credit-china/unified-codes',
};

/**
 * Service mode of GB/T 39443 as JSON. A token is good for half an hour and for this process; without a good one the answer is 401.
 * With `execute`, accepted submissions are kept in a table, so that a restart still knows their keys.
 */
export async function startCreditChina(
  data: SandboxData,
  account: CreditChinaAccount,
  options: ServerOptions & { execute?: Execute; forgets?: Forgets } = {},
): Promise<Server> {
  const now = options.now ?? (() => new Date());
  const holdings = await openHoldings(options.execute);
  const { routes, loggedIn } = serviceRoutes(directoriesOf(data, DIRECTORIES), account, now, () => holdings.all());

  const taking =
    (refusal: (body: Record<string, unknown>) => string) =>
    async (call: Call): Promise<Answer> => {
      const key = headerOf(call, 'idempotency-key');
      if (key === '' || key.length > 200) return refused(40002, '参数错误：Idempotency-Key');
      const body = objectOf(call.body);
      const held = holdings.get(key, body);
      if (held === 'other-body') return refused(40901, '同一幂等键对应的内容不一致');
      if (held) return done(held);
      const reason = refusal(body);
      if (reason) return refused(42201, reason);
      const receipt = await holdings.keep(key, body, now());
      if (options.forgets?.(key)) await holdings.forget(key);
      return done(receipt);
    };

  /** 终止公示: what was taken under the key named is shown no longer. */
  const recall = async (call: Call): Promise<Answer> => {
    const key = headerOf(call, 'idempotency-key');
    if (key === '' || key.length > 200) return refused(40002, '参数错误：Idempotency-Key');
    const body = objectOf(call.body);
    const held = holdings.get(key, body);
    if (held === 'other-body') return refused(40901, '同一幂等键对应的内容不一致');
    if (held) return done(held);
    if (!holdings.revoke(String(body['YXXBH']))) return refused(42202, '被撤回的信息不存在');
    return done(await holdings.keep(key, body, now()));
  };

  return startServer(
    {
      ...routes,
      'POST /service/recall': loggedIn(recall),
      'POST /service/submit/ggxypj': loggedIn(taking((body) => refusalOf(body, data.directory))),
      'POST /service/submit/yzsxmd': loggedIn(taking((body) => missing(body, ['ZTMC', 'TYSHXYDM', 'LRRQ']))),
      'POST /service/submit/xzcf': loggedIn(taking((body) => missing(body, ['CF_XDR_MC', 'CF_XDR_SHXYM', 'CF_WSH', 'CF_JDRQ']))),
      'POST /service/submit/xzxk': loggedIn(taking((body) => missing(body, ['XK_XDR_MC', 'XK_XDR_SHXYM', 'XK_WSH', 'XK_JDRQ']))),
      'GET /sandbox/holdings': () => answered(holdings.counts()),
    },
    options,
  );
}

/** Platforms that answer queries in the same way and take nothing: directory → rows in the order of their times. */
export function startExchangeService(
  directories: ReadonlyMap<string, readonly Row[]>,
  account: CreditChinaAccount,
  options: ServerOptions,
): Promise<Server> {
  return startServer(serviceRoutes(directories, account, options.now ?? (() => new Date())).routes, options);
}

/** The rows of directories, by the streams that read them. */
export function directoriesOf(data: SandboxData, streams: Readonly<Record<string, string>>): Map<string, readonly Row[]> {
  return new Map(Object.entries(streams).map(([directory, stream]) => [directory, data.streams.get(stream) ?? []]));
}

function serviceRoutes(
  directories: ReadonlyMap<string, readonly Row[]>,
  account: CreditChinaAccount,
  now: () => Date,
  submissions: () => Holding[] = () => [],
): { routes: Record<string, Handler>; loggedIn: (handler: Handler) => Handler } {
  const tokens = new Map<string, number>();
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
    const body = objectOf(call.body);
    const { directory } = body;
    const rows = typeof directory === 'string' ? directories.get(directory) : undefined;
    if (!rows) return refused(40002, '参数错误：directory');
    const page = pageOf(rows, body);
    return typeof page === 'string' ? refused(40002, page) : done(page);
  };

  // What it holds, whatever it delivers (U24).
  const truth = (say: (holdings: Holding[], query: Record<string, unknown>) => object | string): Handler =>
    loggedIn((call) => {
      const body = objectOf(call.body);
      const rows = directories.get(String(body['directory']));
      if (!rows && body['directory'] !== SUBMISSIONS) return refused(40002, '参数错误：directory');
      const said = say(rows ? holdingsOfRows(rows) : submissions(), body);
      return typeof said === 'string' ? refused(40002, said) : done(said);
    });
  const rowByKey = (call: Call): Answer => {
    const { directory, ID } = objectOf(call.body);
    return done({ rows: (directories.get(String(directory)) ?? []).filter((row) => row['ID'] === ID) });
  };
  return {
    routes: {
      'POST /service/login': login,
      'POST /service/query': loggedIn(query),
      'POST /service/reconcile/totals': truth(totalsOf),
      'POST /service/reconcile/keys': truth((holdings, asked) =>
        asked['directory'] === SUBMISSIONS ? keysOf(holdings, asked, ['MYDM'], 'HZBH') : keysOf(holdings, asked, ['ID'], 'SJC'),
      ),
      'POST /service/reconcile/row': loggedIn(rowByKey),
    },
    loggedIn,
  };
}

export interface CreditChinaPage {
  list: Row[];
  total: number;
  page: number;
  pageSize: number;
}

/** The page that a query asks for, of rows in the order of their times: beginTime < SJC <= endTime. A text says what is wrong with the query. */
export function pageOf(rows: readonly Row[], query: Record<string, unknown>): CreditChinaPage | string {
  const { beginTime, endTime, page, pageSize } = query;
  if (typeof beginTime !== 'string' || typeof endTime !== 'string' || !TIME.test(beginTime) || !TIME.test(endTime))
    return '参数错误：时间格式应为yyyy-MM-dd HH:mm:ss';
  if (!isWhole(page, 1, Number.MAX_SAFE_INTEGER) || !isWhole(pageSize, 1, 500)) return '参数错误：page或pageSize';
  const inside = rows.filter((row) => beginTime < String(row['SJC']) && String(row['SJC']) <= endTime);
  return { list: inside.slice((page - 1) * pageSize, page * pageSize), total: inside.length, page, pageSize };
}

function missing(body: Record<string, unknown>, required: readonly string[]): string {
  const name = required.find((one) => typeof body[one] !== 'string' || body[one].trim() === '');
  return name === undefined ? '' : `${name}不能为空`;
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
