import { randomBytes } from 'node:crypto';
import { Refused } from '../errors.ts';
import type { SubjectKind } from '../model/types.ts';
import type { Keys } from './keys.ts';
import type { Pool, Sql } from './sql.ts';

/**
 * The feed of changes (migrations/feed-ddl.ts): what changed, in the order in which it was committed. It is read for every caller from where that
 * caller stands; what of it the caller is told is the grant's matter (read-feed.ts).
 */

/** Where a record lay at a moment: all that decides about whether a grant holds it. */
export interface RecordPlace {
  version: number;
  /** Neither deleted nor withheld. */
  shown: boolean;
  subjectId: number;
  subjectKind: SubjectKind;
  category: number;
  kind: string;
  publicity: string;
  region: string | null;
}

/** What became of one record between two places of the feed, however often it changed there. `before` is null where it was not there at all. */
export interface FeedChange {
  recordId: number;
  /** Place of the last of its changes. */
  place: number;
  before: RecordPlace | null;
  after: RecordPlace;
}

/** Which records a listener asks for; left out: all of them. */
export interface FeedFilter {
  categories?: readonly number[] | undefined;
  kinds?: readonly string[] | undefined;
  /** The first digits of the region code. */
  region?: string | undefined;
}

/** One process at a time gives places, and holds this until they are committed: places are seen in their order. */
const NUMBERING_LOCK = 7_301_010;
const AT_ONCE = 5000;
const COLUMNS = 'record_id, version, shown, subject_id, subject_kind, category, kind, publicity, region, before';

/** Gives places to all changes that are committed, and says the last one. */
export async function numberFeed(pool: Sql): Promise<number> {
  for (;;) {
    const { rowCount } = await pool.transaction(async (tx) => {
      await tx.query('select pg_advisory_xact_lock($1)', [NUMBERING_LOCK]);
      return tx.query(
        `with taken as (delete from feed_new where id in (select id from feed_new order by id limit ${AT_ONCE}) returning id, ${COLUMNS})
         insert into feed (${COLUMNS}) select ${COLUMNS} from taken order by id`,
      );
    });
    if (rowCount < AT_ONCE) break;
  }
  const { rows } = await pool.query<{ place: number }>('select coalesce(max(place), 0) as place from feed');
  return rows[0]?.place ?? 0;
}

/** Throws `Refused` CURSOR_EXPIRED for a place of which what followed is no longer kept, or that was never given: the feed may be an older copy of itself. */
export async function checkPlace(sql: Sql, place: number, head: number): Promise<void> {
  const { rows } = await sql.query<{ place: number }>('select place from feed_start');
  if (place >= (rows[0]?.place ?? 0) && place <= head) return;
  throw new Refused('CURSOR_EXPIRED', '续传位置已超出保存期限,请先查询现状再重新订阅', { status: 410 });
}

interface RawChange extends RecordPlace {
  recordId: number;
  place: number;
  before: RecordPlace | null;
}

/**
 * What changed beyond `from` and not beyond `upto`, at most `most` changes of the feed, and how far that reaches. Each record comes once, in the
 * order of their last changes.
 */
export async function feedBetween(
  sql: Sql,
  from: number,
  upto: number,
  { categories, kinds }: FeedFilter,
  most: number,
): Promise<{ changes: FeedChange[]; reached: number }> {
  const { rows } = await sql.query<RawChange>(
    `select record_id as "recordId", place, version, shown, subject_id as "subjectId", subject_kind as "subjectKind", category, kind, publicity, region, before
     from feed where place > $1 and place <= $2
       and ($3::smallint[] is null or category = any($3) or (before->>'category')::smallint = any($3))
       and ($4::text[] is null or kind = any($4) or before->>'kind' = any($4))
     order by place limit $5`,
    [from, upto, categories ?? null, kinds ?? null, most],
  );
  const changes = new Map<number, FeedChange>();
  for (const { recordId, place, before, ...after } of rows) {
    const known = changes.get(recordId);
    // Again at the end: the order is that of the last changes.
    changes.delete(recordId);
    changes.set(recordId, { recordId, place, before: known === undefined ? before : known.before, after });
  }
  const last = rows.at(-1);
  return { changes: [...changes.values()], reached: rows.length < most || last === undefined ? upto : last.place };
}

/** Forgets what is older than some days; the newest change always stays. */
export async function clearFeed(pool: Sql, days: number): Promise<void> {
  await pool.query(
    `with gone as (delete from feed where at < now() - make_interval(days => $1) and place < (select max(place) from feed) returning place)
     update feed_start set place = greatest(place, (select max(place) from gone)) where exists (select from gone)`,
    [days],
  );
}

const TAG = 100;

/**
 * A place as a caller gets it. Made anew each time: the same place gives another text, or two texts that are alike would tell that nothing happened
 * in between, and two that are not that something did, seen or not.
 */
export function concealPlace(keys: Keys, place: number): string {
  const block = Buffer.alloc(16);
  block.writeUInt8(TAG, 0);
  randomBytes(7).copy(block, 1);
  block.writeBigUInt64BE(BigInt(place), 8);
  return keys.conceal(block);
}

/** Throws `Refused` BAD_CURSOR for a text that is no place of this hub. */
export function revealPlace(keys: Keys, text: string): number {
  const block = keys.reveal(text);
  const place = block?.readUInt8(0) === TAG ? Number(block.readBigUInt64BE(8)) : Number.NaN;
  if (!Number.isSafeInteger(place)) throw new Refused('BAD_CURSOR', '续传位置无效', { status: 400 });
  return place;
}

/** Told when something may have been added to the feed. */
export interface FeedFollower {
  /** The last place that is given. */
  readonly head: number;
  /** Calls `wake` after each look that found something new; gives what ends that. */
  follow(wake: () => void): () => void;
  /** Looks now; resolves with the head. */
  look(): Promise<number>;
  close(): Promise<void>;
}

/** Looks by itself this often, whatever was heard; and puts the feed in order this often, whoever listens. */
const SWEEP_MS = 1000;
const CLEAR_MS = 60_000;

/**
 * Follows the feed while anybody listens: woken by NOTIFY on a connection of its own, and by the clock where a notice is lost or the connection
 * breaks. One look serves all listeners of the process. `days`: how long the feed is kept.
 */
export function followFeed(pool: Pool, days: number, onError: (error: unknown) => void): FeedFollower {
  const listeners = new Set<() => void>();
  let head = 0;
  let looking: Promise<number> | undefined;
  let again = false;
  let timer: NodeJS.Timeout | undefined;
  let ears: Awaited<ReturnType<Pool['dedicated']>> | undefined;
  let connecting = false;

  const clearing = setInterval(() => {
    void look()
      .then(() => clearFeed(pool, days))
      .catch(onError);
  }, CLEAR_MS).unref();

  async function once(): Promise<number> {
    const found = await numberFeed(pool);
    if (found > head) {
      head = found;
      for (const wake of listeners) wake();
    }
    return head;
  }
  const look = (): Promise<number> => {
    looking ??= once().finally(() => {
      looking = undefined;
      if (again) {
        again = false;
        heard();
      }
    });
    return looking;
  };
  /** What is heard during a look may not be in it. */
  function heard(): void {
    if (looking === undefined) void look().catch(onError);
    else again = true;
  }
  async function listen(): Promise<void> {
    if (connecting || ears?.alive) return;
    connecting = true;
    try {
      const session = await pool.dedicated();
      await session.listen('hub_feed', heard);
      ears = session;
      if (listeners.size === 0) rest();
      else heard();
    } catch (error) {
      onError(error);
    } finally {
      connecting = false;
    }
  }
  function rest(): void {
    clearInterval(timer);
    timer = undefined;
    ears?.release();
    ears = undefined;
  }
  return {
    get head() {
      return head;
    },
    look,
    follow(wake) {
      listeners.add(wake);
      timer ??= setInterval(() => {
        void listen();
        heard();
      }, SWEEP_MS).unref();
      void listen();
      return () => {
        listeners.delete(wake);
        if (listeners.size === 0) rest();
      };
    },
    async close() {
      listeners.clear();
      clearInterval(clearing);
      rest();
      await looking?.catch(() => undefined);
    },
  };
}
