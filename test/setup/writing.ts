/** The platforms' own side while the hub reads: rows appear, change and go, and everything they ever held is told to the oracle. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import type { CustomTypesConfig } from 'pg';
import type { Faults } from '../../src/sandbox/faults.ts';
import type { Row } from '../../src/sandbox/population.ts';
import { tableFaults } from '../../src/sandbox/table-faults.ts';
import { FRONT_DATABASE, RETURN_FLOW, type Table } from '../../src/sandbox/tables.ts';
import type { Oracle } from './oracle.ts';

/** What every platform driver of the hub does too: dates and times stay the text of the server. */
const AS_TEXT = { getTypeParser: () => String } as CustomTypesConfig;
/** Tables are written no faster, so that no key has two versions of one second. */
const WRITE_EVERY_MS = 1100;

export interface Source {
  /** Whether the stream gives records; code tables are no part of the answer key. */
  knows(stream: string | undefined): stream is string;
  tell(stream: string, rows: readonly Record<string, unknown>[]): void;
  /** How many rows were told, each in all its versions. */
  told(): number;
  /** After an answer: have the services' rows changed? */
  look(faults: Faults): void;
}

/** Tells the oracle every row that a platform ever held, at the moment it is there. `streams` are the lists that the platforms give from. */
export function openSource(oracle: Oracle, streams: ReadonlyMap<string, readonly Row[]>): Source {
  const known = new WeakSet<Row>();
  let told = 0;
  let changes = 0;
  const tell: Source['tell'] = (stream, rows) => {
    told += rows.length;
    oracle.tell(stream, rows);
  };
  const lookAt = () => {
    for (const [stream, rows] of streams) {
      const fresh = rows.filter((row) => !known.has(row));
      for (const row of fresh) known.add(row);
      tell(stream, fresh);
    }
  };
  lookAt();
  return {
    knows: (stream): stream is string => stream !== undefined && streams.has(stream),
    tell,
    told: () => told,
    look(faults) {
      if (faults.injected['changed-while-paging'] === changes) return;
      changes = faults.injected['changed-while-paging'];
      lookAt();
    },
  };
}

export interface Writing {
  /** Sessions of the hub that were ended. */
  ended(): number;
  stop(): Promise<void>;
}

/** The platforms at their own tables, until it is stopped: rows written again, late or deleted, and readers thrown out. */
export async function startWriting(faults: Faults, databaseUrl: string, source: Source): Promise<Writing> {
  const client = new Client({ connectionString: databaseUrl, types: AS_TEXT });
  await client.connect();
  const { rows: own } = await client.query<{ name: string }>('select current_database() as name');
  // The tables' times are local: so is the platform's server.
  await client.query(`alter database ${own[0]?.name} set timezone to 'Asia/Shanghai'`);
  const actions = tableFaults(
    faults,
    (text, values = []) => client.query<Record<string, unknown>>(text, [...values]),
    () => new Date(),
  );
  const stopping = new AbortController();
  let ended = 0;
  const told = async (table: Table, key: string | undefined) => {
    if (key === undefined || !source.knows(table.stream)) return;
    const { rows } = await client.query<Record<string, unknown>>(
      `select * from "${table.schema}"."${table.name}" where "${table.primaryKey}"::text = $1`,
      [key],
    );
    source.tell(table.stream, rows);
  };
  const over = (async () => {
    for (let round = 0; !stopping.signal.aborted; round += 1) {
      for (const table of [...RETURN_FLOW, ...FRONT_DATABASE].filter((one) => source.knows(one.stream))) {
        if (round % 2 === 0) await told(table, await actions.changeRow(table));
        else await told(table, await actions.deleteRow(table));
        if (table.schema !== 'QZK') await told(table, await actions.lateRow(table, 1 + (round % 8)));
        ended += await actions.killReaders();
      }
      await sleep(WRITE_EVERY_MS, undefined, { signal: stopping.signal }).catch(() => undefined);
    }
  })();
  over.catch(() => undefined);
  return {
    ended: () => ended,
    async stop() {
      stopping.abort();
      await over.finally(() => client.end());
    },
  };
}
