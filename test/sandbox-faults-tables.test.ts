/** The ways in which tables and files fail, and what becomes of the hub's records; and how a plan of faults is read. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type FaultKind, openFaults, readFaultPlan } from '../src/sandbox/faults.ts';
import { faultyFile } from '../src/sandbox/file-faults.ts';
import { FRONT_DATABASE, RETURN_FLOW, type Table } from '../src/sandbox/tables.ts';
import { inPagesOf, KINDS_OF_TABLES, openTrial, type Outcome, type Trial } from './setup/faults.ts';
import { pullStreamOf } from './setup/store.ts';

let trial: Trial;
beforeAll(async () => {
  trial = await openTrial();
});
afterAll(() => trial.close());

const injected = (kind: FaultKind) => trial.faults.injected[kind];
const not = (outcomes: Outcome[], outcome: Outcome) => outcomes.filter((one) => one !== outcome);

describe('a front database that changes under the reader', () => {
  const NAME = 'hunan-credit/market-registrations';
  const TABLE = FRONT_DATABASE.find((one) => one.stream === NAME) as Table;
  const SQL = '"QZK"."GX_QYDJ"';
  const stream = inPagesOf(10, NAME);
  const expectTable = async () => expect(await trial.held(stream)).toEqual(trial.truth(stream, await trial.rowsOf(SQL)));

  it('P5 connection-killed between the commit and the acknowledgement: the page comes again and changes nothing', async () => {
    await trial.begin({ 'connection-killed': 1 }, { tables: true, most: 4 });
    const outcomes = await trial.runs(stream, { afterCommit: () => trial.tables.killReaders() });
    expect(injected('connection-killed')).toBe(4);
    expect(not(not(outcomes, 'done'), 'RetryLater')).toEqual([]);
    await expectTable();
    expect((await trial.rowsOf(`${SQL} where "JHKG" = '0'`)).length).toBe(0);
  });

  it('P5 changed-before-ack: a row written again after it was read is not acknowledged, and its new version is read', async () => {
    await trial.begin({ 'changed-before-ack': 1 }, { tables: true, most: 12 });
    expect(await trial.run(stream, { afterCommit: () => trial.tables.changeRow(TABLE) })).toBe('done');
    expect(injected('changed-before-ack')).toBeGreaterThan(3);
    trial.faults.stop();
    expect(await trial.runs(stream)).toEqual(['done']);
    await expectTable();
    expect((await trial.rowsOf(`${SQL} where "JHKG" = '0'`)).length).toBe(0);
  });

  it('P5 delete-by-flag: the record stays with its history and no longer holds', async () => {
    await trial.begin({ 'delete-by-flag': 1 }, { tables: true, most: 1 });
    await trial.run(stream);
    await trial.tables.deleteRow(TABLE);
    expect(await trial.run(stream)).toBe('done');
    await expectTable();
    const { rows } = await trial.hub.pool.query<{ versions: number }>(
      `select (select count(*)::int from record_version v where v.record_id = r.id) as versions from record r where deleted and stream = $1`,
      [stream.id],
    );
    expect(rows.filter((row) => row.versions > 1)).toHaveLength(1);
  });

  it('P5 silent-drop: a row marked as exchanged that was never read goes unseen; only reconciliation can find it', async () => {
    await trial.begin({ 'silent-drop': 1 }, { tables: true, most: 1 });
    const dropped = await trial.tables.dropRow(TABLE);
    expect(await trial.run(stream)).toBe('done');
    expect(dropped).toBeDefined();
    expect(await trial.missing(stream, await trial.rowsOf(SQL))).toHaveLength(1);
  });
});

describe('a table read by its watermark that changes under the reader', () => {
  const NAME = 'national-insurance/medical-institutions';
  const TABLE = RETURN_FLOW.find((one) => one.stream === NAME) as Table;
  const SQL = '"CUSTCENT_DB"."MEDINS_INFO_B"';
  const stream = inPagesOf(5, NAME);
  const expectTable = async () => expect(await trial.held(stream)).toEqual(trial.truth(stream, await trial.rowsOf(SQL)));

  it('P5 connection-killed while pages are read: the run goes on or is tried again, and no row is missing', async () => {
    await trial.begin({ 'connection-killed': 1 }, { tables: true, most: 4 });
    const outcomes = await trial.runs(stream, { afterCommit: () => trial.tables.killReaders() });
    expect(injected('connection-killed')).toBe(4);
    expect(not(not(outcomes, 'done'), 'RetryLater')).toEqual([]);
    await expectTable();
  });

  it('P5 equal-times: no row is passed over where a time goes on over the end of a page', async () => {
    await trial.begin({ 'equal-times': 0.8 }, { tables: true });
    expect(await trial.runs(stream)).toEqual(['done']);
    const times = new Set((await trial.rowsOf(SQL)).map((row) => row['UPDT_TIME']));
    expect(times.size).toBeLessThan(15);
    await expectTable();
  });

  it('P5 changed-before-ack: rows written again while pages are read come with their new version in the next run', async () => {
    await trial.begin({ 'changed-before-ack': 1 }, { tables: true, most: 6 });
    await trial.run(stream, { afterCommit: () => trial.tables.changeRow(TABLE) });
    expect(injected('changed-before-ack')).toBe(6);
    expect(await trial.runs(stream)).toEqual(['done']);
    await expectTable();
  });

  it('P5 late-row within the overlap: a row behind the watermark is read', async () => {
    await trial.begin({ 'late-row': 1 }, { tables: true, most: 1 });
    await trial.run(stream);
    await trial.tables.lateRow(TABLE, 8);
    expect(await trial.runs(stream)).toEqual(['done']);
    await expectTable();
  });

  it('P5 late-row further back than the overlap: it goes unseen; only reconciliation can find it', async () => {
    await trial.begin({ 'late-row': 1 }, { tables: true, most: 1 });
    await trial.run(stream);
    await trial.tables.lateRow(TABLE, 60);
    expect(await trial.runs(stream)).toEqual(['done']);
    expect(await trial.missing(stream, await trial.rowsOf(SQL))).toHaveLength(1);
  });

  it('P5 delete-by-flag: the record stays with its history and no longer holds', async () => {
    await trial.begin({ 'delete-by-flag': 1 }, { tables: true, most: 1 });
    await trial.run(stream);
    await trial.tables.deleteRow(TABLE);
    expect(await trial.runs(stream)).toEqual(['done']);
    await expectTable();
    expect((await trial.hub.pool.query(`select from record where deleted`)).rowCount).toBe(1);
  });
});

describe('a file that does not arrive whole', () => {
  const folder = mkdtempSync(join(tmpdir(), 'sandbox-faults-'));
  afterAll(() => rmSync(folder, { recursive: true }));
  const stream = pullStreamOf('ningbo-market/registrations');
  const whole = readFileSync(new URL('fixtures/ningbo-market-registrations.csv', import.meta.url), 'utf8').replace(/^\uFEFF/, '');
  const written = (content: Buffer | string) => {
    const file = join(folder, 'delivery.csv');
    writeFileSync(file, content);
    return { file };
  };
  const count = async () => (await trial.held(stream)).size;

  it('P11 half-file: the broken row is an issue, its whole neighbours are stored, and the whole file completes them', async () => {
    await trial.begin({ 'half-file': 1 });
    expect(await trial.run(stream, written(faultyFile(trial.faults, whole)))).toBe('done');
    const [half, issues] = [await count(), await trial.issues(stream)];
    expect(issues).toEqual([{ rule: 'bad-row', place: '', n: 1 }]);
    expect(await trial.run(stream, written(whole))).toBe('done');
    expect(half).toBeLessThan(await count());
    expect(await count()).toBe(5);
  });

  it('P11 mislabelled-gb18030: not one row of a file with the wrong mark is taken', async () => {
    await trial.begin({ 'mislabelled-gb18030': 1 });
    expect(await trial.run(stream, written(faultyFile(trial.faults, whole)))).toBe('StopStream');
    expect(await count()).toBe(0);
  });
});

describe('a plan of faults', () => {
  it('U26 gives the same faults for the same seed, and others for another', () => {
    const drawn = (seed: number) => {
      const faults = openFaults({ seed, odds: { reset: 0.5, hang: 0.5 } });
      return Array.from({ length: 64 }, () => [faults.roll('reset'), faults.roll('hang')]);
    };
    expect(drawn(7)).toEqual(drawn(7));
    expect(drawn(8)).not.toEqual(drawn(7));
  });

  it.each([
    ['{', /not JSON/],
    ['[]', /object/],
    ['{"odds":{"earthquake":1}}', /unknown fault earthquake; the kinds are: http-500/],
    ['{"odds":{"reset":2}}', /odds of reset/],
    ['{"most":"many"}', /most/],
    ['{"chance":{}}', /unknown keys: chance/],
  ])('U26 is refused with its reason: %s', (text, reason) => {
    expect(() => readFaultPlan(text, 7)).toThrow(reason);
  });

  it('U26 is read with the seed of the command, unless it has its own', () => {
    expect(readFaultPlan('{"odds":{"reset":0.1},"most":3,"clockSkewMinutes":-5}', 7)).toEqual({
      seed: 7,
      odds: { reset: 0.1 },
      most: 3,
      clockSkewMinutes: -5,
    });
    expect(readFaultPlan('{"seed":9}', 7)).toEqual({ seed: 9, odds: {} });
  });
});

describe('the kinds of faults of tables and files', () => {
  it('U26 are each needed by a test of this file', async () => {
    await trial.begin({});
    expect(KINDS_OF_TABLES.filter((kind) => (trial.needed.get(kind) ?? 0) === 0)).toEqual([]);
  });
});
