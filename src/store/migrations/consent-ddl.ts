/**
 * Consents of subjects (HN-23.1) and cases with their subjects. Both name a subject by the blind token of its statutory code, not by its row: they
 * may come before the first record of the subject does, and a merger of subjects leaves them true. A revoked consent and a closed case stay.
 */
export const CONSENT_DDL: readonly string[] = [
  `create table consent (
     id bigint generated always as identity primary key, token bytea not null,
     department text, person text, check ((department is null) <> (person is null)),
     purposes text[] not null check (cardinality(purposes) > 0), categories smallint[] not null check (cardinality(categories) > 0),
     valid_from date not null, valid_until date not null, check (valid_from <= valid_until),
     channel text not null, sealed text not null,
     given_by text not null, given_name text not null, given_at timestamptz not null default now(),
     revoked_at timestamptz, revoked_by text, revoked_name text, check ((revoked_at is null) = (revoked_by is null)))`,
  `create index consent_token on consent (token, id)`,
  `create table registered_case (
     id bigint generated always as identity primary key, number text not null, department text not null, region text not null,
     officer text not null, officer_name text not null, basis text not null,
     registered_by text not null, registered_name text not null, registered_at timestamptz not null default now(),
     closed_on date, closed_by text, unique (department, number))`,
  `create table case_subject (
     case_id bigint not null references registered_case, token bytea not null, primary key (token, case_id))`,
];
