import type { Model } from '../model/types.ts';
import type { RecordRow, RecordWhere, SubjectRow } from '../store/rows.ts';
import type { CreditRecord, Source, Subject } from './types.ts';

/** A row as graphql-js reads it: catalog fields beside the common ones (the model refuses catalog fields of the same name). */
export function toSubject(row: SubjectRow): Subject {
  return {
    name: null,
    ...row.fields,
    rowId: row.rowId,
    type: row.type,
    id: row.id,
    kind: row.kind,
    region: row.region,
    roles: row.roles,
    withheld: row.withheld,
  } as unknown as Subject;
}

/** The days that records are read as of; none: as they are. */
export type Known = Pick<RecordWhere, 'asOf'>;

export function toRecord(model: Model, row: RecordRow, known: Known): CreditRecord {
  const connector = model.connectors.get(row.connector);
  const { fields, ...common } = row;
  const source: Source = {
    connector: row.connector,
    stream: row.stream,
    department: connector?.department ?? '',
    route: connector?.route ?? '',
    record: row,
  };
  return { ...fields, ...common, source, at: row, known, categoryNo: row.category } as unknown as CreditRecord;
}
