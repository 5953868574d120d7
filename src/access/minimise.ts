import type { Model } from '../model/types.ts';

/** How often a coordinate was shown to a department and role for a purpose; the empty coordinate counts the queries themselves. */
export interface Used {
  department: string;
  role: string;
  purpose: string;
  coordinate: string;
  queries: number;
}

/** Fields that a rule gives to a department for a purpose and that nobody of it read. */
export interface Unread {
  rule: string;
  article: string;
  department: string;
  purpose: string;
  /** Queries of the department for the purpose, so that "never read" can be told from "never asked". */
  queries: number;
  coordinates: readonly string[];
}

/**
 * The proposal to shrink the grants (U7, HN-5): for every rule, department and purpose the fields that the rule gives and that no caller it is for has read.
 * Pure: the same policies and the same use give the same list, in the order of the rules.
 */
export function minimise(model: Model, used: readonly Used[]): Unread[] {
  return model.rules.flatMap((rule) =>
    rule.departments.flatMap((department) =>
      rule.purposes.flatMap((purpose) => {
        const own = used.filter(
          (use) => use.department === department && use.purpose === purpose && (rule.roles.length === 0 || rule.roles.includes(use.role)),
        );
        const read = new Set(own.map((use) => use.coordinate));
        const queries = own.filter((use) => use.coordinate === '').reduce((sum, use) => sum + use.queries, 0);
        const coordinates = [...rule.fields.keys()].filter((coordinate) => !read.has(coordinate)).sort();
        return coordinates.length === 0 ? [] : [{ rule: rule.id, article: rule.article, department, purpose, queries, coordinates }];
      }),
    ),
  );
}
