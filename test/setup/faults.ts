/** A hub and sandboxes whose faults a test chooses, and what the hub must hold in the end: the platform's own truth. */
import { Client } from 'pg';
import type { CustomTypesConfig } from 'pg';
import { RejectRecord, RetryLater, StopStream } from '../../src/errors.ts';
import { runPull } from '../../src/jobs/pull.ts';
import { compileMapping } from '../../src/mapping/compile.ts';
import { contentOf, type MappedRecord } from '../../src/mapping/record.ts';
import type { PullStream } from '../../src/model/types.ts';
import { FAULT_KINDS, type FaultKind, type FaultPlan, type Faults, holdingsOf, openFaults } from '../../src/sandbox/faults.ts';
import { generate } from '../../src/sandbox/generate.ts';
import { faultyAnswers } from '../../src/sandbox/http-faults.ts';
import type { Row } from '../../src/sandbox/population.ts';
import { type Execute, seedStatements } from '../../src/sandbox/seeding.ts';
import { FRONT_DATABASE, RETURN_FLOW, RETURN_FLOW_VIEWS } from '../../src/sandbox/tables.ts';
import { type TableFaults, tableFaults } from '../../src/sandbox/table-faults.ts';
import { storedKey } from '../../src/store/records.ts';
import { openHub, type TestHub } from './platforms.ts';
import { MODEL, pullStreamOf } from './store.ts';

const PRISTINE = generate({ seed: 7, organisations: 60, persons: 200 });
const HOUR = 3_600_000;
/** The hub's clock: after everything in the data, whatever day the tests are run. */
const START = Date.parse('2026-11-21T00:00:00Z');

export type Outcome = 'done' | 'RetryLater' | 'StopStream';

export interface Trial {
  hub: TestHub;
  /** Faults of the test under way, and those of its tables. */
  faults: Faults;
  tables: TableFaults;
  /** SQL at the platforms' database. */
  execute: Execute;
  /** How many of each kind happened in all tests so far. */
  needed: Map<FaultKind, number>;
  /** Empties the hub, fills the platforms anew and lets them fail as planned. `tables` writes the tables too, which takes longer. */
  begin(odds: FaultPlan['odds'], options?: Partial<FaultPlan> & { tables?: boolean }): Promise<void>;
  /** What a platform holds of a stream over HTTP; a test may write in it. */
  holdings(stream: string): Row[];
  clock(): Date;
  /** One run, an hour after the last. `afterCommit` is called when a page is stored and before it is acknowledged. */
  run(stream: PullStream, options?: { file?: string; afterCommit?: () => Promise<unknown> }): Promise<Outcome>;
  /** Runs until one is done. */
  runs(stream: PullStream, options?: { afterCommit?: () => Promise<unknown> }): Promise<Outcome[]>;
  /** Key and content of every record that the hub holds of the stream; throws when one has the same version twice. */
  held(stream: PullStream): Promise<Map<string, string>>;
  /** The same, as the platform's rows say it. */
  truth(stream: PullStream, rows: readonly Record<string, unknown>[]): Map<string, string>;
  /** Keys of the platform that the hub does not hold with their newest content. */
  missing(stream: PullStream, rows: readonly Record<string, unknown>[]): Promise<string[]>;
  /** The rows of a table as a reader sees them. */
  rowsOf(table: string): Promise<Record<string, unknown>[]>;
  issues(stream: PullStream): Promise<{ rule: string; place: string; n: number }[]>;
  close(): Promise<void>;
}

export async function openTrial(): Promise<Trial> {
  let faults = openFaults({ seed: 1, odds: {} });
  const holdings = holdingsOf(PRISTINE, faults);
  let answer = faultyAnswers(faults, holdings, platformTime);
  let clock = START;
  const needed = new Map<FaultKind, number>();
  // The platforms' servers keep the lists they were started with: a new trial writes in these.
  const hub = await openHub({ data: holdings, answer: (call, proper) => answer(call, proper), now: () => faults.clock(platformTime()) });
  const client = new Client({ connectionString: hub.sandboxes.env['HUNAN_CREDIT_DATABASE_URL'], types: AS_TEXT });
  await client.connect();
  const execute: Execute = (text, values = []) => client.query<Record<string, unknown>>(text, [...values]);

  function platformTime(): Date {
    return new Date(clock + 30_000);
  }

  function count(): void {
    for (const kind of FAULT_KINDS) needed.set(kind, (needed.get(kind) ?? 0) + faults.injected[kind]);
  }

  async function run(stream: PullStream, options: { file?: string; afterCommit?: () => Promise<unknown> } = {}): Promise<Outcome> {
    clock += HOUR;
    const { pool } = hub.jobs;
    const hooked: typeof pool = {
      ...pool,
      async transaction(work) {
        let ofPage = false;
        const result = await pool.transaction((sql) =>
          work({
            ...sql,
            query: (text, values) => {
              ofPage ||= text.startsWith('update run set pages');
              return sql.query(text, values);
            },
          }),
        );
        // The gate of the platforms commits what it counts, too.
        if (ofPage) await options.afterCommit?.();
        return result;
      },
    };
    const jobs = { ...hub.jobs, pool: hooked, now: () => new Date(clock) };
    try {
      await runPull(jobs, stream, { trigger: 'manual', ...(options.file === undefined ? {} : { file: options.file }) });
      return 'done';
    } catch (error) {
      if (error instanceof RetryLater) return 'RetryLater';
      if (error instanceof StopStream) return 'StopStream';
      throw error;
    }
  }

  const trial: Trial = {
    hub,
    faults,
    tables: tableFaults(faults, execute, platformTime),
    execute,
    needed,
    async begin(odds, { tables, ...plan } = {}) {
      count();
      faults = openFaults({ seed: 7, odds, ...plan });
      clock = START;
      for (const [stream, rows] of holdingsOf(PRISTINE, faults).streams) {
        const list = holdings.streams.get(stream);
        list?.splice(0, list.length, ...rows);
      }
      if (tables) {
        const statements = [...seedStatements(FRONT_DATABASE, [], holdings), ...seedStatements(RETURN_FLOW, RETURN_FLOW_VIEWS, holdings)];
        for (const { text, values } of statements) await execute(text, values);
      }
      await hub.pool.query('truncate subject, record, stream_state, run, issue, outbox cascade');
      answer = faultyAnswers(faults, holdings, platformTime);
      trial.faults = faults;
      trial.tables = tableFaults(faults, execute, platformTime);
    },
    holdings: (stream) => holdings.streams.get(stream) ?? [],
    clock: () => new Date(clock),
    run,
    async runs(stream, options) {
      const outcomes: Outcome[] = [];
      while (outcomes.at(-1) !== 'done') {
        outcomes.push(await run(stream, options));
        if (outcomes.length > 200) throw new Error(`${stream.id} is never done`);
      }
      return outcomes;
    },
    async held(stream) {
      const of = [stream.connector, stream.id];
      const twice = await hub.pool.query(
        `select from record_version v join record r on r.id = v.record_id where r.connector = $1 and r.stream = $2
         and exists (select from record_version w where w.record_id = v.record_id and w.version = v.version - 1 and w.content = v.content)`,
        of,
      );
      if (twice.rowCount > 0) throw new Error(`${twice.rowCount} versions are stored twice`);
      const { rows } = await hub.pool.query<{ source_key: string; content: Buffer }>(
        'select source_key, content from record where connector = $1 and stream = $2',
        of,
      );
      return new Map(rows.map((row) => [row.source_key, row.content.toString('hex')]).sort() as [string, string][]);
    },
    truth(stream, rows) {
      const { map } = compileMapping(MODEL, stream);
      const newest = new Map<string, MappedRecord>();
      for (const row of rows) {
        const record = mapped(() => map(row, '2026-11-21'));
        const key = record && storedKey(hub.jobs.keys, record);
        if (record === undefined || key === undefined) continue;
        const before = newest.get(key);
        if (before === undefined || (record.version ?? '') >= (before.version ?? '')) newest.set(key, record);
      }
      const content = (record: MappedRecord) => hub.jobs.keys.fingerprint('content', contentOf(record)).toString('hex');
      return new Map([...newest].map(([key, record]) => [key, content(record)] as [string, string]).sort());
    },
    async missing(stream, rows) {
      const held = await trial.held(stream);
      return [...trial.truth(stream, rows)].filter(([key, content]) => held.get(key) !== content).map(([key]) => key);
    },
    rowsOf: async (table) => (await execute(`select * from ${table}`)).rows,
    async issues(stream) {
      const { rows } = await hub.pool.query<{ rule: string; place: string; n: number }>(
        'select rule, place, count(*)::int as n from issue where connector = $1 and stream = $2 group by 1, 2 order by 1, 2',
        [stream.connector, stream.id],
      );
      return rows;
    },
    async close() {
      count();
      await client.end();
      await hub.close();
    },
  };
  return trial;
}

/** Kinds that the tests over tables and files need (sandbox-faults-tables.test.ts); all others are needed by those over HTTP (sandbox-faults.test.ts). */
export const KINDS_OF_TABLES: readonly FaultKind[] = ['connection-killed', 'changed-before-ack', 'delete-by-flag', 'late-row', 'half-file'];

/** What every platform driver of the hub does too: dates and times stay the text of the server. */
const AS_TEXT = { getTypeParser: () => String } as CustomTypesConfig;

function mapped(work: () => MappedRecord): MappedRecord | undefined {
  try {
    return work();
  } catch (error) {
    if (error instanceof RejectRecord) return undefined;
    throw error;
  }
}

/** The stream with pages of `size` rows, so that a small sandbox has many. */
export function inPagesOf(size: number, name: string): PullStream {
  const stream = pullStreamOf(name);
  const { via } = stream;
  if (via.kind === 'http' && via.paging) return { ...stream, via: { ...via, paging: { ...via.paging, size } } };
  if (via.kind === 'database') return { ...stream, via: { ...via, size } };
  if (via.kind === 'national-insurance' && via.each) return { ...stream, via: { ...via, each: { ...via.each, size } } };
  return stream;
}
