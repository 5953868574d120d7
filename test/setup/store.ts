/** A database of the hub with its model and keys, and pages made by hand for the tests of the store. */
import { fileURLToPath } from 'node:url';
import { loadModel } from '../../src/model/load.ts';
import type { MappedRecord } from '../../src/mapping/record.ts';
import type { Json, Model, PullStream, ReadStream } from '../../src/model/types.ts';
import type { NewIssue } from '../../src/store/issues.ts';
import { type Keys, newKeyRing, openKeys } from '../../src/store/keys.ts';
import { applyPage, type MappedPage, type PageResult } from '../../src/store/page.ts';
import { beginRun, type HeldRun } from '../../src/store/runs.ts';
import { openPool, type Pool } from '../../src/store/sql.ts';
import { openerOf } from '../../src/store/subject-keys.ts';
import { freshDatabase } from './database.ts';

export const MODEL: Model = loadModel(fileURLToPath(new URL('../../schema', import.meta.url)));
export const TODAY = '2026-11-23';
export const OFFICER = { id: 'o-1', name: '王小明' };

export interface Store {
  url: string;
  pool: Pool;
  keys: Keys;
  drop(): Promise<void>;
}

export async function openStore(ring = newKeyRing()): Promise<Store> {
  const database = await freshDatabase();
  const pool = openPool(database.url, { max: 8, applicationName: 'store test' });
  const drop = async () => {
    await pool.close();
    await database.drop();
  };
  return { url: database.url, pool, keys: openKeys(ring), drop };
}

/** A sealed value as the hub opens it; undefined when the key of its subject was destroyed. */
export async function openSealed({ pool, keys }: Store, sealed: string | undefined, context: string): Promise<string | undefined> {
  return (await openerOf(pool, keys, [sealed ?? '']))(sealed ?? '', context);
}

export function pullStreamOf(name: string): PullStream {
  const [connector = '', id = ''] = name.split('/');
  const stream = MODEL.connectors.get(connector)?.streams.get(id);
  if (stream?.direction !== 'pull') throw new Error(`${name} is no pull stream`);
  return stream;
}

/** A penalty of an organisation, with what the test says differently. */
export function recordOf(key: string, creditCode: string, changes: Partial<MappedRecord> = {}): MappedRecord {
  return {
    category: 3,
    kind: 'penalty',
    key: JSON.stringify([key]),
    keyIsPersonal: false,
    version: null,
    deleted: false,
    subject: {
      kind: 'organisation',
      name: `机构${creditCode.slice(-4)}`,
      region: null,
      roles: [],
      identifiers: [{ scheme: 'uscc', code: creditCode }],
    },
    region: null,
    occurredOn: null,
    validFrom: null,
    validTo: null,
    fields: { decisionNumber: key },
    unknownKeys: [],
    warnings: [],
    ...changes,
  };
}

export function pageOf(records: MappedRecord[], more: { issues?: NewIssue[]; cursor?: Json } = {}): MappedPage {
  const mapped = records.map((record, i) => ({ record, raw: { key: record.key, n: i }, at: `row ${i + 1}` }));
  return { records: mapped, issues: more.issues ?? [], cursor: more.cursor ?? null };
}

/** Runs `work` in a run of the stream, which ends with it. */
export async function inRun<T>(store: Store, stream: ReadStream, work: (run: HeldRun) => Promise<T>): Promise<T> {
  const run = await beginRun(store.pool, { ...stream, direction: 'pull' }, OFFICER, 'manual');
  if (run === undefined) throw new Error(`${stream.id} is held by another run`);
  try {
    return await work(run);
  } finally {
    await run.end('done');
  }
}

export function apply(store: Store, stream: PullStream, run: HeldRun, page: MappedPage): Promise<PageResult> {
  return applyPage(store.pool, store.keys, MODEL, stream, run, page, TODAY);
}

/** One page in a run of its own. */
export function applyOne(store: Store, stream: PullStream, page: MappedPage): Promise<PageResult> {
  return inRun(store, stream, (run) => apply(store, stream, run, page));
}

/** Holds the first transaction that does `event` open for a moment, so that `second` comes while `first` is under way. */
export async function during({ pool }: Store, event: string, first: () => Promise<unknown>, second: () => Promise<unknown>): Promise<void> {
  const [table = ''] = / on (\w+)/.exec(event)?.slice(1) ?? [];
  await pool.query(`create function slowly() returns trigger language plpgsql as $$ begin perform pg_sleep(0.4); return new; end $$`);
  await pool.query(`create trigger slowly after ${event} execute function slowly()`);
  try {
    const earlier = first();
    while ((await pool.query(`select from pg_stat_activity where wait_event = 'PgSleep' and datname = current_database()`)).rowCount === 0);
    await Promise.all([earlier, second()]);
  } finally {
    await pool.query(`drop trigger slowly on ${table}`);
    await pool.query('drop function slowly()');
  }
}
