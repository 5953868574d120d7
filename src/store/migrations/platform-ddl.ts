/**
 * How each platform is used: one row a connector, which all worker processes share. Calls are taken from the budgets in handfuls (src/rules/budget.ts),
 * so the row is written some times a second at most, not once a call.
 */
export const PLATFORM_DDL: readonly string[] = [
  `create table platform (
     connector text primary key,
     paused boolean not null default false, paused_by text, paused_name text, paused_at timestamptz, pause_reason text,
     usage jsonb, breaker jsonb, check (not paused or pause_reason <> ''))`,
  // Dead letters: looked for by whoever has to see to them. One that is lost when it is given up takes two persons.
  `create index outbox_dead on outbox (connector, stream, id) where state in ('refused', 'withheld', 'unknown')`,
  `create table outbox_discard (
     id bigint generated always as identity primary key, outbox_id bigint not null references outbox, reason text not null check (reason <> ''),
     requested_by text not null, requested_name text not null, requested_at timestamptz not null default now(),
     state text not null default 'requested' check (state in ('requested', 'approved', 'rejected')),
     decided_by text, decided_name text, decided_at timestamptz, decision_reason text,
     check (decided_by is distinct from requested_by), check ((state = 'requested') = (decided_by is null)))`,
  `create unique index outbox_discard_open on outbox_discard (outbox_id) where state = 'requested'`,
  // A cursor that a person moved back, and where it stood before: what is re-read is never guessed.
  `create table cursor_change (
     id bigint generated always as identity primary key, connector text not null, stream text not null,
     before jsonb, backfill_from date not null, changed_by text not null, changed_name text not null, reason text not null check (reason <> ''),
     changed_at timestamptz not null default now())`,
];
