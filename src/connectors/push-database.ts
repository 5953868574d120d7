import { setTimeout as delay } from 'node:timers/promises';
import { Deferred, RetryLater } from '../errors.ts';
import type { FrontDatabasePushVia, Json } from '../model/types.ts';
import type { OpenOptions, PushItem, PushResult } from './contract.ts';
import { RowRefused, quoted, tableName } from './database.ts';
import type { Database } from './database.ts';
import { instantOf, localTime } from './local-time.ts';
import { said } from './said.ts';

const POLL_MS = 100;
const DEFAULT_FEEDBACK_WAIT_MS = 2000;

/**
 * Writes a row per item into the inbound table, once per key whatever happens, then waits shortly for the platform's feedback. Rows the
 * platform has not answered by then are `pending`.
 */
export async function* pushDatabase(
  database: Database,
  via: FrontDatabasePushVia,
  items: PushItem[],
  options: OpenOptions,
): AsyncGenerator<PushResult> {
  const waiting = new Set<string>();
  let failed: RetryLater | undefined;
  for (const item of items) {
    try {
      await writeOnce(database, via, item, localTime(options.now()));
      waiting.add(item.key);
    } catch (error) {
      if (error instanceof RowRefused) yield { key: item.key, outcome: 'refused', reason: error.message };
      else if (!(error instanceof RetryLater)) throw error;
      else if (error instanceof Deferred) {
        failed = error;
        break;
      } else {
        // The commit may have got through; the same key will tell.
        yield { key: item.key, outcome: 'unknown', reason: error.message };
        failed = error;
        break;
      }
    }
  }
  const until = performance.now() + (options.feedbackWaitMs ?? DEFAULT_FEEDBACK_WAIT_MS);
  if (failed) {
    for (const key of waiting) yield { key, outcome: 'pending' };
    throw failed;
  }
  while (waiting.size > 0) {
    for (const result of await feedbackFor(database, via, [...waiting])) {
      waiting.delete(result.key);
      yield result;
    }
    if (waiting.size === 0 || performance.now() >= until || options.signal?.aborted) break;
    await delay(POLL_MS);
  }
  for (const key of waiting) yield { key, outcome: 'pending' };
}

/** Without feedback: `pending` when the row stands in the inbound table; `absent` when it does not, and nobody is writing it. */
export async function* collectDatabase(database: Database, via: FrontDatabasePushVia, keys: string[]): AsyncGenerator<PushResult> {
  const open = new Set(keys);
  for (const result of await feedbackFor(database, via, keys)) {
    open.delete(result.key);
    yield result;
  }
  const key = quoted(via.key);
  const rows = await database.query(`select ${key}::text as key from ${tableName(via.table)} where ${key} = any($1)`, [[...open]]);
  const handedOver = new Set(rows.map((row) => row['key']));
  for (const one of open) yield handedOver.has(one) ? { key: one, outcome: 'pending' } : { key: one, outcome: 'absent' };
}

/** The lock holds off another writer of the same key where the platform's table has no unique index to do it. */
async function writeOnce(database: Database, via: FrontDatabasePushVia, item: PushItem, writtenAt: string): Promise<void> {
  const row: Record<string, Json> = { ...item.body, [via.key]: item.key, [via.flag]: via.pending, [via.writtenAt]: writtenAt };
  const columns = Object.keys(row);
  const table = tableName(via.table);
  const values = Object.values(row).map((value) => (value !== null && typeof value === 'object' ? JSON.stringify(value) : value));
  await database.transaction(async (query) => {
    await query('select pg_advisory_xact_lock(hashtextextended($1, 0))', [`${via.table} ${item.key}`]);
    await query(
      `insert into ${table} (${columns.map(quoted).join(', ')})
       select ${columns.map((_, i) => `$${i + 1}`).join(', ')}
       where not exists (select 1 from ${table} where ${quoted(via.key)} = $${columns.length + 1})
       on conflict do nothing`,
      [...values, item.key],
    );
  });
}

async function feedbackFor(database: Database, via: FrontDatabasePushVia, keys: string[]): Promise<PushResult[]> {
  const { feedback } = via;
  const column = (name: string): string => `${quoted(name)}::text`;
  const rows = await database.query(
    `select distinct on (${quoted(feedback.key)}) ${column(feedback.key)} as key, ${column(feedback.result)} as result,
       ${column(feedback.reason)} as reason, ${column(feedback.receipt)} as receipt, ${column(feedback.time)} as time
     from ${tableName(feedback.table)} where ${quoted(feedback.key)} = any($1) and ${quoted(feedback.result)} is not null
     order by ${quoted(feedback.key)}, ${quoted(feedback.time)} desc nulls last`,
    [keys],
  );
  return rows.flatMap((row) => resultOf(row, feedback.accepted));
}

/** Accepted without a number or a time is not answered yet. */
function resultOf(row: Record<string, unknown>, acceptedCode: string): PushResult[] {
  const [key, result, reason, number, time] = ['key', 'result', 'reason', 'receipt', 'time'].map((name) => String(row[name] ?? ''));
  if (key === undefined) return [];
  if (result !== acceptedCode) return [{ key, outcome: 'refused', reason: said(reason) || `结果 ${result}` }];
  const at = instantOf(time ?? '');
  return number && at !== undefined ? [{ key, outcome: 'accepted', receipt: { number, at } }] : [];
}
