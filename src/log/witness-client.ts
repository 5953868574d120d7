import type { CheckpointHead } from './checkpoint.ts';
import type { PublicKey } from './signature.ts';
import type { WitnessView } from './verify-checkpoints.ts';
import type { Cosignature, Presented } from './witness.ts';

/** The hub's side of a witness. */
export interface WitnessClient {
  /** Whose cosignatures count. */
  readonly key: PublicKey;
  /** Presents checkpoints in their order. Rejects with an Error that says what the witness holds against them, or that it cannot be reached. */
  present(checkpoints: readonly Presented[]): Promise<Cosignature>;
}

const TIMEOUT_MS = 10_000;
const MOST_HASHES = 10_000;

export function witnessClient(url: string, key: PublicKey): WitnessClient {
  return {
    key,
    async present(checkpoints) {
      const response = await fetch(new URL('checkpoints', folderOf(url)), {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(
          checkpoints.map((one) => ({ body: one.body.toString('base64'), key: one.key, signature: one.signature.toString('base64') })),
        ),
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
      const answer = (await response.json()) as { n: number; key: string; at: string; signature: string; error?: string; message?: string };
      if (!response.ok) throw new Error(`${answer.error ?? response.status}: ${answer.message ?? ''}`);
      return { n: answer.n, key: answer.key, at: new Date(answer.at), signature: Buffer.from(answer.signature, 'base64') };
    },
  };
}

/** What the witness at an address holds, for the verifier. Rejects when it cannot be asked. */
export async function witnessAt(url: string): Promise<WitnessView> {
  const get = async <T>(path: string): Promise<T> => {
    const response = await fetch(new URL(path, folderOf(url)), { signal: AbortSignal.timeout(TIMEOUT_MS) });
    if (!response.ok) throw new Error(`the witness answered ${response.status}`);
    return (await response.json()) as T;
  };
  const { n, hash } = await get<{ n: number; hash: string }>('checkpoint');
  const latest: CheckpointHead | undefined = n === 0 ? undefined : { n, hash: Buffer.from(hash, 'hex') };
  return {
    latest,
    async hashes(from, to) {
      const held = new Map<number, string>();
      for (let begin = from; begin <= to; begin += MOST_HASHES) {
        const page = await get<[number, string][]>(`hashes?from=${begin}&to=${Math.min(to, begin + MOST_HASHES - 1)}`);
        for (const [number, hex] of page) held.set(number, hex);
      }
      return held;
    },
  };
}

const folderOf = (url: string): string => (url.endsWith('/') ? url : `${url}/`);
