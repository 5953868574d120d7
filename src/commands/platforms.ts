import { randomBytes } from 'node:crypto';
import type { SandboxData } from '../sandbox/generate.ts';
import type { Execute } from '../sandbox/seeding.ts';
import { type SandboxOptions, type Sandboxes, startSandboxes } from '../sandbox/start.ts';
import { ensureDatabase } from '../store/databases.ts';
import { openPool } from '../store/sql.ts';

export interface Platforms {
  sandboxes: Sandboxes;
  /** SQL at each platform's database. */
  execute: { nationalInsurance: Execute; hunanCredit: Execute; creditChina: Execute };
}

/** A user of the sandboxes' databases alone, for those who are given their addresses. */
const GUEST = 'sandbox_guest';

/**
 * Starts the platforms with databases of their own beside the one at `databaseUrl`; `prefix` sets theirs apart from those of another
 * sandbox. With `guest` the connectors' variables name a user who reaches nothing but the platforms' tables, so that they may be shown.
 */
export async function openPlatforms(
  data: SandboxData,
  databaseUrl: string,
  onClose: (step: () => Promise<void>) => void,
  options: { prefix: string; guest?: boolean } & Partial<SandboxOptions>,
): Promise<Platforms> {
  const { prefix, guest, ...behaviour } = options;
  const open = async (name: string) => {
    const url = await ensureDatabase(databaseUrl, `${prefix}_${name}`);
    const pool = openPool(url, { max: 4, applicationName: 'sandbox' });
    onClose(() => pool.close());
    const execute: Execute = (text, values) => pool.query<Record<string, unknown>>(text, values);
    return { url, execute };
  };
  const nationalInsurance = await open('national_insurance');
  const hunanCredit = await open('hunan_credit');
  const creditChina = await open('credit_china');
  const execute = { nationalInsurance: nationalInsurance.execute, hunanCredit: hunanCredit.execute, creditChina: creditChina.execute };
  const password = randomBytes(24).toString('base64url');
  const shown = (url: string): string => (guest ? withUser(url, GUEST, password) : url);
  const databaseUrls = { nationalInsurance: shown(nationalInsurance.url), hunanCredit: shown(hunanCredit.url) };
  const sandboxes = await startSandboxes({ ...behaviour, data, execute, databaseUrls });
  onClose(() => sandboxes.stop());
  if (guest) for (const one of [execute.nationalInsurance, execute.hunanCredit]) await admit(one, password);
  return { sandboxes, execute };
}

/** As much as a bureau gives: it may read and write the platform's tables, and has nothing else. */
async function admit(execute: Execute, password: string): Promise<void> {
  const { rows } = await execute('select from pg_roles where rolname = $1', [GUEST]);
  await execute(`${rows.length === 0 ? 'create' : 'alter'} role ${GUEST} login password '${password}'`);
  const schemas = await execute(
    `select quote_ident(nspname) as name from pg_namespace where nspname !~ '^(pg_|information_schema$|public$)'`,
  );
  for (const { name } of schemas.rows) {
    await execute(`grant usage on schema ${String(name)} to ${GUEST}`);
    await execute(`grant select, insert, update on all tables in schema ${String(name)} to ${GUEST}`);
  }
}

function withUser(url: string, user: string, password: string): string {
  const address = new URL(url);
  address.username = user;
  address.password = password;
  return address.toString();
}
