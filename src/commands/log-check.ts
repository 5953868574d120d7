import { readFileSync, writeFileSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { verifyArchive } from '../log/archive.ts';
import { checkReceipt, parseReceipt, type Proof, proveReceipt, type ReceiptCheck } from '../log/receipt.ts';
import { openPublicKey } from '../log/signature.ts';
import { type Verification, verifyLog } from '../log/verify.ts';
import type { WitnessView } from '../log/verify-checkpoints.ts';
import { readWitness } from '../log/witness.ts';
import { witnessAt } from '../log/witness-client.ts';
import { readLag } from '../log/witnessed.ts';
import { readConfig } from '../config.ts';
import { openLogKeys } from './log-keys.ts';
import type { Environment } from './runtime.ts';
import { pruneRule } from './log-prune.ts';
import { openLogDatabase } from './log-seal.ts';

const print = (value: unknown): void => void process.stdout.write(`${JSON.stringify(value)}\n`);

/** What the witness at an address, or of a folder, holds. */
export async function witnessView(place: string): Promise<WitnessView> {
  return /^https?:/.test(place) ? witnessAt(place) : readWitness(place);
}

/**
 * `hub log verify`: reads the whole log and prints what it found; exit code 1 when there is a fault. The witness is that of the option, else of the
 * environment; without one, a log that was taken back to an earlier state is not seen, and the result says `"witness": null`.
 */
export async function verifyStored(environment: Environment, options: { witness?: string }): Promise<void> {
  const { config, pool, keys, close } = await openLogDatabase(environment, { local: true });
  try {
    if (keys.trusted.length === 0) throw new Error('HUB_LOG_PUBLIC_KEYS is not set: without it anybody may have signed the checkpoints');
    const place = options.witness ?? config.witnessUrl;
    const witness = place === undefined ? undefined : await witnessView(place);
    const result: Verification = await verifyLog(pool, { keys: keys.trusted, pruning: pruneRule(config), ...(witness ? { witness } : {}) });
    print({ ...result, witness: witness ? (witness.latest?.n ?? 0) : null });
    if (!result.verified) process.exitCode = 1;
  } finally {
    await close();
  }
}

/** `hub log archive`: checks an archive of months that were taken away, with public keys alone; throws an Error that says what is wrong. */
export async function checkArchive(environment: Environment, file: string): Promise<void> {
  const config = readConfig(environment);
  print({ entries: await verifyArchive(file, openLogKeys(config, config.databaseUrl === undefined).trusted), verified: true });
}

/** `hub log status`: how far the log is sealed and witnessed. */
export async function logStatus(environment: Environment): Promise<void> {
  const { pool, keys, close } = await openLogDatabase(environment, { local: true });
  try {
    const { rows } = await pool.query<{ n: number; at: string }>('select n, at from log_checkpoint order by n desc limit 1');
    print({ checkpoint: rows[0] ?? null, ...(await readLag(pool, keys.witness?.key.keyId)) });
  } finally {
    await close();
  }
}

/**
 * `hub log receipt`: checks a receipt (a file, or `-` for standard input; what stood under `extensions.log` of an answer). With a proof nothing but
 * public keys is needed; else the log is looked into, and `save` keeps the proof for those who have no access to it. Exit code 1 unless the receipt
 * is signed and, where that could be looked at, stored and sealed.
 */
export async function receipt(environment: Environment, file: string, options: { proof?: string; save?: string }): Promise<void> {
  const receipt = parseReceipt(JSON.parse(file === '-' ? await text(process.stdin) : readFileSync(file, 'utf8')));
  const config = readConfig(environment);
  const witness = config.witnessPublicKey === undefined ? undefined : openPublicKey(config.witnessPublicKey);
  let check: ReceiptCheck;
  if (options.proof !== undefined) {
    const proof = JSON.parse(readFileSync(options.proof, 'utf8')) as Proof;
    const keys = openLogKeys(config, config.databaseUrl === undefined);
    check = { ...checkReceipt(receipt, proof, { keys: keys.trusted, witness }), stored: null };
  } else {
    const { pool, keys, close } = await openLogDatabase(environment, { local: true });
    try {
      const { stored, proof } = await proveReceipt(pool, receipt);
      check = { ...checkReceipt(receipt, proof, { keys: keys.trusted, witness: keys.witness?.key ?? witness }), stored };
      if (!stored) check.faults.push('the log does not hold this entry');
      if (proof && options.save !== undefined) writeFileSync(options.save, `${JSON.stringify(proof)}\n`);
    } finally {
      await close();
    }
  }
  print(check);
  if (check.faults.length > 0) process.exitCode = 1;
}
