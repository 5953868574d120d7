/**
 * Bounded memory of a first load and of a second one: `npm run bench:ingest -- [records]` (1,000,000 unless told).
 * Writes a CSV of made-up registrations, loads it with `hub sync … --file` in a process of its own into an embedded PostgreSQL, twice, and
 * prints one JSON line per load: records, seconds, records per second, and the highest resident set of the loading process.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { usccFor } from '../src/identity/uscc.ts';

const records = Number(process.argv[2] ?? 1_000_000);
const folder = mkdtempSync(join(tmpdir(), 'credit-hub-bench-'));
const file = join(folder, 'registrations.csv');
const COLUMNS =
  'main_identi_id,reg_org,comp_type,reg_state,uni_social_crd_cd,comp_nm,addr,legal_repre,indv_id,reg_capt,capt_kind,opt_scop,reg_no,appr_dt,est_dt,opt_from,opt_to,domdi_strict,pro_loc,opt_strict,postal_code,opt_loc,indv_code,indv_nm';

/** 8 characters of an organisation code that differ for every number, without I, O, Z, S and V. */
function organisation(n: number): string {
  return `M${n.toString().padStart(7, '0')}`;
}

async function writeCsv(): Promise<void> {
  const out = createWriteStream(file);
  out.write(`${COLUMNS}\n`);
  for (let n = 0; n < records; n += 1) {
    const code = usccFor('91330206', organisation(n));
    const day = `20${String(10 + (n % 15)).padStart(2, '0')}-${String(1 + (n % 12)).padStart(2, '0')}-${String(1 + (n % 28)).padStart(2, '0')}`;
    const row = `${code.slice(2)},示例市场监督管理局,有限责任公司,存续,${code},示例企业${n}有限公司,示例路${n % 999}号,示例人,软件开发,1000000.0,人民币,技术服务,${code.slice(2)},${day},${day},${day},2099-12-31,330206001,北仑区,330206001,315800,北仑区,6510.0,6510.0\n`;
    if (!out.write(row)) await once(out, 'drain');
  }
  out.end();
  await once(out, 'finish');
}

/** Highest resident set in MiB so far, from /proc; 0 where there is none. */
function residentSet(pid: number): number {
  try {
    return Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024;
  } catch {
    return 0;
  }
}

async function load(pass: string): Promise<void> {
  const started = performance.now();
  const args = [
    '--disable-warning=ExperimentalWarning',
    // As the container runs it: V8 collects sooner, instead of growing because the machine has room.
    '--max-old-space-size=256',
    '--import',
    './scripts/ts-hook.mjs',
    'src/main.ts',
    'sync',
    'ningbo-market/registrations',
    '--file',
    file,
  ];
  const child = spawn(process.execPath, args, {
    env: { ...process.env, HUB_DATA: join(folder, 'hub') },
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  let peak = 0;
  const timer = setInterval(() => (peak = Math.max(peak, residentSet(child.pid ?? 0))), 200);
  let out = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text));
  const [code] = (await once(child, 'close')) as [number];
  clearInterval(timer);
  const seconds = (performance.now() - started) / 1000;
  const counts = JSON.parse(out.trim() || '{}') as { in?: number; stored?: number; unchanged?: number; issues?: number };
  const figures = {
    pass,
    exit: code,
    ...counts,
    seconds: Math.round(seconds),
    perSecond: Math.round((counts.in ?? 0) / seconds),
    peakResidentMiB: Math.round(peak),
  };
  process.stdout.write(`${JSON.stringify(figures)}\n`);
}

try {
  await writeCsv();
  await load('first');
  await load('again');
} finally {
  rmSync(folder, { recursive: true, force: true });
}
