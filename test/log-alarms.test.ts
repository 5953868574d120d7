/** Alarms on misuse, over a log made for them: each rule fires at its figure and not below, once, and an auditor says what it was. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { pino } from 'pino';
import { watchMisuse } from '../src/jobs/misuse.ts';
import { type AlarmRule, alarmRules } from '../src/log/alarm-rules.ts';
import { type Alarm, acknowledgeAlarm, countAlarms, listAlarms } from '../src/log/alarms.ts';
import type { LogEntry } from '../src/log/entry.ts';
import { logTokens, regionsOfTokens } from '../src/store/subject-ids.ts';
import { sampleEntry } from './fixtures/log-entries.ts';
import type { TestHub } from './setup/hub.ts';
import { openHub } from './setup/hub.ts';

let hub: TestHub;
beforeAll(async () => {
  hub = await openHub();
});
afterAll(() => hub.close());

let nth = 0;
async function entries(person: string, count: number, change: (n: number) => Partial<LogEntry> = () => ({})): Promise<void> {
  const base = {
    kind: 'query',
    outcome: 'answered',
    code: '',
    document: '',
    department: 'health',
    region: '430100',
    subjects: [],
  } as const;
  const purpose = { code: 'credit-evaluation', basis: null, case: '案-1' };
  await Promise.all(
    Array.from({ length: count }, (_, n) =>
      hub.log.append(sampleEntry(nth++, { ...base, purpose, person: { id: person, name: `姓名${person}` }, ...change(n) })),
    ),
  );
}
const token = (n: number): Buffer => Buffer.from(String(n).padStart(16, '0'));
const without = { code: 'credit-evaluation', basis: null, case: null };
const MINUTE = 60_000;

function rule(change: Partial<AlarmRule>): AlarmRule {
  return {
    code: 'r',
    zh: '规则',
    article: 'HN-5',
    counts: 'entries',
    of: 'all',
    minutes: 1440,
    threshold: 5,
    percent: 0,
    from: 0,
    until: 0,
    ...change,
  };
}
const regions = (tokens: ReadonlySet<string>) => regionsOfTokens(hub.pool, hub.keys, tokens);
async function raised(rules: AlarmRule[]): Promise<Alarm[]> {
  await hub.pool.query('delete from misuse_alarm');
  await hub.pool.query('delete from misuse_alarm_mark');
  await countAlarms(hub.pool, rules, regions, new Date(Date.now() + MINUTE));
  return listAlarms(hub.pool, false, 100);
}
const persons = (alarms: Alarm[]): string[] => alarms.map((one) => one.person).sort();

describe('alarms on misuse', () => {
  it('ZM-3.2.3 the rules of the schema can be counted as they are written, and a wrong one stops the start', () => {
    expect(alarmRules(hub.model).map((one) => one.code)).toEqual(
      expect.arrayContaining(['many-subjects-without-case', 'outside-region', 'at-night', 'same-subject', 'often-refused']),
    );
    const value = { code: 'x', zh: 'x', en: 'x', extra: { counts: 'entries', of: 'all', minutes: 7, threshold: 1 } };
    const codes = new Map([['alarm-rules', { values: new Map([['x', value]]) }]]);
    expect(() => alarmRules({ ...hub.model, codes } as never)).toThrow('alarm-rules.yml');
  });

  it('ZM-3.2.3 many subjects outside any case: distinct ones count, at the figure and not below, and not those of a case', async () => {
    await entries('wide', 5, (n) => ({ subjects: [token(n)], purpose: without }));
    await entries('narrow', 4, (n) => ({ subjects: [token(n)], purpose: without }));
    await entries('again', 9, () => ({ subjects: [token(1)], purpose: without }));
    await entries('in-case', 9, (n) => ({ subjects: [token(n)] }));
    const alarms = await raised([rule({ counts: 'subjects', of: 'without-case' })]);
    expect(persons(alarms)).toEqual(['wide']);
    expect(alarms[0]).toMatchObject({
      rule: 'r',
      personName: '姓名wide',
      department: 'health',
      count: 5,
      threshold: 5,
      subject: '',
      reason: null,
    });
    expect(Date.parse(alarms[0]!.windowEnd) - Date.parse(alarms[0]!.windowStart)).toBe(1440 * MINUTE);
  });

  it('HN-5 the same subject again and again: each subject is counted alone', async () => {
    await entries('fixed', 6, () => ({ subjects: [token(900), token(901)] }));
    await entries('varied', 6, (n) => ({ subjects: [token(910 + n)] }));
    const alarms = await raised([rule({ counts: 'same-subject', threshold: 6 })]);
    expect(
      alarms
        .filter((one) => one.person === 'fixed')
        .map((one) => one.subject)
        .sort(),
    ).toEqual([token(900), token(901)].map((one) => one.toString('hex')));
    expect(persons(alarms)).not.toContain('varied');
  });

  it('HN-5 refused again and again: the number and the share must both be high', async () => {
    await entries('knocking', 6, () => ({ outcome: 'refused', code: 'NO_POLICY' }));
    await entries('busy', 6, () => ({ outcome: 'refused', code: 'NO_POLICY' }));
    await entries('busy', 30);
    expect(persons(await raised([rule({ of: 'refused', percent: 50 })]))).toEqual(['knocking']);
  });

  it('ZM-3.2.3 subjects of other regions: by the region of the subject, of which the log itself knows nothing', async () => {
    const { rows } = await hub.pool.query<{ id: number; region: string }>(
      'select id, region from subject where region is not null order by id',
    );
    expect(new Set(rows.map((row) => row.region.slice(0, 4))).size).toBeGreaterThan(1);
    const subjects = rows.map((row) => logTokens(hub.keys, [row.id])[0] as Buffer);
    const home = rows[0]!.region.slice(0, 4);
    const outside = rows.filter((row) => !row.region.startsWith(home)).length;
    await entries('straying', 1, () => ({ subjects, region: `${home}00` }));
    await entries('province', 1, () => ({ subjects, region: `${home.slice(0, 2)}0000` }));
    const alarms = await raised([rule({ counts: 'subjects', of: 'outside-region', threshold: outside })]);
    expect(alarms.filter((one) => ['straying', 'province'].includes(one.person)).map((one) => [one.person, one.count])).toEqual([
      ['straying', outside],
    ]);
  });

  it('ZM-3.2.3 at night: by the hour in Asia/Shanghai, also over midnight', async () => {
    const hour = new Date(Date.now() + 8 * 3_600_000).getUTCHours();
    await entries('awake', 5);
    const at = (from: number, until: number) =>
      raised([rule({ of: 'between-hours', from: (hour + from + 24) % 24, until: (hour + until + 24) % 24 })]);
    expect(persons(await at(-1, 2))).toContain('awake');
    expect(persons(await at(-20, 2))).toContain('awake');
    expect(await at(2, 5)).toEqual([]);
  });

  it('is counted again without doubling, grows with its window, and leaves out jobs, subjects and nobody', async () => {
    await entries('growing', 5);
    await entries('job', 9, () => ({ kind: 'pull' }));
    await entries('myself', 9, () => ({ department: 'subject' }));
    await entries('anonymous', 9, () => ({ department: '' }));
    const rules = [rule({})];
    const first = await raised(rules);
    expect(persons(first)).toContain('growing');
    for (const one of ['job', 'myself', 'anonymous']) expect(persons(first)).not.toContain(one);
    await entries('growing', 2);
    await Promise.all([1, 2, 3].map(() => countAlarms(hub.pool, rules, regions, new Date(Date.now() + MINUTE))));
    const mine = (await listAlarms(hub.pool, false, 100)).filter((one) => one.person === 'growing');
    expect(mine.map((one) => one.count)).toEqual([7]);
  });

  it('ZM-3.2.3 the worker counts by itself, every ten minutes, and says which rule has a new alarm but not of whom', async () => {
    const said: string[] = [];
    const logger = pino({}, { write: (line: string) => void said.push(line) });
    const jobs = { model: hub.model, pool: hub.pool, keys: hub.keys, log: hub.log, environment: {}, now: () => new Date(), logger };
    await hub.pool.query('delete from misuse_alarm');
    await hub.pool.query('delete from misuse_alarm_mark');
    await entries('unseen', 60, () => ({ outcome: 'refused', code: 'CATEGORY_NOT_GRANTED' }));
    await watchMisuse(jobs);
    expect(persons(await listAlarms(hub.pool, true, 100))).toContain('unseen');
    expect(said.some((line) => line.includes('"rule":"often-refused"'))).toBe(true);
    expect(said.join('')).not.toContain('unseen');

    said.length = 0;
    await entries('too-soon', 60, () => ({ outcome: 'refused', code: 'CATEGORY_NOT_GRANTED' }));
    await watchMisuse(jobs);
    expect(persons(await listAlarms(hub.pool, true, 100))).not.toContain('too-soon');
    await hub.pool.query(`update misuse_alarm_mark set counted_to = counted_to - interval '10 minutes'`);
    await watchMisuse(jobs);
    expect(persons(await listAlarms(hub.pool, true, 100))).toContain('too-soon');
    expect(said).toHaveLength(1);
  });

  it('ZM-3.2.3 is acknowledged by an auditor with a reason, once, and never by the person it is about', async () => {
    const [alarm] = (await raised([rule({})])).filter((one) => one.person === 'growing');
    const id = alarm!.id;
    await expect(acknowledgeAlarm(hub.pool, { id: 'growing', name: 'x' }, id, '自查')).rejects.toMatchObject({ code: 'FOUR_EYES' });
    const ACK = 'mutation Ack($id: ID!, $reason: String!) { acknowledgeLogAlarm(id: $id, reason: $reason) { acknowledgedName reason } }';
    const auditor = { department: 'auditor', role: 'auditor', purpose: 'log-review' };
    const ack = (reason: string, which = String(id)) => hub.ask(ACK, { ...auditor, variables: { id: which, reason } });
    expect((await ack(' ')).codes).toEqual(['REASON_REQUIRED']);
    expect((await ack('x', '999999')).codes).toEqual(['ALARM_NOT_FOUND']);
    expect((await ack('专项检查,已核实')).data.acknowledgeLogAlarm).toEqual({ acknowledgedName: '陈静', reason: '专项检查,已核实' });
    expect((await ack('again')).codes).toEqual(['ALREADY_REVIEWED']);
    const { result, added } = await hub.logged(() => hub.ask('{ logAlarms(first: 200) { id rule zh person count } }', auditor));
    expect((result.data.logAlarms as { id: string }[]).map((one) => one.id)).not.toContain(String(id));
    expect(added.map(({ entry }) => entry.kind)).toEqual(['admin']);
    expect((await hub.ask('{ logAlarms { id } }')).codes).toEqual(['DUTY_REQUIRED']);
  });
});
