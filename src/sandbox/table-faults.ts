import type { FaultKind, Faults } from './faults.ts';
import type { Execute } from './seeding.ts';
import type { Table } from './tables.ts';
import { shanghai } from './times.ts';

/** A text that every row of a table has and the hub keeps: what a new version changes. */
const NOTES = ['SJHZDW', 'OPTINS_NO', 'MEDINS_NAME'];

/** What a platform does to its tables while the hub reads them. Each asks the plan first, and resolves with the key of the row, or undefined. */
export interface TableFaults {
  /** Ends the hub's sessions in this database; resolves with their number. */
  killReaders(): Promise<number>;
  /** Writes a row again: a new content and a new time, and in a front database the flag back to "not exchanged". */
  changeRow(table: Table): Promise<string | undefined>;
  /** A new row whose time lies `minutes` before the newest of the table. */
  lateRow(table: Table, minutes: number): Promise<string | undefined>;
  /** Says by flag that a row no longer holds. */
  deleteRow(table: Table): Promise<string | undefined>;
  /** A row that the hub never gets: marked as exchanged before anyone has read it. Front databases only. */
  dropRow(table: Table): Promise<string | undefined>;
  /** One round over all tables: each fault of the plan may happen. For a sandbox that runs. */
  disturb(tables: readonly Table[]): Promise<void>;
}

export function tableFaults(faults: Faults, execute: Execute, now: () => Date): TableFaults {
  let changes = 0;

  /** `values` over one row of the table, written at the platform's time. */
  async function rewrite(kind: FaultKind, table: Table, values: Record<string, string>, where = 'true'): Promise<string | undefined> {
    if (!faults.roll(kind)) return undefined;
    const row = await anyRow(kind, table, where);
    if (row === undefined) return undefined;
    const set = Object.entries({ ...values, ...stampOf(table, shanghai(faults.clock(now()))) });
    const key = row[table.primaryKey];
    await execute(
      `UPDATE ${nameOf(table)} SET ${set.map(([column], i) => `"${column}" = $${i + 2}`).join(', ')} WHERE ${keyOf(table)} = $1`,
      [String(key), ...set.map(([, value]) => value)],
    );
    return String(key);
  }

  async function anyRow(kind: FaultKind, table: Table, where = 'true'): Promise<Record<string, unknown> | undefined> {
    const { rows } = await execute(`SELECT count(*)::int AS n FROM ${nameOf(table)} WHERE ${where}`);
    const count = Number(rows[0]?.['n']);
    if (count === 0) return undefined;
    const at = faults.random(kind).int(0, count - 1);
    const found = await execute(`SELECT * FROM ${nameOf(table)} WHERE ${where} ORDER BY "${table.primaryKey}" LIMIT 1 OFFSET ${at}`);
    return found.rows[0];
  }

  const actions: TableFaults = {
    async killReaders() {
      if (!faults.roll('connection-killed')) return 0;
      const { rows } = await execute(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE application_name = 'credit-hub' AND datname = current_database() AND pid <> pg_backend_pid()`,
      );
      return rows.length;
    },
    changeRow: (table) => {
      const note = NOTES.find((column) => table.columns.includes(`${column}:`)) ?? table.primaryKey;
      return rewrite('changed-before-ack', table, { [note]: `更正${(changes += 1)}` });
    },
    async lateRow(table, minutes) {
      if (!faults.roll('late-row')) return undefined;
      const row = await anyRow('late-row', table);
      if (row === undefined) return undefined;
      const key = faults.random('late-row').hex(32);
      await execute(
        `INSERT INTO ${nameOf(table)} SELECT (json_populate_record(t, json_build_object('RID', $2::text, 'UPDT_TIME', at.time))).*
         FROM ${nameOf(table)} t, (SELECT max("UPDT_TIME") - make_interval(mins => $3) AS time FROM ${nameOf(table)}) at WHERE t."RID" = $1`,
        [row['RID'], key, minutes],
      );
      return key;
    },
    async deleteRow(table) {
      if (isFront(table)) return rewrite('delete-by-flag', table, { ZSGBZ: 'D' });
      // The tables of contributions say nothing of validity.
      return table.columns.includes('VALI_FLAG:') ? rewrite('delete-by-flag', table, { VALI_FLAG: '0' }) : undefined;
    },
    async dropRow(table) {
      if (!isFront(table) || !faults.roll('silent-drop')) return undefined;
      const row = await anyRow('silent-drop', table, `"JHKG" = '0'`);
      if (row === undefined) return undefined;
      await execute(`UPDATE ${nameOf(table)} SET "JHKG" = '1' WHERE ${keyOf(table)} = $1`, [String(row[table.primaryKey])]);
      return String(row[table.primaryKey]);
    },
    async disturb(tables) {
      await actions.killReaders();
      for (const table of tables.filter((one) => one.stream !== undefined)) {
        await actions.changeRow(table);
        await actions.deleteRow(table);
        await actions.dropRow(table);
        if (!isFront(table)) await actions.lateRow(table, faults.random('late-row').int(1, 60));
      }
    },
  };
  return actions;
}

function stampOf(table: Table, at: string): Record<string, string> {
  return isFront(table) ? { GXSJ: at, JHKG: '0' } : { UPDT_TIME: at };
}

function isFront(table: Table): boolean {
  return table.schema === 'QZK';
}

function keyOf(table: Table): string {
  return `"${table.primaryKey}"::text`;
}

function nameOf(table: Table): string {
  return `"${table.schema}"."${table.name}"`;
}
