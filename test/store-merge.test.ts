import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { withCitizenCheck } from '../src/identity/citizen.ts';
import { usccFor } from '../src/identity/uscc.ts';
import type { MappedRecord } from '../src/mapping/record.ts';
import { undoMerge } from '../src/store/merge.ts';
import { applyOne, MODEL, openSealed, openStore, pageOf, pullStreamOf, recordOf, type Store } from './setup/store.ts';

const STREAM = pullStreamOf('credit-china/penalties');
const A = usccFor('91430100', 'MA4L0001');
const B = usccFor('91430100', 'MA4L0009');
const NUMBER = withCitizenCheck('43010219900101001');

let store: Store;
beforeAll(async () => {
  store = await openStore();
});
afterAll(() => store.drop());
beforeEach(() =>
  store.pool.query('truncate subject, subject_identifier, subject_code, record, record_version, issue, stream_state, run cascade'),
);

type Id = [scheme: string, code: string];
const CITIZEN: Id = ['citizen-id', NUMBER];
const DOCTOR: Id = ['practitioner-code', 'D430100000001'];
const PASSPORT: Id = ['passport', 'E00001234'];

function told(
  key: string,
  identifiers: Id[],
  subject: Partial<MappedRecord['subject']> = {},
  over: Partial<MappedRecord> = {},
): MappedRecord {
  const kind = identifiers.some(([scheme]) => scheme === 'uscc' || scheme === 'institution-code') ? 'organisation' : 'person';
  const codes = identifiers.map(([scheme, code]) => ({ scheme, code }));
  return recordOf(key, A, { subject: { kind, name: null, region: null, roles: [], identifiers: codes, ...subject }, ...over });
}
const put = (...records: MappedRecord[]) => applyOne(store, STREAM, pageOf(records));

async function rows<R>(text: string, values: unknown[] = []): Promise<R[]> {
  return (await store.pool.query<R>(text, values)).rows;
}

interface Subject {
  id: number;
  roles: string[];
  open: Record<string, string>;
  internal: Record<string, string> | null;
  personal: Record<string, string> | null;
  sealed: Record<string, string> | null;
  masks: Record<string, string> | null;
  merged_into: number | null;
}
/** All subjects in the order of their making, sealed values opened. */
async function subjects(): Promise<Subject[]> {
  const found = await rows<Subject>('select id, roles, open, internal, personal, sealed, masks, merged_into from subject order by id');
  for (const one of found)
    for (const [name, value] of Object.entries(one.sealed ?? {}))
      one.sealed = { ...one.sealed, [name]: (await openSealed(store, value, `Person.${name}`)) ?? '' };
  return found;
}
async function undoLast(reason = '编号登记错误'): Promise<void> {
  const [merge] = await rows<{ id: number }>('select id from subject_merge where undone_at is null order by id desc limit 1');
  await undoMerge(store.pool, store.keys, MODEL, 'ms-1', merge?.id ?? 0, reason);
}

describe('HN-13 a merger taken back', () => {
  it('HN-13 gives both subjects back as they were: roles, names, platform codes and sealed numbers with their masks', async () => {
    await put(
      told('a', [DOCTOR, PASSPORT], { name: '王医生', roles: ['medical-staff'] }),
      told('b', [CITIZEN], { roles: ['insured-person'] }),
    );
    const before = await subjects();
    await put(told('c', [CITIZEN, DOCTOR]));
    expect((await subjects()).map((s) => s.merged_into)).toEqual([before[1]?.id, null]);
    expect((await subjects())[1]).toMatchObject({
      roles: ['insured-person', 'medical-staff'],
      personal: { name: '王医生' },
      sealed: { idNumber: NUMBER, travelDocumentNumber: 'E00001234' },
    });
    await undoLast();
    expect(await subjects()).toEqual(before);
  });

  it('HN-13 leaves what the subject’s own records told since: a role, and a name, which is then its own and not the other’s', async () => {
    await put(told('a', [DOCTOR], { name: '王医生', roles: ['medical-staff', 'insured-person'] }), told('b', [CITIZEN]));
    const [from, into] = await subjects();
    await put(told('c', [CITIZEN, DOCTOR]));
    // What the doctor's own platform repeats tells nothing of the citizen.
    await put(told('d', [DOCTOR], { name: '王医生', roles: ['insured-person'] }));
    await put(told('e', [CITIZEN], { name: '王一生', roles: ['medical-staff'] }));
    await undoLast();
    expect(await subjects()).toEqual([
      from,
      { ...into, roles: ['medical-staff'], personal: { name: '王一生' }, masks: { ...into?.masks, name: '王*生' } },
    ]);
  });

  it('HN-13 of two that merged into one and brought the same role, the role stays until both are taken back', async () => {
    const other: Id = ['person-number', 'P1'];
    const roles = ['medical-staff'];
    await put(told('a', [DOCTOR], { roles }), told('b', [other], { roles }), told('c', [CITIZEN]));
    await put(told('d', [CITIZEN, DOCTOR]));
    await put(told('e', [CITIZEN, other]));
    await undoLast();
    expect((await subjects())[2]?.roles).toEqual(roles);
    await undoLast();
    expect((await subjects())[2]?.roles).toEqual([]);
  });

  it('HN-13 is not done again by a later record with both codes: that is an issue, also when other codes stand between them', async () => {
    const code: Id = ['institution-code', 'H43010000001'];
    const other: Id = ['institution-code', 'H43010000002'];
    await put(told('a', [code]), told('b', [['uscc', A]]));
    await put(told('c', [['uscc', A], code]));
    await undoLast();
    expect(await put(told('d', [['uscc', A], code]))).toMatchObject({ stored: 0, issues: 1 });
    expect(await put(told('e', [code]), told('f', [['uscc', A]]))).toMatchObject({ stored: 2, issues: 0 });
    expect((await subjects()).map((s) => s.merged_into)).toEqual([null, null]);
    // The code becomes one with a third subject, and one page would join that to the one it was parted from.
    await put(told('g', [other]));
    expect(await put(told('h', [other, code]), told('i', [other, ['uscc', A]]))).toMatchObject({ stored: 1, issues: 1 });
    expect(await put(told('j', [other, ['uscc', A]]))).toMatchObject({ stored: 0, issues: 1 });
    expect((await subjects()).map((s) => s.merged_into !== null)).toEqual([true, false, false]);
    expect(await rows('select distinct rule from issue')).toEqual([{ rule: 'identifier-conflict' }]);
    // With somebody else they may still become one.
    expect(await put(told('k', [['uscc', B]]), told('l', [['uscc', B], other]))).toMatchObject({ stored: 1, issues: 1 });
    expect(await put(told('m', [['uscc', B], other]))).toMatchObject({ stored: 1, issues: 0 });
  });

  it('HN-13 U11 the past goes with its subject: facts as of a day before the merger are told of the same subject as today', async () => {
    await put(told('a', [DOCTOR]), told('b', [CITIZEN]));
    const before = await rows('select fact from record_version order by record_id');
    await put(told('c', [CITIZEN, DOCTOR]));
    const facts = () => rows('select v.fact = r.fact as same from record r join record_version v on v.record_id = r.id order by r.id');
    expect(await facts()).toEqual([{ same: true }, { same: true }, { same: true }]);
    await undoLast();
    expect(await facts()).toEqual([{ same: true }, { same: true }, { same: true }]);
    expect((await rows('select fact from record_version order by record_id')).slice(0, 2)).toEqual(before);
  });

  it('HN-13 a record without a region lies where its subject lies, in a merger and after it', async () => {
    const code: Id = ['institution-code', 'H43020000001'];
    await put(told('a', [code]), told('b', [['uscc', A]]));
    const regions = async () => (await rows<{ region: string }>('select region from record order by id')).map((r) => r.region);
    expect(await regions()).toEqual(['430200', '430100']);
    await put(told('c', [['uscc', A], code]));
    expect(await regions()).toEqual(['430100', '430100', '430100']);
    await undoLast();
    expect(await regions()).toEqual(['430200', '430100', '430100']);
  });
});

describe('HN-13 a sealed number of a subject', () => {
  const registered = (key: string, passport: string): MappedRecord =>
    told(key, [CITIZEN, ['passport', passport]], {}, { category: 1, kind: 'medical-staff' });
  const state = () => rows<{ changed_at: string; sealed: Record<string, string> }>('select changed_at, sealed from subject');
  const passport = async () => openSealed(store, (await state())[0]?.sealed['travelDocumentNumber'], 'Person.travelDocumentNumber');

  it('HN-13 that a registration tells anew replaces the old one, though both look the same masked; told again it changes nothing', async () => {
    await put(registered('a', 'E00001234'));
    const [first] = await state();
    await put(registered('b', 'E00001234'));
    expect(await state()).toEqual([first]);
    await put(registered('c', 'E99991234'));
    expect(await passport()).toBe('E99991234');
    const [changed] = await state();
    expect(changed?.changed_at).not.toBe(first?.changed_at);
    await put(registered('d', 'E99991234'));
    expect(await state()).toEqual([changed]);
  });
});
