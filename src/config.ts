import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';

/** One environment variable: the README's table is generated from this list, `NAME_FILE` is read where `file` is true. */
export interface Variable {
  name: string;
  zh: string;
  en: string;
  default?: string;
  /** A secret: `NAME_FILE` may name a file that holds it, so that it need not stand in the environment. */
  file?: boolean;
}

export const CONFIG: readonly Variable[] = [
  {
    name: 'DATABASE_URL',
    zh: 'PostgreSQL 地址；serve、work、migrate 必须设置，其他命令和测试在未设置时使用内嵌 PostgreSQL，demo 一律使用内嵌 PostgreSQL',
    en: 'PostgreSQL address; `serve`, `work` and `migrate` need it, other commands and the tests use an embedded one without it, the demo always does',
    file: true,
  },
  {
    name: 'REDIS_URL',
    zh: 'Redis 地址（任务队列）；未设置时队列放在 PostgreSQL 中',
    en: 'Redis address for the queues; without it the queues are on PostgreSQL',
    file: true,
  },
  {
    name: 'HUB_HOST',
    zh: 'API 监听地址，health 也向此地址询问',
    en: 'address the API listens on, and where `health` asks',
    default: '127.0.0.1',
  },
  { name: 'HUB_PORT', zh: 'API 监听端口', en: 'port of the API', default: '4000' },
  {
    name: 'HUB_TRUST_PROXY',
    zh: '其转发的客户端地址可信的代理，以逗号分隔的地址或网段；未设置时记录对端地址',
    en: 'proxies whose word is taken for the address of the caller, addresses or networks with commas between; without it that of the other end',
  },
  {
    name: 'HUB_DOCUMENTS',
    zh: '`any`：接受任何查询语句；`trusted`：只接受以 `documents register` 登记的查询语句',
    en: '`any`: every document may be asked; `trusted`: only those of `documents register`',
    default: 'any',
  },
  { name: 'HUB_NODE', zh: '本进程在查询日志中的名称', en: 'name of this process in the query log', default: 'hub' },
  {
    name: 'HUB_KEYS',
    zh: '密钥集（JSON），由 `npm run hub -- keys` 生成；serve 和 work 必须设置',
    en: 'key ring as JSON, made by `npm run hub -- keys`; `serve` and `work` need it',
    file: true,
  },
  {
    name: 'HUB_DATA',
    zh: '内嵌 PostgreSQL 和开发密钥所在目录',
    en: 'folder of the embedded PostgreSQL and of development keys',
    default: '.hub',
  },
  {
    name: 'HUB_SCHEMA',
    zh: '目录、代码集、连接器、授权策略所在目录',
    en: 'folder of catalog, codes, connectors and policies',
    default: 'schema',
  },
  { name: 'OIDC_ISSUER', zh: '令牌必须载明的签发者', en: 'issuer that tokens must name', default: 'urn:credit-hub:dev' },
  { name: 'OIDC_AUDIENCE', zh: '令牌必须载明的受众', en: 'audience that tokens must name', default: 'credit-hub' },
  {
    name: 'OIDC_JWKS_URL',
    zh: '签发者公布公钥的地址；未设置时只接受本地开发密钥签发的令牌',
    en: 'where the issuer publishes its keys; without it only tokens of the local development key are taken',
  },
  {
    name: 'HUB_TLS_CERT',
    zh: 'API 的服务器证书（PEM）；与 HUB_TLS_KEY 同时设置时 API 只提供 HTTPS',
    en: 'certificate of the API as PEM; with HUB_TLS_KEY the API speaks HTTPS alone',
    file: true,
  },
  { name: 'HUB_TLS_KEY', zh: '上述证书的私钥（PEM）', en: 'private key of that certificate as PEM', file: true },
  {
    name: 'HUB_TLS_CLIENT_CA',
    zh: '客户端证书的签发机构（PEM）；与证书绑定的令牌须以该机构签发的证书建立连接',
    en: 'authority of client certificates as PEM; a token bound to a certificate is taken over a connection made with it alone',
    file: true,
  },
  {
    name: 'HUB_SEAL_KEY',
    zh: '为查询日志检查点签名的私钥（PEM），由 `npm run hub -- log key` 生成；只应设置在运行 `log seal` 的进程，设置在 serve、work 时由其封存',
    en: 'private key (PEM) that signs the checkpoints of the query log, made by `npm run hub -- log key`; best set where `log seal` runs and nowhere else; a `serve` or `work` that has it seals too',
    file: true,
  },
  {
    name: 'HUB_RECEIPT_KEY',
    zh: '为应答回执签名的私钥（PEM）；未设置时回执不带签名',
    en: 'private key (PEM) that signs the receipts of answers; without it receipts carry no signature',
    file: true,
  },
  {
    name: 'HUB_LOG_PUBLIC_KEYS',
    zh: '检查点和回执的公钥（一个或多个 PEM），校验和见证时使用；旧公钥须保留',
    en: 'public keys (PEM, one after the other) of checkpoints and receipts, for those who verify and for the witness; old ones stay',
    file: true,
  },
  {
    name: 'HUB_WITNESS_URL',
    zh: '见证服务地址；未设置时没有见证，日志被整体退回旧状态时无法发现',
    en: 'address of the witness; without it there is none, and a log that was taken back to an older state is not found out',
  },
  {
    name: 'HUB_WITNESS_PUBLIC_KEY',
    zh: '见证服务的公钥（PEM），由其启动时打印',
    en: 'public key (PEM) of the witness, which prints it when it starts',
    file: true,
  },
  {
    name: 'HUB_WITNESS_GRACE',
    zh: '见证中断超过此分钟数后停止应答',
    en: 'minutes without the witness after which nothing is answered any more',
    default: '240',
  },
  {
    name: 'HUB_LOG_OFFICERS',
    zh: '可以批准清理查询日志的人员及其公钥（JSON 列表，每项为 id、name、publicKey）；须由两人批准',
    en: 'who may approve that old months of the query log go, as a JSON list of `id`, `name` and `publicKey`; two have to',
    file: true,
  },
  {
    name: 'HUB_LOG_KEEP_MONTHS',
    zh: '查询日志至少保存的月数，不少于 36',
    en: 'months that the query log is kept at least; never fewer than 36',
    default: '36',
  },
  {
    name: 'HUB_WEBHOOK_HOSTS',
    zh: '可以接收推送的主机，以逗号分隔；内网主机须写明网段，如 `hooks.example@10.20.0.0/16`；未设置时不推送',
    en: 'hosts that webhooks may be sent to, with commas between; one of a private network with that network, as in `hooks.example@10.20.0.0/16`; without it none is sent',
  },
  {
    name: 'HUB_WEBHOOK_CA',
    zh: '推送接收方证书的签发机构（PEM）；未设置时以系统信任的机构为准',
    en: 'authorities of the certificates of webhook receivers as PEM; without it those of the system',
    file: true,
  },
  {
    name: 'LOG_LEVEL',
    zh: '运行日志级别（运行日志不含个人信息）',
    en: 'level of the process log (never holds personal data)',
    default: 'info',
  },
];

export interface Config {
  databaseUrl: string | undefined;
  redisUrl: string | undefined;
  host: string;
  port: number;
  trustProxy: string[];
  documents: 'any' | 'trusted';
  node: string;
  keys: string | undefined;
  data: string;
  schema: string;
  issuer: string;
  audience: string;
  jwksUrl: string | undefined;
  /** Certificate, key and authority of client certificates as PEM; undefined: plain HTTP, for behind a proxy. */
  tls: { cert: string; key: string; clientCa: string | undefined } | undefined;
  sealKey: string | undefined;
  receiptKey: string | undefined;
  logPublicKeys: string | undefined;
  witnessUrl: string | undefined;
  witnessPublicKey: string | undefined;
  /** Minutes. */
  witnessGrace: number;
  logOfficers: string | undefined;
  logKeepMonths: number;
  webhookHosts: string[];
  webhookCa: string | undefined;
  logLevel: string;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** The value of one variable: itself, or the content of the file that `NAME_FILE` names (trailing white space cut). */
export function readVariable(name: string, env: Environment): string | undefined {
  const direct = env[name];
  if (direct !== undefined && direct !== '') return direct;
  const path = env[`${name}_FILE`];
  return path === undefined || path === '' ? undefined : readFileSync(path, 'utf8').trimEnd();
}

/** Reads and checks the environment at start. Throws an Error that lists every variable at fault, never a value. */
export function readConfig(env: Environment): Config {
  const value = (name: string) => readVariable(name, env) ?? CONFIG.find((v) => v.name === name)?.default;
  const text = (name: string) => value(name) ?? '';
  const faults: string[] = [];
  const port = Number(text('HUB_PORT'));
  if (!Number.isInteger(port) || port < 0 || port > 65535) faults.push('HUB_PORT must be a port number');
  const witnessGrace = Number(text('HUB_WITNESS_GRACE'));
  if (!(witnessGrace > 0)) faults.push('HUB_WITNESS_GRACE must be a number of minutes');
  const logKeepMonths = Number(text('HUB_LOG_KEEP_MONTHS'));
  if (!Number.isInteger(logKeepMonths) || logKeepMonths < 36) faults.push('HUB_LOG_KEEP_MONTHS must be 36 or more');
  const url = (name: string, ...protocols: string[]) => {
    const raw = value(name);
    if (raw === undefined) return undefined;
    if (!URL.canParse(raw) || !protocols.includes(new URL(raw).protocol))
      faults.push(`${name} must be an address that starts with ${protocols.join(' or ')}`);
    return raw;
  };
  const [cert, key, clientCa] = ['HUB_TLS_CERT', 'HUB_TLS_KEY', 'HUB_TLS_CLIENT_CA'].map(value);
  if ((cert === undefined) !== (key === undefined)) faults.push('HUB_TLS_CERT and HUB_TLS_KEY are set together or not at all');
  if (clientCa !== undefined && cert === undefined) faults.push('HUB_TLS_CLIENT_CA needs HUB_TLS_CERT');
  const trustProxy = text('HUB_TRUST_PROXY')
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
  if (!trustProxy.every(isNetwork)) faults.push('HUB_TRUST_PROXY must be addresses or networks (10.0.0.0/8) with commas between');
  const webhookHosts = text('HUB_WEBHOOK_HOSTS')
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
  if (!webhookHosts.every(isHost)) faults.push('HUB_WEBHOOK_HOSTS must be hosts, or host@network, with commas between');
  const documents = text('HUB_DOCUMENTS') === 'trusted' ? 'trusted' : 'any';
  if (!['any', 'trusted'].includes(text('HUB_DOCUMENTS'))) faults.push('HUB_DOCUMENTS must be any or trusted');
  const config: Config = {
    databaseUrl: url('DATABASE_URL', 'postgres:', 'postgresql:'),
    redisUrl: url('REDIS_URL', 'redis:', 'rediss:'),
    host: text('HUB_HOST'),
    port,
    trustProxy,
    documents,
    node: text('HUB_NODE'),
    keys: value('HUB_KEYS'),
    data: text('HUB_DATA'),
    schema: text('HUB_SCHEMA'),
    issuer: text('OIDC_ISSUER'),
    audience: text('OIDC_AUDIENCE'),
    jwksUrl: url('OIDC_JWKS_URL', 'https:', 'http:'),
    tls: cert === undefined || key === undefined ? undefined : { cert, key, clientCa },
    sealKey: value('HUB_SEAL_KEY'),
    receiptKey: value('HUB_RECEIPT_KEY'),
    logPublicKeys: value('HUB_LOG_PUBLIC_KEYS'),
    witnessUrl: url('HUB_WITNESS_URL', 'https:', 'http:'),
    witnessPublicKey: value('HUB_WITNESS_PUBLIC_KEY'),
    witnessGrace,
    logOfficers: value('HUB_LOG_OFFICERS'),
    logKeepMonths,
    webhookHosts,
    webhookCa: value('HUB_WEBHOOK_CA'),
    logLevel: text('LOG_LEVEL'),
  };
  if (faults.length > 0) throw new Error(`configuration: ${faults.join('; ')}`);
  return config;
}

/** A host, with its port where that is not 443, and its network where that is a private one. */
function isHost(text: string): boolean {
  const [host = '', network, ...rest] = text.split('@');
  return /^[a-z0-9.-]+(?::\d+)?$/.test(host) && rest.length === 0 && (network === undefined || isNetwork(network));
}

/** An address, or one with the length of its prefix. */
function isNetwork(text: string): boolean {
  const [address = '', prefix, ...rest] = text.split('/');
  const bits = { 4: 32, 6: 128 }[isIP(address)];
  return bits !== undefined && rest.length === 0 && (prefix === undefined || (/^\d{1,3}$/.test(prefix) && Number(prefix) <= bits));
}
