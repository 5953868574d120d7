import { Refused } from '../errors.ts';
import type { Keys } from './keys.ts';
import { concealId, revealId } from './opaque.ts';
import type { Sql } from './sql.ts';

/** The four scores of a source (WG-9), each 0 to 1, null where nothing is known yet. */
export interface Quality {
  connector: string;
  /** Records read over all runs; a record read again counts again. */
  read: number;
  /** Distinct raw records refused and still open. */
  openIssues: number;
  /** 完整性: share of records without a missing required value or identifier. */
  completeness: number | null;
  /** 准确性: share of records whose values hold (numbers, dates, codes, amounts). */
  accuracy: number | null;
  /** 时效性: median hours from the source's own time of a version to its arrival here. */
  hoursToArrive: number | null;
  /** 真实性: share of spot checks passed. */
  truth: number | null;
  spotChecks: number;
}

/** Refusals for what is missing; every other refusal is for a value that does not hold. */
const INCOMPLETE = ['required', 'no-identifier', 'bad-row'];

/** One row per connector that has run. Issues that were dismissed do not count against the source. */
export async function sourceQuality(sql: Sql): Promise<Quality[]> {
  const { rows } = await sql.query<Quality>(
    `with read as (select connector, sum(taken)::bigint as read from run where direction = 'pull' group by 1),
       bad as (
         select connector, count(*) filter (where rule = any($1)) as incomplete, count(*) filter (where rule <> all($1)) as wrong,
           count(*) filter (where state = 'open') as open
         from issue where refused and state <> 'dismissed' group by 1),
       kept as (select connector, count(*) as records from record group by 1),
       late as (
         select r.connector, percentile_cont(0.5) within group (order by extract(epoch from v.recorded_at - v.source_version::timestamptz) / 3600) as hours
         from (select record_id, source_version, min(recorded_at) as recorded_at from record_version
             where source_version ~ '^\\d{4}-\\d\\d-\\d\\dT' group by 1, 2) v
           join record r on r.id = v.record_id group by 1),
       checked as (
         select r.connector, count(*) as checks, avg(c.passed::int) as passed from spot_check c join record r on r.id = c.record_id group by 1)
     select read.connector, read.read, coalesce(bad.open, 0)::int as "openIssues",
       round(1 - coalesce(bad.incomplete, 0)::numeric / nullif(coalesce(kept.records, 0) + coalesce(bad.incomplete + bad.wrong, 0), 0), 4)::float8 as completeness,
       round(1 - coalesce(bad.wrong, 0)::numeric / nullif(coalesce(kept.records, 0) + coalesce(bad.incomplete + bad.wrong, 0), 0), 4)::float8 as accuracy,
       round(late.hours::numeric, 1)::float8 as "hoursToArrive", round(checked.passed, 4)::float8 as truth, coalesce(checked.checks, 0)::int as "spotChecks"
     from read left join bad using (connector) left join kept using (connector) left join late using (connector) left join checked using (connector)
     order by 1`,
    [INCOMPLETE],
  );
  return rows;
}

export interface Sampled {
  id: string;
  stream: string;
  category: number;
  kind: string;
}

/** Records of a connector in a region (its first digits) drawn at random, to be compared with the provider's files: which, not what they say. */
export async function drawSample(sql: Sql, keys: Keys, connector: string, region: string, size: number): Promise<Sampled[]> {
  const { rows } = await sql.query<{ id: number; stream: string; category: number; kind: string }>(
    `select id, stream, category, kind from record where connector = $1 and starts_with(region, $2) and not deleted and not withheld order by random() limit $3`,
    [connector, region, size],
  );
  return rows.map((row) => ({ ...row, id: concealId(keys, 'record', row.id) }));
}

/**
 * Notes the result of a spot check of a record as it is now. Throws `Refused` RECORD_NOT_FOUND, outside the actor's region like for none at all, and
 * REASON_REQUIRED for a failure without a note.
 */
export async function noteSpotCheck(
  sql: Sql,
  keys: Keys,
  actor: { id: string; region: string },
  check: { id: string; passed: boolean; note: string },
): Promise<void> {
  if (!check.passed && check.note.trim() === '') throw new Refused('REASON_REQUIRED', '抽查不符须说明情况');
  const id = revealId(keys, 'record', check.id);
  const { rowCount } = await sql.query(
    `insert into spot_check (record_id, version, passed, note, checked_by) select id, version, $2, $3, $4 from record
     where id = $1 and starts_with(region, $5) and not deleted`,
    [id ?? 0, check.passed, check.note, actor.id, actor.region],
  );
  if (rowCount === 0) throw new Refused('RECORD_NOT_FOUND', '未找到该信用信息');
}
