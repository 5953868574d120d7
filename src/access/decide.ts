import { Refused } from '../errors.ts';
import type { Model, PolicyRule, SubjectKind } from '../model/types.ts';
import { type Asked, type Caller, type Purpose, regionPrefix } from './caller.ts';

/** What one rule opens for this caller: rows by condition, and fields only in those rows. Scopes are united, never mixed. */
export interface Scope {
  rule: string;
  article: string;
  subjects: readonly SubjectKind[];
  categories: readonly number[];
  /** Empty: every kind. */
  kinds: readonly string[];
  /** Rows of regions that start so; undefined: every region. */
  region: string | undefined;
  publicOnly: boolean;
  fields: ReadonlyMap<string, 'allow' | 'mask'>;
}

/** The answer for one coordinate, with its reason. */
export interface Decision {
  coordinate: string;
  access: 'allow' | 'mask' | 'deny';
  /** The rule that decided; null when no rule gives anything. */
  rule: string | null;
  article: string | null;
  /** What would lift a denial or a mask: purposes under which this department is given more. */
  lift: readonly string[];
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
  decisions: ReadonlyMap<string, Decision>;
}

/**
 * grant = (∪ rules that match caller and purpose). Reads the document's coordinates, the caller, the purpose and the model, never data,
 * so it cannot be an oracle. Throws `Refused`: `NO_POLICY` when protected coordinates are asked and no rule matches, `FILTER_DENIED` when
 * the document filters or sorts by a field that is not given unmasked in every scope it would touch.
 */
export function decide(model: Model, caller: Caller, purpose: Purpose, asked: Asked): Grant {
  const rules = matching(model, caller, purpose.code);
  if (rules.length === 0 && asked.selected.size + asked.constrained.size > 0) {
    throw new Refused('NO_POLICY', '本部门没有以该用途查询信用信息的授权', {
      status: 403,
      details: { purpose: purpose.code, article: 'HN-23.2' },
    });
  }
  const scopes = rules.map((rule) => toScope(rule, caller));
  for (const coordinate of asked.constrained) {
    const touched = scopes.filter((scope) => covers(model, scope, coordinate));
    if (touched.length === 0 || touched.some((scope) => scope.fields.get(coordinate) !== 'allow')) {
      throw new Refused('FILTER_DENIED', `不得按未授权字段筛选或排序:${coordinate}`, {
        status: 403,
        details: { coordinate, lift: liftOf(model, caller, coordinate, 'mask') },
      });
    }
  }
  const decisions = new Map<string, Decision>();
  for (const coordinate of asked.selected) {
    const told = asked.explicit.has(coordinate) || scopes.some((scope) => covers(model, scope, coordinate));
    decisions.set(coordinate, { ...decideOne(model, caller, scopes, coordinate), told });
  }
  return { policy: model.version, purpose: purpose.code, rules: rules.map((r) => r.id), scopes, decisions };
}

/** `explain`: may this caller see the coordinate for the purpose, by which rule, and what would lift a denial. No data is touched. */
export function explain(model: Model, caller: Caller, purpose: string, coordinate: string): Decision {
  const scopes = matching(model, caller, purpose).map((rule) => toScope(rule, caller));
  return decideOne(model, caller, scopes, coordinate);
}

function matching(model: Model, caller: Caller, purpose: string): PolicyRule[] {
  if (caller.purposes !== undefined && !caller.purposes.includes(purpose)) return [];
  return model.rules.filter(
    (rule) =>
      rule.departments.includes(caller.department) &&
      (rule.roles.length === 0 || rule.roles.includes(caller.role)) &&
      rule.purposes.includes(purpose) &&
      (rule.rows.region === 'any' || /^[1-9]\d{5}$/.test(caller.region)),
  );
}

function toScope(rule: PolicyRule, caller: Caller): Scope {
  return {
    rule: rule.id,
    article: rule.article,
    subjects: rule.subjects,
    categories: rule.categories,
    kinds: rule.kinds,
    region: rule.rows.region === 'own' ? regionPrefix(caller.region) : undefined,
    publicOnly: rule.rows.publicity === 'public',
    fields: rule.fields,
  };
}

/** Whether rows of the coordinate's type can appear through the scope at all. */
function covers(model: Model, scope: Scope, coordinate: string): boolean {
  const [type] = coordinate.split('.');
  return (
    scope.subjects.some((kind) => model.subjects.get(kind)?.type === type) ||
    scope.categories.some((no) => model.categories.get(no)?.type === type)
  );
}

function decideOne(model: Model, caller: Caller, scopes: readonly Scope[], coordinate: string): Decision {
  for (const access of ['allow', 'mask'] as const) {
    const scope = scopes.find((s) => s.fields.get(coordinate) === access);
    const partly = access === 'allow' ? maskingScope(scopes, coordinate) : undefined;
    if (scope)
      return {
        coordinate,
        access,
        rule: scope.rule,
        article: scope.article,
        lift: access === 'allow' && partly === undefined ? [] : liftOf(model, caller, coordinate, 'mask'),
        partly,
        told: true,
      };
  }
  return {
    coordinate,
    access: 'deny',
    rule: null,
    article: articleOf(model, coordinate),
    lift: liftOf(model, caller, coordinate, 'deny'),
    partly: undefined,
    told: true,
  };
}

/** A scope that masks the field on rows which no scope that allows it holds for certain. */
function maskingScope(scopes: readonly Scope[], coordinate: string): Decision['partly'] {
  const giving = (access: 'allow' | 'mask') => scopes.filter((s) => s.fields.get(coordinate) === access);
  const found = giving('mask').find((mask) => !giving('allow').some((allow) => contains(allow, mask)));
  return found && { rule: found.rule, article: found.article };
}

/** Whether every row of `inner` lies in `outer`, as far as both give the type at all. */
function contains(outer: Scope, inner: Scope): boolean {
  return (
    inner.subjects.every((kind) => outer.subjects.includes(kind)) &&
    (outer.kinds.length === 0 || (inner.kinds.length > 0 && inner.kinds.every((kind) => outer.kinds.includes(kind)))) &&
    (outer.region === undefined || (inner.region?.startsWith(outer.region) ?? false)) &&
    (!outer.publicOnly || inner.publicOnly)
  );
}

/** Purposes under which the caller's department is given more than `now`: what an officer may truthfully state instead, or must ask for. */
function liftOf(model: Model, caller: Caller, coordinate: string, now: 'mask' | 'deny'): string[] {
  const better = model.rules.filter((rule) => {
    const access = rule.fields.get(coordinate);
    return rule.departments.includes(caller.department) && (access === 'allow' || (now === 'deny' && access === 'mask'));
  });
  return [...new Set(better.flatMap((rule) => rule.purposes))].sort();
}

/** The article a denied field is protected by: privacy and secrecy (HN-5) unless the catalog names one. */
function articleOf(model: Model, coordinate: string): string {
  const [type = '', name = ''] = coordinate.split('.');
  const owner = [...model.subjects.values(), ...model.categories.values()].find((t) => t.type === type);
  const field = owner?.fields.get(name);
  return field === undefined || field.sensitivity !== 'open' ? 'HN-5' : 'HN-23.2';
}
