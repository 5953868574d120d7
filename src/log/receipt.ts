import type { Sql } from '../store/sql.ts';
import type { Checkpoint } from './checkpoint.ts';
import { checkpointHash, cosignedBytes, decodeCheckpoint, leafIndex } from './checkpoint.ts';
import { inclusionPath, rootOfPath } from './merkle.ts';
import type { Receipt } from './queue.ts';
import type { PublicKey, Signer } from './signature.ts';
import type { QueryLog } from './writer.ts';

/** A receipt that the asking system can show to anybody: the hub's signature over where the entry stands, its hash and its time. */
export interface SignedReceipt extends Receipt {
  /** Key id, and the signature in base64. */
  key: string;
  signature: string;
}

/** u32 writer, u64 seq, 32 bytes hash, i64 at (ms since 1970), big-endian. */
function receiptBytes({ writer, seq, hash, at }: Receipt): Buffer {
  const bytes = Buffer.alloc(52);
  bytes.writeUInt32BE(writer);
  bytes.writeBigUInt64BE(BigInt(seq), 4);
  Buffer.from(hash, 'hex').copy(bytes, 12);
  bytes.writeBigInt64BE(BigInt(Date.parse(at)), 44);
  return bytes;
}

export function signReceipt(receipt: Receipt, signer: Signer): SignedReceipt {
  return { ...receipt, key: signer.keyId, signature: signer.sign('receipt', receiptBytes(receipt)).toString('base64') };
}

/** The log, with receipts that are signed. */
export function signing(log: QueryLog, signer: Signer): QueryLog {
  return { ...log, append: async (entry) => signReceipt(await log.append(entry), signer) };
}

/** Everything that shows, without the hub, that the entry of a receipt is in a checkpoint; bytes in base64. */
export interface Proof {
  receipt: SignedReceipt;
  checkpoint: { body: string; key: string; signature: string };
  /** Beside the way from the entry up to the root of the checkpoint. */
  path: string[];
  /** What follows until the checkpoint that a witness has cosigned, and its word; empty when there is none. */
  successors: string[];
  cosignature: { key: string; at: string; signature: string } | null;
}

/** What could be shown of a receipt. `stored` is null where there was no database to look in. */
export interface ReceiptCheck {
  /** The hub signed it. */
  signed: boolean;
  stored: boolean | null;
  /** The checkpoint that seals the entry; null when none does. */
  sealed: number | null;
  /** When a witness vouched for that checkpoint or one that follows from it; null when none did. */
  witnessed: string | null;
  faults: string[];
}

const WAY_TO_WITNESS = 10_000;

/** Reads a receipt. Throws an Error for a text that is none. */
export function parseReceipt(value: unknown): SignedReceipt {
  const { id, writer, seq, hash, at, key, signature } = (value ?? {}) as Partial<SignedReceipt>;
  const whole = (number: unknown): number is number => typeof number === 'number' && Number.isSafeInteger(number) && number > 0;
  const texts = [hash, at, key, signature].every((text) => typeof text === 'string');
  if (!whole(writer) || !whole(seq) || !texts || !/^[0-9a-f]{64}$/.test(hash!) || Number.isNaN(Date.parse(at!)))
    throw new Error('not a receipt');
  return { id: id ?? `${writer}-${seq}`, writer, seq, hash: hash!, at: at!, key: key!, signature: signature! };
}

/** Looks a receipt up in the log: whether the entry is there as it says, and the proof that it is sealed, as far as it is. */
export async function proveReceipt(sql: Sql, receipt: SignedReceipt): Promise<{ stored: boolean; proof: Proof | undefined }> {
  const { writer, seq } = receipt;
  const found = await sql.query<{ hash: Buffer; at: string }>('select hash, at from query_log where writer = $1 and seq = $2', [
    writer,
    seq,
  ]);
  const [row] = found.rows;
  const stored = found.rows.length === 1 && row?.hash.toString('hex') === receipt.hash && Date.parse(row.at) === Date.parse(receipt.at);
  const { rows } = await sql.query<{ n: number; body: Buffer; key: string; signature: Buffer }>(
    `select n, body, key, signature from log_checkpoint where at >= $1 and month is null order by n limit $2`,
    [receipt.at, WAY_TO_WITNESS],
  );
  const sealing = rows.find(({ body }) => leafIndex(decodeCheckpoint(body), writer, seq) !== undefined);
  if (!sealing) return { stored, proof: undefined };
  const checkpoint = decodeCheckpoint(sealing.body);
  const leaves = await leavesOf(sql, checkpoint);
  const path = inclusionPath(checkpoint.suite, leaves, leafIndex(checkpoint, writer, seq)!);
  const { successors, cosignature } = await wayToWitness(sql, sealing.n);
  return {
    stored,
    proof: {
      receipt,
      checkpoint: { body: base64(sealing.body), key: sealing.key, signature: base64(sealing.signature) },
      path: path.map(base64),
      successors: successors.map(base64),
      cosignature,
    },
  };
}

const base64 = (bytes: Buffer): string => bytes.toString('base64');

async function leavesOf(sql: Sql, { heads }: Checkpoint): Promise<Buffer[]> {
  const { rows } = await sql.query<{ hash: Buffer }>(
    `select q.hash from unnest($1::int[], $2::bigint[], $3::bigint[]) as piece (writer, after, upto)
     join query_log as q on q.writer = piece.writer and q.seq > piece.after and q.seq <= piece.upto order by q.writer, q.seq`,
    [heads.map(({ writer }) => writer), heads.map(({ from }) => from), heads.map(({ seq }) => seq)],
  );
  return rows.map(({ hash }) => hash);
}

async function wayToWitness(sql: Sql, n: number): Promise<{ successors: Buffer[]; cosignature: Proof['cosignature'] }> {
  const { rows } = await sql.query<{ n: number; key: string; at: string; signature: Buffer }>(
    'select n, key, at, signature from log_cosignature where n >= $1 order by n limit 1',
    [n],
  );
  const [cosigned] = rows;
  if (!cosigned || cosigned.n - n > WAY_TO_WITNESS) return { successors: [], cosignature: null };
  const between = await sql.query<{ body: Buffer }>('select body from log_checkpoint where n > $1 and n <= $2 order by n', [n, cosigned.n]);
  const { key, at, signature } = cosigned;
  return { successors: between.rows.map(({ body }) => body), cosignature: { key, at, signature: base64(signature) } };
}

/** Checks a receipt by its signature alone, and with a proof all the way to the witness. Needs public keys and nothing else. */
export function checkReceipt(
  receipt: SignedReceipt,
  proof: Proof | undefined,
  trust: { keys: readonly PublicKey[]; witness?: PublicKey | undefined },
): Omit<ReceiptCheck, 'stored'> {
  const faults: string[] = [];
  const by = (key: string): PublicKey | undefined => trust.keys.find(({ keyId }) => keyId === key);
  const signed = by(receipt.key)?.verify('receipt', receiptBytes(receipt), Buffer.from(receipt.signature, 'base64')) ?? false;
  if (!signed) faults.push('no known key has signed the receipt');
  if (!proof) return { signed, sealed: null, witnessed: null, faults };
  const checkpoint = sealing(receipt, proof, by, faults);
  const witnessed = checkpoint && trust.witness && proof.cosignature ? cosigned(proof, checkpoint, trust.witness, faults) : null;
  return { signed, sealed: checkpoint?.n ?? null, witnessed, faults };
}

function sealing(
  receipt: SignedReceipt,
  proof: Proof,
  by: (key: string) => PublicKey | undefined,
  faults: string[],
): Checkpoint | undefined {
  const body = Buffer.from(proof.checkpoint.body, 'base64');
  const { key, signature } = proof.checkpoint;
  if (!by(key)?.verify('checkpoint', body, Buffer.from(signature, 'base64'))) {
    faults.push('no known key has signed the checkpoint');
    return undefined;
  }
  const checkpoint = decodeCheckpoint(body);
  const index = leafIndex(checkpoint, receipt.writer, receipt.seq);
  const path = proof.path.map((hash) => Buffer.from(hash, 'base64'));
  const root =
    index === undefined ? undefined : rootOfPath(checkpoint.suite, Buffer.from(receipt.hash, 'hex'), index, checkpoint.rows, path);
  if (root?.equals(checkpoint.root)) return checkpoint;
  faults.push(`checkpoint ${checkpoint.n} does not seal this entry`);
  return undefined;
}

/** When the witness vouched for the end of the way that begins with this checkpoint. */
function cosigned(proof: Proof, checkpoint: Checkpoint, witness: PublicKey, faults: string[]): string | null {
  let hash = checkpointHash(checkpoint.suite, Buffer.from(proof.checkpoint.body, 'base64'));
  for (const text of proof.successors) {
    const body = Buffer.from(text, 'base64');
    const next = decodeCheckpoint(body);
    if (!next.prev.equals(hash)) {
      faults.push(`checkpoint ${next.n} does not follow from the one before`);
      return null;
    }
    hash = checkpointHash(next.suite, body);
  }
  const { at, signature } = proof.cosignature!;
  if (witness.verify('cosignature', cosignedBytes(hash, new Date(at)), Buffer.from(signature, 'base64'))) return at;
  faults.push('the witness has not cosigned this');
  return null;
}
