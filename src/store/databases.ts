import { openPool } from './sql.ts';

/** Makes sure that a database of this name stands beside the one at `url` on the same server; returns its address. */
export async function ensureDatabase(url: string, name: string): Promise<string> {
  const pool = openPool(url, { max: 1, applicationName: 'hub databases' });
  try {
    const { rowCount } = await pool.query('select from pg_database where datname = $1', [name]);
    if (rowCount === 0) await pool.query(`create database "${name.replaceAll('"', '""')}"`);
  } finally {
    await pool.close();
  }
  const address = new URL(url);
  address.pathname = `/${encodeURIComponent(name)}`;
  return address.toString();
}
