/**
 * Keys of persons and their erasure (PIPL 47). What is sealed of a person lies under a key of the person's own; `wrapped` is that key, sealed under
 * the key ring. Destroying it makes every copy of what it sealed unreadable: rows, history, dumps. The record of the erasure stays.
 */
export const ERASURE_DDL: readonly string[] = [
  `create table subject_key (
     subject_id bigint primary key references subject, wrapped text,
     created_at timestamptz not null default now(), destroyed_at timestamptz,
     check ((wrapped is null) = (destroyed_at is not null)))`,
  `create table erasure (
     id bigint generated always as identity primary key, subject_id bigint not null references subject, region text,
     state text not null default 'requested' check (state in ('requested', 'rejected', 'restricted', 'erased')),
     basis text not null,
     requested_by text not null, requested_name text not null, requested_department text not null, requested_at timestamptz not null default now(),
     reviewed_by text, reviewed_name text, reviewed_at timestamptz, note text,
     keep_until date, article text, erased_at timestamptz,
     check (reviewed_by is distinct from requested_by), check ((state = 'requested') = (reviewed_by is null)),
     check ((state = 'erased') = (erased_at is not null)))`,
  `create unique index erasure_open on erasure (subject_id) where state in ('requested', 'restricted')`,
];
