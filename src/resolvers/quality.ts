import { Arg, type ClassType, Ctx, Field, Float, ID, Int, Mutation, ObjectType, Query, Resolver } from 'type-graphql';
import { requireDuty } from '../access/duty.ts';
import { Refused } from '../errors.ts';
import type { Model } from '../model/types.ts';
import { drawSample, noteSpotCheck, type Quality, sourceQuality } from '../store/quality.ts';
import type { Context } from './context.ts';
import { enumName } from './types.ts';
import { actorOf } from './work.ts';

/** How good what a source delivers is (WG-9), for the people who answer for it. */

@ObjectType({ description: '来源质量 (quality of a source, WG-9)', simpleResolvers: true })
class SourceQuality implements Quality {
  @Field(() => String)
  connector!: string;
  @Field(() => Int, { description: '累计读取条数 (records read)' })
  read!: number;
  @Field(() => Int, { description: '未处理问题数 (open issues)' })
  openIssues!: number;
  @Field(() => Float, { nullable: true, description: '完整性,0 至 1 (share without a missing required value)' })
  completeness!: number | null;
  @Field(() => Float, { nullable: true, description: '准确性,0 至 1 (share whose values hold)' })
  accuracy!: number | null;
  @Field(() => Float, { nullable: true, description: '时效性:从来源版本时间到入库的中位小时数 (median hours to arrive)' })
  hoursToArrive!: number | null;
  @Field(() => Float, { nullable: true, description: '真实性:抽查相符率,0 至 1 (share of spot checks passed)' })
  truth!: number | null;
  @Field(() => Int, { description: '抽查次数 (spot checks)' })
  spotChecks!: number;
}

@ObjectType({ description: '抽查样本 (record drawn for a spot check)', simpleResolvers: true })
class SampleItem {
  @Field(() => ID)
  id!: string;
  @Field(() => String)
  stream!: string;
  @Field(() => String)
  category!: string;
  @Field(() => String)
  kind!: string;
}

const LARGEST_SAMPLE = 50;

export function buildQualityResolvers(model: Model): ClassType[] {
  @Resolver()
  class QualityWork {
    @Query(() => [SourceQuality], { description: '各来源的数据质量 (quality by source)' })
    async sourceQuality(@Ctx() context: Context): Promise<SourceQuality[]> {
      requireDuty(model, context.caller, 'handle-issues');
      return sourceQuality(context.services.sql);
    }

    @Query(() => [SampleItem], { description: '随机抽取待抽查的记录 (records drawn at random for a spot check)' })
    async spotCheckSample(
      @Arg('connector', () => String) connector: string,
      @Arg('size', () => Int, { defaultValue: 10 }) size: number,
      @Ctx() context: Context,
    ): Promise<SampleItem[]> {
      requireDuty(model, context.caller, 'handle-issues');
      if (size < 1 || size > LARGEST_SAMPLE) throw new Refused('BAD_PAGE_SIZE', `抽查条数须为 1 至 ${LARGEST_SAMPLE}`, { status: 400 });
      const { region } = actorOf(context);
      const sample = await drawSample(context.services.sql, context.services.keys, connector, region, size);
      return sample.map((one) => ({ ...one, category: enumName(model.categories.get(one.category)?.id ?? '') }));
    }

    @Mutation(() => Boolean, { description: '登记抽查结果 (note what a spot check found)' })
    async noteSpotCheck(
      @Arg('id', () => ID) id: string,
      @Arg('passed', () => Boolean) passed: boolean,
      @Arg('note', () => String, { nullable: true }) note: string | undefined,
      @Ctx() context: Context,
    ): Promise<boolean> {
      requireDuty(model, context.caller, 'handle-issues');
      const { sql, keys } = context.services;
      await noteSpotCheck(sql, keys, actorOf(context), { id, passed, note: note ?? '' });
      return true;
    }
  }
  return [QualityWork];
}
