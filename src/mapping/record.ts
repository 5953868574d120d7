import type { FieldValue, SubjectKind } from '../model/types.ts';

/** One fact as a source tells it, in the words of the catalog; what the store takes. */
export interface MappedRecord {
  category: number;
  kind: string;
  /** Canonical JSON array of the key columns' folded texts. */
  key: string;
  /** A key column also names a person or feeds a field of class `identity`: the key MUST NOT be stored or shown as it is. */
  keyIsPersonal: boolean;
  /** The source's own time (UTC with microseconds) or number of the version; compares as text within a stream. */
  version: string | null;
  deleted: boolean;
  subject: MappedSubject;
  region: string | null;
  occurredOn: string | null;
  validFrom: string | null;
  validTo: string | null;
  /** Only fields of the catalog; what the source does not tell is left out. Money is integer fen. */
  fields: Record<string, FieldValue>;
  /** To whom else the record ties its subject. */
  relations?: MappedRelation[];
  /** Source keys that are neither mapped nor ignored by name: the source changed its shape. */
  unknownKeys: string[];
  /** Codes of what was odd but taken, e.g. `unknown-county`. */
  warnings: string[];
}

export interface MappedRelation {
  kind: string;
  subject: MappedSubject;
  validFrom: string | null;
  validTo: string | null;
}

export interface MappedSubject {
  kind: SubjectKind;
  name: string | null;
  region: string | null;
  roles: string[];
  /** Never empty, in the mapping's order of authority; codes are folded and checked. */
  identifiers: Identifier[];
}

export interface Identifier {
  scheme: string;
  code: string;
}

/**
 * Canonical text of all that makes a change of content: two records with the same text say the same. Key, version, warnings and unknown keys
 * are no content. Independent of the order of fields, roles and identifiers.
 */
export function contentOf(record: MappedRecord): string {
  const { subject } = record;
  return JSON.stringify([
    record.category,
    record.kind,
    record.deleted,
    subject.kind,
    subject.name,
    subject.region,
    subject.roles.toSorted(),
    subject.identifiers.map(({ scheme, code }) => `${scheme}:${code}`).toSorted(),
    record.region,
    record.occurredOn,
    record.validFrom,
    record.validTo,
    Object.keys(record.fields)
      .toSorted()
      .map((name) => [name, record.fields[name]]),
    ...relationsOf(record),
  ]);
}

/** Nothing at all for a record without relations, so that what is stored keeps its content. */
function relationsOf({ relations = [] }: MappedRecord): unknown[] {
  return relations.length === 0
    ? []
    : [
        relations.map((r) => [
          r.kind,
          r.subject.identifiers.map(({ scheme, code }) => `${scheme}:${code}`).toSorted(),
          r.validFrom,
          r.validTo,
        ]),
      ];
}
