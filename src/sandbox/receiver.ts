import { createHash, generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import {
  type Answer,
  answered,
  type Call,
  type Handler,
  headerOf,
  objectOf,
  type Server,
  type ServerOptions,
  startServer,
} from './server.ts';
import { shanghai } from './times.ts';

/** What a platform does with what it is sent: see `Acknowledges` of the model. */
export type ReceiverMode = 'keys' | 'asks' | 'drafts' | 'none';

/** One thing that happened at the platform because of a push. The same key twice is an effect too many. */
export interface Effect {
  key: string;
  recall: boolean;
  receipt: string;
  body: Record<string, unknown>;
}

export interface Receiver extends Server {
  env: Record<string, string>;
  /** The platform's own book of effects, in the order in which they happened; nobody but its owner reads it. */
  book: readonly Effect[];
}

/**
 * A platform that takes pushes in one of the four ways. It takes whatever names an organisation; a body without `XXBH` or `TYSHXYDM` (`uscc`) is
 * refused, and so is a recall of what it does not have. `env` is what the connector with this prefix reads.
 */
export async function startReceiver(prefix: string, mode: ReceiverMode, options: ServerOptions): Promise<Receiver> {
  const now = options.now ?? (() => new Date());
  const secret = randomBytes(24).toString('base64url');
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const book: Effect[] = [];
  const drafts = new Map<string, { key: string; body: Record<string, unknown>; receipt?: string }>();
  const receipts = new Map<string, string>();

  const receiptOf = (key: string, number: string): Answer => {
    const at = shanghai(now());
    const signature = sign(null, Buffer.from([number, key, at].join('\n')), privateKey).toString('base64');
    return done({ HZBH: number, XXBH: key, JSSJ: at, QM: signature, ZT: '1' });
  };

  /** Makes the effect. Every effect has a number of its own, so that two of one key can be told apart. */
  function take(key: string, body: Record<string, unknown>): string | Answer {
    const published = body['YXXBH'] ?? body['uuid'];
    const recall = published !== undefined;
    if (recall && !receipts.has(String(published))) return refused('被撤回的信息不存在');
    if (!recall && !(body['TYSHXYDM'] ?? body['uscc'])) return refused('统一社会信用代码不能为空');
    const receipt = createHash('sha256').update(`${key} ${book.length}`).digest('hex').slice(0, 20).toUpperCase();
    book.push({ key, recall, receipt, body });
    if (!receipts.has(key)) receipts.set(key, receipt);
    return receipt;
  }

  const submit = (call: Call): Answer => {
    const body = objectOf(call.body);
    const key = mode === 'keys' ? headerOf(call, 'idempotency-key') : String(body['XXBH'] ?? '');
    if (key === '') return refused('信息编号不能为空');
    const before = mode === 'keys' ? receipts.get(key) : undefined;
    if (before !== undefined) return receiptOf(key, before);
    if (mode === 'drafts') {
      const number = `ZC${randomBytes(8).toString('hex').toUpperCase()}`;
      drafts.set(number, { key, body });
      return done({ ZCBH: number });
    }
    const taken = take(key, body);
    return typeof taken === 'string' ? receiptOf(key, taken) : taken;
  };
  const confirm = (call: Call): Answer => {
    const draft = drafts.get(String(objectOf(call.body)['ZCBH']));
    if (draft === undefined) return refused('暂存编号不存在');
    if (draft.receipt === undefined) {
      const taken = take(draft.key, draft.body);
      if (typeof taken !== 'string') return taken;
      draft.receipt = taken;
    }
    return receiptOf(draft.key, draft.receipt);
  };
  const query = (call: Call): Answer => {
    const key = String(objectOf(call.body)['XXBH']);
    const receipt = receipts.get(key);
    return receipt === undefined ? done({ ZT: '0' }) : receiptOf(key, receipt);
  };

  const known = (handler: Handler): Handler => {
    return (call) =>
      headerOf(call, 'x-app-secret') === secret ? handler(call) : answered({ status: 40301, message: '应用密钥错误' }, 403);
  };
  const submits = [
    '/submit/yzsxmd',
    '/submit/xycn',
    '/recall',
    '/drafts',
    '/prompts',
    '/prompts/recall',
    '/grades',
    '/grades/recall',
    '/results',
  ];
  const server = await startServer(
    {
      ...Object.fromEntries(submits.map((path) => [`POST ${path}`, known(submit)])),
      'POST /query': known(query),
      'POST /confirm': known(confirm),
    },
    options,
  );
  const env = {
    [`${prefix}_URL`]: server.url,
    [`${prefix}_SECRET`]: secret,
    [`${prefix}_RECEIPT_KEY`]: publicKey.export({ type: 'spki', format: 'pem' }).toString(),
  };
  return { ...server, env, book };
}

const done = (data: unknown): Answer => answered({ status: 1, message: '成功', data });
const refused = (message: string): Answer => answered({ status: 42201, message });
