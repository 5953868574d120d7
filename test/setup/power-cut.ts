/**
 * P8: a disk that can be copied as it is at an instant. PostgreSQL's data lie on an ext4 image inside an XFS; a reflink copy of the image is what a power cut
 * would leave on the disk: what nobody has synced is not in it. The system under test never stops. The loop device writes in order, so a disk cache that lies
 * about what it holds is not modelled.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const PREFIX = 'credit-hub-power-';
const OUTER_BYTES = '6G';
const INNER_BYTES = '1500M';

export interface CutDisk {
  /** Folder on the disk, for the data. */
  readonly folder: string;
  /** What is on the disk at this instant, as a folder of a machine that starts again. Blocks for some milliseconds. */
  cut(): Snapshot;
  close(): void;
}

export interface Snapshot {
  /** Mounts it, as the next start would; the journal of its file system is played back. */
  open(): string;
  close(): void;
}

const run = (program: string, ...args: string[]): string =>
  execFileSync(program, args, { stdio: ['ignore', 'pipe', 'pipe'], encoding: 'utf8' });

/** Why no such disk can be made here; undefined where one can. */
export function noCutDisk(): string | undefined {
  if (process.platform !== 'linux') return 'it needs Linux';
  if (process.getuid?.() !== 0) return 'it needs root for loop devices';
  const missing = ['mkfs.xfs', 'mkfs.ext4', 'losetup', 'mount'].filter(
    (name) => !['/sbin', '/usr/sbin', '/bin', '/usr/bin'].some((folder) => existsSync(join(folder, name))),
  );
  if (missing.length > 0) return `${missing.join(', ')} missing (Debian: xfsprogs, e2fsprogs, mount)`;
  try {
    openCutDisk().close();
    return undefined;
  } catch (error) {
    return `no loop device with XFS reflinks: ${(error as Error).message.split('\n')[0]}`;
  }
}

/** Takes away what a run that was killed has left: its folder names its process. */
function removeStale(): void {
  for (const name of readdirSync(tmpdir()).filter((one) => one.startsWith(PREFIX))) {
    const pid = Number(name.slice(PREFIX.length).split('-')[0]);
    if (existsSync(`/proc/${pid}`)) continue;
    const home = join(tmpdir(), name);
    const inside = readdirSync(home).filter((one) => !one.endsWith('.img'));
    // Copies and the inner disk lie on the outer one.
    for (const one of [...inside.filter((at) => at !== 'outer'), 'outer']) {
      try {
        run('umount', join(home, one));
      } catch {
        // It was no mount any more.
      }
    }
    if (!readFileSync('/proc/mounts', 'utf8').includes(home)) rmSync(home, { recursive: true, force: true });
  }
}

export function openCutDisk(): CutDisk {
  removeStale();
  const home = mkdtempSync(join(tmpdir(), `${PREFIX}${process.pid}-`));
  run('chmod', '755', home);
  const [outer, inner] = [join(home, 'outer'), join(home, 'inner')];
  const undo: (() => void)[] = [() => rmSync(join(home, 'outer.img'), { force: true }), () => rmdirSync(home)].reverse();
  const close = (): void => {
    const faults: unknown[] = [];
    for (const step of undo.splice(0).reverse()) {
      try {
        step();
      } catch (error) {
        faults.push(error);
      }
    }
    if (faults.length > 0) throw faults[0];
  };
  const mounted = (image: string, at: string): void => {
    mkdirSync(at);
    undo.push(() => rmdirSync(at));
    run('mount', '-o', 'loop', image, at);
    undo.push(() => run('umount', at));
  };
  try {
    run('truncate', '-s', OUTER_BYTES, join(home, 'outer.img'));
    run('mkfs.xfs', '-q', '-m', 'reflink=1', join(home, 'outer.img'));
    mounted(join(home, 'outer.img'), outer);
    run('truncate', '-s', INNER_BYTES, join(outer, 'inner.img'));
    run('mkfs.ext4', '-q', join(outer, 'inner.img'));
    mounted(join(outer, 'inner.img'), inner);
    run('cp', '--reflink=always', join(outer, 'inner.img'), join(outer, 'probe.img'));
    rmSync(join(outer, 'probe.img'));
  } catch (error) {
    try {
      close();
    } catch {
      // What went wrong first is what is told; the rest goes with the next start.
    }
    throw error;
  }
  let cuts = 0;
  return {
    folder: inner,
    close,
    cut() {
      cuts += 1;
      const image = join(outer, `cut-${cuts}.img`);
      const at = join(home, `cut-${cuts}`);
      run('cp', '--reflink=always', join(outer, 'inner.img'), image);
      return {
        open() {
          mkdirSync(at);
          undo.push(() => rmSync(at, { recursive: true, force: true }));
          run('mount', '-o', 'loop', image, at);
          return at;
        },
        close() {
          run('umount', at);
          rmSync(image);
        },
      };
    },
  };
}
