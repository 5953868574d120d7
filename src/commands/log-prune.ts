import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from '../config.ts';
import { executePruning, preparePruning, type PruneRule } from '../log/prune.ts';
import { type Approval, approve } from '../log/prune-record.ts';
import { openPublicKey, openSigner } from '../log/signature.ts';
import { openLog } from '../log/writer.ts';
import { suiteOf } from './log-keys.ts';
import { openLogDatabase } from './log-seal.ts';
import type { Environment } from './runtime.ts';

const print = (value: unknown): void => void process.stdout.write(`${JSON.stringify(value)}\n`);

/** Who may approve a pruning, and how long the log is kept, from the environment. Throws an Error that names the variable at fault. */
export function pruneRule({ logOfficers, logKeepMonths: keepMonths }: Config): PruneRule {
  if (logOfficers === undefined) return { officers: [], keepMonths };
  try {
    const list = JSON.parse(logOfficers) as { id: string; name: string; publicKey: string }[];
    return { keepMonths, officers: list.map(({ id, name, publicKey }) => ({ id, name, key: openPublicKey(publicKey) })) };
  } catch {
    throw new Error('HUB_LOG_OFFICERS is no JSON list of {id, name, publicKey}');
  }
}

/**
 * `hub log prune`: without approvals it writes the archives of every month before `before` and the statement that two officers have to approve
 * (`hub log approve`); with them it takes the months out of the log. Needs HUB_SEAL_KEY and a database user that may become the owner of the log.
 */
export async function pruneLog(environment: Environment, options: { before: string; archive: string; approval: string[] }): Promise<void> {
  const { before, archive: folder, approval } = options;
  if (!/^\d{4}-(?:0[1-9]|1[0-2])$/.test(before)) throw new Error('--before must be a month, YYYY-MM');
  const { config, pool, keys, close } = await openLogDatabase(environment, { local: true });
  try {
    const signer = keys.seal;
    if (!signer) throw new Error('HUB_SEAL_KEY is not set');
    const rule = pruneRule(config);
    const file = join(folder, `prune-${before}.json`);
    if (approval.length === 0) {
      mkdirSync(folder, { recursive: true, mode: 0o700 });
      const statement = await preparePruning(pool, before, folder, signer, rule);
      writeFileSync(file, JSON.stringify(statement), { flush: true });
      print({ statement: file, months: statement.months, rows: statement.archives.reduce((sum, { rows }) => sum + rows, 0) });
      return;
    }
    if (!existsSync(file)) throw new Error(`${file} is not there: run the command without approvals first`);
    const approvals = approval.map((path) => JSON.parse(readFileSync(path, 'utf8')) as Approval);
    const log = await openLog({
      pool,
      node: `${config.node} prune`,
      suite: suiteOf(signer),
      allowUnsafe: environment['HUB_TEST_UNSAFE'] === 'yes',
    });
    try {
      print({ record: await executePruning(pool, log, readFileSync(file, 'utf8'), approvals, folder, rule) });
    } finally {
      await log.close();
    }
  } finally {
    await close();
  }
}

/** `hub log approve`: an officer's signature under a statement, written beside it. The officer MUST have read the statement. */
export function approvePruning(file: string, options: { officer: string; key: string }): void {
  const approval = approve(readFileSync(file, 'utf8'), options.officer, openSigner(readFileSync(options.key, 'utf8')));
  const path = `${file}.${options.officer.replaceAll(/[^\w-]/g, '_')}.approval`;
  writeFileSync(path, JSON.stringify(approval), { flag: 'wx' });
  print({ approval: path });
}
