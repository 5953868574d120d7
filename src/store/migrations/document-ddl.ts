/**
 * The documents that may be asked where only registered ones may (P14): the exact text by its SHA-256, and who may ask it for what. `role` is empty for
 * every role of the department. A document that is withdrawn stays, so that the log can be read.
 */
export const DOCUMENT_DDL: readonly string[] = [
  `create table trusted_document (
     hash text not null check (hash ~ '^[0-9a-f]{64}$'), department text not null, role text not null, purpose text not null,
     operation text not null, text text not null,
     registered_by text not null, registered_at timestamptz not null default clock_timestamp(),
     withdrawn_by text, withdrawn_at timestamptz,
     primary key (hash, department, role, purpose))`,
];
