import type { Logger } from 'pino';
import type { QueryLog } from '../log/writer.ts';
import type { Connector, Model } from '../model/types.ts';
import type { Keys } from '../store/keys.ts';
import type { Pool } from '../store/sql.ts';

/** What a job needs; opened once per process. */
export interface Jobs {
  model: Model;
  pool: Pool;
  keys: Keys;
  log: QueryLog;
  /** Platform addresses and credentials, by the names of the connectors' settings. */
  environment: Readonly<Record<string, string | undefined>>;
  now: () => Date;
  logger: Logger;
}

export function connectorOf(model: Model, id: string): Connector {
  const connector = model.connectors.get(id);
  if (connector === undefined) throw new Error(`connector ${id} does not exist`);
  return connector;
}
