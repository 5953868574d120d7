import { Arg, type ClassType, Ctx, Field, InputType, Int, ObjectType, Query, registerEnumType, Resolver } from 'type-graphql';
import { Refused } from '../errors.ts';
import type { Model, SubjectKind } from '../model/types.ts';
import { type Cell, type Dimension, FEWEST, isAmount, openCounter, type Predicate } from '../store/statistics.ts';
import { type Context, grantedOf } from './context.ts';
import { Day, Fen } from './scalars.ts';
import { type CatalogTypes, SubjectKindEnum } from './types.ts';

/** Counts and sums for dashboards (U28). */

export enum DimensionEnum {
  CATEGORY = 'category',
  KIND = 'kind',
  REGION = 'region',
  COUNTY = 'county',
  MONTH = 'month',
  SUBJECT_TYPE = 'subject-type',
  GRADE = 'grade',
}
registerEnumType(DimensionEnum, {
  name: 'StatisticsDimension',
  description: '统计维度:类别、种类、市州、区县、月份、主体类型、评价等级 (what cells are made by)',
});

@ObjectType({ description: '统计单元格 (cell of a table)', simpleResolvers: true })
class StatisticsCell implements Cell {
  @Field(() => [String], { nullable: 'items', description: '各维度的值,合计为空 (a value for each dimension, null in a margin)' })
  at!: (string | null)[];
  @Field(() => Boolean, { description: '因涉及主体过少或可被推算而隐去 (hidden: too few subjects, or it would give such a cell away)' })
  suppressed!: boolean;
  @Field(() => Int, { nullable: true, description: '信息条数 (records)' })
  records!: number | null;
  @Field(() => Int, { nullable: true, description: '主体数 (subjects)' })
  subjects!: number | null;
  @Field(() => Fen, { nullable: true, description: '金额合计,分 (sum in fen)' })
  amount!: number | null;
}

@ObjectType({ description: '统计表 (table)', simpleResolvers: true })
class Statistics {
  @Field(() => [DimensionEnum], { description: '维度 (dimensions, in the order of the values)' })
  by!: Dimension[];
  @Field(() => Int, { description: '单元格所涉主体不少于此数方予显示 (fewest subjects that a cell is shown for)' })
  fewest!: number;
  @Field(() => [StatisticsCell])
  cells!: StatisticsCell[];
}

export function buildStatisticsResolvers(model: Model, types: CatalogTypes): ClassType[] {
  @InputType({ description: '统计范围 (which records are counted)' })
  class StatisticsWhere {
    @Field(() => [types.categories], { nullable: true, description: '信息类别 (categories)' })
    categories?: number[];
    @Field(() => String, { nullable: true, description: '信息种类 (kind)' })
    kind?: string;
    @Field(() => String, { nullable: true, description: '区划代码前缀 (first digits of the region code)' })
    region?: string;
    @Field(() => Day, { nullable: true, description: '起始日期 (first day)' })
    from?: string;
    @Field(() => Day, { nullable: true, description: '截止日期 (last day)' })
    to?: string;
    @Field(() => SubjectKindEnum, { nullable: true, description: '主体类型 (kind of subject)' })
    subjectType?: SubjectKind;
  }

  @Resolver()
  class StatisticsWork {
    @Query(() => Statistics, {
      description:
        '统计:按至多两个维度计数和合计,小单元格及可推算出它们的单元格隐去 (counts and sums by up to two dimensions, small cells suppressed)',
    })
    async statistics(
      @Arg('by', () => [DimensionEnum], { description: '维度,至多两个 (up to two dimensions)' }) by: Dimension[],
      @Arg('where', () => StatisticsWhere, { nullable: true }) where: StatisticsWhere | undefined,
      @Arg('amount', () => String, { nullable: true, description: '合计的金额字段,如 ViolationRecord.amount (money field to add up)' })
      amount: string | undefined,
      @Ctx() context: Context,
    ): Promise<Statistics> {
      if (by.length > 2 || new Set(by).size < by.length) throw new Refused('BAD_DIMENSIONS', '维度至多两个且不得重复', { status: 400 });
      if (amount !== undefined && amount !== null && !isAmount(model, amount)) throw new Refused('BAD_COORDINATE', '目录中没有该金额字段');
      const { grant, reader } = grantedOf(context);
      const { sql, keys } = context.services;
      const predicate = Object.fromEntries(
        Object.entries(where ?? {}).filter(([, value]) => value !== null && value !== undefined),
      ) as Predicate;
      const table = await openCounter(sql, keys, model, grant).count(context.caller.id, by, predicate, amount ?? undefined);
      for (const no of table.categories) reader.shown.categories.add(no);
      if (amount !== undefined && amount !== null) reader.shown.coordinates.add(amount);
      if (by.includes('grade')) reader.shown.coordinates.add('EvaluationRecord.grade');
      reader.shown.rows += table.population;
      return { by, fewest: FEWEST, cells: table.cells };
    }
  }
  return [StatisticsWork];
}
