import { readConfig } from '../config.ts';
import { loadModel } from '../model/load.ts';
import { mintToken } from '../resolvers/token.ts';
import type { Environment } from './runtime.ts';

/** `hub token`: a token of the local development key, for developers. An unknown department or purpose is named, not signed. */
export async function token(
  environment: Environment,
  options: { department: string; name: string; id: string; purpose: string[]; region: string; role: string; expires: number },
): Promise<void> {
  const { data, issuer, audience, schema } = readConfig(environment);
  const model = loadModel(schema);
  const known = (set: string) => [...(model.codes.get(set)?.values.keys() ?? [])];
  if (!known('departments').includes(options.department)) throw new Error(`department must be one of: ${known('departments').join(', ')}`);
  const unknown = options.purpose.filter((p) => !known('purposes').includes(p));
  if (unknown.length > 0) throw new Error(`purpose must be one of: ${known('purposes').join(', ')}`);
  const { id, name, department, role, region, purpose: purposes, expires: expiresIn } = options;
  const text = await mintToken(data, { id, name, department, role, region, purposes, issuer, audience, expiresIn });
  process.stdout.write(`${text}\n`);
}
