/** The entry of the query log that every answer leaves behind, and what happens when it cannot be written. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { isDeepStrictEqual } from 'node:util';
import { verifyLog } from '../src/log/verify.ts';
import { DOCTOR, HOSPITAL, PHARMACY, SECRETS } from './fixtures/credit-records.ts';
import type { Answer, LogRow, TestHub } from './setup/hub.ts';
import { openHub } from './setup/hub.ts';

let hub: TestHub;
beforeAll(async () => {
  hub = await openHub({ logDeadlineMs: 1000 });
});
afterAll(() => hub.close());

const CODE = HOSPITAL.identifiers[0].code;
const TAX = { department: 'tax', purpose: 'fiscal-support' };
const SUBJECT = 'query Find($code: String!) { subject(code: $code) { name } }';

async function subjectToken(name: string): Promise<Buffer> {
  const { rows } = await hub.pool.query<{ id: number }>(`select id from subject where coalesce(open->>'name', personal->>'name') = $1`, [
    name,
  ]);
  return hub.keys.logToken('log-subject', String(rows[0]?.id));
}

describe('an answered query', () => {
  it('HN-23.2 ZM-3.2.3 leaves one durable entry: who, when, what, why, and what came back', async () => {
    const query = `query Penalties($code: String!, $n: Int) { subject(code: $code) { name ... on Organisation { institutionCode }
      records(where: { kind: "penalty" }, first: $n) { nodes { kind ... on AdministrationRecord { fineAmount facts legalRepresentative } ... on HonourRecord { honourName } } } } }`;
    const { result, added } = await hub.logged(() =>
      hub.ask(query, {
        department: 'market-supervision',
        purpose: 'bidding',
        case: '招标〔2026〕12号',
        basis: '招标投标法',
        variables: { code: CODE, n: 2 },
      }),
    );
    expect(result.status).toBe(200);
    expect(added).toHaveLength(1);
    const [{ entry, at }] = added as [LogRow];
    expect(entry).toEqual({
      kind: 'query',
      person: { id: 'wj-0001', name: '陈静' },
      department: 'market-supervision',
      role: 'officer',
      region: '430000',
      actingFor: '',
      purpose: { code: 'bidding', basis: '招标投标法', case: '招标〔2026〕12号' },
      operation: 'Penalties',
      document: expect.stringMatching(/^[0-9a-f]{64}$/),
      variables: expect.stringMatching(/^\{"code":"t:[\w-]{22}","n":2\}$/),
      // What was returned: the honour was asked, and there was none.
      fields: [
        'AdministrationRecord.facts',
        'AdministrationRecord.fineAmount',
        'AdministrationRecord.legalRepresentative',
        'Organisation.name',
      ],
      masked: ['AdministrationRecord.legalRepresentative'],
      denied: ['Organisation.institutionCode', 'HonourRecord.honourName'],
      categories: [3],
      subjects: [await subjectToken(HOSPITAL.name)],
      rows: 3,
      policy: hub.model.version,
      rules: ['market-supervision/enterprises'],
      outcome: 'answered',
      code: '',
      durationMs: expect.any(Number),
      client: '127.0.0.1',
    });
    expect(Math.abs(Date.parse(at) - Date.now())).toBeLessThan(60_000);
  });

  it('P2 names what was returned and not what was asked: fields, subjects and rows', async () => {
    const query = `{ records(where: { kind: "penalty", from: "2026-03-17", to: "2026-03-17" }) { nodes { subject { name } ... on AdministrationRecord { revokedLicence fineAmount } ... on JudicialRecord { court } } } }`;
    const { added } = await hub.logged(() => hub.ask(query, { ...TAX, region: '430100' }));
    expect(added[0]?.entry).toMatchObject({
      fields: ['AdministrationRecord.fineAmount', 'Organisation.name'],
      categories: [3],
      subjects: [await subjectToken(PHARMACY.name)],
      rows: 2,
    });
  });

  it('P2 names every subject of a list once', async () => {
    const { result, added } = await hub.logged(() =>
      hub.ask('{ subjects { nodes { id } } records(first: 50) { nodes { subject { id } } } }', TAX),
    );
    const ids = new Set<string>([
      ...result.data.subjects.nodes.map((node: { id: string }) => node.id),
      ...result.data.records.nodes.map((node: { subject: { id: string } }) => node.subject.id),
    ]);
    expect(added[0]?.entry.subjects).toHaveLength(ids.size);
    expect(new Set(added[0]?.entry.subjects.map((token) => token.toString('hex'))).size).toBe(ids.size);
  });

  it('P3 gives the caller a receipt that is the row', async () => {
    const { result, added } = await hub.logged(() => hub.ask(SUBJECT, { variables: { code: CODE } }));
    const [row] = added as [LogRow];
    expect(result.extensions['log']).toEqual({
      id: `${row.writer}-${row.seq}`,
      writer: row.writer,
      seq: row.seq,
      hash: row.hash,
      at: row.at,
    });
  });

  it('HN-5 holds no code, name or number that was asked for or found: equal ones are equal tokens', async () => {
    const { code } = DOCTOR.identifiers[0];
    const ask = (query: string, variables: Record<string, unknown>): Promise<{ added: LogRow[] }> =>
      hub.logged(() => hub.ask(query, { variables }));
    const one = await ask(SUBJECT, { code });
    const two = await ask('query Other($it: String!) { subject(code: $it) { id } }', { it: code });
    const three = await ask(`{ subject(code: "${code}") { name ... on Person { idNumber } } }`, {});
    const tokenOf = (logged: { added: LogRow[] }): unknown =>
      Object.values(JSON.parse(logged.added[0]?.entry.variables ?? '{}') as object)[0];
    expect(tokenOf(one)).toMatch(/^t:/);
    expect(tokenOf(two)).toBe(tokenOf(one));
    const { rows } = await hub.pool.query<{ text: string }>('select text from log_document');
    const kept = [
      ...[one, two, three].flatMap(({ added }) => added.map((row) => row.body.toString('utf8'))),
      ...rows.map((row) => row.text),
    ].join('\n');
    for (const secret of [...SECRETS, DOCTOR.name]) expect(kept).not.toContain(secret);
  });

  it('P2 gives one hash to documents that differ in their literals only', async () => {
    const documents = await Promise.all(
      [CODE, PHARMACY.identifiers[0].code].map(async (code) => hub.ask(`query { subject(code: "${code}") { kind } }`)),
    );
    const rows = (await hub.entries()).slice(-documents.length);
    expect(new Set(rows.map(({ entry }) => entry.document)).size).toBe(1);
  });

  it('P1 has its row when the answer arrives, for each of a hundred at once, in one sound chain', async () => {
    const { result, added } = await hub.logged(() =>
      Promise.all(Array.from({ length: 100 }, (_, i) => hub.ask(SUBJECT, { variables: { code: CODE }, case: `案-${i}` }))),
    );
    expect(added).toHaveLength(100);
    const stored = new Map(added.map((row) => [row.hash, row.entry.purpose.case]));
    for (const [i, answer] of result.entries()) {
      expect(answer.data).toEqual({ subject: { name: HOSPITAL.name } });
      expect(stored.get((answer.extensions['log'] as { hash: string }).hash)).toBe(`案-${i}`);
    }
    expect(new Set(added.map(({ entry }) => entry.purpose.case)).size).toBe(100);
    expect((await verifyLog(hub.pool)).verified).toBe(true);
  });

  it('HN-5 keeps answers out of every cache', async () => {
    const response = await fetch(`${hub.url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${await hub.token()}`, 'x-purpose': 'credit-evaluation' },
      body: JSON.stringify({ query: '{ subjects { nodes { name } } }' }),
    });
    await response.text();
    expect(response.headers.get('cache-control')).toBe('no-store');
  });
});

describe('a log that cannot be written', () => {
  /** No answer of any kind may leave while it is broken; afterwards everything is as before. */
  async function expectNoAnswers(breaking: string[], mending: string[]): Promise<void> {
    const before = await hub.entries();
    for (const statement of breaking) await hub.pool.query(statement);
    const answers = await Promise.all([
      hub.ask(SUBJECT, { variables: { code: CODE } }),
      hub.ask('{ subjects { nodes { name } } }', TAX),
      hub.ask('{ __schema { queryType { name } } }', { purpose: null }),
      hub.ask(SUBJECT, { purpose: null }),
      hub.ask('{ nothing }'),
      hub.send('[]'),
      hub.ask(SUBJECT, { authorization: null }),
    ]);
    for (const statement of mending) await hub.pool.query(statement);
    for (const answer of answers) {
      expect({ status: answer.status, codes: answer.codes, data: answer.data }).toEqual({
        status: 503,
        codes: ['LOG_UNAVAILABLE'],
        data: undefined,
      });
      expect(answer.errors[0]?.message).toMatch(/\p{Script=Han}/u);
      expect(answer.text).not.toContain(HOSPITAL.name);
      expect(answer.extensions).toEqual({});
    }
    const after = await hub.entries();
    expect(isDeepStrictEqual(after.slice(0, before.length), before)).toBe(true);
    expect((await hub.ask(SUBJECT, { variables: { code: CODE } })).data).toEqual({ subject: { name: HOSPITAL.name } });
    expect((await verifyLog(hub.pool)).verified).toBe(true);
  }

  it('P1 gives a typed 503 and no data when its table is gone', () =>
    expectNoAnswers(['alter table query_log rename to query_log_away'], ['alter table query_log_away rename to query_log']));

  it('P1 gives a typed 503 and no data when a rule of the database refuses the row', () =>
    expectNoAnswers(
      ['alter table query_log add constraint refused check (writer < 0) not valid'],
      ['alter table query_log drop constraint refused'],
    ));

  it('P1 gives a typed 503 and no data when the documents cannot be kept', async () => {
    await hub.pool.query('alter table log_document rename to log_document_away');
    const fresh = await hub.ask('query Fresh { subjects(first: 3) { nodes { kind name } } }');
    await hub.pool.query('alter table log_document_away rename to log_document');
    expect({ status: fresh.status, codes: fresh.codes, data: fresh.data }).toEqual({
      status: 503,
      codes: ['LOG_UNAVAILABLE'],
      data: undefined,
    });
  });

  it('P1 gives a typed 503 and no data while its table is locked, and answers again afterwards', async () => {
    const locked = await hub.pool.transaction(async (sql) => {
      await sql.query('lock table query_log in exclusive mode');
      return hub.ask(SUBJECT, { variables: { code: CODE } });
    });
    expect({ status: locked.status, codes: locked.codes, data: locked.data }).toEqual({
      status: 503,
      codes: ['LOG_UNAVAILABLE'],
      data: undefined,
    });
    const again = async (): Promise<Answer> => {
      const answer = await hub.ask(SUBJECT, { variables: { code: CODE } });
      if (answer.status === 200) return answer;
      expect(answer.codes).toEqual(['LOG_UNAVAILABLE']);
      return again();
    };
    expect((await again()).data).toEqual({ subject: { name: HOSPITAL.name } });
    expect((await verifyLog(hub.pool)).verified).toBe(true);
  });
});
