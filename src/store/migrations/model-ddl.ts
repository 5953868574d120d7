/**
 * Which model decided when (U4, U11): the texts of every version that was in use, and the moments at which the hub changed from one to another. And what
 * the query log says about the use of fields, added up by day (U7), with how far each writer's chain has been counted.
 */
export const MODEL_DDL: readonly string[] = [
  `create table model_version (version text primary key, texts jsonb not null)`,
  `create table model_use (
     id bigint generated always as identity primary key,
     version text not null references model_version, since timestamptz not null default clock_timestamp())`,
  `create table field_usage (
     day date not null, department text not null, role text not null, purpose text not null, coordinate text not null, queries bigint not null,
     primary key (day, department, role, purpose, coordinate))`,
  `create table field_usage_position (writer int primary key, seq bigint not null)`,
];
