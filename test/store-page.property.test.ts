import { afterAll, beforeAll, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { usccFor } from '../src/identity/uscc.ts';
import type { MappedRecord } from '../src/mapping/record.ts';
import { apply, inRun, openStore, pageOf, pullStreamOf, recordOf, type Store } from './setup/store.ts';

const STREAM = pullStreamOf('credit-china/penalties');
const CODE = usccFor('91430100', 'MA4L0001');
const KEYS = 3;
const VERSIONS = 5;

let store: Store;
beforeAll(async () => {
  store = await openStore();
});
afterAll(() => store.drop());

/** One telling of one version of one key. */
interface Told {
  key: number;
  version: number;
}
interface Stored {
  key: string;
  content: string;
  version: string;
  late: boolean;
}

/** What the source says in each version of each key; letters come back, as when a decision is taken back and then restored. */
const contents = fc.array(fc.array(fc.constantFrom('甲', '乙', '丙'), { minLength: VERSIONS, maxLength: VERSIONS }), {
  minLength: KEYS,
  maxLength: KEYS,
});
/** Repeats, reversals and overlaps: any sequence of versions is one that some platform has sent. */
const arrivals = fc.array(fc.record({ key: fc.nat(KEYS - 1), version: fc.nat(VERSIONS - 1) }), { minLength: 1, maxLength: 24 });
const cuts = fc.array(fc.nat(24), { maxLength: 6 });

let histories = 0;
/** Stores the arrivals under keys of their own, cut into pages; gives the prefix of the keys. */
async function deliver(arrived: readonly Told[], cut: readonly number[], say: (told: Told) => string): Promise<string> {
  const prefix = `h${(histories += 1)}-`;
  const ends = [...new Set([...cut.filter((at) => at < arrived.length), arrived.length])].sort((a, b) => a - b);
  const record = (told: Told): MappedRecord =>
    recordOf(`${prefix}${told.key}`, CODE, {
      version: `2026-01-0${told.version + 1}T00:00:00.000000Z`,
      fields: { decisionNumber: String(told.key), content: say(told) },
    });
  await inRun(store, STREAM, async (run) => {
    let from = 0;
    for (const end of ends) {
      const page = pageOf(arrived.slice(from, end).map(record));
      const result = await apply(store, STREAM, run, page);
      expect(result.stored + result.unchanged + result.issues).toBe(page.records.length);
      from = end;
    }
  });
  return prefix;
}

async function historyOf(prefix: string): Promise<Stored[]> {
  const { rows } = await store.pool.query<Stored>(
    `select r.source_key as key, v.open->>'content' as content, substr(v.source_version, 10, 1) as version, v.late
     from record_version v join record r on r.id = v.record_id where r.source_key like $1 order by 1, v.version`,
    [`["${prefix}%`],
  );
  return rows.map((row) => ({ ...row, key: row.key.replace(prefix, '') }));
}

async function currentOf(prefix: string): Promise<Record<string, string>> {
  const { rows } = await store.pool.query<{ key: string; content: string }>(
    `select source_key as key, open->>'content' as content from record where source_key like $1`,
    [`["${prefix}%`],
  );
  return Object.fromEntries(rows.map((row) => [row.key.replace(prefix, ''), row.content]));
}

it('P5 whatever comes late, twice or in reverse, the newest version is what stands', async () => {
  await fc.assert(
    fc.asyncProperty(contents, arrivals, cuts, async (content, arrived, cut) => {
      const say = ({ key, version }: Told) => content[key]?.[version] ?? '';
      const prefix = await deliver(arrived, cut, say);
      const newest = new Map<number, number>();
      for (const { key, version } of arrived) newest.set(key, Math.max(version, newest.get(key) ?? 0));
      expect(await currentOf(prefix)).toEqual(
        Object.fromEntries([...newest].map(([key, version]) => [JSON.stringify([String(key)]), say({ key, version })])),
      );
    }),
    { numRuns: 50 },
  );
});

it('P5 every version that came is in history once, in whatever order they came', async () => {
  await fc.assert(
    fc.asyncProperty(arrivals, cuts, async (arrived, cut) => {
      const prefix = await deliver(arrived, cut, ({ key, version }) => `${key}.${version}`);
      const told = new Set(arrived.map(({ key, version }) => `${key}.${version}`));
      expect((await historyOf(prefix)).map((v) => v.content).toSorted()).toEqual([...told].toSorted());
    }),
    { numRuns: 25 },
  );
});

it('P5 the same arrivals make the same history, however they are cut into pages', async () => {
  await fc.assert(
    fc.asyncProperty(contents, arrivals, cuts, cuts, async (content, arrived, one, other) => {
      const say = ({ key, version }: Told) => content[key]?.[version] ?? '';
      const [first, second] = [await deliver(arrived, one, say), await deliver(arrived, other, say)];
      expect(await historyOf(second)).toEqual(await historyOf(first));
    }),
    { numRuns: 25 },
  );
});

it('P5 the same arrivals once more change nothing', async () => {
  await fc.assert(
    fc.asyncProperty(contents, arrivals, cuts, async (content, arrived, cut) => {
      const say = ({ key, version }: Told) => content[key]?.[version] ?? '';
      const prefix = await deliver([...arrived, ...arrived], [...cut, arrived.length], say);
      const again = await deliver(arrived, cut, say);
      expect(await historyOf(prefix)).toEqual(await historyOf(again));
      expect(await currentOf(prefix)).toEqual(await currentOf(again));
    }),
    { numRuns: 25 },
  );
});
