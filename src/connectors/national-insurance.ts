import { randomBytes, randomInt } from 'node:crypto';
import { RetryLater, StopStream } from '../errors.ts';
import type { Json, NationalInsuranceVia } from '../model/types.ts';
import type { FileReceipt, OpenOptions, Page, PullFrom, RawRecord } from './contract.ts';
import { address, mustBeReadable } from './http.ts';
import type { Answer, Http, Request } from './http.ts';
import { localTime } from './local-time.ts';
import { batchesOf } from './national-asked.ts';
import { pullFiles } from './national-file.ts';
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
  /** 9101 */
  upload(infno: string, file: { name: string; content: Uint8Array }): Promise<FileReceipt>;
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

  function call(infno: string, input: Json, onBehalfOf: string | undefined): Promise<Output | Refusal> {
    return signedIn(infno, (number) => transact({ infno, input, onBehalfOf, signNo: number }));
  }

  /** Once more under a new sign-in when the platform no longer knows the one that was used. */
  async function signedIn<T extends object>(infno: string, once: (number: string) => Promise<T | Refusal>): Promise<T | Refusal> {
    const used = (signNo ??= signIn());
    const first = await once(await settled(used));
    if (!('refused' in first) || !first.refused.includes('签到')) return first;
    if (signNo === used) signNo = undefined;
    const again = await once(await settled((signNo ??= signIn())));
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
    const request = requestOf(transaction);
    const answer = await http.send(request);
    return readable(answer, request.label);
  }

  /** 9102: the file itself, or the envelope with what is wrong. The institution is the platform's own word for "no institution's". */
  async function download(query: string, name: string): Promise<Uint8Array> {
    const input = { fsDownloadIn: { file_qury_no: query, filename: name, fixmedins_code: 'plc' } };
    const found = await signedIn('9102', async (number) => {
      const request = requestOf({ infno: '9102', input, onBehalfOf: undefined, signNo: number });
      const answer = await http.download({ ...request, headers: { ...request.headers, accept: '*/*' } });
      return answer.file ? { file: answer.file } : readable(answer, request.label);
    });
    if ('file' in found) return found.file;
    throw new StopStream('refused' in found ? refusedBy('9102', found) : 'unexpected-shape: 国家医保平台 9102 的应答不是文件');
  }

  /** 9101: the bytes in base64, as the interface's own clients write them into JSON. The answer's number is the receipt. */
  async function upload(infno: string, { name, content }: { name: string; content: Uint8Array }): Promise<FileReceipt> {
    const input = { fsUploadIn: { in: Buffer.from(content).toString('base64'), filename: name, fixmedins_code: sender.institution } };
    const answer = await call(infno, input, undefined);
    if ('refused' in answer) throw new StopStream(refusedBy(infno, answer));
    const number = textAt(answer.output, 'file_qury_no');
    const taken = textAt(answer.output, 'filename') ?? name;
    if (!number || taken !== name) throw new StopStream(`unexpected-shape: 国家医保平台 ${infno} 的应答没有所传文件的查询号`);
    return { number, keptUntil: textAt(answer.output, 'dld_endtime') ?? '' };
  }

  function requestOf(transaction: Transaction): Request {
    const label = `国家医保平台 ${transaction.infno}`;
    const at = options.now();
    sequence = (sequence + 1) % 10_000;
    return {
      label,
      method: 'POST',
      url: address(url, transaction.infno, label),
      headers: tifHeaders(paasId, secret, randomBytes(5).toString('hex'), at),
      query: {},
      body: envelope(sender, transaction, at, sequence),
    };
  }

  async function askFor(via: NationalInsuranceVia, version: string): Promise<Json> {
    const answer = await call(via.infno, fillJson(via.input, { ...settings, ...today(), version }), undefined);
    if ('refused' in answer) throw new StopStream(refusedBy(via.infno, answer));
    return answer.output;
  }

  function today(): Record<string, string> {
    return { today: localTime(options.now()).slice(0, 10) };
  }

  async function* pull(via: NationalInsuranceVia, from: PullFrom): AsyncGenerator<Page> {
    if (via.file) {
      yield* pullFiles({ ask: (version) => askFor(via, version), download }, via, via.file, from.cursor);
      return;
    }
    let answered = false;
    for await (const { asked, cursor, last } of batchesOf(via, from)) {
      const records: RawRecord[] = [];
      let refusal: Refusal | undefined;
      for (const { at: who, values, broken } of asked) {
        if (broken) records.push({ at: `${via.infno} ${who}`, data: values, broken });
        for (const choice of broken ? [] : combinations(via.each?.with ?? {})) {
          const chosen = Object.entries(choice).map(([name, value]) => `${name}=${value}`);
          const at = [via.infno, who, ...chosen].filter((part) => part !== '').join(' ');
          const input = fillJson(via.input, { ...settings, ...today(), ...choice, ...values });
          const answer = await call(via.infno, input, via.onBehalf ? values['code'] : undefined);
          if ('refused' in answer) {
            refusal = via.each?.ask ? discreet(answer, values) : answer;
            records.push({ at, data: { ...values, ...choice }, broken: { rule: 'platform-refused', message: refusal.refused } });
          } else {
            answered = true;
            records.push(...recordsOf(answer.output, via, at));
          }
        }
      }
      // One code the platform refuses is that code's problem; when it answers none, it is the stream's. Lines are asked by a person, who sees it.
      if (refusal !== undefined && !answered && via.each?.ask === undefined) throw new StopStream(refusedBy(via.infno, refusal));
      yield { records, cursor, last };
    }
  }

  return { pull, upload };
}

/**
 * `infcode` comes as the number 0 or the text "0"; in Hunan an error may come with 0 and a text in `err_msg`. An answer without `infcode` is
 * a gateway's, which may know better later.
 */
function readable(answer: Answer, label: string): Output | Refusal {
  mustBeReadable(answer, label, said(textAt(answer.body, 'err_msg') ?? textAt(answer.body, 'message')));
  const { body } = answer;
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
  const rows = notTooMany(Array.isArray(node) ? node : [node], `国家医保平台 ${via.infno}`);
  return rows.map((row, i) => withFirst(toRecord(row, `${at} row ${i + 1}`), output, via));
}

/** The first items of the nodes that belong to the record, and every node that nobody named. */
function withFirst(record: RawRecord, output: Json, { node, first }: NationalInsuranceVia): RawRecord {
  if (first === undefined || record.broken) return record;
  const beside: RawRecord[] = Object.entries(output ?? {}).flatMap(([name, value]: [string, Json]) => {
    if (name === node) return [];
    if (!first.includes(name)) return [{ at: record.at, data: { [name]: value } }];
    const item = Array.isArray(value) ? value[0] : value;
    if (item === undefined || item === null) return [];
    const { data, ...rest } = toRecord(item, record.at);
    return [{ ...rest, data: Object.fromEntries(Object.entries(data).map(([key, one]) => [`${name}.${key}`, one])) }];
  });
  const broken = beside.find((one) => one.broken)?.broken;
  return { ...record, data: Object.assign({ ...record.data }, ...beside.map((one) => one.data)), ...(broken ? { broken } : {}) };
}

function isEmpty(output: Json): boolean {
  return output === '' || (typeof output === 'object' && (output === null || Object.keys(output).length === 0));
}

function combinations(choices: Record<string, string[]>): Record<string, string>[] {
  let all: Record<string, string>[] = [{}];
  for (const [name, values] of Object.entries(choices)) all = all.flatMap((one) => values.map((value) => ({ ...one, [name]: value })));
  return all;
}

function refusedBy(infno: string, { refused }: Refusal): string {
  return `platform-refused: 国家医保平台 ${infno} ${refused}`;
}

/** Platforms like to repeat whom they do not know. */
function discreet({ refused }: Refusal, values: Record<string, string>): Refusal {
  return { refused: Object.values(values).reduce((text, value) => text.replaceAll(value, '***'), refused) };
}

function needed(settings: Readonly<Record<string, string>>, name: string): string {
  const value = settings[name];
  if (!value) throw new StopStream(`setting-missing: 国家医保平台缺少配置项 ${name}`);
  return value;
}
