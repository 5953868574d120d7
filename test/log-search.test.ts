/** The query log as an auditor uses it: search, with a plan for every filter, and export by two persons. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { logSearch, type LogSearchCommand } from '../src/commands/log.ts';
import { KINDS, OUTCOMES } from '../src/log/entry.ts';
import { type LogFilter, placeText, readPlace, searchLog, searchStatement } from '../src/log/search.ts';
import { newKeyRing } from '../src/store/keys.ts';
import { DOCTOR, HOSPITAL, PHARMACY, SECRETS } from './fixtures/credit-records.ts';
import { sampleDocument, sampleEntry } from './fixtures/log-entries.ts';
import { freshDatabase, type TestDatabase } from './setup/database.ts';
import type { Answer, Asking, TestHub } from './setup/hub.ts';
import { openHub } from './setup/hub.ts';

let hub: TestHub;
let database: TestDatabase;
const ring = newKeyRing();
const CODE = HOSPITAL.identifiers[0].code;
const AUDITOR = { department: 'auditor', role: 'auditor', purpose: 'log-review' };
const BY_CODE = 'query Find($code: String!) { subject(code: $code) { name kind } }';

beforeAll(async () => {
  database = await freshDatabase();
  hub = await openHub({ databaseUrl: database.url, ring });
  for (const [index, code] of [CODE, PHARMACY.identifiers[0].code, CODE, DOCTOR.identifiers[0].code].entries()) {
    await hub.ask(BY_CODE, { variables: { code }, case: `案-${index}`, basis: '条例' });
  }
  await hub.ask(BY_CODE, { variables: { code: CODE }, department: 'tax', purpose: 'fiscal-support', case: '税-1' });
  await hub.ask(BY_CODE, { variables: { code: CODE }, department: 'court', purpose: 'bidding' });
});
afterAll(async () => {
  await hub?.close();
  await database?.drop();
});

const ALL = `id at hash kind personId personName department role region actingFor purpose basis caseNumber operation document variables
  fields masked denied categories subjects rows policy rules outcome code durationMs client`;
const SEARCH = `query Search($filter: LogFilterInput, $first: Int, $after: String) {
  queryLog(filter: $filter, first: $first, after: $after) { nodes { ${ALL} } pageInfo { endCursor hasNextPage } } }`;

const search = (filter: Record<string, unknown>, more: Record<string, unknown> = {}, asking: Asking = {}): Promise<Answer> =>
  hub.ask(SEARCH, { ...AUDITOR, variables: { filter, ...more }, ...asking });
const nodesOf = (answer: Answer) => answer.data.queryLog.nodes as Record<string, unknown>[];

describe('the search of the query log', () => {
  it('HN-23.2 ZM-3.2.3 shows an auditor who, when, what, why and what came back, and no value', async () => {
    const answer = await search({ subject: CODE, department: 'tax' });
    expect(answer.errors).toEqual([]);
    expect(nodesOf(answer)).toEqual([
      expect.objectContaining({
        personId: 'wj-0001',
        personName: '陈静',
        department: 'tax',
        purpose: 'fiscal-support',
        caseNumber: '税-1',
        operation: 'Find',
        document: expect.stringContaining('subject(code:$code)'),
        variables: expect.stringMatching(/^\{"code":"t:/),
        kind: 'query',
        outcome: 'answered',
        subjects: 1,
        rows: 1,
        client: '127.0.0.1',
      }),
    ]);
    for (const secret of [...SECRETS, HOSPITAL.name, DOCTOR.name, CODE]) expect(answer.text).not.toContain(secret);
  });

  it('U29 finds by subject, person, department, purpose, kind, outcome and day what the log holds, and nothing else', async () => {
    const entries = (await hub.entries()).map((row) => row.entry);
    const cases = async (filter: Record<string, unknown>) => nodesOf(await search(filter)).map((node) => node['caseNumber']);
    expect(await cases({ subject: CODE, purpose: 'credit-evaluation' })).toEqual(['案-2', '案-0']);
    expect(await cases({ subject: DOCTOR.identifiers[0].code, kind: 'query' })).toEqual(['案-3']);
    expect(await cases({ department: 'tax' })).toEqual(['税-1']);
    expect(await cases({ outcome: 'refused' })).toHaveLength(entries.filter((one) => one.outcome === 'refused').length);
    expect(await cases({ person: 'nobody' })).toEqual([]);
    expect(await cases({ to: '2020-01-01' })).toEqual([]);
    expect((await cases({ from: '2020-01-01', kind: 'query' })).length).toBe(entries.filter((one) => one.kind === 'query').length);
  });

  it('U29 goes through all entries page by page, each once, newest first', async () => {
    const seen: string[] = [];
    const to = (await hub.entries()).length;
    for (let after: string | null = null; ;) {
      const answer = await search({ kind: 'query' }, { first: 2, after });
      seen.push(...nodesOf(answer).map((node) => String(node['id'])));
      const { hasNextPage, endCursor } = answer.data.queryLog.pageInfo as { hasNextPage: boolean; endCursor: string };
      if (!hasNextPage) break;
      after = endCursor;
      expect(seen.length).toBeLessThan(to);
    }
    const expected = (await hub.entries()).filter(({ entry }) => entry.kind === 'query').map((row) => `${row.writer}-${row.seq}`);
    expect(seen).toEqual(expected.toReversed());
  });

  it('HN-23.2 is itself in the log, as an act of administration about the subject that was searched for', async () => {
    const { added } = await hub.logged(() => search({ subject: CODE }, { first: 3 }));
    expect(added).toHaveLength(1);
    expect(added[0]?.entry).toMatchObject({
      kind: 'admin',
      department: 'auditor',
      outcome: 'answered',
      fields: ['Query.queryLog'],
      rows: 3,
    });
    expect(added[0]?.entry.subjects).toHaveLength(1);
    expect(added[0]?.body.toString('utf8')).not.toContain(CODE);
  });

  it('HN-23.2 is for the auditor alone, and a refused search is logged as such', async () => {
    for (const asking of [{ department: 'health' }, { role: 'officer' }, { department: 'operations', role: 'system-administrator' }]) {
      const { result, added } = await hub.logged(() => search({}, {}, asking));
      expect(result.codes).toEqual(['DUTY_REQUIRED']);
      expect(result.data?.queryLog ?? null).toBeNull();
      expect(added.map(({ entry }) => [entry.kind, entry.outcome, entry.code])).toEqual([['admin', 'refused', 'DUTY_REQUIRED']]);
    }
  });

  it('refuses a cursor that is none, a page too large and a number that fails its check', async () => {
    expect((await search({}, { after: 'x' })).codes).toEqual(['BAD_CURSOR']);
    expect((await search({}, { first: 201 })).codes).toEqual(['BAD_PAGE_SIZE']);
    expect((await search({ subject: `${CODE.slice(0, -1)}${CODE.endsWith('A') ? 'B' : 'A'}` })).codes).toEqual(['BAD_CODE']);
    const place = { at: '2026-11-23T01:02:03.004Z', writer: 3, seq: 17 };
    expect(readPlace(placeText(place))).toEqual(place);
  });
});

describe('the plan of a search', () => {
  const token = sampleEntry(5).subjects[0] as Buffer;
  const FILTERS: Record<string, LogFilter> = {
    nothing: {},
    person: { person: 'u-3' },
    department: { department: 'tax' },
    purpose: { purpose: 'log-review' },
    subjects: { subjects: [token] },
    outcome: { outcome: 'refused' },
    'outcome answered': { outcome: 'answered' },
    kind: { kind: 'push' },
    days: { from: '2020-01-01T00:00:00.000Z', to: '2020-01-02T00:00:00.000Z' },
  };

  it('U29 uses an index for each filter and for the next page, and reads no partition from end to end', async () => {
    const document = await hub.log.document(sampleDocument(0));
    const entries = Array.from({ length: 6000 }, (_, n) =>
      sampleEntry(n, {
        document,
        kind: n % 200 === 0 ? KINDS[n % KINDS.length]! : 'query',
        outcome: n % 150 === 0 ? OUTCOMES[1] : 'answered',
      }),
    );
    for (let n = 0; n < entries.length; n += 500) await Promise.all(entries.slice(n, n + 500).map((entry) => hub.log.append(entry)));
    await hub.pool.query('analyze query_log');
    const partition = `query_log_${new Date().toISOString().slice(0, 7).replace('-', '_')}`;
    const [last] = await searchLog(hub.pool, { person: 'u-3' }, 1);
    for (const [name, filter] of Object.entries(FILTERS)) {
      for (const after of [undefined, last]) {
        const { text, values } = searchStatement(filter, 51, after);
        const { rows } = await hub.pool.query<{ 'QUERY PLAN': string }>(`explain ${text}`, values);
        const plan = rows.map((row) => row['QUERY PLAN']).join('\n');
        expect(`${name}: ${plan}`).not.toContain(`Seq Scan on ${partition}`);
      }
    }
  });
});

describe('an export of the query log', () => {
  const REQUEST = `mutation Ask($filter: LogFilterInput, $format: LogFormat!, $reason: String!) {
    requestLogExport(filter: $filter, format: $format, reason: $reason) { id state requestedName } }`;
  const DECIDE = `mutation Decide($id: ID!, $approve: Boolean!, $reason: String) { decideLogExport(id: $id, approve: $approve, reason: $reason) { state decidedName } }`;
  const DOWNLOAD = 'mutation Download($id: ID!) { downloadLogExport(id: $id) { content sha256 rows } }';
  const asPerson = async (id: string): Promise<Asking> => ({
    purpose: 'log-review',
    authorization: `Bearer ${await hub.token({ id, name: id, department: 'auditor', role: 'auditor' })}`,
  });
  const requested = async (format: string, filter: Record<string, unknown>): Promise<string> => {
    const answer = await hub.ask(REQUEST, { ...(await asPerson('a-1')), variables: { filter, format, reason: '年度审计' } });
    expect(answer.data.requestLogExport.state).toBe('requested');
    return answer.data.requestLogExport.id as string;
  };
  const decide = async (who: string, id: string, approve: boolean, reason: string | null = null): Promise<Answer> =>
    hub.ask(DECIDE, { ...(await asPerson(who)), variables: { id, approve, reason } });
  const download = async (who: string, id: string): Promise<Answer> => hub.ask(DOWNLOAD, { ...(await asPerson(who)), variables: { id } });

  it('HN-23.2 is downloaded by who asked for it, once another person approved it; each step is in the log, with the hash of what left', async () => {
    const { result: id, added: asked } = await hub.logged(() => requested('ndjson', { department: 'tax', subject: CODE }));
    expect((await download('a-1', id)).codes).toEqual(['EXPORT_NOT_APPROVED']);
    expect((await decide('a-1', id, true)).codes).toEqual(['FOUR_EYES']);
    expect((await decide('a-2', id, true)).data.decideLogExport).toEqual({ state: 'approved', decidedName: 'a-2' });
    expect((await decide('a-3', id, true)).codes).toEqual(['ALREADY_REVIEWED']);
    expect((await download('a-2', id)).codes).toEqual(['REQUEST_NOT_FOUND']);
    const { result, added } = await hub.logged(() => download('a-1', id));
    const { content, sha256, rows } = result.data.downloadLogExport as { content: string; sha256: string; rows: number };
    const lines = content
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(lines).toEqual([expect.objectContaining({ case: '税-1', person: 'wj-0001', department: 'tax', outcome: 'answered' })]);
    expect(rows).toBe(1);
    expect(createHash('sha256').update(content).digest('hex')).toBe(sha256);
    expect(content).not.toContain(HOSPITAL.name);
    expect(asked.map(({ entry }) => [entry.kind, entry.code])).toEqual([
      ['admin', 'INTENT'],
      ['admin', ''],
    ]);
    expect(added.at(-1)?.entry).toMatchObject({ kind: 'admin', outcome: 'answered', rows: 1, fields: [`LogExport.sha256=${sha256}`] });
    // A log only grows: the same request brings the same file.
    expect((await download('a-1', id)).data.downloadLogExport.sha256).toBe(sha256);
  });

  it('HN-23.2 is not downloaded when it was rejected, nor long after its approval, and a rejection gives its reason', async () => {
    const rejected = await requested('csv', { department: 'tax' });
    expect((await decide('a-2', rejected, false)).codes).toEqual(['REASON_REQUIRED']);
    expect((await decide('a-2', rejected, false, '范围过大')).data.decideLogExport.state).toBe('rejected');
    expect((await download('a-1', rejected)).codes).toEqual(['EXPORT_NOT_APPROVED']);
    const old = await requested('csv', { department: 'tax' });
    await decide('a-2', old, true);
    await hub.pool.query(`update export_request set decided_at = decided_at - interval '8 days' where id = $1`, [old]);
    expect((await download('a-1', old)).codes).toEqual(['EXPORT_EXPIRED']);
    await expect(hub.pool.query(`update export_request set decided_by = requested_by where id = $1`, [old])).rejects.toThrow('check');
  });

  it('HN-5 writes a CSV that no spreadsheet runs, with the same entries', async () => {
    await hub.ask(BY_CODE, { variables: { code: CODE }, department: 'tax', purpose: 'fiscal-support', case: '=1+1', basis: '甲,"乙"' });
    const id = await requested('csv', { department: 'tax' });
    await decide('a-2', id, true);
    const { content, rows } = (await download('a-1', id)).data.downloadLogExport as { content: string; rows: number };
    const lines = content.trimEnd().split('\r\n');
    expect(lines).toHaveLength(rows + 1);
    expect(lines[0]).toContain('id,at,hash,person,personName,purpose,basis,case');
    expect(lines[1]).toContain(`"甲,""乙""",'=1+1`);
  });
});

describe('hub log search', () => {
  const command = async (options: Partial<LogSearchCommand>, input = ''): Promise<Record<string, unknown>[]> => {
    const lines: string[] = [];
    const environment = { DATABASE_URL: database.url, HUB_KEYS: ring, HUB_TEST_UNSAFE: 'yes', LOG_LEVEL: 'fatal' };
    const reader = { by: 'op-1', name: '周审', reason: '年度审计', first: 50 };
    await logSearch(environment, { ...reader, ...options }, Readable.from([input]), (line) => lines.push(line));
    return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  };

  it('HN-23.2 prints what the graph shows, takes the subject from standard input, and is logged before it prints', async () => {
    const found = await command({ subjectStdin: true, purpose: 'credit-evaluation', kind: 'query' }, `${CODE}\n`);
    expect(found.map((line) => (line['purpose'] as { case: string }).case)).toEqual(['案-2', '案-0']);
    const [own] = await searchLog(hub.pool, { person: 'op-1' }, 1);
    expect(own?.entry).toMatchObject({
      kind: 'admin',
      operation: 'log search',
      rows: 2,
      purpose: { code: 'log-review', basis: '年度审计' },
    });
    expect(own?.entry.subjects).toHaveLength(1);
    await expect(command({ kind: 'nothing' })).rejects.toThrow('--kind is one of');
    await expect(command({ subjectStdin: true }, 'x')).rejects.toThrow('no valid statutory code');
  });
});
