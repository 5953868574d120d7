import { Parameters } from './columns.ts';
import type { RelationRow } from './rows.ts';
import { recordInScope, subjectInScope } from './scope-sql.ts';
import { anyOf, conditioned, type View } from './view.ts';

interface RawRelation {
  subject_id: number;
  related_id: number;
  kind: string;
  valid_from: string | null;
  valid_to: string | null;
}

/** The relations of subjects, both ways. A relation exists for a caller only where the record that tells it and both subjects lie in the grant. */
export async function relationsOf(view: View, subjects: readonly number[]): Promise<Map<number, RelationRow[]>> {
  const parameters = new Parameters();
  const holding = view.grant.scopes.filter((scope) => scope.categories.length > 0);
  const scopes = conditioned(holding, (scope) => recordInScope(scope, parameters, view.keys));
  if (scopes.length === 0) return new Map();
  const sides = anyOf(conditioned(view.grant.scopes, (scope) => subjectInScope(scope, parameters, view.keys)));
  const ids = parameters.add(subjects);
  const { rows } = await view.sql.query<RawRelation>(
    `select distinct x.subject_id, x.related_id, x.kind, x.valid_from, x.valid_to from relation x join record r on r.id = x.record_id
     where (x.subject_id = any(${ids}::bigint[]) or x.related_id = any(${ids}::bigint[])) and not r.deleted and (${anyOf(scopes)})
       and 2 = (select count(*) from subject s where s.id in (x.subject_id, x.related_id) and (${sides}))
     order by x.kind, x.valid_from desc nulls last, x.related_id, x.subject_id`,
    parameters.values,
  );
  const wanted = new Set(subjects);
  const result = new Map<number, RelationRow[]>(subjects.map((id) => [id, []]));
  for (const { subject_id: subject, related_id: related, kind, valid_from: validFrom, valid_to: validTo } of rows) {
    if (wanted.has(subject)) result.get(subject)?.push({ kind, direction: 'out', other: related, validFrom, validTo });
    if (wanted.has(related)) result.get(related)?.push({ kind, direction: 'in', other: subject, validFrom, validTo });
  }
  return result;
}
