/** Stand-ins of platforms made from the streams that read them: whatever a YAML says, its double speaks it, hands out rows, and misbehaves. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { openConnector } from '../../src/connectors/connector.ts';
import type { OpenConnector, Page, PullFrom } from '../../src/connectors/contract.ts';
import type {
  CatalogueFile,
  Connector,
  DatabaseVia,
  FileVia,
  HttpVia,
  Json,
  NationalInsuranceVia,
  ReadStream,
} from '../../src/model/types.ts';
import { zipOf } from '../../src/sandbox/national-catalogue.ts';
import { FRONT_DATABASE, RETURN_FLOW } from '../../src/sandbox/tables.ts';
import { type Call, json, NOW, startPlatform } from '../fixtures/platform-server.ts';
import { quoted, tableName } from '../../src/connectors/database.ts';
import { emptyDatabase } from './database.ts';

export type RawRow = Record<string, unknown>;
/** `busy`: 503, no connection, no folder. `refusing`: 401, a user nobody knows, an empty file. `looping`: it never comes to an end by itself. */
export type Behaviour = 'well' | 'busy' | 'refusing' | 'looping';

export interface Double<S extends ReadStream = ReadStream> {
  /** The stream in pages of a quarter of its rows. */
  stream: S;
  behave(how: Behaviour): Promise<void>;
  open(): OpenConnector;
  pages(from?: Partial<PullFrom>): AsyncIterable<Page>;
  /** How often the hub has logged in or signed in. */
  logins(): number;
  /** Most pages that a run may have while the double loops; undefined: the run must stop the stream. */
  mostPages: number | undefined;
  close(): Promise<void>;
}

interface Part {
  via: ReadStream['via'];
  settings: () => Record<string, string>;
  behave: (how: Behaviour) => Promise<void>;
  from?: Partial<PullFrom>;
  /** Called between two pages of a loop. */
  disturb?: () => Promise<unknown>;
  logins?: () => number;
  mostPages?: number;
  signal?: () => AbortSignal | undefined;
  close: () => Promise<unknown>;
}

const PARTS = 4;

export async function doubleOf<S extends ReadStream>(connector: Connector, stream: S, rows: readonly RawRow[]): Promise<Double<S>> {
  const part = await partOf(stream, rows);
  const inSmall = { ...stream, via: part.via };
  const open = () => {
    const settings = { ...Object.fromEntries([...connector.settings.keys()].map((name) => [name, `any ${name}`])), ...part.settings() };
    const signal = part.signal?.();
    return openConnector(connector, settings, { now: () => NOW, timeoutMs: 5000, ...(signal ? { signal } : {}) });
  };
  let looping = false;
  return {
    stream: inSmall,
    async behave(how) {
      looping = how === 'looping';
      await part.behave(how);
    },
    open,
    async *pages(from = {}) {
      const opened = open();
      try {
        for await (const page of opened.pull(inSmall, { cursor: null, ...part.from, ...from })) {
          yield page;
          if (looping) await part.disturb?.();
        }
      } finally {
        await opened.close();
      }
    },
    logins: part.logins ?? (() => 0),
    mostPages: part.mostPages,
    close: async () => void (await part.close()),
  };
}

function partOf(stream: ReadStream, rows: readonly RawRow[]): Promise<Part> {
  const { via } = stream;
  switch (via.kind) {
    case 'http':
      return httpPart(via, rows);
    case 'national-insurance':
      return nationalPart(via, rows);
    case 'database':
      return databasePart(`${stream.connector}/${stream.id}`, via, rows);
    case 'file':
      return filePart(via, rows);
    case 'manual':
      throw new Error(`${stream.id} has no transport`);
  }
}

const size = (rows: readonly unknown[]) => Math.max(1, Math.ceil(rows.length / PARTS));
/** The settings that a text names. */
const settingsIn = (text: string, value: string) =>
  Object.fromEntries([...text.matchAll(/\{(\w+)\}/g)].map(([, name]) => [name, value] as const)) as Record<string, string>;

async function httpPart(via: HttpVia, rows: readonly RawRow[]): Promise<Part> {
  let how: Behaviour = 'well';
  let logins = 0;
  const ok = via.ok ? { [via.ok.at]: Number.isNaN(Number(via.ok.equals)) ? via.ok.equals : Number(via.ok.equals) } : {};
  const platform = await startPlatform((call, response) => {
    if (call.path === via.auth?.path) {
      logins += 1;
      return json(response, nested({ ...ok, [via.auth.token]: `token-${logins}` }));
    }
    if (how === 'busy') return json(response, {}, 503);
    if (how === 'refusing') return json(response, {}, 401);
    const paging = via.paging && { page: Number(sent(via, call, 'page')), size: Number(sent(via, call, 'size')) };
    const at = paging && how !== 'looping' ? (paging.page - 1) * paging.size : 0;
    const list = (paging ? rows.slice(at, at + paging.size) : rows) as Json[];
    const total = how === 'looping' ? rows.length * 1000 : rows.length;
    return json(response, nested({ ...ok, [via.items]: list, ...(via.total && { [via.total]: total }) }));
  });
  return {
    via: via.paging ? { ...via, paging: { ...via.paging, size: size(rows) } } : via,
    settings: () => settingsIn(via.base, platform.url),
    behave: async (next) => void (how = next),
    logins: () => logins,
    ...(via.paging ? {} : { mostPages: 1 }),
    close: () => platform.close(),
  };
}

/** The value that the hub sent where the configuration has `{name}`. */
function sent(via: HttpVia, call: Call, name: string): string | null {
  const inQuery = Object.entries(via.query).find(([, text]) => text === `{${name}}`);
  if (inQuery) return new URL(call.path, 'http://platform').searchParams.get(inQuery[0]);
  return String(valueLike(via.body, `{${name}}`, call.body));
}

/** The value of `given` at the place where `template` holds exactly `text`. */
function valueLike(template: Json | undefined, text: string, given: Json | undefined): Json | undefined {
  if (template === text) return given;
  if (template === null || typeof template !== 'object' || Array.isArray(template)) return undefined;
  for (const [key, inner] of Object.entries(template)) {
    const below = given !== null && typeof given === 'object' && !Array.isArray(given) ? given[key] : undefined;
    const found = valueLike(inner, text, below);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** `{ 'data.list': x }` as `{ data: { list: x } }`. */
function nested(paths: Record<string, Json>): Json {
  const root: Record<string, Json> = {};
  for (const [path, value] of Object.entries(paths)) {
    const keys = path.split('.');
    let node = root;
    for (const key of keys.slice(0, -1)) node = (node[key] ??= {}) as Record<string, Json>;
    node[keys.at(-1) ?? ''] = value;
  }
  return root;
}

async function nationalPart(via: NationalInsuranceVia, rows: readonly RawRow[]): Promise<Part> {
  const known = Array.from({ length: PARTS }, (_, i) => `K${i}`);
  let how: Behaviour = 'well';
  let logins = 0;
  const head = { inf_refmsgid: '', refmsg_time: '', respond_time: '', err_msg: '', infcode: 0 };
  const platform = await startPlatform((call, response) => {
    if (call.path === '/9001') {
      logins += 1;
      return json(response, { ...head, output: { signinoutb: { sign_time: '2026-11-21 09:30:15', sign_no: `S${logins}` } } });
    }
    if (how === 'busy') return json(response, {}, 503);
    if (how === 'refusing') return json(response, {}, 401);
    const asked = (name: string) => valueLike(via.input, `{${name}}`, call.body['input']);
    if (via.file)
      return answerWithFile(call, response, via.file, asked('version') === '0' || how === 'looping' ? rows.length : 0, { rows, head });
    const [line] = via.each?.ask ?? [];
    if (line !== undefined) return json(response, { ...head, output: withNodes(rows[Number(asked(line))] ?? {}, via.node) });
    const part = via.onBehalf ? call.body['fixmedins_code'] : asked('code');
    const first = Object.entries(via.each?.with ?? {}).every(([name, choices]) => asked(name) === choices[0]);
    const place = via.each?.scheme === undefined ? 0 : known.indexOf(String(part)) * size(rows);
    const whole = via.each?.scheme === undefined || how === 'looping' ? rows.length : size(rows);
    const list = how === 'looping' ? rows : first && place >= 0 ? rows.slice(place, place + whole) : [];
    return json(response, { ...head, output: nested({ [via.node]: list as Json[] }) });
  });
  const keys = (_: string, after: string | null, limit: number) =>
    Promise.resolve(known.filter((code) => after === null || code > after).slice(0, limit));
  return {
    via: via.each ? { ...via, each: { ...via.each, size: via.each.ask ? size(rows) : 1 } } : via,
    settings: () => ({ url: platform.url, institution: 'H43990000001', region: '439900' }),
    behave: async (next) => void (how = next),
    from: via.each?.ask ? { lines: rows.map((_, i) => [String(i), ...(via.each?.ask ?? []).slice(1)].join('\t')) } : { keys },
    logins: () => logins,
    mostPages: PARTS + 1,
    close: () => platform.close(),
  };
}

/** A flat row in the nodes of an answer: `NODE.KEY` in the first item of its node. */
function withNodes(row: RawRow, own: string): Json {
  const output: Record<string, Json> = { [own]: {} };
  for (const [key, value] of Object.entries(row)) {
    const [node = '', inner] = key.split('.');
    if (inner === undefined) (output[own] as Record<string, Json>)[node] = value as Json;
    else ((output[node] ??= [{}]) as [Record<string, Json>])[0][inner] = value as Json;
  }
  return output;
}

/** The transaction that names a file, and 9102 which is the file. */
function answerWithFile(
  call: Call,
  response: ServerResponse,
  file: CatalogueFile,
  count: number,
  { rows, head }: { rows: readonly RawRow[]; head: Record<string, Json> },
): void {
  const output = { [file.query]: 'Q1', [file.name]: 'list.txt.zip', [file.count]: count };
  if (call.path !== '/9102') return json(response, { ...head, output: nested(output) });
  const lines = rows.map((row) => Object.fromEntries(file.columns.map((column) => [column, row[column] ?? ''])));
  response.writeHead(200, { 'content-type': 'application/octet-stream' }).end(zipOf('list.txt', lines));
}

async function databasePart(name: string, via: DatabaseVia, rows: readonly RawRow[]): Promise<Part> {
  const database = await emptyDatabase();
  const client = new Client({ connectionString: database.url });
  await client.connect();
  const table = tableName(via.table);
  const { watermark, exchange } = via;
  const known = [...RETURN_FLOW, ...FRONT_DATABASE].find((one) => one.stream === name)?.columns.trim() ?? '';
  const columns = new Set([...known.split(/\s+/).map((column) => column.split(':')[0] ?? ''), ...rows.flatMap((row) => Object.keys(row))]);
  if (exchange) columns.add(exchange.flag);
  columns.delete('');
  const typeOf = (column: string) => (column === watermark?.time ? 'timestamp' : column === exchange?.order ? 'bigint' : 'text');
  const [schema = ''] = via.table.split('.');
  await client.query(`create schema ${quoted(schema)}`);
  await client.query(`create table ${table} (${[...columns].map((column) => `${quoted(column)} ${typeOf(column)}`).join(', ')})`);
  const fill = async () => {
    await client.query(`truncate ${table}`);
    const pending = rows.map((row) => (exchange ? { ...row, [exchange.flag]: exchange.pending } : row));
    await client.query(`insert into ${table} select * from json_populate_recordset(null::${table}, $1)`, [JSON.stringify(pending)]);
  };
  const again = watermark
    ? `update ${table} set ${quoted(watermark.time)} = (select max(${quoted(watermark.time)}) + interval '1 second' from ${table})`
    : `update ${table} set ${quoted(exchange?.flag ?? '')} = '${exchange?.pending ?? ''}'`;
  let how: Behaviour = 'well';
  const url = () => {
    const address = new URL(database.url);
    if (how === 'busy') address.port = '1';
    if (how === 'refusing') address.username = 'nobody_known_here';
    return address.href;
  };
  return {
    via: { ...via, size: size(rows) },
    settings: () => settingsIn(via.url, url()),
    async behave(next) {
      how = next;
      await fill();
    },
    disturb: () => client.query(again),
    mostPages: PARTS + 1,
    async close() {
      await client.end();
      await database.drop();
    },
  };
}

async function filePart(via: FileVia, rows: readonly RawRow[]): Promise<Part> {
  const folder = await mkdtemp(join(tmpdir(), 'connector-double-'));
  const { drop } = via;
  let how: Behaviour = 'well';
  const names = drop ? Array.from({ length: PARTS }, (_, i) => `${drop.prefix}${i + 1}.csv`) : ['file.csv'];
  const each = Math.ceil(rows.length / names.length);
  const place = () => (how === 'busy' && drop ? join(folder, 'nowhere') : folder);
  return {
    via,
    settings: () => ({ ...settingsIn(drop?.folder ?? '', place()), ...settingsIn(drop?.feedback?.folder ?? '', join(folder, 'feedback')) }),
    async behave(next) {
      how = next;
      for (const [i, name] of names.entries())
        await writeFile(join(folder, name), how === 'refusing' ? '' : csvOf(rows.slice(i * each, (i + 1) * each), rows));
    },
    from: drop ? {} : { file: join(folder, 'file.csv') },
    mostPages: names.length + Math.ceil(rows.length / 500),
    signal: () => (how === 'busy' && !drop ? AbortSignal.abort() : undefined),
    close: () => rm(folder, { recursive: true }),
  };
}

function csvOf(rows: readonly RawRow[], all: readonly RawRow[]): string {
  const header = [...new Set(all.flatMap((row) => Object.keys(row)))];
  const cell = (value: unknown) => `"${String(value ?? '').replaceAll('"', '""')}"`;
  return [header.join(','), ...rows.map((row) => header.map((name) => cell(row[name])).join(','))].map((line) => `${line}\n`).join('');
}
