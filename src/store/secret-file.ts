import {
  chownSync,
  closeSync,
  existsSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';

/**
 * The text of a file that holds a key or password, made when it is not there. What is returned is on the disk and survives a power cut, and of two
 * processes that start at once both get the same. Only its owner may read it.
 */
export function secretFile(path: string, make: () => string, owner?: { uid: number; gid: number }): string {
  if (!existsSync(path)) {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    const draft = writeDraft(path, make(), owner);
    try {
      linkSync(draft, path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    } finally {
      rmSync(draft, { force: true });
    }
    syncFolder(path);
  }
  return readFileSync(path, 'utf8');
}

/** Writes such a file anew, whole or not at all. */
export function replaceSecretFile(path: string, text: string): void {
  renameSync(writeDraft(path, text), path);
  syncFolder(path);
}

function writeDraft(path: string, text: string, owner?: { uid: number; gid: number }): string {
  const draft = `${path}.${process.pid}.new`;
  const file = openSync(draft, 'w', 0o600);
  try {
    writeSync(file, text);
    if (owner) chownSync(draft, owner.uid, owner.gid);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  return draft;
}

/** A name is on the disk when its folder is. */
export function syncFolder(path: string): void {
  // Windows has no such call, and keeps names itself.
  if (process.platform === 'win32') return;
  const folder = openSync(dirname(path), 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}
