import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readConfig } from '../config.ts';
import { openKeys } from '../store/keys.ts';
import { indexedUnder, reindexAll } from '../store/reindex.ts';
import { resealAll, sealedUnder } from '../store/reseal.ts';
import { type KeyRing, type KeyUse, readRing, withNewKey, writeRing } from '../store/ring.ts';
import { type Environment, openRuntime, type Runtime } from './runtime.ts';
import { replaceSecretFile } from '../store/secret-file.ts';

type Print = (text: string) => void;

/**
 * `hub keys rotate`: a new key. For `seal` the new one seals from the next start of each process on; `prepare` only makes it known, so that
 * processes that still run can read what others will seal with it. For `blind` and `log` it is in use at once, beside the ones before.
 */
export function rotate(environment: Environment, use: KeyUse, prepare: boolean, print: Print): void {
  const ring = readRing(ringText(environment));
  keep(environment, rotated(ring, use, prepare), print);
}

function rotated(ring: KeyRing, use: KeyUse, prepare: boolean): KeyRing {
  if (use === 'log') return withNewKey(ring, 'log');
  if (use === 'blind') {
    if (ring.live !== ring.blind.at(-1)?.id)
      throw new Error(`the blind index is between two keys: first \`hub keys reseal\`, then \`hub keys retire ${ring.live}\``);
    return withNewKey(ring, 'blind');
  }
  const prepared = ring.active !== ring.seal.at(-1)?.id;
  if (prepare && prepared) throw new Error('a key is prepared already: `hub keys rotate` puts it to use');
  const next = prepared ? ring : withNewKey(ring, 'seal');
  return prepare ? next : { ...next, active: next.seal.at(-1)?.id ?? next.active };
}

/** `hub keys retire ID`: takes a sealing key out of the ring that nothing is under any more, or ends the writing of a generation of the blind index. */
export async function retire(environment: Environment, id: string, print: Print): Promise<void> {
  const ring = readRing(ringText(environment));
  await withRuntime(environment, async ({ pool }) => {
    if (id.startsWith('k')) {
      if (id === ring.active || !ring.seal.some((key) => key.id === id)) throw new Error(`${id} is no older sealing key of the ring`);
      const left = (await sealedUnder(pool)).filter(({ key }) => key === id);
      if (left.length > 0) throw new Error(`${sum(left)} values are still sealed under ${id}: run \`hub keys reseal\``);
      keep(environment, { ...ring, seal: ring.seal.filter((key) => key.id !== id) }, print);
      return;
    }
    const next = ring.blind[ring.blind.findIndex((key) => key.id === ring.live) + 1];
    if (id !== ring.live || next === undefined) throw new Error(`${id} is no generation of the blind index that a newer one replaces`);
    const tokens = (await indexedUnder(pool)).filter(({ table }) => table === 'subject_identifier');
    const [old, fresh] = [id, next.id].map((key) => sum(tokens.filter((one) => one.key === key))) as [number, number];
    if (old > fresh) throw new Error(`${old - fresh} identifiers have no token of ${next.id} yet: run \`hub keys reseal\``);
    keep(environment, { ...ring, live: next.id }, print);
  });
}

/** `hub keys reseal`: brings old values to the newest sealing key and the blind index on, while the hub runs. Shows how far it is on standard error. */
export async function reseal(environment: Environment, print: Print): Promise<void> {
  await withRuntime(environment, async ({ pool, keys, model }) => {
    const lock = await pool.dedicated();
    try {
      const { rows } = await lock.query<{ held: boolean }>(`select pg_try_advisory_lock(hashtext('hub keys reseal')) as held`);
      if (rows[0]?.held !== true) throw new Error('another process is resealing');
      const show = (text: string) => process.stderr.write(process.stderr.isTTY ? `\r\u001B[K${text}` : `${text}\n`);
      const sealed = await resealAll(pool, keys, model, { onProgress: (table, done) => show(`${table}: ${done.resealed} rows resealed`) });
      const index = await reindexAll(pool, keys, {
        onProgress: (done) => show(`blind index: ${done.tokens} added, ${done.retired} retired`),
      });
      if (process.stderr.isTTY) process.stderr.write('\n');
      print(JSON.stringify({ ...sealed, ...index }));
      if (sealed.unreadable > 0) process.exitCode = 1;
    } finally {
      lock.release();
    }
  });
}

/** `hub keys status`: the keys by id, never their bytes, and how many values lie under each. */
export async function status(environment: Environment, print: Print): Promise<void> {
  const ring = readRing(ringText(environment));
  await withRuntime(environment, async ({ pool }) => {
    const [sealed, indexed] = [await sealedUnder(pool), await indexedUnder(pool)];
    const live = ring.blind.findIndex((key) => key.id === ring.live);
    const under = (counts: typeof sealed, key: string) =>
      Object.fromEntries(counts.filter((one) => one.key === key).map(({ table, values }) => [table, values]));
    const known = new Set(ring.seal.map(({ id }) => id));
    print(
      JSON.stringify({
        suite: ring.suite,
        seal: ring.seal.map(({ id }) => ({ id, active: id === ring.active, values: under(sealed, id) })),
        subjects: under(sealed, 'subjects'),
        unknown: sealed.filter(({ key }) => key !== 'subjects' && !known.has(key)),
        blind: ring.blind.map(({ id }, n) => ({ id, written: n >= live, tokens: under(indexed, id) })),
        log: ring.log.map(({ id }) => id),
      }),
    );
  });
}

const sum = (counts: readonly { values: number }[]): number => counts.reduce((total, { values }) => total + values, 0);

async function withRuntime(environment: Environment, work: (runtime: Runtime) => Promise<void>): Promise<void> {
  const runtime = await openRuntime({ environment, local: true });
  try {
    await work(runtime);
  } finally {
    await runtime.close();
  }
}

/** The file the ring lies in; undefined where it stands in the environment itself. */
function ringFile(environment: Environment): string | undefined {
  if (environment['HUB_KEYS']) return undefined;
  return environment['HUB_KEYS_FILE'] || join(readConfig(environment).data, 'keys.json');
}

function ringText(environment: Environment): string {
  const file = ringFile(environment);
  if (file === undefined) return environment['HUB_KEYS'] ?? '';
  if (!existsSync(file)) throw new Error('there is no key ring yet: make one with `npm run hub -- keys`');
  return readFileSync(file, 'utf8');
}

/** Writes the ring to its file, whole or not at all; a ring that stands in the environment is printed. A ring that does not open is never kept. */
function keep(environment: Environment, ring: KeyRing, print: Print): void {
  const text = writeRing(ring);
  openKeys(text);
  const file = ringFile(environment);
  if (file === undefined) {
    print(text);
    return;
  }
  replaceSecretFile(file, text);
  const list = (keys: { id: string }[]) => keys.map(({ id }) => id);
  print(JSON.stringify({ seal: list(ring.seal), active: ring.active, blind: list(ring.blind), live: ring.live, log: list(ring.log) }));
}
