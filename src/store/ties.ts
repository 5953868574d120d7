import type { Scope } from '../access/decide.ts';
import type { Sql } from './sql.ts';

/**
 * Whether anything that a grant hangs on still stands: true where one of its scopes asks for no consent and no case, or such a consent or case is
 * there today. Says nothing about subjects.
 */
export async function tiesHold(sql: Sql, scopes: readonly Scope[]): Promise<boolean> {
  for (const { tie } of scopes) {
    if (tie === undefined || tie.by === 'recorded' || tie.by === 'self') return true;
    if (tie.by === 'consented') {
      const { rowCount } = await sql.query(
        `select from consent where revoked_at is null and $1::date between valid_from and valid_until and (person = $2 or department = $3)
           and $4 = any(purposes) limit 1`,
        [tie.day, tie.person, tie.department, tie.purpose],
      );
      if (rowCount > 0) return true;
      continue;
    }
    const { rowCount } = await sql.query(
      `select from registered_case where number = $1 and department = $2 and (closed_on is null or closed_on > $3::date) limit 1`,
      [tie.number, tie.department, tie.day],
    );
    if (rowCount > 0) return true;
  }
  return scopes.length === 0;
}
