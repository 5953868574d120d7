/** Events for dashboards and departments (HN-22, HN-28, ZM-2.5): subscriptions over SSE under the same grant as queries, each batch logged before it leaves. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { MappedRecord } from '../src/mapping/record.ts';
import { findStream } from '../src/model/load.ts';
import type { FieldValue, PullStream } from '../src/model/types.ts';
import { storeRecords } from '../src/store/records.ts';
import type { Sql } from '../src/store/sql.ts';
import { HENGYANG, HOSPITAL, PATIENT, record, type WorldSubject, ZHENGZHOU } from './fixtures/credit-records.ts';
import { changesIn, headersFor, type Subscribed, subscribe, until } from './setup/events.ts';
import { type Asking, openHub, type TestHub, TODAY } from './setup/hub.ts';
import { BUREAU, TAX } from './setup/leaks.ts';

let hub: TestHub;
beforeAll(async () => {
  hub = await openHub({ revocable: true });
});
afterAll(() => hub.close());

const DOCUMENT = `subscription ($after: String, $kinds: [String!], $region: String) { recordChanged(after: $after, kinds: $kinds, region: $region) { cursor changes { how id version
  record { id kind region version ... on RegistrationRecord { registeredName employerAmount period } } } } }`;

let versions = 0;
const contribution = (
  key: string,
  fields: Record<string, FieldValue>,
  more: Partial<MappedRecord> = {},
  of: WorldSubject = HOSPITAL,
): MappedRecord => ({
  ...record(of, 1, 'employer-contribution', '2026-04-01', {
    insuranceType: '310',
    period: '202604',
    paymentStatus: '已缴',
    registeredName: of.name,
    ...fields,
  }),
  key: JSON.stringify([key]),
  version: `2026-05-01T00:00:00.${String((versions += 1)).padStart(6, '0')}Z`,
  ...more,
});
async function store(sql: Sql, ...records: MappedRecord[]): Promise<void> {
  const stream = findStream(hub.model, 'credit-china/penalties') as PullStream;
  await sql.transaction((tx) => storeRecords(tx, hub.keys, hub.model, stream, records, { id: 0, today: TODAY }));
}
async function listen(
  asking: Asking & { authorization?: string } = TAX,
  variables: Record<string, unknown> = {},
  more: { query?: string; lastEventId?: string | undefined } = {},
): Promise<Subscribed> {
  const headers = { ...(await headersFor(hub, asking as never)), ...asking.headers };
  return subscribe({ url: hub.url, headers, query: DOCUMENT, variables, ...more });
}
/** What a stream has told once a change that everybody sees has come through it: by then nothing is on its way. */
async function settled(stream: Subscribed): Promise<ReturnType<typeof changesIn>> {
  const mark = `mark-${(versions += 1)}`;
  await store(hub.pool, contribution(mark, { registeredName: mark }));
  await until(() => stream.messages.some(({ text }) => text.includes(mark)));
  return changesIn(stream.messages).filter((change) => !JSON.stringify(change).includes('mark-'));
}

describe('a stream of events', () => {
  it('HN-22 begins with where it stands, and tells a record that is new, changed and gone, as the grant shows it', async () => {
    const stream = await listen();
    expect([stream.status, stream.type]).toEqual([200, 'text/event-stream; charset=utf-8']);
    const first = await stream.at(0);
    expect(first).toMatchObject({ event: 'next', data: { recordChanged: { changes: [] } } });
    expect(first.id).toBe(first.data.recordChanged.cursor);
    await store(hub.pool, contribution('one', { employerAmount: 100 }));
    await stream.at(1);
    await store(hub.pool, contribution('one', { employerAmount: 100, registeredName: '长沙墨羽医院（新）' }));
    await stream.at(2);
    await store(hub.pool, contribution('one', { employerAmount: 100 }, { deleted: true }));
    const last = await stream.at(3);
    const told = changesIn(stream.messages);
    expect(
      told.map(({ how, version, record: shown }) => [how, version, shown?.['registeredName'] ?? null, shown?.['employerAmount'] ?? null]),
    ).toEqual([
      ['NEW', 1, HOSPITAL.name, null],
      ['CHANGED', 2, '长沙墨羽医院（新）', null],
      ['GONE', null, null, null],
    ]);
    expect(new Set(told.map(({ id }) => id)).size).toBe(1);
    // Not allowed never looks like nothing there, in a stream as in an answer.
    expect(last.codes).toContain('FIELD_DENIED');
    expect(last.extensions).toMatchObject({ access: { purpose: 'fiscal-support' } });
    stream.close();
  });

  it('HN-22 HN-28 tells grades and lists by themselves', async () => {
    const [grades, lists] = await Promise.all(
      ['gradeChanged', 'listChanged'].map((name) =>
        listen(
          BUREAU,
          {},
          {
            query: `subscription { ${name} { cursor changes { how kind record { ... on EvaluationRecord { grade } ... on DishonestyListRecord { listName } } } } }`,
          },
        ),
      ),
    );
    await Promise.all([grades?.at(0), lists?.at(0)]);
    await store(
      hub.pool,
      {
        ...record(HOSPITAL, 6, 'medical-insurance-evaluation', '2026-04-10', {
          scheme: 'hunan-medical-insurance',
          year: 2026,
          grade: 'hunan:A',
        }),
        key: '["g"]',
      },
      {
        ...record(HOSPITAL, 11, 'insurance-dishonesty-list', '2026-04-10', {
          listName: '失信主体名单',
          reason: '欺诈骗保',
          listedOn: '2026-04-10',
        }),
        key: '["l"]',
      },
    );
    expect((await grades?.at(1))?.data.gradeChanged.changes).toEqual([
      { how: 'NEW', kind: 'medical-insurance-evaluation', record: { grade: 'hunan:A' } },
    ]);
    expect((await lists?.at(1))?.data.listChanged.changes).toEqual([
      { how: 'NEW', kind: 'insurance-dishonesty-list', record: { listName: '失信主体名单' } },
    ]);
    grades?.close();
    lists?.close();
  });

  it('ZM-2.5 is filtered by kind and region, and what leaves the filter is gone from the stream', async () => {
    const stream = await listen(BUREAU, { kinds: ['employer-contribution'], region: '4301' });
    await stream.at(0);
    await store(hub.pool, contribution('moves', {}, { region: '430102' }), contribution('elsewhere', {}, { region: '430405' }, HENGYANG));
    await stream.at(1);
    await store(hub.pool, contribution('moves', {}, { region: '430405' }));
    await stream.at(2);
    expect((await settled(stream)).map(({ how }) => how)).toEqual(['NEW', 'GONE']);
    stream.close();
  });

  it('P5 passes by no change that is committed late: another that began after it and was told before it', async () => {
    const stream = await listen();
    await stream.at(0);
    const { promise: hold, resolve: release } = Promise.withResolvers<void>();
    const { promise: written, resolve: wrote } = Promise.withResolvers<void>();
    const late = hub.pool.transaction(async (tx) => {
      await store(tx, contribution('late', { registeredName: '迟到的医院' }));
      wrote();
      await hold;
    });
    await written;
    await store(hub.pool, contribution('early', { registeredName: '先到的医院' }, {}, HENGYANG));
    await stream.at(1);
    release();
    await late;
    await stream.at(2);
    expect(changesIn(stream.messages).map((change) => change.record?.['registeredName'])).toEqual(['先到的医院', '迟到的医院']);
    stream.close();
  });

  it('HN-28 is resumed from an id or a cursor: what a cut stream missed comes, in order, and nothing comes twice', async () => {
    const first = await listen();
    const { id: start } = await first.at(0);
    await store(hub.pool, contribution('r-0', {}));
    const { id: after } = await first.at(1);
    first.close();
    for (let i = 1; i < 130; i += 1) await store(hub.pool, contribution(`r-${i}`, { period: `2026-${i}` }));
    const byId = await listen(TAX, {}, { lastEventId: after });
    const byCursor = await listen(TAX, { after });
    for (const stream of [byId, byCursor]) {
      const told = await settled(stream);
      expect([told.length, new Set(told.map(({ id }) => id)).size, new Set(told.map(({ how }) => how))]).toEqual([
        129,
        129,
        new Set(['NEW']),
      ]);
      // In batches: no message tells more than fifty.
      expect(Math.max(...stream.messages.map((message) => changesIn([message]).length))).toBeLessThanOrEqual(50);
      stream.close();
    }
    const again = await listen(TAX, {}, { lastEventId: start });
    expect((await settled(again)).length).toBeGreaterThanOrEqual(130);
    again.close();
  });

  it('HN-28 refuses a cursor that is none, that was made up, or that is older than what is kept', async () => {
    for (const lastEventId of ['x', 'AAAAAAAAAAAAAAAAAAAAAA']) {
      const stream = await listen(TAX, {}, { lastEventId });
      expect(stream.status).toBe(400);
    }
    const stream = await listen(TAX, { after: 'x' });
    expect((await stream.at(0)).codes).toContain('BAD_CURSOR');
    expect((await stream.at(1)).event).toBe('complete');
    await stream.ended;
    const old = await listen();
    const { id } = await old.at(0);
    old.close();
    await store(hub.pool, contribution('after-old', {}));
    const { rows } = await hub.pool.query<{ place: number }>('update feed_start set place = place + 1000000 returning place');
    const late = await listen(TAX, {}, { lastEventId: id });
    expect((await late.at(0)).codes).toContain('CURSOR_EXPIRED');
    await hub.pool.query('update feed_start set place = $1 - 1000000', [rows[0]?.place]);
  });
});

describe('every message', () => {
  it('P1 has its row in the log before it leaves: the opening and each batch, and nothing for what is not told', async () => {
    const { result: stream, added } = await hub.logged(async () => {
      const opened = await listen();
      await opened.at(0);
      await store(hub.pool, contribution('logged', {}), contribution('logged-too', {}));
      await opened.at(1);
      await store(hub.pool, { ...record(ZHENGZHOU, 9, 'violation', '2026-04-01', { facts: '虚记费用' }), key: '["hidden"]' });
      await store(hub.pool, contribution('logged', {}, { deleted: true }));
      await opened.at(2);
      return opened;
    });
    const receipts = stream.messages.map(({ extensions }) => (extensions['log'] as { seq: number }).seq);
    expect(receipts).toEqual(added.map(({ seq }) => seq));
    expect(added.map(({ entry }) => [entry.kind, entry.rows, entry.outcome, entry.purpose.code])).toEqual([
      ['subscription', 0, 'answered', 'fiscal-support'],
      ['subscription', 2, 'answered', 'fiscal-support'],
      // That a record is gone is told of its subject too.
      ['subscription', 1, 'answered', 'fiscal-support'],
    ]);
    expect(added.map(({ entry }) => entry.subjects.length)).toEqual([0, 1, 1]);
    expect(added[1]?.entry.fields).toContain('RegistrationRecord.registeredName');
    expect(added[1]?.entry.denied).toContain('RegistrationRecord.employerAmount');
    stream.close();
  });

  it('P1 is not sent where the log cannot be written, and comes once it can', async () => {
    const away = await openHub({ logDeadlineMs: 500 });
    try {
      const headers = await headersFor(away, TAX);
      const stream = await subscribe({ url: away.url, headers, query: DOCUMENT });
      const { id } = await stream.at(0);
      await away.pool.query('alter table query_log rename to query_log_away');
      const write = findStream(away.model, 'credit-china/penalties') as PullStream;
      await away.pool.transaction((tx) =>
        storeRecords(tx, away.keys, away.model, write, [contribution('unlogged', { registeredName: '未记录' })], { id: 0, today: TODAY }),
      );
      await stream.ended;
      expect(stream.messages.map(({ event, codes }) => [event, codes])).toEqual([
        ['next', ['FIELD_DENIED', 'FIELD_DENIED']],
        ['next', ['LOG_UNAVAILABLE']],
        ['complete', []],
      ]);
      expect(stream.messages.map(({ text }) => text).join('')).not.toContain('未记录');
      const refused = await subscribe({ url: away.url, headers, query: DOCUMENT, lastEventId: id });
      expect(refused.messages.map(({ text }) => text).join('')).not.toContain('未记录');
      refused.close();
      await away.pool.query('alter table query_log_away rename to query_log');
      const again = await subscribe({ url: away.url, headers, query: DOCUMENT, lastEventId: id });
      await again.at(1);
      expect(changesIn(again.messages).map(({ record: shown }) => shown?.['registeredName'])).toEqual(['未记录']);
      again.close();
    } finally {
      await away.close();
    }
  });
});

describe('a stream ends', () => {
  it('P14 when its session is revoked or its token is over, and says why', async () => {
    const revocable = `Bearer ${await hub.token({ id: 'rev-1', department: 'tax' })}`;
    const short = `Bearer ${await hub.token({ id: 'rev-2', department: 'tax', expiresIn: -28 })}`;
    const [revoked, expired] = await Promise.all([listen({ ...TAX, authorization: revocable }), listen({ ...TAX, authorization: short })]);
    await Promise.all([revoked.at(0), expired.at(0)]);
    await hub.pool.query(`insert into revocation (person, reason, revoked_by, revoked_name) values ('rev-1', '离岗', 'x', '某人')`);
    await Promise.all([revoked.ended, expired.ended]);
    expect([revoked, expired].map(({ messages }) => messages.slice(1).map(({ event, codes }) => [event, ...codes]))).toEqual([
      [['next', 'TOKEN_REVOKED'], ['complete']],
      [['next', 'TOKEN_EXPIRED'], ['complete']],
    ]);
    const codes = (await hub.entries()).map(({ entry }) => [entry.kind, entry.code]);
    expect(codes).toContainEqual(['subscription', 'TOKEN_REVOKED']);
  });

  it('HN-23.1 when the consent that it hangs on is revoked: nothing more is told, and why', async () => {
    const [{ code }] = PATIENT.identifiers;
    const self: Asking = { department: 'subject', role: 'subject', region: '', purpose: 'consent-management', subject: code };
    await hub.pool.query(`update subject set roles = array['insured-person'] where personal->>'name' = $1`, [PATIENT.name]);
    const consent = {
      department: 'insurance-agency',
      purposes: ['credit-payment'],
      categories: [1, 6],
      validFrom: '2026-11-01',
      validUntil: '2026-12-31',
      channel: 'xiang-yibao',
      evidence: '湘医保授权会话',
    };
    const given = await hub.ask('mutation ($consent: ConsentEntry!) { giveConsent(consent: $consent) { id } }', {
      ...self,
      variables: { consent },
    });
    const agency = { department: 'insurance-agency', region: '430100', purpose: 'credit-payment' };
    const query = 'subscription { recordChanged { changes { how kind } } }';
    const stream = await listen(agency, {}, { query });
    await stream.at(0);
    const of = {
      ...record(PATIENT, 1, 'person-registration', '2026-04-01', { insuranceType: '310', personType: '11', insuredStatus: '1' }),
      key: '["consented"]',
    };
    await store(hub.pool, of);
    expect(changesIn([await stream.at(1)]).map(({ how }) => how)).toEqual(['NEW']);
    await hub.ask('mutation ($id: ID!) { revokeConsent(id: $id) { id } }', { ...self, variables: { id: given.data.giveConsent.id } });
    await store(hub.pool, { ...of, version: '2' });
    await stream.ended;
    expect(stream.messages.slice(2).map(({ event, codes }) => [event, ...codes])).toEqual([['next', 'GRANT_ENDED'], ['complete']]);
    const none = await listen(agency, {}, { query });
    expect((await none.at(0)).codes).toEqual(['GRANT_ENDED']);
  });

  it('HN-23.2 when the term of its rules ends, or begins: the next day another grant is decided', async () => {
    let now = new Date(`${TODAY}T15:59:00Z`);
    const rules = hub.model.rules.filter(({ departments }) => departments.includes('tax'));
    const terms = new Map(rules.map((rule) => [rule, rule.term]));
    const own = await openHub({ seed: false, clock: () => now });
    for (const rule of rules) rule.term = { ...rule.term, until: TODAY };
    try {
      const stream = await subscribe({ url: own.url, headers: await headersFor(own, TAX), query: DOCUMENT });
      await stream.at(0);
      // Midnight in Changsha.
      now = new Date(`${TODAY}T16:00:01Z`);
      await stream.ended;
      expect(stream.messages.slice(1).map(({ event, codes }) => [event, ...codes])).toEqual([['next', 'NO_POLICY'], ['complete']]);
    } finally {
      for (const rule of rules) rule.term = terms.get(rule) ?? rule.term;
      await own.close();
    }
  });

  it('P12 for a reader that takes nothing: it is cut off, and what it did not take is not kept for it', async () => {
    const slow = await openHub({ streams: { stall: 300 } });
    try {
      const headers = { ...(await headersFor(slow, BUREAU)), 'content-type': 'application/json', accept: 'text/event-stream' };
      const { hostname, port } = new URL(slow.url);
      const socket = connect(Number(port), hostname);
      const aliases = Array.from({ length: 10 }, (_, i) => `f${i}: facts`).join(' ');
      const body = JSON.stringify({
        query: `subscription { recordChanged { changes { record { ... on ViolationRecord { ${aliases} } } } } }`,
      });
      const head = Object.entries({ ...headers, host: 'x', 'content-length': String(Buffer.byteLength(body)) }).map(
        ([name, value]) => `${name}: ${value}\r\n`,
      );
      socket.write(`POST /graphql HTTP/1.1\r\n${head.join('')}\r\n${body}`);
      await once(socket, 'data');
      // From now on it does not read.
      socket.pause();
      const write = findStream(slow.model, 'credit-china/penalties') as PullStream;
      const isCut = async () => (await slow.entries()).some(({ entry }) => entry.code === 'READER_TOO_SLOW');
      const many = (round: number) =>
        Array.from({ length: 50 }, (_, i) => ({
          ...record(HOSPITAL, 9, 'violation', '2026-04-01', { facts: '虚记费用'.repeat(400) }),
          key: `["slow-${round}-${i}"]`,
        }));
      for (let round = 0; !(await isCut()); round += 1)
        await slow.pool.transaction((tx) => storeRecords(tx, slow.keys, slow.model, write, many(round), { id: 0, today: TODAY }));
      const delivered = (await slow.entries()).filter(({ entry }) => entry.kind === 'subscription' && entry.outcome === 'answered').length;
      for (let round = 900; round < 903; round += 1)
        await slow.pool.transaction((tx) => storeRecords(tx, slow.keys, slow.model, write, many(round), { id: 0, today: TODAY }));
      expect((await slow.entries()).filter(({ entry }) => entry.kind === 'subscription' && entry.outcome === 'answered')).toHaveLength(
        delivered,
      );
      socket.destroy();
    } finally {
      await slow.close();
    }
  });

  it('HN-23.2 asks for a purpose and the policy for it, and takes strict mode, as a query does', async () => {
    const authorization = `Bearer ${await hub.token({ department: 'tax' })}`;
    const without = await subscribe({ url: hub.url, headers: { authorization }, query: DOCUMENT });
    expect((await without.at(0)).codes).toEqual(['PURPOSE_REQUIRED']);
    const other = await listen({ department: 'tax', purpose: 'drug-procurement' });
    expect((await other.at(0)).codes).toEqual(['NO_POLICY']);
    const strict = await listen({ ...TAX, headers: { 'x-access': 'strict' } });
    expect((await strict.at(0)).codes).toEqual(['ACCESS_DENIED']);
    const wrong = await listen(TAX, {}, { query: 'subscription { nothing { cursor } }' });
    expect((await wrong.at(0)).codes).toEqual(['GRAPHQL_VALIDATION_FAILED']);
    await Promise.all([without, other, strict, wrong].map(({ ended }) => ended));
  });

  it('P12 is not opened beyond the limit of a person, and is free again when one ends', async () => {
    const small = await openHub({ streams: { person: 2, ping: 50 }, seed: false });
    try {
      const headers = await headersFor(small, TAX);
      const open = () => subscribe({ url: small.url, headers, query: DOCUMENT });
      const [one, two] = await Promise.all([open(), open()]);
      await Promise.all([one.at(0), two.at(0)]);
      const third = await open();
      expect(third.status).toBe(429);
      await until(() => one.pings() > 2);
      one.close();
      await until(async () => (await open()).status === 200);
      // Stopping ends them without a word of completion: their readers come back.
    } finally {
      await small.close();
    }
  });

  it('L43 a subscription is not answered by anything but a stream', async () => {
    expect((await hub.ask(DOCUMENT, TAX)).codes).toEqual(['OPERATION_NOT_SUPPORTED']);
    const stream = await listen(TAX, {}, { query: '{ records(first: 1) { nodes { id } } }' });
    expect((await stream.at(0)).data.records.nodes).toHaveLength(1);
    expect((await stream.at(1)).event).toBe('complete');
    await stream.ended;
    const headers = { ...(await headersFor(hub, TAX)), 'content-type': 'application/json', accept: 'application/json, text/event-stream' };
    const both = await fetch(`${hub.url}/graphql`, { method: 'POST', headers, body: JSON.stringify({ query: '{ __typename }' }) });
    expect(both.headers.get('content-type')).toContain('application/json');
    await both.text();
  });
});
