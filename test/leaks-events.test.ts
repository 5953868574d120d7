/** Leak catalogue (reliability §5) L14, L16, L35, L36, L41, L46 in streams of events: what arrives, when, and under which cursor tells nothing of what the caller may not see. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { MappedRecord } from '../src/mapping/record.ts';
import { findStream } from '../src/model/load.ts';
import type { PullStream } from '../src/model/types.ts';
import { randomOf } from '../src/sandbox/random.ts';
import { newKeyRing } from '../src/store/keys.ts';
import { storeRecords } from '../src/store/records.ts';
import { HENGYANG, HOSPITAL, PATIENT, PHARMACY, record, SECRETS, ZHENGZHOU } from './fixtures/credit-records.ts';
import { changesIn, headersFor, type Subscribed, subscribe, until } from './setup/events.ts';
import { openHub, type TestHub, TODAY } from './setup/hub.ts';
import { BUREAU, TAX } from './setup/leaks.ts';

const RING = newKeyRing();
let hub: TestHub;
beforeAll(async () => {
  hub = await openHub({ revocable: true });
});
afterAll(() => hub.close());

const DOCUMENT = `subscription { recordChanged { cursor changes { how id kind version record { id kind region version subject { id name }
  ... on RegistrationRecord { registeredName employerAmount insuranceType bankAccount legalRepresentative } ... on AdministrationRecord { fineAmount facts legalRepresentative } } } } }`;
const REGION = { ...TAX, region: '430100' };

async function store(on: TestHub, ...records: MappedRecord[]): Promise<void> {
  const stream = findStream(on.model, 'credit-china/penalties') as PullStream;
  await on.pool.transaction((tx) => storeRecords(tx, on.keys, on.model, stream, records, { id: 0, today: TODAY }));
}
const version = (n: number) => `2026-05-01T00:00:${String(n).padStart(2, '0')}Z`;
const contribution = (key: string, n: number, fields: Record<string, string | number>): MappedRecord => ({
  ...record(HOSPITAL, 1, 'employer-contribution', '2026-04-01', {
    insuranceType: '310',
    period: '202604',
    paymentStatus: '已缴',
    registeredName: HOSPITAL.name,
    ...fields,
  }),
  key: JSON.stringify([key]),
  version: version(n),
});
const open = async (on: TestHub, asking: typeof REGION | typeof TAX, lastEventId?: string) =>
  subscribe({ url: on.url, headers: await headersFor(on, asking), query: DOCUMENT, lastEventId });

/** A stream as its reader could compare it with another: without receipts, cursors by the order in which they come. */
function bare({ messages }: Subscribed): string {
  return messages
    .map(({ event, text }) => {
      const { extensions: { log: _log, ...extensions } = {} as Record<string, unknown>, ...rest } = JSON.parse(text || '{}') as Record<
        string,
        Record<string, unknown>
      >;
      return JSON.stringify([event, rest, extensions]).replaceAll(/"cursor":"[\w-]{22}"/g, '"cursor":""');
    })
    .join('\n');
}

describe('two worlds', () => {
  /** The same things happen that the caller may see; in one of them, others in between that it may not. */
  async function world(side: 'A' | 'B', seed: number): Promise<{ text: string; lengths: number[]; rows: number }> {
    const own = await openHub({ ring: RING });
    try {
      const random = randomOf(seed, 'hidden');
      let hidden = 0;
      const noise = async (): Promise<void> => {
        for (let i = side === 'A' ? 0 : random.int(1, 3); i > 0; i -= 1) {
          hidden += 1;
          const key = { key: JSON.stringify([`hidden-${random.int(1, 5)}`]), version: version(hidden) };
          await store(
            own,
            random.pick([
              { ...record(HENGYANG, 3, 'penalty', '2026-04-01', { decisionNumber: `${hidden}`, fineAmount: hidden }), ...key },
              { ...record(ZHENGZHOU, 3, 'penalty', '2026-04-01', { decisionNumber: `${hidden}` }), ...key, deleted: random.chance(0.5) },
              { ...record(HENGYANG, 9, 'violation', '2026-04-01', { facts: `${hidden}`, amount: hidden }), ...key },
            ]),
          );
        }
      };
      const stream = await open(own, REGION);
      await stream.at(0);
      // Made first in both worlds: what is seen has the same ids.
      await store(own, ...[1, 2, 3].map((n) => contribution(`seen-${n}`, 1, {})));
      await stream.at(1);
      for (let n = 2; n < 8; n += 1) {
        await noise();
        // Something hidden of what is seen becomes another, too.
        await store(
          own,
          contribution('seen-1', n, {
            employerAmount: side === 'A' ? 100 : 100 * n,
            insuranceType: side === 'A' ? '310' : '320',
            registeredName: n > 4 ? '新名' : HOSPITAL.name,
          }),
        );
        if (side === 'B') await store(own, contribution('seen-2', n, { employerAmount: n }));
        await noise();
      }
      await until(() => stream.messages.some(({ text }) => text.includes('新名')));
      const before = stream.messages.length;
      await store(own, { ...contribution('seen-3', 9, {}), deleted: true });
      await stream.at(before);
      const { length } = (await own.entries()).filter(({ entry }) => entry.kind === 'subscription');
      stream.close();
      return {
        text: bare(stream),
        lengths: stream.messages.map(({ text }) => text.replace(/"extensions":\{"log".*/, '').length),
        rows: length,
      };
    } finally {
      await own.close();
    }
  }

  it('L36 L41 that differ only in what is hidden give the same streams, byte for byte but for cursors and receipts, and as many entries in the log', async () => {
    for (const seed of [1, 2]) {
      const [a, b] = [await world('A', seed), await world('B', seed)];
      expect(a.text).toContain('"how":"CHANGED"');
      expect(a.text).toContain('"how":"GONE"');
      expect(b.text).toBe(a.text);
      expect(b.lengths).toEqual(a.lengths);
      expect(b.rows).toBe(a.rows);
    }
  });
});

describe('a stream', () => {
  /** What arrives at a caller of Changsha until a change comes that it does see. */
  async function toldOf(asking: typeof REGION | typeof TAX, work: () => Promise<void>): Promise<ReturnType<typeof changesIn>> {
    const stream = await open(hub, asking);
    await stream.at(0);
    await work();
    const mark = `mark-${Math.random()}`;
    await store(hub, contribution(mark, 1, { registeredName: mark }));
    await until(() => stream.messages.some(({ text }) => text.includes(mark)));
    stream.close();
    // A hidden change has no message of its own, not even an empty one.
    for (const message of stream.messages.slice(1)) expect(changesIn([message]).length).toBeGreaterThan(0);
    return changesIn(stream.messages).filter((change) => !JSON.stringify(change).includes('mark-'));
  }

  it('L36 tells nothing when a hidden field changes, nor of a row outside the grant, nor when that one goes', async () => {
    await store(hub, contribution('l36', 1, { employerAmount: 1 }));
    const hidden = { ...record(HENGYANG, 3, 'penalty', '2026-04-01', { decisionNumber: 'x' }), key: '["l36-hidden"]' };
    expect(
      await toldOf(REGION, async () => {
        await store(hub, contribution('l36', 2, { employerAmount: 2 }));
        await store(hub, hidden);
        await store(hub, { ...hidden, deleted: true });
      }),
    ).toEqual([]);
  });

  it('L30 L36 tells that a record is gone to whoever saw it, and to nobody else', async () => {
    const moved = (region: string, n: number) => ({ ...contribution('l30', n, {}), region });
    await store(hub, moved('430102', 1));
    const move = () => store(hub, moved('430405', 2));
    const back = () => store(hub, moved('430102', 3));
    expect((await toldOf(REGION, move)).map(({ how, record: shown }) => [how, shown])).toEqual([['GONE', null]]);
    expect((await toldOf(REGION, back)).map(({ how }) => how)).toEqual(['NEW']);
    const elsewhere = { ...TAX, region: '430200' };
    const stream = await open(hub, elsewhere);
    await stream.at(0);
    await store(hub, moved('430405', 4), moved('430102', 5));
    await until(async () => (await hub.pool.query('select from feed_new')).rowCount === 0);
    const { rows } = await hub.pool.query<{ id: number }>(`select id from record where source_key = '["l30"]'`);
    expect(rows).toHaveLength(1);
    expect(stream.messages).toHaveLength(1);
    stream.close();
  });

  it('L35 is the grant and not the row: no event holds a value that a query would not give, whoever listens', async () => {
    const [tax, bureau] = await Promise.all([open(hub, TAX), open(hub, BUREAU)]);
    await Promise.all([tax.at(0), bureau.at(0)]);
    await store(hub, {
      ...contribution('l35', 1, { employerAmount: 7_654_321, bankAccount: '43001520067052509999', legalRepresentative: '夏侯长歌' }),
    });
    const [told] = [await tax.at(1), await bureau.at(1)];
    for (const secret of ['7654321', '43001520067052509999', '夏侯长歌', ...SECRETS]) expect(told.text).not.toContain(secret);
    expect(bureau.messages[1]?.text).toContain('7654321');
    tax.close();
    bureau.close();
  });

  it('L35 ends for a role that is taken away, within five seconds and without a last event', async () => {
    const authorization = `Bearer ${await hub.token({ id: 'l35-1', department: 'tax' })}`;
    const stream = await subscribe({ url: hub.url, headers: await headersFor(hub, { ...TAX, authorization }), query: DOCUMENT });
    await stream.at(0);
    await hub.pool.query(`insert into revocation (person, reason, revoked_by, revoked_name) values ('l35-1', '离岗', 'x', '某人')`);
    await stream.ended;
    await store(hub, contribution('after-l35', 1, {}));
    expect(changesIn(stream.messages)).toEqual([]);
    expect(stream.messages.at(-2)?.codes).toEqual(['TOKEN_REVOKED']);
  });

  it('L14 L16 has cursors that cannot be compared: the same place twice is two texts, with changes in between or without', async () => {
    const ids: (string | undefined)[] = [];
    for (let i = 0; i < 4; i += 1) {
      const stream = await open(hub, REGION);
      ids.push((await stream.at(0)).id);
      stream.close();
      if (i % 2) await store(hub, { ...record(HENGYANG, 3, 'penalty', '2026-04-01', { decisionNumber: `${i}` }), key: `["l14-${i}"]` });
    }
    expect(new Set(ids).size).toBe(4);
    for (const id of ids) expect(id).toMatch(/^[\w-]{22}$/);
  });

  it('L46 tells of a person whose information was erased that its records are gone, and of what came later nothing', async () => {
    const of = {
      ...record(PATIENT, 1, 'person-registration', '2026-04-01', { insuranceType: '310', personType: '11', insuredStatus: '1' }),
      key: '["l46"]',
    };
    await store(hub, of);
    const stream = await open(hub, { ...BUREAU, region: '430000' } as typeof REGION);
    await stream.at(0);
    await hub.pool.query(`update record set withheld = true where source_key = '["l46"]'`);
    expect(changesIn([await stream.at(1)]).map(({ how, record: shown }) => [how, shown])).toEqual([['GONE', null]]);
    await hub.pool.query(`update record set withheld = false where source_key = '["l46"]'`);
    stream.close();
  });

  it('L31 two streams of two callers in one process never get of one another', async () => {
    const [changsha, hengyang] = await Promise.all([open(hub, REGION), open(hub, { ...TAX, region: '430400' })]);
    await Promise.all([changsha.at(0), hengyang.at(0)]);
    await Promise.all(
      [HOSPITAL, PHARMACY, HENGYANG].map((of, i) =>
        store(hub, {
          ...record(of, 1, 'employer-contribution', '2026-04-01', { insuranceType: '310', period: `20260${i}`, registeredName: of.name }),
          key: `["l31-${i}"]`,
        }),
      ),
    );
    await until(() => changesIn(changsha.messages).length === 2 && changesIn(hengyang.messages).length === 1);
    const regions = (stream: Subscribed) =>
      new Set(changesIn(stream.messages).map((change) => String(change.record?.['region']).slice(0, 4)));
    expect([regions(changsha), regions(hengyang)]).toEqual([new Set(['4301']), new Set(['4304'])]);
    changsha.close();
    hengyang.close();
  });
});
