/**
 * What the second wall costs: `npm run bench:wall -- [records]` (200,000 unless told). The same reads of the same grant, in turn without the wall –
 * one statement as the owner of the tables – and behind it, against an embedded PostgreSQL. Prints one JSON line per read: milliseconds, median and
 * 95th percentile, of one caller at a time, and reads per second of eight at once.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decide } from '../src/access/decide.ts';
import { loadModel } from '../src/model/load.ts';
import { startEmbedded } from '../src/store/embedded.ts';
import { newKeyRing, openKeys } from '../src/store/keys.ts';
import { migrate } from '../src/store/migrate.ts';
import { openReader, type Reader } from '../src/store/reader.ts';
import { WRITER } from '../src/store/roles.ts';
import { openPool, type Pool, type Walled } from '../src/store/sql.ts';

const RECORDS = Number(process.argv[2] ?? 200_000);
const ROUNDS = 300;
const PAGE = { first: 20, after: undefined };

const model = loadModel(new URL('../schema/', import.meta.url).pathname);
const all = [...model.categories.values(), ...model.subjects.values()].flatMap((t) =>
  [...t.fields.values()].map((f) => `${t.type}.${f.name}`),
);
const asked = { selected: new Set(all), explicit: new Set(all), constrained: new Set<string>() };
const health = { id: 'x', name: '陈静', department: 'health', role: 'officer', region: '430100', actingFor: '', purposes: undefined };
const grant = decide(model, health, { code: 'credit-evaluation', basis: '', case: '' }, asked, '2026-11-23');

/** Penalties and violations of invented organisations, one in four in the region of the grant; ten to a subject. */
async function fill(pool: Pool): Promise<void> {
  const region = (n: string) => `(array['430102', '430405', '410102', '330206'])[1 + (${n}) % 4]`;
  await pool.query(
    `insert into subject (id, kind, region, open) select n, 'organisation', ${region('n')}, jsonb_build_object('name', '示例医院第' || n || '号')
     from generate_series(1, $1::int) n`,
    [RECORDS / 10],
  );
  await pool.query(
    `insert into record (id, subject_id, subject_kind, category, kind, publicity, region, connector, stream, source_key, ordered_on, fact, content, run_id, open, internal, personal, masks)
     select n, 1 + n % $2::int, 'organisation', case when n % 2 = 0 then 3 else 9 end, case when n % 2 = 0 then 'penalty' else 'violation' end, 'public',
       ${region('n % $2::int')}, 'bench', 'bench', n::text, date '2020-01-01' + n % 2000, decode(lpad(to_hex(n), 16, '0'), 'hex'), '\\x00', 0,
       jsonb_build_object('decisionNumber', n::text, 'facts', '分解住院', 'content', '罚款', 'authority', '示例市医疗保障局', 'decidedOn', '2026-03-04', 'fineAmount', n),
       jsonb_build_object('note', '备注'), jsonb_build_object('legalRepresentative', '夏侯长歌'), jsonb_build_object('legalRepresentative', '夏**歌')
     from generate_series(1, $1::int) n`,
    [RECORDS, RECORDS / 10],
  );
  await pool.query('analyze');
}

const reads: Record<string, (reader: Reader) => Promise<unknown>> = {
  'one subject': (reader) => reader.subjectsByRowId([1 + 4 * Math.floor(Math.random() * 100)]),
  'records of one subject': (reader) => reader.recordsOf([4 * Math.floor(1 + Math.random() * 100)], {}, PAGE),
  'counts of 20 subjects': (reader) =>
    reader.countsOf(
      Array.from({ length: 20 }, (_, i) => 4 * (i + 1)),
      {},
    ),
  'newest 20 of a category': (reader) => reader.records({ categories: [3] }, PAGE),
  'newest 200 of a category': (reader) => reader.records({ categories: [3] }, { first: 200, after: undefined }),
  'a field that nothing indexes': (reader) =>
    reader.records({ fields: [{ category: 3, field: 'decisionNumber', comparison: { eq: '4444' } }] }, PAGE),
};

async function measure(read: (reader: Reader) => Promise<unknown>, open: () => Reader, rounds: number): Promise<number[]> {
  const times: number[] = [];
  for (let i = 0; i < rounds; i += 1) {
    const started = performance.now();
    await read(open());
    times.push(performance.now() - started);
  }
  return times.sort((a, b) => a - b);
}

const at = (times: readonly number[], share: number) => Math.round((times[Math.floor(times.length * share)] ?? 0) * 100) / 100;

const folder = mkdtempSync(join(tmpdir(), 'credit-hub-bench-'));
const server = await startEmbedded({ dataDir: folder, test: true });
const pools: Pool[] = [];
try {
  await migrate(server.url('hub'));
  const owner = openPool(server.url('hub'), { max: 8 });
  const hub = openPool(server.url('hub'), { max: 8, role: WRITER });
  pools.push(owner, hub);
  await fill(owner);
  const keys = openKeys(newKeyRing());
  const bare: Walled = { read: (_enter, text, values) => owner.query(text, values) };
  const open = { without: () => openReader(bare, keys, model, grant), behind: () => openReader(hub, keys, model, grant) };
  for (const [name, read] of Object.entries(reads)) {
    const rounds = name.startsWith('a field') ? 20 : ROUNDS;
    const figures: Record<string, unknown> = { read: name };
    for (const [side, reader] of Object.entries(open)) {
      await measure(read, reader, 10);
      const times = await measure(read, reader, rounds);
      const started = performance.now();
      await Promise.all(Array.from({ length: 8 }, () => measure(read, reader, rounds / 4)));
      const perSecond = Math.round((rounds * 2) / ((performance.now() - started) / 1000));
      figures[side] = { median: at(times, 0.5), p95: at(times, 0.95), perSecond };
    }
    process.stdout.write(`${JSON.stringify(figures)}\n`);
  }
} finally {
  for (const pool of pools) await pool.close();
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
}
