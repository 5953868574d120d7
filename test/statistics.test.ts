/** Counts for dashboards: right, within the grant, and telling of nobody. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { usccFor } from '../src/identity/uscc.ts';
import { findStream } from '../src/model/load.ts';
import type { PullStream } from '../src/model/types.ts';
import { storeRecords } from '../src/store/records.ts';
import { record, type WorldSubject } from './fixtures/credit-records.ts';
import { type Answer, openHub, type TestHub, TODAY } from './setup/hub.ts';

/** Organisations with penalties: prefecture → month → how many of them. */
const PLAN: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  '430102': { '2026-01': 12, '2026-02': 2, '2026-03': 9 },
  '430402': { '2026-01': 8, '2026-02': 7, '2026-03': 6 },
  '430602': { '2026-01': 9, '2026-02': 11, '2026-03': 3 },
  '430702': { '2026-01': 15, '2026-02': 10, '2026-03': 10 },
};
const BIG_DATA = { department: 'big-data', purpose: 'credit-statistics' };
const INSURANCE = { department: 'medical-insurance', purpose: 'credit-statistics' };

interface Shown {
  at: (string | null)[];
  suppressed: boolean;
  records: number | null;
  subjects: number | null;
  amount: number | null;
}

let hub: TestHub;
let made = 0;
function organisation(region: string): WorldSubject {
  made += 1;
  return {
    kind: 'organisation',
    name: `统计机构${made}`,
    region,
    identifiers: [{ scheme: 'uscc', code: usccFor(`91${region}`, `MA5L${String(made).padStart(4, '0')}`) }],
  };
}

async function store(records: ReturnType<typeof record>[]): Promise<void> {
  const stream = findStream(hub.model, 'credit-china/penalties') as PullStream;
  const keyed = records.map((one, i) => ({ ...one, key: JSON.stringify([`statistics-${made}-${i}`]) }));
  await hub.pool.transaction((sql) => storeRecords(sql, hub.keys, hub.model, stream, keyed, { id: 0, today: TODAY }));
}
const penalty = (subject: WorldSubject, day: string, fineAmount: number) =>
  record(subject, 3, 'penalty', day, {
    decisionNumber: `号${made}`,
    facts: '统计',
    content: '罚款',
    fineAmount,
    authority: '局',
    decidedOn: day,
  });

beforeAll(async () => {
  hub = await openHub({ seed: false });
  const records = Object.entries(PLAN).flatMap(([region, months]) =>
    Object.entries(months).flatMap(([month, n]) => Array.from({ length: n }, () => penalty(organisation(region), `${month}-10`, 100_000))),
  );
  await store(records);
});
afterAll(() => hub.close());

let asked = 0;
/** Each question of another person, so that they are not compared with one another, unless one is named. */
const ask = (args: string, asking: Record<string, unknown> = BIG_DATA, person?: string): Promise<Answer> => {
  asked += 1;
  return askAs(person ?? `tj-${asked}`, args, asking);
};
async function askAs(id: string, args: string, asking: Record<string, unknown>): Promise<Answer> {
  const { department, purpose, region = '430000' } = asking as { department: string; purpose: string; region?: string };
  const authorization = `Bearer ${await hub.token({ id, department, region })}`;
  return hub.ask(`{ statistics(${args}) { fewest cells { at suppressed records subjects amount } } }`, { authorization, purpose });
}
const cellsOf = (answer: Answer): Shown[] => answer.data.statistics.cells as Shown[];
const at = (answer: Answer, ...key: (string | null)[]) => cellsOf(answer).find((cell) => JSON.stringify(cell.at) === JSON.stringify(key));

describe('statistics', () => {
  it('U28 WG-16 count records, subjects and money by month and region, with margins', async () => {
    const answer = await ask('by: [REGION], amount: "AdministrationRecord.fineAmount"');
    expect(answer.errors).toEqual([]);
    expect(cellsOf(answer)).toEqual(
      [
        ['430100', 23],
        ['430400', 21],
        ['430600', 23],
        ['430700', 35],
        [null, 102],
      ].map(([key, n]) => ({ at: [key], suppressed: false, records: n, subjects: n, amount: Number(n) * 100_000 })),
    );
  });

  it('U28 HN-5 hide the cells of fewer than five subjects, and others that would give them away', async () => {
    const answer = await ask('by: [REGION, MONTH]');
    for (const key of [
      ['430100', '2026-02'],
      ['430600', '2026-03'],
    ]) {
      expect(at(answer, ...key)).toEqual({ at: key, suppressed: true, records: null, subjects: null, amount: null });
    }
    const hidden = cellsOf(answer).filter((cell) => cell.suppressed);
    for (const [i, of] of [
      [0, '430100'],
      [0, '430600'],
      [1, '2026-02'],
      [1, '2026-03'],
    ] as const) {
      expect(hidden.filter((cell) => cell.at[i] === of).length).toBeGreaterThan(1);
    }
    expect(at(answer, '430700', '2026-01')).toMatchObject({ records: 15 });
    expect(at(answer, null, null)).toMatchObject({ records: 102, suppressed: false });
  });

  it('HUB-4 count what the grant holds and nothing else: the own region, and organisations alone', async () => {
    const own = await ask('by: [REGION]', { ...BIG_DATA, region: '430400' });
    expect(cellsOf(own).map((cell) => [cell.at[0], cell.records])).toEqual([
      ['430400', 21],
      [null, 21],
    ]);
    const listed = await hub.ask('{ records(first: 5) { nodes { id } } }', BIG_DATA);
    expect([listed.data?.records?.nodes ?? [], JSON.stringify(listed.data)]).toEqual([[], expect.not.stringContaining('"id"')]);
  });

  it.each([
    ['of three dimensions', 'by: [REGION, MONTH, KIND]', 'BAD_DIMENSIONS'],
    ['with a dimension twice', 'by: [REGION, REGION]', 'BAD_DIMENSIONS'],
    ['with a sum of what is no money', 'by: [REGION], amount: "AdministrationRecord.facts"', 'BAD_COORDINATE'],
    ['with a sum of a field that the rule does not give', 'by: [REGION], amount: "RegistrationRecord.employerAmount"', 'FILTER_DENIED'],
  ])('U28 refuse a table %s', async (_, args, code) => {
    expect((await ask(args)).codes).toEqual([code]);
  });

  it('HUB-4 refuse a department without a rule, whatever the purpose says', async () => {
    expect((await ask('by: [REGION]', { department: 'tax', purpose: 'credit-statistics' })).codes).toEqual(['NO_POLICY']);
  });

  it('ZM-3.2.3 log how many records a table tells of, the categories, and no subject', async () => {
    const { added } = await hub.logged(() => ask('by: [MONTH]'));
    expect(added.map(({ entry }) => [entry.outcome, entry.rows, entry.categories, entry.subjects])).toEqual([['answered', 102, [3], []]]);
  });
});

describe('tables of one person', () => {
  it('L9 U28 that differ by fewer than five subjects hide what differs, whichever is asked first', async () => {
    // Two penalties of February 11th lie between the two periods.
    await store([penalty(organisation('430702'), '2026-02-11', 1), penalty(organisation('430702'), '2026-02-11', 1)]);
    const [short, long] = ['by: [REGION], where: { to: "2026-02-10" }', 'by: [REGION], where: { to: "2026-02-11" }'];
    for (const [person, first, second] of [
      ['one', short, long],
      ['two', long, short],
    ] as const) {
      expect(at(await ask(first, INSURANCE, person), '430700')?.suppressed).toBe(false);
      const after = await ask(second, INSURANCE, person);
      expect(at(after, '430700')).toMatchObject({ suppressed: true, records: null });
      expect(at(after, null)?.suppressed).toBe(true);
    }
    expect(at(await ask(long, INSURANCE, 'three'), '430700')?.suppressed).toBe(false);
  });

  it('L9 stay as they are when asked again, and when they differ by many', async () => {
    const first = await ask('by: [REGION], where: { to: "2026-01-31" }', BIG_DATA, 'four');
    expect(await ask('by: [REGION], where: { to: "2026-01-31" }', BIG_DATA, 'four')).toMatchObject({ data: first.data });
    const more = await ask('by: [REGION]', BIG_DATA, 'four');
    expect(at(more, '430700')?.suppressed).toBe(false);
    expect(at(more, null)?.suppressed).toBe(false);
  });
});
