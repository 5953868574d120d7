import type { Sql } from '../store/sql.ts';
import { checkpointHash, decodeCheckpoint } from './checkpoint.ts';
import { boundsOf } from './months.ts';
import type { Officer, PruneStatement } from './prune-record.ts';
import { isClosing, parseRecord, PRUNING, recordFaults } from './prune-record.ts';
import type { Report } from './verify-rows.ts';

/** Where the chains begin after old months were taken away, and by which checkpoint. */
export interface Floor {
  closing: PruneStatement['closing'];
  heads: ReadonlyMap<number, { seq: number; hash: Buffer }>;
}

/** Who may approve a pruning, and how long the log is kept. */
export interface PruneTrust {
  officers: readonly Officer[];
  keepMonths: number;
}

/**
 * Reads the records of prunings in the log, reports those that nobody may have made, and gives the floor of the latest that was carried out: one whose
 * months hold no entries any more. Months that are gone without such a record have no floor, so their entries are reported as missing. The records are
 * entries like any other: whether they are what was logged is for the caller to verify.
 */
export async function readFloor(sql: Sql, trust: PruneTrust | undefined, report: Report): Promise<Floor | undefined> {
  const { rows } = await sql.query<{ writer: number; seq: number; at: string; text: string | null }>(
    `select q.writer, q.seq, q.at, d.text from query_log as q left join log_document as d on d.hash = q.document where q.purpose = $1 order by q.at desc`,
    [PRUNING],
  );
  let floor: Floor | undefined;
  for (const { writer, seq, at, text } of rows) {
    const record = parseRecord(text ?? '');
    const faults = record ? recordFaults(record, new Date(at), trust ?? { officers: [], keepMonths: 0 }) : ['it cannot be read'];
    for (const what of faults) report(writer, seq, `a pruning: ${what}`);
    if (!record || faults.length > 0 || floor) continue;
    floor = (await isEmptyBefore(sql, boundsOf(record.parsed.months.at(-1)!).end)) ? await floorOf(sql, record.parsed) : undefined;
  }
  return floor;
}

async function isEmptyBefore(sql: Sql, instant: Date): Promise<boolean> {
  const { rows } = await sql.query<{ there: boolean }>('select exists (select from query_log where at < $1) as there', [
    instant.toISOString(),
  ]);
  return !rows[0]!.there;
}

/** The heads of the closing checkpoint, if it is still the one that was approved. */
async function floorOf(sql: Sql, statement: PruneStatement): Promise<Floor | undefined> {
  const { rows } = await sql.query<{ n: number; body: Buffer }>('select n, body from log_checkpoint where n = $1', [statement.closing.n]);
  const [stored] = rows;
  if (!stored) return undefined;
  try {
    const checkpoint = decodeCheckpoint(stored.body);
    if (!isClosing(statement, { n: stored.n, hash: checkpointHash(checkpoint.suite, stored.body) })) return undefined;
    return { closing: statement.closing, heads: new Map(checkpoint.heads.map(({ writer, seq, hash }) => [writer, { seq, hash }])) };
  } catch {
    return undefined;
  }
}
