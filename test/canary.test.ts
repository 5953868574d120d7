/** P15: numbers of citizens, names, tokens and secrets stand where they belong and nowhere else. */
import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Redis } from 'ioredis';
import { syncAll } from '../src/jobs/sync.ts';
import type { RunningWorker } from '../src/jobs/worker.ts';
import { runPull } from '../src/jobs/pull.ts';
import { allStreams, findStream } from '../src/model/streams.ts';
import { openCallers } from '../src/resolvers/callers.ts';
import { type Server, startServer } from '../src/resolvers/server.ts';
import { mintToken } from '../src/resolvers/token.ts';
import { generate } from '../src/sandbox/generate.ts';
import { newKeyRing } from '../src/store/keys.ts';
import { numbersIn, scanner } from './setup/canaries.ts';
import { newPrefix, openHub, type TestHub } from './setup/platforms.ts';
import { redisUrl } from './setup/redis.ts';
import { MODEL } from './setup/store.ts';

const data = generate({ seed: 23, organisations: 40, persons: 160 });
for (const stream of allStreams(MODEL)) stream.schedule = undefined;
const NUMBERS = numbersIn([...data.streams.values(), ...data.onDemand.values(), ...data.persons].flat(), '2026-11-23');
const SCAN = scanner(NUMBERS);
const RING = newKeyRing();

describe('the scanner', () => {
  it('P15 finds a planted number in each form, and nothing in a text without one', () => {
    const [number = '', other = ''] = NUMBERS;
    const reversed = [...number].reverse().join('');
    const bytes = Buffer.from(`xy${number}z`);
    const texts: [string, string][] = [
      ['plain', `Key (id)=(${number}) already exists`],
      ['plain', `"${number.toLowerCase()}"`],
      ['reversed', `r ${reversed} r`],
      ['hex', `\\x${bytes.toString('hex')}`],
      ['base64', bytes.toString('base64')],
      ['base64', Buffer.from(`{"a":"${number}"}`).toString('base64url')],
      ['hash', createHash('sha256').update(number).digest('hex')],
      ['hash', createHash('sm3').update(number).digest('hex')],
    ];
    expect(
      texts.map(([form, text]) =>
        SCAN.numbers(text)
          .filter((hit) => hit.form === form)
          .map((hit) => hit.canary),
      ),
    ).toEqual(texts.map(() => [0]));
    expect(SCAN.numbers(`${'7'.repeat(40)} ${RING} ${createHash('sha256').update('x').digest('hex')}`)).toEqual([]);
    expect(SCAN.numbers(`${number} ${other}`).map((hit) => hit.canary)).toEqual([0, 1]);
    expect(NUMBERS.length).toBeGreaterThanOrEqual(200);
  });
});

describe('a hub at work', () => {
  let hub: TestHub;
  let worker: RunningWorker;
  let server: Server;
  let folder: string;
  const prefix = newPrefix();
  const answers: string[] = [];
  const tokens: string[] = [];
  const errors: string[] = [];

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'hub-canary-'));
    hub = await openHub({ data, ring: RING });
    worker = await hub.work({});
    await syncAll(worker, MODEL, 'manual', () => undefined);
    for (const [name, rows] of data.onDemand) {
      const stream = findStream(MODEL, name);
      const lines = rows.slice(0, 5).map((row) => `${row['certno']}\t${row['psn_name']}`);
      if (stream?.direction === 'pull') await runPull(hub.jobs, stream, { trigger: 'manual', lines });
    }
    if (redisUrl !== undefined) {
      const onRedis = await hub.work({ redisUrl, prefix });
      await syncAll(onRedis, MODEL, 'manual', () => undefined);
    }
    server = await startServer({
      model: MODEL,
      pool: hub.pool,
      keys: hub.jobs.keys,
      log: hub.jobs.log,
      callers: await openCallers(MODEL, { issuer: 'urn:test', audience: 'credit-hub', jwksUrl: undefined, data: folder }),
      host: '127.0.0.1',
      port: 0,
      now: () => new Date(),
      onError: (error) => void errors.push(error instanceof Error ? `${error.stack}` : String(error)),
    });
    await askEverything();
  }, 300_000);
  afterAll(async () => {
    await server.stop();
    await hub.close();
    await rm(folder, { recursive: true, force: true });
  });

  /** Numbers at every place of a request where somebody may write one: codes, filters, variables, headers, names, and what is no query at all. */
  async function askEverything(): Promise<void> {
    const token = await mintToken(folder, {
      id: 'wj-0001',
      name: '查询人甲',
      department: 'market-supervision',
      role: 'officer',
      region: '430000',
      purposes: [],
      issuer: 'urn:test',
      audience: 'credit-hub',
      expiresIn: 3600,
    });
    tokens.push(token);
    const send = async (body: string, headers: Record<string, string> = {}) => {
      const response = await fetch(`${server.url}/graphql`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization: `Bearer ${token}`, 'x-purpose': 'bidding', ...headers },
        body,
      });
      answers.push(`${JSON.stringify([...response.headers])} ${await response.text()}`);
    };
    const ask = (query: string, variables: unknown = undefined, headers: Record<string, string> = {}) =>
      send(JSON.stringify({ query, variables }), headers);
    for (const number of NUMBERS.slice(0, 40)) {
      // An answer has the names that its question gives: what is asked under a number comes back under it, and is logged without it.
      await fetch(`${server.url}/graphql`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization: `Bearer ${token}`, 'x-purpose': 'bidding' },
        body: JSON.stringify({ query: `{ n${number}: catalog { no } }` }),
      });
      await ask('query ($c: String!) { subject(code: $c) { id name } }', { c: number });
      await ask(`{ subject(code: "${number}") { id } }`);
      await ask(`{ subject(code: ${number}) { id } }`);
      await ask(`query n${number} { catalog { no } }`);
      await ask(`{ records(where: { kind: "${number}" }, after: "${number}") { nodes { id } } }`);
      await ask(`{ records(first: ${number}) { nodes { id } } }`);
      await ask(`query ($w: RecordWhere) { records(where: $w) { nodes { id } } }`, {
        w: { region: Number(number.slice(0, 15)), [number]: number },
      });
      await ask('{ catalog { no } }', undefined, { 'x-purpose-case': number, 'x-purpose-basis': number });
      await ask('{ catalog { no } }', undefined, { 'x-purpose': number });
      await ask('{ catalog { no } }', undefined, { authorization: `Bearer ${number}` });
      await send(`{"query": "${number}`);
      await send(number);
    }
  }

  const dump = async (): Promise<Map<string, string>> => {
    const { rows: tables } = await hub.pool.query<{ name: string }>(
      `select format('%I.%I', schemaname, tablename) as name from pg_tables where schemaname not in ('pg_catalog', 'information_schema') order by 1`,
    );
    const texts = new Map<string, string>();
    for (const { name } of tables) {
      const { rows } = await hub.pool.query<{ text: string | null }>(`select string_agg(t::text, E'\\n') as text from ${name} t`);
      texts.set(name, rows[0]?.text ?? '');
    }
    return texts;
  };

  it('P15 U30 no number of a citizen stands in any table of the hub, its queues and its log included', async () => {
    const tables = await dump();
    expect(tables.size).toBeGreaterThan(20);
    expect((tables.get('public.record') ?? '').length).toBeGreaterThan(100_000);
    expect([...tables].flatMap(([table, text]) => SCAN.numbers(text).map((hit) => ({ table, ...hit })))).toEqual([]);
  });

  it('P15 no number stands in what the processes say, nor in errors', () => {
    expect(hub.said.length).toBeGreaterThan(0);
    expect(SCAN.numbers(JSON.stringify(hub.said))).toEqual([]);
    expect(SCAN.numbers(errors.join('\n'))).toEqual([]);
  });

  it('P15 no answer repeats a number that was asked by', () => {
    expect(answers.length).toBe(40 * 12);
    expect(answers.filter((text) => SCAN.numbers(text).length > 0).map((text) => text.replaceAll(/\d{15,}/g, '#'))).toEqual([]);
  });

  it('P15 no name of a citizen stands in queues, issues, runs or the query log', async () => {
    const officers = new Set([...MODEL.connectors.values()].map((c) => c.officer.name));
    const names = [...new Set(data.persons.map((p) => p.name))].filter((name) => name.length >= 3 && !officers.has(name));
    expect(names.length).toBeGreaterThan(30);
    const tables = [...(await dump())].filter(([table]) =>
      /^bullmq\.|\.(issue|run|query_log|log_document|outbox|receipt|stream_state)/.test(table),
    );
    expect(tables.length).toBeGreaterThan(6);
    // Texts inside bytea columns are shown as hexadecimal.
    const written = (name: string) => [name, Buffer.from(name).toString('hex'), JSON.stringify(name).slice(1, -1)];
    const found = tables.flatMap(([table, text]) =>
      names.filter((name) => written(name).some((form) => text.includes(form))).map(() => table),
    );
    expect(found).toEqual([]);
    expect(names.filter((name) => JSON.stringify(hub.said).includes(name))).toEqual([]);
  });

  it('P15 no secret of a platform, no key and no token stands in tables, logs, answers or errors', async () => {
    const secrets = Object.entries(hub.sandboxes.env)
      .filter(([name]) => /SECRET|PASSWORD|TOKEN|KEY/.test(name))
      .flatMap(([, value]) => (value === undefined || value.length < 6 ? [] : [value]));
    const ring = [...RING.matchAll(/"([A-Za-z0-9+/_=-]{32,})"/g)].map(([, key]) => key ?? '');
    expect(secrets.length).toBeGreaterThan(3);
    expect(ring.length).toBeGreaterThan(1);
    const all = [...(await dump()).values(), JSON.stringify(hub.said), ...answers, ...errors].join('\n');
    const written = [...secrets, ...ring, ...tokens].flatMap((one) => [
      one,
      Buffer.from(one).toString('hex'),
      Buffer.from(one).toString('base64'),
    ]);
    expect(written.filter((form) => all.includes(form)).length).toBe(0);
  });

  const withRedis = redisUrl === undefined ? it.skip : it;
  withRedis(`P15 queues on Redis hold no number and no name${redisUrl === undefined ? ' (skipped: no Redis reachable)' : ''}`, async () => {
    const redis = new Redis(redisUrl ?? '');
    try {
      const texts: string[] = [];
      for await (const keys of redis.scanStream({ match: `${prefix}:*`, count: 500 }) as AsyncIterable<string[]>)
        for (const key of keys) texts.push(`${key} ${await readAny(redis, key)}`);
      expect(texts.length).toBeGreaterThan(50);
      expect(SCAN.numbers(texts.join('\n'))).toEqual([]);
      for (const { name } of data.persons.filter((p) => p.name.length >= 3)) expect(texts.some((text) => text.includes(name))).toBe(false);
    } finally {
      redis.disconnect();
    }
  });
});

/** The value of a key, whatever its type, as text. */
async function readAny(redis: Redis, key: string): Promise<string> {
  const type = await redis.type(key);
  const read: Readonly<Record<string, (() => Promise<unknown>) | undefined>> = {
    string: () => redis.get(key),
    hash: () => redis.hgetall(key),
    list: () => redis.lrange(key, 0, -1),
    set: () => redis.smembers(key),
    zset: () => redis.zrange(key, '0', '-1'),
    stream: () => redis.xrange(key, '-', '+'),
  };
  return JSON.stringify(await (read[type]?.() ?? Promise.reject(new Error(`a Redis type that the test does not read: ${type}`))));
}
