import type { ModelFault } from '../errors.ts';
import type {
  Category,
  Duty,
  DutyName,
  Field,
  Restriction,
  PolicyRule,
  RowCondition,
  Sensitivity,
  SubjectKind,
  SubjectType,
  Term,
} from './types.ts';

type Access = 'allow' | 'mask' | 'deny';
interface RestrictionYaml {
  id: string;
  article: string;
  roles?: string[];
  purposes?: string[];
  classes?: Partial<Record<Sensitivity, 'mask' | 'deny'>>;
  fields?: Record<string, 'mask' | 'deny'>;
  rows?: Partial<Restriction['rows']>;
  term?: Partial<Term>;
}
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
    subjectRoles?: string[];
    categories: number[];
    kinds?: string[];
    rows?: Partial<RowCondition>;
    use?: PolicyRule['use'];
    term?: Partial<Term>;
    classes: Partial<Record<Sensitivity, Access>>;
    fields?: Record<string, Access>;
  }[];
  restrictions?: RestrictionYaml[];
  duties?: { duty: DutyName; roles: string[]; article: string }[];
}

type Categories = ReadonlyMap<number, Category>;
type Subjects = ReadonlyMap<SubjectKind, SubjectType>;

/** `Type.field` → field, of the types named. */
function fieldsOf(types: readonly (SubjectType | Category | undefined)[]): Map<string, Field> {
  return new Map(
    types.flatMap((type) => [...(type?.fields.values() ?? [])].map((field) => [`${type?.type}.${field.name}`, field] as const)),
  );
}

const toTerm = (term: Partial<Term> | undefined): Term => ({ from: term?.from, until: term?.until });

/** Rules with classes and exceptions resolved to one answer per coordinate, so that a decision is a look-up. Silence is denial. */
export function toRules(file: string, yaml: PolicyYaml, categories: Categories, subjects: Subjects, faults: ModelFault[]): PolicyRule[] {
  return yaml.rules.map((rule, index) => {
    const path = `/rules/${index}`;
    for (const no of rule.categories)
      if (!categories.has(no)) faults.push({ file, path: `${path}/categories`, reason: `category ${no} is not in the catalog` });
    const covered = fieldsOf([...rule.subjects.map((kind) => subjects.get(kind)), ...rule.categories.map((no) => categories.get(no))]);
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
      subjectRoles: rule.subjectRoles ?? [],
      categories: rule.categories,
      kinds: rule.kinds ?? [],
      rows: { region: rule.rows?.region ?? 'any', publicity: rule.rows?.publicity ?? 'any', subject: rule.rows?.subject ?? 'any' },
      use: rule.use ?? 'reading',
      term: toTerm(rule.term),
      fields,
    };
  });
}

/** Restrictions with their classes resolved to the most that is given of each coordinate. What has no mask in the catalog is withheld where the most is a mask. */
export function toRestrictions(
  file: string,
  yaml: PolicyYaml,
  categories: Categories,
  subjects: Subjects,
  faults: ModelFault[],
): Restriction[] {
  const all = fieldsOf([...subjects.values(), ...categories.values()]);
  return (yaml.restrictions ?? []).map((restriction, index) => {
    for (const coordinate of Object.keys(restriction.fields ?? {})) {
      if (!all.has(coordinate))
        faults.push({ file, path: `/restrictions/${index}/fields`, reason: `${coordinate} is no field of the catalog` });
    }
    const most = new Map<string, 'mask' | 'deny'>();
    for (const [coordinate, field] of all) {
      const named = restriction.fields?.[coordinate] ?? restriction.classes?.[field.sensitivity];
      if (named !== undefined) most.set(coordinate, field.mask === undefined ? 'deny' : named);
    }
    return {
      id: `${yaml.policy}/${restriction.id}`,
      policy: yaml.policy,
      departments: yaml.departments,
      roles: restriction.roles ?? [],
      purposes: restriction.purposes ?? [],
      article: restriction.article,
      most,
      rows: { region: restriction.rows?.region ?? 'any', publicity: restriction.rows?.publicity ?? 'any' },
      term: toTerm(restriction.term),
    };
  });
}

export function toDuties(yaml: PolicyYaml): Duty[] {
  return (yaml.duties ?? []).map(({ duty, roles, article }) => ({
    duty,
    policy: yaml.policy,
    roles,
    article,
    departments: yaml.departments,
  }));
}
