/**
 * The seventeen ways to change the past of the query log, as a hand that owns the database would. Each is done in a transaction that the caller
 * rolls back, with the triggers off, at a place and in a manner that a seeded generator chooses.
 */
import { decode, encode } from '../../src/log/canonical.ts';
import { genesis, link } from '../../src/log/chain.ts';
import type { Checkpoint } from '../../src/log/checkpoint.ts';
import { checkpointHash, decodeCheckpoint, encodeCheckpoint, NO_CHECKPOINT } from '../../src/log/checkpoint.ts';
import type { LogEntry } from '../../src/log/entry.ts';
import { merkleRoot } from '../../src/log/merkle.ts';
import { columnsOf } from '../../src/log/session.ts';
import type { Signer } from '../../src/log/signature.ts';
import type { Sql } from '../../src/store/sql.ts';

export interface Row {
  writer: number;
  seq: number;
  at: string;
  body: Buffer;
  hash: Buffer;
}

/** What the log was, read once. */
export interface Snapshot {
  rows: Row[];
  checkpoints: { n: number; body: Buffer; checkpoint: Checkpoint }[];
  writers: { id: number; bootId: string; node: string; startedAt: Date; closed: number | null }[];
  /** Where each writer is sealed. */
  sealed: ReadonlyMap<number, number>;
}

export interface Hand {
  sql: Sql;
  log: Snapshot;
  /** A whole number below `below`. */
  pick(below: number): number;
  /** The key that signs checkpoints, for a hand that stole it, and another one. */
  stolen: Signer;
  other: Signer;
}

export async function snapshot(sql: Sql): Promise<Snapshot> {
  const { rows } = await sql.query<Row>('select writer, seq, at, body, hash from query_log order by writer, seq');
  const checkpoints = await sql.query<{ n: number; body: Buffer }>('select n, body from log_checkpoint order by n');
  const writers = await sql.query<{ id: number; boot_id: string; node: string; started_at: string; closed_seq: number | null }>(
    'select * from log_writer order by id',
  );
  const sealed = await sql.query<{ writer: number; seq: number }>('select writer, seq from log_sealed');
  return {
    rows,
    checkpoints: checkpoints.rows.map(({ n, body }) => ({ n, body, checkpoint: decodeCheckpoint(body) })),
    writers: writers.rows.map((w) => ({
      id: w.id,
      bootId: w.boot_id,
      node: w.node,
      startedAt: new Date(w.started_at),
      closed: w.closed_seq,
    })),
    sealed: new Map(sealed.rows.map(({ writer, seq }) => [writer, seq])),
  };
}

/** Numbers that follow from a seed (mulberry32). */
export function picker(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

const PLACE = 'writer = $1 and seq = $2';
const sealedRows = ({ log }: Hand): Row[] => log.rows.filter(({ writer, seq }) => seq <= (log.sealed.get(writer) ?? 0));
const one = (hand: Hand, rows = sealedRows(hand)): Row => rows[hand.pick(rows.length)]!;
const of = <T>(hand: Hand, ...choices: T[]): T => choices[hand.pick(choices.length)]!;

/** Other bytes for one row, the columns true to them, the chain as it was. */
async function rewrite(hand: Hand, row: Row, change: (entry: LogEntry) => Partial<LogEntry>): Promise<void> {
  const { entry, at } = decode(row.body);
  const changed = { ...entry, ...change(entry) };
  await store(hand.sql, [{ ...row, body: encode(changed, at) }]);
}

/** Writes body, hash and the columns that follow from the body. */
async function store(sql: Sql, rows: readonly Row[]): Promise<void> {
  const columns = rows.map(({ body }) => columnsOf(decode(body).entry));
  await sql.query(
    `update query_log as q set body = t.body, hash = t.hash, person = t.person, person_name = t.person_name, department = t.department, purpose = t.purpose
     from unnest($1::int[], $2::bigint[], $3::bytea[], $4::bytea[], $5::text[], $6::text[], $7::text[], $8::text[])
       as t (writer, seq, body, hash, person, person_name, department, purpose)
     where q.writer = t.writer and q.seq = t.seq`,
    [
      rows.map(({ writer }) => writer),
      rows.map(({ seq }) => seq),
      rows.map(({ body }) => body),
      rows.map(({ hash }) => hash),
      columns.map(({ person }) => person),
      columns.map(({ personName }) => personName),
      columns.map(({ department }) => department),
      columns.map(({ purpose }) => purpose),
    ],
  );
}

const another = (entry: LogEntry): Partial<LogEntry> => ({ person: { id: `${entry.person.id}x`, name: `${entry.person.name}某` } });

/** Makes a writer's chain anew over these rows, which get the numbers 1, 2, …; closes it again where it was closed. */
async function rechain(hand: Hand, writer: number, kept: readonly Row[]): Promise<Row[]> {
  const { bootId, node, startedAt, closed } = hand.log.writers.find(({ id }) => id === writer)!;
  let hash = genesis('sha256', { bootId, node, startedAt, after: NO_CHECKPOINT });
  const rows = kept.map((row, index): Row => {
    hash = link('sha256', hash, writer, index + 1, row.body);
    return { ...row, seq: index + 1, hash };
  });
  const was = kept.map(({ seq }) => seq);
  await hand.sql.query('delete from query_log where writer = $1 and seq <> all($2::bigint[])', [writer, was]);
  await hand.sql.query('update query_log set seq = -seq where writer = $1', [writer]);
  await hand.sql.query(
    'update query_log as q set seq = t.seq from unnest($2::bigint[], $3::bigint[]) as t (was, seq) where q.writer = $1 and q.seq = -t.was',
    [writer, was, rows.map(({ seq }) => seq)],
  );
  await store(hand.sql, rows);
  if (closed !== null)
    await hand.sql.query('update log_writer set closed_seq = $2, closed_hash = $3 where id = $1', [writer, rows.length, hash]);
  return rows;
}

/** Makes every checkpoint anew over the rows as they are now, so that each is sealed when it was before. */
async function reseal(hand: Hand, rows: readonly Row[], signer: Signer): Promise<void> {
  let prev = NO_CHECKPOINT.hash;
  const stands = new Map<number, number>();
  let n = 0;
  await hand.sql.query('delete from log_checkpoint');
  for (const { checkpoint } of hand.log.checkpoints) {
    const heads = checkpoint.heads.flatMap(({ writer }) => {
      const from = stands.get(writer) ?? 0;
      const piece = rows.filter((row) => row.writer === writer && row.seq > from && Date.parse(row.at) <= checkpoint.at.getTime());
      const end = piece.at(-1);
      if (!end) return [];
      stands.set(writer, end.seq);
      return [{ head: { writer, from, seq: end.seq, hash: end.hash }, hashes: piece.map(({ hash }) => hash) }];
    });
    if (heads.length === 0) continue;
    const leaves = heads.flatMap(({ hashes }) => hashes);
    const root = merkleRoot('sha256', leaves);
    n += 1;
    const body = encodeCheckpoint({ ...checkpoint, n, prev, rows: leaves.length, root, heads: heads.map(({ head }) => head) });
    prev = checkpointHash('sha256', body);
    await hand.sql.query(
      'insert into log_checkpoint (n, at, rows, month, body, hash, key, signature) values ($1, $2, $3, null, $4, $5, $6, $7)',
      [n, checkpoint.at.toISOString(), leaves.length, body, prev, signer.keyId, signer.sign('checkpoint', body)],
    );
  }
}

/** Takes out or changes an entry somewhere in the sealed part and makes its chain anew; returns all rows as they are then. */
async function editAndRechain(hand: Hand, remove: boolean): Promise<Row[]> {
  const target = one(hand);
  const { entry, at } = decode(target.body);
  const changed = { ...target, body: encode({ ...entry, ...another(entry) }, at) };
  const own = hand.log.rows.filter((row) => row.writer === target.writer);
  const kept = remove ? own.filter((row) => row !== target) : own.map((row) => (row === target ? changed : row));
  return [...hand.log.rows.filter((row) => row.writer !== target.writer), ...(await rechain(hand, target.writer, kept))];
}

/** The checkpoint from which on a hand cuts: never the first. */
const cutFrom = (hand: Hand): number => 2 + hand.pick(hand.log.checkpoints.length - 1);

/** Where each writer stood before checkpoint `n`. */
function standsBefore(hand: Hand, n: number): Map<number, number> {
  const stands = new Map(hand.log.writers.map(({ id }) => [id, 0]));
  for (const { checkpoint } of hand.log.checkpoints.slice(0, n - 1))
    for (const { writer, seq } of checkpoint.heads) stands.set(writer, seq);
  return stands;
}

async function cutRows(hand: Hand, stands: ReadonlyMap<number, number>): Promise<void> {
  await hand.sql.query(
    'delete from query_log as q using unnest($1::int[], $2::bigint[]) as t (writer, seq) where q.writer = t.writer and q.seq > t.seq',
    [[...stands.keys()], [...stands.values()]],
  );
  // Who cuts a chain says that it was closed there, or that it is still open.
  await hand.sql.query('update log_writer set closed_seq = null, closed_hash = null');
}

export const TAMPERING: Readonly<Record<string, (hand: Hand) => Promise<unknown>>> = {
  'change a field': (hand) => {
    const { writer, seq } = one(hand);
    const column = of(hand, 'kind', 'person', 'person_name', 'document', 'purpose', 'outcome');
    if (hand.pick(2) === 0) return rewrite(hand, one(hand), another);
    return hand.sql.query(`update query_log set ${column} = ${column} || 'x' where ${PLACE}`, [writer, seq]);
  },
  'flip a bit of a hash': (hand) => {
    const { writer, seq } = one(hand);
    const bit = hand.pick(256);
    return hand.sql.query(`update query_log set hash = set_bit(hash, $3, 1 - get_bit(hash, $3)) where ${PLACE}`, [writer, seq, bit]);
  },
  'shift bytes between columns': (hand) => {
    const row = one(hand);
    if (hand.pick(2) === 0)
      return rewrite(hand, row, ({ person }) => ({ person: { id: person.id + person.name.slice(0, 1), name: person.name.slice(1) } }));
    return hand.sql.query(
      `update query_log set person = person || left(person_name, 1), person_name = substr(person_name, 2) where ${PLACE}`,
      [row.writer, row.seq],
    );
  },
  'null made empty': (hand) => {
    const rows = sealedRows(hand).filter(({ body }) => decode(body).entry.department === null);
    const row = one(hand, rows);
    return hand.pick(2) === 0
      ? rewrite(hand, row, () => ({ department: '' }))
      : hand.sql.query(`update query_log set department = '' where ${PLACE}`, [row.writer, row.seq]);
  },
  backdate: async (hand) => {
    const row = one(hand);
    const { entry, at } = decode(row.body);
    const earlier = new Date(at.getTime() - 1 - hand.pick(60_000));
    const stays = new Date(row.at).getUTCMonth() === earlier.getUTCMonth();
    if (hand.pick(2) === 0 || !stays) return store(hand.sql, [{ ...row, body: encode(entry, earlier) }]);
    return hand.sql.query(`update query_log set at = $3 where ${PLACE}`, [row.writer, row.seq, earlier.toISOString()]);
  },
  'delete from the middle': (hand) => {
    const rows = sealedRows(hand).filter(({ writer, seq }) => seq < hand.log.sealed.get(writer)!);
    const { writer, seq } = one(hand, rows);
    const last = Math.min(seq + hand.pick(3), hand.log.sealed.get(writer)! - 1);
    return hand.sql.query('delete from query_log where writer = $1 and seq between $2 and $3', [writer, seq, last]);
  },
  'swap two entries': async (hand) => {
    const a = one(hand);
    const b = one(
      hand,
      sealedRows(hand).filter((row) => row.writer === a.writer && row !== a),
    );
    const withHash = hand.pick(2) === 0;
    return store(hand.sql, [
      { ...a, body: b.body, hash: withHash ? b.hash : a.hash },
      { ...b, body: a.body, hash: withHash ? a.hash : b.hash },
    ]);
  },
  'insert a forged entry': (hand) => {
    const { writer, seq, at } = one(hand);
    const place = of(hand, `seq, at + interval '1 millisecond'`, `seq - 100000, at`, `seq + 100000, at`);
    return hand.sql.query(
      `insert into query_log (writer, seq, at, body, hash, kind, person, person_name, department, document, purpose, outcome, subjects)
       select writer, ${place}, body, hash, kind, person, person_name, department, document, purpose, outcome, subjects from query_log where ${PLACE} and at = $3`,
      [writer, seq, at],
    );
  },
  'delete and make the chain anew': (hand) => editAndRechain(hand, true),
  'edit, make the chain anew and sign with another key': async (hand) =>
    reseal(hand, await editAndRechain(hand, hand.pick(2) === 0), hand.other),
  'drop a checkpoint': (hand) =>
    hand.sql.query('delete from log_checkpoint where n = $1', [1 + hand.pick(hand.log.checkpoints.length - 1)]),
  'remove a whole writer': async (hand) => {
    const { id } = hand.log.writers[hand.pick(hand.log.writers.length)]!;
    await hand.sql.query('delete from query_log where writer = $1', [id]);
    await hand.sql.query('delete from log_sealed where writer = $1', [id]);
    return hand.sql.query('delete from log_writer where id = $1', [id]);
  },
  'cut the sealed tail, keep its checkpoints': async (hand) => cutRows(hand, standsBefore(hand, cutFrom(hand))),
  'cut the sealed tail and its checkpoints': async (hand) => {
    const n = cutFrom(hand);
    await cutRows(hand, standsBefore(hand, n));
    return hand.sql.query('delete from log_checkpoint where n >= $1', [n]);
  },
  'restore an old backup': async (hand) => {
    const n = cutFrom(hand);
    const stands = standsBefore(hand, n);
    // Some entries were committed and not sealed when the backup was made.
    for (const [writer, seq] of stands) stands.set(writer, seq + hand.pick(3));
    await cutRows(hand, stands);
    await hand.sql.query('delete from log_sealed');
    return hand.sql.query('delete from log_checkpoint where n >= $1', [n]);
  },
  'edit, make the chain anew and sign with the stolen key': async (hand) =>
    reseal(hand, await editAndRechain(hand, hand.pick(2) === 0), hand.stolen),
  'cut the unsealed tail': (hand) => {
    const tail = hand.log.rows.filter(({ writer, seq }) => seq > (hand.log.sealed.get(writer) ?? 0));
    const { writer, seq } = one(hand, tail);
    return hand.sql.query('delete from query_log where writer = $1 and seq >= $2', [writer, seq]);
  },
};
