import type { Connector, Model, Stream } from '../model/types.ts';
import { type Breaker, CLOSED } from '../rules/breaker.ts';
import { NO_USAGE, takeCalls, type Usage } from '../rules/budget.ts';
import { nextRun } from '../rules/schedule.ts';
import { nextOpening } from '../rules/windows.ts';
import { GIVEN_UP } from './runs.ts';
import type { Sql } from './sql.ts';

/** How platforms and their streams stand, as an operator sees them. No value of any record. */
export interface PlatformStatus {
  connector: string;
  zh: string;
  paused: Paused | null;
  breaker: Breaker['state'];
  /** When an open breaker lets a call try the platform. ISO 8601. */
  openUntil: string | null;
  failures: number;
  /** Calls in the present minute, hour and day; null as the limit: as many as come. */
  budget: { span: string; used: number; limit: number | null }[];
  streams: StreamStatus[];
}
export interface Paused {
  by: string;
  at: string;
  reason: string;
}
export interface StreamStatus {
  stream: string;
  zh: string;
  direction: Stream['direction'];
  /** `retrying` after a failure; `stopped`, `given-up`: an operator is needed; `deferred`: it goes on by itself at `nextRun`. */
  state: 'idle' | 'running' | 'retrying' | 'deferred' | 'paused' | 'stopped' | 'given-up';
  paused: Paused | null;
  deferredWhy: string | null;
  nextRun: string | null;
  askedBy: string | null;
  backfillFrom: string | null;
  cursorAt: string | null;
  lastRun: { id: number; state: string; startedAt: string; error: string | null } | null;
  /** Rows of the outbox that still wait for the platform, and since when the oldest does. */
  waiting: number;
  oldestWaiting: string | null;
  /** Rows that wait for a person. */
  deadLetters: number;
  lastReceiptAt: string | null;
}

interface Row {
  connector: string;
  stream: string;
  paused: Paused | null;
  deferredUntil: string | null;
  deferredWhy: string | null;
  askedBy: string | null;
  backfillFrom: string | null;
  cursorAt: string | null;
  lastRun: StreamStatus['lastRun'];
  givenUp: boolean;
  waiting: number;
  oldestWaiting: string | null;
  deadLetters: number;
  lastReceiptAt: string | null;
}

const PAUSED_JSON = (of: string) =>
  `case when ${of}.paused then jsonb_build_object('by', ${of}.paused_name, 'at', to_char(${of}.paused_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'), 'reason', ${of}.pause_reason) end`;

/** All platforms of the model, or one. */
export async function platformStatus(sql: Sql, model: Model, only: string | undefined, now: Date): Promise<PlatformStatus[]> {
  const connectors = [...model.connectors.values()].filter(
    ({ id, streams }) => (only === undefined || id === only) && [...streams.values()].some(({ via }) => via.kind !== 'manual'),
  );
  const ids = connectors.map(({ id }) => id);
  const platforms = await sql.query<{ connector: string; paused: Paused | null; usage: Usage | null; breaker: Breaker | null }>(
    `select connector, ${PAUSED_JSON('p')} as paused, usage, breaker from platform p where connector = any($1)`,
    [ids],
  );
  const { rows } = await sql.query<Row>(
    `select s.connector, s.stream, ${PAUSED_JSON('s')} as paused, s.deferred_until as "deferredUntil", s.deferred_why as "deferredWhy",
       s.asked_name as "askedBy", s.backfill_from as "backfillFrom", s.cursor_at as "cursorAt", ${GIVEN_UP} as "givenUp",
       (select jsonb_build_object('id', id, 'state', state, 'startedAt', to_char(started_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'), 'error', error)
        from run r where r.connector = s.connector and r.stream = s.stream order by id desc limit 1) as "lastRun",
       (select coalesce(ended_at, started_at) from run r where r.connector = s.connector and r.stream = s.stream and receipts > 0 order by id desc limit 1) as "lastReceiptAt",
       coalesce(o.waiting, 0) as waiting, o.oldest as "oldestWaiting",
       (select count(*)::int from outbox d where d.connector = s.connector and d.stream = s.stream and d.state in ('refused', 'withheld', 'unknown')) as "deadLetters"
     from (select c.connector, c.stream, coalesce(t.paused, false) as paused, paused_name, paused_at, pause_reason, deferred_until, deferred_why, asked_name,
             backfill_from, cursor_at
           from unnest($1::text[], $2::text[]) as c(connector, stream) left join stream_state t on t.connector = c.connector and t.stream = c.stream) s
     left join (select connector, stream, count(*)::int as waiting, min(created_at) as oldest from outbox where state in ('waiting', 'sent') group by 1, 2) o
       on o.connector = s.connector and o.stream = s.stream`,
    [connectors.flatMap((c) => [...c.streams.keys()].map(() => c.id)), connectors.flatMap((c) => [...c.streams.keys()])],
  );
  const byName = new Map(rows.map((row) => [`${row.connector}/${row.stream}`, row]));
  return connectors.map((connector) => {
    const { paused, usage, breaker } = platforms.rows.find((row) => row.connector === connector.id) ?? {
      paused: null,
      usage: null,
      breaker: null,
    };
    const { state, until, failures } = breaker ?? CLOSED;
    return {
      connector: connector.id,
      zh: connector.zh,
      paused,
      breaker: state,
      openUntil: state === 'open' && until !== null ? new Date(until).toISOString() : null,
      failures,
      budget: budgetOf(connector, usage, now),
      streams: [...connector.streams.values()].map((stream) =>
        streamStatus(model, stream, byName.get(`${connector.id}/${stream.id}`), paused !== null, now),
      ),
    };
  });
}

function budgetOf({ limits }: Connector, usage: Usage | null, now: Date): PlatformStatus['budget'] {
  // Nothing is taken: only the spans that are over begin anew.
  const current = takeCalls(usage ?? NO_USAGE, limits, now.getTime(), 0).usage;
  const limitOf = { minute: limits.perMinute, hour: limits.perHour, day: limits.perDay };
  return (['minute', 'hour', 'day'] as const).map((span) => ({ span, used: current[span].calls, limit: limitOf[span] ?? null }));
}

function streamStatus(model: Model, stream: Stream, row: Row | undefined, platformPaused: boolean, now: Date): StreamStatus {
  const isDeferred = row?.deferredUntil != null && Date.parse(row.deferredUntil) > now.getTime();
  const isPaused = platformPaused || row?.paused != null;
  const last = row?.lastRun ?? null;
  const state = (): StreamStatus['state'] => {
    if (last?.state === 'running') return 'running';
    if (isPaused) return 'paused';
    if (isDeferred) return 'deferred';
    if (row?.givenUp) return 'given-up';
    if (last?.state === 'stopped') return 'stopped';
    return last?.state === 'failed' || last?.state === 'broken' ? 'retrying' : 'idle';
  };
  const due = stream.schedule === undefined ? undefined : nextRun(stream.schedule, now);
  const planned = due && nextOpening(stream.windows, model.calendar, due);
  const next = isPaused ? null : isDeferred ? row.deferredUntil : (planned?.toISOString() ?? null);
  return {
    stream: stream.id,
    zh: stream.zh,
    direction: stream.direction,
    state: state(),
    paused: row?.paused ?? null,
    deferredWhy: isDeferred ? (row?.deferredWhy ?? null) : null,
    nextRun: next,
    askedBy: row?.askedBy ?? null,
    backfillFrom: row?.backfillFrom ?? null,
    cursorAt: row?.cursorAt ?? null,
    lastRun: last,
    waiting: row?.waiting ?? 0,
    oldestWaiting: row?.oldestWaiting ?? null,
    deadLetters: row?.deadLetters ?? 0,
    lastReceiptAt: row?.lastReceiptAt ?? null,
  };
}
