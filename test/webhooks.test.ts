/** Webhooks (HN-28, ZM-2.5): the messages of a subscription, signed, to where the operator's list allows, under the department's own grant. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { IncomingHttpHeaders, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { openWebhookSender, type WebhookSender } from '../src/connectors/webhook.ts';
import { findStream } from '../src/model/load.ts';
import type { PullStream } from '../src/model/types.ts';
import { hashOf } from '../src/resolvers/trusted.ts';
import { signedHeaders } from '../src/resolvers/deliver.ts';
import { newKeyRing, openKeys } from '../src/store/keys.ts';
import { storeRecords } from '../src/store/records.ts';
import { keepTrusted } from '../src/store/trusted.ts';
import { HOSPITAL, record, ZHENGZHOU } from './fixtures/credit-records.ts';
import { until } from './setup/events.ts';
import { openHub, type TestHub, TODAY } from './setup/hub.ts';

const DOCUMENT =
  'subscription { recordChanged { changes { how id record { ... on RegistrationRecord { registeredName employerAmount } } } } }';
const ADMIN = { department: 'operations', role: 'system-administrator', purpose: 'credit-evaluation' };
const LIST = '{ webhooks { id state note number attempts keyVersion host } }';

interface Received {
  headers: IncomingHttpHeaders;
  body: string;
}

let hub: TestHub;
let folder: string;
let receiver: Server;
let sender: WebhookSender;
let port: number;
let received: Received[] = [];
let answer: (response: ServerResponse, n: number) => void = (response) => void response.writeHead(204).end();

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'credit-hub-webhooks-'));
  execFileSync(
    'openssl',
    [
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:prime256v1',
      '-nodes',
      '-keyout',
      'key.pem',
      '-out',
      'cert.pem',
      '-days',
      '2',
      '-subj',
      '/CN=localhost',
      '-addext',
      'subjectAltName=DNS:localhost',
    ],
    { cwd: folder, stdio: 'ignore' },
  );
  const [key, cert] = ['key.pem', 'cert.pem'].map((name) => readFileSync(join(folder, name), 'utf8'));
  receiver = createServer({ key, cert }, (request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      received.push({ headers: request.headers, body: Buffer.concat(chunks).toString() });
      answer(response, received.length);
    });
  }).listen(0, '127.0.0.1');
  await once(receiver, 'listening');
  ({ port } = receiver.address() as AddressInfo);
  sender = openWebhookSender({ hosts: [`localhost:${port}@127.0.0.1/32`], ca: cert, timeoutMs: 700 });
  hub = await openHub({ server: { webhooks: { sender, retryMs: 50 } } });
  await keepTrusted(
    hub.pool,
    { hash: hashOf(DOCUMENT), department: 'tax', role: '', purpose: 'fiscal-support', operation: '', text: DOCUMENT },
    'o-1',
  );
});
afterAll(async () => {
  await hub.close();
  sender.close();
  receiver.closeAllConnections();
  receiver.close();
  rmSync(folder, { recursive: true, force: true });
});
afterEach(async () => {
  await hub.pool.query(`update webhook set state = 'removed'`);
  answer = (response) => void response.writeHead(204).end();
});

const entry = (over: Record<string, unknown> = {}) => ({
  department: 'tax',
  role: 'officer',
  region: '430000',
  officer: 'sw-7',
  officerName: '李税',
  purpose: 'fiscal-support',
  document: hashOf(DOCUMENT),
  url: `https://localhost:${port}/credit/changes`,
  ...over,
});
const REGISTER = 'mutation ($entry: WebhookEntry!) { registerWebhook(entry: $entry) { secret webhook { id host state } } }';
async function register(over: Record<string, unknown> = {}): Promise<{ id: string; secret: string }> {
  received = [];
  const { data, errors } = await hub.ask(REGISTER, { ...ADMIN, variables: { entry: entry(over) } });
  expect(errors).toEqual([]);
  return { id: data.registerWebhook.webhook.id, secret: data.registerWebhook.secret };
}
let serial = 0;
async function change(name: string, more: Record<string, string | number> = {}): Promise<void> {
  const stream = findStream(hub.model, 'credit-china/penalties') as PullStream;
  const one = {
    ...record(HOSPITAL, 1, 'employer-contribution', '2026-04-01', {
      insuranceType: '310',
      period: '202604',
      registeredName: name,
      ...more,
    }),
    key: JSON.stringify([`w-${(serial += 1)}`]),
  };
  await hub.pool.transaction((tx) => storeRecords(tx, hub.keys, hub.model, stream, [one], { id: 0, today: TODAY }));
}
const state = async (id: string) =>
  (await hub.ask(LIST, ADMIN)).data.webhooks.find((webhook: { id: string }) => webhook.id === id) as {
    state: string;
    note: string;
    number: number;
    attempts: number;
  };
const names = () =>
  received.flatMap(({ body }) =>
    (JSON.parse(body) as { data: { recordChanged: { changes: { record: { registeredName: string } }[] } } }).data.recordChanged.changes.map(
      (c) => c.record.registeredName,
    ),
  );

/** The lines that docs/events.md gives to receivers, as a receiver would run them. */
async function snippet(): Promise<{ isGenuine(headers: unknown, body: string, secret: string, now?: number): boolean }> {
  const [, code = ''] = /^```js\n([\s\S]*?)^```$/m.exec(readFileSync(new URL('../docs/events.md', import.meta.url), 'utf8')) ?? [];
  const path = join(folder, 'receiver.mjs');
  writeFileSync(path, code);
  return (await import(pathToFileURL(path).href)) as Awaited<ReturnType<typeof snippet>>;
}

describe('a webhook', () => {
  it('HN-28 delivers what the department may see, signed, and logged as a push before it leaves', async () => {
    const { secret } = await register();
    const { added } = await hub.logged(async () => {
      await change('推送的医院', { employerAmount: 7_654_321 });
      await until(() => received.length === 1);
    });
    const [{ headers, body }] = received as [Received];
    expect(names()).toEqual(['推送的医院']);
    expect(body).not.toContain('7654321');
    expect(body).toContain('FIELD_DENIED');
    const { isGenuine } = await snippet();
    const at = Number(headers['webhook-timestamp']) * 1000;
    expect(isGenuine(headers, body, secret, at)).toBe(true);
    expect([
      isGenuine(headers, body.replace('推送', '伪造'), secret, at),
      isGenuine(headers, body, Buffer.alloc(32).toString('base64'), at),
      isGenuine({ ...headers, 'webhook-id': '1.999' }, body, secret, at),
      isGenuine(headers, body, secret, at + 301_000),
    ]).toEqual([false, false, false, false]);
    const push = added.find((row) => row.entry.kind === 'push')?.entry;
    expect([push?.person, push?.department, push?.rows, push?.outcome]).toEqual([{ id: 'sw-7', name: '李税' }, 'tax', 1, 'answered']);
    expect(push?.denied).toContain('RegistrationRecord.employerAmount');
  });

  it('P22 is signed with HMAC-SM3 under the national suite, as the same lines verify', async () => {
    const keys = openKeys(newKeyRing('national'));
    const secret = Buffer.alloc(32, 7).toString('base64');
    const now = new Date();
    const headers = signedHeaders(keys, { id: 3, number: 0, secret, keyVersion: 2 }, '{}', now);
    expect(headers['webhook-signature']).toMatch(/^v1sm3,/);
    const { isGenuine } = await snippet();
    expect([isGenuine(headers, '{}', secret), isGenuine(headers, '{ }', secret)]).toEqual([true, false]);
  });

  it('P6 is tried again after an error, a redirect and a time-out, in order, under one id, and tells each change once', async () => {
    const { id } = await register();
    const failures = [
      (response: ServerResponse) => void response.writeHead(500).end(),
      (response: ServerResponse) => void response.writeHead(302, { location: 'https://localhost/elsewhere' }).end(),
      // Never answers.
      () => undefined,
    ];
    answer = (response, n) => (failures[n - 1] ?? (() => void response.writeHead(200).end()))(response);
    await change('第一家');
    await until(() => received.length >= 1);
    await change('第二家');
    await until(async () => (await state(id)).number >= 2);
    expect(received.slice(0, 4).map(({ headers }) => headers['webhook-id'])).toEqual(Array(4).fill(`${id}.1`));
    expect(names()).toEqual(['第一家', '第一家', '第一家', '第一家', '第二家']);
    expect(new Set(received.map(({ headers }) => headers['webhook-id']))).toEqual(new Set([`${id}.1`, `${id}.2`]));
    expect(await state(id)).toMatchObject({ state: 'active', note: '', attempts: 0, number: 2 });
  });

  it('P7 is dead when its receiver takes nothing for days, says why, and goes on with a redelivery', async () => {
    const { id } = await register();
    answer = (response) => void response.writeHead(503).end();
    await change('迟到的医院');
    await until(async () => (await state(id)).note === '503');
    await hub.pool.query(`update webhook set failing_since = now() - interval '4 days', next_at = now() where id = $1`, [id]);
    await until(async () => (await state(id)).state === 'dead');
    answer = (response) => void response.writeHead(204).end();
    received = [];
    const { errors } = await hub.ask('mutation ($id: ID!) { redeliverWebhook(id: $id) { state } }', { ...ADMIN, variables: { id } });
    expect(errors).toEqual([]);
    await until(() => received.length === 1);
    expect(names()).toEqual(['迟到的医院']);
  });

  it('L35 L36 sends nothing for what the department may not see, and ends with its grant', async () => {
    const { id } = await register({ region: '430100' });
    const stream = findStream(hub.model, 'credit-china/penalties') as PullStream;
    const hidden = { ...record(ZHENGZHOU, 3, 'penalty', '2026-04-01', { decisionNumber: 'x' }), key: '["w-hidden"]' };
    await hub.pool.transaction((tx) => storeRecords(tx, hub.keys, hub.model, stream, [hidden], { id: 0, today: TODAY }));
    await change('看得见的医院');
    await until(() => received.length > 0);
    expect(names()).toEqual(['看得见的医院']);
    expect(received).toHaveLength(1);
    await hub.pool.query(`update trusted_document set withdrawn_at = now(), withdrawn_by = 'o-1'`);
    await change('之后的医院');
    await until(async () => (await state(id)).state === 'ended');
    expect(await state(id)).toMatchObject({ note: 'DOCUMENT_UNKNOWN', number: 1 });
    await hub.pool.query('update trusted_document set withdrawn_at = null, withdrawn_by = null');
    expect(received).toHaveLength(1);
  });

  it('P7 does not go on as if nothing were missing when what it missed is no longer kept', async () => {
    const { id } = await register();
    const { rows } = await hub.pool.query<{ place: number }>('select place from feed_start');
    await hub.pool.query('update feed_start set place = (select max(place) + 1 from feed)');
    await change('过期的医院');
    await until(async () => (await state(id)).state === 'ended');
    expect(await state(id)).toMatchObject({ note: 'CURSOR_EXPIRED', number: 0 });
    await hub.pool.query('update feed_start set place = $1', [rows[0]?.place]);
  });

  it('P15 keeps no secret and no address readable, and shows the secret once', async () => {
    const { id, secret } = await register();
    const { rows } = await hub.pool.query('select * from webhook where id = $1', [id]);
    expect(JSON.stringify(rows)).not.toContain('/credit/changes');
    expect(JSON.stringify(rows)).not.toContain(secret);
    const renewed = await hub.ask('mutation ($id: ID!) { renewWebhookSecret(id: $id) { secret webhook { keyVersion } } }', {
      ...ADMIN,
      variables: { id },
    });
    expect(renewed.data.renewWebhookSecret.webhook.keyVersion).toBe(2);
    expect(renewed.data.renewWebhookSecret.secret).not.toBe(secret);
  });

  it('HN-28 is registered with the duty, for a document and a host that are known, and for nothing else', async () => {
    expect((await hub.ask(REGISTER, { variables: { entry: entry() } })).codes).toEqual(['DUTY_REQUIRED']);
    for (const over of [
      { url: `http://localhost:${port}/` },
      { url: `https://localhost:${port + 1}/` },
      { url: `https://x@localhost:${port}/` },
      { url: 'https://169.254.169.254/latest' },
      { url: `https://localhost:${port}/430102199003071234` },
      { document: hashOf('subscription { listChanged { cursor } }') },
      { purpose: 'credit-evaluation' },
      { department: 'nobody' },
      { officerName: ' ' },
    ])
      expect((await hub.ask(REGISTER, { ...ADMIN, variables: { entry: entry(over) } })).codes.length).toBe(1);
  });
});

describe('the sender', () => {
  const to = async (hosts: string[], url: string) => {
    const one = openWebhookSender({ hosts, timeoutMs: 500 });
    const posted = await one.post(url, {}, '{}');
    one.close();
    return posted;
  };

  it('T9 reaches no address outside its list: private networks, addresses in disguise, names that lead there', async () => {
    const before = received.length;
    for (const host of [
      `127.0.0.1:${port}`,
      `localhost:${port}`,
      `[::1]:${port}`,
      `[::ffff:127.0.0.1]:${port}`,
      `[::ffff:7f00:1]:${port}`,
      '169.254.169.254',
      '10.0.0.1',
      '0.0.0.0',
    ])
      expect([host, await to([new URL(`https://${host}`).host], `https://${host}/`)]).toEqual([host, { failed: 'ADDRESS_DENIED' }]);
    expect(await to(['localhost@10.0.0.0/8'], 'https://localhost/')).toEqual({ failed: 'ADDRESS_DENIED' });
    expect(await to(['example.cn'], 'https://other.cn/')).toEqual({ failed: 'HOST_DENIED' });
    expect(received).toHaveLength(before);
  });
});
