/** HN-28 under kills: a dashboard that comes back to an API that was killed has lost nothing of what changed meanwhile, and is told nothing twice. */
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from '@jest/globals';
import { decode } from '../src/log/canonical.ts';
import { ensureLogPartitions } from '../src/log/partitions.ts';
import { findStream } from '../src/model/load.ts';
import type { PullStream } from '../src/model/types.ts';
import { mintToken } from '../src/resolvers/token.ts';
import { randomOf } from '../src/sandbox/random.ts';
import { newKeyRing, openKeys } from '../src/store/keys.ts';
import { storeRecords } from '../src/store/records.ts';
import { openPool } from '../src/store/sql.ts';
import { HOSPITAL, record } from './fixtures/credit-records.ts';
import { freshDatabase } from './setup/database.ts';
import { changesIn, type Subscribed, subscribe, until } from './setup/events.ts';
import { AUDIENCE, ISSUER, seedWorld, TODAY } from './setup/hub.ts';
import { startServing } from './setup/serve-child.ts';
import { MODEL } from './setup/store.ts';
import { SEED } from './setup/seed.ts';

const KILLS = process.env['HUB_DEEP'] === '1' ? 60 : 5;
const DOCUMENT = `subscription { recordChanged { cursor changes { how id version record { ... on RegistrationRecord { registeredName } } } } }`;

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

it(
  `HN-28 P1 ${KILLS} kill -9 of the API: 0 changes lost, 0 told twice, each message in the log (HUB_SEED=${SEED})`,
  async () => {
    const random = randomOf(SEED, 'events');
    const data = await mkdtemp(join(tmpdir(), 'credit-hub-events-'));
    const database = await freshDatabase();
    const pool = openPool(database.url, { max: 6, applicationName: 'events test' });
    const ring = newKeyRing();
    const keys = openKeys(ring);
    await ensureLogPartitions(pool, new Date(), 1);
    await seedWorld(pool, keys, MODEL);
    const api = startServing({
      databaseUrl: database.url,
      ring,
      data,
      issuer: ISSUER,
      audience: AUDIENCE,
      port: await freePort(),
      build: [],
      unsafe: true,
    });
    try {
      await api.ready();
      const token = await mintToken(data, {
        id: 'wj-1',
        name: '陈静',
        department: 'tax',
        role: 'officer',
        region: '430000',
        purposes: [],
        issuer: ISSUER,
        audience: AUDIENCE,
        expiresIn: 7200,
      });
      const streams: Subscribed[] = [];
      const test = { isOver: false, isDone: false };
      let id: string | undefined;
      const read = async (): Promise<void> => {
        while (!test.isOver) {
          try {
            const stream = await subscribe({
              url: api.url,
              headers: { authorization: `Bearer ${token}`, 'x-purpose': 'fiscal-support' },
              query: DOCUMENT,
              lastEventId: id,
            });
            streams.push(stream);
            await stream.ended;
            id = stream.messages.findLast((message) => message.id !== undefined)?.id ?? id;
          } catch {
            await sleep(20);
          }
        }
      };
      const reading = read();
      await until(() => streams.some(({ messages }) => messages.length > 0));

      const write = findStream(MODEL, 'credit-china/penalties') as PullStream;
      const told = () => streams.flatMap(({ messages }) => changesIn(messages));
      let made = 0;
      /** Three at once, and one in five keeps its transaction open for a while: commits do not come in the order of their beginnings. */
      const writer = async (n: number): Promise<void> => {
        for (let i = 0; !test.isDone; i += 1) {
          const key = `${n}-${i}`;
          await pool.transaction(async (tx) => {
            const one = record(HOSPITAL, 1, 'employer-contribution', '2026-04-01', {
              insuranceType: '310',
              period: '202604',
              registeredName: key,
            });
            await storeRecords(
              tx,
              keys,
              MODEL,
              write,
              [{ ...one, key: JSON.stringify([key]), subject: { ...one.subject, ...subjectOf(n) } }],
              { id: 0, today: TODAY },
            );
            if (random.chance(0.2)) await sleep(random.int(20, 300));
          });
          made += 1;
          await sleep(random.int(1, 10));
        }
      };
      const writing = [0, 1, 2].map(writer);
      for (let kill = 0; kill < KILLS; kill += 1) {
        const before = told().length;
        await until(() => told().length > before);
        await sleep(random.int(50, 600));
        await api.kill();
      }
      test.isDone = true;
      await Promise.all(writing);
      await until(() => new Set(told().map(({ record: shown }) => shown?.['registeredName'])).size >= made);
      const names = told().map(({ record: shown }) => String(shown?.['registeredName']));
      expect(names.length).toBeGreaterThan(KILLS);
      expect({ lost: made - new Set(names).size, twice: names.length - new Set(names).size }).toEqual({ lost: 0, twice: 0 });

      const { rows } = await pool.query<{ writer: number; seq: number; body: Buffer }>('select writer, seq, body from query_log');
      const logged = new Map(rows.map((row) => [`${row.writer}-${row.seq}`, decode(row.body).entry]));
      for (const { messages } of streams)
        for (const message of messages.filter(({ data: shown }) => shown)) {
          const entry = logged.get((message.extensions['log'] as { id: string }).id);
          expect([entry?.kind, entry?.rows]).toEqual(['subscription', changesIn([message]).length]);
        }
      test.isOver = true;
      for (const stream of streams) stream.close();
      await reading;
    } finally {
      await api.end();
      await pool.close();
      await database.drop();
      await rm(data, { recursive: true, force: true });
    }
  },
  240_000 + KILLS * 15_000,
);

/** A subject for each writer: writers of one subject would wait for one another, and commit in turn. */
function subjectOf(n: number): { identifiers: { scheme: string; code: string }[] } {
  return { identifiers: [{ scheme: 'institution-code', code: `H4301020009${n}` }] };
}
