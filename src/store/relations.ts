import type { MappedRecord, MappedRelation } from '../mapping/record.ts';
import type { Sql } from './sql.ts';

/** The other sides of records' relations, each as a record of its own that only names its subject, so that it is found or made like any other. */
export function relatedOf(records: readonly MappedRecord[]): Map<MappedRecord, { of: MappedRecord; relation: MappedRelation }> {
  const related = new Map<MappedRecord, { of: MappedRecord; relation: MappedRelation }>();
  for (const of of records) {
    // Like any subject whose region nobody tells: it lies where the record lies.
    const region = of.region ?? of.subject.region;
    for (const relation of of.relations ?? []) {
      related.set({ ...of, category: 0, subject: { ...relation.subject, region }, relations: [], fields: {} }, { of, relation });
    }
  }
  return related;
}

/** Relations stand as the newest version of their record tells them. */
export async function writeRelations(
  sql: Sql,
  writes: readonly { id: number; record: MappedRecord; existing: unknown }[],
  related: ReturnType<typeof relatedOf>,
  subjectOf: ReadonlyMap<MappedRecord, number>,
): Promise<void> {
  const before = writes.filter((w) => w.existing !== undefined).map((w) => w.id);
  if (before.length > 0) await sql.query('delete from relation where record_id = any($1)', [before]);
  if (related.size === 0) return;
  const idOf = new Map(writes.map((w) => [w.record, w.id]));
  const rows = [...related].flatMap(([side, { of, relation }]) => {
    const [recordId, subject, other] = [idOf.get(of), subjectOf.get(of), subjectOf.get(side)];
    return recordId === undefined || subject === undefined || other === undefined || subject === other
      ? []
      : [{ recordId, subject, other, relation }];
  });
  await sql.query(
    `insert into relation (subject_id, related_id, kind, valid_from, valid_to, record_id)
     select * from unnest($1::bigint[], $2::bigint[], $3::text[], $4::date[], $5::date[], $6::bigint[]) on conflict do nothing`,
    [
      rows.map((r) => r.subject),
      rows.map((r) => r.other),
      rows.map((r) => r.relation.kind),
      rows.map((r) => r.relation.validFrom),
      rows.map((r) => r.relation.validTo),
      rows.map((r) => r.recordId),
    ],
  );
}
