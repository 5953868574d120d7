import type { Pool } from './sql.ts';

/** As PostgreSQL says it (too_many_connections): the same call may work later. */
class NoConnection extends Error {
  readonly code = '53300';
}

const PATIENCE_MS = 5000;

/**
 * A pool of which each part of the callers holds `max` connections at most: who has them all in use waits for itself, for five seconds, and the
 * others find theirs. `dedicated` and `close` are those of the pool.
 */
export function shares(pool: Pool, max: number): (part: string) => Pool {
  const parts = new Map<string, { used: number; waiting: (() => void)[] }>();

  async function holding<T>(name: string, work: () => Promise<T>): Promise<T> {
    const part = parts.get(name) ?? { used: 0, waiting: [] };
    parts.set(name, part);
    if (part.used < max) part.used += 1;
    else
      await new Promise<void>((resolve, reject) => {
        const start = (): void => {
          clearTimeout(timer);
          resolve();
        };
        const timer = setTimeout(() => {
          part.waiting.splice(part.waiting.indexOf(start), 1);
          reject(new NoConnection(`all ${max} connections of ${name} were in use for ${PATIENCE_MS} ms`));
        }, PATIENCE_MS);
        part.waiting.push(start);
      });
    try {
      return await work();
    } finally {
      // Handed on, not given back: nobody can come between.
      const next = part.waiting.shift();
      if (next) next();
      else part.used -= 1;
      if (part.used === 0) parts.delete(name);
    }
  }

  return (part) => ({
    ...pool,
    query: (text, values) => holding(part, () => pool.query(text, values)),
    read: (enter, text, values) => holding(part, () => pool.read(enter, text, values)),
    transaction: (work) => holding(part, () => pool.transaction(work)),
  });
}
