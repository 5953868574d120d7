import { Refused } from '../errors.ts';
import type { Sql } from '../store/sql.ts';
import type { AlarmRule } from './alarm-rules.ts';
import { decode } from './canonical.ts';
import type { LogEntry } from './entry.ts';
import type { Person } from './four-eyes.ts';

/** An alarm: so many in one window, of one officer. It accuses nobody; an auditor looks at it and says what it was. */
export interface Alarm {
  id: number;
  rule: string;
  person: string;
  personName: string;
  department: string;
  /** Hex of the token of the subject, where the rule counts one subject; else empty. */
  subject: string;
  windowStart: string;
  windowEnd: string;
  count: number;
  threshold: number;
  raisedAt: string;
  acknowledgedName: string | null;
  acknowledgedAt: string | null;
  reason: string | null;
}

/** Regions of subjects by the hex of their tokens; one that is not there has none. */
export type RegionsOf = (tokens: ReadonlySet<string>) => Promise<ReadonlyMap<string, string>>;

export interface CountedAlarms {
  /** Entries that were read. */
  read: number;
  /** Codes of the rules of alarms that were not there before. */
  raised: string[];
}

interface Seen {
  at: number;
  entry: LogEntry;
}
interface Counted {
  rule: AlarmRule;
  person: LogEntry['person'];
  department: string;
  region: string;
  subject: string;
  start: number;
  entries: number;
  subjects: Set<string>;
}

const COLUMNS = `id, rule, person, person_name as "personName", department, encode(subject, 'hex') as subject, window_start as "windowStart",
  window_end as "windowEnd", count, threshold, raised_at as "raisedAt", acknowledged_name as "acknowledgedName",
  acknowledged_at as "acknowledgedAt", reason`;
const DAY_MS = 86_400_000;
const SHANGHAI_MS = 8 * 3_600_000;
/** A commit that began earlier may become visible later: so far back is read again. */
const LATE_MS = 60_000;
const PAGE = 1000;

/** The beginning of the window that holds an instant; windows divide the day of Asia/Shanghai. */
const windowStart = (at: number, ms: number): number => Math.floor((at + SHANGHAI_MS) / ms) * ms - SHANGHAI_MS;

/**
 * Counts what came into the log since the last time and raises the alarms that the rules ask for; returns how many entries it read and the rules of the
 * alarms that are new. Windows that are still open are counted again, so that an alarm grows and never doubles. Safe to run in several processes: one
 * counts, the others wait. Holds counters of one day, no entries.
 */
export async function countAlarms(sql: Sql, rules: readonly AlarmRule[], regionsOf: RegionsOf, now: Date): Promise<CountedAlarms> {
  return sql.transaction(async (tx) => {
    await tx.query(
      `insert into misuse_alarm_mark (counted_to) select coalesce((select min(at) from query_log), $1::timestamptz) on conflict do nothing`,
      [now.toISOString()],
    );
    const { rows } = await tx.query<{ countedTo: string }>('select counted_to as "countedTo" from misuse_alarm_mark for update');
    const since = Date.parse(rows[0]?.countedTo ?? now.toISOString()) - LATE_MS;
    const counted: CountedAlarms = { read: 0, raised: [] };
    // No window is longer than a day, so each day can be counted alone.
    for (let day = windowStart(since, DAY_MS); day <= now.getTime(); day += DAY_MS) {
      const counters = rules.map((rule) => counterOf(rule));
      for await (const seen of entriesOf(tx, day)) {
        counted.read += 1;
        for (const counter of counters) counter.add(seen);
      }
      for (const counter of counters) counted.raised.push(...(await raise(tx, await counter.over(regionsOf))));
    }
    await tx.query('update misuse_alarm_mark set counted_to = greatest(counted_to, $1::timestamptz)', [now.toISOString()]);
    return counted;
  });
}

/** Instant up to which the alarms are counted; nothing where they never were. */
export async function alarmsCountedTo(sql: Sql): Promise<string | undefined> {
  const { rows } = await sql.query<{ countedTo: string }>('select counted_to as "countedTo" from misuse_alarm_mark');
  return rows[0]?.countedTo;
}

/** What officers asked on one day: neither jobs, nor subjects about themselves, nor requests by nobody. */
async function* entriesOf(sql: Sql, day: number): AsyncGenerator<Seen> {
  let after: [string, number, number] = [new Date(day).toISOString(), -1, -1];
  for (;;) {
    const { rows } = await sql.query<{ at: string; writer: number; seq: number; body: Buffer }>(
      `select at, writer, seq, body from query_log where at >= $1 and (at, writer, seq) > ($1::timestamptz, $2::int, $3::bigint) and at < $4
       and department not in ('', 'subject', 'public') and kind in ('query', 'mutation', 'subscription') order by at, writer, seq limit $5`,
      [...after, new Date(day + DAY_MS).toISOString(), PAGE],
    );
    for (const { at, body } of rows) {
      const { entry } = decode(body);
      if (entry.code !== 'INTENT') yield { at: Date.parse(at), entry };
    }
    const last = rows.at(-1);
    if (last === undefined || rows.length < PAGE) return;
    after = [last.at, last.writer, last.seq];
  }
}

/** Counts one rule over the entries of a day. */
function counterOf(rule: AlarmRule): { add(seen: Seen): void; over(regionsOf: RegionsOf): Promise<Counted[]> } {
  const all = new Map<string, number>();
  const counted = new Map<string, Counted>();
  const ms = rule.minutes * 60_000;
  const placeOf = (person: string, start: number): string => JSON.stringify([person, start]);

  function add(one: Seen): void {
    const { person, department, region, subjects: tokens } = one.entry;
    const start = windowStart(one.at, ms);
    const place = placeOf(person.id, start);
    all.set(place, (all.get(place) ?? 0) + 1);
    if (!isCounted(rule, one)) return;
    const subjects = tokens.map((token) => token.toString('hex'));
    for (const subject of rule.counts === 'same-subject' ? subjects : ['']) {
      const key = `${place}${subject}`;
      let found = counted.get(key);
      if (found === undefined) {
        found = { rule, person, department: department ?? '', region: region ?? '', subject, start, entries: 0, subjects: new Set() };
        counted.set(key, found);
      }
      found.entries += 1;
      if (rule.counts === 'subjects' || rule.of === 'outside-region') for (const token of subjects) found.subjects.add(token);
    }
  }

  return {
    add,
    async over(regionsOf) {
      const over = [...counted.values()].filter(
        (one) => countOf(one) >= rule.threshold && one.entries * 100 >= (all.get(placeOf(one.person.id, one.start)) ?? 0) * rule.percent,
      );
      return rule.of === 'outside-region' ? outside(over, regionsOf) : over;
    },
  };
}

function isCounted(rule: AlarmRule, { at, entry }: Seen): boolean {
  switch (rule.of) {
    case 'all':
      return true;
    case 'without-case':
      return (entry.purpose.case ?? '') === '';
    case 'outside-region':
      return /^[1-9]\d{5}$/.test(entry.region ?? '');
    case 'between-hours': {
      const hour = new Date(at + SHANGHAI_MS).getUTCHours();
      return rule.from < rule.until ? hour >= rule.from && hour < rule.until : hour >= rule.from || hour < rule.until;
    }
    case 'refused':
      return entry.outcome === 'refused';
  }
}

const countOf = (one: Counted): number => (one.rule.counts === 'subjects' ? one.subjects.size : one.entries);

/** Regions are asked for only where there are enough subjects at all: the log itself knows subjects by tokens alone. */
async function outside(counted: readonly Counted[], regionsOf: RegionsOf): Promise<Counted[]> {
  if (counted.length === 0) return [];
  const regions = await regionsOf(new Set(counted.flatMap((one) => [...one.subjects])));
  return counted
    .map((one) => {
      const own = one.region.replace(/(00)+$/, '');
      const subjects = [...one.subjects].filter((token) => !(regions.get(token) ?? own).startsWith(own));
      return { ...one, subjects: new Set(subjects) };
    })
    .filter((one) => countOf(one) >= one.rule.threshold);
}

/** Returns the codes of the rules of the alarms that were not there before. */
async function raise(sql: Sql, counted: readonly Counted[]): Promise<string[]> {
  const raised: string[] = [];
  for (const one of counted) {
    const { person, department } = one;
    const { rows } = await sql.query<{ fresh: boolean }>(
      `insert into misuse_alarm (rule, person, person_name, department, subject, window_start, window_end, count, threshold)
       values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
       on conflict (rule, person, subject, window_start) do update set count = excluded.count where misuse_alarm.count < excluded.count
       returning xmax = 0 as fresh`,
      [
        one.rule.code,
        person.id,
        person.name,
        department,
        Buffer.from(one.subject, 'hex'),
        new Date(one.start).toISOString(),
        new Date(one.start + one.rule.minutes * 60_000).toISOString(),
        countOf(one),
        one.rule.threshold,
      ],
    );
    if (rows[0]?.fresh) raised.push(one.rule.code);
  }
  return raised;
}

/** Alarms, newest first; those that nobody acknowledged yet, or all. */
export async function listAlarms(sql: Sql, open: boolean, limit: number): Promise<Alarm[]> {
  const { rows } = await sql.query<Alarm>(
    `select ${COLUMNS} from misuse_alarm where (acknowledged_by is null or not $1) order by id desc limit $2`,
    [open, limit],
  );
  return rows;
}

/** Says what an alarm was. Never the person it is about. Throws `Refused` REASON_REQUIRED, ALARM_NOT_FOUND, ALREADY_REVIEWED or FOUR_EYES. */
export async function acknowledgeAlarm(sql: Sql, person: Person, id: number, reason: string): Promise<Alarm> {
  if (reason.trim() === '') throw new Refused('REASON_REQUIRED', '须说明核查结果');
  return sql.transaction(async (tx) => {
    const { rows } = await tx.query<Alarm>(`select ${COLUMNS} from misuse_alarm where id = $1 for update`, [id]);
    const [alarm] = rows;
    if (alarm === undefined) throw new Refused('ALARM_NOT_FOUND', '未找到该预警');
    if (alarm.acknowledgedAt !== null) throw new Refused('ALREADY_REVIEWED', '该预警已核查');
    if (alarm.person === person.id) throw new Refused('FOUR_EYES', '不得核查本人的预警', { status: 403, details: { article: 'ZM-3.2.3' } });
    const updated = await tx.query<Alarm>(
      `update misuse_alarm set acknowledged_by = $2, acknowledged_name = $3, acknowledged_at = clock_timestamp(), reason = $4
       where id = $1 returning ${COLUMNS}`,
      [id, person.id, person.name, reason],
    );
    return updated.rows[0] as Alarm;
  });
}
