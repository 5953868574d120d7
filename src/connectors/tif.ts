import { createHash } from 'node:crypto';
import type { Json } from '../model/types.ts';
import { localTime } from './local-time.ts';

/** Lower-case hex SHA-256 of timestamp + secret + nonce + timestamp; the timestamp in seconds. It covers no body: the line must be private. */
export function tifSignature(timestamp: string, secret: string, nonce: string): string {
  return createHash('sha256').update(`${timestamp}${secret}${nonce}${timestamp}`).digest('hex');
}

export function tifHeaders(paasId: string, secret: string, nonce: string, at: Date): Record<string, string> {
  const timestamp = String(Math.floor(at.getTime() / 1000));
  return {
    'x-tif-paasid': paasId,
    'x-tif-timestamp': timestamp,
    'x-tif-nonce': nonce,
    'x-tif-signature': tifSignature(timestamp, secret, nonce),
  };
}

/** 30 characters: institution code (12), local time yyyyMMddHHmmss (14), sequence (4). A code of another length is padded or cut. */
export function messageId(institution: string, at: Date, sequence: number): string {
  const time = localTime(at).replaceAll(/\D/g, '');
  return institution.padEnd(12, '0').slice(0, 12) + time + String(sequence % 10_000).padStart(4, '0');
}

/** Who calls: the same in every envelope of a deployment. */
export interface Sender {
  institution: string;
  institutionName: string;
  /** Medical-insurance division, 6 digits; 430199 is a city's own level. */
  region: string;
  receiver: string;
  operator: string;
  operatorName: string;
}

export interface Transaction {
  infno: string;
  input: Json;
  /** Institution asked about, when it is not the sender. */
  onBehalfOf: string | undefined;
  signNo: string;
}

/** The request envelope of the two-designations interface. `mdtrtarea_admvs` is spelled without the second d, `insuplc_admdvs` with it. */
export function envelope(sender: Sender, transaction: Transaction, at: Date, sequence: number): Record<string, Json> {
  const own = transaction.onBehalfOf === undefined || transaction.onBehalfOf === sender.institution;
  return {
    infno: transaction.infno,
    msgid: messageId(sender.institution, at, sequence),
    mdtrtarea_admvs: sender.region,
    insuplc_admdvs: '',
    recer_sys_code: sender.receiver,
    dev_no: '',
    dev_safe_info: '',
    cainfo: '',
    signtype: 'SM2',
    infver: 'V1.0',
    opter_type: '1',
    opter: sender.operator,
    opter_name: sender.operatorName,
    inf_time: localTime(at),
    fixmedins_code: transaction.onBehalfOf ?? sender.institution,
    fixmedins_name: own ? [...sender.institutionName].slice(0, 20).join('') : '',
    sign_no: transaction.signNo,
    input: transaction.input,
  };
}
