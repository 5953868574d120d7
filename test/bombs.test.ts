/** P12: requests that are short to write and dear to answer are refused before they cost, in few words, and the hub goes on. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { connect } from 'node:net';
import { verifyLog } from '../src/log/verify.ts';
import { BOMBS } from './fixtures/bombs.ts';
import { HOSPITAL } from './fixtures/credit-records.ts';
import { openHub, type TestHub } from './setup/hub.ts';

let hub: TestHub;
beforeAll(async () => {
  hub = await openHub();
});
afterAll(() => hub.close());

const GOOD = `{ subject(code: "${HOSPITAL.identifiers[0].code}") { name } }`;

async function expectGoodAnswer(): Promise<void> {
  const answer = await hub.ask(GOOD);
  expect({ status: answer.status, data: answer.data }).toEqual({ status: 200, data: { subject: { name: HOSPITAL.name } } });
}

describe('P12 a bomb', () => {
  it('is of at least 23 kinds', () => expect(new Set(BOMBS.map(({ name }) => name)).size).toBeGreaterThanOrEqual(23));

  it.each(BOMBS.map((bomb) => [bomb.name, bomb] as const))('of %s is refused, logged, and followed by a good answer', async (_, bomb) => {
    const { result, added } = await hub.logged(() => hub.send(bomb.body, bomb.headers ? { headers: bomb.headers } : {}));
    expect({ status: result.status, codes: [...new Set(result.codes)] }).toEqual({ status: bomb.status, codes: [bomb.code] });
    expect(result.errors[0]?.extensions['limit']).toBe(bomb.limit);
    expect(result.errors[0]?.message).toMatch(/\p{Script=Han}/u);
    expect(Buffer.byteLength(result.text)).toBeLessThanOrEqual(1024);
    expect(result.data).toBeUndefined();
    expect(added.map(({ entry }) => [entry.code, entry.rows, entry.person.id])).toEqual([[bomb.code, 0, 'wj-0001']]);
    expect(added[0]?.body.length).toBeLessThan(4096);
    await expectGoodAnswer();
  });

  it('keeps no text of its own in the log', async () => {
    const { rows } = await hub.pool.query<{ longest: number }>('select max(length(text)) as longest from log_document');
    expect(rows[0]?.longest).toBeLessThan(16_384);
  });
});

describe('P12 a sender that drips', () => {
  /** What the hub says to one that sends `head` and then a byte now and then. */
  function drip(head: string): Promise<string> {
    const { hostname, port } = new URL(hub.url);
    const socket = connect(Number(port), hostname);
    socket.write(head);
    const more = setInterval(() => socket.write('1\r\n \r\n'), 500);
    let said = '';
    return new Promise((resolve, reject) => {
      socket.on('data', (chunk) => (said += chunk.toString()));
      socket.on('error', reject);
      socket.on('close', () => {
        clearInterval(more);
        resolve(said);
      });
    });
  }

  it('of a body is answered 408, logged under its name, and let go', async () => {
    const head = `POST /graphql HTTP/1.1\r\nHost: hub\r\nAuthorization: Bearer ${await hub.token()}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n`;
    const { result, added } = await hub.logged(() => drip(head));
    expect(result).toMatch(/^HTTP\/1\.1 408 /);
    expect(result).toContain('REQUEST_TIMEOUT');
    expect(added.map(({ entry }) => [entry.outcome, entry.code, entry.person.id])).toEqual([['invalid', 'REQUEST_TIMEOUT', 'wj-0001']]);
    await expectGoodAnswer();
  });

  it('of a chunked body is cut off where the body is too long', async () => {
    const chunk = `${(8192).toString(16)}\r\n${' '.repeat(8192)}\r\n`;
    const head = `POST /graphql HTTP/1.1\r\nHost: hub\r\nAuthorization: Bearer ${await hub.token()}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n${chunk.repeat(9)}`;
    const { result, added } = await hub.logged(() => drip(head));
    expect(result).toMatch(/^HTTP\/1\.1 413 /);
    expect(added.map(({ entry }) => entry.code)).toEqual(['BODY_TOO_LARGE']);
    await expectGoodAnswer();
  });
});

describe('P12 what is stopped on its way', () => {
  it('is a query that has run out of its time: no part of it leaves', async () => {
    const slow = await openHub({ limits: { milliseconds: 1 } });
    try {
      const { result, added } = await slow.logged(() =>
        slow.ask('{ subjects(first: 20) { nodes { records(first: 20) { nodes { id } } } } records { nodes { id } } }'),
      );
      expect({ status: result.status, codes: result.codes, data: result.data }).toEqual({
        status: 503,
        codes: ['DEADLINE_EXCEEDED'],
        data: undefined,
      });
      expect(added.map(({ entry }) => [entry.outcome, entry.code, entry.fields])).toEqual([['failed', 'DEADLINE_EXCEEDED', []]]);
    } finally {
      await slow.close();
    }
  });

  it('is an answer that is too long: no part of it leaves, and the log does not say it did', async () => {
    const narrow = await openHub({ limits: { answer: 200 } });
    try {
      const { result, added } = await narrow.logged(() => narrow.ask('{ records(first: 50) { nodes { id kind subject { id name } } } }'));
      expect({ status: result.status, codes: result.codes, data: result.data }).toEqual({
        status: 400,
        codes: ['ANSWER_TOO_LARGE'],
        data: undefined,
      });
      expect(result.text.length).toBeLessThan(1024);
      expect(added.map(({ entry }) => [entry.outcome, entry.code, entry.fields])).toEqual([['failed', 'ANSWER_TOO_LARGE', []]]);
    } finally {
      await narrow.close();
    }
  });
});

it('P1 nothing above was a fault of the hub, and the log is sound', async () => {
  expect(hub.faults).toEqual([]);
  expect((await verifyLog(hub.pool)).verified).toBe(true);
});
