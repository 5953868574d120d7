import { RetryLater, StopStream } from '../errors.ts';
import type { HttpPushVia } from '../model/types.ts';
import type { PushItem, PushResult } from './contract.ts';
import { isBusy, mustBeReadable, neverSent } from './http.ts';
import type { Answer } from './http.ts';
import { instantOf } from './local-time.ts';
import { saysBusy, verdictOf } from './login.ts';
import type { Call, Session } from './login.ts';
import { textAt } from './template.ts';

/** After so many unknown outcomes in a row the platform is taken to be down. */
const MOST_UNKNOWN = 3;
/** The platform judged the body, not the call. */
const JUDGED = new Set([400, 409, 422]);

/**
 * Sends the items one after the other, each with its idempotency key. When the outcome of a version is unknown, later versions of the same
 * record are held back, so that an old version can never arrive after a newer one.
 */
export async function* pushHttp(session: Session, via: HttpPushVia, items: PushItem[]): AsyncGenerator<PushResult> {
  const held = new Set<string>();
  let unknowns = 0;
  for (const item of items) {
    if (held.has(recordOf(item.key))) continue;
    const result = await pushOne(session, via, item);
    yield result;
    unknowns = result.outcome === 'unknown' ? unknowns + 1 : 0;
    if (result.outcome === 'unknown') held.add(recordOf(item.key));
    if (unknowns >= MOST_UNKNOWN) throw new RetryLater(`platform-unreachable: 连续 ${unknowns} 次推送没有得到明确结果`);
  }
}

async function pushOne(session: Session, via: HttpPushVia, { key, body }: PushItem): Promise<PushResult> {
  const call: Call = { method: 'POST', path: via.path, headers: { [via.keyHeader]: key }, body };
  let answer: Answer;
  try {
    answer = await session.send(call);
  } catch (error) {
    if (!(error instanceof RetryLater) || neverSent(error)) throw error;
    return { key, outcome: 'unknown', reason: error.message };
  }
  const verdict = verdictOf(answer.body, via);
  const { status } = answer;
  if (status === 429 || status === 503) mustBeReadable(answer, session.label(call), verdict.message);
  if (isBusy(status)) return { key, outcome: 'unknown', reason: `platform-busy: HTTP ${status}` };
  if (JUDGED.has(status) && answer.body !== undefined) return { key, outcome: 'refused', reason: verdict.message || `HTTP ${status}` };
  mustBeReadable(answer, session.label(call), verdict.message);
  if (verdict.ok) return accepted(key, answer, via);
  if (verdict.code === '') throw new StopStream(`unexpected-shape: ${session.label(call)} 的应答没有状态`);
  if (saysBusy(verdict.code)) throw new RetryLater(`platform-busy: ${session.label(call)} ${verdict.message}`);
  if (via.auth?.expired.includes(verdict.code)) throw new StopStream(`login-refused: ${session.label(call)} ${verdict.message}`);
  return { key, outcome: 'refused', reason: verdict.message || `status ${verdict.code}` };
}

/** Success without a receipt is no receipt: the same key asks for it again. */
function accepted(key: string, answer: Answer, via: HttpPushVia): PushResult {
  const number = textAt(answer.body, via.receipt);
  const at = instantOf(textAt(answer.body, via.receivedAt) ?? '');
  if (!number || at === undefined) return { key, outcome: 'unknown', reason: 'no-receipt: 平台答复成功但没有回执' };
  return { key, outcome: 'accepted', receipt: { number, at } };
}

/** Without the version; a key without one stands for itself. */
function recordOf(key: string): string {
  const colon = key.lastIndexOf(':');
  return colon < 0 ? key : key.slice(0, colon);
}
