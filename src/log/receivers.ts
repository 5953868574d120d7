import { scopesOf } from '../access/scope.ts';
import { dayInShanghai } from '../mapping/dates.ts';
import type { Model, SubjectKind } from '../model/types.ts';
import type { Keys } from '../store/keys.ts';
import type { Office, TakenBack } from '../store/recalls.ts';
import type { Sql } from '../store/sql.ts';
import { logTokens } from '../store/subject-ids.ts';
import type { LogEntry } from './entry.ts';
import { searchLog } from './search.ts';

const READ = 200;
/** Clocks of two processes and the wait for the log's commit may make this much. */
const SKEW_MS = 5000;
/** Who asks as these has no office that could be told. */
const NO_OFFICE: ReadonlySet<string> = new Set(['subject', 'public']);

/**
 * Offices (department and region) whose logged answers contained the record. The log holds no ids of records: an answer contained it when it was
 * given since the hub has the record, held the record's subject and category, and the caller could see the record by the rules for its department,
 * role, region and purpose. So an office may be told that saw only other records of that subject and category; never one that could not see this one.
 * Where the rules are no longer those of the entry and open nothing of the category any more, the log alone decides. Pushes are not counted.
 */
export async function officesThatSaw(sql: Sql, keys: Keys, model: Model, record: TakenBack): Promise<Office[]> {
  const offices = new Map<string, Office>();
  const filter = { subjects: logTokens(keys, record.subjectIds), outcome: 'answered' as const, from: record.since };
  for (let after: Awaited<ReturnType<typeof searchLog>>[number] | undefined; ;) {
    const entries = await searchLog(sql, filter, READ, after);
    for (const { at, entry } of entries) {
      const { department, region } = entry;
      if (department === null || NO_OFFICE.has(department) || readAfter(entry, at, record) || !contained(model, entry, at, record))
        continue;
      offices.set(JSON.stringify([department, region]), { department, region: region ?? '' });
    }
    after = entries.at(-1);
    if (entries.length < READ) return [...offices.values()];
  }
}

/** The answer was begun when the record was not shown as it had been any more. */
const readAfter = (entry: LogEntry, at: string, { until }: TakenBack): boolean =>
  until !== undefined && Date.parse(at) - entry.durationMs > Date.parse(until) + SKEW_MS;

function contained(model: Model, entry: LogEntry, at: string, record: TakenBack): boolean {
  if ((entry.kind !== 'query' && entry.kind !== 'subscription') || entry.code === 'INTENT') return false;
  if (!entry.categories.includes(record.category)) return false;
  const caller = {
    ...entry.person,
    department: entry.department ?? '',
    role: entry.role ?? '',
    region: entry.region ?? '',
    actingFor: '',
    purposes: undefined,
  };
  const purpose = { code: entry.purpose.code, basis: entry.purpose.basis ?? '', case: entry.purpose.case ?? '' };
  const scopes = scopesOf(model, { caller, purpose, today: dayInShanghai(new Date(at)) }, 'reading').flatMap(({ left }) =>
    left?.categories.includes(record.category) ? [left] : [],
  );
  if (scopes.length === 0) return entry.policy !== model.version;
  // That the tie to the subject held, its token in the answer says.
  return scopes.some(
    (scope) =>
      scope.subjects.includes(record.subjectKind as SubjectKind) &&
      (scope.kinds.length === 0 || scope.kinds.includes(record.kind)) &&
      (!scope.publicOnly || record.publicity === 'public') &&
      (scope.region === undefined || record.region.startsWith(scope.region) || scope.above.includes(record.region)),
  );
}
