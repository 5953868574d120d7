import { readConfig } from '../config.ts';
import type { Environment } from './runtime.ts';

/** What a server that listens on every address of its machine is asked at. */
const EVERYWHERE: ReadonlyMap<string, string> = new Map([
  ['0.0.0.0', '127.0.0.1'],
  ['::', '::1'],
]);
const TIMEOUT_MS = 3000;

/** `hub health`: whether the API or worker of this environment (HUB_HOST, HUB_PORT) answers that it is ready. */
export async function health(environment: Environment): Promise<boolean> {
  const { host, port } = readConfig(environment);
  const address = EVERYWHERE.get(host) ?? host;
  const url = `http://${address.includes(':') ? `[${address}]` : address}:${port}/ready`;
  try {
    return (await fetch(url, { signal: AbortSignal.timeout(TIMEOUT_MS) })).ok;
  } catch {
    return false;
  }
}
