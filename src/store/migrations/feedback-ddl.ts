/**
 * WG-9: refused records go back to who provided them. One row a file: prepared with its issues in one transaction, sent as often as it takes, the
 * same bytes under the same name; `number` is the receipt. It holds what is wrong and where, no value of a record.
 */
export const FEEDBACK_DDL: readonly string[] = [
  `create table feedback (
     id bigint generated always as identity primary key,
     connector text not null, file_name text not null unique, content bytea not null, issues int not null,
     prepared_at timestamptz not null default now(),
     number text, kept_until text, sent_at timestamptz, run_id bigint references run,
     check ((number is null) = (sent_at is null)))`,
  `create index feedback_waiting on feedback (connector, id) where number is null`,
  // An issue goes back once; one that was fixed and came again goes back again.
  `alter table issue add column feedback_id bigint references feedback`,
  `create index issue_unreturned on issue (connector, id) where refused and state = 'open' and feedback_id is null`,
];
