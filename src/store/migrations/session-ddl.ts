/** Tokens that are not taken any more, though they are not over: one token by its id, or all that a person was given before a moment. */
export const SESSION_DDL: readonly string[] = [
  `create table revocation (
     id bigint generated always as identity primary key,
     token_id text, person text,
     issued_before timestamptz not null default clock_timestamp(),
     reason text not null, revoked_by text not null, revoked_name text not null,
     revoked_at timestamptz not null default clock_timestamp(),
     check (num_nonnulls(token_id, person) = 1))`,
];
