import type { Model } from '../model/types.ts';
import { addYears } from '../rules/calendar.ts';
import type { Sql } from './sql.ts';

/**
 * Until when the law wants something of these subjects kept: the latest end of the terms of their records (`retention` of the kinds), and the article
 * that sets it. Undefined when no term runs on `today`.
 */
export async function keepUntil(
  sql: Sql,
  model: Model,
  subjects: readonly number[],
  today: string,
): Promise<{ day: string; article: string } | undefined> {
  const { rows } = await sql.query<{ category: number; kind: string; occurred: string; ended: string }>(
    `select category, kind, max(coalesce(occurred_on, valid_from, ordered_on)) as occurred,
       max(coalesce(valid_to, occurred_on, valid_from, ordered_on)) as ended
     from record where subject_id = any($1) and not deleted group by 1, 2`,
    [subjects],
  );
  const terms = rows.flatMap((row) => {
    const retention = model.categories.get(row.category)?.kinds.get(row.kind)?.retention;
    return retention === undefined ? [] : [{ day: addYears(row[retention.from], retention.years), article: retention.article }];
  });
  return terms.filter(({ day }) => day >= today).toSorted((a, b) => (a.day < b.day ? 1 : -1))[0];
}
