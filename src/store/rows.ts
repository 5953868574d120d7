import type { FieldValue, SubjectKind } from '../model/types.ts';
import type { Comparison } from './where.ts';

/** A subject as the grant shows it. `rowId` never leaves the server. */
export interface SubjectRow {
  rowId: number;
  id: string;
  type: string;
  kind: SubjectKind;
  region: string | null;
  roles: string[];
  /** Of a person whose information may only be kept, or was erased (PIPL 47): then nothing else of it is shown. */
  withheld: 'restricted' | 'erased' | null;
  fields: Record<string, FieldValue>;
}

/** A record as the grant shows it, with its provenance. `rowId` and `subjectRowId` never leave the server. */
export interface RecordRow {
  rowId: number;
  subjectRowId: number;
  id: string;
  type: string;
  category: number;
  kind: string;
  region: string | null;
  publicity: string;
  /** What a decision left on the record (HN-27: 某年某月某日修复), and whether an objection to its fact is pending (HN-24.3). */
  mark: string | null;
  disputed: boolean;
  occurredOn: string | null;
  validFrom: string | null;
  validTo: string | null;
  connector: string;
  stream: string;
  /** Of the hub, with the changes nobody but the hub sees: never leaves the server, `Changes` does. */
  version: number;
  /** The day whose knowledge was asked for; undefined: what is known now. */
  knownOn: string | undefined;
  /** Key of the fact the record tells; the same for every source that tells it. */
  fact: string;
  fields: Record<string, FieldValue>;
}

/** A record as it was read. */
export type RecordAt = Pick<RecordRow, 'rowId' | 'version' | 'knownOn'>;
/** What the grant shows of a record's history up to a version: the changes of what the grant gives, and of nothing else. */
export interface Changes {
  /** How many versions the caller could tell apart. */
  version: number;
  /** The source's own version of the last of them. */
  sourceVersion: string | null;
  recordedAt: string;
  changedAt: string;
}

/** One version of a record with its subject, cut by the receiver's grant. */
export interface PushableRecord {
  recordId: number;
  id: string;
  version: number;
  kind: string;
  deleted: boolean;
  disputed: boolean;
  subject: Record<string, FieldValue>;
  fields: Record<string, FieldValue>;
}

export interface PageOf<T> {
  nodes: T[];
  endCursor: string | null;
  hasNextPage: boolean;
}
export interface PageRequest {
  first: number;
  after: string | undefined;
}
/** Largest page; a caller that asks for more is told so. */
export const MAX_PAGE = 200;

export interface SubjectWhere {
  kind?: SubjectKind;
  /** The first digits of the region code. */
  region?: string;
  /** Part of the name; needs `kind`. */
  name?: string;
}
export interface RecordWhere {
  /** The archive as it stood on a day, as it was known on another (both inclusive, Asia/Shanghai). */
  asOf?: { day: string; knownOn: string };
  categories?: number[];
  kind?: string;
  region?: string;
  /** Days, inclusive, of what the record is ordered by: when it occurred, else since when it holds. */
  from?: string;
  to?: string;
  /** Comparisons of catalog fields; the decision has allowed every one of them. */
  fields?: { category: number; field: string; comparison: Comparison }[];
}

/** A tie between two subjects, as a record the grant holds tells it. */
export interface RelationRow {
  kind: string;
  /** Whether the subject asked about is the one the record is about (`out`), or the other side (`in`). */
  direction: 'out' | 'in';
  other: number;
  validFrom: string | null;
  validTo: string | null;
}

/** What a reader showed, for the query log: what was returned, not what was asked. */
export interface Shown {
  subjects: Set<number>;
  categories: Set<number>;
  coordinates: Set<string>;
  rows: number;
}
