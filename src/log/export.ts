import { createHash } from 'node:crypto';
import { Refused } from '../errors.ts';
import type { Sql } from '../store/sql.ts';
import { DECIDED_COLUMNS, type Decided, mayDecide, type Person } from './four-eyes.ts';
import { documentTexts, type LogFilter, type LoggedEntry, type LogPlace, searchLog } from './search.ts';

export type ExportFormat = 'ndjson' | 'csv';

export interface LogExport extends Decided {
  format: ExportFormat;
  reason: string;
  downloadedAt: string | null;
  rows: number | null;
  sha256: string | null;
}

/** What was downloaded: the text, its SHA-256 in hex, and how many entries it holds. */
export interface ExportedLog {
  content: string;
  sha256: string;
  rows: number;
}

interface Kept extends LogExport {
  filter: Omit<LogFilter, 'subjects'> & { subjects?: string[]; to: string };
}

const COLUMNS = `${DECIDED_COLUMNS}, format, reason, downloaded_at as "downloadedAt", rows, sha256`;
const ARTICLE = 'HN-23.2';
const PAGE = 500;
/** More than this in one file is asked for in parts. */
const LARGEST = 20_000;
/** An approval that nobody used is no longer one. */
const DAYS = 7;

/**
 * Asks for an export. What it will hold ends at the moment of asking: a log only grows, so what is approved is what is downloaded, each time. The
 * subject is kept as its tokens, never as its code. Throws `Refused` REASON_REQUIRED.
 */
export async function requestExport(
  sql: Sql,
  person: Person,
  wish: { filter: LogFilter; format: ExportFormat; reason: string },
): Promise<LogExport> {
  if (wish.reason.trim() === '') throw new Refused('REASON_REQUIRED', '申请导出须说明理由');
  const { subjects, ...rest } = wish.filter;
  const { rows } = await sql.query<LogExport>(
    `insert into export_request (filter, format, reason, requested_by, requested_name)
     select $1::jsonb || jsonb_build_object('to', to_char(least($2::timestamptz, date_trunc('milliseconds', clock_timestamp())) at time zone 'UTC',
       'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')), $3, $4, $5, $6 returning ${COLUMNS}`,
    [
      JSON.stringify({ ...rest, ...(subjects ? { subjects: subjects.map((token) => token.toString('hex')) } : {}) }),
      rest.to ?? null,
      wish.format,
      wish.reason,
      person.id,
      person.name,
    ],
  );
  return rows[0] as LogExport;
}

/** Approves or rejects; never the person who asked. Throws as {@link mayDecide}. */
export async function decideExport(
  sql: Sql,
  person: Person,
  decision: { id: number; approve: boolean; reason: string },
): Promise<LogExport> {
  return sql.transaction(async (tx) => {
    const { rows } = await tx.query<LogExport>(`select ${COLUMNS} from export_request where id = $1 for update`, [decision.id]);
    mayDecide(rows[0], person, decision, ARTICLE);
    const updated = await tx.query<LogExport>(
      `update export_request set state = $2, decided_by = $3, decided_name = $4, decided_at = clock_timestamp(), decision_reason = $5
       where id = $1 returning ${COLUMNS}`,
      [decision.id, decision.approve ? 'approved' : 'rejected', person.id, person.name, decision.reason],
    );
    return updated.rows[0] as LogExport;
  });
}

export async function listExports(sql: Sql, limit: number): Promise<LogExport[]> {
  return (await sql.query<LogExport>(`select ${COLUMNS} from export_request order by id desc limit $1`, [limit])).rows;
}

/**
 * The approved export, for the person who asked for it, within seven days of the approval; every time the same text. Throws `Refused`
 * REQUEST_NOT_FOUND, EXPORT_NOT_APPROVED, EXPORT_EXPIRED or EXPORT_TOO_LARGE.
 */
export async function downloadExport(sql: Sql, person: Person, id: number): Promise<ExportedLog> {
  const { rows } = await sql.query<Kept & { expired: boolean }>(
    `select ${COLUMNS}, filter, coalesce(decided_at < clock_timestamp() - make_interval(days => $3), false) as expired
     from export_request where id = $1 and requested_by = $2`,
    [id, person.id, DAYS],
  );
  const [kept] = rows;
  if (kept === undefined) throw new Refused('REQUEST_NOT_FOUND', '未找到该申请');
  if (kept.state !== 'approved')
    throw new Refused('EXPORT_NOT_APPROVED', '该导出申请未获批准', { status: 403, details: { article: ARTICLE } });
  if (kept.expired) throw new Refused('EXPORT_EXPIRED', '批准已过期,请重新申请', { status: 403, details: { article: ARTICLE } });
  const { subjects, ...filter } = kept.filter;
  const entries = await allOf(sql, { ...filter, ...(subjects ? { subjects: subjects.map((hex) => Buffer.from(hex, 'hex')) } : {}) });
  const texts = await documentTexts(
    sql,
    entries.map(({ entry }) => entry.document),
  );
  const content = textOf(kept.format, entries, texts);
  const sha256 = createHash('sha256').update(content).digest('hex');
  await sql.query('update export_request set downloaded_at = clock_timestamp(), rows = $2, sha256 = $3 where id = $1', [
    id,
    entries.length,
    sha256,
  ]);
  return { content, sha256, rows: entries.length };
}

async function allOf(sql: Sql, filter: LogFilter): Promise<LoggedEntry[]> {
  const entries: LoggedEntry[] = [];
  for (let after: LogPlace | undefined; ; after = entries.at(-1)) {
    const page = await searchLog(sql, filter, PAGE, after);
    entries.push(...page);
    if (entries.length > LARGEST)
      throw new Refused('EXPORT_TOO_LARGE', `一次导出不超过 ${LARGEST} 条,请缩小范围`, { details: { allowed: LARGEST } });
    if (page.length < PAGE) return entries;
  }
}

/** What one line tells: all of the entry; subjects and variables stand as their tokens, as in the log itself. */
function lineOf({ writer, seq, at, hash, entry }: LoggedEntry, texts: ReadonlyMap<string, string>): Record<string, unknown> {
  const { person, purpose, document, subjects, ...rest } = entry;
  return {
    id: `${writer}-${seq}`,
    at,
    hash,
    person: person.id,
    personName: person.name,
    purpose: purpose.code,
    basis: purpose.basis,
    case: purpose.case,
    ...rest,
    document,
    documentText: texts.get(document) ?? '',
    subjects: subjects.map((token) => token.toString('hex')),
  };
}

function textOf(format: ExportFormat, entries: readonly LoggedEntry[], texts: ReadonlyMap<string, string>): string {
  const lines = entries.map((one) => lineOf(one, texts));
  if (format === 'ndjson') return lines.map((line) => `${JSON.stringify(line)}\n`).join('');
  const [first] = lines;
  const header = first === undefined ? [] : [Object.keys(first).join(',')];
  return [...header, ...lines.map((line) => Object.values(line).map(cell).join(','))].map((line) => `${line}\r\n`).join('');
}

/** A text that a spreadsheet would take for a formula gets an apostrophe before it. */
function cell(value: unknown): string {
  const text = Array.isArray(value) ? value.join(' ') : value === null ? '' : String(value);
  const safe = typeof value === 'number' || !/^[=+\-@\t\r]/.test(text) ? text : `'${text}`;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
