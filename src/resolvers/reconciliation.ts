import { Arg, type ClassType, Ctx, Field, FieldResolver, ID, Int, Mutation, ObjectType, Query, Resolver, Root } from 'type-graphql';
import { hasDuty, requireDuty } from '../access/duty.ts';
import type { Model } from '../model/types.ts';
import {
  askCorrection,
  cellsOf,
  differencesOf,
  listReconciliations,
  type Reconciliation,
  type ReconciliationState,
} from '../store/reconciliation.ts';
import type { Context } from './context.ts';
import { Instant } from './scalars.ts';
import { idOf, pageSize } from './work.ts';

/** What came of the comparisons with the platforms (U24), and the correction of what differs. */

@ObjectType({ description: '对账单元:类别、日期、区划 (cell of a comparison)', simpleResolvers: true })
class ReconciliationCellType {
  @Field(() => Int, { description: '信息类别 (number of the category)' })
  category!: number;
  @Field(() => String, { description: '平台写入日期,平台不提供时为空 (day on which the platform wrote it)' })
  day!: string;
  @Field(() => String, { description: '区划代码,平台不分区划时为空 (region)' })
  region!: string;
  @Field(() => Int, { description: '本系统数量 (how many the hub holds)' })
  ours!: number;
  @Field(() => Int, { description: '平台数量 (how many the platform holds)' })
  theirs!: number;
  @Field(() => String, { description: '本系统集合摘要 (set hash of the hub)' })
  oursHash!: string;
  @Field(() => String, { description: '平台集合摘要 (set hash of the platform)' })
  theirsHash!: string;
  @Field(() => Int, { description: '已知原因的不同:拒收的、未到期的 (differ for a known reason)' })
  accounted!: number;
  @Field(() => Int, { description: '差异数 (keys that differ)' })
  differences!: number;
  @Field(() => String, { description: '依据:hash 摘要一致,keys 逐个主键比对 (what the verdict rests on)' })
  proof!: string;
}

@ObjectType({ description: '对账差异 (one key that differs)', simpleResolvers: true })
class ReconciliationDifferenceType {
  @Field(() => String, { description: 'not-here 本系统缺少、not-there 平台缺少、differs 内容不同' })
  kind!: string;
  @Field(() => Int)
  category!: number;
  @Field(() => String)
  day!: string;
  @Field(() => String)
  region!: string;
  @Field(() => [String], { description: '平台主键的各部分,已删除个人信息的为空 (the key in its parts)' })
  parts!: readonly string[];
}

@ObjectType({ description: '与平台的对账 (comparison of a stream with its platform)', simpleResolvers: true })
class ReconciliationType {
  @Field(() => ID)
  id!: string;
  @Field(() => String)
  connector!: string;
  @Field(() => String)
  stream!: string;
  @Field(() => String, { nullable: true, description: '方式:asked 平台汇总、listed 平台清单、reread 重新读取' })
  method!: string | null;
  @Field(() => String, { description: 'running、green 一致、red 有差异、unproven 未证明' })
  state!: string;
  @Field(() => String, { nullable: true, description: '未证明的原因 (why nothing is proved)' })
  reason!: string | null;
  @Field(() => Instant)
  startedAt!: string;
  @Field(() => Instant, { nullable: true })
  endedAt!: string | null;
  @Field(() => Int, { description: '本系统数量 (how many the hub holds)' })
  ours!: number;
  @Field(() => Int, { description: '平台数量 (how many the platform holds)' })
  theirs!: number;
  @Field(() => Int, { description: '差异数 (keys that differ)' })
  differences!: number;
  @Field(() => Instant, { nullable: true, description: '提出更正的时间 (when somebody asked for a correction)' })
  askedAt!: string | null;
  @Field(() => Instant, { nullable: true, description: '更正完成的时间 (when it was carried out)' })
  correctedAt!: string | null;
  @Field(() => Int, { nullable: true, description: '重新读取或推送的条数 (how many were read or sent again)' })
  corrected!: number | null;
}

const toType = (one: Reconciliation): ReconciliationType => ({ ...one, id: String(one.id) });

export function buildReconciliationResolvers(model: Model): ClassType[] {
  @Resolver(() => ReconciliationType)
  class Reconciliations {
    @Query(() => [ReconciliationType], { description: '与平台的对账,从新到旧 (comparisons with the platforms, newest first)' })
    async reconciliations(
      @Arg('connector', () => String, { nullable: true }) connector: string | undefined,
      @Arg('stream', () => String, { nullable: true }) stream: string | undefined,
      @Arg('state', () => String, { nullable: true }) state: ReconciliationState | undefined,
      @Arg('first', () => Int, { defaultValue: 50 }) first: number,
      @Arg('after', () => ID, { nullable: true }) after: string | undefined,
      @Ctx() context: Context,
    ): Promise<ReconciliationType[]> {
      if (!hasDuty(model, context.caller, 'handle-issues')) requireDuty(model, context.caller, 'operate-system');
      const where = Object.fromEntries(Object.entries({ connector, stream, state }).filter(([, v]) => typeof v === 'string'));
      const page = { first: pageSize(first), after: after ? idOf(after) : undefined };
      return (await listReconciliations(context.services.sql, where, page)).map(toType);
    }

    @FieldResolver(() => [ReconciliationCellType], { description: '对账单元,有差异的在前 (cells, those that differ first)' })
    async cells(
      @Root() { id }: ReconciliationType,
      @Arg('first', () => Int, { defaultValue: 50 }) first: number,
      @Ctx() context: Context,
    ): Promise<ReconciliationCellType[]> {
      return cellsOf(context.services.sql, Number(id), pageSize(first));
    }

    @FieldResolver(() => [ReconciliationDifferenceType], {
      nullable: true,
      description: '差异的主键,仅问题数据岗位可见 (keys that differ; null without the duty handle-issues)',
    })
    async keys(
      @Root() { id }: ReconciliationType,
      @Arg('first', () => Int, { defaultValue: 50 }) first: number,
      @Ctx() context: Context,
    ): Promise<ReconciliationDifferenceType[] | null> {
      if (!hasDuty(model, context.caller, 'handle-issues')) return null;
      const { sql, keys } = context.services;
      return differencesOf(sql, keys, Number(id), pageSize(first));
    }

    @Mutation(() => ReconciliationType, {
      description: '更正对账差异:只重新读取或重新推送不一致的各条 (correct what differs, and only that; the worker carries it out)',
    })
    async correctReconciliation(
      @Arg('id', () => ID) id: string,
      @Arg('reason', () => String) reason: string,
      @Ctx() context: Context,
    ): Promise<ReconciliationType> {
      requireDuty(model, context.caller, 'handle-issues');
      return toType(await askCorrection(context.services.sql, context.caller, idOf(id), reason));
    }
  }
  return [Reconciliations];
}
