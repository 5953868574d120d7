import type { Sql } from '../store/sql.ts';
import type { Head, LogSuite } from './chain.ts';
import { link } from './chain.ts';
import type { Checkpoint, CheckpointHead, SealedHead } from './checkpoint.ts';
import { checkpointHash, encodeCheckpoint, NO_CHECKPOINT } from './checkpoint.ts';
import { merkleRoot } from './merkle.ts';
import { WRITER_LOCK } from './session.ts';
import type { Signer } from './signature.ts';

export interface SealOptions {
  signer: Signer;
  suite: LogSuite;
  /** Most rows in one checkpoint. */
  maxRows?: number;
  /** Look at every writer that was not closed, not only at those that live or wrote lately. */
  everyWriter?: boolean;
}

/** What one sealing did. `broken`: the first entries that do not follow from the sealed part of their chain; they and what follows stay unsealed. */
export interface SealResult {
  checkpoints: number;
  rows: number;
  broken: { writer: number; seq: number }[];
}

/** A row that is not sealed yet, with its writer and where that one is sealed. */
interface Open {
  writer: number;
  suite: LogSuite;
  genesis: Buffer;
  sealed_seq: number | null;
  sealed_hash: Buffer | null;
  seq: number;
  hash: Buffer;
  body: Buffer;
  at: string;
}

interface Last extends CheckpointHead {
  at: number;
}

/**
 * Seals what is committed and not sealed yet: of each writer the unbroken part of its chain beyond the last head, in checkpoints of at most
 * `maxRows` rows, each in a transaction of its own. Then closes the months that are over. Only one process may do this at a time (sealer.ts); if two
 * did, the second checkpoint of the same number would be refused.
 */
export async function seal(sql: Sql, options: SealOptions): Promise<SealResult> {
  const result: SealResult = { checkpoints: 0, rows: 0, broken: [] };
  for (;;) {
    const done = await sql.transaction((tx) => sealOnce(tx, options));
    result.checkpoints += done.rows > 0 ? 1 : 0;
    result.rows += done.rows;
    result.broken = done.broken;
    if (done.drained) break;
  }
  return result;
}

async function sealOnce(sql: Sql, options: SealOptions): Promise<{ rows: number; drained: boolean; broken: SealResult['broken'] }> {
  const { suite, maxRows = 1000 } = options;
  const open = await openRows(sql, maxRows, options.everyWriter ?? false);
  if (open.length === 0) return { rows: 0, drained: true, broken: [] };
  const { pieces, broken } = unbroken(open, maxRows);
  const rows = pieces.flatMap((piece) => piece.rows);
  const drained = rows.length < maxRows;
  if (rows.length === 0) return { rows: 0, drained, broken };
  const { last, now } = await lastCheckpoint(sql);
  const heads = pieces.map(({ writer, from, rows }): SealedHead => {
    const end = rows.at(-1)!;
    return { writer, from, seq: end.seq, hash: end.hash };
  });
  const checkpoint: Checkpoint = {
    suite,
    kind: 'seal',
    month: null,
    n: last.n + 1,
    prev: last.hash,
    at: new Date(Math.max(now, last.at, ...rows.map(({ at }) => Date.parse(at)))),
    rows: rows.length,
    root: merkleRoot(
      suite,
      rows.map(({ hash }) => hash),
    ),
    heads,
  };
  await storeCheckpoint(sql, checkpoint, options.signer);
  await sql.query(
    `insert into log_sealed (writer, seq, hash, at, n)
     select writer, seq, hash, at::timestamptz, $5 from unnest($1::int[], $2::bigint[], $3::bytea[], $4::text[]) as t (writer, seq, hash, at)
     on conflict (writer) do update set seq = excluded.seq, hash = excluded.hash, at = excluded.at, n = excluded.n`,
    [
      heads.map(({ writer }) => writer),
      heads.map(({ seq }) => seq),
      heads.map(({ hash }) => hash),
      pieces.map(({ rows }) => rows.at(-1)!.at),
      checkpoint.n,
    ],
  );
  return { rows: rows.length, drained, broken };
}

/** The latest checkpoint, and now by the server's clock (ms since 1970). */
export async function lastCheckpoint(sql: Sql): Promise<{ last: Last; now: number }> {
  const { rows } = await sql.query<{ now: string; n: number | null; hash: Buffer; at: string }>(
    `select date_trunc('milliseconds', clock_timestamp()) as now, c.n, c.hash, c.at
     from (select) as one left join (select n, hash, at from log_checkpoint order by n desc limit 1) as c on true`,
  );
  const { now, n, hash, at } = rows[0]!;
  return { now: Date.parse(now), last: n === null ? { ...NO_CHECKPOINT, at: 0 } : { n, hash, at: Date.parse(at) } };
}

/** Signs a checkpoint and stores it. */
export async function storeCheckpoint(sql: Sql, checkpoint: Checkpoint, signer: Signer): Promise<void> {
  const body = encodeCheckpoint(checkpoint);
  const hash = checkpointHash(checkpoint.suite, body);
  await sql.query('insert into log_checkpoint (n, at, rows, month, body, hash, key, signature) values ($1, $2, $3, $4, $5, $6, $7, $8)', [
    checkpoint.n,
    checkpoint.at.toISOString(),
    checkpoint.rows,
    checkpoint.month,
    body,
    hash,
    signer.keyId,
    signer.sign('checkpoint', body),
  ]);
}

/**
 * The next rows of each chain, in order of (writer, seq). A chain's times never run back, so the search begins at the last sealed instant and leaves
 * older partitions alone; writers that are dead for long are looked at only now and then (`everyWriter`).
 */
async function openRows(sql: Sql, limit: number, everyWriter: boolean): Promise<Open[]> {
  const { rows } = await sql.query<Open>(
    `with live as materialized (
       select objid::bigint as writer from pg_locks where locktype = 'advisory' and classid::bigint = $3
         and database = (select oid from pg_database where datname = current_database())),
     candidate as (
       select w.id, w.suite, w.genesis, s.seq, s.hash, coalesce(s.at, w.started_at) as since
       from log_writer as w left join log_sealed as s on s.writer = w.id
       where (w.closed_seq is null or w.closed_seq > coalesce(s.seq, 0))
         and ($2 or w.closed_seq is not null or coalesce(s.at, w.started_at) > clock_timestamp() - interval '10 minutes' or w.id in (select writer from live)))
     select c.id as writer, c.suite, c.genesis, c.seq as sealed_seq, c.hash as sealed_hash, q.seq, q.hash, q.body, q.at
     from candidate as c cross join lateral (
       select seq, hash, body, at from query_log where writer = c.id and seq > coalesce(c.seq, 0) and at >= c.since order by seq, at limit $1) as q
     order by c.id, q.seq, q.at`,
    [limit, everyWriter, WRITER_LOCK],
  );
  return rows;
}

interface Piece {
  writer: number;
  from: number;
  rows: Open[];
}

/** Of each chain the rows that follow one another from where it is sealed, at most `limit` in all. */
function unbroken(open: readonly Open[], limit: number): { pieces: Piece[]; broken: SealResult['broken'] } {
  const pieces: Piece[] = [];
  const broken: SealResult['broken'] = [];
  let left = limit;
  for (const rows of byWriter(open)) {
    const [{ writer, suite, genesis, sealed_seq: from, sealed_hash: sealedHash }] = rows;
    let head: Head = { seq: from ?? 0, hash: sealedHash ?? genesis };
    const piece: Piece = { writer, from: head.seq, rows: [] };
    for (const row of rows.slice(0, left)) {
      const { seq, hash, body } = row;
      if (seq !== head.seq + 1 || !link(suite, head.hash, writer, seq, body).equals(hash)) {
        broken.push({ writer, seq });
        break;
      }
      head = { seq, hash };
      piece.rows.push(row);
    }
    if (piece.rows.length > 0) pieces.push(piece);
    left -= piece.rows.length;
  }
  return { pieces, broken };
}

function byWriter(rows: readonly Open[]): [Open, ...Open[]][] {
  const groups = new Map<number, [Open, ...Open[]]>();
  for (const row of rows) {
    const group = groups.get(row.writer);
    if (group) group.push(row);
    else groups.set(row.writer, [row]);
  }
  return [...groups.values()];
}
