/**
 * Objections (HN-24): while one is open, every record of its fact is marked wherever it is shown or sent, and keeps its effect (U15). Nothing of what the
 * subject said is kept here: it is in the file of the case, under `number`.
 */
export const OBJECTION_DDL: readonly string[] = [
  `create table objection (
     id bigint generated always as identity primary key, record_id bigint not null references record,
     subject_id bigint not null references subject, category smallint not null, region text not null,
     ground text not null, number text not null, received_on date not null,
     state text not null default 'open' check (state in ('open', 'upheld', 'rejected', 'withdrawn')),
     opened_by text not null, opened_name text not null, opened_at timestamptz not null default now(),
     closed_by text, closed_name text, closed_at timestamptz, note text,
     check ((state = 'open') = (closed_by is null)))`,
  `create unique index objection_once on objection (record_id, number)`,
  `create index objection_open on objection (record_id) where state = 'open'`,
  `create index objection_region on objection (region text_pattern_ops, id)`,
];
