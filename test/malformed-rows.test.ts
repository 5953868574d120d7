import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Client } from 'pg';
import { pino } from 'pino';
import type { Jobs } from '../src/jobs/hub.ts';
import { runPull } from '../src/jobs/pull.ts';
import { withCitizenCheck } from '../src/identity/citizen.ts';
import { usccFor } from '../src/identity/uscc.ts';
import { ensureLogPartitions } from '../src/log/partitions.ts';
import { type QueryLog, openLog } from '../src/log/writer.ts';
import { compileMapping } from '../src/mapping/compile.ts';
import type { PullStream } from '../src/model/types.ts';
import { generate } from '../src/sandbox/generate.ts';
import { storedKey } from '../src/store/records.ts';
import { type Cells, type Columns, type SentRow, type Transport, mixedRows } from './fixtures/malformed-rows.ts';
import { SEED } from './fixtures/malformed.ts';
import { type Platform, startPlatform } from './fixtures/platform-server.ts';
import { type TestDatabase, emptyDatabase } from './setup/database.ts';
import { residentMemory } from './setup/memory.ts';
import { openSealed, MODEL, type Store, openStore, pullStreamOf } from './setup/store.ts';

const PAGE = 100;
const PAGES = 40;
const MOST_GROWTH = 50 * 1024 * 1024;
const SANDBOX = generate({ seed: 7, organisations: 60, persons: 200 });
const FOLDER = mkdtempSync(join(tmpdir(), 'malformed-rows-'));

let store: Store;
let log: QueryLog;
let platform: Platform;
let source: TestDatabase;
let client: Client;
let rows: SentRow[] = [];
const said: string[] = [];
/** After each source. */
const memory: number[] = [];
const escaped: unknown[] = [];
const note = (error: unknown) => escaped.push(error);

beforeAll(async () => {
  process.on('unhandledRejection', note).on('uncaughtException', note);
  store = await openStore();
  await ensureLogPartitions(store.pool, new Date(), 2);
  log = await openLog({ pool: store.pool, node: 'test', suite: 'sha256', allowUnsafe: true });
  source = await emptyDatabase();
  client = new Client({ connectionString: source.url });
  await client.connect();
  platform = await startPlatform((call, response) => {
    platform.calls.length = 0;
    if (call.path.endsWith('/login')) return void response.end('{"status":1,"data":{"token":"t"}}');
    if (call.path === '/9001') return void response.end('{"infcode":0,"err_msg":"","output":{"signinoutb":{"sign_no":"S1"}}}');
    if (call.path === '/5102') {
      const page = INSTITUTIONS.indexOf(String(call.body['fixmedins_code']));
      return void response.end(`{"infcode":0,"err_msg":"","output":{"feedetail":[${pageText(page)}]}}`);
    }
    return void response.end(`{"status":1,"data":{"list":[${pageText(Number(call.body['page']) - 1)}],"total":${rows.length}}}`);
  });
});
afterAll(async () => {
  await platform.close();
  await client.end();
  await log.close();
  await store.drop();
  await source.drop();
  rmSync(FOLDER, { recursive: true });
  process.off('unhandledRejection', note).off('uncaughtException', note);
  expect(escaped).toEqual([]);
});

const pageText = (page: number) =>
  rows
    .slice(page * PAGE, (page + 1) * PAGE)
    .map((row) => row.text)
    .join(',');
const INSTITUTIONS = Array.from({ length: PAGES }, (_, i) => `H430102${String(i).padStart(5, '0')}`);

interface Source {
  stream: string;
  transport: Transport;
  columns: Columns;
  /** The nth good row, from one that the sandbox sends. */
  good: (row: Cells, n: number) => Cells;
  /** Lays the rows out where the connector reads them; what the run needs to know. */
  serve: (stream: PullStream) => Promise<{ stream: PullStream; file?: string }>;
}

const serial = (n: number) => String(n).padStart(6, '0');
const creditCode = (n: number) => usccFor('91430100', `MA${serial(n)}`);

const sources: [string, Source][] = [
  [
    'a JSON service',
    {
      stream: 'credit-china/penalties',
      transport: 'json',
      columns: {
        key: 'ID',
        code: 'CF_XDR_SHXYM',
        name: 'CF_XDR_MC',
        date: 'CF_JDRQ',
        money: 'CF_NR_FK',
        lookup: 'CF_CFLB',
        required: 'CF_NR',
      },
      good: (row, n) => ({
        ...row,
        ID: `K${n}`,
        CF_XDR_LB: '法人及非法人组织',
        CF_XDR_SHXYM: creditCode(n),
        CF_XDR_ZJHM: '',
        CF_NR_FK: '1.50',
        CF_JDRQ: '2026-01-05',
      }),
      serve: async (stream) => ({ stream: inPages(stream) }),
    },
  ],
  [
    'the national interface',
    {
      stream: 'national-insurance/practitioners',
      transport: 'json',
      columns: { key: 'prac_psn_code', code: 'certno', name: 'prac_psn_name', date: 'begntime', lookup: 'hi_dr_flag', joined: true },
      good: (row, n) => ({ ...row, prac_psn_code: `D430102${serial(n)}`, certno: citizen(n) }),
      async serve(stream) {
        await store.pool
          .query(`with one as (insert into subject (kind) select 'organisation' from generate_series(1, ${PAGES}) returning id)
          insert into subject_code (scheme, code, subject_id)
          select 'institution-code', 'H430102' || lpad((row_number() over () - 1)::text, 5, '0'), id from one`);
        return { stream: inPages(stream) };
      },
    },
  ],
  [
    'a file',
    {
      stream: 'hunan-credit-files/employer-registrations',
      transport: 'csv',
      columns: { key: 'XXBH', code: 'TYSHXYDM', name: 'DWMC', date: 'CBRQ', integer: 'CBRS', region: 'XZQH', required: 'DWBH' },
      good: (row, n) => ({ ...row, XXBH: `K${n}`, TYSHXYDM: creditCode(n) }),
      serve: async (stream) => ({ stream, file: written('rows.csv') }),
    },
  ],
  [
    'a drop folder',
    {
      stream: 'hunan-credit-files/labour-violations',
      transport: 'csv',
      columns: { key: 'XXBH', code: 'TYSHXYDM', name: 'DWMC', date: 'CLRQ', region: 'XZQH', required: 'CLNR' },
      good: (row, n) => ({ ...row, XXBH: `K${n}`, TYSHXYDM: creditCode(n) }),
      async serve(stream) {
        written('RS_WFXW_1.csv');
        return { stream };
      },
    },
  ],
  [
    'a table read by watermark',
    {
      stream: 'national-insurance/medical-institutions',
      transport: 'database',
      columns: {
        key: 'RID',
        code: 'USCC',
        name: 'MEDINS_NAME',
        date: 'BEGNTIME',
        integer: 'APRV_BED_CNT',
        region: 'ADMDVS',
        required: 'MEDINS_CODE',
      },
      good: (row, n) => ({
        ...row,
        RID: `K${n}`,
        USCC: creditCode(n),
        MEDINS_CODE: `H43010${serial(n)}`,
        UPDT_TIME: new Date(Date.UTC(2026, 0, 5) + n * 1000).toISOString().slice(0, 19).replace('T', ' '),
      }),
      async serve(stream) {
        await table('CUSTCENT_DB', 'MEDINS_INFO_B', 'UPDT_TIME timestamp');
        return { stream: inPages(stream) };
      },
    },
  ],
  [
    'a front database',
    {
      stream: 'hunan-credit/market-registrations',
      transport: 'database',
      columns: { key: 'XXBH', code: 'TYSHXYDM', name: 'ZTMC', date: 'CLRQ', money: 'ZCZB', region: 'XZQH' },
      good: (row, n) => ({ ...row, XH: n, XXBH: `K${n}`, TYSHXYDM: creditCode(n), JHKG: '0' }),
      async serve(stream) {
        await table('QZK', 'GX_QYDJ', 'XH bigint');
        return { stream: inPages(stream) };
      },
    },
  ],
];

/** A person's number for each n, valid and all different. */
function citizen(n: number): string {
  return withCitizenCheck(
    `4301021990${String((n % 9) + 1).padStart(2, '0')}${String((Math.floor(n / 9) % 28) + 1).padStart(2, '0')}${String(Math.floor(n / 252) + 1).padStart(3, '0')}`,
  );
}

function inPages(stream: PullStream): PullStream {
  const { via } = stream;
  if (via.kind === 'http' && via.paging) return { ...stream, via: { ...via, paging: { ...via.paging, size: PAGE } } };
  if (via.kind === 'database') return { ...stream, via: { ...via, size: PAGE } };
  if (via.kind === 'national-insurance' && via.each)
    return { ...stream, via: { ...via, each: { ...via.each, with: { profession: ['1'] }, size: 1 } } };
  throw new Error(`${stream.id} has no pages`);
}

function written(name: string): string {
  const header = Object.keys(rows[0]?.cells ?? {}).join(',');
  const file = join(FOLDER, name);
  writeFileSync(file, [header, ...rows.map((row) => row.text), ''].join('\n'));
  return file;
}

/** All columns are text but one, so that any value goes in. */
async function table(schema: string, name: string, typed: string): Promise<void> {
  const [special = '', type = ''] = typed.split(' ');
  const columns = Object.keys(rows[0]?.cells ?? {});
  const types = columns.map((column) => `"${column}" ${column === special ? type : 'text'}`);
  await client.query(
    `create schema if not exists "${schema}"; drop table if exists "${schema}"."${name}"; create table "${schema}"."${name}" (${types.join(', ')})`,
  );
  await client.query(`insert into "${schema}"."${name}" select * from json_populate_recordset(null::"${schema}"."${name}", $1::json)`, [
    JSON.stringify(rows.map((row) => Object.fromEntries(columns.map((column) => [column, row.cells[column] ?? null])))),
  ]);
}

function jobs(): Jobs {
  const lines = { write: (line: string) => void said.push(line) };
  const environment = {
    CREDIT_CHINA_URL: platform.url,
    CREDIT_CHINA_APP_ID: 'hub',
    CREDIT_CHINA_SECRET: 'not-real',
    NATIONAL_INSURANCE_URL: platform.url,
    NATIONAL_INSURANCE_PAAS_ID: 'hub',
    NATIONAL_INSURANCE_SECRET: 'not-real',
    NATIONAL_INSURANCE_DATABASE_URL: source.url,
    NATIONAL_INSURANCE_INSTITUTION: 'H43010299999',
    NATIONAL_INSURANCE_INSTITUTION_NAME: '示例',
    NATIONAL_INSURANCE_REGION: '430199',
    HUNAN_CREDIT_DATABASE_URL: source.url,
    HUNAN_CREDIT_DROP_FOLDER: FOLDER,
    HUNAN_CREDIT_FEEDBACK_FOLDER: join(FOLDER, 'feedback'),
  };
  const now = () => new Date('2026-11-21T01:30:15Z');
  return { model: MODEL, pool: store.pool, keys: store.keys, log, environment, now, logger: pino({ base: null }, lines) };
}

interface IssueRow {
  rule: string;
  at: string;
  place: string;
  reason: string;
  refused: boolean;
  raw: string | null;
  seen: number;
}

describe.each(sources)(`rows of %s (seed ${SEED})`, (_, one) => {
  it(`P11 ${(PAGE * PAGES) / 2} bad ones among good neighbours are one issue each, and every neighbour is stored`, async () => {
    const plain = pullStreamOf(one.stream);
    const { map } = compileMapping(MODEL, plain);
    const template = SANDBOX.streams.get(one.stream)?.find((row) => map(one.good(row, 0), '2026-11-21').warnings.length === 0) ?? {};
    rows = mixedRows(one.stream, one.columns, one.transport, (n) => one.good(template, n), PAGE * PAGES);
    const { stream, file } = await one.serve(plain);
    const result = await runPull(jobs(), stream, { trigger: 'manual', ...(file === undefined ? {} : { file }) });
    const bad = rows.filter((row) => row.verdict === 'issue');
    const taken = rows.filter((row) => row.verdict !== 'issue');
    expect(bad).toHaveLength(rows.length / 2);

    const of = [stream.connector, stream.id];
    const stored = await store.pool.query<{ source_key: string }>('select source_key from record where connector = $1 and stream = $2', of);
    const keys = taken.map((row) =>
      storedKey(store.keys, map(one.transport === 'json' ? (JSON.parse(row.text) as Cells) : row.cells, '2026-11-21')),
    );
    const held = new Set(stored.rows.map((row) => row.source_key));
    expect(taken.filter((_row, i) => !held.delete(keys[i] ?? '')).map((row) => row.what)).toEqual([]);
    expect([...held].map((key) => rows.find((row) => keyOf(row, one.columns) === key) ?? key)).toEqual([]);

    const { rows: all } = await store.pool.query<IssueRow>(
      'select rule, at, place, reason, refused, raw, seen from issue where connector = $1 and stream = $2',
      of,
    );
    const issues = all.filter((issue) => issue.refused);
    expect(result?.counts).toMatchObject({ in: rows.length, stored: taken.length, unchanged: 0, issues: bad.length });
    expect(issues.reduce((sum, issue) => sum + issue.seen, 0)).toBe(bad.length);
    expect(new Set(issues.map((issue) => issue.rule)).size).toBeGreaterThan(4);
    const raws = await Promise.all(issues.map(({ raw }) => openSealed(store, raw ?? '', `issue.${stream.connector}/${stream.id}`)));
    expect(raws.filter((raw) => raw === '' || raw === undefined)).toEqual([]);
    const secrets = valuesOf(bad);
    const told = [...issues.map(({ rule, place, reason }) => `${rule} ${place} ${reason}`), ...said].join('\n');
    expect(secrets.filter((secret) => told.includes(secret))).toEqual([]);
    memory.push(await residentMemory());
  });
});

it('P11 bad rows leave no memory behind', () => {
  expect(memory).toHaveLength(sources.length);
  // The first two have used everything once.
  expect((memory.at(-1) ?? 0) - (memory[1] ?? 0)).toBeLessThan(MOST_GROWTH);
});

/** The key of a row that should not have been stored, for the message. */
function keyOf({ cells }: SentRow, columns: Columns): string {
  return JSON.stringify([String(cells[columns.key]).toUpperCase()]);
}

/** Texts of the rows that could be recognised: no short words, which every message has. */
function valuesOf(sent: readonly SentRow[]): string[] {
  const values = sent.flatMap(({ cells }) => Object.values(cells)).filter((value) => typeof value === 'string');
  return [...new Set(values.map((value) => value.trim()).filter((value) => value.length >= 4))];
}
