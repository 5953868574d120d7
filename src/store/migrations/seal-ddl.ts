/**
 * What holds the query log together: checkpoints (canonical bytes, signed) and the cosignatures of a witness. `log_sealed` only remembers where the
 * sealer stands, so that it need not read every checkpoint when it starts: whoever changes it makes the sealer contradict itself in the open.
 * The triggers are those of the log: they slow a hand down; it is signatures and the witness that find a change.
 */
export const SEAL_DDL: readonly string[] = [
  `create table log_checkpoint (
     n bigint primary key,
     at timestamptz not null,
     rows int not null,
     month text,
     body bytea not null,
     hash bytea not null,
     key text not null,
     signature bytea not null
   )`,
  `create unique index log_checkpoint_month on log_checkpoint (month) where month is not null`,
  `create table log_sealed (writer int primary key, seq bigint not null, hash bytea not null, at timestamptz not null, n bigint not null)`,
  `create table log_cosignature (
     n bigint not null,
     key text not null,
     at timestamptz not null,
     signature bytea not null,
     primary key (n, key)
   )`,
  ...['log_checkpoint', 'log_cosignature'].flatMap((table) => [
    `create trigger append_only before update or delete on ${table} for each row execute function log_append_only()`,
    `create trigger no_truncate before truncate on ${table} for each statement execute function log_append_only()`,
  ]),
];
