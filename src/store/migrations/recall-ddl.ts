/**
 * Recalls (HN-27, HN-24.2): a decision that a fact is taken back, and one task for each that has it – a platform by its row of the outbox, an office
 * by its own answer. A decision is one row, however often it is entered; the tasks are made with its approval. `shown` has what was taken back as it was
 * until then, while an answer that was read before may still reach the log.
 */
export const RECALL_DDL: readonly string[] = [
  `create table recall (
     id bigint generated always as identity primary key, record_id bigint not null references record, fact bytea not null,
     subject_id bigint not null references subject, category smallint not null, region text not null,
     cause text not null, decided_on date not null, number text not null, authority text not null, article text not null,
     state text not null default 'proposed' check (state in ('proposed', 'approved', 'rejected')),
     proposed_by text not null, proposed_name text not null, proposed_department text not null, proposed_at timestamptz not null default now(),
     reviewed_by text, reviewed_name text, reviewed_at timestamptz, note text, shown jsonb,
     check (reviewed_by is distinct from proposed_by), check ((state = 'proposed') = (reviewed_by is null)))`,
  `create unique index recall_once on recall (record_id, authority, number) where state <> 'rejected'`,
  `create index recall_shown on recall (id) where shown is not null`,
  `create index recall_region on recall (region text_pattern_ops, id)`,
  `create table recall_task (
     id bigint generated always as identity primary key, recall_id bigint not null references recall,
     outbox_id bigint references outbox, department text, region text,
     state text not null default 'open' check (state in ('open', 'refused', 'done')),
     answered_by text, answered_name text, answered_at timestamptz, reason text, created_at timestamptz not null default now(),
     unique (recall_id, outbox_id), unique (recall_id, department, region),
     check ((outbox_id is null) = (department is not null)), check ((department is null) = (region is null)),
     check (outbox_id is null or state = 'open'), check ((state = 'open') = (answered_by is null)))`,
  `create index recall_task_office on recall_task (department, region, id) where department is not null`,
];
