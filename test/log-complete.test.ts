/** P2: every row of the query log says who, when, what and why, whatever was asked and whoever asked; and nothing stands beside the hashed bytes. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { decode, encode } from '../src/log/canonical.ts';
import type { LogEntry } from '../src/log/entry.ts';
import { columnsOf } from '../src/log/session.ts';
import { verifyLog } from '../src/log/verify.ts';
import { randomOf } from '../src/sandbox/random.ts';
import { DOCTOR, HENGYANG, HOSPITAL, PATIENT, PHARMACY, SECRETS } from './fixtures/credit-records.ts';
import { sampleEntry } from './fixtures/log-entries.ts';
import type { Answer, Asking, LogRow, TestHub } from './setup/hub.ts';
import { openHub } from './setup/hub.ts';
import { SEED } from './setup/seed.ts';

const QUERIES = process.env['HUB_DEEP'] === '1' ? 10_000 : 400;

let hub: TestHub;
beforeAll(async () => {
  hub = await openHub();
});
afterAll(() => hub.close());

describe('the columns of the query log', () => {
  it('P2 P3 are the place in the chain, or can be derived from the hashed bytes: none stands beside them', async () => {
    const { rows } = await hub.pool.query<{ name: string }>(
      `select column_name as name from information_schema.columns where table_schema = 'public' and table_name = 'query_log' order by 1`,
    );
    const snake = (name: string) => name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
    const entry = sampleEntry(11);
    const derived = Object.keys(columnsOf(decode(encode(entry, new Date())).entry)).map(snake);
    expect(rows.map((row) => row.name).sort()).toEqual(['at', 'body', 'hash', 'seq', 'writer', ...derived].sort());
    // The one column of the time is in the bytes, too.
    const at = new Date('2026-11-23T01:02:03.004Z');
    expect(decode(encode(entry, at)).at).toEqual(at);
  });

  it('P2 HN-23.2 ZM-3.2.3 of who, when, what and why cannot be empty in the table', async () => {
    const { rows } = await hub.pool.query<{ name: string }>(
      `select column_name as name from information_schema.columns where table_schema = 'public' and table_name = 'query_log' and is_nullable = 'NO'`,
    );
    const names = rows.map((row) => row.name);
    for (const name of ['person', 'person_name', 'at', 'document', 'purpose', 'body', 'hash', 'outcome', 'kind', 'subjects'])
      expect(names).toContain(name);
  });
});

interface Asked {
  asking: Asking;
  query: string;
  person: { id: string; name: string };
  answer: Answer;
}

const CODES = [HOSPITAL, PHARMACY, HENGYANG, DOCTOR, PATIENT].map((one) => one.identifiers[0].code);
const NAMES = [HOSPITAL, PHARMACY, HENGYANG, DOCTOR, PATIENT].map((one) => one.name);
const DOCUMENTS = [
  'query One($code: String!) { subject(code: $code) { id name kind region } }',
  'query Two($code: String!, $n: Int) { subject(code: $code) { id records(first: $n) { nodes { kind occurredOn ... on AdministrationRecord { fineAmount facts } } } } }',
  'query Three($n: Int) { subjects(first: $n) { nodes { id name } } }',
  'query Four($n: Int) { records(first: $n) { nodes { kind subject { id } ... on HonourRecord { honourName } } } }',
  'query Five($code: String!) { subject(code: $code) { nonsense } }',
];
const CALLERS: readonly [string, string][] = [
  ['health', 'credit-evaluation'],
  ['tax', 'fiscal-support'],
  ['market-supervision', 'bidding'],
  ['tax', 'drug-procurement'],
  ['medical-insurance', 'annual-assessment'],
];

/** Ids of the subjects that an answer names, wherever they stand. */
function idsIn(value: unknown): Set<string> {
  const ids = new Set<string>();
  JSON.stringify(value, (key, inner: unknown) => {
    if (key === 'id' && typeof inner === 'string') ids.add(inner);
    return inner;
  });
  return ids;
}

describe(`a corpus of ${QUERIES} queries (HUB_SEED=${SEED})`, () => {
  const asked: Asked[] = [];
  let rows: Map<string, LogRow>;
  let added: LogRow[];

  beforeAll(async () => {
    const random = randomOf(SEED, 'corpus');
    const one = async (n: number): Promise<void> => {
      const [department, purpose] = random.pick(CALLERS);
      const person = { id: `wj-${random.int(1, 9)}`, name: random.pick(['陈静', '马腾', '周弥']) };
      const query = random.pick(DOCUMENTS);
      const region = random.pick(['430000', '430100', '410000']);
      const variables = {
        ...(query.includes('$code') ? { code: random.pick(CODES) } : {}),
        ...(query.includes('$n') ? { n: random.int(1, 20) } : {}),
      };
      const authorization = `Bearer ${await hub.token({ ...person, department, region })}`;
      const asking = { department, region, purpose, case: `案-${n}`, basis: `依据-${n % 7}`, variables, authorization };
      asked.push({ asking, query, person, answer: await hub.ask(query, asking) });
    };
    ({ added } = await hub.logged(async () => {
      for (let n = 0; n < QUERIES; n += 10) await Promise.all(Array.from({ length: 10 }, (_, i) => one(n + i)));
    }));
    rows = new Map(added.map((row) => [row.entry.purpose.case ?? '', row]));
  }, 1_800_000);

  const entryOf = ({ asking }: Asked): LogEntry => rows.get(asking.case ?? '')!.entry;

  it('P2 has one row for each, with who, when, what and why as they were', async () => {
    expect(added).toHaveLength(QUERIES);
    const texts = new Map(
      (await hub.pool.query<{ hash: string; text: string }>('select hash, text from log_document')).rows.map((row) => [row.hash, row.text]),
    );
    for (const one of asked) {
      const entry = entryOf(one);
      const { asking, person, query, answer } = one;
      expect(entry).toMatchObject({
        kind: 'query',
        person,
        department: asking.department,
        role: 'officer',
        region: asking.region,
        client: '127.0.0.1',
      });
      expect(entry.purpose).toEqual({ code: asking.purpose, basis: asking.basis, case: asking.case });
      expect(entry.policy).toBe(hub.model.version);
      const operation = /^query (\w+)/.exec(query)?.[1];
      if (entry.outcome !== 'invalid') {
        expect(entry.operation ?? operation).toBe(operation);
        expect(texts.get(entry.document)).toContain(`query ${operation}`);
        expect(Object.keys(JSON.parse(entry.variables) as object).sort()).toEqual(Object.keys(asking.variables ?? {}).sort());
      }
      const receipt = answer.extensions['log'] as { hash: string; at: string };
      expect(rows.get(asking.case ?? '')?.hash).toBe(receipt.hash);
    }
  });

  it('P2 names exactly the subjects that were in the answer, as keyed tokens, and fields that were answered only where there was one', async () => {
    const subjects = await hub.pool.query<{ id: number; code: string }>('select id from subject');
    const tokens = new Map(subjects.rows.map((row) => [hub.keys.logToken('log-subject', String(row.id)).toString('hex'), row.id]));
    for (const one of asked) {
      const entry = entryOf(one);
      const inLog = entry.subjects.map((token) => token.toString('hex'));
      for (const token of inLog) expect(tokens.has(token)).toBe(true);
      expect(new Set(inLog).size).toBe(inLog.length);
      expect(inLog).toHaveLength(idsIn(one.answer.data).size);
      expect(entry.outcome === 'answered').toBe(
        one.answer.data !== undefined && one.answer.data !== null && !one.answer.codes.some((code) => code !== 'FIELD_DENIED'),
      );
      if (entry.outcome !== 'answered') expect([entry.fields, entry.code === '']).toEqual([[], false]);
    }
    expect(new Set(asked.map((one) => entryOf(one).outcome)).size).toBeGreaterThanOrEqual(3);
  });

  it('P2 HN-5 is the same again when it is asked again, and holds no value', async () => {
    for (const one of asked.slice(0, 50)) {
      const { added: again } = await hub.logged(() => hub.ask(one.query, one.asking));
      const { durationMs: _one, ...first } = entryOf(one);
      const { durationMs: _two, ...second } = again[0]!.entry;
      expect(second).toEqual(first);
    }
    const text = added.map((row) => row.body.toString('utf8')).join('\n');
    for (const secret of [...SECRETS, ...NAMES, ...CODES]) expect(text).not.toContain(secret);
    expect((await verifyLog(hub.pool)).faults).toEqual([]);
  });
});

describe('what is no plain query', () => {
  const kindsOf = async (work: () => Promise<Answer>): Promise<[string, string, string][]> => {
    const { added } = await hub.logged(work);
    for (const { entry } of added) expect(entry.person).toEqual({ id: 'wj-0001', name: '陈静' });
    return added.map(({ entry }) => [entry.kind, entry.outcome, entry.code]);
  };
  const auditor = { department: 'auditor', role: 'auditor', purpose: 'log-review' };

  it.each<[string, string, Asking, [string, string, string][]]>([
    ['an introspection', '{ __schema { queryType { name } } }', { purpose: null }, [['introspection', 'answered', '']]],
    ['a look into the log', '{ queryLog(first: 1) { nodes { id } } }', auditor, [['admin', 'answered', '']]],
    ['the same through a fragment', 'query { ...F } fragment F on Query { logExports { id } }', auditor, [['admin', 'answered', '']]],
    [
      'a request for an export, announced first',
      'mutation { requestLogExport(format: csv, reason: "审计") { id } }',
      auditor,
      [
        ['admin', 'answered', 'INTENT'],
        ['admin', 'answered', ''],
      ],
    ],
    [
      'a change that is refused, announced first',
      'mutation { dismissIssue(id: "1", reason: "x") { id } }',
      { department: 'health' },
      [
        ['mutation', 'answered', 'INTENT'],
        ['mutation', 'refused', 'DUTY_REQUIRED'],
      ],
    ],
  ])('P2 %s is a row with the name of the person', async (_name, query, asking, expected) => {
    expect(await kindsOf(() => hub.ask(query, asking))).toEqual(expected);
  });

  it('P2 ZM-3.2.3 a scheduled job has a natural person who answers for it, for every connector there is', () => {
    for (const connector of hub.model.connectors.values()) {
      expect(connector.officer.id).not.toBe('');
      expect(connector.officer.name).toMatch(/\p{Script=Han}/u);
    }
  });
});
