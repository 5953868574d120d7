import { join } from 'node:path';
import type { Pool, Sql } from '../store/sql.ts';
import { hashOf, writeArchive } from './archive.ts';
import type { LogEntry } from './entry.ts';
import { boundsOf } from './months.ts';
import type { Approval, Officer, PruneStatement } from './prune-record.ts';
import { approvedBy, dueAt, parseStatement, PRUNING, recordFaults } from './prune-record.ts';
import type { Signer } from './signature.ts';
import type { QueryLog, Receipt } from './writer.ts';

/** Officers who may approve, and how many months of the log are kept (never fewer than 36). */
export interface PruneRule {
  officers: readonly Officer[];
  keepMonths: number;
}

/**
 * Prepares to take every month before `before` (`YYYY-MM`) out of the log: writes and signs their archives and returns the statement that two
 * officers have to approve. Takes nothing away. Throws when there is no such month, one is not closed, or the retention is not over.
 */
export async function preparePruning(sql: Sql, before: string, folder: string, signer: Signer, rule: PruneRule): Promise<PruneStatement> {
  const months = (await partitions(sql)).filter((month) => month < before);
  const last = months.at(-1);
  if (last === undefined) throw new Error(`the log has no month before ${before}`);
  const { rows } = await sql.query<{ n: number; hash: Buffer }>('select n, hash from log_checkpoint where month = $1', [last]);
  const [closing] = rows;
  if (!closing) throw new Error(`${last} is not closed yet`);
  const draft: PruneStatement = { months, archives: [], closing: { n: closing.n, hash: closing.hash.toString('hex') } };
  await demandDue(sql, draft, rule);
  for (const month of months) draft.archives.push(await writeArchive(sql, month, folder, signer));
  return draft;
}

/**
 * Takes the months of an approved statement out of the log: checks dates, approvals and archives again, logs the record, and only then detaches and
 * drops the partitions. The connection MUST be allowed to become the owner of the log. Throws before anything is done when something is missing; if it
 * stops half-way, the same call goes on. Returns the receipt of the record.
 */
export async function executePruning(
  pool: Pool,
  log: QueryLog,
  statement: string,
  approvals: readonly Approval[],
  folder: string,
  rule: PruneRule,
): Promise<Receipt> {
  const parsed = parseStatement(statement);
  if (!parsed) throw new Error('this is no statement of a pruning');
  const record = { statement, approvals: [...approvals], parsed };
  await demandDue(pool, parsed, rule);
  const faults = recordFaults(record, await clock(pool), rule);
  if (faults.length > 0) throw new Error(`the pruning is refused: ${faults.join('; ')}`);
  const there = await partitions(pool);
  const gone = parsed.months.filter((month) => !there.includes(month));
  if (there.some((month) => month < parsed.months[0]!)) throw new Error('older months are still there');
  for (const { month, file, hash, rows } of parsed.archives) {
    if ((await hashOf(join(folder, file))) !== hash) throw new Error(`the archive of ${month} is not the one that was approved`);
    if (!gone.includes(month) && (await count(pool, month)) !== rows) throw new Error(`${month} does not hold what was archived`);
  }
  const [first, second] = approvedBy(record, rule.officers);
  const document = await log.document(JSON.stringify({ statement, approvals }));
  const receipt = await log.append(entryOf(document, parsed, first!, second!));
  for (const month of parsed.months) if (!gone.includes(month)) await drop(pool, month);
  return receipt;
}

function entryOf(document: string, { months, archives }: PruneStatement, first: Officer, second: Officer): LogEntry {
  return {
    kind: 'admin',
    person: { id: first.id, name: first.name },
    department: null,
    role: null,
    region: null,
    actingFor: null,
    purpose: { code: PRUNING, basis: `二人批准：${first.name}、${second.name}`, case: null },
    operation: 'logPrune',
    document,
    variables: JSON.stringify({ from: months[0], to: months.at(-1) }),
    fields: [],
    masked: [],
    denied: [],
    categories: [],
    subjects: [],
    rows: archives.reduce((sum, { rows }) => sum + rows, 0),
    policy: '',
    rules: [],
    outcome: 'answered',
    code: '',
    durationMs: 0,
    client: '',
  };
}

async function demandDue(sql: Sql, statement: PruneStatement, { keepMonths }: PruneRule): Promise<void> {
  const due = dueAt(statement, keepMonths);
  if ((await clock(sql)) < due) throw new Error(`${statement.months.at(-1)} is kept until ${due.toISOString().slice(0, 10)}`);
}

async function clock(sql: Sql): Promise<Date> {
  const { rows } = await sql.query<{ now: string }>('select clock_timestamp() as now');
  return new Date(rows[0]!.now);
}

/** The months that the log has partitions for, oldest first. */
async function partitions(sql: Sql): Promise<string[]> {
  const { rows } = await sql.query<{ name: string }>(
    `select c.relname as name from pg_inherits as i join pg_class as c on c.oid = i.inhrelid where i.inhparent = 'query_log'::regclass order by c.relname`,
  );
  return rows.flatMap(({ name }) => {
    const [, year, month] = /^query_log_(\d{4})_(\d\d)$/.exec(name) ?? [];
    return year === undefined ? [] : [`${year}-${month}`];
  });
}

async function count(sql: Sql, month: string): Promise<number> {
  const { start, end } = boundsOf(month);
  const { rows } = await sql.query<{ count: number }>('select count(*) as count from query_log where at >= $1 and at < $2', [
    start.toISOString(),
    end.toISOString(),
  ]);
  return rows[0]!.count;
}

/** Detaches without keeping readers and writers waiting, then drops. */
async function drop(pool: Pool, month: string): Promise<void> {
  const name = `query_log_${month.replace('-', '_')}`;
  const session = await pool.dedicated();
  try {
    const { rows } = await session.query<{ owner: string }>(
      `select relowner::regrole::text as owner from pg_class where oid = 'query_log'::regclass`,
    );
    await session.query(`set role ${rows[0]!.owner}`);
    await session.query(`alter table query_log detach partition ${name} concurrently`);
    await session.query(`drop table ${name}`);
  } finally {
    session.release();
  }
}
