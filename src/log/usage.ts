import type { Pool, Sql } from '../store/sql.ts';
import { decode } from './canonical.ts';

/** How often one coordinate was shown to a department and role for a purpose. The empty coordinate counts the queries themselves. */
export interface Use {
  department: string;
  role: string;
  purpose: string;
  coordinate: string;
  queries: number;
}

/** Arbitrary number of the advisory lock that lets one process count at a time. */
const COUNT_LOCK = 7_301_005;
const BATCH = 2000;

/**
 * Counts what was appended to the log since the last time: which fields were shown, by day (Asia/Shanghai), department, role and purpose. Each batch is
 * counted in the transaction that moves its writer's position, so nothing is counted twice. Returns how many entries were read.
 */
export async function foldUsage(pool: Pool): Promise<number> {
  const { rows: writers } = await pool.query<{ id: number }>('select id from log_writer order by id');
  let read = 0;
  for (const { id } of writers) {
    for (;;) {
      const taken = await pool.transaction((sql) => foldBatch(sql, id));
      read += taken;
      if (taken < BATCH) break;
    }
  }
  return read;
}

async function foldBatch(sql: Sql, writer: number): Promise<number> {
  await sql.query('select pg_advisory_xact_lock($1)', [COUNT_LOCK]);
  const { rows: at } = await sql.query<{ seq: number }>('select seq from field_usage_position where writer = $1', [writer]);
  const { rows } = await sql.query<{ seq: number; day: string; body: Buffer }>(
    `select seq, (at at time zone 'Asia/Shanghai')::date as day, body from query_log where writer = $1 and seq > $2 order by seq limit $3`,
    [writer, at[0]?.seq ?? 0, BATCH],
  );
  const last = rows.at(-1);
  if (last === undefined) return 0;
  const counts = new Map<string, number>();
  for (const { day, body } of rows) {
    const { entry } = decode(body);
    if (entry.kind !== 'query' || entry.outcome !== 'answered') continue;
    for (const coordinate of ['', ...entry.fields]) {
      const key = JSON.stringify([day, entry.department ?? '', entry.role ?? '', entry.purpose.code, coordinate]);
      counts.set(key, (counts.get(key) ?? 0) + 1);
    }
  }
  const keys = [...counts.keys()].map((key) => JSON.parse(key) as [string, string, string, string, string]);
  const column = (index: 0 | 1 | 2 | 3 | 4) => keys.map((key) => key[index]);
  await sql.query(
    `insert into field_usage (day, department, role, purpose, coordinate, queries)
     select * from unnest($1::date[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[])
     on conflict (day, department, role, purpose, coordinate) do update set queries = field_usage.queries + excluded.queries`,
    [column(0), column(1), column(2), column(3), column(4), [...counts.values()]],
  );
  await sql.query('insert into field_usage_position (writer, seq) values ($1, $2) on conflict (writer) do update set seq = excluded.seq', [
    writer,
    last.seq,
  ]);
  return rows.length;
}

/** What was counted from a day on, and the first day that was ever counted. */
export async function usageSince(sql: Sql, from: string): Promise<{ since: string | null; uses: Use[] }> {
  const { rows: first } = await sql.query<{ since: string | null }>('select min(day) as since from field_usage');
  const { rows } = await sql.query<Use>(
    `select department, role, purpose, coordinate, sum(queries)::bigint as queries from field_usage where day >= $1
     group by department, role, purpose, coordinate order by department, role, purpose, coordinate`,
    [from],
  );
  return { since: first[0]?.since ?? null, uses: rows };
}
