import type { DictionaryValue } from '../mapping/dictionary.ts';
import type { MappedRecord } from '../mapping/record.ts';
import type { DictionaryStream, Json, Model, PullStream, ReadStream } from '../model/types.ts';
import { sourceOf, storeDictionary } from './dictionary.ts';
import { type NewIssue, storeIssues } from './issues.ts';
import type { Keys } from './keys.ts';
import { enqueue } from './outbox.ts';
import { storedKey, storeRecords } from './records.ts';
import { advance, holdStream, type Run } from './runs.ts';
import type { Pool, Sql } from './sql.ts';
import { transactionOf } from './repeat.ts';

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
  return transactionOf(pool, async (sql) => {
    await holdStream(sql, run);
    const records = page.records.map((r) => r.record);
    const { changed, ...result } = await storeRecords(sql, keys, model, stream, records, { id: run.id, today });
    const conflicts = result.conflicts.map((record) => conflictIssue(keys, page, record));
    const withheld = result.withheld.map((record) => withheldIssue(keys, page, record));
    const queued = await enqueue(sql, model, changed);
    const issues = await account(sql, keys, stream, run, page.cursor, result, [...page.issues, ...conflicts, ...withheld]);
    return { stored: result.stored, unchanged: result.unchanged, ...issues, queued };
  });
}

/** The same for a page of a code table: its values, issues, ledger and cursor together or not at all. */
export async function applyDictionaryPage(
  pool: Pool,
  keys: Keys,
  stream: DictionaryStream,
  run: Run,
  page: { values: DictionaryValue[]; issues: NewIssue[]; cursor: Json },
): Promise<Omit<PageResult, 'queued'>> {
  return transactionOf(pool, async (sql) => {
    await holdStream(sql, run);
    const result = await storeDictionary(sql, sourceOf(stream), page.values);
    return { ...result, ...(await account(sql, keys, stream, run, page.cursor, result, page.issues)) };
  });
}

/** Issues, ledger and cursor of a page. in = stored + unchanged + issues. */
async function account(
  sql: Sql,
  keys: Keys,
  stream: ReadStream,
  run: Run,
  cursor: Json,
  { stored, unchanged }: { stored: number; unchanged: number },
  found: readonly NewIssue[],
): Promise<Pick<PageResult, 'issues' | 'refused'>> {
  await storeIssues(sql, keys, stream, run.id, found);
  const refused = found.filter((i) => i.refused);
  const issues = refused.length;
  await advance(sql, run, cursor, { pages: 1, in: stored + unchanged + issues, stored, unchanged, issues });
  return { issues, refused };
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

/** Nothing of the record is kept: not even what it said. */
function withheldIssue(keys: Keys, page: MappedPage, record: MappedRecord): NewIssue {
  const source = page.records.find((r) => r.record === record);
  return {
    rule: 'subject-withheld',
    at: source?.at ?? storedKey(keys, record),
    place: '',
    reason: '该信用主体的个人信息已删除或仅限存储,新的信息未入库(个人信息保护法第四十七条)',
    refused: true,
    raw: undefined,
  };
}
