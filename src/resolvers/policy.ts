import type { GraphQLResolveInfo } from 'graphql';
import { Arg, type ClassType, Ctx, Field, Info, InputType, Int, ObjectType, Query, Resolver } from 'type-graphql';
import type { Caller } from '../access/caller.ts';
import type { Scope } from '../access/decide.ts';
import { requireDuty } from '../access/duty.ts';
import { minimise, type Unread } from '../access/minimise.ts';
import { Refused } from '../errors.ts';
import { foldUsage, usageSince } from '../log/usage.ts';
import { modelOf } from '../model/load.ts';
import type { Model } from '../model/types.ts';
import { daysBefore } from '../mapping/dates.ts';
import { modelTexts, modelUses, versionBefore } from '../store/model-versions.ts';
import type { Context } from './context.ts';
import { Explanation } from './explanation.ts';
import { Day, Instant } from './scalars.ts';
import { simulate } from './simulate.ts';

/** The policies as those see them who answer for them: what would be given (U5), what was given then (U11), what nobody needs (U7). */

@InputType({ description: '设想的查询人 (who might ask)' })
class SupposedCaller {
  @Field(() => String, { nullable: true, description: '部门代码,默认本部门 (department; the own one unless told)' })
  department?: string;
  @Field(() => String, { nullable: true, description: '岗位,默认本岗位 (role; the own one unless told)' })
  role?: string;
  @Field(() => String, { nullable: true, description: '行政区划代码,默认本区划 (region; the own one unless told)' })
  region?: string;
}

@ObjectType({ description: '可见行的范围 (rows that one rule opens)', simpleResolvers: true })
class SimulatedScope {
  @Field(() => String)
  rule!: string;
  @Field(() => String)
  article!: string;
  @Field(() => [Int], { description: '信息类别序号 (numbers of the categories)' })
  categories!: number[];
  @Field(() => [String], { description: '信息种类,空为全部 (kinds; empty: all)' })
  kinds!: string[];
  @Field(() => [String], { description: '行条件 (conditions on rows)' })
  conditions!: string[];
}

@ObjectType({ description: '模拟结果:只有形状,没有数据 (what a query would get: its shape, no data; U5)', simpleResolvers: true })
class Simulation {
  @Field(() => String, { description: 'answered、refused 或 invalid' })
  outcome!: string;
  @Field(() => String, { description: '错误代码,可答复时为空 (error code; empty when answered)' })
  code!: string;
  @Field(() => String)
  message!: string;
  @Field(() => String, { description: '所依据的授权策略版本 (version of the policies that decided)' })
  policy!: string;
  @Field(() => [String], { description: '适用的规则 (rules that match)' })
  rules!: string[];
  @Field(() => [Explanation], { description: '逐字段的决定 (decision for each field)' })
  decisions!: Explanation[];
  @Field(() => [SimulatedScope])
  scopes!: SimulatedScope[];
}

@ObjectType({ description: '授权策略版本 (version of the policies and since when it decided)', simpleResolvers: true })
class PolicyVersion {
  @Field(() => String)
  version!: string;
  @Field(() => Instant)
  since!: string;
}

@ObjectType({ description: '从未使用的授权 (fields that a rule gives and nobody read)', simpleResolvers: true })
class UnreadGrant implements Unread {
  @Field(() => String)
  rule!: string;
  @Field(() => String)
  article!: string;
  @Field(() => String)
  department!: string;
  @Field(() => String)
  purpose!: string;
  @Field(() => Int, { description: '该部门以该用途查询的次数 (queries of the department for the purpose)' })
  queries!: number;
  @Field(() => [String])
  coordinates!: string[];
}

@ObjectType({ description: '最小必要报告 (data-minimisation report; U7, HN-5)', simpleResolvers: true })
class Minimisation {
  @Field(() => Int)
  days!: number;
  @Field(() => Day, { nullable: true, description: '日志最早一日 (first day of the log that was counted)' })
  since!: string | null;
  @Field(() => Boolean, { description: '日志是否覆盖整个期间 (whether the log covers the whole time)' })
  covered!: boolean;
  @Field(() => [UnreadGrant])
  unread!: UnreadGrant[];
}

const MOST_DAYS = 3660;
const MOST_VERSIONS = 200;

export function buildPolicyResolvers(model: Model): ClassType[] {
  @Resolver()
  class PolicyWork {
    @Query(() => Simulation, {
      description: '模拟授权:返回查询的结果形状,不读取任何数据;模拟其他部门须有策略审查职责 (simulate the access decision)',
    })
    async simulateAccess(
      @Arg('document', () => String, { description: '查询语句 (GraphQL document)' }) document: string,
      @Arg('purpose', () => String, { description: '查询用途代码 (purpose code)' }) purpose: string,
      @Arg('operationName', () => String, { nullable: true }) operationName: string | undefined,
      @Arg('variables', () => String, { nullable: true, description: '查询变量,JSON (variables as JSON)' }) variables: string | undefined,
      @Arg('caller', () => SupposedCaller, { nullable: true }) supposed: SupposedCaller | undefined,
      @Arg('on', () => Day, {
        nullable: true,
        description: '按该日终了时有效的策略 (by the policies in force at the end of that day; U11)',
      })
      on: string | undefined,
      @Info() info: GraphQLResolveInfo,
      @Ctx() context: Context,
    ): Promise<Simulation> {
      const { caller: own, today } = context;
      const caller: Caller = {
        ...own,
        department: supposed?.department ?? own.department,
        role: supposed?.role ?? own.role,
        region: supposed?.region ?? own.region,
      };
      if (caller.department !== own.department || caller.role !== own.role) {
        requireDuty(model, own, 'review-policy');
        caller.purposes = undefined;
      }
      if (!model.codes.get('departments')?.values.has(caller.department))
        throw new Refused('BAD_DEPARTMENT', '部门代码不存在', { status: 400 });
      context.audit.kind = 'simulation';
      const then = on === undefined || on >= today ? model : await modelOn(context, on);
      const stated = { code: purpose, basis: context.purpose?.basis ?? '', case: context.purpose?.case ?? '' };
      const asked = {
        document,
        operationName: operationName ?? '',
        variables: variablesOf(variables),
        caller,
        purpose: stated,
        today: on ?? today,
      };
      const { decisions, scopes, rules, ...told } = simulate(info.schema, then, asked);
      return {
        ...told,
        policy: then.version,
        rules: [...rules],
        decisions: decisions.map(({ lift, needs, ...decision }) => ({ ...decision, lift: [...lift], needs: [...needs] })),
        scopes: scopes.map(toSimulatedScope),
      };
    }

    @Query(() => [PolicyVersion], { description: '授权策略的历次版本,从新到旧 (versions of the policies, newest first)' })
    async policyVersions(@Ctx() context: Context): Promise<PolicyVersion[]> {
      requireDuty(model, context.caller, 'review-policy');
      return modelUses(context.services.sql, MOST_VERSIONS);
    }

    @Query(() => Minimisation, { description: '最小必要报告:有权查看而从未查看的字段 (fields that may be read and are not)' })
    async minimisation(
      @Arg('days', () => Int, { defaultValue: 180, description: '统计天数 (days looked back)' }) days: number,
      @Ctx() context: Context,
    ): Promise<Minimisation> {
      requireDuty(model, context.caller, 'review-policy');
      if (days < 1 || days > MOST_DAYS) throw new Refused('BAD_PERIOD', `统计天数须为 1 至 ${MOST_DAYS}`, { status: 400 });
      const { sql } = context.services;
      await foldUsage(sql);
      const from = daysBefore(context.today, days);
      const { since, uses } = await usageSince(sql, from);
      const unread = minimise(model, uses).map((one) => ({ ...one, coordinates: [...one.coordinates] }));
      return { days, since, covered: since !== null && since <= from, unread };
    }
  }
  return [PolicyWork];
}

function variablesOf(text: string | undefined): Record<string, unknown> {
  if (text === undefined) return {};
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch {
    // Refused below, without an echo of it.
  }
  throw new Refused('BAD_VARIABLES', '查询变量须为 JSON 对象', { status: 400 });
}

/** The model that was in force at the end of a day; throws `Refused` POLICY_UNKNOWN where none is kept. */
async function modelOn(context: Context, day: string): Promise<Model> {
  const { sql } = context.services;
  const version = await versionBefore(sql, `${day}T24:00:00+08:00`);
  const texts = version === undefined ? undefined : await modelTexts(sql, version);
  if (texts === undefined) throw new Refused('POLICY_UNKNOWN', '该日没有留存的授权策略');
  return modelOf(texts);
}

function toSimulatedScope(scope: Scope): SimulatedScope {
  const { rule, article, categories, kinds, region, above, subjectRoles, publicOnly, tie } = scope;
  const conditions = [
    ...(region === undefined ? [] : [`region: ${[`${region}…`, ...above].join(', ')}`]),
    ...(publicOnly ? ['publicity: public'] : []),
    ...(subjectRoles.length === 0 ? [] : [`subjectRoles: ${subjectRoles.join(', ')}`]),
    ...(tie === undefined ? [] : [`subject: ${tie.by}`]),
  ];
  return { rule, article, categories: [...categories], kinds: [...kinds], conditions };
}
