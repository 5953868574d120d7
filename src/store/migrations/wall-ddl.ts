import { CLASSES, LOG_WRITER, OWNER, READERS, VIEWER, WRITER } from '../roles.ts';
import { namedFunction, NAMES_INDEX } from './wall-names-ddl.ts';
import { PLAYS, TIED } from './wall-ties-ddl.ts';

/**
 * The second wall (design §4): PostgreSQL itself gives a reader nothing outside the grant, whatever statement it is sent.
 *
 * A read runs as the reader role of the grant's classes (roles.ts), with the grant's scopes in the setting `hub.scopes` of its transaction and
 * `wall` as its only schema. There the tables of the hub are views: columns are granted by class, rows are tested against the scopes by row
 * security on the tables, and the values of a class come field by field as the scopes that hold the row give them – rows and fields of different
 * rules never mix. Readers have no privilege on the tables. Without the setting there are no scopes, and without scopes no rows.
 *
 * History is one view with a barrier instead: a version is shown by what it said, not by what its record says now.
 */
const SCOPES = `create function wall.scopes()
  returns table (subjects text[], categories smallint[], kinds text[], region text, above text[], public_only boolean, tie jsonb, fields jsonb)
  language sql stable as $$
    select s.subjects, s.categories, s.kinds, s.region, s.above, s."publicOnly", s.tie, s.fields
    from jsonb_to_recordset(nullif(current_setting('hub.scopes', true), '')::jsonb)
      as s(subjects text[], categories smallint[], kinds text[], region text, above text[], "publicOnly" boolean, tie jsonb, fields jsonb) $$`;

/** Whether a row lies in scope `s`. What a scope leaves out is never "any": null makes the whole test fail. */
const regionHeld = (region: string) => `(s.region = '' or starts_with(${region}, s.region) or ${region} = any(s.above))`;
/** Most scopes ask for no tie to the subject, and then no function is called. */
const tieHeld = (subject: string, categories: string, asSubject: boolean) =>
  `(s.tie = '"none"' or wall.tied(s.tie, ${subject}, ${categories}, ${asSubject}))`;
const recordHeld = (
  r: string,
  kind = `${r}.subject_kind`,
  region = `${r}.region`,
  subject = `${r}.subject_id`,
) => `${r}.category = any(s.categories) and ${kind} = any(s.subjects)
    and (s.kinds = '{*}' or ${r}.kind = any(s.kinds)) and (not s.public_only or ${r}.publicity = 'public')
    and ${regionHeld(region)} and ${tieHeld(subject, `array[${r}.category]`, false)}`;
const subjectHeld = (t: string) =>
  `${t}.kind = any(s.subjects) and ${regionHeld(`${t}.region`)} and ${tieHeld(`${t}.id`, 's.categories', true)}`;
const versionHeld = recordHeld('v', 'c.subject_kind', 'coalesce(v.region, o.region)', 'c.subject_id');

/** Whether every scope gives a whole class wherever it gives rows at all, as the grant's setting says: then no row needs to be asked. */
const WHOLE = `create function wall.whole(class text) returns boolean language sql stable as $$
  select coalesce(class = any(string_to_array(current_setting('hub.whole', true), ',')), false) $$`;

const ALL_CLASSES = ['open', ...CLASSES];
const SHOWN = ALL_CLASSES.map((c) => `f.${c}`).join(', ');
/** The values of a class as the scopes `s` that hold the row give them: all, or field by field those that one of them gives. */
const pick = (r: string, type: string, column: string) => `case when (select wall.whole('${column}')) then ${r}.${column} else (
    select jsonb_object_agg(e.key, e.value) from jsonb_each(${r}.${column}) e
    where exists (select from unnest(array_agg(s.fields -> ${type})) one where one -> '${column}' = 'true' or one -> '${column}' ? e.key)) end as ${column}`;
/** Not asked for by a statement, not computed: as one aggregate of one row it is worked out once a row, or left out of the plan. */
const fieldsOf = (r: string, type: string, held: string) => `left join lateral (
    select ${ALL_CLASSES.map((column) => pick(r, type, column)).join(', ')} from wall.scopes() s where ${held}) f on true`;

const RECORD = `id, subject_id, subject_kind, category, kind, publicity, region, connector, stream, source_version, version, deleted, withheld, mark, disputed,
  ordered_on, occurred_on, valid_from, valid_to, fact, recorded_at, changed_at`;
const SUBJECT = 'id, kind, region, roles, merged_into, withheld';
const HISTORY = `id, subject_id, subject_kind, category, kind, publicity, region, connector, stream, source_version, version, deleted, withheld, late,
  mark, disputed, disputed_now,
  occurred_on, valid_from, valid_to, fact, recorded_at, superseded_at, first_recorded_at`;
const of = (alias: string, columns: string) => columns.replaceAll(/\w+/g, `${alias}.$&`);

const VIEWS = [
  `create view wall.subject as select ${of('t', SUBJECT)}, ${SHOWN} from public.subject t ${fieldsOf('t', 't.kind', `t.withheld is null and ${subjectHeld('t')}`)}`,
  `create view wall.record as select ${of('t', RECORD)}, ${SHOWN} from public.record t ${fieldsOf('t', 't.category::text', recordHeld('t'))}`,
  `create view wall.subject_identifier as select token, subject_id from public.subject_identifier`,
  // Of consents and cases what concerns the scopes: the statements of a read ask them too.
  `create view wall.consent as select token, department, person, purposes, categories, valid_from, valid_until, revoked_at from public.consent c
   where exists (select from wall.scopes() s where s.tie->>'by' = 'consented' and s.tie->>'purpose' = any(c.purposes)
     and (c.person = s.tie->>'person' or c.department = s.tie->>'department'))`,
  `create view wall.registered_case as select id, number, department, region, officer, closed_on from public.registered_case k
   where exists (select from wall.scopes() s where s.tie->>'by' = 'own-case' and s.tie->>'number' = k.number and s.tie->>'department' = k.department)`,
  `create view wall.case_subject as select case_id, token from public.case_subject x where exists (select from wall.registered_case k where k.id = x.case_id)`,
  // Keys of persons, sealed under the hub's own.
  `create view wall.subject_key as select subject_id, wrapped from public.subject_key`,
  `create view wall.relation as select id, subject_id, related_id, kind, valid_from, valid_to, record_id from public.relation`,
  // Which version was the current one at a moment hangs on versions that the scopes may not hold: when the next one came is told, and nothing else of it.
  `create view wall.record_history with (security_barrier) as
   select c.id, c.subject_id, c.subject_kind, v.category, v.kind, v.publicity, coalesce(v.region, o.region) as region, c.connector, c.stream,
     v.source_version, v.version, v.deleted, c.withheld, v.late, v.mark, v.disputed, c.disputed as disputed_now, v.occurred_on, v.valid_from, v.valid_to, v.fact, v.recorded_at,
     (select min(n.recorded_at) from public.record_version n where n.record_id = v.record_id and n.version > v.version and not n.late) as superseded_at,
     c.recorded_at as first_recorded_at, ${SHOWN}
   from public.record_version v join public.record c on c.id = v.record_id join public.subject o on o.id = c.subject_id ${fieldsOf('v', 'v.category::text', versionHeld)}
   where not c.withheld and exists (select from wall.scopes() s where ${versionHeld})`,
];

const GUARDED = ['subject', 'subject_identifier', 'subject_code', 'subject_merge', 'record', 'record_version', 'relation', 'subject_key'];
const ROWS: Readonly<Record<string, string>> = {
  subject: `exists (select from wall.scopes() s where ${subjectHeld('subject')})`,
  // Nothing of a person whose information may only be kept, or was erased (PIPL 47).
  record: `not withheld and exists (select from wall.scopes() s where ${recordHeld('record')})`,
  subject_identifier: 'exists (select from public.subject t where t.id = subject_identifier.subject_id)',
  subject_key: 'exists (select from public.subject t where t.id = subject_key.subject_id)',
  relation: 'exists (select from public.record t where t.id = relation.record_id and not t.deleted)',
};

const namesOf = (ddl: readonly string[], pattern: RegExp) => ddl.flatMap((statement) => pattern.exec(statement)?.[1] ?? []);

/** Privileges on the query log: its writer appends, everybody else of the hub reads. Nobody changes or deletes; only the owner makes partitions. */
function logGrants(tables: readonly string[]): string[] {
  return tables.flatMap((table) => [
    `grant select on ${table} to ${WRITER}, ${LOG_WRITER}`,
    `grant insert on ${table} to ${table === 'query_log' ? LOG_WRITER : `${WRITER}, ${LOG_WRITER}`}`,
    // Where the sealer stands, which it remembers for itself.
    ...(table === 'log_sealed' ? [`grant update on log_sealed to ${WRITER}`] : []),
    ...(table === 'log_writer' ? [`grant update (closed_seq, closed_hash) on log_writer to ${LOG_WRITER}`] : []),
  ]);
}

/** Privileges, row security and views over what `ddl` made; all of it comes to belong to the owner role. Runs after it, in the same migration. */
export function wallDdl(ddl: readonly string[]): string[] {
  const tables = namesOf(ddl, /^create table (\w+)/);
  const log = tables.filter((table) => /^(query_log|log_)/.test(table));
  const functions = namesOf(ddl, /^create function (\w+)/);
  const sequences = namesOf(ddl, /^create sequence (\w+)/);
  const readers = [...READERS.keys()].join(', ');
  return [
    'create schema wall',
    `grant usage on schema public to ${OWNER}, ${VIEWER}, ${WRITER}, ${LOG_WRITER}`,
    `grant create on schema public to ${OWNER}`,
    `grant usage on schema wall to ${OWNER}, ${VIEWER}, ${readers}`,
    `grant create on schema wall to ${OWNER}, ${VIEWER}`,
    SCOPES,
    WHOLE,
    TIED,
    PLAYS,
    namedFunction(subjectHeld('t')),
    NAMES_INDEX,
    ...VIEWS,
    ...GUARDED.flatMap((table) => [
      `alter table ${table} enable row level security`,
      `create policy hub_writes on ${table} to ${WRITER} using (true) with check (true)`,
    ]),
    ...Object.entries(ROWS).map(([table, test]) => `create policy hub_reads on ${table} for select to ${VIEWER} using (${test})`),
    `grant select (${SUBJECT}, ${ALL_CLASSES.join(', ')}) on subject to ${VIEWER}`,
    `grant select (${RECORD}, ${ALL_CLASSES.join(', ')}) on record to ${VIEWER}`,
    `grant select (token, subject_id) on subject_identifier to ${VIEWER}`,
    `grant select (subject_id, wrapped) on subject_key to ${VIEWER}`,
    `grant select on relation, consent, registered_case, case_subject to ${VIEWER}`,
    ...[...READERS].flatMap(([role, classes]) => [
      `grant select (${[SUBJECT, 'open', ...classes].join(', ')}) on wall.subject to ${role}`,
      `grant select (${[RECORD, 'open', ...classes].join(', ')}) on wall.record to ${role}`,
      `grant select (${[HISTORY, 'open', ...classes].join(', ')}) on wall.record_history to ${role}`,
      ...(classes.includes('sealed') ? [`grant select on wall.subject_key to ${role}`] : []),
    ]),
    `grant select on wall.subject_identifier, wall.relation, wall.consent, wall.registered_case, wall.case_subject to ${readers}`,
    ...tables.filter((table) => !log.includes(table)).map((table) => `grant select, insert, update, delete on ${table} to ${WRITER}`),
    ...sequences.map((sequence) => `grant usage on sequence ${sequence} to ${WRITER}`),
    ...logGrants(log),
    ...['subject', 'record', 'subject_identifier', 'subject_key', 'relation', 'consent', 'registered_case', 'case_subject'].map(
      (view) => `alter view wall.${view} owner to ${VIEWER}`,
    ),
    `alter view wall.record_history owner to ${OWNER}`,
    ...[
      'scopes()',
      'whole(text)',
      'tied(jsonb, bigint, smallint[], boolean)',
      'plays(bigint, text[])',
      'named(text, text, text, bigint, int)',
    ].map((one) => `alter function wall.${one} owner to ${OWNER}`),
    ...functions.flatMap((one) => [
      `alter function ${one} owner to ${OWNER}`,
      `revoke all on function ${one} from public`,
      `grant execute on function ${one} to ${WRITER}`,
    ]),
    ...sequences.map((sequence) => `alter sequence ${sequence} owner to ${OWNER}`),
    ...tables.map((table) => `alter table ${table} owner to ${OWNER}`),
    // They had it to take over what is theirs.
    `revoke create on schema wall from ${OWNER}, ${VIEWER}`,
  ];
}

/** For a log without a hub around it. */
export const logWallDdl = (ddl: readonly string[]): string[] => [
  `grant usage on schema public to ${WRITER}, ${LOG_WRITER}`,
  ...logGrants(namesOf(ddl, /^create table (\w+)/)),
];
