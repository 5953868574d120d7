/**
 * The query log (HN-23.2, ZM-3.2.3). `body` holds the canonical bytes of an entry and `hash` its place in its writer's chain; every other column
 * of `query_log` can be derived from `body` and exists to be searched. Who, when, what and why are NOT NULL. There is no default partition: an
 * entry without its month is refused, not put aside. The triggers slow a hand down; it is the chain that finds a change.
 * `fastupdate` would put index work off until some commit has to do it all: that one caller waits half a second.
 */
export const LOG_DDL: string[] = [
  `create table log_writer (
     id int generated always as identity primary key,
     node text not null,
     boot_id uuid not null unique,
     started_at timestamptz not null,
     suite text not null check (suite in ('sha256', 'sm3')),
     genesis bytea not null,
     after_n bigint not null,
     closed_seq bigint,
     closed_hash bytea,
     check ((closed_seq is null) = (closed_hash is null))
   )`,
  `create table query_log (
     writer int not null,
     seq bigint not null,
     at timestamptz not null,
     body bytea not null,
     hash bytea not null,
     kind text not null,
     person text not null,
     person_name text not null,
     department text,
     document text not null,
     purpose text not null,
     outcome text not null,
     subjects bytea[] not null,
     primary key (writer, seq, at)
   ) partition by range (at)`,
  `create index query_log_at on query_log (at)`,
  `create index query_log_person on query_log (person, at)`,
  `create index query_log_department on query_log (department, at)`,
  `create index query_log_purpose on query_log (purpose, at)`,
  `create index query_log_subjects on query_log using gin (subjects) with (fastupdate = off)`,
  `create table log_document (hash text primary key, text text not null)`,
  `create function log_append_only() returns trigger language plpgsql as $$
   begin
     raise exception '% is append-only', tg_table_name using errcode = 'object_not_in_prerequisite_state';
   end $$`,
  `create function log_writer_closes_once() returns trigger language plpgsql as $$
   begin
     if old.closed_seq is not null
        or (new.id, new.node, new.boot_id, new.started_at, new.suite, new.genesis, new.after_n)
           is distinct from (old.id, old.node, old.boot_id, old.started_at, old.suite, old.genesis, old.after_n) then
       raise exception 'log_writer is append-only' using errcode = 'object_not_in_prerequisite_state';
     end if;
     return new;
   end $$`,
  // Runs as the owner of the log, so that nobody who only writes it needs to be one.
  `create function log_make_partition(name text, first timestamptz, after timestamptz) returns boolean
   language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
   begin
     if name !~ '^query_log_[0-9]{4}_[0-9]{2}$' then raise exception 'no name of a partition: %', name; end if;
     if to_regclass('public.' || name) is not null then return false; end if;
     execute format('create table public.%I (like public.query_log including defaults including constraints)', name);
     execute format('alter table public.query_log attach partition public.%I for values from (%L) to (%L)', name, first, after);
     execute format('create trigger no_truncate before truncate on public.%I for each statement execute function public.log_append_only()', name);
     return true;
   end $$`,
  `create trigger append_only before update or delete on query_log for each row execute function log_append_only()`,
  `create trigger no_truncate before truncate on query_log for each statement execute function log_append_only()`,
  `create trigger append_only before update or delete on log_document for each row execute function log_append_only()`,
  `create trigger no_truncate before truncate on log_document for each statement execute function log_append_only()`,
  `create trigger closes_once before update on log_writer for each row execute function log_writer_closes_once()`,
  `create trigger append_only before delete on log_writer for each row execute function log_append_only()`,
  `create trigger no_truncate before truncate on log_writer for each statement execute function log_append_only()`,
];
