import type { Keys } from './keys.ts';
import { HIDDEN_KEY } from './records.ts';
import type { Sql } from './sql.ts';

export interface Reindexed {
  /** Identifiers that got the token of the newest generation. */
  tokens: number;
  /** Tokens and record keys of generations that nobody writes any more, removed or replaced. */
  retired: number;
}

/** SQL: generation of a stored key of a record that is a blind index. 17 bytes are 23 characters of base64. */
const KEY_GENERATION = `get_byte(decode(translate(substr(source_key, ${HIDDEN_KEY.length + 1}), '-_', '+/') || '=', 'base64'), 0)`;
const IS_HIDDEN = `source_key ~ '^${HIDDEN_KEY}[A-Za-z0-9_-]{23}$'`;

/**
 * Brings the blind index on while the hub runs. Every identifier gets a token of each generation that is written; once a generation is written no
 * more (`live` in the ring), its tokens are removed and what has one token only (keys of records, past mergers) is replaced. A token follows from
 * the one before it, so no number is read. Killed and started again, it goes on with what is left.
 */
export async function reindexAll(
  sql: Sql,
  keys: Keys,
  how: { batch?: number; onProgress?: (done: Reindexed) => void } = {},
): Promise<Reindexed> {
  const done: Reindexed = { tokens: 0, retired: 0 };
  const batch = how.batch ?? 500;
  const step = async (work: () => Promise<{ read: number; changed: number }>, count: keyof Reindexed) => {
    for (;;) {
      const { read, changed } = await work();
      done[count] += changed;
      how.onProgress?.(done);
      if (read < batch) return;
    }
  };
  let after: Buffer = Buffer.alloc(0);
  await step(async () => {
    const result = await addTokens(sql, keys, after, batch);
    after = result.last ?? after;
    return result;
  }, 'tokens');
  let row = -1;
  await step(async () => {
    const result = await replaceKeys(sql, keys, row, batch);
    row = result.last ?? row;
    return result;
  }, 'retired');
  for (const table of ARRAYS) await step(() => replaceArrays(sql, keys, table, batch), 'retired');
  for (const table of NAMING) await step(() => replaceTokens(sql, keys, table, batch), 'retired');
  await step(() => removeTokens(sql, keys, batch), 'retired');
  return done;
}

async function addTokens(sql: Sql, keys: Keys, after: Buffer, limit: number): Promise<{ read: number; changed: number; last?: Buffer }> {
  const { rows } = await sql.query<{ token: Buffer; subject_id: number }>(
    `select token, subject_id from subject_identifier where token < $1 and token > $2 order by token limit $3`,
    [before(newest(keys)), after, limit],
  );
  const pairs = rows.flatMap(({ token }) => liveForms(keys, token).map((form) => ({ token, form })));
  const changed = await sql.transaction(async (tx) => {
    // A merger holds its subjects while it moves their identifiers: what it moves and what is added here never miss each other.
    await tx.query('select from subject where id = any($1) order by id for no key update', [
      [...new Set(rows.map((row) => row.subject_id))],
    ]);
    const { rowCount } = await tx.query(
      `insert into subject_identifier (token, scheme, subject_id, created_at)
       select n.form, i.scheme, i.subject_id, i.created_at from unnest($1::bytea[], $2::bytea[]) as n(token, form)
       join subject_identifier i on i.token = n.token on conflict (token) do nothing`,
      [pairs.map((pair) => pair.token), pairs.map((pair) => pair.form)],
    );
    return rowCount;
  });
  const last = rows.at(-1)?.token;
  return { read: rows.length, changed, ...(last === undefined ? {} : { last }) };
}

/** Only tokens whose successor is there are removed: an identifier can always be found. */
async function removeTokens(sql: Sql, keys: Keys, limit: number): Promise<{ read: number; changed: number }> {
  const { rows } = await sql.query<{ token: Buffer }>('select token from subject_identifier where token < $1 order by token limit $2', [
    before(oldestLive(keys)),
    limit,
  ]);
  const { rowCount } = await sql.query(
    `delete from subject_identifier i using unnest($1::bytea[], $2::bytea[]) as n(token, form)
     where i.token = n.token and exists (select from subject_identifier f where f.token = n.form and f.subject_id = i.subject_id)`,
    [rows.map((row) => row.token), rows.map((row) => liveForms(keys, row.token)[0])],
  );
  if (rowCount < rows.length)
    throw new Error('identifiers have no token of the generation that is written: the reindexing did not come to its end');
  return { read: rows.length, changed: rowCount };
}

/** Keys of records are one token each, found under every generation: they are replaced once nobody writes the old one. */
async function replaceKeys(sql: Sql, keys: Keys, after: number, limit: number): Promise<{ read: number; changed: number; last?: number }> {
  const { rows } = await sql.query<{ id: number; source_key: string }>(
    `select id, source_key from record where id > $3 and case when ${IS_HIDDEN} then ${KEY_GENERATION} < $1 else false end order by id limit $2`,
    [oldestLive(keys), limit, after],
  );
  const fresh = rows.map(({ source_key }) => {
    const form = liveForms(keys, Buffer.from(source_key.slice(HIDDEN_KEY.length), 'base64url'))[0];
    return `${HIDDEN_KEY}${form?.toString('base64url') ?? ''}`;
  });
  const { rowCount } = await sql.query(
    `update record r set source_key = n.fresh from unnest($1::bigint[], $2::text[], $3::text[]) as n(id, old, fresh)
     where r.id = n.id and r.source_key = n.old`,
    [rows.map((row) => row.id), rows.map((row) => row.source_key), fresh],
  );
  const last = rows.at(-1)?.id;
  return { read: rows.length, changed: rowCount, ...(last === undefined ? {} : { last }) };
}

/** Tables whose rows hold tokens of several numbers. */
const ARRAYS = ['subject_merge', 'issue', 'submission'] as const;

async function replaceArrays(
  sql: Sql,
  keys: Keys,
  table: (typeof ARRAYS)[number],
  limit: number,
): Promise<{ read: number; changed: number }> {
  const { rows } = await sql.query<{ id: number; tokens: Buffer[] }>(
    `select id, tokens from ${table} where exists (select from unnest(tokens) t where get_byte(t, 0) < $1) order by id limit $2`,
    [oldestLive(keys), limit],
  );
  const fresh = (tokens: Buffer[]) => tokens.map((token) => liveForms(keys, token)[0] ?? token);
  for (const { id, tokens } of rows)
    await sql.query(`update ${table} set tokens = $2 where id = $1 and tokens = $3`, [id, fresh(tokens), tokens]);
  return { read: rows.length, changed: rows.length };
}

/** Tables that name a subject by one token, which is looked up among its identifiers: replaced before those of the old generation go. */
const NAMING = ['consent', 'case_subject'] as const;

async function replaceTokens(
  sql: Sql,
  keys: Keys,
  table: (typeof NAMING)[number],
  limit: number,
): Promise<{ read: number; changed: number }> {
  const { rows } = await sql.query<{ token: Buffer }>(`select distinct token from ${table} where token < $1 order by token limit $2`, [
    before(oldestLive(keys)),
    limit,
  ]);
  const { rowCount } = await sql.query(
    `update ${table} t set token = n.form from unnest($1::bytea[], $2::bytea[]) as n(token, form) where t.token = n.token`,
    [rows.map((row) => row.token), rows.map((row) => liveForms(keys, row.token)[0])],
  );
  return { read: rows.length, changed: rowCount };
}

/** Tokens begin with their generation, so older ones lie before this in the index. */
const before = (generation: number): Buffer => Buffer.of(generation);

/** The forms of a token under the generations that are written and come after its own. */
function liveForms(keys: Keys, token: Buffer): Buffer[] {
  return keys.blindLater(token).filter((form) => (form[0] ?? 0) >= oldestLive(keys));
}
const generations = (keys: Keys) => keys.blindTokens('', '').map((token) => token[0] ?? 0);
const oldestLive = (keys: Keys): number => generations(keys)[0] ?? 0;
const newest = (keys: Keys): number => generations(keys).at(-1) ?? 0;

/** How many tokens there are of each generation of the blind index, by table. */
export async function indexedUnder(sql: Sql): Promise<{ table: string; key: string; values: number }[]> {
  const { rows } = await sql.query<{ table: string; key: string; values: number }>(
    `select place as table, 'b' || generation as key, count(*)::int as values from (
       select 'subject_identifier' as place, get_byte(token, 0) as generation from subject_identifier
       union all select 'record', ${KEY_GENERATION} from record where ${IS_HIDDEN}
       ${ARRAYS.map((table) => `union all select '${table}', get_byte(t, 0) from ${table}, unnest(tokens) t`).join('\n       ')}
       ${NAMING.map((table) => `union all select '${table}', get_byte(token, 0) from ${table}`).join('\n       ')}) tokens group by 1, 2 order by 1, 2`,
  );
  return rows;
}
