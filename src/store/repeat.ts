import type { Sql } from './sql.ts';
import { SubjectRace } from './race.ts';

const MOST_ATTEMPTS = 8;

/** A transaction that stores records, again from its start when another one came in between. */
export async function transactionOf<T>(sql: Sql, work: (sql: Sql) => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await sql.transaction(work);
    } catch (error) {
      if (attempt >= MOST_ATTEMPTS || !worthRepeating(error)) throw error;
    }
  }
}

/** Dead-lock, serialisation failure, or a subject made at the same moment: nothing was written, the same may be tried again. */
export function worthRepeating(error: unknown): boolean {
  if (error instanceof SubjectRace) return true;
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return code === '40P01' || code === '40001';
}
