import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { decodeCheckpoint, encodeCheckpoint } from '../src/log/checkpoint.ts';
import { checkReceipt, proveReceipt, signReceipt } from '../src/log/receipt.ts';
import { seal } from '../src/log/seal.ts';
import { startSealer } from '../src/log/sealer.ts';
import { openPublicKey } from '../src/log/signature.ts';
import { verifyLog } from '../src/log/verify.ts';
import { openWitness, type Presented, readWitness, type Witness, WitnessRefusal } from '../src/log/witness.ts';
import { type WitnessClient, witnessAt, witnessClient } from '../src/log/witness-client.ts';
import { serveWitness, type WitnessServer } from '../src/log/witness-server.ts';
import { give, readLag, watchWitness } from '../src/log/witnessed.ts';
import { LogUnavailable } from '../src/log/writer.ts';
import { sampleEntry } from './fixtures/log-entries.ts';
import type { LogDatabase } from './setup/log.ts';
import { fill, logDatabase, logKey, put } from './setup/log.ts';

const { signer, key } = logKey();
const now = () => new Date('2026-11-23T12:00:00.000Z');
let database: LogDatabase;
let folder: string;
let memory: Witness;
let server: WitnessServer;
let client: WitnessClient;
let refused: string[];

beforeAll(async () => {
  database = await logDatabase();
});
afterAll(() => database.drop());
beforeEach(async () => {
  await database.clear();
  folder = await mkdtemp(join(tmpdir(), 'credit-hub-witness-'));
  refused = [];
  memory = openWitness(folder, [key], now);
  server = await serveWitness(memory, { host: '127.0.0.1', port: 0 }, (what) => void refused.push(what));
  client = witnessClient(server.url, openPublicKey(memory.publicKey));
});
afterEach(async () => {
  await server.close();
  await rm(folder, { recursive: true, force: true });
});

const sealAll = () => seal(database.pool, { signer, suite: 'sha256', maxRows: 4 });
const stored = async (): Promise<Presented[]> =>
  (await database.pool.query<Presented>('select body, key, signature from log_checkpoint order by n')).rows;

/** A log with three checkpoints. */
async function sealed(): Promise<Presented[]> {
  const log = await database.open();
  await fill(log, 12);
  await log.close();
  await sealAll();
  return stored();
}

/** The same checkpoint with something else in it, signed by the log's own key. */
function altered({ body }: Presented, change: Parameters<typeof Object.assign>[1]): Presented {
  const bytes = encodeCheckpoint(Object.assign({}, decodeCheckpoint(body), change) as ReturnType<typeof decodeCheckpoint>);
  return { body: bytes, key: signer.keyId, signature: signer.sign('checkpoint', bytes) };
}

const kindOf = (work: () => unknown): string => {
  try {
    work();
  } catch (error) {
    if (error instanceof WitnessRefusal) return error.kind;
    throw error;
  }
  return 'taken';
};

describe('a witness', () => {
  it('P3 takes successors, cosigns the last, and remembers them over a restart', async () => {
    const checkpoints = await sealed();
    expect(memory.take(checkpoints.slice(0, 1)).n).toBe(1);
    const again = openWitness(folder, [key], now);
    expect(again.publicKey).toBe(memory.publicKey);
    expect(again.latest).toEqual(memory.latest);
    expect(again.take(checkpoints)).toMatchObject({ n: 3, at: now() });
    expect(again.take(checkpoints).n).toBe(3);
    expect(readWitness(folder).latest).toEqual(again.latest);
    expect([...(await readWitness(folder).hashes(1, 9)).keys()]).toEqual([1, 2, 3]);
  });

  it('P3 refuses a fork, a gap, a step back, a stranger’s signature and what is no checkpoint, and keeps what it had', async () => {
    const [first, second, third] = (await sealed()) as [Presented, Presented, Presented];
    memory.take([first, second]);
    const before = memory.latest;
    const { heads } = decodeCheckpoint(third.body);
    const back = heads.map((head) => ({ ...head, from: head.from - 1, seq: head.seq - 1 }));
    const cases: [string, Presented][] = [
      ['fork', altered(second, { root: Buffer.alloc(32, 7) })],
      ['fork', altered(third, { prev: Buffer.alloc(32, 7) })],
      ['fork', altered(third, { heads: back })],
      ['gap', altered(third, { n: 5 })],
      ['signature', { ...third, signature: second.signature }],
      ['signature', { ...third, key: 'unknown' }],
      ['form', { body: Buffer.from('x'), key: signer.keyId, signature: signer.sign('checkpoint', Buffer.from('x')) }],
    ];
    for (const [kind, presented] of cases) {
      expect(kindOf(() => memory.take([presented]))).toBe(kind);
      expect(memory.latest).toEqual(before);
    }
    expect(memory.take([third]).n).toBe(3);
  });

  it('P3 answers 409 with what it holds, 403 and 400 over HTTP, and keeps what came before the one at fault', async () => {
    const [first, second, third] = (await sealed()) as [Presented, Presented, Presented];
    const forked = altered(third, { root: Buffer.alloc(32, 7) });
    await client.present([first, second, third]);
    await expect(client.present([forked])).rejects.toThrow('fork: another checkpoint 3 is held');
    const post = (body: string) => fetch(`${server.url}/checkpoints`, { method: 'POST', body });
    const wire = ({ body, key, signature }: Presented) => ({ body: body.toString('base64'), key, signature: signature.toString('base64') });
    const conflict = await post(JSON.stringify([wire(forked)]));
    expect([conflict.status, await conflict.json()]).toMatchObject([
      409,
      { error: 'fork', held: { n: 3, hash: memory.latest.hash.toString('hex') } },
    ]);
    expect((await post(JSON.stringify([wire({ ...third, key: 'x' })]))).status).toBe(403);
    for (const body of ['', '{}', '[1]', '[null]', '[{"body":1}]']) expect([body, (await post(body)).status]).toEqual([body, 400]);
    expect((await fetch(`${server.url}/nothing`)).status).toBe(404);
    expect(refused[0]).toBe('fork: another checkpoint 3 is held');
  });
});

describe('the log and its witness', () => {
  it('P3 gives every checkpoint, keeps the cosignatures, and a receipt can be proven up to the witness without the hub', async () => {
    const receiptKey = logKey();
    const log = await database.open();
    const [receipt] = (await fill(log, 9)).map((one) => signReceipt(one, receiptKey.signer));
    await log.close();
    await sealAll();
    expect((await readLag(database.pool, client.key.keyId)).unwitnessedMs).toBeGreaterThan(0);
    await give(database.pool, client);
    expect(await readLag(database.pool, client.key.keyId)).toEqual({ unsealedMs: 0, unwitnessedMs: 0 });
    const { proof } = await proveReceipt(database.pool, receipt!);
    const trust = { keys: [key, receiptKey.key], witness: client.key };
    expect(checkReceipt(receipt!, proof, trust)).toMatchObject({ signed: true, witnessed: now().toISOString(), faults: [] });
    const forged = { ...proof!, cosignature: { ...proof!.cosignature!, at: '2020-01-01T00:00:00.000Z' } };
    expect(checkReceipt(receipt!, forged, trust).faults).toEqual(['the witness has not cosigned this']);
    expect(await verifyLog(database.pool, { keys: [key], witness: await witnessAt(server.url) })).toMatchObject({
      verified: true,
      faults: [],
    });
  });

  it('P20 an old backup is told by the witness to the sealer and to the verifier', async () => {
    await sealed();
    await give(database.pool, client);
    await database.tamper('delete from query_log where seq > 4');
    await database.tamper('delete from log_checkpoint where n > 1');
    await database.tamper('delete from log_cosignature');
    await database.tamper('update log_sealed set seq = 4, hash = (select hash from query_log where seq = 4)');
    await database.tamper('update log_writer set closed_seq = null, closed_hash = null');
    expect((await verifyLog(database.pool, { keys: [key] })).verified).toBe(true);
    const { faults } = await verifyLog(database.pool, { keys: [key], witness: await witnessAt(server.url) });
    expect(faults).toEqual([
      { writer: 0, seq: 0, checkpoint: 3, what: 'the witness holds it; here the log ends with checkpoint 1: it was taken back' },
    ]);
    const log = await database.open();
    await fill(log, 3);
    await sealAll();
    await expect(give(database.pool, client)).rejects.toThrow('fork');
    await log.close();
  });

  it('P3 alarms when the witness is silent, refuses every entry past the grace, and goes on by itself when it is back', async () => {
    const alarms: string[] = [];
    const watching = { pool: database.pool, witnessKey: client.key.keyId, everyMs: 10, onAlarm: (what: string) => void alarms.push(what) };
    const log = await database.open();
    await put(log, 1);
    await sealAll();
    await new Promise((resolve) => setTimeout(resolve, 60));
    const patient = await watchWitness({ ...watching, graceMs: 3_600_000, alarmMs: 20 });
    await patient.guard(log).append(sampleEntry(0, { document: '' }));
    expect(alarms[0]).toContain('the query log has not been');
    await patient.close();

    const sealer = startSealer({ pool: database.pool, signer, suite: 'sha256', everyMs: 20, onTrouble: (what) => void alarms.push(what) });
    const strict = await watchWitness({ ...watching, graceMs: 50, alarmMs: 20, patienceMs: 0 });
    const guarded = strict.guard(log);
    await expect(guarded.append(sampleEntry(0, { document: '' }))).rejects.toThrow(LogUnavailable);
    const attempt = async (): Promise<boolean> =>
      guarded.append(sampleEntry(0, { document: '' })).then(
        () => true,
        () => false,
      );
    let open = false;
    for (let tries = 0; tries < 100 && !open; tries++) {
      await new Promise((resolve) => setTimeout(resolve, 50));
      await give(database.pool, client);
      open = await attempt();
    }
    expect(open).toBe(true);
    await strict.close();
    await sealer.close();
    await log.close();
  }, 60_000);

  it('P3 never keeps the sealing waiting: a witness that is gone is a trouble that is told once', async () => {
    await server.close();
    const troubles: string[] = [];
    const log = await database.open();
    await fill(log, 3);
    const sealer = startSealer({
      pool: database.pool,
      signer,
      suite: 'sha256',
      everyMs: 20,
      witness: client,
      onTrouble: (what) => void troubles.push(what),
    });
    for (let tries = 0; tries < 100 && (troubles.length === 0 || (await verifyLog(database.pool, { keys: [key] })).sealed < 3); tries++)
      await new Promise((resolve) => setTimeout(resolve, 50));
    await sealer.close();
    await log.close();
    expect((await verifyLog(database.pool, { keys: [key] })).sealed).toBe(3);
    expect(troubles).toEqual([expect.stringContaining('the witness did not take the checkpoints')]);
    server = await serveWitness(memory, { host: '127.0.0.1', port: 0 }, () => undefined);
  });
});
