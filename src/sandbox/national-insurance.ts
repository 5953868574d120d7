import { randomBytes } from 'node:crypto';
import { type Envelope, readEnvelope } from './envelope.ts';
import type { SandboxData } from './generate.ts';
import { dictionaryQuery, drugCatalogue, personLookup } from './national-catalogue.ts';
import { fileStore } from './national-files.ts';
import type { Row } from './population.ts';
import { type Execute, seedOnce } from './seeding.ts';
import { type Answer, type Call, type Server, type ServerOptions, answered, objectOf, startServer } from './server.ts';
import { RETURN_FLOW, RETURN_FLOW_VIEWS } from './tables.ts';
import { type TifAccount, gatewayRefusal } from './tif.ts';
import { shanghai } from './times.ts';

/** Makes and fills CUSTCENT_DB and POLCENT_DB once; see `seedOnce`. */
export async function seedReturnFlow(execute: Execute, data: SandboxData): Promise<void> {
  await seedOnce(execute, RETURN_FLOW, RETURN_FLOW_VIEWS, data);
}

/**
 * The HTTP interface of the national platform behind its TIF gateway: 9001 and 9002 (sign-in and -out), 1101 (person), 1201 (institution),
 * 1301 with 9102 (catalogue of drugs as a file), 9101 (takes a file, which 9102 hands out again), 1901 (dictionaries), 5102 (practitioners of one institution). A refusal inside the platform is HTTP 200 with infcode -1; one of the gateway is 401 or 403 and has no infcode.
 */
export async function startNationalInsurance(data: SandboxData, account: TifAccount, options: ServerOptions = {}): Promise<Server> {
  const now = options.now ?? (() => new Date());
  const signedIn = new Set<string>();
  const institutions = data.streams.get('national-insurance/institution-lookup') ?? [];
  const staff = Map.groupBy(data.practitioners, ({ institution, row }) => `${institution} ${row['prac_psn_type']}`);

  const catalogue = drugCatalogue(data);
  const files = fileStore(now);
  const lookup = personLookup(data);
  const dictionary = dictionaryQuery(data);

  const transactions: Record<string, (envelope: Envelope) => Record<string, unknown> | string> = {
    '9001': ({ input }) => {
      const { opter_no: operator } = objectOf(input['signIn']);
      if (typeof operator !== 'string' || operator === '') return 'opter_no不能为空';
      const number = `QD${randomBytes(14).toString('hex').slice(0, 28)}`;
      signedIn.add(number);
      return { signinoutb: { sign_time: shanghai(now()), sign_no: number } };
    },
    '9002': ({ input }) => {
      const { sign_no: number } = objectOf(input['signOut']);
      return typeof number === 'string' && signedIn.delete(number) ? { signoutoutb: { sign_time: shanghai(now()) } } : '签到流水号不存在';
    },
    '1101': ({ input }) => lookup(input),
    '1301': ({ input }) => catalogue.prepare(input),
    '1901': ({ input }) => dictionary(input),
    '1201': ({ input }) => {
      const { fixmedins_type: type, fixmedins_code: code, fixmedins_name: name } = objectOf(input['medinsinfo']);
      if (type !== '1' && type !== '2') return 'fixmedins_type不能为空';
      if (!code && !name) return 'fixmedins_code与fixmedins_name不能同时为空';
      const found = institutions.filter(
        (row) =>
          row['fixmedins_type'] === type &&
          (!code || row['fixmedins_code'] === code) &&
          String(row['fixmedins_name']).includes(String(name ?? '')),
      );
      return { medinsinfo: found };
    },
    '5102': ({ input, institution }) => {
      const { prac_psn_type: type, prac_psn_code: code } = objectOf(input['data']);
      if (typeof type !== 'string' || !/^[1-4]$/.test(type)) return 'prac_psn_type不能为空';
      const rows: Row[] = (staff.get(`${institution} ${type}`) ?? []).map(({ row }) => row);
      return { feedetail: code ? rows.filter((row) => row['prac_psn_code'] === code) : rows };
    },
  };

  const respond = (call: Call): Answer => {
    const refusal = gatewayRefusal(call, account, now());
    if (refusal) return refusal;
    const envelope = readEnvelope(call.body);
    if (typeof envelope === 'string') return reply(now(), '000000', envelope);
    const transaction = transactions[envelope.infno];
    const file = envelope.infno === '9101' || envelope.infno === '9102';
    if ((!transaction && !file) || !call.path.endsWith(`/${envelope.infno}`))
      return reply(now(), envelope.region, '交易编号不存在或与地址不一致');
    if (envelope.infno !== '9001' && !signedIn.has(envelope.signNo)) return reply(now(), envelope.region, '未签到或签到已失效，请重新签到');
    if (transaction) return reply(now(), envelope.region, transaction(envelope));
    return envelope.infno === '9101'
      ? fileService(files.take(envelope.input, envelope.institution), envelope.region)
      : fileService(files.handOut(envelope.input) ?? catalogue.download(envelope.input), envelope.region);
  };
  /** In Hunan an error of the file service has infcode 0. */
  const fileService = (given: Buffer | Record<string, unknown> | string, region: string): Answer => {
    if (Buffer.isBuffer(given)) return { status: 200, body: null, bytes: given, type: 'application/octet-stream' };
    const answer = reply(now(), region, given);
    return typeof given === 'string' ? answered({ ...objectOf(answer.body), infcode: 0 }) : answer;
  };
  return startServer({ 'POST /:infno': respond }, options);
}

/** The response envelope (domain A.2): infcode is a number here, 0 or -1. */
function reply(now: Date, region: string, output: Record<string, unknown> | string): Answer {
  const stamp = shanghai(now).replace(/\D/g, '');
  const millis = `${stamp}${String(now.getMilliseconds()).padStart(3, '0')}`;
  const refused = typeof output === 'string';
  return answered({
    infcode: refused ? -1 : 0,
    inf_refmsgid: `${region.padEnd(6, '0')}${stamp}${String(randomBytes(4).readUInt32BE()).padStart(10, '0')}`,
    refmsg_time: millis,
    respond_time: millis,
    err_msg: refused ? output : '',
    output: refused ? null : output,
  });
}
