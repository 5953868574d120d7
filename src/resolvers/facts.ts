import type { Grant } from '../access/decide.ts';
import type { Model } from '../model/types.ts';
import type { Changes, RecordRow } from '../store/rows.ts';

/** Whether a record is the one to believe first among those that tell its fact: by the catalog's order of streams, then the last to change. */
export function isPreferred(model: Model, id: string, rows: readonly (RecordRow & Pick<Changes, 'changedAt'>)[]): boolean {
  const rank = (row: RecordRow) => {
    const order = model.categories.get(row.category)?.kinds.get(row.kind)?.prefer ?? [];
    const place = order.indexOf(`${row.connector}/${row.stream}`);
    return place < 0 ? order.length : place;
  };
  const [first] = rows.toSorted((a, b) => rank(a) - rank(b) || b.changedAt.localeCompare(a.changedAt) || a.id.localeCompare(b.id));
  return first === undefined || first.id === id;
}

/**
 * Fields on which the sources of one fact differ; a field that only some of them tell is no contradiction. Only fields that the grant shows plain
 * are compared: a mask must not tell whether two hidden values are equal.
 */
export function contradictionsIn(grant: Grant, rows: readonly RecordRow[]): { field: string; records: string[] }[] {
  const fields = new Set(rows.flatMap((row) => Object.keys(row.fields)));
  return [...fields].sort().flatMap((field) => {
    const telling = rows.filter(
      (row) => row.fields[field] !== undefined && grant.decisions.get(`${row.type}.${field}`)?.access === 'allow',
    );
    const values = new Set(telling.map((row) => JSON.stringify(row.fields[field])));
    return values.size > 1 ? [{ field, records: telling.map((row) => row.id) }] : [];
  });
}
