import { type ClassType, Ctx, Field, FieldResolver, ID, Int, ObjectType, Resolver, Root } from 'type-graphql';
import type { Model } from '../model/types.ts';
import type { RecordRow } from '../store/rows.ts';
import { type Context, grantedOf } from './context.ts';
import { contradictionsIn, isPreferred } from './facts.ts';
import { Instant } from './scalars.ts';
import { toRecord, toSubject } from './shapes.ts';
import { type CatalogTypes, CreditRecord, Source, Subject } from './types.ts';

@ObjectType({ description: '同一事实的不同说法 (a field on which the sources of one fact differ)', simpleResolvers: true })
class Contradiction {
  @Field(() => String, { description: '字段 (field)' })
  field!: string;

  @Field(() => [ID], { description: '说法不同的记录 (the records that differ)' })
  records!: string[];
}

/** The records that tell the same fact on the days the record was read as of; none, not even itself, where the grant may not know which records those are. */
async function factOf(record: CreditRecord, context: Context): Promise<RecordRow[]> {
  const rows = await grantedOf(context).batches.fact(record.fact, record.known);
  return rows.some((row) => row.id === record.id) ? rows : [];
}

/** What a record leads to: its subject, the other sources of its fact, and its history as far as the caller may see it. */
export function buildRecordEdges(model: Model, types: CatalogTypes): ClassType[] {
  @Resolver(() => CreditRecord)
  class RecordEdges {
    @FieldResolver(() => types.categories as never, { description: '信息类别 (category)' })
    category(@Root() record: CreditRecord): number {
      return record.categoryNo;
    }

    @FieldResolver(() => Subject, { nullable: true, description: '信用主体;不在授权范围内时为空 (subject, null outside the grant)' })
    async subject(@Root() record: CreditRecord, @Ctx() context: Context): Promise<Subject | null> {
      const row = await grantedOf(context).batches.subject(record.subjectRowId);
      return row === undefined ? null : toSubject(row);
    }

    @FieldResolver(() => [CreditRecord], { description: '其他来源对同一事实的记录 (what other sources tell of the same fact)' })
    async sameFact(@Root() record: CreditRecord, @Ctx() context: Context): Promise<CreditRecord[]> {
      const rows = await factOf(record, context);
      return rows.filter((row) => row.id !== record.id).map((row) => toRecord(model, row, record.known));
    }

    @FieldResolver(() => Boolean, { description: '是否为该事实的首选来源 (whether this source is the preferred one of its fact)' })
    async preferred(@Root() record: CreditRecord, @Ctx() context: Context): Promise<boolean> {
      const rows = await factOf(record, context);
      const changes = await Promise.all(rows.map((row) => grantedOf(context).batches.changes(row)));
      const told = rows.map((row, i) => ({ ...row, changedAt: changes[i]?.changedAt ?? '' }));
      return isPreferred(model, record.id, told);
    }

    @FieldResolver(() => [Contradiction], {
      description: '各来源说法不一致的字段,限本次查询所选 (selected fields on which the sources differ)',
    })
    async contradictions(@Root() record: CreditRecord, @Ctx() context: Context): Promise<Contradiction[]> {
      return contradictionsIn(grantedOf(context).grant, await factOf(record, context));
    }

    @FieldResolver(() => Int, { description: '版本号,只计查询人可见的变更 (version; only changes that the caller may see count)' })
    async version(@Root() record: CreditRecord, @Ctx() context: Context): Promise<number> {
      return (await grantedOf(context).batches.changes(record.at)).version;
    }

    @FieldResolver(() => Instant, { description: '入库时刻 (when first stored, as far as the caller may see)' })
    async recordedAt(@Root() record: CreditRecord, @Ctx() context: Context): Promise<string> {
      return (await grantedOf(context).batches.changes(record.at)).recordedAt;
    }

    @FieldResolver(() => Instant, { description: '变更时刻 (when last changed, as far as the caller may see)' })
    async changedAt(@Root() record: CreditRecord, @Ctx() context: Context): Promise<string> {
      return (await grantedOf(context).batches.changes(record.at)).changedAt;
    }
  }

  @Resolver(() => Source)
  class SourceEdges {
    @FieldResolver(() => String, { nullable: true, description: '来源方的版本时间 (the source own version of what the caller sees)' })
    async version(@Root() source: Source, @Ctx() context: Context): Promise<string | null> {
      return (await grantedOf(context).batches.changes(source.record)).sourceVersion;
    }
  }

  return [RecordEdges, SourceEdges];
}
