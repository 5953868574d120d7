import { join, resolve } from 'node:path';
import { type Logger, pino } from 'pino';
import { type Config, readConfig } from '../config.ts';
import type { Jobs } from '../jobs/hub.ts';
import { ensureLogPartitions } from '../log/partitions.ts';
import { signing } from '../log/receipt.ts';
import { watchWitness } from '../log/witnessed.ts';
import { openLog, type QueryLog } from '../log/writer.ts';
import { modelOf, readSchemaTexts, type SchemaTexts } from '../model/load.ts';
import type { Model } from '../model/types.ts';
import { runningEmbedded, startEmbedded } from '../store/embedded.ts';
import { type Keys, newKeyRing, openKeys } from '../store/keys.ts';
import { migrate } from '../store/migrate.ts';
import { WRITER } from '../store/roles.ts';
import { openPool, type Pool } from '../store/sql.ts';
import { type LogKeys, openLogKeys, type WitnessAt } from './log-keys.ts';
import { openSealing } from './sealing.ts';
import { secretFile } from '../store/secret-file.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/** What every command that works on the hub's data opens, and closes in the reverse order. */
export interface Runtime {
  config: Config;
  model: Model;
  /** What the model was made of, to be kept with the decisions it makes. */
  texts: SchemaTexts;
  logger: Logger;
  databaseUrl: string;
  pool: Pool;
  keys: Keys;
  environment: Environment;
  logKeys: LogKeys;
  /** Opens the query log as a writer of its own; its receipts are signed, and it takes nothing while the witness is silent for too long. */
  log(role: string): Promise<QueryLog>;
  onClose(step: () => Promise<void>): void;
  /** Takes every step, also after one that failed; throws what failed first. */
  close(): Promise<void>;
}

export interface RuntimeOptions {
  environment: Environment;
  /**
   * Whether the local data folder may stand in for what is not configured: an embedded PostgreSQL, and keys made at first use. Commands of a
   * deployment (serve, work) say no: a hub that silently makes its own keys would lose its sealed values with its container.
   */
  local: boolean;
  /** How long one statement may run, in milliseconds; half a minute unless told. */
  statementTimeoutMs?: (model: Model) => number;
  /** The witness to be used instead of the configured one. */
  witness?: Promise<WitnessAt>;
  /** Starts what stands in for the platforms and gives the connectors' variables (the demo's sandboxes). */
  platforms?: (databaseUrl: string, onClose: (step: () => Promise<void>) => void) => Promise<Record<string, string>>;
}

export async function openRuntime(options: RuntimeOptions): Promise<Runtime> {
  const config = readConfig(options.environment);
  const texts = readSchemaTexts(config.schema);
  const model = modelOf(texts);
  const logger = newLogger(config);
  const steps: (() => Promise<void>)[] = [];
  const close = async () => {
    const faults: unknown[] = [];
    for (const step of steps.splice(0).toReversed()) await step().catch((error: unknown) => faults.push(error));
    if (faults.length > 0) throw faults[0];
  };
  try {
    const databaseUrl = config.databaseUrl ?? (options.local ? await localDatabase(config, steps) : undefined);
    if (databaseUrl === undefined) throw new Error('DATABASE_URL is not set');
    const ring = config.keys ?? (options.local ? localKeys(config.data) : undefined);
    if (ring === undefined) throw new Error('HUB_KEYS is not set: make a key ring with `npm run hub -- keys` and keep it safe');
    const keys = openKeys(ring);
    if (options.local) await migrate(databaseUrl);
    const pool = openPool(databaseUrl, {
      max: 20,
      applicationName: `hub ${config.node}`,
      statementTimeoutMs: options.statementTimeoutMs?.(model) ?? 30_000,
      role: WRITER,
    });
    steps.push(() => pool.close());
    const logKeys = openLogKeys(config, options.local, await options.witness);
    const sealing = openSealing(pool, logKeys, logger);
    if (sealing) steps.push(sealing);
    const watch = await watchWitness({
      pool,
      ...(logKeys.witness ? { witnessKey: logKeys.witness.key.keyId } : {}),
      graceMs: config.witnessGrace * 60_000,
      onAlarm: (what) => logger.error({ alarm: 'log-witness' }, what),
    });
    steps.push(() => watch.close());
    const platforms = await options.platforms?.(databaseUrl, (step) => void steps.push(step));
    return {
      config,
      model,
      texts,
      logger,
      databaseUrl,
      pool,
      keys,
      logKeys,
      environment: { ...options.environment, ...platforms },
      async log(role) {
        await ensureLogPartitions(pool, new Date(), 2);
        const log = await openLog({
          pool,
          node: `${config.node} ${role}`,
          suite: keys.suite.hash,
          allowUnsafe: options.environment['HUB_TEST_UNSAFE'] === 'yes',
        });
        steps.push(() => log.close());
        const guarded = watch.guard(log);
        return logKeys.receipt ? signing(guarded, logKeys.receipt) : guarded;
      },
      onClose: (step) => void steps.push(step),
      close,
    };
  } catch (error) {
    await close().catch(() => undefined);
    throw error;
  }
}

/** The process log; standard output belongs to the command's result. */
export function newLogger(config: Config): Logger {
  return pino({ level: config.logLevel, base: null, redact: ['*.url', '*.token', '*.secret'] }, pino.destination(2));
}

/** The parts that jobs need, from a runtime and its log. */
export function jobsOf(runtime: Runtime, log: QueryLog): Jobs {
  const { model, pool, keys, environment, logger } = runtime;
  return { model, pool, keys, log, environment, now: () => new Date(), logger };
}

/** The embedded server of the data folder: started, or the one that a running demo holds. */
export async function localDatabase(config: Config, steps: (() => Promise<void>)[]): Promise<string> {
  const dataDir = resolve(config.data, 'postgres');
  const running = runningEmbedded(dataDir);
  if (running) return running('hub');
  const server = await startEmbedded({ dataDir });
  steps.push(() => server.stop());
  return server.url('hub');
}

const localKeys = (data: string): string => secretFile(join(data, 'keys.json'), newKeyRing);
