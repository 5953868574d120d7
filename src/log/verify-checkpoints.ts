import type { Checkpoint, CheckpointHead } from './checkpoint.ts';
import { checkpointHash, decodeCheckpoint, NO_CHECKPOINT } from './checkpoint.ts';
import { merkleRoot } from './merkle.ts';
import { boundsOf } from './months.ts';
import type { PublicKey } from './signature.ts';
import type { Chain, Report } from './verify-rows.ts';
import { headBefore } from './verify-rows.ts';

/** A checkpoint as it is stored. */
export interface StoredCheckpoint {
  n: number;
  at: string;
  rows: number;
  month: string | null;
  body: Buffer;
  hash: Buffer;
  key: string;
  signature: Buffer;
}

/** What somebody outside the hub holds of its checkpoints. */
export interface WitnessView {
  /** The last one; undefined when it has none. */
  latest: CheckpointHead | undefined;
  /** Hex hashes of those it holds from one number to another, both included. */
  hashes(from: number, to: number): Promise<ReadonlyMap<number, string>>;
}

/** What the checkpoints say so far: where each chain was taken, and their own chain. */
export interface Sealed {
  last: CheckpointHead;
  at: number;
  heads: Map<number, { seq: number; hash: Buffer }>;
  /** Hash of each checkpoint that a writer is bound to, by number. */
  hashes: Map<number, Buffer>;
}

export const nothingSealed = (): Sealed => ({
  last: NO_CHECKPOINT,
  at: -Infinity,
  heads: new Map(),
  hashes: new Map([[0, NO_CHECKPOINT.hash]]),
});

export type ReportCheckpoint = (n: number, what: string) => void;

/**
 * Takes the next stored checkpoint: reports what is wrong with it by itself (its form, its signature, its place after the one before) and moves
 * `sealed` on. Returns it, or undefined when it cannot be read.
 */
export function takeCheckpoint(
  sealed: Sealed,
  stored: StoredCheckpoint,
  against: { keys: readonly PublicKey[] | undefined; held: ReadonlyMap<number, string>; wanted: ReadonlySet<number> },
  report: ReportCheckpoint,
): Checkpoint | undefined {
  const { n } = stored;
  const wrong = (what: string): void => report(n, what);
  const checkpoint = attempt(() => decodeCheckpoint(stored.body));
  if (n !== sealed.last.n + 1) wrong(`${n - sealed.last.n - 1} checkpoints before it are missing`);
  if (!checkpoint) {
    wrong('the checkpoint cannot be read');
    return undefined;
  }
  const hash = checkpointHash(checkpoint.suite, stored.body);
  const held = against.held.get(n);
  if (held !== undefined && held !== hash.toString('hex')) wrong('it is not the checkpoint that the witness holds');
  const key = against.keys?.find(({ keyId }) => keyId === stored.key);
  if (against.keys && !key?.verify('checkpoint', stored.body, stored.signature)) wrong('no known key has signed it');
  if (!checkpoint.prev.equals(sealed.last.hash)) wrong('it does not follow from the checkpoint before');
  const told: [string, unknown, unknown][] = [
    ['n', n, checkpoint.n],
    ['at', Date.parse(stored.at), checkpoint.at.getTime()],
    ['rows', stored.rows, checkpoint.rows],
    ['month', stored.month, checkpoint.month],
    ['hash', stored.hash.toString('hex'), hash.toString('hex')],
  ];
  for (const [column, has, says] of told) if (has !== says) wrong(`the column ${column} is not what the checkpoint says`);
  if (checkpoint.at.getTime() < sealed.at) wrong('it is earlier than the checkpoint before');
  if (checkpoint.kind === 'seal') {
    for (const { writer, from, seq, hash: head } of checkpoint.heads) {
      if (from !== (sealed.heads.get(writer)?.seq ?? 0)) wrong(`it does not begin where writer ${writer} was sealed`);
      sealed.heads.set(writer, { seq, hash: head });
    }
  }
  sealed.last = { n, hash };
  sealed.at = checkpoint.at.getTime();
  if (against.wanted.has(n)) sealed.hashes.set(n, hash);
  return checkpoint;
}

/** Collects the hashes of the rows that a batch of checkpoints seals, and compares them when the rows have been read. */
export interface Slots {
  /** Puts the hash of a row in its place and reports a head or a time that is not what was sealed. */
  put(writer: number, seq: number, hash: Buffer, at: number): void;
  /** Compares what was put with what the checkpoints say. */
  compare(chains: ReadonlyMap<number, Chain>, report: ReportCheckpoint): void;
}

interface Slot {
  checkpoint: Checkpoint;
  leaves: (Buffer | undefined)[];
  offsets: Map<number, number>;
}

/** Places for the rows of these checkpoints. `floor` says up to where rows are rightly gone; `report` hears of rows. */
export function openSlots(batch: readonly Checkpoint[], floor: (writer: number) => number, report: Report): Slots {
  const slots = batch.map((checkpoint): Slot => {
    const offsets = new Map<number, number>();
    let before = 0;
    for (const { writer, from, seq } of checkpoint.heads) {
      offsets.set(writer, before - from - 1);
      before += seq - from;
    }
    return { checkpoint, leaves: [], offsets };
  });
  const pieces = new Map<number, { slot: Slot; from: number; seq: number; hash: Buffer }[]>();
  for (const slot of slots)
    for (const head of slot.checkpoint.heads) {
      const list = pieces.get(head.writer) ?? [];
      if (list.length === 0) pieces.set(head.writer, list);
      list.push({ slot, ...head });
    }
  const cursors = new Map<number, number>();

  return {
    put(writer, seq, hash, at) {
      const list = pieces.get(writer) ?? [];
      let index = cursors.get(writer) ?? 0;
      while (index < list.length && list[index]!.seq < seq) index++;
      cursors.set(writer, index);
      const piece = list[index];
      if (!piece || seq <= piece.from) return;
      piece.slot.leaves[seq + piece.slot.offsets.get(writer)!] = hash;
      if (at > piece.slot.checkpoint.at.getTime()) report(writer, seq, 'it is later than the checkpoint that seals it');
      if (seq === piece.seq && !hash.equals(piece.hash)) report(writer, seq, `it is not what checkpoint ${piece.slot.checkpoint.n} sealed`);
    },
    compare(chains, reportCheckpoint) {
      for (const { checkpoint, leaves } of slots) {
        if (checkpoint.kind === 'close') compareClosing(checkpoint, chains, floor, reportCheckpoint);
        else if (checkpoint.heads.every(({ writer, from }) => from >= floor(writer)))
          compareRoot(checkpoint, leaves, report, reportCheckpoint);
      }
    },
  };
}

function compareRoot(
  checkpoint: Checkpoint,
  leaves: readonly (Buffer | undefined)[],
  report: Report,
  reportCheckpoint: ReportCheckpoint,
): void {
  const { n, suite, root, rows, heads } = checkpoint;
  const there = leaves.filter((leaf) => leaf !== undefined);
  if (there.length === rows) {
    if (!merkleRoot(suite, there).equals(root)) reportCheckpoint(n, 'its root is not that of the entries it seals');
    return;
  }
  let index = 0;
  for (const { writer, from, seq } of heads) {
    let missing = from + 1;
    while (missing <= seq && leaves[index]) {
      missing++;
      index++;
    }
    if (missing > seq) continue;
    report(writer, missing, `it is missing: checkpoint ${n} seals ${rows} entries, ${there.length} are there`);
    return;
  }
}

function compareClosing(
  checkpoint: Checkpoint,
  chains: ReadonlyMap<number, Chain>,
  floor: (writer: number) => number,
  report: ReportCheckpoint,
): void {
  const boundary = boundsOf(checkpoint.month!).end.getTime();
  const closed = new Map(checkpoint.heads.map(({ writer, seq, hash }) => [writer, { seq, hash }]));
  for (const [id, chain] of chains) {
    const head = headBefore(chain, boundary);
    const told = closed.get(id) ?? { seq: 0, hash: head.hash };
    if (told.seq < floor(id)) continue;
    if (told.seq !== head.seq || (told.seq > 0 && !told.hash.equals(head.hash)))
      report(checkpoint.n, `writer ${id} did not end ${checkpoint.month} where it says`);
  }
}

function attempt<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch {
    return undefined;
  }
}
