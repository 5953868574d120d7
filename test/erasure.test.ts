/** P4, PIPL 47: a person's information erased – unreadable in rows, history and dumps – while the log still verifies and the erasure itself is on record. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { erase } from '../src/commands/erase.ts';
import { withCitizenCheck } from '../src/identity/citizen.ts';
import { decode } from '../src/log/canonical.ts';
import { verifyLog } from '../src/log/verify.ts';
import type { MappedRecord } from '../src/mapping/record.ts';
import { dueErasures, eraseDue } from '../src/store/erasure.ts';
import { storeIssues } from '../src/store/issues.ts';
import { undoMerge } from '../src/store/merge.ts';
import { newKeyRing, Unreadable } from '../src/store/keys.ts';
import { openerOf } from '../src/store/subject-keys.ts';
import { CERTIFICATE_OF_DOCTOR, DOCTOR, HOSPITAL, PATIENT, record, type WorldSubject } from './fixtures/credit-records.ts';
import { type Answer, openHub, type TestHub } from './setup/hub.ts';
import { applyOne, MODEL, pageOf, pullStreamOf, type Store, TODAY } from './setup/store.ts';

const ring = newKeyRing('national');
const stream = pullStreamOf('credit-china/penalties');
let hub: TestHub;
const store = (): Store => ({ url: '', pool: hub.pool, keys: hub.keys, drop: async () => undefined });
const rows = async <R>(text: string, values?: unknown[]) => (await hub.pool.query<R>(text, values)).rows;

const REQUEST = `mutation Ask($subject: ID!, $basis: String!) { requestErasure(subject: $subject, basis: $basis) { id subject state basis requestedBy } }`;
const REVIEW = `mutation Decide($id: ID!, $approve: Boolean!, $note: String) { reviewErasure(id: $id, approve: $approve, note: $note) {
  id state reviewedBy keepUntil article erasedAt } }`;
const LIST = `query List { erasures { id subject state basis requestedBy reviewedBy } }`;
const SEEN = `query Seen($code: String!) { subject(code: $code) { id name region roles withheld ... on Person { idNumber personNumber }
  records(first: 50) { nodes { id kind } } } }`;

async function act(
  person: string,
  role: string,
  query: string,
  variables: Record<string, unknown> = {},
  region = '430100',
): Promise<Answer> {
  const authorization = `Bearer ${await hub.token({ id: person, name: `人员${person}`, department: 'medical-insurance', role, region })}`;
  return hub.ask(query, { authorization, purpose: 'fund-payment', variables });
}
const codeOf = (subject: WorldSubject) => subject.identifiers[0].code;
const seen = async (subject: WorldSubject) => (await act('ms-9', 'officer', SEEN, { code: codeOf(subject) })).data?.subject;
const idOf = async (subject: WorldSubject) => (await seen(subject)).id as string;
const request = async (subject: WorldSubject, basis = 'PIPL-47 撤回同意') =>
  act('ms-1', 'data-steward', REQUEST, { subject: await idOf(subject), basis });
/** Asked for and approved. */
async function approved(subject: WorldSubject): Promise<Answer> {
  const asked = await request(subject);
  expect(asked.errors).toEqual([]);
  return act('ms-2', 'privacy-officer', REVIEW, { id: asked.data.requestErasure.id, approve: true });
}

/** Every row of every table as text, binary columns as hex: what a dump holds. */
async function dump(): Promise<string> {
  const tables = await rows<{ name: string }>(
    `select format('%I.%I', schemaname, tablename) as name from pg_tables where schemaname not in ('pg_catalog', 'information_schema')`,
  );
  const texts: string[] = [];
  for (const { name } of tables)
    for (const row of await rows<{ text: string }>(`select t::text as text from ${name} t`)) texts.push(row.text);
  return texts.join('\n');
}
const found = (text: string, needles: readonly string[]) =>
  needles.filter((needle) => text.includes(needle) || text.includes(Buffer.from(needle).toString('hex')));
const needlesOf = (subject: WorldSubject) => [subject.name, ...subject.identifiers.map(({ code }) => code)];

const citizen = (n: number): WorldSubject => ({
  kind: 'person',
  name: `删除示例${n}甲`,
  region: '430102',
  identifiers: [{ scheme: 'citizen-id', code: withCitizenCheck(`43010219800101${String(n).padStart(3, '0')}`) }],
});
/** A record of a kind that no law wants kept. */
const free = (subject: WorldSubject, key: string, fields: MappedRecord['fields'] = {}): MappedRecord => ({
  ...record(subject, 2, 'medical-practitioner', '2026-03-01', { profession: '1', institutionName: '某院', ...fields }),
  key: JSON.stringify([key]),
});
const issueOf = (raw: unknown) => ({ rule: 'required', at: '1', place: 'X', reason: '缺少', refused: true, raw });
const put = (...records: MappedRecord[]) => applyOne(store(), stream, pageOf(records));

beforeAll(async () => {
  hub = await openHub({ ring });
});
afterAll(() => hub.close());

describe('PIPL 47 an erasure', () => {
  it('PIPL 47 needs a duty, a legal basis, a person of the own region, and another person who decides', async () => {
    const subject = await idOf(DOCTOR);
    const ask = (person: string, role: string, variables: Record<string, unknown>, region?: string) =>
      act(person, role, REQUEST, { basis: 'PIPL-47', subject, ...variables }, region);
    expect((await ask('ms-1', 'officer', {})).codes).toEqual(['DUTY_REQUIRED']);
    expect((await ask('ms-1', 'data-steward', { basis: ' ' })).codes).toEqual(['BASIS_REQUIRED']);
    expect((await ask('ms-1', 'data-steward', {}, '430400')).codes).toEqual(['SUBJECT_NOT_FOUND']);
    expect((await ask('ms-1', 'data-steward', { subject: await idOf(HOSPITAL) })).codes).toEqual(['ERASURE_NOT_A_PERSON']);
    const asked = await ask('ms-1', 'data-steward', {});
    expect(asked.data.requestErasure).toMatchObject({ subject, state: 'requested', requestedBy: '人员ms-1' });
    const { id } = asked.data.requestErasure as { id: string };
    expect((await ask('ms-3', 'data-steward', {})).codes).toEqual(['ERASURE_OPEN']);
    const decide = (person: string, variables: Record<string, unknown>, region?: string) =>
      act(person, 'privacy-officer', REVIEW, { id, approve: true, ...variables }, region);
    expect((await act('ms-2', 'data-steward', REVIEW, { id, approve: true })).codes).toEqual(['DUTY_REQUIRED']);
    expect((await decide('ms-1', {})).codes).toEqual(['FOUR_EYES']);
    expect((await decide('ms-2', {}, '430400')).codes).toEqual(['ERASURE_NOT_FOUND']);
    expect((await decide('ms-2', { approve: false })).codes).toEqual(['REASON_REQUIRED']);
    expect((await decide('ms-2', { approve: false, note: '不符合条件' })).data.reviewErasure).toMatchObject({
      state: 'rejected',
      erasedAt: null,
    });
    expect((await decide('ms-2', {})).codes).toEqual(['ALREADY_REVIEWED']);
    expect(await seen(DOCTOR)).toMatchObject({ withheld: null, name: DOCTOR.name });
  });

  it('P4 makes what is sealed unreadable everywhere and leaves nothing readable: rows, history, refused records, entries by hand', async () => {
    const other = citizen(1);
    await put(free(PATIENT, 'e1', { practiceCertificateNumber: 'ZS-OLD-0001' }), free(other, 'e2'));
    await put(free(PATIENT, 'e1', { practiceCertificateNumber: 'ZS-NEW-0002' }));
    const raw = { name: PATIENT.name, deep: [{ certno: codeOf(PATIENT) }] };
    await hub.pool.transaction((sql) =>
      storeIssues(sql, hub.keys, { connector: 'x', id: 'y' }, 1, [issueOf(raw), issueOf({ ...raw, deep: codeOf(other) })]),
    );
    const entry = {
      category: 'REGISTRATION',
      kind: 'person-registration',
      subjectKind: 'PERSON',
      code: codeOf(PATIENT),
      name: PATIENT.name,
      region: '430103',
      basis: 'HN-15',
      route: 'supervision',
      declared: true,
      fields: [{ name: 'certificateType', value: '01' }],
    };
    const ENTER = 'mutation Enter($entry: RecordEntry!) { enterRecord(entry: $entry) { id } }';
    expect((await act('ms-4', 'entry-officer', ENTER, { entry })).errors).toEqual([]);

    // Everything sealed of the person lies under the person's key, and is in the dump of before.
    const needles = [...needlesOf(PATIENT), 'ZS-OLD-0001', 'ZS-NEW-0002'];
    const before = await dump();
    expect(found(before, needles)).toContain(PATIENT.name);
    const id = (
      await rows<{ id: number }>('select subject_id as id from subject_identifier where token = any($1)', [
        hub.keys.blindForms('identifier:citizen-id', codeOf(PATIENT)),
      ])
    )[0]?.id;
    const sealed = [...before.matchAll(new RegExp(`n\\.s${id}\\.[\\w-]+`, 'g'))].map(([text]) => text);
    // The number and both certificates of the record and its versions, the refused record, the entry.
    expect(sealed.length).toBeGreaterThanOrEqual(6);
    const certificate = async () =>
      (
        await rows<{ text: string }>(
          `select sealed->>'practiceCertificateNumber' as text from record where source_key like '%e1%' or subject_id = $1`,
          [id],
        )
      ).find(({ text }) => text !== null)?.text ?? '';
    const kept = await certificate();
    const open = async () => (await openerOf(hub.pool, hub.keys, [kept]))(kept, 'QualificationRecord.practiceCertificateNumber');
    expect(await open()).toBe('ZS-NEW-0002');

    const { result, added } = await hub.logged(() => approved(PATIENT));
    expect(result.data.reviewErasure).toMatchObject({ state: 'erased', keepUntil: null, erasedAt: expect.any(String) });

    const after = await dump();
    expect(found(after, needles)).toEqual([]);
    expect(found(after, needlesOf(other))).toContain(other.name);
    // The ciphertexts that are left, and those of any older dump, are opened by nothing any more.
    expect(await open()).toBeUndefined();
    expect(() => hub.keys.open(kept, 'QualificationRecord.practiceCertificateNumber')).toThrow(Unreadable);
    expect(await rows('select wrapped from subject_key where subject_id = $1', [id])).toEqual([{ wrapped: null }]);
    for (const text of sealed) expect(() => hub.keys.open(text, 'x')).toThrow(`s${id}, which is not in the key ring`);
    const left = await rows<{ open: object; personal: null }>(
      'select open, internal, commercial, personal, masks from record where subject_id = $1',
      [id],
    );
    expect(left.length).toBeGreaterThan(0);
    for (const row of left) expect(row).toEqual({ open: {}, internal: null, commercial: null, personal: null, masks: null });
    expect(await rows(`select raw, state from issue where connector = 'x' order by id`)).toEqual([
      { raw: null, state: 'dismissed' },
      { raw: expect.stringMatching(/^n\.s\d+\./), state: 'open' },
    ]);
    // Who asked, who decided and on what ground stays, in the table and in the log, under the subject's token.
    expect((await act('ms-2', 'privacy-officer', LIST)).data.erasures[0]).toMatchObject({
      state: 'erased',
      basis: 'PIPL-47 撤回同意',
      requestedBy: '人员ms-1',
      reviewedBy: '人员ms-2',
    });
    const acts = added.map((row) => row.entry).filter((one) => one.kind === 'mutation' && one.code === '');
    expect(acts.map((one) => [one.operation, one.person.id, one.outcome])).toEqual([
      ['Ask', 'ms-1', 'answered'],
      ['Decide', 'ms-2', 'answered'],
    ]);
    const token = hub.keys.logToken('log-subject', String(id)).toString('hex');
    for (const one of acts) expect(one.subjects.map((subject) => subject.toString('hex'))).toEqual([token]);
  });

  it('P4 the graph says that it was erased, and shows nothing else; the log still verifies', async () => {
    expect(await seen(PATIENT)).toEqual({
      id: expect.any(String),
      name: null,
      region: null,
      roles: [],
      withheld: 'ERASED',
      idNumber: null,
      personNumber: null,
      records: { nodes: [] },
    });
    const asOf = `query Then($code: String!) { subject(code: $code) { records(first: 50, where: { asOf: { day: "2026-11-23" } }) { nodes { id } } } }`;
    const then = await act('ms-9', 'officer', asOf, { code: codeOf(PATIENT) });
    expect(then.data?.subject?.records?.nodes ?? []).toEqual([]);
    const named = await act('ms-9', 'officer', `{ subjects(where: { kind: PERSON, name: "${PATIENT.name}" }) { nodes { id } } }`);
    expect(named.data.subjects.nodes).toEqual([]);
    expect(await verifyLog(hub.pool)).toMatchObject({ verified: true, faults: [] });
  });

  it('PIPL 47 what platforms send again of an erased person is recognised and refused, and nothing of it is kept', async () => {
    const count = async () => (await rows<{ n: number }>('select count(*)::int as n from record_version'))[0]?.n;
    const before = await count();
    const result = await put(free(PATIENT, 'e1', { practiceCertificateNumber: 'ZS-NEW-0003' }), free(PATIENT, 'again'));
    expect(result).toMatchObject({ stored: 0, issues: 2 });
    expect(await count()).toBe(before);
    await hub.pool.transaction((sql) => storeIssues(sql, hub.keys, { connector: 'x', id: 'y' }, 2, [issueOf({ again: codeOf(PATIENT) })]));
    expect(await rows(`select raw from issue where rule = 'subject-withheld' or last_run = 2 and connector = 'x'`)).toEqual([
      { raw: null },
      { raw: null },
    ]);
    expect(found(await dump(), [...needlesOf(PATIENT), 'ZS-NEW-0003'])).toEqual([]);
    const again = await act('ms-1', 'data-steward', REQUEST, { subject: await idOf(PATIENT), basis: 'x' });
    expect(again.codes).toEqual(['ERASURE_OPEN']);
  });

  it('P4 a raw record that came before its person was known is erased with the person', async () => {
    const late = citizen(2);
    await hub.pool.transaction((sql) => storeIssues(sql, hub.keys, { connector: 'x', id: 'z' }, 1, [issueOf({ n: codeOf(late) })]));
    expect((await rows<{ raw: string }>(`select raw from issue where stream = 'z'`))[0]?.raw).toMatch(/^n\.k1\./);
    await put(free(late, 'late'));
    await approved(late);
    expect(await rows(`select raw, cardinality(tokens) as tokens from issue where stream = 'z'`)).toEqual([{ raw: null, tokens: 0 }]);
  });

  it('P4 of a person who became one with another, both parts are erased', async () => {
    const whole = citizen(3);
    const platform: WorldSubject = { ...whole, name: '合并示例乙', identifiers: [{ scheme: 'practitioner-code', code: 'D430102000777' }] };
    await put(
      free(platform, 'p1', { practiceCertificateNumber: 'ZS-PART-01' }),
      free(whole, 'p2', { practiceCertificateNumber: 'ZS-PART-02' }),
    );
    await put(free({ ...whole, identifiers: [...whole.identifiers, ...platform.identifiers] as never }, 'p3'));
    const keys = async () => rows(`select count(*)::int as n from subject_key where wrapped is null`);
    const before = await keys();
    expect(await rows('select from subject where merged_into is not null')).toHaveLength(1);
    expect((await approved(whole)).data.reviewErasure.state).toBe('erased');
    expect(found(await dump(), [...needlesOf(whole), ...needlesOf(platform), 'ZS-PART-01', 'ZS-PART-02'])).toEqual([]);
    expect(((await keys())[0] as { n: number }).n - (before[0] as { n: number }).n).toBe(2);
  });

  it('P4 when a merger was taken back, the erasure of one of the two does not reach the other', async () => {
    const [stays, goes] = [
      citizen(5),
      { ...citizen(5), name: '分开示例丁', identifiers: [{ scheme: 'practitioner-code', code: 'D430102000888' }] as never },
    ];
    const both = { ...stays, identifiers: [...stays.identifiers, { scheme: 'practitioner-code', code: 'D430102000888' }] as never };
    await put(
      free(goes, 'g1', { practiceCertificateNumber: 'ZS-GOES-01' }),
      free(stays, 's1', { practiceCertificateNumber: 'ZS-STAYS-01' }),
    );
    await put(free(both, 's2'));
    // A new version of the moved record, sealed under the key of the one it went to.
    await put(free(goes, 'g1', { practiceCertificateNumber: 'ZS-GOES-02' }));
    const [merge] = await rows<{ id: number }>('select id from subject_merge order by id desc limit 1');
    await undoMerge(hub.pool, hub.keys, MODEL, 'ms-5', merge?.id ?? 0, '编号登记错误');
    expect((await approved(stays)).data.reviewErasure.state).toBe('erased');
    const left = await rows<{ text: string }>(
      `select v.sealed->>'practiceCertificateNumber' as text from record_version v join record r on r.id = v.record_id where r.source_key = '["g1"]' order by v.version`,
    );
    const open = await openerOf(
      hub.pool,
      hub.keys,
      left.map(({ text }) => text),
    );
    expect(left.map(({ text }) => open(text, 'QualificationRecord.practiceCertificateNumber'))).toEqual(['ZS-GOES-01', 'ZS-GOES-02']);
    await expect(undoMerge(hub.pool, hub.keys, MODEL, 'ms-5', merge?.id ?? 0, 'x')).rejects.toMatchObject({ code: 'MERGE_UNDONE' });
  });

  it('P4 pages that come in at the same moment leave nothing behind', async () => {
    for (let n = 10; n < 16; n += 1) {
      const one = citizen(n);
      await put(free(one, `race${n}`, { practiceCertificateNumber: `ZS-RACE-${n}-0` }));
      const asked = await request(one);
      const writing = [1, 2, 3].map((k) =>
        applyOne(
          store(),
          pullStreamOf(`credit-china/${['penalties', 'licences', 'honours'][k - 1]}`),
          pageOf([free(one, `race${n}-${k}`, { practiceCertificateNumber: `ZS-RACE-${n}-${k}` })]),
        ),
      );
      await Promise.all([...writing, act('ms-2', 'privacy-officer', REVIEW, { id: asked.data.requestErasure.id, approve: true })]);
      expect(found(await dump(), [...needlesOf(one), `ZS-RACE-${n}`])).toEqual([]);
      expect(await seen(one)).toMatchObject({ withheld: 'ERASED', records: { nodes: [] } });
    }
  });
});

describe('PIPL 47 while a legal term runs', () => {
  it('PIPL 47 information is only kept: shown to nobody, added to by nobody, still sealed under its key', async () => {
    const result = await approved(DOCTOR);
    // The violation of 21 March 2026 is kept for five years.
    expect(result.data.reviewErasure).toMatchObject({ state: 'restricted', keepUntil: '2031-03-21', article: 'ZX-16', erasedAt: null });
    expect(await seen(DOCTOR)).toMatchObject({ withheld: 'RESTRICTED', name: null, idNumber: null, records: { nodes: [] } });
    expect(await put(free(DOCTOR, 'more'))).toMatchObject({ stored: 0, issues: 1 });
    expect(found(await dump(), [DOCTOR.name])).toEqual([DOCTOR.name]);
    const named = await act('ms-9', 'officer', `{ subjects(where: { kind: PERSON, name: "${DOCTOR.name}" }) { nodes { id } } }`);
    expect(named.data.subjects.nodes).toEqual([]);
  });

  it('PIPL 47 it is erased when the term is over, and not a day before', async () => {
    expect(await dueErasures(hub.pool, '2031-03-21')).toEqual([]);
    const [due] = await dueErasures(hub.pool, '2031-03-22');
    expect(due).toMatchObject({ reviewer: { id: 'ms-2', name: '人员ms-2' } });
    expect(await eraseDue(hub.pool, MODEL, due?.id ?? 0, '2031-03-21')).toBe(false);
    // A record that lengthens the term: it was there all along, but was told to end later.
    await hub.pool.query(`update record set valid_to = '2027-01-01' where category = 9 and subject_id = $1`, [due?.subjectId]);
    expect(await eraseDue(hub.pool, MODEL, due?.id ?? 0, '2031-03-22')).toBe(false);
    expect(await rows(`select state, keep_until from erasure where id = $1`, [due?.id])).toEqual([
      { state: 'restricted', keep_until: '2032-01-01' },
    ]);
    expect(await eraseDue(hub.pool, MODEL, due?.id ?? 0, '2032-01-02')).toBe(true);
    expect(found(await dump(), [...needlesOf(DOCTOR), CERTIFICATE_OF_DOCTOR, '冒名开药'])).toEqual([]);
  });

  it('PIPL 47 `hub erase` carries out what is due, and logs it under the person who approved it', async () => {
    const old = citizen(4);
    await put({
      ...record(old, 9, 'violation', '2015-03-01', {
        facts: '旧案',
        violationArticle: 'regulation-38',
        amount: 1,
        decidedOn: '2015-03-01',
      }),
      key: '["old"]',
    });
    await hub.pool.query(`update record set valid_to = '${TODAY}' where source_key = '["old"]'`);
    expect((await approved(old)).data.reviewErasure).toMatchObject({ state: 'restricted', keepUntil: '2031-11-23' });
    await hub.pool.query(`update record set valid_to = null where source_key = '["old"]'`);
    await hub.pool.query(`update erasure set keep_until = '2020-03-01' where state = 'restricted'`);
    const folder = mkdtempSync(join(tmpdir(), 'credit-hub-erase-'));
    const printed: string[] = [];
    const url = (await rows<{ name: string }>('select current_database() as name'))[0]?.name ?? '';
    const databaseUrl = Object.assign(new URL(process.env['HUB_TEST_PG'] ?? ''), { pathname: `/${url}` }).href;
    try {
      const environment = { DATABASE_URL: databaseUrl, HUB_KEYS: ring, HUB_DATA: folder, HUB_TEST_UNSAFE: 'yes' };
      await erase(environment, (text) => void printed.push(text));
      await erase(environment, (text) => void printed.push(text));
    } finally {
      rmSync(folder, { recursive: true });
    }
    expect(printed.map((text) => JSON.parse(text) as unknown)).toEqual([
      { due: 1, erased: 1 },
      { due: 0, erased: 0 },
    ]);
    expect(found(await dump(), [...needlesOf(old), '旧案'])).toEqual([]);
    const entries = (await rows<{ body: Buffer }>(`select body from query_log where kind = 'admin'`)).map(({ body }) => decode(body).entry);
    expect(entries).toMatchObject([
      { person: { id: 'ms-2' }, operation: 'hub erase', purpose: { code: 'erasure', basis: 'PIPL-47 撤回同意' } },
    ]);
    expect(await verifyLog(hub.pool)).toMatchObject({ verified: true, faults: [] });
  });
});
