import { readVariable } from '../config.ts';
import type { Connector } from '../model/types.ts';

/**
 * The values of a connector's settings in this deployment. `missing` names the environment variables (not the settings) that have neither a
 * value nor a default; a blank variable counts as absent, and `NAME_FILE` may name a file
 * that holds the value. The values may be secrets: not for logs.
 */
export function resolveSettings(
  connector: Connector,
  env: Readonly<Record<string, string | undefined>>,
): { settings: Record<string, string>; missing: string[] } {
  const settings: Record<string, string> = {};
  const missing: string[] = [];
  for (const [name, setting] of connector.settings) {
    const value = readVariable(setting.env, env)?.trim() || setting.default;
    if (value === undefined) missing.push(setting.env);
    else settings[name] = value;
  }
  return { settings, missing };
}
