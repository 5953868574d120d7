/** Which tables a person was shown of late (U28): two tables that differ by a few subjects tell of these. */
export const STATISTICS_DDL: readonly string[] = [
  `create table statistics_asked (
     person text not null, predicate jsonb not null, dimensions text[] not null, asked_at timestamptz not null default now(),
     primary key (person, predicate, dimensions))`,
  `create index statistics_asked_recent on statistics_asked (person, asked_at)`,
];
