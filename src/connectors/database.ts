import { DatabaseError, Pool, types } from 'pg';
import type { CustomTypesConfig } from 'pg';
import { RetryLater, StopStream } from '../errors.ts';
import { DEFAULT_TIMEOUT_MS, OPEN_GATE } from './contract.ts';
import type { OpenOptions } from './contract.ts';
import { said } from './said.ts';

export type Row = Record<string, unknown>;
export type Query = (sql: string, values?: readonly unknown[]) => Promise<Row[]>;

/** Another organisation's PostgreSQL. Every failure is a RetryLater, a StopStream, or a `RowRefused` of a write. */
export interface Database {
  query: Query;
  /** One transaction on one connection. */
  transaction<T>(run: (query: Query) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

/** The database refused the values of one row; others may go in. Only out of `transaction`; never leaves this folder. */
export class RowRefused extends Error {}

const { BOOL, INT2, INT4 } = types.builtins;
const KEPT: ReadonlySet<number> = new Set([BOOL, INT2, INT4]);
/** Timestamps, dates, int8 and decimals stay the text the server wrote: a conversion would lose microseconds, zones or digits. */
const asText = {
  getTypeParser: (oid: number, format?: 'text' | 'binary') => (KEPT.has(oid) ? types.getTypeParser(oid, format) : String),
} as CustomTypesConfig;

export function openDatabase(url: string, label: string, options: OpenOptions): Database {
  const timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
  const gate = options.gate ?? OPEN_GATE;
  const pool = new Pool({
    connectionString: checkedUrl(url, label),
    max: 2,
    types: asText,
    connectionTimeoutMillis: Math.min(timeoutMs, 10_000),
    statement_timeout: timeoutMs,
    // Covers a server that went silent, which its own time-out cannot.
    query_timeout: timeoutMs + 1000,
    lock_timeout: timeoutMs,
    keepAlive: true,
    application_name: 'credit-hub',
    options: '-c datestyle=ISO -c timezone=Asia/Shanghai -c bytea_output=hex',
  });
  // An idle connection that breaks is replaced by the pool; without a listener it would end the process.
  pool.on('error', ignore);

  async function run<T>(work: () => Promise<T>): Promise<T> {
    if (options.signal?.aborted) throw new RetryLater(`stopped: ${label} 的读取被停止`);
    return gate.pass(async () => {
      try {
        return await work();
      } catch (error) {
        throw translated(error, label);
      }
    });
  }
  const query: Query = async (sql, values = []) => {
    try {
      return await run(async () => (await pool.query<Row>(sql, [...values])).rows);
    } catch (error) {
      throw error instanceof RowRefused ? new StopStream(`database-refused: ${error.message}`, { cause: error.cause }) : error;
    }
  };

  function transaction<T>(work: (query: Query) => Promise<T>): Promise<T> {
    return run(async () => {
      const client = await pool.connect();
      // A session that ends between two statements has no statement to fail; the next one will.
      client.on('error', ignore);
      let broken: boolean | Error = true;
      try {
        await client.query('begin');
        const result = await work(async (sql, values = []) => (await client.query<Row>(sql, [...values])).rows);
        await client.query('commit');
        broken = false;
        return result;
      } finally {
        // After a failure the connection is dropped, and the server rolls back.
        client.off('error', ignore);
        client.release(broken);
      }
    });
  }

  return { query, transaction, close: () => pool.end() };
}

/** `SCHEMA.TABLE` of the model as an SQL name, letter for letter. */
export function tableName(table: string): string {
  return table.split('.').map(quoted).join('.');
}

export function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

function ignore(): void {}

function checkedUrl(url: string, label: string): string {
  if (!/^postgres(ql)?:\/\//.test(url) || !URL.canParse(url)) throw new StopStream(`bad-address: ${label} 的数据库地址无效`);
  return url;
}

/** SQLSTATE class → what follows. Details and hints are dropped: they repeat the row, as data exceptions (22) do in what they quote. */
function translated(error: unknown, label: string): Error {
  if (error instanceof RetryLater || error instanceof StopStream) return error;
  if (!(error instanceof Error)) return new RetryLater(`database-unreachable: ${label} 连接失败`);
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  const cause = new Error(code);
  const message = `${label}（${code || '无代码'}）${said(code.startsWith('22') ? error.message.replace(/".*"/s, '***') : error.message)}`;
  if (!/^[0-9A-Z]{5}$/.test(code) || !(error instanceof DatabaseError)) {
    if (error.message.startsWith('SASL')) return new StopStream(`database-login: ${message}`, { cause });
    return new RetryLater(`database-unreachable: ${message}`, { cause });
  }
  if (/^(08|53|57|58|40|55|25|XX)/.test(code)) return new RetryLater(`database-busy: ${message}`, { cause });
  if (/^2[23]/.test(code)) return new RowRefused(message, { cause });
  return new StopStream(`database-refused: ${message}`, { cause });
}
