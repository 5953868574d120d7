/** How what the outbox holds leaves: woken by the commit, with receipts that are verified, and taken back by itself where the grant is gone. */
import { generateKeyPairSync } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { StopStream } from '../src/errors.ts';
import { runPull } from '../src/jobs/pull.ts';
import { runPush } from '../src/jobs/push.ts';
import { findStream } from '../src/model/streams.ts';
import type { Model, PushStream } from '../src/model/types.ts';
import { generate } from '../src/sandbox/generate.ts';
import { recall } from '../src/store/outbox.ts';
import { openHub, type TestHub, until } from './setup/platforms.ts';
import { MODEL, pullStreamOf } from './setup/store.ts';

const data = generate({ seed: 11, organisations: 40, persons: 120 });
const CHINA = findStream(MODEL, 'credit-china/evaluation-results') as PushStream;
const serious = findStream(MODEL, 'hunan-exchange/serious-list') as PushStream;
/** Whoever listed the subject: in the sandboxes nobody of the bureau has. */
const EXCHANGE: PushStream = { ...serious, publish: { ...serious.publish, only: new Map(), from: [] } };
const exchange = MODEL.connectors.get('hunan-exchange');
if (exchange === undefined) throw new Error('hunan-exchange');
const WIDE: Model = {
  ...MODEL,
  connectors: new Map([...MODEL.connectors, ['hunan-exchange', { ...exchange, streams: new Map([['serious-list', EXCHANGE]]) }]]),
};
let hub: TestHub;

beforeAll(async () => {
  hub = await openHub({ data });
});
afterAll(() => hub.close());
beforeEach(() => hub.pool.query('truncate subject, record, stream_state, run, issue, outbox, receipt cascade'));

const rows = async <R>(text: string, values: unknown[] = []) => (await hub.pool.query<R>(text, values)).rows;
const pull = async (...names: string[]) => {
  for (const name of names) await runPull({ ...hub.jobs, model: WIDE }, pullStreamOf(name), { trigger: 'manual' });
};
const states = ({ connector, id }: PushStream) =>
  rows<{ act: string; state: string; n: number }>(
    'select act, state, count(*)::int as n from outbox where connector = $1 and stream = $2 group by 1, 2 order by 1, 2',
    [connector, id],
  );
const GRADES = ['national-insurance/medical-institutions', 'national-insurance/pharmacies', 'national-insurance/credit-grades'];

describe('what is committed', () => {
  it('HN-28 P6 leaves at once: the commit wakes the stream, nobody has to look', async () => {
    const running = await hub.work({ sweepMs: 3_600_000 });
    await pull(...GRADES);
    await until(async () => (await states(CHINA)).every(({ state }) => state === 'done') && (await states(CHINA)).length > 0);
    const again = await rows<{ id: number }>('select record_id as id from outbox where connector = $1 limit 3', [CHINA.connector]);
    await hub.jobs.pool.transaction((sql) =>
      recall(
        sql,
        again.map((row) => row.id),
        'repair',
      ),
    );
    await until(async () => (await states(CHINA)).some(({ act, state }) => act === 'recall' && state === 'done'));
    await running.stop();
  }, 60_000);
});

describe('a receipt', () => {
  it('P6 that does not verify stops the stream; asked with the right key the platform proves what it has, once', async () => {
    await pull('hunan-credit/dishonesty-lists');
    const stranger = generateKeyPairSync('ed25519').publicKey.export({ type: 'spki', format: 'pem' }).toString();
    const jobs = { ...hub.jobs, model: WIDE };
    const deceived = { ...jobs, environment: { ...jobs.environment, HUNAN_EXCHANGE_RECEIPT_KEY: stranger } };
    await expect(runPush(deceived, EXCHANGE, { trigger: 'manual' })).rejects.toBeInstanceOf(StopStream);
    const doubtful = await states(EXCHANGE);
    expect(doubtful).toContainEqual({ act: 'publish', state: 'sent', n: 1 });
    expect(doubtful.map(({ state }) => state)).not.toContain('done');

    await runPush(jobs, EXCHANGE, { trigger: 'manual' });
    expect((await states(EXCHANGE)).map(({ state }) => state)).not.toContain('sent');
    const kept = await rows<{ signed: boolean }>(
      'select r.signature is not null as signed from receipt r join outbox o on o.id = r.outbox_id where o.connector = $1',
      [EXCHANGE.connector],
    );
    expect(kept.length).toBeGreaterThan(0);
    expect(kept.every(({ signed }) => signed)).toBe(true);
  });
});

describe('what the receiver may not have any more', () => {
  it('HN-5 U16 is withheld, and what was received of it before is taken back by itself', async () => {
    await pull(...GRADES);
    await runPush(hub.jobs, CHINA, { trigger: 'manual' });
    // A version more, of a record that nobody outside is shown any more.
    const [one] = await rows<{ id: number; subject_id: number }>('select id, subject_id from record where category = 6 limit 1');
    await rows(
      `insert into record_version (record_id, version, category, kind, publicity, deleted, fact, content, run_id)
       select id, 2, category, kind, publicity, false, fact, content, 0 from record where id = $1`,
      [one?.id],
    );
    await rows('update record set version = 2, withheld = true where id = $1', [one?.id]);
    await rows('insert into outbox (connector, stream, record_id, version, subject_id) values ($1, $2, $3, 2, $4)', [
      CHINA.connector,
      CHINA.id,
      one?.id,
      one?.subject_id,
    ]);
    await runPush(hub.jobs, CHINA, { trigger: 'manual' });
    expect(
      await rows('select act, version, state, cause from outbox where connector = $1 and record_id = $2 order by id', [
        CHINA.connector,
        one?.id,
      ]),
    ).toEqual([
      { act: 'publish', version: 1, state: 'done', cause: null },
      { act: 'publish', version: 2, state: 'withheld', cause: null },
      { act: 'recall', version: 1, state: 'done', cause: 'withdrawn-grant' },
    ]);
  });
});
