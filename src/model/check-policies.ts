import type { CodeSet, Duty, DutyName, Model, PolicyRule, Restriction, Term } from './types.ts';

type Say = (part: string, path: string, reason: string) => void;

/** What a purpose may ask of the caller beside its code: the values of `needs` in codes/purposes. */
export const PURPOSE_NEEDS = ['case', 'basis', 'identity'] as const;
export type PurposeNeed = (typeof PURPOSE_NEEDS)[number];

/** What a purpose needs: the number of the case, its legal basis, or a token that proves whose subject the caller is. Data, not code. */
export function needsOfPurpose(model: Pick<Model, 'codes'>, purpose: string): readonly PurposeNeed[] {
  const needs = model.codes.get('purposes')?.values.get(purpose)?.extra['needs'];
  return Array.isArray(needs) ? PURPOSE_NEEDS.filter((need) => needs.includes(need)) : [];
}

/** The three administrations that no one person may join (三员分立): each by its duties. */
const ADMINISTRATIONS: Readonly<Record<string, readonly DutyName[]>> = {
  system: ['operate-system'],
  security: ['review-policy'],
  audit: ['read-log'],
};

/** Checks of rules, restrictions, duties and purposes that no JSON Schema can hold. */
export function checkPolicies(model: Model, say: Say): void {
  checkPurposes(model, say);
  for (const rule of model.rules) checkRule(model, rule, say);
  for (const restriction of model.restrictions) checkRestriction(model, restriction, say);
  for (const duty of model.duties) checkScope(model, `policy:${duty.policy}`, '/duties', duty.duty, duty, say);
  const ids = [...model.rules, ...model.restrictions].map((one) => one.id);
  for (const id of new Set(ids.filter((one, i) => ids.indexOf(one) !== i)))
    say(`policy:${id.split('/')[0]}`, '/rules', `rule id ${id} is used twice`);
  checkAdministrations(model, say);
}

function checkPurposes(model: Model, say: Say): void {
  for (const [code, { extra }] of model.codes.get('purposes')?.values ?? []) {
    const at = `/values/${code}`;
    if (typeof extra['article'] !== 'string' || extra['article'] === '')
      say('codes:purposes', `${at}/article`, 'a purpose needs its article');
    const { needs = [] } = extra;
    const known = Array.isArray(needs) && needs.every((need) => PURPOSE_NEEDS.some((one) => one === need));
    if (!known) say('codes:purposes', `${at}/needs`, `needs is a list of ${PURPOSE_NEEDS.join(', ')}`);
  }
}

/** Departments, roles and purposes that something is for. */
function checkScope(
  model: Model,
  part: string,
  path: string,
  id: string,
  of: { departments: string[]; roles: string[]; purposes?: string[] },
  say: Say,
): void {
  const sets = { departments: of.departments, roles: of.roles, purposes: of.purposes ?? [] };
  for (const [set, codes] of Object.entries(sets))
    for (const code of codes)
      if (!has(model.codes, set, code)) say(part, path, `${id}: ${set.slice(0, -1)} ${code} is not in codes/${set}`);
}

function checkTerm(part: string, path: string, id: string, { from, until }: Term, say: Say): void {
  if (from !== undefined && until !== undefined && from > until) say(part, path, `${id}: its term ends before it begins`);
}

function checkRule(model: Model, rule: PolicyRule, say: Say): void {
  const part = `policy:${rule.policy}`;
  const fault = (reason: string) => say(part, '/rules', `${rule.id}: ${reason}`);
  checkScope(model, part, '/rules', rule.id, rule, say);
  checkTerm(part, '/rules', rule.id, rule.term, say);
  const kinds = new Set(rule.categories.flatMap((no) => [...(model.categories.get(no)?.kinds.keys() ?? [])]));
  for (const kind of rule.kinds) if (!kinds.has(kind)) fault(`${kind} is no kind of its categories`);
  for (const role of rule.subjectRoles) {
    const kind = model.codes.get('subject-roles')?.values.get(role)?.extra['kind'];
    if (kind === undefined) fault(`${role} is not in codes/subject-roles`);
    else if (!rule.subjects.some((one) => one === kind)) fault(`${role} is no role of its subjects`);
  }
  const { subject } = rule.rows;
  const must = subject === 'own-case' ? 'case' : subject === 'self' ? 'identity' : undefined;
  for (const purpose of must === undefined ? [] : rule.purposes)
    if (!needsOfPurpose(model, purpose).some((need) => need === must))
      fault(`subject ${subject} needs a purpose that needs ${must}, as ${purpose} does not`);
  if (subject === 'recorded' && rule.categories.length === 0) fault('subject recorded needs categories');
  if (rule.use === 'statistics' && [...rule.fields.values()].includes('mask')) fault('what is never listed cannot be masked');
}

function checkRestriction(model: Model, restriction: Restriction, say: Say): void {
  const part = `policy:${restriction.policy}`;
  checkScope(model, part, '/restrictions', restriction.id, restriction, say);
  checkTerm(part, '/restrictions', restriction.id, restriction.term, say);
  if (restriction.most.size === 0 && restriction.rows.region === 'any' && restriction.rows.publicity === 'any')
    say(part, '/restrictions', `${restriction.id}: restricts nothing`);
}

/**
 * 三员分立: a role of a department has the duties of one of the three administrations at most, no other duty beside them, and no rule that shows
 * credit information. A token carries one department and one role, so that nobody can be two of them in one request.
 */
function checkAdministrations(model: Model, say: Say): void {
  const holders = new Map<string, { department: string; role: string; duties: Duty[] }>();
  for (const duty of model.duties)
    for (const department of duty.departments)
      for (const role of duty.roles) {
        const key = `${department} ${role}`;
        const held = holders.get(key) ?? { department, role, duties: [] };
        held.duties.push(duty);
        holders.set(key, held);
      }
  for (const { department, role, duties } of holders.values()) {
    const of = (duty: Duty) => Object.keys(ADMINISTRATIONS).find((name) => ADMINISTRATIONS[name]?.includes(duty.duty));
    const administrations = [...new Set(duties.map(of))].filter((name) => name !== undefined);
    if (administrations.length === 0) continue;
    const fault = (reason: string) => say(`policy:${duties[0]?.policy}`, '/duties', `${role} of ${department} ${reason}`);
    if (administrations.length > 1) fault(`joins the ${administrations.sort().join(' and the ')} administration`);
    if (duties.some((duty) => of(duty) === undefined))
      fault(`administers and has the duty ${duties.find((d) => of(d) === undefined)?.duty}`);
    for (const rule of model.rules)
      if (rule.departments.includes(department) && (rule.roles.length === 0 || rule.roles.includes(role)))
        fault(`administers and is given credit information by ${rule.id}`);
  }
}

function has(sets: Map<string, CodeSet>, set: string, code: string): boolean {
  return sets.get(set)?.values.has(code) ?? false;
}
