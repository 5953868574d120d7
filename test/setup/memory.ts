/** How much memory this process holds, when what nobody needs any more is let go. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** Resident memory in bytes after collection. Waits between two rounds, because buffers are let go behind the collector. */
export async function residentMemory(): Promise<number> {
  for (let round = 0; round < 3; round += 1) {
    collect();
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return process.memoryUsage.rss();
}

/**
 * Bytes by which repeating `work` grows the resident memory: of two repetitions the smaller growth. What is lost is lost each time;
 * what the allocator keeps for later, or another test of this process left behind, is taken once.
 */
export async function growthOf(work: () => Promise<void>): Promise<number> {
  const growths: number[] = [];
  for (let round = 0; round < 2; round += 1) {
    const before = await residentMemory();
    await work();
    growths.push((await residentMemory()) - before);
    if ((growths[0] ?? 0) < SMALL) break;
  }
  return Math.min(...growths);
}

/** A first growth below this needs no second look: 16 MiB. */
const SMALL = 16 * 1024 * 1024;
