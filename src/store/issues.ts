import type { Keys } from './keys.ts';
import { personTokens, sealPersonal, textsOf } from './personal.ts';
import { issueContext } from './sealed-places.ts';
import type { Sql } from './sql.ts';

/** A raw record or value that was refused, or a key that nobody mapped. */
export interface NewIssue {
  rule: string;
  /** Where in the source: page and row, line, or the record's key. */
  at: string;
  /** Source key (column) at fault; empty for the record as a whole. */
  place: string;
  reason: string;
  /** Whether the record was refused; a note about a stream (an unknown key) refuses nothing. */
  refused: boolean;
  /** The raw record, to be sealed: it may hold personal data. */
  raw: unknown;
}

/**
 * Stores issues of a stream. The same raw record refused again for the same reason is one issue seen again; nothing is ever dropped.
 * The raw record is sealed; only the rule, the place and the reason are readable.
 */
export async function storeIssues(
  sql: Sql,
  keys: Keys,
  stream: { connector: string; id: string },
  run: number,
  issues: readonly NewIssue[],
): Promise<void> {
  if (issues.length === 0) return;
  const texts = issues.map((i) => (i.raw === undefined ? '' : safeJson(i.raw)));
  const fingerprints = issues.map((i, n) =>
    keys.fingerprint('issue', i.refused ? (texts[n] ?? '') : `${i.rule} ${i.place}`).toString('hex'),
  );
  const same = Map.groupBy(issues.keys(), (n) => `${fingerprints[n]} ${issues[n]?.rule} ${issues[n]?.place}`);
  const chosen = [...same.values()].map((times) => times.at(-1) ?? 0);
  const of = <T>(get: (issue: NewIssue, n: number) => T): T[] => chosen.flatMap((n) => (issues[n] ? [get(issues[n], n)] : []));
  const personal = await sealPersonal(
    sql,
    keys,
    of((issue, n) => ({ text: texts[n] ?? '', tokens: personTokens(keys, textsOf(issue.raw)) })),
    issueContext(stream.connector, stream.id),
  );
  await sql.query(
    `insert into issue (connector, stream, fingerprint, rule, at, place, reason, refused, raw, seen, tokens, first_run, last_run)
     select $1, $2, decode(fingerprint, 'hex'), rule, at, place, reason, refused, raw, seen, coalesce((select array_agg(decode(one, 'hex')) from unnest(string_to_array(tokens, ',')) one), '{}'), $3, $3
     from unnest($4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::bool[], $10::text[], $11::int[], $12::text[])
       as t(fingerprint, rule, at, place, reason, refused, raw, seen, tokens)
     on conflict (connector, stream, fingerprint, rule, place) do update set
       seen = issue.seen + excluded.seen, last_run = excluded.last_run, at = excluded.at, reason = excluded.reason, changed_at = now(),
       state = case when issue.state = 'fixed' then 'open' else issue.state end,
       feedback_id = case when issue.state = 'fixed' then null else issue.feedback_id end`,
    [
      stream.connector,
      stream.id,
      run,
      of((_, n) => fingerprints[n]),
      of((i) => i.rule),
      of((i) => i.at),
      of((i) => i.place),
      of((i) => i.reason),
      of((i) => i.refused),
      personal.map((one) => one.sealed),
      [...same.values()].map((times) => times.length),
      personal.map((one) => one.tokens.map((token) => token.toString('hex')).join(',')),
    ],
  );
}

export function safeJson(raw: unknown): string {
  return JSON.stringify(raw, (_, value: unknown) => (typeof value === 'bigint' ? value.toString() : value)) ?? '';
}

/** How many issues each stream has under each rule. */
export async function issueCounts(sql: Sql): Promise<{ connector: string; stream: string; rule: string; issues: number }[]> {
  const { rows } = await sql.query<{ connector: string; stream: string; rule: string; issues: number }>(
    'select connector, stream, rule, count(*)::int as issues from issue group by 1, 2, 3',
  );
  return rows;
}
