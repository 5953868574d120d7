/**
 * The part of the second wall that asks how a caller is tied to a subject (scope.ts). Its functions run as the owner of the tables: row security that
 * asked tables with row security of their own would go round in circles. They tell a yes or no about one subject, and of a tie
 * that is not known, or not one of the grant's, no.
 */
const REGION = `(tie->>'region' = '' or starts_with(r.region, tie->>'region') or tie->'above' ? r.region)`;

/** Whether a subject has one of the roles of HN-3. */
export const PLAYS = `create function wall.plays(subject bigint, wanted text[]) returns boolean
  language sql stable security definer set search_path = pg_catalog, public as $$
    select exists (select from subject o where o.id = plays.subject and o.roles && wanted) $$`;

/** Whether the tie holds now: a consent that is revoked, or a case that is closed, opens nothing from the next statement on. */
export const TIED = `create function wall.tied(tie jsonb, subject bigint, covered smallint[], as_subject boolean) returns boolean
  language sql stable security definer set search_path = pg_catalog, public as $$
    select exists (select from wall.scopes() s where s.tie = tied.tie) and (tie->'roles' = '["*"]' or exists (select from subject o where o.id = tied.subject and tie->'roles' ?| o.roles)) and case tie->>'by'
      when 'any' then true
      when 'recorded' then not as_subject or exists (select from record r where r.subject_id = tied.subject and not r.deleted and r.category = any(covered)
        and (tie->'kinds' = '["*"]' or tie->'kinds' ? r.kind) and (tie->>'publicOnly' = 'false' or r.publicity = 'public') and ${REGION})
      when 'self' then exists (select from subject_identifier i where i.subject_id = tied.subject and tie->'tokens' ? encode(i.token, 'hex'))
      when 'consented' then exists (select from subject_identifier i join consent c on c.token = i.token where i.subject_id = tied.subject
        and c.revoked_at is null and (tie->>'day')::date between c.valid_from and c.valid_until
        and (c.person = tie->>'person' or c.department = tie->>'department') and tie->>'purpose' = any(c.purposes) and c.categories && covered)
      when 'own-case' then exists (select from subject_identifier i join case_subject x on x.token = i.token join registered_case k on k.id = x.case_id
        where i.subject_id = tied.subject and k.number = tie->>'number' and k.department = tie->>'department'
        and (k.closed_on is null or k.closed_on > (tie->>'day')::date) and (k.officer = tie->>'person' or starts_with(k.region, tie->>'region')))
      else false end $$`;
