/** Keys change while the hub runs: nothing is lost, nothing is found twice, and what is killed goes on. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { retire, rotate, status } from '../src/commands/keys.ts';
import { withCitizenCheck } from '../src/identity/citizen.ts';
import { usccFor } from '../src/identity/uscc.ts';
import { openKeys, newKeyRing, type Keys } from '../src/store/keys.ts';
import { undoMerge } from '../src/store/merge.ts';
import { registerCase } from '../src/store/cases.ts';
import { giveConsent } from '../src/store/consents.ts';
import { indexedUnder, reindexAll } from '../src/store/reindex.ts';
import { resealAll, sealedUnder } from '../src/store/reseal.ts';
import { type KeyRing, readRing, withNewKey, writeRing } from '../src/store/ring.ts';
import { SEALED_PLACES } from '../src/store/sealed-places.ts';
import { openerOf } from '../src/store/subject-keys.ts';
import type { Sql } from '../src/store/sql.ts';
import { applyOne, MODEL, openStore, pageOf, pullStreamOf, recordOf, type Store } from './setup/store.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const stream = pullStreamOf('credit-china/penalties');
const other = pullStreamOf('credit-china/licences');
const first = readRing(newKeyRing('national'));
const second: KeyRing = { ...withNewKey(first, 'seal'), active: 'k2' };
const keysOf = (ring: KeyRing): Keys => openKeys(writeRing(ring));
const codeOf = (n: number): string => usccFor('91430102', `M${String(n).padStart(7, '0')}`);
const secretOf = (n: number): string => withCitizenCheck(`43010219700101${String(n % 1000).padStart(3, '0')}`);
const sealedRecord = (n: number, text = secretOf(n)) =>
  recordOf(`p${n}`, codeOf(n % 20), { fields: { decisionNumber: `p${n}`, legalRepresentativeIdNumber: text } });

let store: Store;
const hub = (ring: KeyRing): Store => ({ ...store, keys: keysOf(ring) });
const rows = async <R>(text: string, values?: unknown[]) => (await store.pool.query<R>(text, values)).rows;

/** Every sealed value of the database, opened, by its place. */
async function openAll(keys: Keys): Promise<Map<string, string>> {
  const opened = new Map<string, string>();
  for (const place of SEALED_PLACES) {
    const all = await rows<Record<string, unknown> & { value: string | Record<string, string> | null }>(
      `select ${[...place.key, ...place.of].join(', ')}, ${place.column} as value from ${place.table}`,
    );
    const texts = all.flatMap(({ value }) => (value === null ? [] : typeof value === 'string' ? [value] : Object.values(value)));
    const open = await openerOf(store.pool, keys, texts);
    for (const row of all) {
      const fields = typeof row.value === 'string' ? { '': row.value } : (row.value ?? {});
      for (const [field, sealed] of Object.entries(fields))
        opened.set(
          `${place.table} ${place.key.map((k) => row[k]).join('/')} ${field}`,
          open(sealed, place.context(MODEL, row, field)) ?? '',
        );
    }
  }
  return opened;
}
/** A consent of a subject, under the first ring. */
const consentOf = (n: number) =>
  giveConsent(
    store.pool,
    keysOf(first),
    { id: 'p', name: 'n' },
    { scheme: 'uscc', code: codeOf(n) },
    {
      department: 'd',
      person: null,
      purposes: ['x'],
      categories: [1],
      validFrom: '2026-01-01',
      validUntil: '2026-12-31',
      channel: 'website',
      evidence: `consent ${n}`,
    },
  );
const underOld = async () => (await sealedUnder(store.pool)).filter(({ key }) => key === 'k1');

describe('resealing', () => {
  beforeAll(async () => {
    store = await openStore(writeRing(first));
    const issue = { rule: 'required', at: 'row 1', place: 'x', reason: 'y', refused: true, raw: { ID: secretOf(1) } };
    for (let from = 0; from < 3000; from += 500) {
      const records = Array.from({ length: 500 }, (_, i) => sealedRecord(from + i));
      await applyOne(store, stream, pageOf(records, { issues: from === 0 ? [issue] : [] }));
    }
    // A second version of some.
    await applyOne(store, stream, pageOf([1, 2, 3].map((n) => sealedRecord(n, secretOf(n + 500)))));
    await consentOf(1);
    await store.pool.query(
      `insert into submission (category, kind, region, sealed, basis, route, entered_by, entered_name, entered_department)
       values (3, 'penalty', '430102', $1, 'b', 'r', 'p', 'n', 'd')`,
      [store.keys.seal('{"a":"b"}', 'submission')],
    );
  });
  afterAll(() => store.drop());

  it('P22 knows every column that holds sealed values', async () => {
    const columns = await rows<{ name: string }>(
      `select table_name || '.' || column_name as name from information_schema.columns
       where table_schema = 'public' and (column_name in ('sealed', 'raw', 'wrapped')) order by 1`,
    );
    expect(columns.map(({ name }) => name)).toEqual(SEALED_PLACES.map(({ table, column }) => `${table}.${column}`).sort());
  });

  it('P22 killed in the middle goes on where it was, while pages come in: every value is under the newest key and says what it said', async () => {
    const before = await openAll(keysOf(first));
    expect(before.size).toBeGreaterThan(6000);
    const folder = mkdtempSync(join(tmpdir(), 'credit-hub-keys-'));
    const file = join(folder, 'ring.json');
    writeFileSync(file, writeRing(second));
    const run = async (killAfter?: number) => {
      const args = ['--disable-warning=ExperimentalWarning', '--import', './scripts/ts-hook.mjs', 'src/main.ts', 'keys', 'reseal'];
      const env = { PATH: process.env['PATH'] ?? '', DATABASE_URL: store.url, HUB_KEYS_FILE: file, HUB_DATA: folder };
      const child = spawn(process.execPath, args, { cwd: ROOT, env, stdio: ['ignore', 'pipe', 'pipe'] });
      const said = { out: '', err: '' };
      child.stdout.on('data', (chunk: Buffer) => (said.out += chunk.toString()));
      child.stderr.on('data', (chunk: Buffer) => {
        said.err += chunk.toString();
        if (killAfter !== undefined && said.err.split('rows resealed').length > killAfter) child.kill('SIGKILL');
      });
      const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
      return { code, signal, ...said };
    };
    try {
      for (const killAfter of [1, 3]) expect(await run(killAfter)).toMatchObject({ signal: 'SIGKILL' });
      const left = await underOld();
      expect(left.length).toBeGreaterThan(0);
      // A hub that still has the old ring as active, and one with the new: both write while it goes on.
      const writing = [hub({ ...second, active: 'k1' }), hub(second)].map(async (one, at) => {
        for (let n = 0; n < 10; n += 1) await applyOne(one, [stream, other][at] ?? stream, pageOf([sealedRecord(4000 + 100 * at + n)]));
      });
      const [last] = await Promise.all([run(), ...writing]);
      expect(last).toMatchObject({ code: 0 });
      expect(JSON.parse(last.out)).toMatchObject({ unreadable: 0 });
      // What the hub with the old ring wrote behind it is for a second round.
      expect(await resealAll(store.pool, keysOf(second), MODEL)).toMatchObject({ overtaken: 0, unreadable: 0 });
      expect(await underOld()).toEqual([]);
    } finally {
      rmSync(folder, { recursive: true });
    }
    const after = await openAll(keysOf({ ...second, seal: second.seal.slice(1) }));
    for (const [place, text] of before) expect([place, after.get(place)]).toEqual([place, text]);
    expect(after.size).toBeGreaterThan(before.size);
    // Three processes are started, which takes its time on a busy machine.
  }, 300_000);

  it('P22 never puts an old value over one that came meanwhile', async () => {
    const third: KeyRing = { ...withNewKey(second, 'seal'), active: 'k3' };
    let between = 0;
    const racing: Sql = {
      async query(text, values) {
        // Before the first replacement of records, a page brings a new value of one.
        if (text.startsWith('update record t') && between++ === 0)
          await applyOne(hub(second), stream, pageOf([sealedRecord(7, 'NEW-NUMBER')]));
        return store.pool.query(text, values);
      },
      transaction: (work) => store.pool.transaction(work),
    };
    const result = await resealAll(racing, keysOf(third), MODEL);
    expect(result.overtaken).toBe(1);
    const [row] = await rows<{ id: number; sealed: Record<string, string> }>(
      `select id, sealed from record where source_key = '["p7"]' and stream = $1`,
      [stream.id],
    );
    expect(keysOf(third).open(row?.sealed['legalRepresentativeIdNumber'] ?? '', 'AdministrationRecord.legalRepresentativeIdNumber')).toBe(
      'NEW-NUMBER',
    );
    expect(await resealAll(store.pool, keysOf(third), MODEL)).toMatchObject({ overtaken: 0, unreadable: 0 });
    expect((await sealedUnder(store.pool)).filter(({ key }) => key !== 'k3')).toEqual([]);
  });

  it('P22 leaves what it cannot open as it is, and says so', async () => {
    const foreign = keysOf(readRing(newKeyRing('national'))).seal('x', 'submission');
    await store.pool.query('update submission set sealed = $1', [foreign]);
    expect(await resealAll(store.pool, keysOf({ ...withNewKey(withNewKey(second, 'seal'), 'seal'), active: 'k4' }), MODEL)).toMatchObject({
      unreadable: expect.any(Number),
    });
    expect(await rows('select sealed from submission')).toEqual([{ sealed: foreign }]);
  });
});

describe('the blind index between two keys', () => {
  const during = withNewKey(first, 'blind');
  const after: KeyRing = { ...during, live: 'b2' };
  beforeAll(async () => {
    store = await openStore(writeRing(first));
    await applyOne(hub(first), stream, pageOf([personal(1), recordOf('a', codeOf(1)), recordOf('b', codeOf(2))]));
    await consentOf(1);
    const officer = { id: 'p', name: 'n' };
    const actor = { ...officer, department: 'd', region: '43' };
    const subjects = [{ scheme: 'uscc', code: codeOf(2) }];
    await registerCase(store.pool, keysOf(first), actor, { number: '1', basis: 'b', region: '430000', officer, subjects });
  });
  afterAll(() => store.drop());
  /** A record whose key is a person's number. */
  function personal(n: number) {
    return recordOf(`person ${secretOf(n)}`, codeOf(n), { keyIsPersonal: true, fields: { decisionNumber: `x${n}` } });
  }
  const subjects = async () => (await rows<{ n: number }>('select count(*)::int as n from subject where merged_into is null'))[0]?.n;
  const generations = async () =>
    Object.fromEntries((await indexedUnder(store.pool)).map(({ table, key, values }) => [`${table} ${key}`, values]));

  it('P22 hubs with the old and the new ring that bring the same new subjects at once make one of each', async () => {
    const before = (await subjects()) ?? 0;
    for (let round = 0; round < 5; round += 1) {
      const page = (key: string) =>
        pageOf(Array.from({ length: 20 }, (_, i) => recordOf(`${key}${round}-${i}`, codeOf(100 + round * 20 + i))));
      await Promise.all([applyOne(hub(first), stream, page('old')), applyOne(hub(during), other, page('new'))]);
    }
    expect(await subjects()).toBe(before + 100);
  });

  it('P22 what was stored before is found and is unchanged under the new ring', async () => {
    const page = () => pageOf([personal(1), recordOf('a', codeOf(1)), recordOf('b', codeOf(2))]);
    expect(await applyOne(hub(during), stream, page())).toMatchObject({ stored: 0, unchanged: 3 });
    expect(await applyOne(hub(after), stream, page())).toMatchObject({ stored: 0, unchanged: 3 });
  });

  it('P22 a subject that becomes another while the index is brought on takes all its tokens along, and back', async () => {
    const byCode = (n: number) => ({
      kind: 'organisation' as const,
      name: '某院',
      region: null,
      roles: [],
      identifiers: [{ scheme: 'institution-code', code: `H4301020000${n}` }],
    });
    const both = (n: number) => ({ ...byCode(n), identifiers: [{ scheme: 'uscc', code: codeOf(900 + n) }, ...byCode(n).identifiers] });
    // Known by a platform's code alone under the old ring, then both codes in one record under the new one.
    await applyOne(hub(first), stream, pageOf([recordOf('m1', '', { subject: byCode(1) }), recordOf('m2', codeOf(901))]));
    await applyOne(hub(during), stream, pageOf([recordOf('m3', '', { subject: both(1) })]));
    const [merge] = await rows<{ id: number; from_id: number; into_id: number }>('select id, from_id, into_id from subject_merge');
    await reindexAll(store.pool, keysOf(during), { batch: 7 });
    const owners = async () =>
      rows<{ subject_id: number; n: number }>(
        `select subject_id, count(*)::int as n from subject_identifier where subject_id in ($1, $2) group by 1`,
        [merge?.from_id, merge?.into_id],
      );
    expect(await owners()).toEqual([{ subject_id: merge?.into_id, n: 4 }]);
    await undoMerge(store.pool, keysOf(during), MODEL, 'p', merge?.id ?? 0, '编号登记错误');
    expect((await owners()).toSorted((a, b) => a.subject_id - b.subject_id)).toEqual(
      [merge?.from_id ?? 0, merge?.into_id ?? 0].toSorted((a, b) => a - b).map((subject_id) => ({ subject_id, n: 2 })),
    );
  });

  it('P22 once every identifier has its new token the old generation ends: everything is found, nothing of it is left', async () => {
    const counts = await generations();
    expect(counts['subject_identifier b2']).toBe(counts['subject_identifier b1']);
    expect(counts['record b1']).toBe(1);
    // Killed after some of it: the rest is done the next time.
    let statements = 0;
    const dying: Sql = {
      async query(text, values) {
        if (++statements > 4) throw new Error('killed');
        return store.pool.query(text, values);
      },
      transaction: (work) => store.pool.transaction(work),
    };
    await expect(reindexAll(dying, keysOf(after), { batch: 10 })).rejects.toThrow('killed');
    const done = await reindexAll(store.pool, keysOf(after), { batch: 10 });
    expect(done.retired).toBeGreaterThan(100);
    expect(Object.keys(await generations()).sort()).toEqual([
      'case_subject b2',
      'consent b2',
      'record b2',
      'subject_identifier b2',
      'subject_merge b2',
    ]);
    // Consents and cases still name their subjects.
    const named = await rows<{ of: string }>(
      `select 'consent' as of from consent join subject_identifier using (token) union all select 'case' from case_subject join subject_identifier using (token)`,
    );
    expect(named.map((one) => one.of).sort()).toEqual(['case', 'consent']);
    const before = await subjects();
    const page = pageOf([personal(1), recordOf('a', codeOf(1)), recordOf('b', codeOf(2)), recordOf('new', codeOf(3))]);
    expect(await applyOne(hub(after), stream, page)).toMatchObject({ stored: 1, unchanged: 3 });
    expect(await subjects()).toBe((before ?? 0) + 1);
    expect(await reindexAll(store.pool, keysOf(after))).toEqual({ tokens: 0, retired: 0 });
  });
});

describe('hub keys', () => {
  const said: string[] = [];
  const folder = mkdtempSync(join(tmpdir(), 'credit-hub-ring-'));
  const file = join(folder, 'ring.json');
  const environment = () => ({ DATABASE_URL: store.url, HUB_KEYS_FILE: file, HUB_DATA: folder });
  const print = (text: string) => void said.push(text);
  const ring = () => readRing(readFileSync(file, 'utf8'));
  const report = async () => {
    await status(environment(), print);
    return JSON.parse(said.at(-1) ?? '') as {
      seal: { id: string; active: boolean; values: Record<string, number> }[];
      blind: unknown[];
      unknown: unknown[];
    };
  };
  beforeAll(async () => {
    writeFileSync(file, writeRing(first), { mode: 0o600 });
    store = await openStore(writeRing(first));
    await applyOne(store, stream, pageOf([sealedRecord(1), sealedRecord(2)]));
  });
  afterEach(() => {
    // Whatever happens, the bytes of a key are printed nowhere.
    const secrets = [...ring().seal, ...ring().blind, ...ring().log].map(({ key }) => key.toString('base64').slice(0, 12));
    expect(secrets.filter((secret) => said.join('\n').includes(secret))).toEqual([]);
  });
  afterAll(async () => {
    await store.drop();
    rmSync(folder, { recursive: true });
  });

  it('P22 rotate --prepare makes a key known that seals nothing yet; rotate puts it to use', async () => {
    rotate(environment(), 'seal', true, print);
    expect([ring().active, ring().seal.map(({ id }) => id)]).toEqual(['k1', ['k1', 'k2']]);
    expect(() => rotate(environment(), 'seal', true, print)).toThrow('prepared already');
    rotate(environment(), 'seal', false, print);
    expect([ring().active, ring().seal.map(({ id }) => id)]).toEqual(['k2', ['k1', 'k2']]);
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });

  it('P22 status shows how many values lie under each key, and retire takes out only a key that nothing is under', async () => {
    expect((await report()).seal).toEqual([
      { id: 'k1', active: false, values: { record: 2, record_version: 2 } },
      { id: 'k2', active: true, values: {} },
    ]);
    await expect(retire(environment(), 'k1', print)).rejects.toThrow('4 values are still sealed under k1');
    await expect(retire(environment(), 'k2', print)).rejects.toThrow('no older sealing key');
    await resealAll(store.pool, keysOf(ring()), MODEL);
    await retire(environment(), 'k1', print);
    expect(ring().seal.map(({ id }) => id)).toEqual(['k2']);
    expect(await report()).toMatchObject({ seal: [{ id: 'k2', active: true, values: { record: 2, record_version: 2 } }], unknown: [] });
  });

  it('P22 the blind index changes in steps that cannot be taken out of order', async () => {
    await expect(retire(environment(), 'b1', print)).rejects.toThrow('no generation');
    rotate(environment(), 'blind', false, print);
    expect(() => rotate(environment(), 'blind', false, print)).toThrow('hub keys retire b1');
    await expect(retire(environment(), 'b1', print)).rejects.toThrow('2 identifiers have no token of b2');
    await reindexAll(store.pool, keysOf(ring()));
    await retire(environment(), 'b1', print);
    expect(ring().live).toBe('b2');
    await reindexAll(store.pool, keysOf(ring()));
    expect((await report()).blind).toEqual([
      { id: 'b1', written: false, tokens: {} },
      { id: 'b2', written: true, tokens: { subject_identifier: 2 } },
    ]);
    expect(await applyOne({ ...store, keys: keysOf(ring()) }, stream, pageOf([sealedRecord(1)]))).toMatchObject({ unchanged: 1 });
  });

  it('P22 a ring that stands in the environment is printed for its owner, and nothing is written', () => {
    const before = readFileSync(file, 'utf8');
    const printed: string[] = [];
    rotate({ ...environment(), HUB_KEYS: writeRing(first) }, 'log', false, (text) => void printed.push(text));
    expect(readRing(printed[0] ?? '').log.map(({ id }) => id)).toEqual(['l1', 'l2']);
    expect(readFileSync(file, 'utf8')).toBe(before);
  });
});
