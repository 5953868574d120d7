import { Refused } from '../errors.ts';
import type { Sql } from './sql.ts';

/**
 * `sql` for one request that may take until `deadline` (milliseconds of `performance.now()`): a statement asked for later is refused with
 * DEADLINE_EXCEEDED (503). One that is under way is ended by the server's own statement timeout.
 */
export function within(sql: Sql, deadline: number): Sql {
  const check = (): void => {
    if (performance.now() >= deadline) throw new Refused('DEADLINE_EXCEEDED', '查询超出执行时限,请缩小范围后重试', { status: 503 });
  };
  return {
    async query(text, values) {
      check();
      return sql.query(text, values);
    },
    async transaction(work) {
      check();
      return sql.transaction((inner) => work(within(inner, deadline)));
    },
  };
}
