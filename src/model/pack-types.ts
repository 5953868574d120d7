/** The shapes of `schema/jurisdictions/`: what one document demands in its jurisdiction. Pure data; `src/rules/` has what is done with it. */

import type { Label, SubjectKind } from './types.ts';

/** A range that knows its edges: `[3,6)` is 3 and more, less than 6. An open side has no number. */
export interface Interval {
  from: number | undefined;
  fromIncluded: boolean;
  to: number | undefined;
  toIncluded: boolean;
  /** As it is written. */
  text: string;
}

/** Every demand stands under an article; `soft`: 可以, 原则上 – the hub advises, and a departure needs a reason. */
export interface Cited {
  cite: string;
  soft: boolean;
}

/** `issued` rules bind within their dates; a `draft` serves simulation only; a `provisional` pack rests on second-hand texts and says so. */
export type PackStatus = 'issued' | 'draft' | 'provisional';

/** A value that the document leaves open and the pack decides. */
export interface Assumption {
  gap: string;
  decision: string;
  cite: string;
}

export interface PackSubject extends Label {
  code: string;
  kind: SubjectKind;
  /** Roles of the catalog (codes/subject-roles) that these are. */
  roles: readonly string[];
  cite: string;
  /** `parent`: a part of this subject is none itself and counts with it; `own`: each is a subject of its own. */
  parts: readonly { kind: string; zh: string; counts: 'own' | 'parent' }[];
  /** Conditions that all must hold, as the document names them. */
  conditions: readonly string[];
}

export type ClockUnit = 'working-day' | 'day' | 'month' | 'year';

/** A statutory term. */
export interface Clock extends Label {
  id: string;
  /** Event from which it runs. */
  starts: string;
  length: number;
  unit: ClockUnit;
  acts: 'subject' | 'office' | 'system';
  /** The day of the event is the first of the term (自…之日起 of a validity), else the day after it is (民法典 201). */
  startCounted: boolean;
  /** A term in calendar days that ends on a day off ends on the next working day (民法典 203). */
  rollsForward: boolean;
  cite: string;
}

export interface Grade {
  code: string;
  /** Scores it covers, where grades are computed here. */
  scores?: Interval | undefined;
}

/** A fact that earns or loses points. Money in fen, ratios in percent. */
export interface Indicator extends Label {
  code: string;
  dimension: string;
  module: 'bonus' | 'deduction';
  /** Roles it concerns; empty: all. */
  roles: readonly string[];
  /** Which records count: category, kinds and values of fields. */
  facts: { category: number; kinds: readonly string[]; where: Readonly<Record<string, readonly string[]>> };
  /** Points of each fact, hundredths of a point. */
  each: number;
  /** Most that the indicator gives or takes, hundredths of a point. */
  most: number;
  cite: string;
  /** Built from what the articles name, until the province issues its own. */
  provisional: boolean;
}

export interface Evaluation extends Cited {
  /** Grade scheme (codes/grade-schemes). */
  scheme: string;
  /** `here`: the hub scores; `received`: a platform grades and the hub stores. */
  computed: 'here' | 'received';
  /** Points of each module, hundredths: a bonus is earned from 0, a deduction is taken from its most. */
  modules: Readonly<Record<'bonus' | 'deduction', { most: number; cite: string }>> | undefined;
  grades: readonly Grade[];
  /** Scores that belong to two grades by the text; the upper one is taken and a note says so. */
  sharedEdges: readonly number[];
  /** Last day for the results of the year before, `MM-DD`. */
  due?: string | undefined;
  /** Codes of not-evaluated-reasons. */
  exempt: readonly { reason: string; cite: string }[];
  /** Roles evaluated in figures, and in words only. */
  numeric?: readonly string[] | undefined;
  wordsOnly: readonly string[];
  /** Roles whose result waits for an opinion of the same-level department. */
  consults: readonly { roles: readonly string[]; department: string; cite: string }[];
  indicators: readonly Indicator[];
}

/** How a grade changes the share of subjects drawn for inspection (U21). Percent of the original share. */
export interface InspectionRatio extends Cited {
  grade: string;
  bound: 'at-most' | 'exactly' | 'unchanged' | 'all';
  percent?: number | undefined;
  kinds: readonly SubjectKind[];
  /** Whose inspections; empty: everybody's. */
  levels: readonly string[];
}

/** What may or must be done to or for a subject. */
export interface Measure extends Cited, Label {
  code: string;
  effect: 'incentive' | 'constraint';
  /** Grades of the pack's scheme that it takes; empty: it does not hang on a grade. */
  grades: readonly string[];
  kinds: readonly SubjectKind[];
  roles: readonly string[];
  /** Conditions beside the grade. */
  needs: readonly MeasureNeed[];
  /** Months it lasts, where the text says. */
  term?: Interval | undefined;
  /** Entry of a list of measures that permits it (HN-34); nothing for incentives. */
  permittedBy: readonly string[];
}
export type MeasureNeed = 'no-dishonest-record' | 'dishonest' | 'serious' | 'false-commitment';

/** Suspension of networked settlement by the loss caused: fen → months. */
export interface Suspension extends Cited {
  loss: Interval;
  months: Interval;
}

/** Something held without a break for years (U14). */
export interface Streak extends Cited, Label {
  code: string;
  /** `grade`: each year has this grade; `clean`: no year has a violation. */
  of: 'grade' | 'clean';
  grade?: string | undefined;
  years: number;
  /** List it leads to, or measure. */
  list?: string | undefined;
  measure?: string | undefined;
}

/** A list that subjects are put on. */
export interface ListRule extends Cited, Label {
  code: string;
  /** codes/list-kinds. */
  kind: string;
  /** Circumstances that lead to it, as codes of the document. */
  circumstances: readonly string[];
  /** What must be told before the decision. */
  notice: readonly string[];
  /** What the decision document must have. */
  document: readonly string[];
  /** Persons that an entry of an organisation must name. */
  names: readonly string[];
  /** Clock of the publication. */
  published?: string | undefined;
  /** Clock of the answer to an objection before the decision. */
  objection?: string | undefined;
}

export interface Ban extends Cited {
  clock: string;
  /** Kinds of relations to the organisation (codes/relation-kinds). */
  relations: readonly string[];
  from: string;
}

export interface ObjectionRule extends Cited {
  /** Who may be asked. */
  doors: readonly string[];
  kinds: readonly { code: string; zh: string; cite: string }[];
  parts: readonly { code: string; zh: string; required: boolean }[];
  /** Clock of the subject, and those of the office: alone, and with helpers where they differ. */
  raise?: string | undefined;
  answer: string;
  answerWithHelp?: string | undefined;
  /** What holds while it is handled. */
  meanwhile: { marked: boolean; measuresGoOn: boolean };
}

export interface RepairRule extends Cited {
  conditions: readonly { code: RepairCondition; zh: string; cite: string }[];
  parts: readonly { code: string; zh: string; required: boolean }[];
  /** Shortest publicity by severity, months; 0: none. */
  publicity?: Readonly<Record<Severity, number>> | undefined;
  answer?: string | undefined;
  /** Repaired by itself when the measure ends, if all of these hold (SD-12). */
  automatic: readonly RepairCondition[];
  /** Role → authority that is asked; `default` for the others. */
  authorities: Readonly<Record<string, string>>;
  mark: string;
}
export type RepairCondition = 'publicity-served' | 'corrected' | 'effect-gone' | 'no-new-record' | 'committed';
export type Severity = 'minor' | 'general' | 'serious';

export interface CommitmentRule extends Cited {
  clauses: readonly { code: string; zh: string }[];
  /** Roles whose staff the organisation has to have sign. */
  staffOf: readonly string[];
}

export interface ReportRule extends Cited {
  sections: readonly { code: string; zh: string }[];
  validity: string;
  endsEarly: readonly string[];
}

/** What must hold before a fact of an issuer is taken (WG-7.1, HN-14.10). */
export interface IssuerRule {
  category: number;
  /** Lowest level of the issuer that counts (codes/honour-levels). */
  level: string;
  cite: string;
}

export interface Pack extends Label {
  id: string;
  number: string;
  status: PackStatus;
  /** First and last day in force; no `to`: until repealed. No `from`: the text does not say. */
  from?: string | undefined;
  to?: string | undefined;
  cite: string;
  /** Region codes it applies in, by their beginnings; '' is everywhere. */
  regions: readonly string[];
  subjects: readonly PackSubject[];
  clocks: ReadonlyMap<string, Clock>;
  evaluation?: Evaluation | undefined;
  ratios: readonly InspectionRatio[];
  measures: readonly Measure[];
  suspensions: readonly Suspension[];
  streaks: readonly Streak[];
  lists: readonly ListRule[];
  bans: readonly Ban[];
  objection?: ObjectionRule | undefined;
  repair?: RepairRule | undefined;
  commitment?: CommitmentRule | undefined;
  reports?: ReportRule | undefined;
  issuers: readonly IssuerRule[];
  assumptions: readonly Assumption[];
  /** Rows of the requirements that ask for nothing to be built, or are kept elsewhere, each with the place. */
  elsewhere: Readonly<Record<string, string>>;
}
