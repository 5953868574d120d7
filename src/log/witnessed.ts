import { setTimeout as sleep } from 'node:timers/promises';
import type { Pool, Sql } from '../store/sql.ts';
import { cosignedBytes } from './checkpoint.ts';
import { LogUnavailable } from './queue.ts';
import { WRITER_LOCK } from './session.ts';
import type { QueryLog } from './writer.ts';
import type { WitnessClient } from './witness-client.ts';

const AT_ONCE = 500;

/** Gives the witness every checkpoint it has not cosigned yet and keeps its cosignatures; rejects when it does not take them. */
export async function give(sql: Sql, witness: WitnessClient): Promise<void> {
  for (;;) {
    const { rows } = await sql.query<{ n: number; body: Buffer; hash: Buffer; key: string; signature: Buffer }>(
      `select n, body, hash, key, signature from log_checkpoint
       where n > coalesce((select max(n) from log_cosignature where key = $1), 0) order by n limit $2`,
      [witness.key.keyId, AT_ONCE],
    );
    const last = rows.at(-1);
    if (!last) return;
    const { n, at, key, signature } = await witness.present(rows);
    const cosigned = rows.find((row) => row.n === n);
    if (!cosigned || key !== witness.key.keyId || !witness.key.verify('cosignature', cosignedBytes(cosigned.hash, at), signature))
      throw new Error('it cosigned something else');
    await sql.query('insert into log_cosignature (n, key, at, signature) values ($1, $2, $3, $4) on conflict do nothing', [
      n,
      key,
      at.toISOString(),
      signature,
    ]);
  }
}

/** How long the log has gone without being sealed, and without being witnessed, in milliseconds; 0 when all is. */
export interface Lag {
  unsealedMs: number;
  /** Undefined when there is no witness. */
  unwitnessedMs: number | undefined;
}

/** Reads the lag: the age of the oldest entry that is not sealed, or whose checkpoint the witness has not cosigned. */
export async function readLag(sql: Sql, witnessKey: string | undefined): Promise<Lag> {
  const { rows } = await sql.query<{ unsealed: number | null; unwitnessed: number | null }>(
    `with live as materialized (select objid::bigint as writer from pg_locks where locktype = 'advisory' and classid::bigint = $2
       and database = (select oid from pg_database where datname = current_database())),
     open as (
       select w.id, coalesce(s.seq, 0) as seq, coalesce(s.at, w.started_at) as since from log_writer as w left join log_sealed as s on s.writer = w.id
       where (w.closed_seq is null or w.closed_seq > coalesce(s.seq, 0))
         and (w.closed_seq is not null or coalesce(s.at, w.started_at) > clock_timestamp() - interval '1 day' or w.id in (select writer from live)))
     select extract(epoch from clock_timestamp() - (select min(q.at) from open as o cross join lateral (
         select at from query_log where writer = o.id and seq > o.seq and at >= o.since order by seq limit 1) as q))::float8 as unsealed,
       extract(epoch from clock_timestamp() - (select at from log_checkpoint
         where n > coalesce((select max(n) from log_cosignature where key = $1), 0) order by n limit 1))::float8 as unwitnessed`,
    [witnessKey ?? '', WRITER_LOCK],
  );
  const ms = (seconds: number | null | undefined): number => Math.max(0, Math.round((seconds ?? 0) * 1000));
  const unsealedMs = ms(rows[0]?.unsealed);
  return { unsealedMs, unwitnessedMs: witnessKey === undefined ? undefined : Math.max(unsealedMs, ms(rows[0]?.unwitnessed)) };
}

export interface WatchOptions {
  pool: Pool;
  /** Key id of the witness; left out: there is none, and nothing is ever refused. */
  witnessKey?: string;
  graceMs: number;
  alarmMs?: number;
  everyMs?: number;
  /** How long the start may wait for what was left behind to be sealed and witnessed, before it refuses. */
  patienceMs?: number;
  onAlarm: (what: string) => void;
}

const SOON_MS = 500;

/** Watches the lag of one database. */
export interface Watch {
  /** The log, but that it refuses entries while the witness has been silent for longer than the grace. */
  guard(log: QueryLog): QueryLog;
  close(): Promise<void>;
}

/**
 * Reads the lag now and every 15 s. An alarm is raised when it passes five minutes, and again each hour; past the grace nothing is answered any
 * more, as in X-Road: a log that nobody outside has seen for hours could be rewritten for hours. It opens again by itself.
 */
export async function watchWitness(options: WatchOptions): Promise<Watch> {
  const { pool, witnessKey, graceMs, alarmMs = 5 * 60_000, everyMs = 15_000, patienceMs = 10_000 } = options;
  const stopping = new AbortController();
  let refusal: LogUnavailable | undefined;
  let alarmed = -Infinity;

  async function look(): Promise<void> {
    const { unsealedMs, unwitnessedMs } = await readLag(pool, witnessKey);
    const lag = unwitnessedMs ?? unsealedMs;
    const what = `for ${Math.round(lag / 1000)} s the query log has not been ${unsealedMs > alarmMs || witnessKey === undefined ? 'sealed' : 'witnessed'}`;
    refusal = unwitnessedMs !== undefined && unwitnessedMs > graceMs ? new LogUnavailable(what) : undefined;
    if (lag <= alarmMs) alarmed = -Infinity;
    else if (performance.now() - alarmed > 3_600_000) {
      alarmed = performance.now();
      options.onAlarm(what);
    }
  }

  const pause = (ms: number): Promise<void> => sleep(ms, undefined, { signal: stopping.signal }).catch(() => undefined);

  async function run(): Promise<void> {
    while (!stopping.signal.aborted) {
      await pause(refusal ? SOON_MS : everyMs);
      // A database that cannot be read takes no entries either.
      if (!stopping.signal.aborted) await look().catch(() => undefined);
    }
  }

  await look();
  // After a stop without warning the last entries wait for the sealer, which has only just begun.
  for (let waited = 0; refusal && waited < patienceMs; waited += SOON_MS) {
    await pause(SOON_MS);
    await look();
  }
  const running = run();
  return {
    guard: (log) => ({
      ...log,
      check() {
        if (refusal) throw refusal;
        log.check();
      },
      async append(entry) {
        if (refusal) throw refusal;
        return log.append(entry);
      },
    }),
    async close() {
      stopping.abort();
      await running;
    },
  };
}
