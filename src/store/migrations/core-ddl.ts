/**
 * Subjects, records, versions and the tables of the sync. Values of a record are kept by sensitivity, one jsonb column a class, so that a
 * column that is not granted is not read at all and PostgreSQL's column privileges can stand as a second wall; `masks` holds what a masked
 * caller sees, made when the value is stored.
 */
const CLASSES = `open jsonb not null default '{}', internal jsonb, commercial jsonb, personal jsonb, sealed jsonb, masks jsonb`;

export const CORE_DDL: readonly string[] = [
  `create sequence subject_id_seq`,
  `create table subject (
     id bigint primary key default nextval('subject_id_seq'),
     kind text not null check (kind in ('organisation', 'person')),
     region text, roles text[] not null default '{}',
     ${CLASSES},
     named_by_registration boolean not null default false, merged_into bigint references subject,
     withheld text check (withheld in ('restricted', 'erased')),
     created_at timestamptz not null default now(), changed_at timestamptz not null default now())`,
  `create index subject_region on subject (kind, region text_pattern_ops, id)`,
  `create index subject_name on subject ((open->>'name'))`,
  `create table subject_identifier (
     token bytea primary key, scheme text not null,
     subject_id bigint not null references subject, created_at timestamptz not null default now())`,
  `create index subject_identifier_subject on subject_identifier (subject_id)`,
  `create table subject_code (
     scheme text not null, code text not null, subject_id bigint not null references subject,
     primary key (scheme, code))`,
  `create table subject_merge (
     id bigint generated always as identity primary key, from_id bigint not null references subject, into_id bigint not null references subject,
     tokens bytea[] not null, codes jsonb not null, records bigint[] not null,
     relations bigint[] not null, merged_at timestamptz not null default now(),
     added_roles text[] not null, added_name boolean not null,
     undone_at timestamptz, undone_by text, reason text)`,
  `create index subject_merge_open on subject_merge (into_id) where undone_at is null`,
  `create index subject_merge_undone on subject_merge (from_id) where undone_at is not null`,
  `create sequence record_id_seq`,
  `create table record (
     id bigint primary key default nextval('record_id_seq'),
     subject_id bigint not null references subject, subject_kind text not null,
     category smallint not null check (category between 1 and 12), kind text not null, publicity text not null,
     region text, region_inherited boolean not null default false,
     connector text not null, stream text not null, source_key text not null,
     source_version text, version int not null default 1, deleted boolean not null default false, withheld boolean not null default false,
     mark text, disputed boolean not null default false, ended boolean not null default false,
     ordered_on date not null, occurred_on date, valid_from date, valid_to date,
     fact bytea not null, content bytea not null,
     ${CLASSES},
     run_id bigint not null, recorded_at timestamptz not null default now(), changed_at timestamptz not null default now(),
     unique (connector, stream, source_key))`,
  `create index record_subject on record (subject_id, category, ordered_on desc, id desc)`,
  `create index record_category on record (category, ordered_on desc, id desc)`,
  `create index record_newest on record (ordered_on desc, id desc)`,
  `create index record_fact on record (fact)`,
  // Their publication ended for good (HN-27): no later version is public again, or sent.
  `create index record_ended on record (id) where ended`,
  `create table record_version (
     record_id bigint not null references record, version int not null, late boolean not null default false,
     category smallint not null, kind text not null, publicity text not null,
     source_version text, confirmed text, deleted boolean not null, mark text, disputed boolean not null default false,
     fact bytea not null, content bytea not null,
     region text, occurred_on date, valid_from date, valid_to date,
     ${CLASSES},
     run_id bigint not null, recorded_at timestamptz not null default now(),
     primary key (record_id, version))`,
  `create index record_version_fact on record_version (fact)`,
  `create table relation (
     id bigint generated always as identity primary key, subject_id bigint not null references subject, related_id bigint not null references subject,
     kind text not null, valid_from date, valid_to date, record_id bigint not null references record, unique (record_id, kind, related_id))`,
  `create index relation_subject on relation (subject_id)`,
  `create index relation_related on relation (related_id)`,
  `create table stream_state (
     connector text not null, stream text not null, fence bigint not null default 0, cursor jsonb, cursor_at timestamptz,
     paused boolean not null default false, paused_by text, paused_name text, paused_at timestamptz, pause_reason text,
     deferred_until timestamptz, deferred_why text,
     asked_at timestamptz, asked_by text, asked_name text, ask_reason text, backfill_from date,
     primary key (connector, stream), check (not paused or pause_reason <> ''), check ((asked_at is null) = (asked_by is null)))`,
  `create table run (
     id bigint generated always as identity primary key,
     connector text not null, stream text not null, direction text not null check (direction in ('pull', 'push')),
     state text not null check (state in ('running', 'done', 'failed', 'broken', 'stopped', 'interrupted', 'deferred')),
     trigger text not null, asked_by text, officer_id text not null, officer_name text not null,
     started_at timestamptz not null default now(), ended_at timestamptz,
     pages int not null default 0, taken bigint not null default 0, stored bigint not null default 0, unchanged bigint not null default 0,
     issues bigint not null default 0, pushed bigint not null default 0, receipts bigint not null default 0, error text)`,
  `create index run_stream on run (connector, stream, id desc)`,
  `create table issue (
     id bigint generated always as identity primary key,
     connector text not null, stream text not null, fingerprint bytea not null,
     rule text not null, at text not null, place text not null, reason text not null, refused boolean not null,
     raw text, tokens bytea[] not null default '{}', state text not null default 'open' check (state in ('open', 'fixed', 'dismissed')),
     seen int not null default 1, first_run bigint not null, last_run bigint not null,
     resolution text, handled_by text,
     created_at timestamptz not null default now(), changed_at timestamptz not null default now(),
     unique (connector, stream, fingerprint, rule, place))`,
  // Persons whose numbers a raw record holds: what is erased with them.
  `create index issue_tokens on issue using gin (tokens) where tokens <> '{}'`,
  // One row for each thing that a platform is to be told: a version of a record, or that what it received is taken back. `sent`: it may have arrived.
  // `unknown`: it may have arrived, nobody can be asked, a person decides. `draft` is the number of what the platform keeps without effect,
  // or the name of the batch file that holds it.
  `create table outbox (
     id bigint generated always as identity primary key,
     connector text not null, stream text not null, record_id bigint not null, version int not null, subject_id bigint not null,
     act text not null default 'publish' check (act in ('publish', 'recall')), cause text, draft text,
     state text not null default 'waiting' check (state in ('waiting', 'sent', 'unknown', 'done', 'refused', 'superseded', 'withheld', 'discarded')),
     attempts int not null default 0, created_at timestamptz not null default now(), changed_at timestamptz not null default now(), reason text,
     unique (connector, stream, record_id, version, act), check ((act = 'recall') = (cause is not null)))`,
  `create index outbox_open on outbox (connector, stream, id) where state in ('waiting', 'sent', 'unknown')`,
  `create index outbox_doubtful on outbox (connector, stream, subject_id, id) where state in ('sent', 'unknown')`,
  `create index outbox_record on outbox (record_id)`,
  `create table receipt (
     outbox_id bigint primary key references outbox, number text not null, received_at text not null, signature text, told_by text,
     created_at timestamptz not null default now())`,
  // WG-9: somebody compared a record with the provider's files; what was found, never the values.
  `create table spot_check (
     id bigint generated always as identity primary key, record_id bigint not null references record, version int not null,
     passed boolean not null, note text not null, checked_by text not null, checked_at timestamptz not null default now())`,
  `create index spot_check_record on spot_check (record_id)`,
  // Manual entry and self-declared information (HN-6.2, HN-16(1)): nothing here is credit information before a second person approves it.
  `create table submission (
     id bigint generated always as identity primary key,
     category smallint not null, kind text not null, region text not null, sealed text, tokens bytea[] not null default '{}',
     basis text not null, route text not null,
     entered_by text not null, entered_name text not null, entered_department text not null, entered_at timestamptz not null default now(),
     state text not null default 'entered' check (state in ('entered', 'approved', 'rejected')),
     reviewed_by text, reviewed_name text, reviewed_at timestamptz, reason text, record_id bigint references record,
     check (reviewed_by is distinct from entered_by), check ((state = 'entered') = (reviewed_by is null)))`,
  `create index submission_open on submission (region text_pattern_ops, id) where state = 'entered'`,
];
