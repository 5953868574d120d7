/**
 * The feed of changes that subscriptions and webhooks are told from. Triggers put every change of a record into `feed_new`, in the transaction that
 * makes it, whatever statement that is: a new version, another subject or region, the end of its publication, a deletion, a person whose information is withheld. Only when it is
 * committed does it get its place in `feed` (store/feed.ts), so that a place is never given behind one that was read: a late commit comes later, and
 * is not passed by. A row says where the record lay before and after; nothing of its values.
 */
const AT = `version int not null, shown boolean not null, subject_id bigint not null, subject_kind text not null, category smallint not null,
  kind text not null, publicity text not null, region text, before jsonb`;
const COLUMNS = 'record_id, version, shown, subject_id, subject_kind, category, kind, publicity, region, before';
const now = `n.id, n.version, not (n.deleted or n.withheld), n.subject_id, n.subject_kind, n.category, n.kind, n.publicity, n.region`;
const before = `jsonb_build_object('version', o.version, 'shown', not (o.deleted or o.withheld), 'subjectId', o.subject_id, 'subjectKind', o.subject_kind,
  'category', o.category, 'kind', o.kind, 'publicity', o.publicity, 'region', o.region)`;

/** What listeners are told: that there is something, and nothing of it. */
const TELL = `if found then perform pg_notify('hub_feed', ''); end if; return null;`;

export const FEED_DDL: readonly string[] = [
  `create table feed_new (id bigint generated always as identity primary key, record_id bigint not null, ${AT})`,
  `create table feed (
     place bigint generated always as identity primary key, record_id bigint not null, ${AT},
     at timestamptz not null default clock_timestamp())`,
  // Up to where the feed was cleared.
  `create table feed_start (only_one boolean primary key default true check (only_one), place bigint not null)`,
  `insert into feed_start (place) values (0)`,
  `create function feed_added() returns trigger language plpgsql set search_path = pg_catalog, public as $$ begin
     insert into feed_new (${COLUMNS}) select ${now}, null from new_rows n; ${TELL} end $$`,
  `create function feed_changed() returns trigger language plpgsql set search_path = pg_catalog, public as $$ begin
     insert into feed_new (${COLUMNS}) select ${now}, ${before} from new_rows n join old_rows o on o.id = n.id
       where (n.version, n.subject_id, n.publicity, n.region, n.deleted, n.withheld)
         is distinct from (o.version, o.subject_id, o.publicity, o.region, o.deleted, o.withheld)
       order by n.id; ${TELL} end $$`,
  `create trigger feed_added after insert on record referencing new table as new_rows for each statement execute function feed_added()`,
  `create trigger feed_changed after update on record referencing old table as old_rows new table as new_rows
     for each statement execute function feed_changed()`,
];
