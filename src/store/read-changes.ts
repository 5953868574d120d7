import type { Scope } from '../access/decide.ts';
import type { Category, Field } from '../model/types.ts';
import { fieldsSql, Parameters } from './columns.ts';
import type { Changes, RecordAt } from './rows.ts';
import { recordInScope } from './scope-sql.ts';
import { anyOf, conditioned, type View } from './view.ts';

interface RawChanges {
  id: number;
  upto: number;
  version: number;
  source_version: string | null;
  recorded_at: string;
  changed_at: string;
}

/**
 * How often, when first and when last records changed for this caller. Only versions count that lie in the grant and differ from the one before in
 * something the grant gives: a number or an instant that counted the others would tell of changes of hidden fields. One row for each record and the
 * version it is shown in, however many versions there are.
 */
export async function changesOf(view: View, asked: readonly RecordAt[]): Promise<Map<string, Changes>> {
  const parameters = new Parameters();
  const categories = [...view.model.categories.values()];
  const holding = view.grant.scopes.filter((scope) => scope.categories.length > 0).map((scope) => comparable(scope, categories));
  const scopes = conditioned(holding, (scope) => recordInScope(scope, parameters, view.keys));
  if (scopes.length === 0) return new Map();
  const branches = categories.flatMap((c) => {
    const own = scopes.filter((s) => s.scope.categories.includes(c.no));
    return own.length === 0 ? [] : [`when ${c.no} then ${fieldsSql('r', c.type, givenIn(own, c), own)}`];
  });
  const records = `unnest(${parameters.add(asked.map((a) => a.rowId))}::bigint[], ${parameters.add(asked.map((a) => a.version))}::int[])`;
  const { rows } = await view.sql.query<RawChanges>(
    `select asked.id, asked.version as upto, seen.* from ${records} as asked(id, version) cross join lateral (
       select count(*)::int as version, min(told.recorded_at) as recorded_at, max(told.recorded_at) as changed_at,
         (array_agg(told.source_version order by told.version desc))[1] as source_version
       from (
         select every.*, lag(every.shown) over (order by every.version) as shown_before from (
           select r.version, r.recorded_at, r.source_version,
             jsonb_build_array(r.deleted, r.category, r.kind, r.publicity, r.mark, r.disputed, r.region, r.occurred_on, r.valid_from, r.valid_to,
               case when not r.deleted then case r.category ${branches.join(' ')} end end) as shown
           from record_history r
          where r.id = asked.id and r.version <= asked.version and not r.late and (${anyOf(scopes)})) every) told
       where told.shown is distinct from told.shown_before) seen`,
    parameters.values,
  );
  return new Map(
    rows.map((row) => [
      versionKey({ rowId: row.id, version: row.upto }),
      { version: row.version, sourceVersion: row.source_version, recordedAt: row.recorded_at, changedAt: row.changed_at },
    ]),
  );
}

export function versionKey({ rowId, version }: Pick<RecordAt, 'rowId' | 'version'>): string {
  return `${rowId}/${version}`;
}

/** A value is sealed anew for every version; its mask is what can be compared without opening it. */
function comparable(scope: Scope, categories: readonly Category[]): Scope {
  const sealed = new Set(
    categories.flatMap((c) => [...c.fields.values()].filter((f) => f.sensitivity === 'identity').map((f) => `${c.type}.${f.name}`)),
  );
  return {
    ...scope,
    fields: new Map([...scope.fields].map(([coordinate, access]) => [coordinate, sealed.has(coordinate) ? 'mask' : access])),
  };
}

function givenIn(scopes: readonly { scope: Scope }[], category: Category): Field[] {
  return [...category.fields.values()].filter((field) => scopes.some(({ scope }) => scope.fields.has(`${category.type}.${field.name}`)));
}
