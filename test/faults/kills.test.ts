/**
 * P5, P7: nothing missing, stale or doubled after kill -9s of the worker and faults of the platforms; and the same test against builds that are
 * broken on purpose goes red. `HUB_DEEP=1` runs the deep set and the broken builds, `HUB_SEED` repeats a run.
 */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { KillOptions, KillResult } from '../setup/kills.ts';
import { syncUnderKills } from '../setup/kills.ts';
import { SEED } from '../setup/seed.ts';

const DEEP = process.env['HUB_DEEP'] === '1';
const SET = DEEP
  ? { kills: 30, faults: 1000, organisations: 300, persons: 1000, records: 10_000 }
  : { kills: 6, faults: 150, organisations: 40, persons: 120, records: 1500 };
const NOTHING = { missing: [], stale: [], doubled: [] };

const differences = ({ verdict: { missing, stale, doubled } }: KillResult) => ({ missing, stale, doubled });

describe(`${SET.kills} kill -9s and ${SET.faults} faults in one sync of all sandboxes (HUB_SEED=${SEED})`, () => {
  let result: KillResult;
  const rows = async <R>(text: string, values: unknown[] = []) => (await result.hub.pool.query<R>(text, values)).rows;

  beforeAll(
    async () => {
      result = await syncUnderKills({ ...SET, seed: SEED });
      const { kills, faults, injected, told, verdict } = result;
      process.stderr.write(
        `${JSON.stringify({ seed: SEED, kills, faults, injected, told, compared: verdict.compared, refused: verdict.refused })}\n`,
      );
    },
    DEEP ? 1_800_000 : 600_000,
  );
  afterAll(() => result?.close());

  it('P5 the hub holds every record of the answer key in its newest version: 0 missing, 0 stale, 0 doubled', () => {
    expect(differences(result)).toEqual(NOTHING);
    expect(result.verdict.held).toEqual(result.verdict.expected);
    expect(result.verdict.compared).toBeGreaterThan(SET.records);
    expect(Object.keys(result.verdict.expected).length).toBeGreaterThanOrEqual(10);
  });

  it('P5 the disturbance was real: so many kills within runs, so many faults, of many kinds', () => {
    expect(result.kills).toBe(SET.kills);
    expect(result.faults).toBeGreaterThanOrEqual(SET.faults);
    expect(result.interrupted.length).toBeGreaterThanOrEqual(SET.kills / 2);
    expect(Object.keys(result.injected).length).toBeGreaterThanOrEqual(12);
    expect(result.bugs).toEqual([]);
  });

  it('P5 every run in the ledger keeps its sum, whatever ended it, and none is left running', async () => {
    expect(await rows(`select id, stream, state from run where direction = 'pull' and taken <> stored + unchanged + issues`)).toEqual([]);
    expect(await rows(`select id, stream from run where state = 'running'`)).toEqual([]);
    const states = await rows<{ state: string }>('select distinct state from run');
    expect(states.map((row) => row.state)).toEqual(expect.arrayContaining(['done', 'failed', 'interrupted']));
    const interrupted = await rows<{ state: string }>('select distinct state from run where id = any($1)', [result.interrupted]);
    expect(interrupted).toEqual([{ state: 'interrupted' }]);
  });

  it('P6 nothing waits in the outbox, and what was published has its receipt', async () => {
    expect(await rows(`select from outbox where state in ('waiting', 'sent')`)).toEqual([]);
    expect(
      await rows(`select from outbox o where o.state = 'done' and not exists (select from receipt r where r.outbox_id = o.id)`),
    ).toEqual([]);
  });

  it('the oracle names what is taken away, changed or put twice behind the hub’s back', async () => {
    const names = await rows<{ id: number; name: string }>(
      `select id, connector || '/' || stream || ' ' || source_key as name from record where category = 3 order by id limit 5`,
    );
    const [gone, changed, torn, moved, twice] = names;
    await result.hub.pool.query('update record set content = $2 where id = $1', [changed?.id, Buffer.alloc(16)]);
    await result.hub.pool.query(`update record set open = open || '{"decisionNumber": "改"}' where id = $1`, [torn?.id]);
    await result.hub.pool.query(`update record set source_key = 'told-by-nobody' where id = $1`, [moved?.id]);
    await result.hub.pool.query(`update record set source_key = 'taken-away' where id = $1`, [gone?.id]);
    await result.hub.pool.query(
      `insert into record_version select (jsonb_populate_record(v, '{"version": 99}')).* from record_version v where record_id = $1 limit 1`,
      [twice?.id],
    );
    const verdict = await result.oracle.compare(result.hub.pool);
    expect(verdict.missing.toSorted()).toEqual([gone?.name, moved?.name].toSorted());
    expect(verdict.stale.toSorted()).toEqual([changed?.name, torn?.name].toSorted());
    const renamed = [gone, moved].map((one) => `${one?.name.split(' ')[0]} `);
    expect(verdict.doubled.toSorted()).toEqual([twice?.name, `${renamed[0]}taken-away`, `${renamed[1]}told-by-nobody`].toSorted());
    expect(verdict.held['3']).not.toEqual(verdict.expected['3']);
    expect({ ...verdict.held, 3: '' }).toEqual({ ...verdict.expected, 3: '' });
  });
});

/** How soon a broken build loses something is a matter of chance: enough of it takes minutes, so these are of the deep set. */
const inDeep = DEEP ? it : it.skip;

describe(`builds that are broken on purpose go red (HUB_SEED=${SEED})`, () => {
  const broken = async (build: string, options: Partial<KillOptions> = {}): Promise<KillResult> => {
    const result = await syncUnderKills({ seed: SEED, kills: 5, faults: 10, organisations: 40, persons: 120, broken: build, ...options });
    await result.close();
    expect(result.bugs).toEqual([]);
    return result;
  };

  inDeep(
    'P5 a cursor that moves before its page is stored: the oracle names missing records',
    async () => {
      const result = await broken('cursor-first');
      expect(result.verdict.missing.length).toBeGreaterThan(0);
      expect(result.verdict.held).not.toEqual(result.verdict.expected);
    },
    600_000,
  );

  inDeep(
    'P5 a late version that overwrites a newer one: the oracle names stale records',
    async () => {
      // Where the answer key has late versions.
      const read = ['market-registrations', 'credit-commitments', 'abnormal-operations'].map((id) => `hunan-credit/${id}`);
      const result = await broken('older-wins', { kills: 1, read });
      expect(result.verdict.stale.length).toBeGreaterThan(0);
      expect(result.verdict.held).not.toEqual(result.verdict.expected);
    },
    600_000,
  );
});
