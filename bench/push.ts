/**
 * How soon a change is with the platform: `npm run bench:push -- [seconds]` (20 unless told). 100 changes a second, each committed by itself, of grades
 * that go to 信用中国; the queues and all else on one embedded PostgreSQL, with the sandboxes. Prints one JSON line: milliseconds from the commit to the
 * stored receipt of that version, or of the newer one that took its place.
 */
import 'reflect-metadata';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { openPlatforms } from '../src/commands/platforms.ts';
import { jobsOf, openRuntime } from '../src/commands/runtime.ts';
import { openWorker } from '../src/commands/services.ts';
import { runPull } from '../src/jobs/pull.ts';
import { findStream } from '../src/model/streams.ts';
import { generate } from '../src/sandbox/generate.ts';
import { enqueue } from '../src/store/outbox.ts';

const PER_SECOND = 100;
const seconds = Number(process.argv[2] ?? 20);
const folder = mkdtempSync(join(tmpdir(), 'credit-hub-bench-'));
const data = generate({ seed: 7, organisations: 150, persons: 100 });
const runtime = await openRuntime({
  environment: { LOG_LEVEL: 'error', HUB_DATA: folder, HUB_PORT: '0' },
  local: true,
  platforms: async (url, onClose) =>
    (await openPlatforms(data, url, onClose, { prefix: 'sandbox', folder: join(folder, 'packets') })).sandboxes.env,
});
try {
  const { pool, model } = runtime;
  await openWorker(runtime, 4);
  const jobs = jobsOf(runtime, await runtime.log('bench'));
  for (const name of ['medical-institutions', 'pharmacies', 'credit-grades']) {
    const stream = findStream(model, `national-insurance/${name}`);
    if (stream?.direction === 'pull') await runPull(jobs, stream, { trigger: 'manual' });
  }
  const open = async () => (await pool.query(`select from outbox where state in ('waiting', 'sent') limit 1`)).rowCount > 0;
  while (await open()) await sleep(200);

  const { rows: records } = await pool.query<{ id: number; subjectId: number; version: number }>(
    `select id, subject_id as "subjectId", version from record where category = 6 and kind = 'medical-insurance-evaluation' order by id`,
  );
  const changes: { id: number; version: number; at: number }[] = [];
  const change = async (n: number): Promise<void> => {
    const record = records[n % records.length];
    if (record === undefined) return;
    const { id, subjectId } = record;
    record.version += 1;
    const { version } = record;
    await pool.transaction(async (sql) => {
      await sql.query(
        `insert into record_version (record_id, version, category, kind, publicity, source_version, deleted, fact, content, region, occurred_on,
           valid_from, valid_to, open, internal, run_id)
         select record_id, $2, category, kind, publicity, source_version, deleted, fact, content, region, occurred_on, valid_from, valid_to, open,
           internal, run_id from record_version where record_id = $1 and version = 1`,
        [id, version],
      );
      await sql.query('update record set version = $2, changed_at = now() where id = $1', [id, version]);
      await enqueue(sql, model, [{ recordId: id, version, subjectId, category: 6, kind: 'medical-insurance-evaluation' }]);
    });
    changes.push({ id, version, at: Date.now() });
  };
  const started = performance.now();
  const under: Promise<void>[] = [];
  for (let n = 0; n < PER_SECOND * seconds; n += 1) {
    const due = started + (n * 1000) / PER_SECOND - performance.now();
    if (due > 0) await sleep(due);
    under.push(change(n));
  }
  await Promise.all(under);
  while (await open()) await sleep(200);
  const { rows: receipts } = await pool.query<{ id: number; version: number; at: number }>(
    `select o.record_id as id, o.version, (extract(epoch from r.created_at) * 1000)::float8 as at from receipt r join outbox o on o.id = r.outbox_id
     where o.connector = 'credit-china' and o.stream = 'evaluation-results' order by r.created_at`,
  );
  const took = changes.flatMap(({ id, version, at }) => {
    const receipt = receipts.find((one) => one.id === id && one.version >= version);
    return receipt === undefined ? [] : [Math.max(0, receipt.at - at)];
  });
  took.sort((a, b) => a - b);
  const at = (share: number) => Math.round(took[Math.min(took.length - 1, Math.floor(took.length * share))] ?? 0);
  const sent = receipts.filter((one) => one.version > 1).length;
  console.log(JSON.stringify({ changes: changes.length, withReceipt: took.length, sent, p50: at(0.5), p99: at(0.99), slowest: at(1) }));
} finally {
  await runtime.close();
  rmSync(folder, { recursive: true, force: true });
}
