import { Arg, type ClassType, Ctx, Field, ID, InputType, Int, Mutation, ObjectType, Query, registerEnumType, Resolver } from 'type-graphql';
import { requireDuty } from '../access/duty.ts';
import { Refused } from '../errors.ts';
import { alarmRules } from '../log/alarm-rules.ts';
import { acknowledgeAlarm, type Alarm, countAlarms, listAlarms } from '../log/alarms.ts';
import { KINDS, type Kind, OUTCOMES, type Outcome } from '../log/entry.ts';
import { decideExport, downloadExport, type ExportFormat, listExports, requestExport } from '../log/export.ts';
import { documentTexts, type LogFilter, type LoggedEntry, placeText, readPlace, searchLog } from '../log/search.ts';
import type { Model } from '../model/types.ts';
import { logTokens, regionsOfTokens, subjectIdsOf } from '../store/subject-ids.ts';
import { type Context, grantedOf } from './context.ts';
import { Day, Instant } from './scalars.ts';
import { PageInfo } from './types.ts';
import { idOf, pageSize } from './work.ts';

/** The query log for the auditor (HN-23.2, ZM-3.2.3): search, export by two persons, alarms. Whatever is done here is itself logged, as `admin`. */

const words = <T extends string>(values: readonly T[]) => Object.fromEntries(values.map((value) => [value, value])) as Record<T, T>;
const KindEnum = words(KINDS);
const OutcomeEnum = words(OUTCOMES);
const FormatEnum = words(['ndjson', 'csv'] as const);
registerEnumType(KindEnum, { name: 'LogKind', description: '日志种类 (kind of entry)' });
registerEnumType(OutcomeEnum, { name: 'LogOutcome', description: '结果 (outcome)' });
registerEnumType(FormatEnum, { name: 'LogFormat', description: '导出格式 (format of an export)' });

@InputType({ description: '查询日志的检索条件,均须满足 (conditions of a search of the query log, all of which hold)' })
class LogFilterInput {
  @Field(() => String, { nullable: true, description: '查询人编号 (id of the person who asked)' })
  person?: string;
  @Field(() => String, { nullable: true, description: '部门代码 (department)' })
  department?: string;
  @Field(() => String, { nullable: true, description: '被查主体的统一社会信用代码或证件号码 (statutory code of the subject asked about)' })
  subject?: string;
  @Field(() => String, { nullable: true, description: '查询用途代码 (purpose)' })
  purpose?: string;
  @Field(() => KindEnum, { nullable: true })
  kind?: Kind;
  @Field(() => OutcomeEnum, { nullable: true })
  outcome?: Outcome;
  @Field(() => Day, { nullable: true, description: '起始日,含 (first day, Asia/Shanghai)' })
  from?: string;
  @Field(() => Day, { nullable: true, description: '截止日,含 (last day, Asia/Shanghai)' })
  to?: string;
}

@ObjectType('QueryLogEntry', {
  description: '一条查询日志:何人、何时、何事、何故、结果,不含任何信息内容 (one entry: who, when, what, why, outcome; never a value)',
  simpleResolvers: true,
})
class LogEntryType {
  @Field(() => ID, { description: '回执编号 (as in the receipt of the caller)' })
  id!: string;
  @Field(() => Instant)
  at!: string;
  @Field(() => String, { description: '条目哈希 (hash in its chain)' })
  hash!: string;
  @Field(() => KindEnum)
  kind!: Kind;
  @Field(() => String, { description: '查询人编号 (id of the person)' })
  personId!: string;
  @Field(() => String, { description: '查询人姓名 (name of the person)' })
  personName!: string;
  @Field(() => String, { nullable: true })
  department!: string | null;
  @Field(() => String, { nullable: true })
  role!: string | null;
  @Field(() => String, { nullable: true })
  region!: string | null;
  @Field(() => String, { nullable: true })
  actingFor!: string | null;
  @Field(() => String, { description: '用途代码,未说明时为空 (purpose, empty where none was stated)' })
  purpose!: string;
  @Field(() => String, { nullable: true, description: '依据 (legal basis)' })
  basis!: string | null;
  @Field(() => String, { nullable: true, description: '案件编号 (case)' })
  caseNumber!: string | null;
  @Field(() => String, { nullable: true })
  operation!: string | null;
  @Field(() => String, { description: '查询语句,不含所写的值 (the document without its literals)' })
  document!: string;
  @Field(() => String, { description: '变量,各值为不可逆标记 (variables, each text a keyed token)' })
  variables!: string;
  @Field(() => [String], { description: '返回的字段 (fields that were returned)' })
  fields!: readonly string[];
  @Field(() => [String], { description: '脱敏的字段 (fields that were masked)' })
  masked!: readonly string[];
  @Field(() => [String], { description: '未予返回的字段 (fields that were withheld)' })
  denied!: readonly string[];
  @Field(() => [Int], { description: '信息类别序号 (numbers of the categories)' })
  categories!: readonly number[];
  @Field(() => Int, { description: '涉及的主体数 (how many subjects)' })
  subjects!: number;
  @Field(() => Int)
  rows!: number;
  @Field(() => String, { description: '授权策略版本 (version of the policies)' })
  policy!: string;
  @Field(() => [String], { description: '据以决定的规则 (rules that decided)' })
  rules!: readonly string[];
  @Field(() => OutcomeEnum)
  outcome!: Outcome;
  @Field(() => String, { description: '错误代码 (code of an outcome other than answered)' })
  code!: string;
  @Field(() => Int, { description: '耗时毫秒数 (milliseconds)' })
  durationMs!: number;
  @Field(() => String, { description: '来源地址 (client address)' })
  client!: string;
}

@ObjectType('QueryLogConnection', { simpleResolvers: true })
class LogConnection {
  @Field(() => [LogEntryType])
  nodes!: LogEntryType[];
  @Field(() => PageInfo)
  pageInfo!: PageInfo;
}

@ObjectType('LogExport', {
  description: '查询日志导出申请 (request for an export of the query log, decided by another person)',
  simpleResolvers: true,
})
class ExportType {
  @Field(() => ID)
  id!: string;
  @Field(() => String, { description: 'requested、approved 或 rejected' })
  state!: string;
  @Field(() => FormatEnum)
  format!: ExportFormat;
  @Field(() => String, { description: '申请理由 (reason)' })
  reason!: string;
  @Field(() => String, { description: '申请人 (who asked)' })
  requestedName!: string;
  @Field(() => Instant)
  requestedAt!: string;
  @Field(() => String, { nullable: true, description: '审批人 (who decided)' })
  decidedName!: string | null;
  @Field(() => Instant, { nullable: true })
  decidedAt!: string | null;
  @Field(() => String, { nullable: true, description: '审批意见 (reason of the decision)' })
  decisionReason!: string | null;
  @Field(() => Instant, { nullable: true })
  downloadedAt!: string | null;
  @Field(() => Int, { nullable: true })
  rows!: number | null;
  @Field(() => String, { nullable: true, description: '最近一次下载内容的 SHA-256 (of what was last downloaded)' })
  sha256!: string | null;
}

@ObjectType('ExportedLog', { description: '导出的查询日志 (the exported entries)', simpleResolvers: true })
class ExportedType {
  @Field(() => String)
  content!: string;
  @Field(() => String, { description: '内容的 SHA-256,并记入查询日志 (of the content; the log holds it too)' })
  sha256!: string;
  @Field(() => Int)
  rows!: number;
}

@ObjectType('LogAlarm', {
  description: '查询异常预警,供审计人员核查 (alarm on a possible misuse, for the auditor to look into)',
  simpleResolvers: true,
})
class AlarmType {
  @Field(() => ID)
  id!: string;
  @Field(() => String, { description: '规则代码,见 alarm-rules (a code of alarm-rules)' })
  rule!: string;
  @Field(() => String, { description: '规则 (the rule)' })
  zh!: string;
  @Field(() => String)
  person!: string;
  @Field(() => String)
  personName!: string;
  @Field(() => String)
  department!: string;
  @Field(() => Instant)
  windowStart!: string;
  @Field(() => Instant)
  windowEnd!: string;
  @Field(() => Int)
  count!: number;
  @Field(() => Int)
  threshold!: number;
  @Field(() => String, { nullable: true, description: '核查人 (who acknowledged it)' })
  acknowledgedName!: string | null;
  @Field(() => Instant, { nullable: true })
  acknowledgedAt!: string | null;
  @Field(() => String, { nullable: true, description: '核查结果 (what it was)' })
  reason!: string | null;
}

/** Root fields whose entries in the log are of the kind `admin`. */
export const LOG_FIELDS: ReadonlySet<string> = new Set([
  'queryLog',
  'requestLogExport',
  'decideLogExport',
  'downloadLogExport',
  'logExports',
  'logAlarms',
  'acknowledgeLogAlarm',
]);

const person = ({ caller }: Context) => ({ id: caller.id, name: caller.name });
const withId = <T extends { id: number }>(row: T) => ({ ...row, id: String(row.id) });

/** The beginning of a day in Asia/Shanghai, some days later. */
function instantOf(day: string, later: number): string {
  return new Date(Date.parse(`${day}T00:00:00+08:00`) + later * 86_400_000).toISOString();
}

function toEntry({ writer, seq, at, hash, entry }: LoggedEntry, texts: ReadonlyMap<string, string>): LogEntryType {
  const { person: who, purpose, document, subjects, ...rest } = entry;
  return {
    ...rest,
    id: `${writer}-${seq}`,
    at,
    hash,
    personId: who.id,
    personName: who.name,
    purpose: purpose.code,
    basis: purpose.basis,
    caseNumber: purpose.case,
    document: texts.get(document) ?? '',
    subjects: subjects.length,
  };
}

/** What a search looks for: the subject by the tokens of its code. What was shown of it is told to the log with the answer. */
async function filterOf(context: Context, given: LogFilterInput | null | undefined): Promise<LogFilter> {
  const { subject, from, to, ...rest } = Object.fromEntries(
    Object.entries(given ?? {}).filter(([, value]) => value !== null && value !== undefined),
  ) as LogFilterInput;
  const filter: LogFilter = { ...rest };
  if (from !== undefined) filter.from = instantOf(from, 0);
  if (to !== undefined) filter.to = instantOf(to, 1);
  if (subject === undefined) return filter;
  const { sql, keys } = context.services;
  const ids = await subjectIdsOf(sql, keys, subject, context.today);
  if (ids === undefined) throw new Refused('BAD_CODE', '代码校验未通过,请核对');
  for (const id of ids) grantedOf(context).reader.shown.subjects.add(id);
  return { ...filter, subjects: logTokens(keys, ids) };
}

/** Notes in the account of what was shown, which the log gets, that so many entries of the log were. */
function noteShown(context: Context, coordinate: string, rows: number): void {
  const { shown } = grantedOf(context).reader;
  shown.coordinates.add(coordinate);
  shown.rows += rows;
}

export function buildLogResolvers(model: Model): ClassType[] {
  const rules = alarmRules(model);
  const toAlarm = (alarm: Alarm): AlarmType => ({ ...withId(alarm), zh: rules.find((rule) => rule.code === alarm.rule)?.zh ?? alarm.rule });

  @Resolver()
  class Log {
    @Query(() => LogConnection, {
      description: '检索查询日志,从新到旧;检索本身也记入日志 (search of the query log, newest first; itself logged)',
    })
    async queryLog(
      @Arg('filter', () => LogFilterInput, { nullable: true }) given: LogFilterInput | undefined,
      @Arg('first', () => Int, { defaultValue: 50 }) first: number,
      @Arg('after', () => String, { nullable: true }) after: string | undefined,
      @Ctx() context: Context,
    ): Promise<LogConnection> {
      requireDuty(model, context.caller, 'read-log');
      const size = pageSize(first);
      const place = after ? readPlace(after) : undefined;
      if (after && place === undefined) throw new Refused('BAD_CURSOR', '分页游标无效', { status: 400 });
      const { sql } = context.services;
      const found = await searchLog(sql, await filterOf(context, given), size + 1, place);
      const shown = found.slice(0, size);
      const texts = await documentTexts(
        sql,
        shown.map(({ entry }) => entry.document),
      );
      noteShown(context, 'Query.queryLog', shown.length);
      const last = shown.at(-1);
      return {
        nodes: shown.map((one) => toEntry(one, texts)),
        pageInfo: { endCursor: last ? placeText(last) : null, hasNextPage: found.length > size },
      };
    }

    @Mutation(() => ExportType, {
      description: '申请导出查询日志,经他人批准后下载 (ask for an export; downloaded once another person approved it)',
    })
    async requestLogExport(
      @Arg('filter', () => LogFilterInput, { nullable: true }) given: LogFilterInput | undefined,
      @Arg('format', () => FormatEnum) format: ExportFormat,
      @Arg('reason', () => String) reason: string,
      @Ctx() context: Context,
    ): Promise<ExportType> {
      requireDuty(model, context.caller, 'read-log');
      const filter = await filterOf(context, given);
      return withId(await requestExport(context.services.sql, person(context), { filter, format, reason }));
    }

    @Mutation(() => ExportType, { description: '审批他人的导出申请 (approve or reject what another person asked for)' })
    async decideLogExport(
      @Arg('id', () => ID) id: string,
      @Arg('approve', () => Boolean) approve: boolean,
      @Arg('reason', () => String, { nullable: true }) reason: string | undefined,
      @Ctx() context: Context,
    ): Promise<ExportType> {
      requireDuty(model, context.caller, 'read-log');
      return withId(await decideExport(context.services.sql, person(context), { id: idOf(id), approve, reason: reason ?? '' }));
    }

    @Mutation(() => ExportedType, { description: '下载已批准的导出 (download an approved export)' })
    async downloadLogExport(@Arg('id', () => ID) id: string, @Ctx() context: Context): Promise<ExportedType> {
      requireDuty(model, context.caller, 'read-log');
      const exported = await downloadExport(context.services.sql, person(context), idOf(id));
      noteShown(context, `LogExport.sha256=${exported.sha256}`, exported.rows);
      return exported;
    }

    @Query(() => [ExportType], { description: '导出申请,从新到旧 (requests for exports, newest first)' })
    async logExports(@Arg('first', () => Int, { defaultValue: 50 }) first: number, @Ctx() context: Context): Promise<ExportType[]> {
      requireDuty(model, context.caller, 'read-log');
      return (await listExports(context.services.sql, pageSize(first))).map(withId);
    }

    @Query(() => [AlarmType], { description: '查询异常预警,从新到旧;先统计至此刻 (alarms, newest first, counted up to now)' })
    async logAlarms(
      @Arg('open', () => Boolean, { defaultValue: true, description: '仅未核查的 (only those not acknowledged)' }) open: boolean,
      @Arg('first', () => Int, { defaultValue: 50 }) first: number,
      @Ctx() context: Context,
    ): Promise<AlarmType[]> {
      requireDuty(model, context.caller, 'read-log');
      const size = pageSize(first);
      const { sql, keys } = context.services;
      await countAlarms(sql, rules, (tokens) => regionsOfTokens(sql, keys, tokens), new Date());
      return (await listAlarms(sql, open, size)).map(toAlarm);
    }

    @Mutation(() => AlarmType, { description: '核查预警并说明结果 (say what an alarm was)' })
    async acknowledgeLogAlarm(
      @Arg('id', () => ID) id: string,
      @Arg('reason', () => String) reason: string,
      @Ctx() context: Context,
    ): Promise<AlarmType> {
      requireDuty(model, context.caller, 'read-log');
      return toAlarm(await acknowledgeAlarm(context.services.sql, person(context), idOf(id), reason));
    }
  }

  return [Log];
}
