import { createHash } from 'node:crypto';
import type { Sql } from '../store/sql.ts';
import { genesis } from './chain.ts';
import type { Checkpoint } from './checkpoint.ts';
import type { PublicKey } from './signature.ts';
import type { Sealed, StoredCheckpoint, WitnessView } from './verify-checkpoints.ts';
import { nothingSealed, openSlots, takeCheckpoint } from './verify-checkpoints.ts';
import type { Floor, PruneTrust } from './verify-prunings.ts';
import { readFloor } from './verify-prunings.ts';
import type { Chain, Stored, Writer } from './verify-rows.ts';
import { openChain, STORED_COLUMNS, takeRow } from './verify-rows.ts';

/** What is wrong with an entry, at `seq` 0 with its writer, or at writer 0 with a checkpoint. Names the place and the kind of fault, never a value. */
export interface Fault {
  writer: number;
  seq: number;
  checkpoint?: number;
  what: string;
}

export interface Verification {
  entries: number;
  writers: number;
  checkpoints: number;
  /** Entries that a checkpoint covers. */
  sealed: number;
  verified: boolean;
  /** The first faults, at most twenty, in the order in which the log was sealed. */
  faults: Fault[];
}

export interface VerifyOptions {
  /** About how many rows are read at a time. */
  batch?: number;
  /** Who may have signed checkpoints. Without them signatures are not looked at, and whoever can write to the database can make everything anew. */
  keys?: readonly PublicKey[];
  /** What a witness holds. Without it a history that was taken back to an earlier state is not seen. */
  witness?: WitnessView;
  /** Whose approvals and which retention allow old months to be gone. Without it none may be. */
  pruning?: PruneTrust;
}

const FAULTS = 20;
const PAGE = 500;

/**
 * Reads the whole query log in the order in which it was sealed and says whether it is as it was written: every chain dense from its genesis and
 * unbroken, every entry readable and its columns and document true to it, times never running back, closed chains as long as they were; every
 * checkpoint signed, following the one before and sealing exactly what is there; and all of it what the witness holds. Needs nothing but entries,
 * checkpoints and public keys, and shares no code with what writes entries but the format of the bytes. What came after the last checkpoint is
 * proven by receipts alone (receipt.ts).
 */
export async function verifyLog(sql: Sql, options: VerifyOptions = {}): Promise<Verification> {
  const reading = new Reading(sql, options);
  await reading.run();
  const { entries, writers, sealed, sealedRows, faults } = reading;
  return { entries, writers: writers.size, checkpoints: sealed.last.n, sealed: sealedRows, verified: faults.length === 0, faults };
}

/** One batch of checkpoints, and the rows they seal. */
interface Batch {
  checkpoints: Checkpoint[];
  rows: Stored[];
}

class Reading {
  readonly faults: Fault[] = [];
  writers = new Map<number, Writer>();
  readonly sealed: Sealed = nothingSealed();
  entries = 0;
  sealedRows = 0;
  private readonly chains = new Map<number, Chain>();
  private readonly documents = new Map<string, boolean>();
  private readonly sql: Sql;
  private readonly options: VerifyOptions;

  constructor(sql: Sql, options: VerifyOptions) {
    this.sql = sql;
    this.options = options;
  }

  private readonly report = (writer: number, seq: number, what: string): void => {
    if (this.faults.length < FAULTS) this.faults.push({ writer, seq, what });
  };
  private readonly reportCheckpoint = (n: number, what: string): void => {
    if (this.faults.length < FAULTS) this.faults.push({ writer: 0, seq: 0, checkpoint: n, what });
  };
  private begin: Floor | undefined;
  private readonly floor = (writer: number): number => this.begin?.heads.get(writer)?.seq ?? 0;

  async run(): Promise<void> {
    // The end first: what is added while the reading goes on is not looked at, and what was there is all there to be read.
    const { rows } = await this.sql.query<{ n: number | null }>('select max(n) as n from log_checkpoint');
    const last = rows[0]?.n ?? 0;
    this.writers = await this.readWriters();
    this.begin = await readFloor(this.sql, this.options.pruning, this.report);
    for await (const batch of this.batches(last)) await this.takeBatch(batch);
    this.compareWitness();
    await this.takeTail();
    await this.findStrays();
    for (const writer of this.writers.values()) this.checkWriter(writer);
  }

  private async readWriters(): Promise<Map<number, Writer>> {
    const { rows } = await this.sql.query<Writer>(
      'select id, node, boot_id, started_at, suite, genesis, after_n, closed_seq, closed_hash from log_writer order by id',
    );
    return new Map(rows.map((row) => [row.id, row]));
  }

  /** The checkpoints up to `last` with their rows; the next batch is on its way while one is looked at. */
  private async *batches(last: number): AsyncGenerator<Batch> {
    const ranges = this.checkpointBatches(last);
    const load = async (): Promise<Batch | undefined> => {
      const { value } = await ranges.next();
      return value && { checkpoints: value, rows: await this.rowsOf(value) };
    };
    let coming = load();
    for (;;) {
      const batch = await coming;
      if (!batch) return;
      coming = load();
      // Whoever stops reading here must not leave a rejection that nobody hears.
      coming.catch(() => undefined);
      yield batch;
    }
  }

  private async *checkpointBatches(last: number): AsyncGenerator<Checkpoint[]> {
    const { batch: size = 2000, keys, witness } = this.options;
    const wanted = new Set([...this.writers.values()].map((writer) => writer.after_n));
    let batch: Checkpoint[] = [];
    let rows = 0;
    for (let after = 0; ;) {
      const page = await this.sql.query<StoredCheckpoint>(
        'select n, at, rows, month, body, hash, key, signature from log_checkpoint where n > $1 and n <= $2 order by n limit $3',
        [after, last, PAGE],
      );
      const end = page.rows.at(-1)?.n;
      if (end === undefined) break;
      const held = (await witness?.hashes(after + 1, end)) ?? new Map<number, string>();
      for (const stored of page.rows) {
        const checkpoint = takeCheckpoint(this.sealed, stored, { keys, held, wanted }, this.reportCheckpoint);
        if (!checkpoint) continue;
        batch.push(checkpoint);
        rows += checkpoint.rows;
        if (rows < size && batch.length < PAGE) continue;
        yield batch;
        [batch, rows] = [[], 0];
      }
      after = end;
    }
    if (batch.length > 0) yield batch;
  }

  /** The rows that a batch seals: of each writer one piece of its chain. */
  private async rowsOf(batch: readonly Checkpoint[]): Promise<Stored[]> {
    const pieces = new Map<number, { from: number; to: number }>();
    for (const { writer, from, seq } of batch.flatMap(({ kind, heads }) => (kind === 'seal' ? heads : []))) {
      const piece = pieces.get(writer);
      pieces.set(writer, { from: Math.min(piece?.from ?? from, from), to: Math.max(piece?.to ?? seq, seq) });
    }
    for (const [writer, piece] of pieces) {
      piece.from = Math.max(piece.from, this.floor(writer));
      if (piece.from >= piece.to) pieces.delete(writer);
    }
    if (pieces.size === 0) return [];
    // "offset 0" keeps the planner from reading the whole table to join it.
    const { rows } = await this.sql.query<Stored>(
      `select q.* from unnest($1::int[], $2::bigint[], $3::bigint[]) as piece (writer, after, upto)
       cross join lateral (select ${STORED_COLUMNS} from query_log as q
         where q.writer = piece.writer and q.seq > piece.after and q.seq <= piece.upto order by q.seq, q.at offset 0) as q`,
      [[...pieces.keys()], [...pieces.values()].map(({ from }) => from), [...pieces.values()].map(({ to }) => to)],
    );
    return rows;
  }

  private async takeBatch({ checkpoints, rows }: Batch): Promise<void> {
    const slots = openSlots(checkpoints, this.floor, this.report);
    await this.readDocuments(rows);
    for (const row of rows) {
      const chain = this.takeRow(row);
      if (chain) slots.put(row.writer, row.seq, row.hash, chain.at);
    }
    this.sealedRows += rows.length;
    slots.compare(this.chains, this.reportCheckpoint);
  }

  private takeRow(row: Stored): Chain | undefined {
    this.entries++;
    const chain = this.chainOf(row.writer);
    if (!chain) {
      this.report(row.writer, row.seq, 'the writer is unknown');
      return undefined;
    }
    takeRow(chain, row, this.report);
    if (row.document !== '' && !this.documents.get(row.document))
      this.report(row.writer, row.seq, 'the document is missing or not what was hashed');
    return chain;
  }

  private chainOf(id: number): Chain | undefined {
    const known = this.chains.get(id);
    if (known) return known;
    const writer = this.writers.get(id);
    if (!writer) return undefined;
    const chain = openChain(writer, this.begin?.heads.get(id) ?? { seq: 0, hash: this.genesisOf(writer) });
    this.chains.set(id, chain);
    return chain;
  }

  /** The genesis that a writer must have by what `log_writer` says of it. */
  private genesisOf(writer: Writer): Buffer {
    const { boot_id: bootId, node, started_at: startedAt, suite, after_n: n } = writer;
    const after = { n, hash: this.sealed.hashes.get(n) ?? Buffer.alloc(0) };
    return genesis(suite, { bootId, node, startedAt: new Date(startedAt), after });
  }

  /** What came after the last checkpoint, of the writers that were there when the reading began. */
  private async takeTail(): Promise<void> {
    const ids = [...this.writers.values()].filter(({ after_n: n }) => n <= this.sealed.last.n).map(({ id }) => id);
    const after = new Map(ids.map((id) => [id, Math.max(this.sealed.heads.get(id)?.seq ?? 0, this.floor(id))]));
    while (after.size > 0) {
      const { rows } = await this.sql.query<Stored>(
        `select q.* from unnest($1::int[], $2::bigint[]) as tail (writer, after)
         cross join lateral (select ${STORED_COLUMNS} from query_log as q
           where q.writer = tail.writer and q.seq > tail.after order by q.seq, q.at limit $3) as q`,
        [[...after.keys()], [...after.values()], this.options.batch ?? 2000],
      );
      await this.readDocuments(rows);
      const seen = new Map<number, number>();
      for (const row of rows) {
        this.takeRow(row);
        seen.set(row.writer, row.seq);
      }
      for (const id of after.keys()) {
        const seq = seen.get(id);
        if (seq === undefined) after.delete(id);
        else after.set(id, seq);
      }
    }
  }

  /** Rows that no chain has a place for. */
  private async findStrays(): Promise<void> {
    const ids = [...this.writers.keys()];
    const strays = await this.sql.query<{ writer: number; seq: number }>(
      `select q.* from unnest($1::int[], $2::bigint[]) as known (writer, first)
       cross join lateral (select writer, seq from query_log where writer = known.writer and seq < known.first order by seq limit 5) as q`,
      [ids, ids.map((id) => this.floor(id) + 1)],
    );
    for (const { writer, seq } of strays.rows) this.report(writer, seq, 'the sequence number is there twice or is not positive');
    const found = await this.sql.query<{ writer: number }>(
      `with recursive found (writer) as (
         select min(writer) from query_log
         union all select (select min(writer) from query_log where writer > found.writer) from found where found.writer is not null)
       select writer from found where writer is not null`,
    );
    const unknown = found.rows.filter(({ writer }) => !this.writers.has(writer));
    if (unknown.length === 0) return;
    const now = await this.readWriters();
    for (const { writer } of unknown) if (!now.has(writer)) this.report(writer, 0, 'the writer is unknown');
  }

  private checkWriter(writer: Writer): void {
    const wrong = (what: string): void => this.report(writer.id, 0, what);
    if (writer.after_n > this.sealed.last.n) return;
    const origin = this.genesisOf(writer);
    if (!writer.genesis.equals(origin)) wrong('the genesis is not that of the writer');
    if (writer.closed_seq === null) return;
    const chain = this.chains.get(writer.id) ?? this.begin?.heads.get(writer.id);
    const closedAs = writer.closed_hash?.equals(chain?.hash ?? origin);
    if (writer.closed_seq !== (chain?.seq ?? 0) || !closedAs) wrong('the chain does not end where it was closed');
  }

  private compareWitness(): void {
    const { witness } = this.options;
    if (!witness?.latest) return;
    const { n } = witness.latest;
    if (n > this.sealed.last.n)
      this.reportCheckpoint(n, `the witness holds it; here the log ends with checkpoint ${this.sealed.last.n}: it was taken back`);
  }

  /** Looks up the documents named for the first time; true where the text has the hash, in either suite. */
  private async readDocuments(rows: readonly Stored[]): Promise<void> {
    const named = new Set<string>();
    for (const { document } of rows) if (!this.documents.has(document)) named.add(document);
    if (named.size === 0) return;
    for (const hash of named) this.documents.set(hash, false);
    const found = await this.sql.query<{ hash: string; text: string }>('select hash, text from log_document where hash = any($1)', [
      [...named],
    ]);
    for (const { hash, text } of found.rows) {
      this.documents.set(
        hash,
        ['sha256', 'sm3'].some((suite) => createHash(suite).update(text).digest('hex') === hash),
      );
    }
  }
}
