import type { Logger } from 'pino';
import { startSealer } from '../log/sealer.ts';
import type { Pool } from '../store/sql.ts';
import { type LogKeys, suiteOf } from './log-keys.ts';

/** Starts the sealing of a process that has the key for it; returns how to end it, or undefined where it has none. */
export function openSealing(pool: Pool, keys: LogKeys, logger: Logger): (() => Promise<void>) | undefined {
  const { seal: signer, witness } = keys;
  if (signer === undefined) return undefined;
  const onTrouble = (what: string): void => logger.error({ alarm: 'log-sealing' }, what);
  const sealer = startSealer({ pool, signer, suite: suiteOf(signer), ...(witness ? { witness } : {}), onTrouble });
  return () => sealer.close();
}
