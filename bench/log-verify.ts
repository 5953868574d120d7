/**
 * How fast the verifier reads: `npm run bench:log -- [entries]` (200,000 unless told). Appends sample entries through four writers to an embedded
 * PostgreSQL, seals them, and verifies them three times with signatures; prints one JSON line per pass: entries, seconds, entries per second of
 * wall time, and entries per second of processor time of this process, which is what one core can do.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ensureLogPartitions } from '../src/log/partitions.ts';
import { seal } from '../src/log/seal.ts';
import { openPublicKey, openSigner } from '../src/log/signature.ts';
import { verifyLog } from '../src/log/verify.ts';
import { openLog } from '../src/log/writer.ts';
import { startEmbedded } from '../src/store/embedded.ts';
import { migrate } from '../src/store/migrate.ts';
import { newSigningKey } from '../src/store/signing.ts';
import { openPool, type Pool } from '../src/store/sql.ts';
import { sampleDocument, sampleEntry } from '../test/fixtures/log-entries.ts';

const entries = Number(process.argv[2] ?? 200_000);
const national = process.argv[3] === 'national';
const suite = national ? 'sm3' : 'sha256';
const folder = mkdtempSync(join(tmpdir(), 'credit-hub-bench-'));
const print = (line: object): void => void process.stdout.write(`${JSON.stringify(line)}\n`);

/** About as long as the entry of a query for an archive. */
const entryOf = (n: number, document: string) =>
  sampleEntry(n, {
    document,
    variables: '{"code":"t:0123456789abcdef0123456789abcdef"}',
    fields: Array.from({ length: 12 }, (_, index) => `AdministrationRecord.field${index}`),
    rules: ['health/penalties', 'health/registration'],
  });

async function fill(pool: Pool): Promise<void> {
  const logs = await Promise.all([1, 2, 3, 4].map(() => openLog({ pool, node: 'bench', suite, allowUnsafe: true })));
  const documents = await Promise.all([0, 1, 2, 3].map((n) => logs[0]!.document(sampleDocument(n))));
  let next = 0;
  const caller = async (): Promise<void> => {
    for (let n = next++; n < entries; n = next++) await logs[n % 4]!.append(entryOf(n, documents[n % 4]!));
  };
  await Promise.all(Array.from({ length: 256 }, caller));
  for (const log of logs) await log.close();
}

async function measure<T>(pass: string, work: () => Promise<T & { entries: number }>): Promise<T> {
  const cpu = process.cpuUsage();
  const started = performance.now();
  const result = await work();
  const seconds = (performance.now() - started) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  const busy = (user + system) / 1e6;
  print({
    pass,
    entries: result.entries,
    seconds: Number(seconds.toFixed(2)),
    perSecond: Math.round(result.entries / seconds),
    perSecondOfProcessor: Math.round(result.entries / busy),
  });
  return result;
}

const server = await startEmbedded({ dataDir: folder, test: true });
try {
  const url = server.url('hub');
  await migrate(url);
  const pool = openPool(url, { max: 10, applicationName: 'hub bench' });
  await ensureLogPartitions(pool, new Date(), 1);
  const { privateKey, publicKey } = newSigningKey(national ? 'sm2' : 'ed25519');
  await measure('append', async () => {
    await fill(pool);
    return { entries };
  });
  await measure('seal', async () => ({ entries: (await seal(pool, { signer: openSigner(privateKey), suite })).rows }));
  await pool.query('vacuum analyze');
  for (const pass of ['verify', 'verify', 'verify']) {
    const result = await measure(pass, () => verifyLog(pool, { keys: [openPublicKey(publicKey)] }));
    if (!result.verified || result.sealed !== entries) throw new Error(`the log does not verify: ${JSON.stringify(result)}`);
  }
  await pool.close();
} finally {
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
}
