import type { Sql } from '../store/sql.ts';

/** Serialises processes that make partitions at the same time. */
const LOCK = 0x484c5054;

/**
 * Makes the monthly partitions (UTC) of the query log from the month of `now` on; returns the names of those it made. Called at start and by a
 * daily job. A new partition is attached rather than declared, so that neither appending nor reading has to wait.
 */
export async function ensureLogPartitions(sql: Sql, now: Date, monthsAhead: number): Promise<string[]> {
  return sql.transaction(async (tx) => {
    await tx.query('select pg_advisory_xact_lock($1)', [LOCK]);
    const made: string[] = [];
    for (let ahead = 0; ahead <= monthsAhead; ahead++) {
      const [from, to] = [firstOf(now, ahead), firstOf(now, ahead + 1)];
      const name = `query_log_${from.slice(0, 4)}_${from.slice(5, 7)}`;
      const { rows } = await tx.query<{ made: boolean }>('select log_make_partition($1, $2, $3) as made', [name, from, to]);
      if (rows[0]?.made) made.push(name);
    }
    return made;
  });
}

function firstOf(now: Date, monthsAhead: number): string {
  return new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + monthsAhead, 1)).toISOString();
}
