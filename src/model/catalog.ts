import type { Category, CodeSet, Field, FieldType, Kind, Mask, Retention, Sensitivity, SubjectKind, SubjectType } from './types.ts';

interface FieldYaml {
  zh: string;
  en: string;
  type: FieldType;
  codes?: string;
  sensitivity: Sensitivity;
  mask?: Mask;
  max?: number;
  article?: string;
  filter?: boolean;
}
interface KindYaml {
  zh: string;
  en: string;
  article: string;
  fact: string[];
  required?: string[];
  prefer?: string[];
  retention?: Retention;
  publicity: 'public' | 'non-public';
}
export interface CategoryYaml {
  no: number;
  id: string;
  type: string;
  zh: string;
  en: string;
  article: string;
  kinds: Record<string, KindYaml>;
  fields: Record<string, FieldYaml>;
}
export interface SubjectsYaml {
  subjects: Record<
    SubjectKind,
    { type: string; zh: string; en: string; fields: Record<string, FieldYaml>; identifiers: Record<string, string> }
  >;
}
export interface CodesYaml {
  codes: string;
  zh: string;
  en: string;
  source: string;
  dictionary?: string;
  values: Record<string, { zh: string; en: string } & Record<string, unknown>>;
}

function fieldsOf(fields: Record<string, FieldYaml>, article: string): Map<string, Field> {
  return new Map(
    Object.entries(fields).map(([name, f]) => [
      name,
      {
        name,
        zh: f.zh,
        en: f.en,
        type: f.type,
        codes: f.codes,
        sensitivity: f.sensitivity,
        mask: f.mask,
        max: f.max ?? 256,
        article: f.article ?? article,
        filter: f.filter ?? false,
      },
    ]),
  );
}

/** A catalog file as the rest of the hub sees it. A field without an article of its own stands under its category's. */
export function toCategory(yaml: CategoryYaml): Category {
  const kinds = new Map<string, Kind>(
    Object.entries(yaml.kinds).map(([id, k]) => [
      id,
      {
        id,
        zh: k.zh,
        en: k.en,
        article: k.article,
        fact: k.fact,
        required: k.required ?? [],
        prefer: k.prefer ?? [],
        retention: k.retention,
        publicity: k.publicity,
      },
    ]),
  );
  return {
    no: yaml.no,
    id: yaml.id,
    type: yaml.type,
    zh: yaml.zh,
    en: yaml.en,
    article: yaml.article,
    kinds,
    fields: fieldsOf(yaml.fields, yaml.article),
  };
}

export function toSubjects(yaml: SubjectsYaml): Map<SubjectKind, SubjectType> {
  return new Map(
    (['organisation', 'person'] as const).map((kind) => {
      const s = yaml.subjects[kind];
      return [
        kind,
        {
          kind,
          type: s.type,
          zh: s.zh,
          en: s.en,
          fields: fieldsOf(s.fields, 'HN-13'),
          identifiers: new Map(Object.entries(s.identifiers)),
        },
      ];
    }),
  );
}

export function toCodeSet(yaml: CodesYaml): CodeSet {
  const values = new Map(Object.entries(yaml.values).map(([code, { zh, en, ...extra }]) => [code, { code, zh, en, extra }]));
  return { id: yaml.codes, zh: yaml.zh, en: yaml.en, source: yaml.source, dictionary: yaml.dictionary, values };
}
