import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

interface Report {
  streams: ({ connector: string; stream: string } & Record<'in' | 'stored' | 'unchanged' | 'issues' | 'pushed' | 'receipts', number>)[];
  dirt: { kind: string; planted: number; found: number }[];
  answers: Record<string, { data?: { subject?: unknown }; errors?: unknown[] }>;
  log: { entries: number; verified: boolean };
}

/** A configured system: the demo fails if it takes any of these for its own. */
const ELSEWHERE = Object.fromEntries(
  [
    'DATABASE_URL',
    'REDIS_URL',
    'HUB_KEYS',
    'OIDC_ISSUER',
    'OIDC_AUDIENCE',
    'OIDC_JWKS_URL',
    'CREDIT_CHINA_URL',
    'CREDIT_CHINA_SECRET',
  ].flatMap((name) => [
    [name, 'nonsense'],
    [`${name}_FILE`, '/nonsense/file'],
  ]),
);

/** `npm run demo -- --once` on a machine where nothing is to be found: no programs, no database, no Redis. */
async function demoOnce(folder: string): Promise<{ code: number | null; out: string; err: string }> {
  const args = ['--disable-warning=ExperimentalWarning', '--import', './scripts/ts-hook.mjs', 'src/main.ts', 'demo', '--once'];
  const env = { PATH: '/nonsense', HUB_DATA: folder, ...ELSEWHERE };
  const child = spawn(process.execPath, args, { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'], env });
  const said = { out: '', err: '' };
  child.stdout.on('data', (chunk: Buffer) => (said.out += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (said.err += chunk.toString()));
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, ...said };
}

describe('the demo', () => {
  let folder: string;
  let first: Report;
  let again: Report;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'hub-demo-'));
    // The embedded PostgreSQL runs as another user when this is root, and must reach its folder.
    await chmod(folder, 0o755);
    const reports: Report[] = [];
    for (let times = 0; times < 2; times += 1) {
      const { code, out, err } = await demoOnce(folder);
      if (code !== 0) throw new Error(`the demo ended with ${code}: ${err}`);
      reports.push(JSON.parse(out) as Report);
      expect(out.trimEnd()).not.toContain('\n');
    }
    [first, again] = reports as [Report, Report];
  }, 300_000);
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it('HUB-1 needs no program, database, Redis or key of the machine, and prints one JSON object', () => {
    expect(Object.keys(first).toSorted()).toEqual(expect.arrayContaining(['answers', 'dirt', 'log', 'streams']));
    expect(first.streams.length).toBeGreaterThan(15);
  });

  it('HUB-1 P5 every raw record of every stream is accounted for', () => {
    for (const s of first.streams) expect([s.stream, s.in]).toEqual([s.stream, s.stored + s.unchanged + s.issues]);
    expect(first.streams.reduce((sum, s) => sum + s.stored, 0)).toBeGreaterThan(5000);
    const pushed = first.streams.filter((s) => s.pushed > 0);
    expect(pushed.length).toBeGreaterThan(1);
    for (const s of pushed) expect([s.connector, s.receipts]).toEqual([s.connector, s.pushed]);
  });

  it('HUB-1 every kind of planted dirt is found exactly', () => {
    expect(first.dirt.length).toBeGreaterThan(8);
    for (const d of first.dirt) expect([d.kind, d.found]).toEqual([d.kind, d.planted]);
  });

  it('HUB-1 HN-5 three departments get three different answers to one question', () => {
    const answers = Object.values(first.answers);
    expect(answers).toHaveLength(3);
    for (const answer of answers) expect(answer.data?.subject).toBeTruthy();
    expect(new Set(answers.map((answer) => JSON.stringify(answer.data))).size).toBe(3);
  });

  it('HN-23.2 the query log of the demo verifies', () => {
    expect(first.log).toMatchObject({ verified: true });
    expect(again.log).toMatchObject({ verified: true });
    expect(again.log.entries).toBeGreaterThan(first.log.entries);
  });

  it('HUB-1 P5 P6 a second demo stores nothing and sends nothing', () => {
    expect(again.streams.filter((s) => s.stored > 0 || s.pushed > 0)).toEqual([]);
    for (const d of again.dirt) expect([d.kind, d.found]).toEqual([d.kind, d.planted]);
  });
});
