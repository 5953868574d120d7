import {
  closeSync,
  existsSync,
  fdatasyncSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  statSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { newSigningKey } from '../store/signing.ts';
import type { Checkpoint, CheckpointHead } from './checkpoint.ts';
import { checkpointHash, cosignedBytes, decodeCheckpoint, NO_CHECKPOINT } from './checkpoint.ts';
import type { PublicKey, Signer } from './signature.ts';
import { openSigner } from './signature.ts';
import type { WitnessView } from './verify-checkpoints.ts';
import { secretFile } from '../store/secret-file.ts';

/** A checkpoint on its way to a witness. */
export interface Presented {
  body: Buffer;
  key: string;
  signature: Buffer;
}

/** A witness's word that it holds a checkpoint, and from when on. */
export interface Cosignature {
  n: number;
  key: string;
  at: Date;
  signature: Buffer;
}

/** Why a witness does not take a checkpoint. A `fork` is an alarm: somebody signs two histories, or the log went back to an older one. */
export class WitnessRefusal extends Error {
  readonly kind: 'fork' | 'gap' | 'signature' | 'form';
  constructor(kind: WitnessRefusal['kind'], message: string) {
    super(message);
    this.name = 'WitnessRefusal';
    this.kind = kind;
  }
}

export interface Witness {
  readonly publicKey: string;
  readonly latest: CheckpointHead;
  /** The number of the first checkpoint that it holds. */
  readonly first: number;
  /**
   * Takes checkpoints in their order and cosigns the last one, after all are on disk. Those that it holds already are taken again when they are the
   * same. Throws a {@link WitnessRefusal} and keeps what came before the one at fault.
   */
  take(presented: readonly Presented[]): Cosignature;
  /** The hashes it holds from one number to another, both included. */
  hashes(from: number, to: number): { n: number; hash: Buffer }[];
}

interface State {
  first: number;
  n: number;
  hash: string;
  at: string;
  /** Where each writer stands: [writer, seq]. */
  heads: [number, number][];
}

const HASH = 32;

/**
 * Opens the memory of a witness: a folder with its own key (made at the first start), its state, and the hash of every checkpoint it ever took, 32
 * bytes each. It knows nothing of the hub but the public keys of its log. An empty witness takes the first checkpoint it is shown for the start, so
 * it should be there before the log is.
 */
export function openWitness(folder: string, keys: readonly PublicKey[], now: () => Date): Witness {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const signer = ownKey(join(folder, 'witness.key'));
  const statePath = join(folder, 'state.json');
  const hashesPath = join(folder, 'hashes');
  let state = readState(statePath);
  let heads = new Map(state.heads);

  function remember(): void {
    const draft = `${statePath}.new`;
    writeDurably(draft, 'w', Buffer.from(JSON.stringify({ ...state, heads: [...heads] } satisfies State)));
    renameSync(draft, statePath);
  }

  /** The hash as it was taken; undefined outside of what it holds. */
  function held(n: number): Buffer | undefined {
    return read(n, n)[0]?.hash;
  }

  const read = (from: number, to: number) => readHashes(folder, state, from, to);

  function check(presented: Presented): { checkpoint: Checkpoint; hash: Buffer } {
    const key = keys.find(({ keyId }) => keyId === presented.key);
    if (!key?.verify('checkpoint', presented.body, presented.signature))
      throw new WitnessRefusal('signature', 'no known key has signed the checkpoint');
    try {
      const checkpoint = decodeCheckpoint(presented.body);
      return { checkpoint, hash: checkpointHash(checkpoint.suite, presented.body) };
    } catch {
      throw new WitnessRefusal('form', 'the checkpoint cannot be read');
    }
  }

  /** The hash to write down for a new checkpoint, or undefined for one that is held already. */
  function step(presented: Presented, last: { n: number; hash: string }): { n: number; hash: Buffer } | undefined {
    const { checkpoint, hash } = check(presented);
    const { n } = checkpoint;
    if (state.n > 0 && n <= last.n) {
      const mine = n <= state.n ? held(n) : undefined;
      if (mine && !mine.equals(hash)) throw new WitnessRefusal('fork', `another checkpoint ${n} is held`);
      return undefined;
    }
    const fresh = last.n === 0;
    if (!fresh && n > last.n + 1) throw new WitnessRefusal('gap', `checkpoint ${last.n} is held, so ${last.n + 1} comes next`);
    if (!fresh && checkpoint.prev.toString('hex') !== last.hash)
      throw new WitnessRefusal('fork', `checkpoint ${n} does not follow from the one that is held`);
    const moved = checkpoint.kind === 'seal' ? checkpoint.heads : [];
    // A witness that did not see the beginning cannot know where a writer stood.
    const blind = state.first > 1 || (fresh && n > 1);
    const wrong = moved.find(({ writer, from }) => from !== (heads.get(writer) ?? (blind ? from : 0)));
    if (wrong) throw new WitnessRefusal('fork', `checkpoint ${n} does not begin where writer ${wrong.writer} stood`);
    for (const { writer, seq } of moved) heads.set(writer, seq);
    return { n, hash };
  }

  return {
    publicKey: signer.publicKey,
    get latest() {
      return state.n === 0 ? NO_CHECKPOINT : { n: state.n, hash: Buffer.from(state.hash, 'hex') };
    },
    get first() {
      return state.first;
    },
    hashes: read,
    take(presented) {
      const before = new Map(heads);
      const added: { n: number; hash: Buffer }[] = [];
      let last = { n: state.n, hash: state.hash };
      let refusal: unknown;
      for (const one of presented) {
        try {
          const next = step(one, last);
          if (!next) continue;
          added.push(next);
          last = { n: next.n, hash: next.hash.toString('hex') };
        } catch (error) {
          refusal = error;
          break;
        }
      }
      if (added.length > 0) {
        const first = state.n === 0 ? added[0]!.n : state.first;
        try {
          appendAt(hashesPath, (state.n === 0 ? 0 : state.n - first + 1) * HASH, Buffer.concat(added.map(({ hash }) => hash)));
          state = { ...state, first, ...last, at: now().toISOString() };
          remember();
        } catch (error) {
          // Nothing is held that is not on disk.
          heads = before;
          state = readState(statePath);
          throw error;
        }
      }
      if (refusal) throw refusal;
      if (state.n === 0) throw new WitnessRefusal('form', 'nothing was presented');
      const at = now();
      const hash = Buffer.from(state.hash, 'hex');
      return { n: state.n, key: signer.keyId, at, signature: signer.sign('cosignature', cosignedBytes(hash, at)) };
    },
  };
}

/** What the folder of a witness holds, for the verifier; the witness may be running. Throws when there is none. */
export function readWitness(folder: string): WitnessView {
  const state = JSON.parse(readFileSync(join(folder, 'state.json'), 'utf8')) as State;
  return {
    latest: { n: state.n, hash: Buffer.from(state.hash, 'hex') },
    hashes: async (from, to) => new Map(readHashes(folder, state, from, to).map(({ n, hash }) => [n, hash.toString('hex')])),
  };
}

function readHashes(folder: string, state: State, from: number, to: number): { n: number; hash: Buffer }[] {
  const [begin, end] = [Math.max(from, state.first), Math.min(to, state.n)];
  if (state.n === 0 || end < begin) return [];
  const bytes = Buffer.alloc((end - begin + 1) * HASH);
  const file = openSync(join(folder, 'hashes'), 'r');
  try {
    readSync(file, bytes, 0, bytes.length, (begin - state.first) * HASH);
  } finally {
    closeSync(file);
  }
  return Array.from({ length: end - begin + 1 }, (_, index) => ({
    n: begin + index,
    hash: bytes.subarray(index * HASH, (index + 1) * HASH),
  }));
}

const ownKey = (path: string): Signer => openSigner(secretFile(path, () => newSigningKey('ed25519').privateKey));

function readState(path: string): State {
  if (!existsSync(path)) return { first: 0, n: 0, hash: '', at: '', heads: [] };
  return JSON.parse(readFileSync(path, 'utf8')) as State;
}

/** Writes hashes where they belong: what a crash left behind the state is written over. */
function appendAt(path: string, offset: number, bytes: Buffer): void {
  if (existsSync(path) && statSync(path).size < offset) throw new Error('the memory of the witness is shorter than its state says');
  const file = openSync(path, existsSync(path) ? 'r+' : 'w');
  try {
    writeSync(file, bytes, 0, bytes.length, offset);
    fdatasyncSync(file);
  } finally {
    closeSync(file);
  }
}

function writeDurably(path: string, flags: string, bytes: Buffer): void {
  const file = openSync(path, flags, 0o600);
  try {
    writeSync(file, bytes);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}
