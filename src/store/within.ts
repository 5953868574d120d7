import { Refused } from '../errors.ts';
import type { Walled } from './sql.ts';

/** As PostgreSQL says that a statement was ended for its time (query_canceled). */
const ENDED = '57014';

/**
 * `pool` for one request that may take until `deadline` (milliseconds of `performance.now()`): a statement asked for later is refused with
 * DEADLINE_EXCEEDED (503), and one that is under way then is ended by the server and refused alike.
 */
export function within(pool: Walled, deadline: number): Walled {
  const late = () => new Refused('DEADLINE_EXCEEDED', '查询超出执行时限,请缩小范围后重试', { status: 503 });
  return {
    async read(enter, text, values) {
      const left = Math.floor(deadline - performance.now());
      if (left <= 0) throw late();
      try {
        return await pool.read(`${enter}; set local statement_timeout = ${left}`, text, values);
      } catch (error) {
        throw (error as { code?: unknown }).code === ENDED ? late() : error;
      }
    },
  };
}
