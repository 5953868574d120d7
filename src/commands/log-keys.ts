import { join } from 'node:path';
import type { Config } from '../config.ts';
import type { LogSuite } from '../log/chain.ts';
import type { PublicKey, Signer } from '../log/signature.ts';
import { openPublicKey, openPublicKeys, openSigner } from '../log/signature.ts';
import type { WitnessClient } from '../log/witness-client.ts';
import { witnessClient } from '../log/witness-client.ts';
import { newSigningKey } from '../store/signing.ts';
import { secretFile } from '../store/secret-file.ts';

/** Where a witness is, and the public key (PEM) of its cosignatures. */
export interface WitnessAt {
  url: string;
  publicKey: string;
}

/** The keys around the query log. None of them opens a value: they are apart from the key ring. */
export interface LogKeys {
  /** Signs checkpoints; undefined in a process that does not seal. */
  seal: Signer | undefined;
  /** Signs receipts; undefined where answers carry receipts without signature. */
  receipt: Signer | undefined;
  /** Whose checkpoints and receipts are believed. */
  trusted: PublicKey[];
  witness: WitnessClient | undefined;
}

/** Opens what is configured; with `local` the data folder stands in for what is not, with keys made at first use. Throws an Error without any key in it. */
export function openLogKeys(config: Config, local: boolean, at: WitnessAt | undefined = witnessOf(config)): LogKeys {
  const seal = config.sealKey ?? (local ? localKey(config.data, 'seal') : undefined);
  const receipt = config.receiptKey ?? (local ? localKey(config.data, 'receipt') : undefined);
  const own = [seal, receipt].flatMap((key) => (key === undefined ? [] : [openSigner(key)]));
  return {
    seal: seal === undefined ? undefined : openSigner(seal),
    receipt: receipt === undefined ? undefined : openSigner(receipt),
    trusted:
      config.logPublicKeys === undefined ? own.map(({ publicKey }) => openPublicKey(publicKey)) : openPublicKeys(config.logPublicKeys),
    witness: at && witnessClient(at.url, openPublicKey(at.publicKey)),
  };
}

function witnessOf({ witnessUrl, witnessPublicKey }: Config): WitnessAt | undefined {
  if (witnessUrl === undefined) return undefined;
  if (witnessPublicKey === undefined) throw new Error('HUB_WITNESS_PUBLIC_KEY is not set: the witness prints it when it starts');
  return { url: witnessUrl, publicKey: witnessPublicKey };
}

/** A key of the data folder, made when it is not there. */
export function localKey(data: string, name: 'seal' | 'receipt'): string {
  return secretFile(join(data, `${name}-key.pem`), () => newSigningKey('ed25519').privateKey);
}

/** The hash that belongs to the signatures of a suite. */
export const suiteOf = ({ algorithm }: Signer): LogSuite => (algorithm === 'sm2' ? 'sm3' : 'sha256');
