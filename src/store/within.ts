import { Refused } from '../errors.ts';
import type { Walled } from './sql.ts';

/**
 * `pool` for one request that may take until `deadline` (milliseconds of `performance.now()`): a statement asked for later is refused with
 * DEADLINE_EXCEEDED (503). One that is under way is ended by the server's own statement timeout.
 */
export function within(pool: Walled, deadline: number): Walled {
  return {
    async read(enter, text, values) {
      if (performance.now() >= deadline) throw new Refused('DEADLINE_EXCEEDED', '查询超出执行时限,请缩小范围后重试', { status: 503 });
      return pool.read(enter, text, values);
    },
  };
}
