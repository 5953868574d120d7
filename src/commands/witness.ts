import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { readConfig, readVariable } from '../config.ts';
import { openPublicKeys } from '../log/signature.ts';
import { openWitness } from '../log/witness.ts';
import { serveWitness } from '../log/witness-server.ts';
import type { WitnessAt } from './log-keys.ts';
import { type Environment, newLogger } from './runtime.ts';
import { stopSignal } from './services.ts';

export interface WitnessCommand {
  folder: string;
  host: string;
  port: number;
}

/**
 * `hub witness`: keeps the checkpoints of a hub for somebody else. Needs the public keys of the hub's log and a folder of its own; never the hub's
 * database or keys. Prints one JSON line with its address and its public key.
 */
export async function witness(environment: Environment, options: WitnessCommand): Promise<void> {
  const trusted = readVariable('HUB_LOG_PUBLIC_KEYS', environment);
  if (trusted === undefined) throw new Error('HUB_LOG_PUBLIC_KEYS is not set: the witness must know whose checkpoints it keeps');
  const logger = newLogger(readConfig(environment));
  const memory = openWitness(options.folder, openPublicKeys(trusted), () => new Date());
  const server = await serveWitness(memory, options, (what) => logger.error({ alarm: 'witness' }, `refused a checkpoint: ${what}`));
  process.stdout.write(`${JSON.stringify({ url: server.url, publicKey: memory.publicKey } satisfies WitnessAt)}\n`);
  // A witness that another process started for itself ends with it.
  await Promise.race([stopSignal(), ...(process.connected ? [once(process, 'disconnect')] : [])]);
  await server.close();
  // The channel to that process would keep this one alive.
  if (process.connected) process.disconnect();
}

/** Starts a witness as a process of its own, as a demo of what another department runs on another machine. */
export async function startWitness(folder: string, logPublicKeys: string): Promise<WitnessAt & { close(): Promise<void> }> {
  const script = process.argv[1];
  if (script === undefined) throw new Error('there is no script to start');
  const args = [...process.execArgv, script, 'witness', '--folder', folder, '--port', '0'];
  // Nothing of the hub's environment: a witness has no access to the hub.
  const env = { HUB_LOG_PUBLIC_KEYS: logPublicKeys, LOG_LEVEL: 'error' };
  const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'inherit', 'ipc'] });
  const ended = once(child, 'exit');
  const line = await Promise.race([once(createInterface(child.stdout!), 'line') as Promise<[string]>, ended.then(() => undefined)]);
  if (!line) throw new Error('the witness did not start');
  return {
    ...(JSON.parse(line[0]) as WitnessAt),
    async close() {
      child.kill('SIGTERM');
      await ended;
    },
  };
}
