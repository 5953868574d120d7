import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Forgets, startCreditChina } from './credit-china.ts';
import { type BatchTaker, startBatchTaker } from './batch-taker.ts';
import { fillDropFolder } from './drop-folder.ts';
import { startExchangeServices } from './exchange-services.ts';
import type { SandboxData } from './generate.ts';
import { seedFrontDatabase, startFrontDatabase } from './hunan-credit.ts';
import { seedReturnFlow, startNationalInsurance } from './national-insurance.ts';
import { type ReceiverMode, startReceiver } from './receiver.ts';
import type { Execute } from './seeding.ts';
import type { ServerOptions } from './server.ts';

/** Platforms that only receive: prefix of the connector's variables → what they do with it. */
const RECEIVERS: Readonly<Record<string, ReceiverMode>> = {
  HUNAN_EXCHANGE: 'asks',
  WUGANG_CREDIT: 'drafts',
  PROCUREMENT_PLATFORM: 'none',
  NATIONAL_INSURANCE_RETURN: 'keys',
};

export interface SandboxOptions {
  data: SandboxData;
  execute: { nationalInsurance: Execute; hunanCredit: Execute; creditChina?: Execute };
  /** Given on to the hub: where it reads the tables that `execute` writes. */
  databaseUrls: { nationalInsurance: string; hunanCredit: string };
  ports?: { nationalInsurance?: number; creditChina?: number };
  slowMs?: number;
  /** How often the worker behind the front database looks. */
  frontDatabaseEveryMs?: number;
  answer?: ServerOptions['answer'];
  /** Asked of each submission that a platform confirmed: whether it loses it at once, without a word. */
  forgets?: Forgets;
  /** Where packets are dropped; a folder that goes when the sandboxes stop when left out. */
  folder?: string;
  /** The platforms' clock. */
  now?: ServerOptions['now'];
  onError?: (error: unknown) => void;
}

export interface Sandboxes {
  /** Environment of the connectors; the secrets are new at every start. */
  env: Record<string, string>;
  urls: { nationalInsurance: string; creditChina: string };
  /** What the platform that takes batch files made of them. */
  batches: BatchTaker;
  stop(): Promise<void>;
}

/** Fills the two databases (once) and starts the platforms on 127.0.0.1. */
export async function startSandboxes(options: SandboxOptions): Promise<Sandboxes> {
  const { data, execute } = options;
  const paas = { paasId: 'hub-sandbox', secret: randomBytes(24).toString('base64url') };
  const app = { appId: 'hub-sandbox', secret: randomBytes(24).toString('base64url') };
  const server = {
    ...(options.slowMs && { slowMs: options.slowMs }),
    ...(options.answer && { answer: options.answer }),
    ...(options.now && { now: options.now }),
  };
  await Promise.all([seedReturnFlow(execute.nationalInsurance, data), seedFrontDatabase(execute.hunanCredit, data)]);
  const nationalInsurance = await startNationalInsurance(data, paas, { ...server, port: options.ports?.nationalInsurance ?? 0 });
  const creditChina = await startCreditChina(data, app, {
    ...server,
    port: options.ports?.creditChina ?? 0,
    ...(execute.creditChina && { execute: execute.creditChina }),
    ...(options.forgets && { forgets: options.forgets }),
  });
  const frontDatabase = startFrontDatabase(execute.hunanCredit, {
    everyMs: options.frontDatabaseEveryMs ?? 500,
    directory: data.directory,
    ...(options.now && { now: options.now }),
    ...(options.forgets && { forgets: options.forgets }),
    ...(options.onError && { onError: options.onError }),
  });
  const services = await startExchangeServices(data, server);
  const receivers = await Promise.all(Object.entries(RECEIVERS).map(([prefix, mode]) => startReceiver(prefix, mode, server)));
  const folder = options.folder ?? (await mkdtemp(join(tmpdir(), 'sandbox-packets-')));
  const packets = await fillDropFolder(folder, data);
  const batches = await startBatchTaker(folder, {
    everyMs: options.frontDatabaseEveryMs ?? 500,
    ...(options.now && { now: options.now }),
    ...(options.onError && { onError: options.onError }),
  });
  return {
    env: {
      ...services.env,
      ...(Object.assign({}, ...receivers.map((one) => one.env)) as Record<string, string>),
      ...packets,
      ...batches.env,
      NATIONAL_INSURANCE_URL: nationalInsurance.url,
      NATIONAL_INSURANCE_PAAS_ID: paas.paasId,
      NATIONAL_INSURANCE_SECRET: paas.secret,
      NATIONAL_INSURANCE_DATABASE_URL: options.databaseUrls.nationalInsurance,
      NATIONAL_INSURANCE_INSTITUTION: 'H43990000001',
      NATIONAL_INSURANCE_INSTITUTION_NAME: '湖南省医疗保障信用归集平台',
      NATIONAL_INSURANCE_REGION: '439900',
      CREDIT_CHINA_URL: creditChina.url,
      CREDIT_CHINA_APP_ID: app.appId,
      CREDIT_CHINA_SECRET: app.secret,
      HUNAN_CREDIT_DATABASE_URL: options.databaseUrls.hunanCredit,
    },
    urls: { nationalInsurance: nationalInsurance.url, creditChina: creditChina.url },
    batches,
    async stop() {
      await Promise.all([
        nationalInsurance.stop(),
        creditChina.stop(),
        services.stop(),
        frontDatabase.stop(),
        batches.stop(),
        ...receivers.map((one) => one.stop()),
      ]);
      if (options.folder === undefined) await rm(folder, { recursive: true, force: true });
    },
  };
}
