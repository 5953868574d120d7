import type { SandboxData } from './generate.ts';
import type { Row } from './population.ts';
import type { Table } from './tables.ts';

/** Runs one SQL statement; the caller owns the connection. */
export type Execute = (text: string, values?: readonly unknown[]) => Promise<{ rows: Record<string, unknown>[] }>;

export interface Statement {
  text: string;
  values: readonly unknown[];
}

const CHUNK = 1000;
const SQL_TYPES: Record<string, string> = { N: 'numeric', DATE: 'date', TS: 'timestamp', BIG: 'bigint', T: 'text' };

/** What makes the tables and fills them, in order. Half-made tables of a broken attempt go first. */
export function seedStatements(tables: readonly Table[], views: readonly string[], data: SandboxData): Statement[] {
  const schemas = new Set(tables.map((table) => table.schema));
  return [
    ...[...schemas].map((schema) => ({ text: `CREATE SCHEMA IF NOT EXISTS "${schema}"`, values: [] })),
    ...tables.map((table) => ({ text: `DROP TABLE IF EXISTS ${nameOf(table)} CASCADE`, values: [] })),
    ...tables.map((table) => ({ text: createTable(table), values: [] })),
    ...tables.flatMap((table) => inserts(table, (table.stream && data.streams.get(table.stream)) || [])),
    ...views.map((text) => ({ text, values: [] })),
  ];
}

/**
 * Fills a database once. The marker is written last: with it, nothing is touched again, so that row versions and update times stay; without it
 * the tables are made anew. Throws Error when the database holds the data of another seed, because a hub may have cursors on it.
 */
export async function seedOnce(execute: Execute, tables: readonly Table[], views: readonly string[], data: SandboxData): Promise<void> {
  const schema = tables[0]?.schema ?? 'public';
  const marker = `"${schema}"."SANDBOX_SEED"`;
  await execute(`CREATE SCHEMA IF NOT EXISTS "${schema}"`);
  await execute(`CREATE TABLE IF NOT EXISTS ${marker} ("DIGEST" text PRIMARY KEY)`);
  const { rows } = await execute(`SELECT "DIGEST" FROM ${marker}`);
  if (rows.some((row) => row['DIGEST'] === data.digest)) return;
  if (rows.length > 0) throw new Error(`schema ${schema} already holds the data of another seed: use an empty database`);
  for (const { text, values } of seedStatements(tables, views, data)) await execute(text, values);
  await execute(`INSERT INTO ${marker} VALUES ($1)`, [data.digest]);
}

function createTable(table: Table): string {
  const columns = columnsOf(table).map(({ name, type, required }) => `"${name}" ${type}${required ? ' NOT NULL' : ''}`);
  return `CREATE TABLE ${nameOf(table)} (${columns.join(', ')}, PRIMARY KEY ("${table.primaryKey}"))`;
}

/** Bulk: one parameter holds a thousand rows as JSON. A column that a row does not name becomes null. */
function inserts(table: Table, rows: readonly Row[]): Statement[] {
  const names = columnsOf(table).map(({ name }) => `"${name}"`);
  const text = `INSERT INTO ${nameOf(table)} (${names.join(', ')}) SELECT ${names.join(', ')} FROM json_populate_recordset(NULL::${nameOf(table)}, $1::json)`;
  const chunks = Array.from({ length: Math.ceil(rows.length / CHUNK) }, (_, i) => rows.slice(i * CHUNK, (i + 1) * CHUNK));
  return chunks.map((chunk) => ({ text, values: [JSON.stringify(chunk)] }));
}

function columnsOf(table: Table): { name: string; type: string; required: boolean }[] {
  return table.columns
    .trim()
    .split(/\s+/)
    .map((column) => {
      const [name = '', declared = ''] = column.split(':');
      const notation = declared.replace('*', '');
      const type = SQL_TYPES[notation] ?? (notation.startsWith('V') ? `varchar(${notation.slice(1)})` : 'integer');
      return { name, type, required: declared.endsWith('*') };
    });
}

function nameOf(table: Table): string {
  return `"${table.schema}"."${table.name}"`;
}
