import { randomBytes, randomInt } from 'node:crypto';
import { RetryLater, StopStream } from '../errors.ts';
import type { Json, NationalInsuranceVia } from '../model/types.ts';
import type { OpenOptions, Page, PullFrom, RawRecord } from './contract.ts';
import { address, mustBeReadable } from './http.ts';
import type { Http } from './http.ts';
import { notTooMany, toRecord } from './paging.ts';
import { said } from './said.ts';
import { fillJson, textAt, valueAt } from './template.ts';
import { envelope, tifHeaders } from './tif.ts';
import type { Sender, Transaction } from './tif.ts';

/** The platform understood the transaction and refused it. */
interface Refusal {
  refused: string;
}
interface Output {
  output: Json;
}

export interface NationalInsurance {
  pull(via: NationalInsuranceVia, from: PullFrom): AsyncGenerator<Page>;
}

/**
 * The HTTP interface of the national medical-insurance platform: TIF signature on every call, sign-in (9001) before the first one and once
 * more when the platform no longer knows it. There is no sign-out: a sign-in of another process of the hub may be the same one.
 */
export function openNationalInsurance(http: Http, settings: Readonly<Record<string, string>>, options: OpenOptions): NationalInsurance {
  const sender: Sender = {
    institution: needed(settings, 'institution'),
    institutionName: settings['institutionName'] ?? '',
    region: needed(settings, 'region'),
    receiver: settings['receiver'] ?? 'MBS_LOCAL',
    operator: settings['operator'] ?? 'hub01',
    operatorName: settings['operatorName'] ?? '信用归集',
  };
  const url = needed(settings, 'url');
  const paasId = needed(settings, 'paasId');
  const secret = needed(settings, 'secret');
  // Another process may send in the same second: start anywhere.
  let sequence = randomInt(10_000);
  let signNo: Promise<string> | undefined;

  async function call(infno: string, input: Json, onBehalfOf: string | undefined): Promise<Output | Refusal> {
    const used = (signNo ??= signIn());
    const first = await transact({ infno, input, onBehalfOf, signNo: await settled(used) });
    if (!('refused' in first) || !first.refused.includes('签到')) return first;
    if (signNo === used) signNo = undefined;
    const again = await transact({ infno, input, onBehalfOf, signNo: await settled((signNo ??= signIn())) });
    if ('refused' in again && again.refused.includes('签到'))
      throw new StopStream(`sign-in-refused: 国家医保平台 ${infno} ${again.refused}`);
    return again;
  }

  async function signIn(): Promise<string> {
    const input = { signIn: { opter_no: sender.operator, mac: '', ip: '' } };
    const answer = await transact({ infno: '9001', input, onBehalfOf: undefined, signNo: '' });
    const found = 'refused' in answer ? undefined : textAt(answer.output, 'signinoutb.sign_no');
    if (!found) throw new StopStream(`sign-in-refused: 国家医保平台签到失败：${'refused' in answer ? answer.refused : '没有签到流水号'}`);
    return found;
  }

  async function settled(used: Promise<string>): Promise<string> {
    try {
      return await used;
    } catch (error) {
      if (signNo === used) signNo = undefined;
      throw error;
    }
  }

  async function transact(transaction: Transaction): Promise<Output | Refusal> {
    const label = `国家医保平台 ${transaction.infno}`;
    const at = options.now();
    sequence = (sequence + 1) % 10_000;
    const answer = await http.send({
      label,
      method: 'POST',
      url: address(url, transaction.infno, label),
      headers: tifHeaders(paasId, secret, randomBytes(5).toString('hex'), at),
      query: {},
      body: envelope(sender, transaction, at, sequence),
    });
    mustBeReadable(answer, label, said(textAt(answer.body, 'err_msg') ?? textAt(answer.body, 'message')));
    return resultOf(answer.body, label);
  }

  async function* pull(via: NationalInsuranceVia, from: PullFrom): AsyncGenerator<Page> {
    const { each } = via;
    if (each === undefined) {
      const answer = await call(via.infno, fillJson(via.input, settings), undefined);
      if ('refused' in answer) throw new StopStream(`platform-refused: 国家医保平台 ${via.infno} ${answer.refused}`);
      yield { records: recordsOf(answer.output, via, `${via.infno}`), cursor: null, last: true };
      return;
    }
    if (from.keys === undefined) throw new StopStream(`keys-required: ${via.infno} 需要按已知的 ${each.scheme} 逐一查询`);
    let after = afterOf(from.cursor);
    let answered = false;
    for (;;) {
      const codes = await from.keys(each.scheme, after, each.size);
      const records: RawRecord[] = [];
      let refusal: string | undefined;
      for (const [i, code] of codes.entries()) {
        for (const choice of combinations(each.with)) {
          const at = [via.infno, `subject ${i + 1}`, ...Object.entries(choice).map(([name, value]) => `${name}=${value}`)].join(' ');
          const answer = await call(via.infno, fillJson(via.input, { ...settings, ...choice, code }), via.onBehalf ? code : undefined);
          if ('refused' in answer) {
            refusal = answer.refused;
            records.push({ at, data: { code, ...choice }, broken: { rule: 'platform-refused', message: refusal } });
          } else {
            answered = true;
            records.push(...recordsOf(answer.output, via, at));
          }
        }
      }
      // One code the platform refuses is that code's problem; when it answers none, it is the stream's.
      if (refusal !== undefined && !answered) throw new StopStream(`platform-refused: 国家医保平台 ${via.infno} ${refusal}`);
      const last = codes.length < each.size;
      after = codes.at(-1) ?? after;
      yield { records, cursor: last ? null : { after }, last };
      if (last) return;
    }
  }

  return { pull };
}

/**
 * `infcode` comes as the number 0 or the text "0"; in Hunan an error may come with 0 and a text in `err_msg`. An answer without `infcode` is
 * a gateway's, which may know better later.
 */
function resultOf(body: Json | undefined, label: string): Output | Refusal {
  const infcode = textAt(body, 'infcode');
  const message = said(textAt(body, 'err_msg') ?? textAt(body, 'message') ?? textAt(body, 'msg'));
  if (infcode === undefined) throw new RetryLater(`gateway-answer: ${label} 返回了网关应答而不是交易应答：${message}`);
  if (infcode === '0' && message === '') return { output: valueAt(body, 'output') ?? {} };
  if (/签名|paasid|密钥/i.test(message)) throw new StopStream(`signature-refused: ${label} ${message}`);
  if (/繁忙|稍后|超时/.test(message)) throw new RetryLater(`platform-busy: ${label} ${message}`);
  return { refused: message || `infcode ${said(infcode)}` };
}

function recordsOf(output: Json, via: NationalInsuranceVia, at: string): RawRecord[] {
  const found = valueAt(output, via.node);
  // Nothing at all means no rows; something else than the node means that the interface has changed.
  if (found === undefined && !isEmpty(output)) throw new StopStream(`unexpected-shape: 国家医保平台 ${via.infno} 的应答没有 ${via.node}`);
  const node = found ?? [];
  return notTooMany(Array.isArray(node) ? node : [node], `国家医保平台 ${via.infno}`).map((row, i) => toRecord(row, `${at} row ${i + 1}`));
}

function isEmpty(output: Json): boolean {
  return output === '' || (typeof output === 'object' && (output === null || Object.keys(output).length === 0));
}

function combinations(choices: Record<string, string[]>): Record<string, string>[] {
  let all: Record<string, string>[] = [{}];
  for (const [name, values] of Object.entries(choices)) all = all.flatMap((one) => values.map((value) => ({ ...one, [name]: value })));
  return all;
}

function afterOf(cursor: Json | null): string | null {
  return textAt(cursor ?? undefined, 'after') ?? null;
}

function needed(settings: Readonly<Record<string, string>>, name: string): string {
  const value = settings[name];
  if (!value) throw new StopStream(`setting-missing: 国家医保平台缺少配置项 ${name}`);
  return value;
}
