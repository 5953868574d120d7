/** Each way in which the platforms fail over HTTP, and what becomes of the hub's records: nothing lost, nothing doubled, and no silence where it cannot know. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { openConnector } from '../src/connectors/connector.ts';
import { resolveSettings } from '../src/connectors/settings.ts';
import { RetryLater } from '../src/errors.ts';
import { runPush } from '../src/jobs/push.ts';
import { findStream } from '../src/model/load.ts';
import type { Connector, PushStream } from '../src/model/types.ts';
import { FAULT_KINDS, type FaultKind } from '../src/sandbox/faults.ts';
import { shanghai } from '../src/sandbox/times.ts';
import { openOutbox } from '../src/store/sending.ts';
import { inPagesOf, KINDS_OF_TABLES, openTrial, type Outcome, type Trial } from './setup/faults.ts';
import { MODEL, pullStreamOf } from './setup/store.ts';

let trial: Trial;
beforeAll(async () => {
  trial = await openTrial();
});
afterAll(() => trial.close());

const PENALTIES = 'credit-china/penalties';
const LICENCES = 'credit-china/licences';
const LOOKUP = 'national-insurance/institution-lookup';

/** The hub holds what the platform holds, no more and no less. */
async function expectTruth(name: string): Promise<void> {
  const stream = pullStreamOf(name);
  const truth = trial.truth(stream, trial.holdings(name));
  expect(truth.size).toBeGreaterThan(15);
  expect(await trial.held(stream)).toEqual(truth);
}

const injected = (kind: FaultKind) => trial.faults.injected[kind];
const not = (outcomes: Outcome[], outcome: Outcome) => outcomes.filter((one) => one !== outcome);

/** Institutions first: the national platform is asked about those the hub knows. */
async function knowInstitutions(): Promise<void> {
  await trial.run(pullStreamOf('national-insurance/medical-institutions'));
  await trial.run(pullStreamOf('national-insurance/pharmacies'));
}

describe('an answer that does not come whole', () => {
  const kinds: FaultKind[] = ['http-500', 'reset', 'cut-body', 'error-in-200'];
  it.each(kinds)('P5 %s: the run is tried again later, from its last page, and ends with the platform’s truth', async (kind) => {
    await trial.begin({ [kind]: 0.3 }, { most: 3 });
    expect(await trial.runs(inPagesOf(10, LICENCES))).toEqual(['RetryLater', 'RetryLater', 'RetryLater', 'done']);
    expect(injected(kind)).toBe(3);
    await expectTruth(LICENCES);
  });

  it.each(kinds)('P5 %s of the national platform: the same', async (kind) => {
    await trial.begin({ [kind]: 0.1 }, { most: 2 });
    await knowInstitutions();
    expect(await trial.runs(inPagesOf(10, LOOKUP))).toEqual(['RetryLater', 'RetryLater', 'done']);
    await expectTruth(LOOKUP);
  });

  it('P18 hang: a call ends at its time limit with RetryLater, and the run after it is whole', async () => {
    await trial.begin({ hang: 1 }, { most: 1 });
    const connector = MODEL.connectors.get('credit-china') as Connector;
    const settings = resolveSettings(connector, trial.hub.sandboxes.env);
    const open = openConnector(connector, settings.settings, { now: trial.clock, timeoutMs: 300 });
    await expect(open.pull(pullStreamOf(PENALTIES), { cursor: null })[Symbol.asyncIterator]().next()).rejects.toBeInstanceOf(RetryLater);
    await open.close();
    expect(injected('hang')).toBe(1);
    expect(await trial.runs(inPagesOf(10, PENALTIES))).toEqual(['done']);
    await expectTruth(PENALTIES);
  });

  it.each(['html-login', 'mislabelled-gb18030'] as const)(
    'P11 %s: the stream stops, stores nothing of it, and goes on when an operator lets it',
    async (kind) => {
      await trial.begin({ [kind]: 1 }, { most: 1 });
      expect(await trial.run(inPagesOf(10, PENALTIES))).toBe('StopStream');
      expect(await trial.held(pullStreamOf(PENALTIES))).toEqual(new Map());
      expect(await trial.runs(inPagesOf(10, PENALTIES))).toEqual(['done']);
      await expectTruth(PENALTIES);
    },
  );
});

describe('a platform that refuses who calls', () => {
  it('T8 wrong-signature: the stream stops at the gateway; when the key is right again nothing is missing', async () => {
    await trial.begin({ 'wrong-signature': 0.1 }, { most: 2 });
    await knowInstitutions();
    expect(await trial.runs(inPagesOf(10, LOOKUP))).toEqual(['StopStream', 'StopStream', 'done']);
    await expectTruth(LOOKUP);
  });

  it.each([PENALTIES, LOOKUP])('P5 expired-token: one new login within the run of %s, which nobody notices', async (name) => {
    await trial.begin({ 'expired-token': 1 }, { most: 1 });
    await knowInstitutions();
    expect(await trial.runs(inPagesOf(10, name))).toEqual(['done']);
    expect(injected('expired-token')).toBe(1);
    await expectTruth(name);
  });

  it.each([PENALTIES, LOOKUP])('P5 expired-token: the stream %s stops when the new one is refused as well', async (name) => {
    await trial.begin({ 'expired-token': 1 }, { most: 2 });
    await knowInstitutions();
    expect(await trial.runs(inPagesOf(10, name))).toEqual(['StopStream', 'done']);
    await expectTruth(name);
  });
});

describe('pages that are not those asked for', () => {
  it('P5 repeated-page: the stream stops instead of taking it for the page asked for, and the next run has the page', async () => {
    await trial.begin({ 'repeated-page': 1 }, { most: 1 });
    expect(await trial.runs(inPagesOf(10, LICENCES))).toEqual(['StopStream', 'done']);
    await expectTruth(LICENCES);
  });

  it.each(['reversed-page', 'overlapping-page'] as const)('P5 %s: every row once', async (kind) => {
    await trial.begin({ [kind]: 1 });
    expect(await trial.runs(inPagesOf(10, LICENCES))).toEqual(['done']);
    expect(injected(kind)).toBeGreaterThan(10);
    await expectTruth(LICENCES);
  });

  it('P5 reversed-page: neither do the lists of the national platform depend on their order', async () => {
    await trial.begin({ 'reversed-page': 1 });
    await knowInstitutions();
    expect(await trial.runs(pullStreamOf('national-insurance/practitioners'))).toEqual(['done']);
    expect(injected('reversed-page')).toBeGreaterThan(0);
    await expectTruth('national-insurance/practitioners');
  });

  it('P5 equal-times: no row is passed over where a time goes on over the end of a page', async () => {
    await trial.begin({ 'equal-times': 0.8 });
    expect(await trial.runs(inPagesOf(7, LICENCES))).toEqual(['done']);
    expect(injected('equal-times')).toBeGreaterThan(100);
    await expectTruth(LICENCES);
  });

  it('P5 moved-cursor: rows that moved up onto pages already read are read', async () => {
    await trial.begin({ 'moved-cursor': 0.3 }, { most: 8 });
    expect(await trial.runs(inPagesOf(10, LICENCES))).toEqual(['done']);
    expect(injected('moved-cursor')).toBe(8);
    await expectTruth(LICENCES);
  });

  it('P5 changed-while-paging: no row is lost beside the changed ones, whose versions come with the next run', async () => {
    await trial.begin({ 'changed-while-paging': 0.6 }, { most: 12 });
    expect(await trial.run(inPagesOf(10, LICENCES))).toBe('done');
    expect(injected('changed-while-paging')).toBe(12);
    expect(await trial.run(inPagesOf(10, LICENCES))).toBe('done');
    await expectTruth(LICENCES);
  });

  it.each([-8, -5, -1, 5])(
    'P5 changed-while-paging by a clock %d minutes off the hub’s: no row moves up unseen, because a window ends before such a clock',
    async (clockSkewMinutes) => {
      await trial.begin({ 'changed-while-paging': 0.6 }, { most: 12, clockSkewMinutes });
      const stream = inPagesOf(10, LICENCES);
      expect([await trial.run(stream), await trial.run(stream)]).toEqual(['done', 'done']);
      expect(injected('changed-while-paging')).toBe(12);
      await expectTruth(LICENCES);
    },
  );

  it('P5 changed-while-paging by a clock further behind than the overlap: rows that moved up under an equal total go unseen; only reconciliation can find them', async () => {
    await trial.begin({ 'changed-while-paging': 0.6 }, { most: 12, clockSkewMinutes: -15 });
    const stream = inPagesOf(10, LICENCES);
    expect([await trial.run(stream), await trial.run(stream)]).toEqual(['done', 'done']);
    const lost = await trial.missing(stream, trial.holdings(LICENCES));
    expect([lost.length > 0, lost.length <= 12]).toEqual([true, true]);
  });

  it('P5 silent-drop: a row that no delivery has goes unseen; only reconciliation with the holdings can find it', async () => {
    await trial.begin({ 'silent-drop': 1 }, { most: 2 });
    const stream = inPagesOf(10, LICENCES);
    expect([await trial.run(stream), await trial.run(stream)]).toEqual(['done', 'done']);
    const known = trial.truth(stream, trial.holdings(LICENCES));
    expect((await trial.missing(stream, trial.holdings(LICENCES))).length).toBe(2);
    expect((await trial.held(stream)).size).toBe(known.size - 2);
  });
});

describe('a platform whose clock is wrong', () => {
  /** A row that the platform writes now, by its own clock. */
  function write(name: string): void {
    const rows = trial.holdings(name);
    const time = shanghai(trial.faults.clock(new Date(trial.clock().getTime() + 30_000)));
    rows.push({ ...rows[0], ID: `written-${rows.length}`, SJC: time } as (typeof rows)[number]);
    rows.sort((a, b) => (`${a['SJC']} ${a['ID']}` < `${b['SJC']} ${b['ID']}` ? -1 : 1));
  }

  it.each([-120, 120])('T8 clock-skew of %d minutes: the gateway takes no signature of ours, and the stream stops', async (minutes) => {
    await trial.begin({}, { clockSkewMinutes: minutes });
    await knowInstitutions();
    expect(await trial.run(inPagesOf(10, LOOKUP))).toBe('StopStream');
    trial.faults.stop();
    expect(await trial.run(inPagesOf(10, LOOKUP))).toBe('done');
    await expectTruth(LOOKUP);
  });

  it.each([-8, 90, 240])(
    'P17 clock-skew of %d minutes: what was written behind or ahead is read once the hub’s clock is there',
    async (minutes) => {
      await trial.begin({}, { clockSkewMinutes: minutes });
      const stream = inPagesOf(10, PENALTIES);
      for (let hour = 0; hour < 6; hour += 1) {
        expect(await trial.run(stream)).toBe('done');
        if (hour === 0) write(PENALTIES);
      }
      await expectTruth(PENALTIES);
    },
  );

  it('P17 clock-skew further behind than the overlap: the row goes unseen; only reconciliation with the holdings can find it', async () => {
    await trial.begin({}, { clockSkewMinutes: -120 });
    const stream = inPagesOf(10, PENALTIES);
    await trial.run(stream);
    write(PENALTIES);
    await trial.run(stream);
    expect(await trial.missing(stream, trial.holdings(PENALTIES))).toHaveLength(1);
  });
});

describe('rows that changed their shape', () => {
  it('P11 new-key: the rows are stored, and the key is reported once', async () => {
    await trial.begin({ 'new-key': 0.2 });
    expect(await trial.run(inPagesOf(10, LICENCES))).toBe('done');
    expect(injected('new-key')).toBeGreaterThan(10);
    expect(await trial.issues(pullStreamOf(LICENCES))).toContainEqual({ rule: 'unknown-key', place: 'NEW_FIELD', n: 1 });
    await expectTruth(LICENCES);
  });

  it('P11 renamed-key: the stream stops after one page, whose rows are all kept as issues with what they lack', async () => {
    await trial.begin({ 'renamed-key': 1 }, { most: 1 });
    const stream = inPagesOf(100, LICENCES);
    expect(await trial.runs(stream)).toEqual(['StopStream', 'done']);
    const lost = await trial.missing(stream, trial.holdings(LICENCES));
    const refused = await trial.hub.pool.query<{ n: number }>(`select count(*)::int as n from issue where refused and place = 'XK_WSH'`);
    expect(lost.length).toBeGreaterThan(50);
    expect(refused.rows[0]?.n).toBe(lost.length);
    // Only records that are taken are searched for unknown keys, so the new name is not told; the column that is missing is.
    expect((await trial.issues(stream)).filter((issue) => issue.rule === 'unknown-key')).toEqual([]);
  });
});

describe('a receiver whose answers are lost', () => {
  it.each(['cut-body', 'reset', 'http-500'] as const)('P6 %s: every grade has one effect and one receipt', async (kind) => {
    await trial.begin({});
    await trial.run(pullStreamOf('national-insurance/credit-grades'));
    const push = findStream(MODEL, 'credit-china/evaluation-results') as PushStream;
    const waiting = await trial.hub.pool.query<{ n: number }>('select count(*)::int as n from outbox where connector = $1', [
      push.connector,
    ]);
    await trial.begin({ [kind]: 0.2 }, { most: 10 });
    await trial.run(pullStreamOf('national-insurance/credit-grades'));
    const before = await holdingsOfReceiver();
    const isOpen = async () => (await openOutbox(trial.hub.pool)).some((one) => one.connector === push.connector);
    for (let round = 0; round < 60 && (await isOpen()); round += 1) {
      await runPush({ ...trial.hub.jobs, now: trial.clock }, push, { trigger: 'manual' }).catch((error: unknown) => {
        if (!(error instanceof RetryLater)) throw error;
      });
    }
    const after = await holdingsOfReceiver();
    const { rows } = await trial.hub.pool.query<{ done: number; receipts: number }>(
      `select count(*)::int as done, count(distinct r.number)::int as receipts from outbox o join receipt r on r.outbox_id = o.id
       where o.connector = $1 and o.state = 'done'`,
      [push.connector],
    );
    const grades = waiting.rows[0]?.n ?? 0;
    expect(injected(kind)).toBe(10);
    expect(rows).toEqual([{ done: grades, receipts: grades }]);
    expect([after.holdings - before.holdings, after.repeated > before.repeated]).toEqual([grades, true]);
  });

  async function holdingsOfReceiver(): Promise<{ holdings: number; repeated: number }> {
    const answer = await fetch(`${trial.hub.sandboxes.urls.creditChina}/sandbox/holdings`);
    return (await answer.json()) as { holdings: number; repeated: number };
  }
});

describe('everything at once', () => {
  it.each([1, 2, 3])('P5 with seed %d: faults of every kind that a stream survives by itself end in the platform’s truth', async (seed) => {
    const odds = {
      'http-500': 0.08,
      reset: 0.03,
      'cut-body': 0.03,
      'error-in-200': 0.03,
      'expired-token': 0.03,
      'reversed-page': 0.06,
      'overlapping-page': 0.06,
      'moved-cursor': 0.03,
      'changed-while-paging': 0.1,
      'new-key': 0.01,
      'equal-times': 0.3,
    };
    await trial.begin(odds, { seed });
    const stream = inPagesOf(4, LICENCES);
    for (let round = 0; round < 3; round += 1) expect(not(not(await trial.runs(stream), 'RetryLater'), 'StopStream')).toEqual(['done']);
    const total = Object.values(trial.faults.injected).reduce((sum, n) => sum + n, 0);
    expect(total).toBeGreaterThan(60);
    trial.faults.stop();
    expect(await trial.runs(stream)).toEqual(['done']);
    await expectTruth(LICENCES);
  });
});

describe('the kinds of faults over HTTP', () => {
  it('U26 are each needed by a test of this file', async () => {
    await trial.begin({});
    const own = FAULT_KINDS.filter((kind) => !KINDS_OF_TABLES.includes(kind));
    expect(own.filter((kind) => (trial.needed.get(kind) ?? 0) === 0)).toEqual([]);
  });
});
