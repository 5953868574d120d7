import { classify } from '../identity/classify.ts';
import type { Keys } from './keys.ts';
import type { Sql } from './sql.ts';
import { identifierDomain } from './subjects.ts';

/**
 * Row ids under which the subject of a statutory code is or was known: its own and those of subjects that were merged into it, whose names older
 * entries of the query log hold. Empty when there is none; undefined for a text that is no valid statutory code.
 */
export async function subjectIdsOf(sql: Sql, keys: Keys, code: string, today: string): Promise<number[] | undefined> {
  const { valid, kind, normalized } = classify(code, today);
  if (!valid || kind === 'unknown') return undefined;
  const { rows } = await sql.query<{ id: number }>(
    `with recursive own (id) as (
       select subject_id from subject_identifier where token = any($1::bytea[])
       union select s.id from own join subject s on s.merged_into = own.id)
     select id from own order by id`,
    [keys.blindForms(identifierDomain(kind), normalized)],
  );
  return rows.map((row) => row.id);
}

/** The keyed tokens that stand for these subjects in the query log, under every key it was ever written with. */
export function logTokens(keys: Keys, ids: readonly number[]): Buffer[] {
  return ids.flatMap((id) => keys.logTokens('log-subject', String(id)));
}

const PAGE = 5000;

/** Regions of those subjects whose log tokens (hex) are wanted. The log keeps no way from a token to its subject, so every subject's token is made. */
export async function regionsOfTokens(sql: Sql, keys: Keys, wanted: ReadonlySet<string>): Promise<Map<string, string>> {
  const regions = new Map<string, string>();
  for (let after = 0; ;) {
    const { rows } = await sql.query<{ id: number; region: string | null }>(
      'select id, region from subject where id > $1 order by id limit $2',
      [after, PAGE],
    );
    for (const { id, region } of rows) {
      if (region === null) continue;
      for (const token of logTokens(keys, [id])) {
        const hex = token.toString('hex');
        if (wanted.has(hex)) regions.set(hex, region);
      }
    }
    const last = rows.at(-1);
    if (last === undefined || rows.length < PAGE) return regions;
    after = last.id;
  }
}
