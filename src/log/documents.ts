import { createHash } from 'node:crypto';
import type { Sql } from '../store/sql.ts';
import type { LogSuite } from './chain.ts';
import { logText } from './entry.ts';

const REMEMBERED = 10_000;

/**
 * Keeps the texts of documents, without their literals, once each; entries name them by hash. The returned function resolves with the hex hash
 * after the text is stored, so an entry written later never points at nothing.
 */
export function documentsOf(sql: Sql, suite: LogSuite): (text: string) => Promise<string> {
  const stored = new Set<string>();
  return async (given) => {
    const text = logText(given);
    const hash = createHash(suite).update(text).digest('hex');
    if (!stored.has(hash)) {
      await sql.query('insert into log_document (hash, text) values ($1, $2) on conflict do nothing', [hash, text]);
      if (stored.size >= REMEMBERED) stored.clear();
      stored.add(hash);
    }
    return hash;
  };
}
