import type { ModelFault } from '../errors.ts';
import type { Category, Duty, DutyName, Field, PolicyRule, Sensitivity, SubjectKind, SubjectType } from './types.ts';

type Access = 'allow' | 'mask' | 'deny';
export interface PolicyYaml {
  policy: string;
  zh: string;
  en: string;
  departments: string[];
  rules: {
    id: string;
    article: string;
    roles?: string[];
    purposes: string[];
    subjects: SubjectKind[];
    categories: number[];
    kinds?: string[];
    rows?: { region?: 'own' | 'any'; publicity?: 'public' | 'any' };
    classes: Partial<Record<Sensitivity, Access>>;
    fields?: Record<string, Access>;
  }[];
  duties?: { duty: DutyName; roles: string[]; article: string }[];
}

/** Rules with classes and exceptions resolved to one answer per coordinate, so that a decision is a look-up. Silence is denial. */
export function toRules(
  file: string,
  yaml: PolicyYaml,
  categories: Map<number, Category>,
  subjects: Map<SubjectKind, SubjectType>,
  faults: ModelFault[],
): PolicyRule[] {
  return yaml.rules.map((rule, index) => {
    const path = `/rules/${index}`;
    const covered = new Map<string, Field>();
    const cover = (type: string, fields: Map<string, Field>) => fields.forEach((field) => covered.set(`${type}.${field.name}`, field));
    for (const kind of rule.subjects) {
      const subject = subjects.get(kind);
      if (subject) cover(subject.type, subject.fields);
    }
    for (const no of rule.categories) {
      const category = categories.get(no);
      if (category) cover(category.type, category.fields);
      else faults.push({ file, path: `${path}/categories`, reason: `category ${no} is not in the catalog` });
    }
    for (const coordinate of Object.keys(rule.fields ?? {})) {
      if (!covered.has(coordinate))
        faults.push({ file, path: `${path}/fields`, reason: `${coordinate} is no field of the subjects and categories of this rule` });
    }
    const fields = new Map<string, 'allow' | 'mask'>();
    for (const [coordinate, field] of covered) {
      const exception = rule.fields?.[coordinate];
      const access = exception ?? rule.classes[field.sensitivity] ?? 'deny';
      if (access === 'mask' && field.mask === undefined) {
        if (exception === 'mask') faults.push({ file, path: `${path}/fields`, reason: `${coordinate} has no mask in the catalog` });
        continue;
      }
      if (access !== 'deny') fields.set(coordinate, access);
    }
    return {
      id: `${yaml.policy}/${rule.id}`,
      policy: yaml.policy,
      departments: yaml.departments,
      roles: rule.roles ?? [],
      article: rule.article,
      purposes: rule.purposes,
      subjects: rule.subjects,
      categories: rule.categories,
      kinds: rule.kinds ?? [],
      rows: { region: rule.rows?.region ?? 'any', publicity: rule.rows?.publicity ?? 'any' },
      fields,
    };
  });
}

export function toDuties(yaml: PolicyYaml): Duty[] {
  return (yaml.duties ?? []).map(({ duty, roles, article }) => ({ duty, roles, article, departments: yaml.departments }));
}
