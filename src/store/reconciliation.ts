import { Refused } from '../errors.ts';
import type { Keys } from './keys.ts';
import { personTokens, sealPersonal } from './personal.ts';
import type { Trigger } from './runs.ts';
import { RECONCILE_CONTEXT } from './sealed-places.ts';
import { openerOf } from './subject-keys.ts';
import type { Sql } from './sql.ts';

export type ReconciliationState = 'running' | 'green' | 'red' | 'unproven';
/** One comparison of a stream with its platform. */
export interface Reconciliation {
  id: number;
  connector: string;
  stream: string;
  direction: 'pull' | 'push';
  /** `asked`: the platform stated counts and hashes; `listed`: it showed all its keys; `reread`: the hub read everything again. */
  method: 'asked' | 'listed' | 'reread' | null;
  day: string | null;
  state: ReconciliationState;
  reason: string | null;
  startedAt: string;
  endedAt: string | null;
  /** How many each side holds; `accounted` differ for a known reason. */
  ours: number;
  theirs: number;
  accounted: number;
  differences: number;
  cells: number;
  askedBy: string | null;
  askedAt: string | null;
  correctedAt: string | null;
  corrected: number | null;
}
export interface ReconciliationCell {
  category: number;
  day: string;
  region: string;
  ours: number;
  oursHash: string;
  theirs: number;
  theirsHash: string;
  accounted: number;
  differences: number;
  proof: 'hash' | 'keys';
}
export interface ReconciliationDifference {
  kind: 'not-here' | 'not-there' | 'differs';
  category: number;
  day: string;
  region: string;
  /** The platform's key in its parts, and what each side has under it. */
  parts: readonly string[];
  ours: string | null;
  theirs: string | null;
}

const COLUMNS = `id, connector, stream, direction, method, day, state, reason, started_at as "startedAt", ended_at as "endedAt", ours, theirs, accounted,
  differences, cells, asked_by as "askedBy", asked_at as "askedAt", corrected_at as "correctedAt", corrected`;

/** Begins a comparison; one that a dead process left behind proves nothing. The caller holds the stream's comparison. */
export async function beginReconciliation(
  sql: Sql,
  stream: { connector: string; id: string; direction: 'pull' | 'push' },
  officer: { id: string; name: string },
  trigger: Trigger,
  day: string | undefined,
): Promise<number> {
  await sql.query(
    `update reconciliation set state = 'unproven', ended_at = now(), reason = 'interrupted: 核对过程中断' where connector = $1 and stream = $2 and state = 'running'`,
    [stream.connector, stream.id],
  );
  const { rows } = await sql.query<{ id: number }>(
    'insert into reconciliation (connector, stream, direction, trigger, officer_id, officer_name, day) values ($1, $2, $3, $4, $5, $6, $7) returning id',
    [stream.connector, stream.id, stream.direction, trigger, officer.id, officer.name, day ?? null],
  );
  return rows[0]?.id ?? 0;
}

export interface Compared {
  method: NonNullable<Reconciliation['method']>;
  /** Until which time of the platform; null: everything. */
  until: string | null;
  answeredAt: Date;
  cells: readonly ReconciliationCell[];
  differences: readonly ReconciliationDifference[];
}

/** Keeps what was compared: cells, sealed keys, and the verdict, which follows from them and from nothing else (U25). */
export async function keepComparison(sql: Sql, keys: Keys, id: number, compared: Compared): Promise<Reconciliation> {
  const { cells, differences } = compared;
  const texts = differences.map(({ parts, ours, theirs }) => ({
    text: JSON.stringify({ parts, ours, theirs }),
    tokens: personTokens(keys, parts),
  }));
  return sql.transaction(async (tx) => {
    const sealed = await sealPersonal(tx, keys, texts, RECONCILE_CONTEXT);
    const of = <T>(get: (cell: ReconciliationCell) => T): T[] => cells.map(get);
    await tx.query(
      `insert into reconciliation_cell (reconciliation_id, category, day, region, ours, ours_hash, theirs, theirs_hash, accounted, differences, proof)
       select $1, * from unnest($2::smallint[], $3::text[], $4::text[], $5::bigint[], $6::text[], $7::bigint[], $8::text[], $9::bigint[], $10::bigint[], $11::text[])`,
      [
        id,
        of((c) => c.category),
        of((c) => c.day),
        of((c) => c.region),
        of((c) => c.ours),
        of((c) => c.oursHash),
        of((c) => c.theirs),
        of((c) => c.theirsHash),
        of((c) => c.accounted),
        of((c) => c.differences),
        of((c) => c.proof),
      ],
    );
    await tx.query(
      `insert into reconciliation_difference (reconciliation_id, category, day, region, kind, sealed, tokens)
       select $1, category, day, region, kind, sealed, coalesce((select array_agg(decode(one, 'hex')) from unnest(string_to_array(tokens, ',')) one), '{}')
       from unnest($2::smallint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[]) as t(category, day, region, kind, sealed, tokens)`,
      [
        id,
        differences.map((d) => d.category),
        differences.map((d) => d.day),
        differences.map((d) => d.region),
        differences.map((d) => d.kind),
        sealed.map((s) => s.sealed),
        sealed.map((s) => s.tokens.map((token) => token.toString('hex')).join(',')),
      ],
    );
    await tx.query(
      `update reconciliation r set method = $2, until = $3, answered_at = $4, ended_at = now(), cells = c.cells, ours = c.ours, theirs = c.theirs,
         accounted = c.accounted, differences = d.n, state = case when d.n > 0 or c.differing > 0 then 'red' else 'green' end
       from (select count(*)::int as cells, coalesce(sum(ours), 0) as ours, coalesce(sum(theirs), 0) as theirs, coalesce(sum(accounted), 0) as accounted,
               count(*) filter (where differences > 0) as differing from reconciliation_cell where reconciliation_id = $1) c,
            (select count(*) as n from reconciliation_difference where reconciliation_id = $1) d
       where r.id = $1 and r.state = 'running'`,
      [id, compared.method, compared.until, compared.answeredAt],
    );
    const { rows } = await tx.query<Reconciliation>(`select ${COLUMNS} from reconciliation where id = $1 and state <> 'running'`, [id]);
    const [row] = rows;
    if (row === undefined) throw new Error('a comparison under way is gone');
    return row;
  });
}

/** Nothing is proved: the platform did not answer, or not so that it can be compared. */
export async function leaveUnproven(sql: Sql, id: number, reason: string): Promise<Reconciliation> {
  const { rows } = await sql.query<Reconciliation>(
    `update reconciliation set state = 'unproven', ended_at = now(), reason = $2 where id = $1 and state = 'running' returning ${COLUMNS}`,
    [id, reason.slice(0, 2000)],
  );
  const [row] = rows;
  if (row === undefined) throw new Error('a comparison under way is gone');
  return row;
}

export interface ReconciliationWhere {
  connector?: string;
  stream?: string;
  state?: ReconciliationState;
}

/** Comparisons, newest first; `after` is the id of the last one seen. */
export async function listReconciliations(
  sql: Sql,
  where: ReconciliationWhere,
  page: { first: number; after: number | undefined },
): Promise<Reconciliation[]> {
  const { rows } = await sql.query<Reconciliation>(
    `select ${COLUMNS} from reconciliation where ($1::text is null or connector = $1) and ($2::text is null or stream = $2)
       and ($3::text is null or state = $3) and ($4::bigint is null or id < $4) order by id desc limit $5`,
    [where.connector ?? null, where.stream ?? null, where.state ?? null, page.after ?? null, page.first],
  );
  return rows;
}

/** The cells of comparisons, those that differ first. */
export async function cellsOf(sql: Sql, id: number, first: number): Promise<ReconciliationCell[]> {
  const { rows } = await sql.query<ReconciliationCell>(
    `select category, day, region, ours, ours_hash as "oursHash", theirs, theirs_hash as "theirsHash", accounted, differences, proof
     from reconciliation_cell where reconciliation_id = $1 order by differences > 0 desc, proof = 'keys' desc, category, day desc, region limit $2`,
    [id, first],
  );
  return rows;
}

/** What differs, key by key, opened; a key whose person was erased has no parts any more. */
export async function differencesOf(sql: Sql, keys: Keys, id: number, first: number): Promise<ReconciliationDifference[]> {
  const { rows } = await sql.query<{ kind: 'not-here'; category: number; day: string; region: string; sealed: string | null }>(
    'select kind, category, day, region, sealed from reconciliation_difference where reconciliation_id = $1 order by id limit $2',
    [id, first],
  );
  const open = await openerOf(
    sql,
    keys,
    rows.flatMap((row) => row.sealed ?? []),
  );
  return rows.map(({ sealed, ...row }) => {
    const text = sealed === null ? undefined : open(sealed, RECONCILE_CONTEXT);
    const said =
      text === undefined
        ? { parts: [], ours: null, theirs: null }
        : (JSON.parse(text) as Pick<ReconciliationDifference, 'parts' | 'ours' | 'theirs'>);
    return { ...row, ...said };
  });
}

/**
 * Asks the worker to correct what a comparison found: read exactly those keys again, or send exactly those records again. Throws `Refused`
 * REASON_REQUIRED, RECONCILIATION_NOT_FOUND, or RECONCILIATION_NOT_RED where there is nothing to correct or it was asked for already.
 */
export async function askCorrection(sql: Sql, by: { id: string; name: string }, id: number, reason: string): Promise<Reconciliation> {
  if (reason.trim() === '') throw new Refused('REASON_REQUIRED', '更正须说明理由');
  const { rows } = await sql.query<Reconciliation>(
    `update reconciliation set asked_by = $2, asked_name = $3, asked_reason = $4, asked_at = now()
     where id = $1 and state = 'red' and asked_at is null returning ${COLUMNS}`,
    [id, by.id, by.name, reason],
  );
  const [row] = rows;
  if (row !== undefined) return row;
  const { rowCount } = await sql.query('select from reconciliation where id = $1', [id]);
  throw rowCount === 0
    ? new Refused('RECONCILIATION_NOT_FOUND', '未找到该对账结果')
    : new Refused('RECONCILIATION_NOT_RED', '该对账结果没有待更正的差异,或已提出更正');
}

/** Comparisons whose correction somebody asked for and nobody has carried out; one that could not be is tried again after ten minutes. */
export async function askedCorrections(sql: Sql): Promise<{ id: number; connector: string; stream: string; day: string | null }[]> {
  const { rows } = await sql.query<{ id: number; connector: string; stream: string; day: string | null }>(
    `select id, connector, stream, day from reconciliation r where asked_at is not null and corrected_at is null
       and not exists (select from reconciliation n where n.connector = r.connector and n.stream = r.stream and n.started_at > r.asked_at
         and n.started_at > now() - interval '10 minutes') order by id`,
  );
  return rows;
}

/** How many keys were read or sent again for every open request of a stream, and which comparison showed what came of it. */
export async function noteCorrected(sql: Sql, stream: { connector: string; id: string }, corrected: number, by: number): Promise<void> {
  await sql.query(
    `update reconciliation set corrected_at = now(), corrected = $3, corrected_by = $4
     where connector = $1 and stream = $2 and asked_at is not null and corrected_at is null and id < $4`,
    [stream.connector, stream.id, corrected, by],
  );
}

/**
 * Streams to be compared now: not yet proved on this day of Shanghai nor tried within the hour, and read or pushed to its end today, or never mind after 20:00. The ledger
 * says so, not a queue, so that nothing is forgotten when a queue is wiped.
 */
export async function dueReconciliations(sql: Sql, now: Date): Promise<{ connector: string; stream: string }[]> {
  const { rows } = await sql.query<{ connector: string; stream: string }>(
    `with day as (select date_trunc('day', $1::timestamptz at time zone 'Asia/Shanghai') at time zone 'Asia/Shanghai' as start)
     select s.connector, s.stream from stream_state s, day
     where not exists (select from reconciliation r where r.connector = s.connector and r.stream = s.stream
         and (r.started_at >= $1::timestamptz - interval '1 hour' or (r.started_at >= day.start and r.state <> 'unproven')))
       and exists (select from run r where r.connector = s.connector and r.stream = s.stream and r.state = 'done'
         and (r.ended_at >= day.start or $1::timestamptz >= day.start + interval '20 hours'))
       and not exists (select from run r where r.connector = s.connector and r.stream = s.stream and r.state = 'running')`,
    [now],
  );
  return rows;
}
