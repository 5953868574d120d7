/**
 * Subjects by a part of their name. No index can be used beneath row security for it, because whether a text is part of another is not a question
 * that PostgreSQL trusts to tell nothing; so one function asks it as the owner of the tables and answers with subjects that the scopes hold and
 * whose name they give. `held` is the test of a subject `t` against a scope `s`.
 */
const NAME = `coalesce(t.open->>'name', t.internal->>'name', t.commercial->>'name', t.personal->>'name')`;
const CLASSES = ['open', 'internal', 'commercial', 'personal'];

const given = CLASSES.map(
  (column) => `(t.${column} ? 'name' and (s.fields->t.kind->'${column}' = 'true' or s.fields->t.kind->'${column}' ? 'name'))`,
).join(' or ');

/** In the order of their ids after `after`, `wanted` at most. The text stands in the statement, so that how rare it is decides how it is looked for. */
export const namedFunction = (
  held: string,
): string => `create function wall.named(kind text, part text, region text, after bigint, wanted int)
  returns setof bigint language plpgsql stable security definer set search_path = pg_catalog, public as $do$
  begin
    return query execute format($sql$
      select t.id from public.subject t
      where t.kind = %L and t.withheld is null and ${NAME} like %L and starts_with(coalesce(t.region, ''), %L) and t.id > %L::bigint
        and exists (select from wall.scopes() s where ${held} and (${given})) order by t.id limit %L::int$sql$,
      kind, '%' || replace(replace(replace(part, '\\', '\\\\'), '%', '\\%'), '_', '\\_') || '%', region, after, wanted);
  end $do$`;

/** pg_trgm comes with PostgreSQL but may not be installed, or not be for this user to add: names are then looked for one by one. */
export const NAMES_INDEX = `do $$ begin
    create extension if not exists pg_trgm with schema public;
    create index subject_name_part on subject using gin ((${NAME.replaceAll('t.', '')}) public.gin_trgm_ops);
  exception when insufficient_privilege or feature_not_supported or undefined_file then
    raise notice 'pg_trgm is not there: parts of names are searched without an index';
  end $$`;
