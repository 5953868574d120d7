import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { OpenConnector, Page } from '../src/connectors/contract.ts';
import { RejectRecord, RetryLater, StopStream } from '../src/errors.ts';
import { compileMapping } from '../src/mapping/compile.ts';
import type { Json, NationalInsuranceVia, Via } from '../src/model/types.ts';
import { randomOf } from '../src/sandbox/random.ts';
import { CANARIES, type Payload, SEED, badBodies, badFiles, goldenCsv, goldenRows, serverFaults } from './fixtures/malformed.ts';
import { type Platform, httpVia, open, pagesOf, startPlatform } from './fixtures/platform-server.ts';
import { growthOf } from './setup/memory.ts';
import { MODEL, pullStreamOf } from './setup/store.ts';

const LEAST = 2000;
const AT_ONCE = 8;
/** A payload that takes so long hangs. */
const DEADLINE_MS = 10_000;
const MOST_GROWTH = 50 * 1024 * 1024;

const escaped: unknown[] = [];
const note = (error: unknown) => escaped.push(error);
beforeAll(() => void process.on('unhandledRejection', note).on('uncaughtException', note));
afterAll(() => {
  process.off('unhandledRejection', note).off('uncaughtException', note);
  expect(escaped).toEqual([]);
});

/** Pages or one of the two errors of a connector, whose text repeats nothing of the body; anything else fails the test. */
async function outcomeOf(name: string, pull: () => Promise<Page[]>): Promise<Page[] | RetryLater | StopStream> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${name} hangs`)), DEADLINE_MS);
  });
  try {
    return await Promise.race([pull(), late]);
  } catch (error) {
    if (!(error instanceof RetryLater || error instanceof StopStream)) throw new Error(`${name}: ${String(error)}`, { cause: error });
    const said = `${error.message} ${String(error.cause)}`;
    if (CANARIES.some((canary) => said.includes(canary))) throw new Error(`${name} is repeated by its error`, { cause: error });
    return error;
  } finally {
    clearTimeout(timer);
  }
}

const rowsOf = (pages: Page[]) => pages.flatMap((page) => page.records);

/** All payloads, some at once. */
async function each(payloads: readonly Payload[], judge: (payload: Payload, worker: number) => Promise<void>): Promise<void> {
  const left = [...payloads];
  const work = async (worker: number) => {
    for (let payload = left.pop(); payload !== undefined; payload = left.pop()) await judge(payload, worker);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, (_, worker) => work(worker)));
}

interface Interface {
  stream: string;
  /** Where an answer holds its rows. */
  list: string[];
  places: string[][];
  needed: string[];
  body: (rows: Json[]) => string;
  pull: (connector: OpenConnector, path: string) => Promise<Page[]>;
}

const NATIONAL: NationalInsuranceVia = {
  kind: 'national-insurance',
  infno: '5102',
  input: {},
  node: 'feedetail',
  each: undefined,
  onBehalf: false,
};
const HEAD = { inf_refmsgid: '430000202611210930150000000001', refmsg_time: '20261121093015000', err_msg: '' };
const interfaces: [string, Interface][] = [
  [
    'a JSON service',
    {
      stream: 'credit-china/penalties',
      list: ['data', 'list'],
      places: [['status'], ['message'], ['data'], ['data', 'list'], ['data', 'total']],
      needed: ['status', 'data', 'list', 'total'],
      body: (rows) => JSON.stringify({ status: 1, message: '成功', data: { list: rows, total: rows.length } }),
      pull: (connector, path) => pagesOf(connector, httpVia({ path, paging: { kind: 'page-number', size: 100, overlapMinutes: 10 } })),
    },
  ],
  [
    'the national interface',
    {
      stream: 'national-insurance/practitioners',
      list: ['output', 'feedetail'],
      places: [['infcode'], ['err_msg'], ['output'], ['output', 'feedetail'], ['inf_refmsgid']],
      needed: ['infcode', 'feedetail'],
      body: (rows) => JSON.stringify({ infcode: 0, ...HEAD, output: { feedetail: rows } }),
      pull: (connector, path) => pagesOf(connector, { ...NATIONAL, infno: path }),
    },
  ],
];

describe.each(interfaces)(`answers of %s (seed ${SEED})`, (_, one) => {
  const random = randomOf(SEED, 'golden');
  const goldens = Array.from({ length: 20 }, () => one.body(goldenRows(random)));
  const payloads = badBodies(goldens, one.places, one.needed, LEAST);
  const faults = serverFaults(goldens[0] ?? '');
  const { map } = compileMapping(MODEL, pullStreamOf(one.stream));
  let platform: Platform;
  let connector: OpenConnector;
  let fault: ((response: ServerResponse) => void) | undefined;
  /** What each worker is to get next. */
  const next: Buffer[] = [];

  beforeAll(async () => {
    platform = await startPlatform((call, response) => {
      if (call.path === '/9001') response.end(JSON.stringify({ infcode: 0, ...HEAD, output: { signinoutb: { sign_no: 'S1' } } }));
      else if (fault) fault(response);
      else response.end(next[Number(call.path.slice(1))]);
      platform.calls.length = 0;
    });
    const settings = { url: platform.url, paasId: 'hub', secret: 'not-real', institution: 'H43010200001', region: '430199' };
    connector = open(settings, { timeoutMs: 600 });
  });
  afterAll(async () => {
    await connector.close();
    await platform.close();
  });

  async function judge(payload: Payload, worker: number): Promise<void> {
    next[worker] = payload.bytes;
    const outcome = await outcomeOf(payload.name, () => one.pull(connector, String(worker)));
    if (!Array.isArray(outcome)) {
      if (payload.verdict === 'whole') throw new Error(`${payload.name} was refused`, { cause: outcome });
      return;
    }
    const rows = rowsOf(outcome);
    if (payload.verdict === 'broken') throw new Error(`${payload.name} was read as ${rows.length} rows`);
    if (rows.length !== readable(payload.bytes, one.list)) throw new Error(`${payload.name} lost rows: ${rows.length} came`);
    for (const row of rows) if (!row.broken) mapped(payload.name, () => map(row.data, '2026-11-21'));
  }

  async function allFaults(): Promise<void> {
    for (const { name, answer } of faults) {
      fault = answer;
      const outcome = await outcomeOf(name, () => one.pull(connector, '0'));
      if (Array.isArray(outcome)) throw new Error(`${name} was read as ${rowsOf(outcome).length} rows`);
      fault = undefined;
      next[0] = Buffer.from(goldens[0] ?? '');
      expect(rowsOf(await one.pull(connector, '0'))).toHaveLength(readable(next[0], one.list));
    }
  }

  it(`P11 ${LEAST} and more that are broken end in RetryLater or StopStream and give no half page`, async () => {
    expect(payloads.length).toBeGreaterThanOrEqual(LEAST);
    await each(payloads, judge);
  });

  it('P11 bombs, wrong lengths and what is no HTTP end in RetryLater or StopStream, and the next answer is read', allFaults);

  it('P11 all of them once more leave no memory behind', async () => {
    const growth = await growthOf(async () => {
      await each(payloads, judge);
      await allFaults();
    });
    expect(growth).toBeLessThan(MOST_GROWTH);
  });
});

/** How many rows a strict reader finds; -1 for a body that is none. */
function readable(bytes: Buffer, list: readonly string[]): number {
  try {
    const body = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)) as Json;
    const found = list.reduce<Json | undefined>((json, key) => (json as Record<string, Json> | undefined)?.[key], body);
    return Array.isArray(found) ? found.length : found === undefined || found === null ? 0 : 1;
  } catch {
    return -1;
  }
}

function mapped(name: string, map: () => unknown): void {
  try {
    map();
  } catch (error) {
    if (!(error instanceof RejectRecord)) throw new Error(`${name}: the mapping threw ${String(error)}`, { cause: error });
    if (CANARIES.some((canary) => error.message.includes(canary))) throw new Error(`${name} is repeated by its refusal`, { cause: error });
  }
}

describe(`files (seed ${SEED})`, () => {
  const folder = mkdtempSync(join(tmpdir(), 'malformed-'));
  const random = randomOf(SEED, 'golden files');
  const goldens = Array.from({ length: 20 }, () => goldenCsv(random));
  const lines = new Set(goldens.flatMap((golden) => golden.split('\n').slice(1, -1)));
  const header = goldens[0]?.split('\n')[0] ?? '';
  const payloads = badFiles(goldens, LEAST);
  let connector: OpenConnector;
  beforeAll(() => {
    connector = open({});
  });
  afterAll(async () => {
    await connector.close();
    rmSync(folder, { recursive: true });
  });

  async function judge(payload: Payload, via: Via, file: string): Promise<void> {
    const outcome = await outcomeOf(payload.name, () => pagesOf(connector, via, via.kind === 'file' && via.drop ? {} : { file }));
    if (!Array.isArray(outcome)) {
      if (payload.verdict === 'whole') throw new Error(`${payload.name} was refused`, { cause: outcome });
      return;
    }
    const rows = rowsOf(outcome);
    const came = new Set(rows.filter((row) => !row.broken).map((row) => Object.values(row.data).join(',')));
    if (payload.verdict === 'broken') throw new Error(`${payload.name} was read as ${rows.length} rows`);
    const text = payload.name === 'gb18030' ? new TextDecoder('gb18030').decode(payload.bytes) : payload.bytes.toString();
    const there = text.replace(/^\ufeff/, '').split(/\r?\n/);
    if (there[0] !== header) return;
    const lost = there.filter((line) => lines.has(line) && !came.has(line));
    if (lost.length > 0) throw new Error(`${payload.name} lost ${lost.length} rows that are as they were`);
  }

  async function judged(payload: Payload, worker: number): Promise<void> {
    const file = join(folder, `${worker}.csv`);
    writeFileSync(file, payload.bytes);
    await judge(payload, { kind: 'file', format: 'csv' }, file);
  }

  it(`P11 ${LEAST} and more that are broken end in RetryLater or StopStream or lose no row that is as it was, and leave no memory behind`, async () => {
    expect(payloads.length).toBeGreaterThanOrEqual(LEAST);
    await each(payloads, judged);
    expect(await growthOf(() => each(payloads, judged))).toBeLessThan(MOST_GROWTH);
  });

  it('P11 the same is true of packets in a drop folder', async () => {
    for (const [i, payload] of payloads.filter((_, n) => n % 5 === 0).entries()) {
      const place = mkdtempSync(join(folder, `drop-${i}-`));
      writeFileSync(join(place, 'P_1.csv'), payload.bytes);
      await judge(payload, { kind: 'file', format: 'csv', drop: { folder: place, prefix: 'P_', feedback: undefined } }, '');
      rmSync(place, { recursive: true });
    }
  });
});
