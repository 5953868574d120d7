import type { SubjectKind } from '../model/types.ts';
import { fieldsSql, Parameters } from './columns.ts';
import { concealId } from './opaque.ts';
import { subjectsByRowId } from './read-subjects.ts';
import type { PushableRecord } from './rows.ts';
import { recordInScope } from './scope-sql.ts';
import { anyOf, conditioned, openerFor, openFields, type SealedFields, type View, wanted } from './view.ts';

interface RawVersion {
  id: number;
  version: number;
  subject_id: number;
  subject_kind: SubjectKind;
  category: number;
  kind: string;
  deleted: boolean;
  disputed: boolean;
  fields: SealedFields;
}

/** Versions as they were stored, not as the record is now: the same version always gives the same body under the same grant. */
export async function pushable(view: View, versions: readonly { recordId: number; version: number }[]): Promise<PushableRecord[]> {
  const parameters = new Parameters();
  const scopes = conditioned(view.grant.scopes, (scope) => recordInScope(scope, parameters, view.keys));
  if (scopes.length === 0 || versions.length === 0) return [];
  const categories = [...view.model.categories.values()].filter((c) => scopes.some((s) => s.scope.categories.includes(c.no)));
  const branches = categories.map((c) => {
    const own = scopes.filter((s) => s.scope.categories.includes(c.no));
    return `when ${c.no} then ${fieldsSql('r', c.type, wanted(view, c), own)}`;
  });
  const { rows } = await view.sql.query<RawVersion>(
    `select r.id, r.version, r.subject_id, r.subject_kind, r.category, r.kind, r.deleted, r.disputed, case r.category ${branches.join(' ')} end as fields
     from record_history r
     where not r.withheld and r.id = any(${parameters.add(versions.map((v) => v.recordId))}::bigint[])
       and (r.id, r.version) in (select * from unnest(${parameters.add(versions.map((v) => v.recordId))}::bigint[], ${parameters.add(versions.map((v) => v.version))}::int[]))
       and (${anyOf(scopes)})`,
    parameters.values,
  );
  const subjects = await subjectsByRowId(view, [...new Set(rows.map((row) => row.subject_id))]);
  const open = await openerFor(view, rows);
  return rows.flatMap((row) => {
    const subject = subjects.get(row.subject_id);
    if (subject === undefined) return [];
    view.shown.categories.add(row.category);
    const type = view.model.categories.get(row.category)?.type ?? '';
    const fields = openFields(view, open, type, row.fields);
    return [
      {
        recordId: row.id,
        id: concealId(view.keys, 'record', row.id),
        version: row.version,
        kind: row.kind,
        deleted: row.deleted,
        disputed: row.disputed,
        subject: subject.fields,
        fields,
      },
    ];
  });
}
