import { RetryLater, StopStream } from '../errors.ts';
import type { HttpPushVia, Publication } from '../model/types.ts';
import type { Doubtful, PushItem, PushResult } from './contract.ts';
import { mustBeReadable, neverSent } from './http.ts';
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
 * Sends the items one after the other, each once. While the outcome of one is unknown, later ones of its subject are held back, so that an old version
 * can never arrive after a newer one.
 */
export async function* pushHttp(
  session: Session,
  via: HttpPushVia,
  publish: Publication,
  items: readonly PushItem[],
): AsyncGenerator<PushResult> {
  const held = new Set<string>();
  let unknowns = 0;
  for (const item of items) {
    if (held.has(item.subject)) continue;
    // What fails here has not reached the item.
    await session.ready();
    let last: PushResult | undefined;
    for await (const result of publish.acknowledges.mode === 'drafts'
      ? pushDraft(session, via, publish, item)
      : once(session, via, sending(via, publish, item), item.key)) {
      last = result;
      yield result;
    }
    const known = last?.outcome === 'accepted' || last?.outcome === 'refused';
    unknowns = known ? 0 : unknowns + 1;
    if (!known) held.add(item.subject);
    if (unknowns >= MOST_UNKNOWN) throw new RetryLater(`platform-unreachable: 连续 ${unknowns} 次推送没有得到明确结果`);
  }
}

/** What became of items: asked by their keys, or, of drafts, confirmed once more. Where neither can be done, nothing is known. */
export async function* collectHttp(
  session: Session,
  via: HttpPushVia,
  { acknowledges }: Publication,
  items: readonly Doubtful[],
): AsyncGenerator<PushResult> {
  for (const { key, draft } of items) {
    if (acknowledges.mode === 'asks') yield await ask(session, via, acknowledges, key);
    else if (acknowledges.mode !== 'drafts') yield { key, outcome: 'unknown' };
    else if (draft === null) yield { key, outcome: 'absent' };
    else yield* once(session, via, confirming(acknowledges, draft), key);
  }
}

type Asks = Extract<Publication['acknowledges'], { mode: 'asks' }>;
type Drafts = Extract<Publication['acknowledges'], { mode: 'drafts' }>;

function sending(via: HttpPushVia, { recall }: Publication, { key, act, body }: PushItem): Call {
  const path = act === 'recall' ? (recall.path ?? via.path) : via.path;
  return { method: 'POST', path, ...(via.keyHeader === undefined ? {} : { headers: { [via.keyHeader]: key } }), body };
}

const confirming = ({ path, body }: Drafts, draft: string): Call => ({ method: 'POST', path, body, values: { draft } });

/** A draft has no effect: when its answer is lost, another is made. Its number is out of the hands of this function before it is confirmed. */
async function* pushDraft(session: Session, via: HttpPushVia, publish: Publication, item: PushItem): AsyncGenerator<PushResult> {
  const acknowledges = publish.acknowledges as Drafts;
  const call = sending(via, publish, item);
  const { key } = item;
  const { answer, lost } = await sent(session, call);
  if (answer === undefined) return yield { key, outcome: 'absent', reason: lost.message };
  const verdict = judged(session, via, call, answer, key);
  if (verdict !== 'ok') return yield verdict.outcome === 'refused' ? verdict : { ...verdict, outcome: 'absent' };
  const draft = textAt(answer.body, acknowledges.number);
  if (!draft) return yield { key, outcome: 'absent', reason: 'no-draft: 平台答复成功但没有暂存编号' };
  yield { key, outcome: 'drafted', draft };
  yield* once(session, via, confirming(acknowledges, draft), key);
}

/** One call that takes effect. Its outcome is given before the error that ends the iteration, where there is one. */
async function* once(session: Session, via: HttpPushVia, call: Call, key: string): AsyncGenerator<PushResult> {
  const { answer, lost } = await sent(session, call);
  if (answer === undefined) {
    yield { key, outcome: 'unknown', reason: lost.message };
    // An answer that is none at all will not get better by itself.
    if (lost instanceof StopStream) throw lost;
    return;
  }
  try {
    const verdict = judged(session, via, call, answer, key);
    yield verdict === 'ok' ? accepted(key, answer, via) : verdict;
  } catch (error) {
    // Too many calls are refused before anything is done with them; any other trouble may have come after the effect.
    if (answer.status !== 429) yield { key, outcome: 'unknown', reason: error instanceof Error ? error.message : '' };
    throw error;
  }
}

/** The answer, or why there is none though the call may have arrived. Throws when it cannot have arrived. */
async function sent(
  session: Session,
  call: Call,
): Promise<{ answer: Answer; lost?: undefined } | { answer?: undefined; lost: RetryLater | StopStream }> {
  try {
    return { answer: await session.send(call) };
  } catch (error) {
    if (error instanceof RetryLater ? neverSent(error) : !(error instanceof StopStream)) throw error;
    return { lost: error as RetryLater | StopStream };
  }
}

/** What a whole answer says. Throws RetryLater and StopStream where it is about the call and not about the item. */
function judged(session: Session, via: HttpPushVia, call: Call, answer: Answer, key: string): 'ok' | PushResult {
  const verdict = verdictOf(answer.body, via);
  const { status } = answer;
  if (status === 429 || status === 503) mustBeReadable(answer, session.label(call), verdict.message);
  if (status === 408 || status >= 500) return { key, outcome: 'unknown', reason: `platform-busy: HTTP ${status}` };
  if (JUDGED.has(status) && answer.body !== undefined) return { key, outcome: 'refused', reason: verdict.message || `HTTP ${status}` };
  mustBeReadable(answer, session.label(call), verdict.message);
  if (verdict.ok) return 'ok';
  if (verdict.code === '') throw new StopStream(`unexpected-shape: ${session.label(call)} 的应答没有状态`);
  if (saysBusy(verdict.code)) throw new RetryLater(`platform-busy: ${session.label(call)} ${verdict.message}`);
  if (via.auth?.expired.includes(verdict.code)) throw new StopStream(`login-refused: ${session.label(call)} ${verdict.message}`);
  return { key, outcome: 'refused', reason: verdict.message || `status ${verdict.code}` };
}

async function ask(session: Session, via: HttpPushVia, { path, body, absent }: Asks, key: string): Promise<PushResult> {
  const call: Call = { method: 'POST', path, body, values: { key } };
  const answer = await session.send(call);
  mustBeReadable(answer, session.label(call), verdictOf(answer.body, via).message);
  if (textAt(answer.body, absent.at) === absent.equals) return { key, outcome: 'absent' };
  const verdict = judged(session, via, call, answer, key);
  // Whether it refuses the question or the item is not told apart.
  return verdict === 'ok' ? accepted(key, answer, via) : { ...verdict, outcome: 'unknown' };
}

/** Success without a whole receipt of this very key is no receipt. */
function accepted(key: string, { body }: Answer, via: HttpPushVia): PushResult {
  const number = textAt(body, via.receipt);
  const at = instantOf(textAt(body, via.receivedAt) ?? '');
  if (!number || at === undefined) return { key, outcome: 'unknown', reason: 'no-receipt: 平台答复成功但没有回执' };
  if (via.echo !== undefined && textAt(body, via.echo) !== key)
    return { key, outcome: 'unknown', reason: 'other-receipt: 回执不是该信息的回执' };
  if (via.signature === undefined) return { key, outcome: 'accepted', receipt: { number, at } };
  const text = via.signature.over.map((place) => textAt(body, place) ?? '').join('\n');
  const signed = { text, signature: textAt(body, via.signature.at) ?? '' };
  return { key, outcome: 'accepted', receipt: { number, at, signed } };
}
