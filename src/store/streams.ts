import type { Delay } from '../errors.ts';
import { PAUSED } from './runs.ts';
import type { Sql } from './sql.ts';

/** Which streams are due, beside their schedule: put off until now, or asked for by a person. */

type Name = { connector: string; stream: string };

/** Says when a stream that was put off goes on. A pause has no such time: it goes on when a person resumes it. */
export async function noteDeferred(
  sql: Sql,
  stream: { connector: string; id: string },
  why: Delay,
  until: Date | undefined,
): Promise<void> {
  await sql.query(
    `insert into stream_state (connector, stream, deferred_until, deferred_why) values ($1, $2, $3, $4)
     on conflict (connector, stream) do update set deferred_until = excluded.deferred_until, deferred_why = excluded.deferred_why`,
    [stream.connector, stream.id, until?.toISOString() ?? null, why],
  );
}

/** Streams whose time has come, and those that a person asked for. What is paused is not among them. */
export async function dueStreams(sql: Sql, now: Date): Promise<(Name & { asked: boolean })[]> {
  const { rows } = await sql.query<Name & { asked: boolean }>(
    `select connector, stream, asked_at is not null as asked from stream_state s
     where not ${PAUSED} and ((asked_at is not null and (deferred_until is null or deferred_until <= $1)) or deferred_until <= $1)`,
    [now.toISOString()],
  );
  return rows;
}

/** `connector/stream` of all that must not be woken now: put off until later, or paused. */
export async function restingStreams(sql: Sql, now: Date): Promise<Set<string>> {
  const { rows } = await sql.query<Name>(`select connector, stream from stream_state s where ${PAUSED} or deferred_until > $1`, [
    now.toISOString(),
  ]);
  return new Set(rows.map(({ connector, stream }) => `${connector}/${stream}`));
}

/** When a stream was last begun, and whether by its schedule; undefined where it never was. `resting`: put off until later, or paused. */
export interface LastStart extends Name {
  startedAt: Date | undefined;
  scheduled: boolean;
  resting: boolean;
}

/** The last begin of each of the streams, by the ledger's clock, and what that clock says now. */
export async function lastStarts(
  sql: Sql,
  streams: readonly { connector: string; id: string }[],
): Promise<{ starts: LastStart[]; now: Date }> {
  const { rows } = await sql.query<Name & { startedAt: string | null; trigger: string | null; resting: boolean; now: string }>(
    `select n.connector, n.stream, r.started_at as "startedAt", r.trigger, coalesce(${PAUSED} or deferred_until > now(), false) as resting, now() as now
     from unnest($1::text[], $2::text[]) as n (connector, stream)
     left join stream_state s on s.connector = n.connector and s.stream = n.stream
     left join lateral (select started_at, trigger from run r
       where r.connector = n.connector and r.stream = n.stream order by id desc limit 1) r on true`,
    [streams.map((one) => one.connector), streams.map((one) => one.id)],
  );
  const starts = rows.map(({ connector, stream, startedAt, trigger, resting }) => ({
    connector,
    stream,
    startedAt: startedAt === null ? undefined : new Date(startedAt),
    scheduled: trigger === 'schedule',
    resting,
  }));
  return { starts, now: new Date(rows[0]?.now ?? Date.now()) };
}
