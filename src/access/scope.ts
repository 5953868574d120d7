import type { Model, PolicyRule, Restriction, SubjectKind, SubjectTie, Term } from '../model/types.ts';
import { type Caller, ownRegion, type Purpose, regionsAbove } from './caller.ts';

/** How the caller is tied to the subjects of a scope, with all that the store needs to tell in SQL whether it is so at the moment of the query. */
export type Tie =
  | { by: 'recorded' }
  | { by: 'self'; scheme: string; code: string }
  | { by: 'consented'; person: string; department: string; purpose: string; day: string }
  | { by: 'own-case'; number: string; person: string; department: string; region: string | undefined; day: string };

/** What one rule opens for this caller: rows by condition, and fields only in those rows. Scopes are united, never mixed. */
export interface Scope {
  rule: string;
  article: string;
  subjects: readonly SubjectKind[];
  /** Only subjects with one of these roles; empty: every subject. */
  subjectRoles: readonly string[];
  categories: readonly number[];
  /** Empty: every kind. */
  kinds: readonly string[];
  /** Rows of regions that start so; undefined: every region. */
  region: string | undefined;
  /** Regions outside `region` whose own rows are open all the same: those that contain it. */
  above: readonly string[];
  publicOnly: boolean;
  tie: Tie | undefined;
  fields: ReadonlyMap<string, 'allow' | 'mask'>;
}

/** Who asks, why and when: all that a rule is matched by. */
export interface Asker {
  caller: Caller;
  purpose: Purpose;
  /** The day in Asia/Shanghai. */
  today: string;
}

/** What the rules open for the asker: the scopes before restrictions and after them, in the same order; a scope that a restriction leaves no rows is undefined. */
export function scopesOf(model: Model, asker: Asker, use: PolicyRule['use']): { rule: PolicyRule; full: Scope; left: Scope | undefined }[] {
  const { caller, purpose, today } = asker;
  if (caller.purposes !== undefined && !caller.purposes.includes(purpose.code)) return [];
  const restrictions = restrictionsOf(model, caller, purpose.code, today);
  return model.rules
    .filter((rule) => rule.use === use && isFor(rule, caller) && rule.purposes.includes(purpose.code) && holds(rule.term, today))
    .flatMap((rule) => {
      const full = toScope(rule, asker);
      return full === undefined ? [] : [{ rule, full, left: restrict(full, restrictions, caller) }];
    });
}

/** The restrictions that a caller stands under for a purpose on a day. */
export function restrictionsOf(model: Model, caller: Caller, purpose: string, today: string): Restriction[] {
  return model.restrictions.filter(
    (restriction) =>
      isFor(restriction, caller) &&
      (restriction.purposes.length === 0 || restriction.purposes.includes(purpose)) &&
      holds(restriction.term, today),
  );
}

const isFor = (of: { departments: readonly string[]; roles: readonly string[] }, caller: Caller) =>
  of.departments.includes(caller.department) && (of.roles.length === 0 || of.roles.includes(caller.role));

/** Whether a term holds on a day; both of its ends do. */
export function holds({ from, until }: Term, day: string): boolean {
  return (from === undefined || from <= day) && (until === undefined || until >= day);
}

/** Undefined when the rule has no rows for this asker whatever the data: no region of its own, no case stated, no identity proved. */
function toScope(rule: PolicyRule, asker: Asker): Scope | undefined {
  const own = ownRegion(asker.caller);
  const tie = toTie(rule.rows.subject, asker, own);
  if (tie === undefined || (rule.rows.region !== 'any' && own === undefined)) return undefined;
  return {
    rule: rule.id,
    article: rule.article,
    subjects: rule.subjects,
    subjectRoles: rule.subjectRoles,
    categories: rule.categories,
    kinds: rule.kinds,
    region: rule.rows.region === 'any' ? undefined : own,
    above: rule.rows.region === 'own-and-above' ? regionsAbove(asker.caller.region) : [],
    publicOnly: rule.rows.publicity === 'public',
    tie: tie ?? undefined,
    fields: rule.fields,
  };
}

/** Null: no tie is asked for. Undefined: it is, and the asker has not what it takes. */
function toTie(subject: SubjectTie, { caller, purpose, today }: Asker, region: string | undefined): Tie | null | undefined {
  switch (subject) {
    case 'any':
      return null;
    case 'recorded':
      return { by: 'recorded' };
    case 'self':
      return caller.subject === undefined ? undefined : { by: 'self', ...caller.subject };
    case 'consented':
      return { by: 'consented', person: caller.id, department: caller.department, purpose: purpose.code, day: today };
    case 'own-case': {
      const number = purpose.case.trim();
      return number === '' ? undefined : { by: 'own-case', number, person: caller.id, department: caller.department, region, day: today };
    }
  }
}

function restrict(scope: Scope, restrictions: readonly Restriction[], caller: Caller): Scope | undefined {
  const own = ownRegion(caller);
  let { region, above, publicOnly } = scope;
  for (const { rows } of restrictions) {
    if (rows.publicity === 'public') publicOnly = true;
    if (rows.region === 'any') continue;
    if (own === undefined) return undefined;
    region = own;
    above = [];
  }
  const fields = new Map<string, 'allow' | 'mask'>();
  for (const [coordinate, given] of scope.fields) {
    const access = atMost(given, coordinate, restrictions);
    if (access !== 'deny') fields.set(coordinate, access);
  }
  return { ...scope, region, above, publicOnly, fields };
}

/** What restrictions leave of an access. */
export function atMost(given: 'allow' | 'mask', coordinate: string, restrictions: readonly Restriction[]): 'allow' | 'mask' | 'deny' {
  const most = restrictions.map((restriction) => restriction.most.get(coordinate));
  if (most.includes('deny')) return 'deny';
  return most.includes('mask') ? 'mask' : given;
}

/** Whether every row of `inner` lies in `outer`, as far as both give the type at all. Where it cannot be told for certain the answer is no. */
export function contains(outer: Scope, inner: Scope): boolean {
  return (
    inner.subjects.every((kind) => outer.subjects.includes(kind)) &&
    isWithin(inner.subjectRoles, outer.subjectRoles) &&
    isWithin(inner.kinds, outer.kinds) &&
    regionsContain(outer, inner) &&
    (!outer.publicOnly || inner.publicOnly) &&
    tieContains(outer, inner)
  );
}

/** Of two lists of which an empty one is everything. */
function isWithin(inner: readonly string[], outer: readonly string[]): boolean {
  return outer.length === 0 || (inner.length > 0 && inner.every((one) => outer.includes(one)));
}

function regionsContain(outer: Scope, inner: Scope): boolean {
  const { region } = outer;
  if (region === undefined) return true;
  return (
    (inner.region?.startsWith(region) ?? false) && inner.above.every((above) => above.startsWith(region) || outer.above.includes(above))
  );
}

function tieContains(outer: Scope, inner: Scope): boolean {
  if (outer.tie === undefined) return true;
  if (JSON.stringify(outer.tie) !== JSON.stringify(inner.tie)) return false;
  // Which subjects these two open hangs on the categories of their scope.
  return !['recorded', 'consented'].includes(outer.tie.by) || inner.categories.every((no) => outer.categories.includes(no));
}
