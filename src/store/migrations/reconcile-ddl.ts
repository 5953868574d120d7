/**
 * U24: what was compared with the platforms, and what came of it. Keys of what differs are sealed, all of them: a key may hold a person's number;
 * `tokens` say of whom, so that they go with the person. A run can only be green with evidence (U25): the platform answered, every cell was compared,
 * and nothing differs.
 */
export const RECONCILE_DDL: readonly string[] = [
  `create table reconciliation (
     id bigint generated always as identity primary key,
     connector text not null, stream text not null, direction text not null check (direction in ('pull', 'push')),
     method text check (method in ('asked', 'listed', 'reread')), day date, until text,
     state text not null default 'running' check (state in ('running', 'green', 'red', 'unproven')),
     trigger text not null, officer_id text not null, officer_name text not null,
     started_at timestamptz not null default now(), ended_at timestamptz, answered_at timestamptz,
     ours bigint not null default 0, theirs bigint not null default 0, accounted bigint not null default 0, differences bigint not null default 0,
     cells int not null default 0, reason text,
     asked_by text, asked_name text, asked_reason text, asked_at timestamptz, corrected_at timestamptz, corrected bigint, corrected_by bigint references reconciliation,
     check (state <> 'green' or (answered_at is not null and differences = 0)), check (state <> 'red' or differences > 0),
     check (state <> 'unproven' or reason is not null), check ((asked_by is null) = (asked_at is null)))`,
  `create index reconciliation_stream on reconciliation (connector, stream, id desc)`,
  `create index reconciliation_asked on reconciliation (id) where asked_at is not null and corrected_at is null`,
  `create table reconciliation_cell (
     reconciliation_id bigint not null references reconciliation on delete cascade, category smallint not null, day text not null, region text not null,
     ours bigint not null, ours_hash text not null, theirs bigint not null, theirs_hash text not null,
     accounted bigint not null, differences bigint not null, proof text not null check (proof in ('hash', 'keys')),
     primary key (reconciliation_id, category, day, region), check (proof = 'keys' or (ours = theirs and ours_hash = theirs_hash and differences = 0)))`,
  `create table reconciliation_difference (
     id bigint generated always as identity primary key,
     reconciliation_id bigint not null references reconciliation on delete cascade, category smallint not null, day text not null, region text not null,
     kind text not null check (kind in ('not-here', 'not-there', 'differs')), sealed text, tokens bytea[] not null default '{}')`,
  `create index reconciliation_difference_of on reconciliation_difference (reconciliation_id, id)`,
  `create index reconciliation_difference_tokens on reconciliation_difference using gin (tokens) where tokens <> '{}'`,
];
