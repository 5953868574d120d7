import { Refused } from '../errors.ts';
import type { Model, PolicyRule, SubjectTie } from '../model/types.ts';
import type { Asked, Caller, Purpose } from './caller.ts';
import { type Asker, atMost, contains, holds, restrictionsOf, type Scope, scopesOf } from './scope.ts';

export type { Scope, Tie } from './scope.ts';

/** What a rule may hang on beside the purpose: a consent of the subject, a registered case, a proof of the caller's own identity. */
export type Need = 'consent' | 'case' | 'identity';
const NEEDS: Readonly<Partial<Record<SubjectTie, Need>>> = { consented: 'consent', 'own-case': 'case', self: 'identity' };

/** The answer for one coordinate, with its reason. */
export interface Decision {
  coordinate: string;
  access: 'allow' | 'mask' | 'deny';
  /** The rule that decided, or the restriction that took away what a rule gave; null when no rule gives anything. */
  rule: string | null;
  article: string | null;
  /** What would lift a denial or a mask: purposes under which this department is given more. */
  lift: readonly string[];
  /** What more it takes for that, beside the purpose. */
  needs: readonly Need[];
  /** Of a field that is allowed: the rule under which some rows show it masked all the same. */
  partly: { rule: string; article: string } | undefined;
  /** Whether a denial is worth an error: rows of the type can appear, or the document named the field on this very type. */
  told: boolean;
}

/** The decision for one query (design §4): the store takes nothing else, and reads nothing outside it. */
export interface Grant {
  policy: string;
  purpose: string;
  rules: readonly string[];
  scopes: readonly Scope[];
  /** What counts in aggregates, and only there: no row and no value of it is ever listed. */
  statistics: readonly Scope[];
  decisions: ReadonlyMap<string, Decision>;
}

/**
 * grant = (∪ rules that match caller, purpose and day) ∩ (∩ restrictions). Reads the document's coordinates, the caller, the purpose, the day and the
 * model, never data, so it cannot be an oracle. Throws `Refused`: `NO_POLICY` when protected coordinates are asked and no rule matches,
 * `FILTER_DENIED` when the document filters or sorts by a field that some row it would touch does not show unmasked.
 */
export function decide(model: Model, caller: Caller, purpose: Purpose, asked: Asked, today: string): Grant {
  const asker: Asker = { caller, purpose, today };
  const matched = scopesOf(model, asker, 'reading');
  if (matched.length === 0 && asked.selected.size + asked.constrained.size > 0) {
    const coordinates = [...asked.selected, ...asked.constrained];
    throw new Refused('NO_POLICY', '本部门没有以该用途查询信用信息的授权', {
      status: 403,
      details: { purpose: purpose.code, article: 'HN-23.2', ...toldLift(liftOf(model, asker, coordinates, 'deny')) },
    });
  }
  const scopes = matched.map(({ left }) => left).filter((scope) => scope !== undefined);
  for (const coordinate of asked.constrained) {
    if (mayFilter(model, scopes, coordinate)) continue;
    throw new Refused('FILTER_DENIED', `不得按未授权字段筛选或排序:${coordinate}`, {
      status: 403,
      details: { coordinate, article: articleOf(model, coordinate), ...toldLift(liftOf(model, asker, [coordinate], 'mask')) },
    });
  }
  const decisions = new Map<string, Decision>();
  for (const coordinate of asked.selected) {
    const told = asked.explicit.has(coordinate) || scopes.some((scope) => covers(model, scope, coordinate));
    decisions.set(coordinate, { ...decideOne(model, asker, matched, coordinate), told });
  }
  const statistics = scopesOf(model, asker, 'statistics');
  return {
    policy: model.version,
    purpose: purpose.code,
    rules: [...matched, ...statistics].map(({ rule }) => rule.id),
    scopes,
    statistics: statistics.map(({ left }) => left).filter((scope) => scope !== undefined),
    decisions,
  };
}

/** `explain`: may this caller see the coordinate for the purpose, by which rule, and what would lift a denial. No data is touched. */
export function explain(model: Model, caller: Caller, purpose: Purpose, coordinate: string, today: string): Decision {
  const asker: Asker = { caller, purpose, today };
  return decideOne(model, asker, scopesOf(model, asker, 'reading'), coordinate);
}

/** A lift as errors tell it: `needs` only where there are any. */
export function toldLift({ lift, needs }: Pick<Decision, 'lift' | 'needs'>): { lift: readonly string[]; needs?: readonly Need[] } {
  return needs.length === 0 ? { lift } : { lift, needs };
}

/** Whether rows of the coordinate's type can appear through the scope at all. */
function covers(model: Model, scope: Scope, coordinate: string): boolean {
  const [type] = coordinate.split('.');
  return (
    scope.subjects.some((kind) => model.subjects.get(kind)?.type === type) ||
    scope.categories.some((no) => model.categories.get(no)?.type === type)
  );
}

/** Every scope through which rows of the type appear gives the field unmasked, or lies in one that does: no hidden value decides about a row. */
function mayFilter(model: Model, scopes: readonly Scope[], coordinate: string): boolean {
  const touched = scopes.filter((scope) => covers(model, scope, coordinate));
  const allowing = touched.filter((scope) => scope.fields.get(coordinate) === 'allow');
  return allowing.length > 0 && touched.every((scope) => allowing.some((allow) => allow === scope || contains(allow, scope)));
}

type Matched = ReturnType<typeof scopesOf>;

function decideOne(model: Model, asker: Asker, matched: Matched, coordinate: string): Decision {
  const scopes = matched.map(({ left }) => left).filter((scope) => scope !== undefined);
  for (const access of ['allow', 'mask'] as const) {
    const giving = scopes.filter((s) => s.fields.get(coordinate) === access);
    // A rule that gives the field without a tie to the subject says more than one that does with it.
    const scope = giving.find((s) => s.tie === undefined) ?? giving[0];
    if (scope === undefined) continue;
    const partly = access === 'allow' ? maskingScope(scopes, coordinate) : undefined;
    const { rule, article } = (access === 'mask' ? restricting(model, asker, matched, coordinate) : undefined) ?? scope;
    const lifted = access === 'allow' && partly === undefined ? { lift: [], needs: [] } : liftOf(model, asker, [coordinate], 'mask');
    return { coordinate, access, rule, article, ...lifted, partly, told: true };
  }
  const restriction = restricting(model, asker, matched, coordinate);
  return {
    coordinate,
    access: 'deny',
    rule: restriction?.rule ?? null,
    article: restriction?.article ?? articleOf(model, coordinate),
    ...liftOf(model, asker, [coordinate], 'deny'),
    partly: undefined,
    told: true,
  };
}

/** The restriction that took away what some rule gave. */
function restricting(model: Model, { caller, purpose, today }: Asker, matched: Matched, coordinate: string) {
  const lost = matched.some(({ full, left }) => full.fields.get(coordinate) !== left?.fields.get(coordinate));
  if (!lost) return undefined;
  const restrictions = restrictionsOf(model, caller, purpose.code, today);
  const restriction =
    restrictions.find((one) => one.most.get(coordinate) === 'deny') ??
    restrictions.find((one) => one.most.has(coordinate) || one.rows.region === 'own');
  return restriction && { rule: restriction.id, article: restriction.article };
}

/** A scope that masks the field on rows which no scope that allows it holds for certain. */
function maskingScope(scopes: readonly Scope[], coordinate: string): Decision['partly'] {
  const giving = (access: 'allow' | 'mask') => scopes.filter((s) => s.fields.get(coordinate) === access);
  const found = giving('mask').find((mask) => !giving('allow').some((allow) => contains(allow, mask)));
  return found && { rule: found.rule, article: found.article };
}

/**
 * Purposes under which the caller's department is given more of one of the coordinates than `now`, and what it takes beside: what an officer may
 * truthfully state instead, or must ask for.
 */
function liftOf(
  model: Model,
  { caller, today }: Asker,
  coordinates: readonly string[],
  now: 'mask' | 'deny',
): Pick<Decision, 'lift' | 'needs'> {
  const lift = new Set<string>();
  const needs = new Set<Need>();
  for (const rule of model.rules) {
    if (rule.use !== 'reading' || !rule.departments.includes(caller.department) || !holds(rule.term, today)) continue;
    for (const purpose of rule.purposes) {
      const restrictions = restrictionsOf(model, caller, purpose, today);
      if (!coordinates.some((coordinate) => isMore(rule, coordinate, restrictions, now))) continue;
      lift.add(purpose);
      const need = NEEDS[rule.rows.subject];
      if (need !== undefined) needs.add(need);
    }
  }
  return { lift: [...lift].sort(), needs: [...needs].sort() };
}

function isMore(rule: PolicyRule, coordinate: string, restrictions: ReturnType<typeof restrictionsOf>, now: 'mask' | 'deny'): boolean {
  const given = rule.fields.get(coordinate);
  const access = given === undefined ? 'deny' : atMost(given, coordinate, restrictions);
  return access === 'allow' || (now === 'deny' && access === 'mask');
}

/** The article a denied field is protected by: privacy and secrecy (HN-5) unless the catalog names one. */
function articleOf(model: Model, coordinate: string): string {
  const [type = '', name = ''] = coordinate.split('.');
  const owner = [...model.subjects.values(), ...model.categories.values()].find((t) => t.type === type);
  const field = owner?.fields.get(name);
  return field === undefined || field.sensitivity !== 'open' ? 'HN-5' : 'HN-23.2';
}
