import type { Model, SubjectKind } from '../model/types.ts';
import type { RecordWhere, SubjectWhere } from '../store/rows.ts';
import type { Comparison } from '../store/where.ts';
import { inputName } from './types.ts';

/** `Type.field` of every catalog field that a coerced `where` argument filters by. */
export function filteredFields(model: Model, input: string, value: unknown): string[] {
  if (typeof value !== 'object' || value === null) return [];
  if (input === 'SubjectWhereInput') {
    const where = value as SubjectWhere;
    if (where.name === undefined || where.name === null) return [];
    const kinds: SubjectKind[] = where.kind ? [where.kind] : [...model.subjects.keys()];
    return kinds.map((kind) => `${model.subjects.get(kind)?.type}.name`);
  }
  if (input !== 'RecordWhere') return [];
  return comparisonsOf(model, value as Record<string, unknown>).map(
    ({ category, field }) => `${model.categories.get(category)?.type}.${field}`,
  );
}

/** A coerced `RecordWhere` as the store takes it. */
export function toRecordWhere(model: Model, value: Record<string, unknown> | null | undefined): RecordWhere {
  if (value === undefined || value === null) return {};
  const where: RecordWhere = { fields: comparisonsOf(model, value) };
  const { categories, kind, region, from, to } = value as { [K in keyof RecordWhere]?: RecordWhere[K] | null };
  if (categories) where.categories = categories;
  if (kind) where.kind = kind;
  if (region) where.region = region;
  if (from) where.from = from;
  if (to) where.to = to;
  return where;
}

function comparisonsOf(model: Model, value: Record<string, unknown>): NonNullable<RecordWhere['fields']> {
  return [...model.categories.values()].flatMap((category) => {
    const own = value[inputName(category)];
    if (typeof own !== 'object' || own === null) return [];
    return Object.entries(own as Record<string, unknown>).flatMap(([field, comparison]) => {
      const given = typeof comparison === 'object' && comparison !== null ? withoutNulls(comparison) : {};
      return Object.keys(given).length === 0 ? [] : [{ category: category.no, field, comparison: given }];
    });
  });
}

function withoutNulls(comparison: object): Comparison {
  return Object.fromEntries(Object.entries(comparison).filter(([, v]) => v !== undefined && v !== null)) as Comparison;
}
