import type { Pool } from './sql.ts';

/** From one statement of a request to the next it takes no more turns of the event loop than this. */
const QUIET_TURNS = 10;

export interface Counted extends Pool {
  /** Once no statement is under way and none follows. */
  settled(): Promise<void>;
}

/** `pool` for one request, which knows whether the request still reads: an error ends the execution of a query while its other fields are being read. */
export function counted(pool: Pool): Counted {
  let underWay = 0;
  const count = async <T>(work: () => Promise<T>): Promise<T> => {
    underWay += 1;
    try {
      return await work();
    } finally {
      underWay -= 1;
    }
  };
  return {
    query: (text, values) => count(() => pool.query(text, values)),
    transaction: (work) => count(() => pool.transaction(work)),
    read: (enter, text, values) => count(() => pool.read(enter, text, values)),
    dedicated: () => pool.dedicated(),
    close: () => pool.close(),
    async settled() {
      for (let quiet = 0; quiet < QUIET_TURNS;) {
        await new Promise((resolve) => setImmediate(resolve));
        quiet = underWay === 0 ? quiet + 1 : 0;
      }
    },
  };
}
