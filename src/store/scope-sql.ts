import type { Scope, Tie } from '../access/decide.ts';
import type { Parameters } from './columns.ts';
import type { Keys } from './keys.ts';
import { identifierDomain } from './subjects.ts';

/** Condition under which a record row (alias `r`) lies in the scope. */
export function recordInScope(scope: Scope, parameters: Parameters, keys: Keys): string {
  const parts = rowParts('r', scope, parameters);
  if (scope.subjectRoles.length > 0) parts.push(`plays(r.subject_id, ${parameters.add(scope.subjectRoles)}::text[])`);
  parts.push(...recordParts(scope, parameters));
  if (scope.tie !== undefined && scope.tie.by !== 'recorded')
    parts.push(tied(scope.tie, 'r.subject_id', () => 'array[r.category]', parameters, keys));
  return `(${parts.join(' and ')})`;
}

/** Condition under which a subject row (alias `s`) lies in the scope. */
export function subjectInScope(scope: Scope, parameters: Parameters, keys: Keys): string {
  const parts = rowParts('s', scope, parameters);
  if (scope.subjectRoles.length > 0) parts.push(`s.roles && ${parameters.add(scope.subjectRoles)}::text[]`);
  if (scope.tie?.by === 'recorded') {
    const record = [...rowParts('r', scope, parameters), ...recordParts(scope, parameters)].join(' and ');
    parts.push(`exists (select from record r where r.subject_id = s.id and not r.deleted and ${record})`);
  } else if (scope.tie !== undefined) {
    const categories = () => `${parameters.add(scope.categories)}::smallint[]`;
    parts.push(tied(scope.tie, 's.id', categories, parameters, keys));
  }
  return `(${parts.join(' and ')})`;
}

/** What records and subjects have in common: kind of subject, and region. */
function rowParts(alias: 'r' | 's', scope: Scope, parameters: Parameters): string[] {
  const parts = [`${alias}.${alias === 'r' ? 'subject_kind' : 'kind'} = any(${parameters.add(scope.subjects)}::text[])`];
  if (scope.region === undefined) return parts;
  const own = `starts_with(${alias}.region, ${parameters.add(scope.region)})`;
  parts.push(scope.above.length === 0 ? own : `(${own} or ${alias}.region = any(${parameters.add(scope.above)}::text[]))`);
  return parts;
}

function recordParts(scope: Scope, parameters: Parameters): string[] {
  const parts = [`r.category = any(${parameters.add(scope.categories)}::smallint[])`];
  if (scope.kinds.length > 0) parts.push(`r.kind = any(${parameters.add(scope.kinds)}::text[])`);
  if (scope.publicOnly) parts.push(`r.publicity = 'public'`);
  return parts;
}

/** Whether the tie holds as the statement runs: a consent that was revoked, or a case that was closed, the moment before opens nothing. */
function tied(
  tie: Exclude<Tie, { by: 'recorded' }>,
  subject: string,
  categories: () => string,
  parameters: Parameters,
  keys: Keys,
): string {
  switch (tie.by) {
    case 'self':
      return `${subject} in (select i.subject_id from subject_identifier i where i.token = any(${parameters.add(keys.blindForms(identifierDomain(tie.scheme), tie.code))}::bytea[]))`;
    case 'consented': {
      const valid = `c.revoked_at is null and c.valid_from <= ${parameters.add(tie.day)}::date and c.valid_until >= ${parameters.add(tie.day)}::date
        and (c.person = ${parameters.add(tie.person)}::text or c.department = ${parameters.add(tie.department)}::text)
        and ${parameters.add(tie.purpose)}::text = any(c.purposes) and c.categories && ${categories()}`;
      return `exists (select from subject_identifier i join consent c on c.token = i.token where i.subject_id = ${subject} and ${valid})`;
    }
    case 'own-case': {
      const responsible = `k.officer = ${parameters.add(tie.person)}::text`;
      const region = tie.region === undefined ? responsible : `(${responsible} or starts_with(k.region, ${parameters.add(tie.region)}))`;
      return `exists (select from subject_identifier i join case_subject cs on cs.token = i.token join registered_case k on k.id = cs.case_id
        where i.subject_id = ${subject} and k.number = ${parameters.add(tie.number)}::text and k.department = ${parameters.add(tie.department)}::text
        and (k.closed_on is null or k.closed_on > ${parameters.add(tie.day)}::date) and ${region})`;
    }
  }
}
