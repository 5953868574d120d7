/**
 * The shapes of `schema/` after loading. One file of YAML is one value here; nothing in it is optional that the loader can decide.
 * `schema/meta/*.json` says the same to editors and to the start-up check.
 */

import type { Pack } from './pack-types.ts';
import type { Duty, PolicyRule, Restriction } from './policy-types.ts';
import type { Publication } from './publication-types.ts';
import type { Reconcile } from './reconcile.ts';
import type { PushVia, Via } from './vias.ts';

export type * from './pack-types.ts';
export type * from './policy-types.ts';
export type * from './publication-types.ts';
export type * from './reconcile.ts';
export type * from './vias.ts';

/** How much harm a leak of the field does (HN-5). `identity` values are sealed at rest and found only through the blind index. */
export type Sensitivity = 'open' | 'internal' | 'commercial' | 'personal' | 'identity';

/** `date` is YYYY-MM-DD, `instant` ISO 8601 UTC, `money` integer fen, `decimal` a decimal text as stated by the source. */
export type FieldType = 'text' | 'code' | 'date' | 'instant' | 'money' | 'integer' | 'decimal' | 'boolean';
/** What a masked value looks like: 张*三, 4301**********1234, the last four characters, or nothing but stars. */
export type Mask = 'name' | 'id-number' | 'tail' | 'hidden';
export type FieldValue = string | number | boolean | null;
export type SubjectKind = 'organisation' | 'person';

export interface Label {
  zh: string;
  en: string;
}

export interface Field extends Label {
  name: string;
  type: FieldType;
  /** Name of a code set; only for `code`. */
  codes: string | undefined;
  sensitivity: Sensitivity;
  /** Only text can be masked; undefined: a policy that masks this field's class denies it. */
  mask: Mask | undefined;
  /** Longest value in characters. */
  max: number;
  article: string;
  /** May stand in `where`. */
  filter: boolean;
}

export interface Kind extends Label {
  id: string;
  article: string;
  /** Fields that, with the subject, tell that two records are one fact. */
  fact: string[];
  required: string[];
  /** Streams in the order in which they are believed when several tell one fact. Contradictions stay visible. */
  prefer: string[];
  /** How long the law wants a person's records of this kind kept: until then they may not be erased, only withheld (PIPL 47). */
  retention?: Retention | undefined;
  /** HN-4: open to the public, or to agencies only. */
  publicity: 'public' | 'non-public';
}

export interface Retention {
  years: number;
  /** `occurred`: from the day it occurred or was found; `ended`: from the day it no longer holds, where there is one. */
  from: 'occurred' | 'ended';
  article: string;
}

export interface Category extends Label {
  no: number;
  id: string;
  /** GraphQL type of its records. */
  type: string;
  article: string;
  kinds: Map<string, Kind>;
  fields: Map<string, Field>;
}

export interface SubjectType extends Label {
  kind: SubjectKind;
  /** GraphQL type: Organisation or Person. */
  type: string;
  fields: Map<string, Field>;
  /** Identifier scheme → the field that shows it (`uscc` → creditCode). */
  identifiers: Map<string, string>;
}

export interface CodeValue extends Label {
  code: string;
  /** Extra keys of the file: parent, article, category, … */
  extra: Readonly<Record<string, unknown>>;
}
export interface CodeSet extends Label {
  id: string;
  source: string;
  /** Dictionary of a platform (HOSP_LV) whose values these are: what it has and the set lacks is reported after each reading of it. */
  dictionary?: string | undefined;
  values: Map<string, CodeValue>;
}

/** A deployment value of a connector: read from the environment, never written in YAML when secret. */
export interface Setting {
  env: string;
  default: string | undefined;
  secret: boolean;
}

export interface Connector extends Label {
  id: string;
  /** Department that provides the records (a value of codes/departments). */
  department: string;
  article: string;
  /** Collection route of HN-16 (a value of codes/collection-routes). */
  route: string;
  /** Who answers for the scheduled jobs in the query log (ZM-3.2.3). */
  officer: { id: string; name: string };
  settings: Map<string, Setting>;
  /** Refused records go back to the provider as a file through this transaction of the national platform (WG-9). */
  feedback: { infno: string; article: string } | undefined;
  limits: CallLimits;
  breaker: BreakerSettings;
  streams: Map<string, Stream>;
}

/** How much the platform may be used, by all processes of the hub together. Undefined: as much as comes. */
export interface CallLimits {
  perMinute: number | undefined;
  perHour: number | undefined;
  perDay: number | undefined;
  /** Runs of the connector at once. */
  concurrent: number;
}
/** After so many failed calls in a row, none of them longer ago than `within` seconds, the platform is left alone for `open` seconds. */
export interface BreakerSettings {
  failures: number;
  within: number;
  open: number;
}
/** Hours in which a platform may be used, Asia/Shanghai: from `from` up to and without `to`, `HH:mm`, to 24:00 at the latest. */
export interface Hours {
  days: 'every' | 'working' | 'off';
  from: string;
  to: string;
}

export type Stream = ReadStream | PushStream;
/** What is read from a platform: credit records, or a code table. */
export type ReadStream = PullStream | DictionaryStream;
interface StreamBase extends Label {
  connector: string;
  id: string;
  article: string;
  /** Cron, Asia/Shanghai; undefined: only on demand. */
  schedule: string | undefined;
  /** Streams of the same connector that must have been read first in a full sync. */
  after: string[];
  /** When it may run: its own hours, else those of its connector and direction. Empty: always. */
  windows: Hours[];
  /** How the platform tells what it holds; undefined: a pull stream is read again, of a push stream nothing can be told. */
  reconcile?: Reconcile | undefined;
}
export interface PullStream extends StreamBase {
  direction: 'pull';
  via: Via;
  mapping: Mapping;
}
export interface DictionaryStream extends StreamBase {
  direction: 'dictionary';
  via: Via;
  dictionary: Dictionary;
}
export interface PushStream extends StreamBase {
  direction: 'push';
  via: PushVia;
  publish: Publication;
}

/* ---- mapping ---- */

/** Where a value comes from and how it is read. Closed: there are no expressions. */
export interface Value {
  /** Source keys, the first that is present and not blank counts. */
  from: string[];
  literal: FieldValue | undefined;
  /** Source value → target value; a value that is missing here is an issue. */
  lookup: Map<string, string> | undefined;
  /** `yyyy-MM-dd`, `yyyyMMdd`, `yyyy/MM/dd`, `yyyy-MM-dd HH:mm:ss`, `yyyyMMddHHmmss` (local times are Asia/Shanghai). */
  date: string | undefined;
  /** Values that mean "no end" or "not known": they become null. */
  none: string[];
  money: 'fen' | 'yuan' | 'wan-yuan' | undefined;
  /** Only the first n characters (a 9-digit region code to 6). */
  first: number | undefined;
  required: boolean;
}

export interface Mapping {
  category: number;
  kind: string;
  subject: SubjectMapping;
  /** Source keys that identify the raw record within its stream; undefined in a stream without keys of its own: all mapped values. */
  key: string[];
  /** The source's own time of the version. */
  version: Value | undefined;
  /** The source says the record no longer holds. */
  deleted: { from: string; values: string[] } | undefined;
  region: Value | undefined;
  occurredOn: Value | undefined;
  validFrom: Value | undefined;
  validTo: Value | undefined;
  /** Longest time from validFrom to validTo in calendar months, the last day included (ZM-2.4). */
  mostMonths?: number | undefined;
  fields: Map<string, Value>;
  relations?: RelationMapping[];
  ignore: Set<string>;
  route?: Route | undefined;
  /** The mappings of the other categories a record may be routed to; none without `route`. */
  alternatives?: Mapping[];
}
/** A tie of the record's subject to another one: practises at, is a branch of, has as legal representative. */
export interface RelationMapping {
  kind: string;
  subject: SubjectMapping;
  validFrom: Value | undefined;
  validTo: Value | undefined;
}
/** A legal basis decides the category: the source's word for an article → a code whose `category` names the mapping that takes the record. */
export interface Route {
  from: string[];
  lookup: Map<string, string>;
  codes: string;
}
export interface SubjectMapping {
  /** Fixed, by the value of a source key (`自然人` → person), or as its statutory number says. */
  kind: { fixed: SubjectKind } | { from: string; lookup: Map<string, SubjectKind> } | 'by-number';
  name: Value | undefined;
  region: Value | undefined;
  /** Roles of HN-3 this record shows the subject in. */
  roles: string[];
  /** In order of authority. */
  identifiers: IdentifierMapping[];
}
export interface IdentifierMapping {
  /**
   * Fixed, or by the value of a source key (a certificate type); a value that the lookup does not name says that the number identifies nobody.
   * `statutory` takes the scheme from the number itself: USCC, citizen id, permit.
   */
  scheme: string | { from: string; lookup: Map<string, string> };
  value: Value;
  /** The column may hold something else: a value that does not pass the check of its scheme is no identifier and no fault. */
  whenValid?: boolean;
}

/** How a raw record becomes a value of a code table; it is no credit information and has no subject. */
export interface Dictionary {
  type: Value;
  code: Value;
  name: Value;
  /** Code of the value above it. */
  parent: Value | undefined;
  /** Where the value holds; everywhere when blank. */
  region: Value | undefined;
  /** Values that say that it holds; anything else says that it does not. A blank one holds. */
  valid: { from: string; values: string[] } | undefined;
  validFrom: Value | undefined;
  validTo: Value | undefined;
  /** The source's own time of the version: an older one never overwrites a newer one. */
  version: Value | undefined;
  ignore: Set<string>;
}

/* ---- limits ---- */

/** One bound of a request: `zh` stands in the refusal. */
export interface Limit extends Label {
  max: number;
}
export type QueryLimit =
  | 'bytes'
  | 'json'
  | 'tokens'
  | 'nesting'
  | 'definitions'
  | 'aliases'
  | 'directives'
  | 'repeats'
  | 'breadth'
  | 'roots'
  | 'depth'
  | 'fields'
  | 'rows'
  | 'milliseconds'
  | 'answer';
export type CapacityLimit = 'running' | 'department' | 'person' | 'connections' | 'waiting' | 'departmentWaiting' | 'wait';
export type StreamLimit = 'open' | 'department' | 'person' | 'ping' | 'stall' | 'days' | 'retry';
/** Units that can be spent at once, and that come back with time. */
export interface Budget {
  burst: number;
  perMinute: number;
}
export interface Limits {
  query: Readonly<Record<QueryLimit, Limit>>;
  streams: Readonly<Record<StreamLimit, Limit>>;
  capacity: Readonly<Record<CapacityLimit, Limit>>;
  budgets: {
    /** What a request costs by itself. */
    request: number;
    department: Budget;
    person: Budget;
    stranger: Budget;
    /** Department → what it has instead. */
    departments?: Readonly<Record<string, { department?: Budget; person?: Budget }>>;
  };
}

/* ---- calendar ---- */

/** The statutory working days that notices of the State Council cover. Days are `YYYY-MM-DD`. */
export interface WorkingCalendar {
  article: string;
  /** Year → number of its notice. A year that is not here is not covered. */
  years: ReadonlyMap<number, string>;
  /** Days off. */
  off: ReadonlySet<string>;
  /** Saturdays and Sundays that are worked (调休). */
  work: ReadonlySet<string>;
}

export interface Model {
  /** Short hash of all files: goes into every log entry as the policy version. */
  version: string;
  categories: Map<number, Category>;
  subjects: Map<SubjectKind, SubjectType>;
  codes: Map<string, CodeSet>;
  connectors: Map<string, Connector>;
  rules: PolicyRule[];
  restrictions: Restriction[];
  duties: Duty[];
  limits: Limits;
  calendar: WorkingCalendar;
  /** Rule packs by their ids. */
  packs: Map<string, Pack>;
}
