import { createHash } from 'node:crypto';
import type { Execute } from './seeding.ts';
import type { Holding } from './reconcile.ts';
import { shanghai } from './times.ts';

export interface Receipt {
  receiptNo: string;
  receivedAt: string;
}

export interface Holdings {
  /** The receipt given for this key before; 'other-body' when the key came with something else; undefined when it is new. */
  get(key: string, body: Record<string, unknown>): Receipt | 'other-body' | undefined;
  /** Keeps a submission that was accepted. Of two at once under one key the first wins, and both get its receipt. */
  keep(key: string, body: Record<string, unknown>, now: Date): Promise<Receipt>;
  /** Shows what was accepted under the key no longer; false when there is nothing. */
  revoke(key: string): boolean;
  /** Loses one that was confirmed. */
  forget(key: string): Promise<void>;
  /** All that is held, by the time of its receipt. */
  all(): Holding[];
  counts(): { holdings: number; subjects: number; revoked: number; repeated: number };
}

interface Held extends Receipt {
  bodyHash: string;
  subject: string;
  revoked: boolean;
}

const TABLE = '"CREDIT_CHINA"."HOLDINGS"';

/** What a receiving platform keeps of accepted submissions: in memory, and in a table of its own when it is given a database. */
export async function openHoldings(execute: Execute | undefined): Promise<Holdings> {
  const held = new Map<string, Held>();
  let repeated = 0;
  if (execute) {
    await execute('CREATE SCHEMA IF NOT EXISTS "CREDIT_CHINA"');
    await execute(`CREATE TABLE IF NOT EXISTS ${TABLE} ("KEY" text PRIMARY KEY, "HELD" jsonb NOT NULL)`);
    for (const row of (await execute(`SELECT "KEY", "HELD" FROM ${TABLE}`)).rows) held.set(String(row['KEY']), row['HELD'] as Held);
  }
  return {
    get(key, body) {
      const one = held.get(key);
      if (!one) return undefined;
      if (one.bodyHash !== hashOf(body)) return 'other-body';
      repeated++;
      return { receiptNo: one.receiptNo, receivedAt: one.receivedAt };
    },
    async keep(key, body, now) {
      const receipt: Receipt = {
        receiptNo: `CC${createHash('sha256').update(key).digest('hex').slice(0, 18).toUpperCase()}`,
        receivedAt: shanghai(now),
      };
      const one: Held = { ...receipt, bodyHash: hashOf(body), subject: String(body['TYSHXYDM']), revoked: body['CXBZ'] === '1' };
      held.set(key, one);
      if (execute) await execute(`INSERT INTO ${TABLE} VALUES ($1, $2) ON CONFLICT DO NOTHING`, [key, JSON.stringify(one)]);
      return receipt;
    },
    revoke(key) {
      const one = held.get(key);
      if (one) one.revoked = true;
      return one !== undefined;
    },
    async forget(key) {
      held.delete(key);
      if (execute) await execute(`DELETE FROM ${TABLE} WHERE "KEY" = $1`, [key]);
    },
    all: () => [...held].map(([key, one]) => ({ key: [key], stamp: one.receiptNo, time: one.receivedAt, region: '' })),
    counts() {
      const all = [...held].flatMap(([key, one]) => (key.endsWith(':recall') ? [] : [one]));
      return {
        holdings: all.length,
        subjects: new Set(all.map((one) => one.subject)).size,
        revoked: all.filter((one) => one.revoked).length,
        repeated,
      };
    },
  };
}

/** The same for every order of keys. */
function hashOf(body: Record<string, unknown>): string {
  return createHash('sha256')
    .update(JSON.stringify(Object.entries(body).toSorted(([a], [b]) => (a < b ? -1 : 1))))
    .digest('hex');
}
