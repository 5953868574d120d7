import type { MappedRecord } from '../mapping/record.ts';
import type { Json, Model, PullStream } from '../model/types.ts';
import { type NewIssue, storeIssues } from './issues.ts';
import type { Keys } from './keys.ts';
import { enqueue } from './outbox.ts';
import { storedKey, storeRecords } from './records.ts';
import { advance, type Run } from './runs.ts';
import type { Pool } from './sql.ts';
import { SubjectRace } from './subjects.ts';

/** A page of a stream after mapping. `in` = mapped + refused. */
export interface MappedPage {
  records: { record: MappedRecord; raw: unknown; at: string }[];
  issues: NewIssue[];
  cursor: Json;
}

/** What became of a page. in = stored + unchanged + issues. */
export interface PageResult {
  stored: number;
  unchanged: number;
  issues: number;
  /** New rows for the outbox. */
  queued: number;
  /** What `issues` counts, for the sender's feedback. */
  refused: NewIssue[];
}

/** Dead-lock, serialisation failure, or a subject made at the same moment: nothing was written, the same page may be tried again. */
function worthRepeating(error: unknown): boolean {
  if (error instanceof SubjectRace) return true;
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return code === '40P01' || code === '40001';
}

/**
 * ONE transaction per page (design §3): subjects, records, versions, outbox, issues, ledger and cursor together or not at all, so that a crash
 * repeats a page and changes nothing. Throws `StopStream` when the run was overtaken.
 */
export async function applyPage(
  pool: Pool,
  keys: Keys,
  model: Model,
  stream: PullStream,
  run: Run,
  page: MappedPage,
  today: string,
): Promise<PageResult> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await pool.transaction(async (sql) => {
        const records = page.records.map((r) => r.record);
        const result = await storeRecords(sql, keys, model, stream, records, { id: run.id, today });
        const conflicts = result.conflicts.map((record) => conflictIssue(keys, page, record));
        await storeIssues(sql, keys, stream, run.id, [...page.issues, ...conflicts]);
        const queued = await enqueue(sql, model, result.changed);
        const refused = [...page.issues.filter((i) => i.refused), ...conflicts];
        const issues = refused.length;
        await advance(sql, run, page.cursor, {
          pages: 1,
          in: result.stored + result.unchanged + issues,
          stored: result.stored,
          unchanged: result.unchanged,
          issues,
        });
        return { stored: result.stored, unchanged: result.unchanged, issues, queued, refused };
      });
    } catch (error) {
      if (attempt >= 8 || !worthRepeating(error)) throw error;
    }
  }
}

function conflictIssue(keys: Keys, page: MappedPage, record: MappedRecord): NewIssue {
  const source = page.records.find((r) => r.record === record);
  return {
    rule: 'identifier-conflict',
    at: source?.at ?? storedKey(keys, record),
    place: '',
    reason: '记录中的标识分属不同的信用主体,未入库',
    refused: true,
    raw: source?.raw,
  };
}
