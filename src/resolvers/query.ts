import { Arg, type ClassType, Ctx, Field, FieldResolver, InputType, Int, ObjectType, Query, Resolver, Root } from 'type-graphql';
import { supposed } from '../access/caller.ts';
import { explain } from '../access/decide.ts';
import { Refused } from '../errors.ts';
import type { Category as CatalogCategory, Model } from '../model/types.ts';
import type { PageOf, RecordRow } from '../store/rows.ts';
import { type Context, grantedOf } from './context.ts';
import { buildRecordEdges } from './record-edges.ts';
import { type Known, toRecord, toSubject } from './shapes.ts';
import { Explanation } from './explanation.ts';
import { protectedCoordinates } from './coordinates.ts';
import { SubjectWhereInput } from './inputs.ts';
import { Day } from './scalars.ts';
import { type CatalogTypes, enumName, RecordConnection, Subject, SubjectConnection } from './types.ts';
import { toRecordWhere } from './where.ts';

@InputType({ description: '时点查询:某日的档案,按另一日已知的信息 (as it stood on a day, as known on another; U11)' })
class AsOf {
  @Field(() => Day, { description: '所查的日期 (the day asked about)' })
  day!: string;

  @Field(() => Day, {
    nullable: true,
    description: '以该日已入库的信息为准,默认今日 (what was known by the end of this day; today unless told)',
  })
  knownOn?: string;
}

@ObjectType({ description: '主体关系 (relation to another subject)', simpleResolvers: true })
class Relation {
  @Field(() => String, { description: '关系代码 (a code of relation-kinds)' })
  kind!: string;

  @Field(() => String, { description: 'out:本主体一方所述;in:对方所述 (whose record tells it)' })
  direction!: string;

  @Field(() => Subject, { description: '对方主体 (the other subject)' })
  subject!: Subject;

  @Field(() => Day, { nullable: true })
  validFrom!: string | null;

  @Field(() => Day, { nullable: true })
  validTo!: string | null;
}

@ObjectType({ description: '档案中的一个类别 (one category of an archive)' })
class CategoryArchive {
  @Field(() => String, { description: '类别代码 (category)' })
  id!: string;

  @Field(() => Int, { description: '类别序号,1 至 12 (number of HN-14)' })
  no!: number;

  @Field(() => String)
  zh!: string;

  @Field(() => String)
  en!: string;

  @Field(() => Int, { description: '可见记录数 (records the caller may see)' })
  count!: number;

  subject!: number;
  asOf!: AsOf | undefined;
}

@ObjectType({ description: '目录字段 (field of the catalog)', simpleResolvers: true })
class CatalogField {
  @Field(() => String)
  coordinate!: string;
  @Field(() => String)
  zh!: string;
  @Field(() => String)
  en!: string;
  @Field(() => String)
  type!: string;
  @Field(() => String, { description: '敏感级别 (sensitivity, HN-5)' })
  sensitivity!: string;
  @Field(() => String)
  article!: string;
}

@ObjectType({ description: '目录类别 (category of the catalog)', simpleResolvers: true })
class CatalogCategoryType {
  @Field(() => Int)
  no!: number;
  @Field(() => String)
  id!: string;
  @Field(() => String)
  zh!: string;
  @Field(() => String)
  en!: string;
  @Field(() => String)
  article!: string;
  @Field(() => [String])
  kinds!: string[];
  @Field(() => [CatalogField])
  fields!: CatalogField[];
}

const DEFAULT_PAGE = 20;

function toRecords(model: Model, page: PageOf<RecordRow>, known: Known): RecordConnection {
  return {
    nodes: page.nodes.map((row) => toRecord(model, row, known)),
    pageInfo: { endCursor: page.endCursor, hasNextPage: page.hasNextPage },
  };
}

/** A knowledge day in the future is today: nothing is known of tomorrow. */
function past(context: Context, asOf: AsOf | null | undefined): Known {
  if (!asOf) return {};
  const knownOn = asOf.knownOn && asOf.knownOn < context.today ? asOf.knownOn : context.today;
  return { asOf: { day: asOf.day, knownOn } };
}

const pageOf = (first: number, after: string | null | undefined) => ({ first, after: after ?? undefined });

/** The resolver classes, made once the catalog's types exist. They only translate: the reader of the grant decides what there is. */
export function buildResolvers(model: Model, types: CatalogTypes, recordWhere: ClassType): [ClassType, ...ClassType[]] {
  type Where = Record<string, unknown> | null | undefined;
  const coordinates = protectedCoordinates(model);

  @Resolver()
  class HubQuery {
    @Query(() => Subject, {
      nullable: true,
      description: '按代码查询信用主体:统一社会信用代码、证件号码或平台编号 (subject by any of its codes)',
    })
    async subject(
      @Arg('code', () => String) code: string,
      @Arg('scheme', () => String, { nullable: true, description: '编号种类,编号属于多个主体时须指明 (scheme of the code)' })
      scheme: string | undefined,
      @Ctx() context: Context,
    ): Promise<Subject> {
      const row = await grantedOf(context).reader.subjectByCode(code, scheme ?? undefined, context.today);
      if (row === undefined) throw new Refused('SUBJECT_NOT_FOUND', '未找到该信用主体,或其不在授权范围内');
      return toSubject(row);
    }

    @Query(() => SubjectConnection, { description: '信用主体列表 (subjects)' })
    async subjects(
      @Arg('where', () => SubjectWhereInput, { nullable: true }) where: SubjectWhereInput | undefined,
      @Arg('first', () => Int, { defaultValue: DEFAULT_PAGE }) first: number,
      @Arg('after', () => String, { nullable: true }) after: string | undefined,
      @Ctx() context: Context,
    ): Promise<SubjectConnection> {
      const given = Object.fromEntries(Object.entries(where ?? {}).filter(([, v]) => v !== null && v !== undefined));
      const page = await grantedOf(context).reader.subjects(given, pageOf(first, after));
      return { nodes: page.nodes.map(toSubject), pageInfo: { endCursor: page.endCursor, hasNextPage: page.hasNextPage } };
    }

    @Query(() => RecordConnection, { description: '信用信息列表,按日期从新到旧 (records, newest first)' })
    async records(
      @Arg('where', () => recordWhere, { nullable: true }) where: Where,
      @Arg('first', () => Int, { defaultValue: DEFAULT_PAGE }) first: number,
      @Arg('after', () => String, { nullable: true }) after: string | undefined,
      @Arg('asOf', () => AsOf, { nullable: true }) asOf: AsOf | undefined,
      @Ctx() context: Context,
    ): Promise<RecordConnection> {
      const known = past(context, asOf);
      const conditions = { ...toRecordWhere(model, where), ...known };
      return toRecords(model, await grantedOf(context).reader.records(conditions, pageOf(first, after)), known);
    }

    @Query(() => [CatalogCategoryType], { description: '信用信息目录 (the catalog)' })
    catalog(): CatalogCategoryType[] {
      return [...model.categories.values()].map((c) => ({
        no: c.no,
        id: c.id,
        zh: c.zh,
        en: c.en,
        article: c.article,
        kinds: [...c.kinds.keys()],
        fields: [...c.fields.values()].map((f) => ({ ...f, coordinate: `${c.type}.${f.name}` })),
      }));
    }

    @Query(() => Explanation, { description: '某字段在某用途下可否查看及其依据,不读取任何数据 (explain)' })
    explain(
      @Arg('coordinate', () => String, { description: '如 Person.name' }) coordinate: string,
      @Arg('purpose', () => String, { description: '查询用途代码 (purpose code)' }) purpose: string,
      @Ctx() context: Context,
    ): Explanation {
      if (!coordinates.has(coordinate)) throw new Refused('BAD_COORDINATE', '目录中没有该字段');
      if (!model.codes.get('purposes')?.values.has(purpose)) throw new Refused('PURPOSE_UNKNOWN', '查询用途代码不存在');
      // A purpose that needs a case is refused without one: what is explained is the answer with it.
      const { lift, needs, ...decision } = explain(model, context.caller, supposed(purpose), coordinate, context.today);
      return { ...decision, lift: [...lift], needs: [...needs] };
    }
  }

  @Resolver(() => Subject)
  class SubjectEdges {
    @FieldResolver(() => [CategoryArchive], { description: '信用档案,按类别 (archive by category, HN-13)' })
    async archive(
      @Root() subject: Subject,
      @Arg('categories', () => [types.categories], { nullable: true }) wanted: number[] | undefined,
      @Arg('asOf', () => AsOf, { nullable: true }) asOf: AsOf | undefined,
      @Ctx() context: Context,
    ): Promise<CategoryArchive[]> {
      const { batches, grant } = grantedOf(context);
      const counts = await batches.counts(subject.rowId, past(context, asOf));
      const granted = new Set(grant.scopes.flatMap((s) => s.categories));
      const shown = (c: CatalogCategory) => granted.has(c.no) && (!wanted || wanted.includes(c.no));
      return [...model.categories.values()]
        .filter(shown)
        .map((c) => ({ id: enumName(c.id), no: c.no, zh: c.zh, en: c.en, count: counts.get(c.no) ?? 0, subject: subject.rowId, asOf }));
    }

    @FieldResolver(() => [Relation], {
      description: '与其他主体的关系,限授权范围内的记录和主体 (relations, where record and subject are granted)',
    })
    async relations(@Root() subject: Subject, @Ctx() context: Context): Promise<Relation[]> {
      const { batches } = grantedOf(context);
      const rows = await batches.relations(subject.rowId);
      const others = await Promise.all(rows.map((row) => batches.subject(row.other)));
      return rows.flatMap(({ other: _other, ...row }, i) => {
        const found = others[i];
        return found === undefined ? [] : [{ ...row, subject: toSubject(found) }];
      });
    }

    @FieldResolver(() => RecordConnection, { description: '该主体的信用信息 (records of this subject)' })
    async records(
      @Root() subject: Subject,
      @Arg('where', () => recordWhere, { nullable: true }) where: Where,
      @Arg('first', () => Int, { defaultValue: DEFAULT_PAGE }) first: number,
      @Arg('after', () => String, { nullable: true }) after: string | undefined,
      @Arg('asOf', () => AsOf, { nullable: true }) asOf: AsOf | undefined,
      @Ctx() context: Context,
    ): Promise<RecordConnection> {
      const known = past(context, asOf);
      const conditions = { ...toRecordWhere(model, where), ...known };
      return toRecords(model, await grantedOf(context).batches.records(subject.rowId, conditions, pageOf(first, after)), known);
    }
  }

  @Resolver(() => CategoryArchive)
  class ArchiveEdges {
    @FieldResolver(() => RecordConnection, { description: '该类别的信用信息 (records of this category)' })
    async records(
      @Root() archive: CategoryArchive,
      @Arg('first', () => Int, { defaultValue: DEFAULT_PAGE }) first: number,
      @Arg('after', () => String, { nullable: true }) after: string | undefined,
      @Ctx() context: Context,
    ): Promise<RecordConnection> {
      const known = past(context, archive.asOf);
      const conditions = { categories: [archive.no], ...known };
      return toRecords(model, await grantedOf(context).batches.records(archive.subject, conditions, pageOf(first, after)), known);
    }
  }

  return [HubQuery, SubjectEdges, ArchiveEdges, ...buildRecordEdges(model, types)];
}
