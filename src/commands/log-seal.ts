import { writeFileSync } from 'node:fs';
import { readConfig } from '../config.ts';
import { migrate } from '../store/migrate.ts';
import { WRITER } from '../store/roles.ts';
import { openPool } from '../store/sql.ts';
import { newSigningKey, type SignatureAlgorithm } from '../store/signing.ts';
import { openLogKeys } from './log-keys.ts';
import { type Environment, localDatabase, newLogger } from './runtime.ts';
import { openSealing } from './sealing.ts';
import { openProbe, stopSignal } from './services.ts';

/** What the commands of the log open: its database and its keys, not the key ring. A local database stands in where none is configured. */
export async function openLogDatabase(environment: Environment, options: { local: boolean }) {
  const config = readConfig(environment);
  const steps: (() => Promise<void>)[] = [];
  const local = config.databaseUrl === undefined && options.local;
  const url = config.databaseUrl ?? (local ? await localDatabase(config, steps) : undefined);
  if (url === undefined) throw new Error('DATABASE_URL is not set');
  if (local) await migrate(url);
  const pool = openPool(url, { max: 4, applicationName: `hub log ${config.node}`, statementTimeoutMs: 300_000, role: WRITER });
  return {
    config,
    pool,
    keys: openLogKeys(config, local),
    async close() {
      await pool.close();
      for (const step of steps.toReversed()) await step();
    },
  };
}

/** `hub log seal`: the sealer as a process of its own, so that no process that answers queries holds its key. */
export async function sealLog(environment: Environment): Promise<void> {
  const { config, pool, keys, close } = await openLogDatabase(environment, { local: false });
  const logger = newLogger(config);
  const end = openSealing(pool, keys, logger);
  if (end === undefined) throw new Error('HUB_SEAL_KEY is not set: make one with `npm run hub -- log key`');
  const probe = await openProbe(config, pool);
  logger.info({ witness: keys.witness !== undefined }, 'sealing the query log');
  await stopSignal();
  await probe();
  await end();
  await close();
}

/** `hub log key`: a new signing key in two files, the private one for its owner's eyes only. Never writes over a key. */
export function newLogKey(path: string, algorithm: SignatureAlgorithm): void {
  const { privateKey, publicKey } = newSigningKey(algorithm);
  writeFileSync(path, privateKey, { mode: 0o600, flag: 'wx' });
  writeFileSync(`${path}.pub`, publicKey, { flag: 'wx' });
}
