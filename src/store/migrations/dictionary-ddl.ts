/** Code tables of the platforms, as they are now. They are no credit information: nobody's history hangs on them. */
export const DICTIONARY_DDL: readonly string[] = [
  `create table dictionary_value (
     id bigint generated always as identity unique,
     source text not null, type text not null, code text not null, region text not null,
     name text not null, parent text, valid boolean not null, valid_from date, valid_to date,
     version text, changed_at timestamptz not null default now(),
     primary key (source, type, code, region))`,
  `create index dictionary_value_type on dictionary_value (type, id)`,
];
