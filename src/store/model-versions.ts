import type { SchemaTexts } from '../model/load.ts';
import type { Pool, Sql } from './sql.ts';

/** Arbitrary number of the advisory lock that orders changes of the version in use. */
const USE_LOCK = 7_301_002;

/** Keeps the texts of a model that is about to decide queries, and that it is in use from now on. Nothing changes when it already is. */
export async function keepModel(pool: Pool, version: string, texts: SchemaTexts): Promise<void> {
  await pool.transaction(async (sql) => {
    await sql.query('select pg_advisory_xact_lock($1)', [USE_LOCK]);
    const { rows } = await sql.query<{ version: string }>('select version from model_use order by id desc limit 1');
    if (rows[0]?.version === version) return;
    await sql.query('insert into model_version (version, texts) values ($1, $2) on conflict do nothing', [version, JSON.stringify(texts)]);
    await sql.query('insert into model_use (version) values ($1)', [version]);
  });
}

/** The texts of a version that was in use; undefined when it never was. */
export async function modelTexts(sql: Sql, version: string): Promise<SchemaTexts | undefined> {
  const { rows } = await sql.query<{ texts: SchemaTexts }>('select texts from model_version where version = $1', [version]);
  return rows[0]?.texts;
}

/** The version in use just before an instant (the end of a day, say); undefined before the first one. */
export async function versionBefore(sql: Sql, at: string): Promise<string | undefined> {
  const { rows } = await sql.query<{ version: string }>('select version from model_use where since < $1 order by id desc limit 1', [at]);
  return rows[0]?.version;
}

/** When each version came into use, newest first. */
export async function modelUses(sql: Sql, limit: number): Promise<{ version: string; since: string }[]> {
  const { rows } = await sql.query<{ version: string; since: string }>('select version, since from model_use order by id desc limit $1', [
    limit,
  ]);
  return rows;
}
