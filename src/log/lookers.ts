import type { Sql } from '../store/sql.ts';
import { deferredCases } from './deferral.ts';
import { type LoggedEntry, type LogPlace, searchLog } from './search.ts';

/** One look at a subject's file as the subject is told of it (WG-10): nothing of the officer but the department, nothing of the case. */
export interface Look extends LogPlace {
  department: string;
  purpose: string;
  categories: readonly number[];
  /** `Type.field` of what the answer held. */
  fields: readonly string[];
}

/** How many entries are read at once; a page goes on until it is full, so that what is deferred leaves no hole that could be seen. */
const READ = 100;

/**
 * Who looked at the file of a subject, newest first: answers that held it, its own among them. Left out are entries of cases whose notice is
 * lawfully deferred on this day. `more`: whether there are further ones that may be told.
 */
export async function whoLooked(
  sql: Sql,
  subjects: readonly Buffer[],
  page: { first: number; after?: LogPlace | undefined },
  today: string,
): Promise<{ looks: Look[]; more: boolean }> {
  const looks: Look[] = [];
  for (let after = page.after; looks.length <= page.first;) {
    const entries = await searchLog(sql, { subjects, outcome: 'answered' }, READ, after);
    const cases = entries.flatMap(({ entry }) =>
      entry.department && entry.purpose.case ? [{ department: entry.department, caseNumber: entry.purpose.case }] : [],
    );
    const deferred = await deferredCases(sql, cases, today);
    // The announcement of a change is no look; the change itself has its own entry.
    looks.push(...entries.filter(({ entry }) => entry.code !== 'INTENT' && !deferred(entry.department, entry.purpose.case)).map(lookOf));
    if (entries.length < READ) break;
    after = entries.at(-1);
  }
  return { looks: looks.slice(0, page.first), more: looks.length > page.first };
}

function lookOf({ at, writer, seq, entry }: LoggedEntry): Look {
  return {
    at,
    writer,
    seq,
    department: entry.department ?? '',
    purpose: entry.purpose.code,
    categories: entry.categories,
    fields: entry.fields,
  };
}
