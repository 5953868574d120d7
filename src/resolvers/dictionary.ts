import { Arg, type ClassType, Ctx, Field, ID, Int, ObjectType, Query, Resolver } from 'type-graphql';
import { listDictionary } from '../store/dictionary.ts';
import type { Context } from './context.ts';
import { Day, Instant } from './scalars.ts';
import { idOf, pageSize } from './work.ts';

/** Code tables of the platforms: no credit information and nobody's data, so that any caller who states a purpose may read them. */

@ObjectType({ description: '平台字典值 (value of a code table of a platform)', simpleResolvers: true })
class DictionaryValue {
  @Field(() => ID)
  id!: string;
  @Field(() => String, { description: '来源:连接器/数据流 (connector/stream)' })
  source!: string;
  @Field(() => String, { description: '字典类型,如 HOSP_LV (dictionary)' })
  type!: string;
  @Field(() => String, { description: '值代码 (code)' })
  code!: string;
  @Field(() => String, { description: '值名称 (name)' })
  name!: string;
  @Field(() => String, { nullable: true, description: '上级值代码 (code of the value above)' })
  parent!: string | null;
  @Field(() => String, { nullable: true, description: '适用区划,空为不限 (region where it holds; null is everywhere)' })
  region!: string | null;
  @Field(() => Boolean, { description: '是否有效 (whether it holds)' })
  valid!: boolean;
  @Field(() => Day, { nullable: true })
  validFrom!: string | null;
  @Field(() => Day, { nullable: true })
  validTo!: string | null;
  @Field(() => Instant, { description: '变更时刻 (when last changed here)' })
  changedAt!: string;
}

export function buildDictionaryResolvers(): ClassType[] {
  @Resolver()
  class Dictionaries {
    @Query(() => [DictionaryValue], { description: '平台数据字典的取值 (values of a code table, page by page)' })
    async dictionary(
      @Arg('type', () => String, { description: '字典类型,如 HOSP_LV;DIC_TYPE 为全部类型 (DIC_TYPE lists the types)' }) type: string,
      @Arg('first', () => Int, { defaultValue: 200 }) first: number,
      @Arg('after', () => ID, { nullable: true }) after: string | undefined,
      @Ctx() context: Context,
    ): Promise<DictionaryValue[]> {
      const rows = await listDictionary(context.services.sql, type, { first: pageSize(first), after: after ? idOf(after) : undefined });
      return rows.map((row) => ({ ...row, id: String(row.id), region: row.region === '' ? null : row.region }));
    }
  }
  return [Dictionaries];
}
