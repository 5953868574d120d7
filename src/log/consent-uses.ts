import type { Sql } from '../store/sql.ts';
import { decode } from './canonical.ts';

/** Under which consent a look would stand: who, for which purposes, into the file of which subject, from when to when. */
export interface ConsentOf {
  /** Keyed tokens of the subject in the log, under every key that the log ever had. */
  subjects: readonly Buffer[];
  department: string | null;
  person: string | null;
  purposes: readonly string[];
  /** Instants, ISO 8601; `until` null: to this day. */
  since: string;
  until: string | null;
}

/** Most entries that are looked through; a consent that was used more often says so by this number. */
const MOST = 10_000;

/**
 * How often a consent was used, and when last (HN-23.1): answered queries that showed the subject to whom it was given, for its purposes and while it
 * held, and that name one of the rules which take consents. One look may stand under two consents, and then counts for both.
 */
export async function usesOfConsent(
  sql: Sql,
  of: ConsentOf,
  rules: ReadonlySet<string>,
): Promise<{ uses: number; lastUsedAt: string | null }> {
  if (of.subjects.length === 0) return { uses: 0, lastUsedAt: null };
  const { rows } = await sql.query<{ at: string; body: Buffer }>(
    `select at, body from query_log where subjects && $1::bytea[] and outcome = 'answered' and purpose = any($2)
       and ($3::text is null or department = $3) and ($4::text is null or person = $4)
       and at >= $5::timestamptz and ($6::timestamptz is null or at <= $6) order by at desc limit ${MOST}`,
    [of.subjects, of.purposes, of.department, of.person, of.since, of.until],
  );
  const used = rows.filter(({ body }) => decode(body).entry.rules.some((rule) => rules.has(rule)));
  return { uses: used.length, lastUsedAt: used[0]?.at ?? null };
}
