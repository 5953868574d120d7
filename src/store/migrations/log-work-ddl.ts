/**
 * What people do with the query log: exports and deferrals take two persons, which the tables themselves demand; alarms are counted from entries.
 * None of it is part of the log: each act leaves its own entry there.
 */
const FOUR_EYES = `requested_by text not null, requested_name text not null, requested_at timestamptz not null default clock_timestamp(),
     state text not null default 'requested' check (state in ('requested', 'approved', 'rejected')),
     decided_by text, decided_name text, decided_at timestamptz, decision_reason text,
     check (decided_by is distinct from requested_by),
     check ((state = 'requested') = (decided_by is null)), check ((decided_by is null) = (decided_at is null))`;

export const LOG_WORK_DDL: readonly string[] = [
  `create index query_log_kind on query_log (kind, at) where kind <> 'query'`,
  `create index query_log_outcome on query_log (outcome, at) where outcome <> 'answered'`,
  `create table export_request (
     id bigint generated always as identity primary key,
     filter jsonb not null, format text not null check (format in ('ndjson', 'csv')), reason text not null check (reason <> ''),
     ${FOUR_EYES},
     downloaded_at timestamptz, rows int, sha256 text,
     check (downloaded_at is null or state = 'approved'), check ((downloaded_at is null) = (sha256 is null)))`,
  `create table notice_deferral (
     id bigint generated always as identity primary key,
     department text not null, case_number text not null check (case_number <> ''), basis text not null check (basis <> ''),
     requested_on date not null, release_on date not null check (release_on > requested_on), ${FOUR_EYES})`,
  `create index notice_deferral_case on notice_deferral (department, case_number) where state = 'approved'`,
  `create table misuse_alarm (
     id bigint generated always as identity primary key,
     rule text not null, person text not null, person_name text not null, department text not null, subject bytea not null default '',
     window_start timestamptz not null, window_end timestamptz not null, count int not null, threshold int not null,
     raised_at timestamptz not null default clock_timestamp(),
     acknowledged_by text, acknowledged_name text, acknowledged_at timestamptz, reason text,
     unique (rule, person, subject, window_start),
     check ((acknowledged_by is null) = (acknowledged_at is null)), check ((acknowledged_by is null) = (reason is null)),
     check (acknowledged_by is distinct from person), check (reason <> ''))`,
  `create index misuse_alarm_open on misuse_alarm (id) where acknowledged_by is null`,
  `create table misuse_alarm_mark (one boolean primary key default true check (one), counted_to timestamptz not null)`,
];
