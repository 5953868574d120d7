import type { SyncProgress } from '../jobs/sync.ts';

/** Shows a sync as it goes: a bar per running stream on a terminal, one line per finished stream elsewhere. Writes to standard error only. */
export function showProgress(out: NodeJS.WriteStream): (progress: SyncProgress) => void {
  const running = new Map<string, SyncProgress>();
  let drawn = 0;
  const erase = () => {
    if (drawn > 0) out.write(`\u001B[${drawn}F\u001B[J`);
    drawn = 0;
  };
  return (progress) => {
    const name = `${progress.connector}/${progress.stream}`;
    const before = running.get(name);
    if (progress.state === 'running') running.set(name, progress);
    else running.delete(name);
    if (out.isTTY) erase();
    if (progress.state === 'done') out.write(`  ✓ ${name.padEnd(46)} ${String(before?.in ?? 0).padStart(6)} read\n`);
    if (progress.state === 'failed') out.write(`  ✗ ${name.padEnd(46)} ${progress.error ?? ''}\n`);
    if (!out.isTTY) return;
    for (const one of running.values()) out.write(`    ${`${one.connector}/${one.stream}`.padEnd(46)} ${bar(one)}\n`);
    drawn = running.size;
  };
}

const WIDTH = 24;

function bar({ in: read, total }: SyncProgress): string {
  if (total === undefined || total === 0) return `${String(read).padStart(6)} read`;
  const done = Math.min(WIDTH, Math.round((read / total) * WIDTH));
  return `${String(read).padStart(6)} of ${total} ${'█'.repeat(done)}${'░'.repeat(WIDTH - done)}`;
}
