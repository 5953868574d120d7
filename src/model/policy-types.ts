/** The shapes of `schema/policies/` after loading: rules, restrictions and duties. */
import type { SubjectKind } from './types.ts';

export interface PolicyRule {
  id: string;
  policy: string;
  departments: string[];
  roles: string[];
  article: string;
  purposes: string[];
  subjects: SubjectKind[];
  /** Roles of HN-3 (codes/subject-roles); only subjects that have one of them. Empty: every subject. */
  subjectRoles: string[];
  /** Category numbers whose records the rule opens. */
  categories: number[];
  /** Empty: every kind of these categories. */
  kinds: string[];
  rows: RowCondition;
  /** `statistics`: the rows and fields count in aggregates and are never listed. */
  use: 'reading' | 'statistics';
  term: Term;
  /** `Type.field` → what the rule gives, for every field of the types it covers: classes and overrides already resolved. */
  fields: Map<string, 'allow' | 'mask'>;
}
export interface RowCondition {
  /** `own`: only subjects of the caller's region (province, prefecture or county by its code); `own-and-above` also what the regions that contain it keep. */
  region: 'own' | 'own-and-above' | 'any';
  publicity: 'public' | 'any';
  /** How the caller must be tied to the subject. */
  subject: SubjectTie;
}
/**
 * `recorded`: the subject has a record that the rule opens; `self`: the caller's own subject; `consented`: a valid consent of the subject covers
 * caller, purpose and category; `own-case`: the subject belongs to the case that the purpose names, registered to the caller's department.
 */
export type SubjectTie = 'any' | 'recorded' | 'self' | 'consented' | 'own-case';
/** Days, both inclusive; outside its term a rule gives nothing. */
export interface Term {
  from: string | undefined;
  until: string | undefined;
}

/** What is taken away again from all that the rules of a department give. Restrictions only remove. */
export interface Restriction {
  id: string;
  policy: string;
  departments: string[];
  /** Empty: every role. */
  roles: string[];
  /** Empty: every purpose. */
  purposes: string[];
  article: string;
  /** `Type.field` → the most that is given of it. What is not named is not restricted. */
  most: Map<string, 'mask' | 'deny'>;
  rows: Pick<RowCondition, 'region' | 'publicity'>;
  term: Term;
}

/** What people do in the hub beside reading: closed, each duty is asked for where it is done. */
export type DutyName =
  | 'enter-records'
  | 'review-records'
  | 'handle-issues'
  | 'enter-consents'
  | 'register-cases'
  | 'request-erasure'
  | 'review-erasure'
  | 'operate-system'
  | 'review-policy'
  | 'read-log'
  | 'defer-notice'
  | 'handle-objections'
  | 'propose-recalls'
  | 'review-recalls'
  | 'answer-recalls';
export interface Duty {
  duty: DutyName;
  policy: string;
  departments: string[];
  roles: string[];
  article: string;
}
