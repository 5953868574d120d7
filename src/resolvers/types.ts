import { type ClassType, Field, ID, InterfaceType, Int, ObjectType, registerEnumType } from 'type-graphql';
import type { Category, Field as CatalogField, Model, SubjectKind } from '../model/types.ts';
import type { RecordAt, RecordWhere } from '../store/rows.ts';
import { Day, Decimal, Fen, Instant } from './scalars.ts';

/*
 * The graph's types. Those that do not depend on the catalog are classes here; the record types, the subject types and the category
 * enumeration are built from the model by `buildTypes`, with decorators called as functions.
 */

export enum SubjectKindEnum {
  ORGANISATION = 'organisation',
  PERSON = 'person',
}
registerEnumType(SubjectKindEnum, { name: 'SubjectKind', description: '主体类型:机构或个人 (kind of subject, HN-3)' });

export enum WithheldEnum {
  RESTRICTED = 'restricted',
  ERASED = 'erased',
}
registerEnumType(WithheldEnum, {
  name: 'Withheld',
  description: '仅限存储(法定保存期限内)或已删除 (kept only while a legal term runs, or erased; PIPL 47)',
});

@ObjectType({ description: '分页信息 (page)', simpleResolvers: true })
export class PageInfo {
  @Field(() => String, { nullable: true, description: '下一页的游标,不透明 (opaque cursor)' })
  endCursor!: string | null;

  @Field(() => Boolean)
  hasNextPage!: boolean;
}

@ObjectType({ description: '信息来源 (provenance, U12)', simpleResolvers: true })
export class Source {
  @Field(() => String, { description: '连接器 (connector)' })
  connector!: string;

  @Field(() => String, { description: '数据流 (stream)' })
  stream!: string;

  @Field(() => String, { description: '提供部门 (department that provides it)' })
  department!: string;

  @Field(() => String, { description: '归集途径 (collection route, HN-16)' })
  route!: string;

  /** What `version` is told from. */
  record!: RecordAt;
}

@InterfaceType({
  description: '信用主体:机构或个人 (credit subject)',
  resolveType: (value: { type: string }) => value.type,
})
export abstract class Subject {
  @Field(() => ID, { description: '不透明标识 (opaque id)' })
  id!: string;

  @Field(() => SubjectKindEnum, { description: '主体类型 (kind)' })
  kind!: SubjectKind;

  @Field(() => String, { nullable: true, description: '名称或姓名 (name)' })
  name!: string | null;

  @Field(() => String, { nullable: true, description: '区划代码 (region code)' })
  region!: string | null;

  @Field(() => [String], { description: '信用主体身份 (roles of HN-3)' })
  roles!: string[];

  @Field(() => WithheldEnum, {
    nullable: true,
    description: '个人信息仅限存储或已删除:其他内容一概为空 (only kept, or erased: nothing else is shown)',
  })
  withheld!: WithheldEnum | null;

  rowId!: number;
  type!: string;
}

@InterfaceType({
  description: '信用信息 (credit record)',
  resolveType: (value: { type: string }) => value.type,
})
export abstract class CreditRecord {
  @Field(() => ID, { description: '不透明标识 (opaque id)' })
  id!: string;

  @Field(() => String, { description: '记录种类 (record kind)' })
  kind!: string;

  @Field(() => String, { nullable: true, description: '区划代码 (region code)' })
  region!: string | null;

  @Field(() => String, { description: '公开类别:public 或 non-public (HN-4)' })
  publicity!: string;

  @Field(() => String, { nullable: true, description: '标注,如某年某月某日修复 (mark that a decision left, HN-27)' })
  mark!: string | null;

  @Field(() => Boolean, { description: '异议处理期间:信息仍有效,但须标注 (an objection is pending: it holds, and is marked; HN-24.3)' })
  disputed!: boolean;

  @Field(() => Day, { nullable: true, description: '发生日期 (when it occurred)' })
  occurredOn!: string | null;

  @Field(() => Day, { nullable: true, description: '有效期自 (valid from)' })
  validFrom!: string | null;

  @Field(() => Day, { nullable: true, description: '有效期至,空为无期限 (valid to; null is no end)' })
  validTo!: string | null;

  @Field(() => Source, { description: '来源 (provenance)' })
  source!: Source;

  /** The record and its version in the hub, which are nobody's to see. */
  at!: RecordAt;
  fact!: string;
  /** The days it was read as of: what is read of its fact is read as of the same. */
  known!: Pick<RecordWhere, 'asOf'>;
  categoryNo!: number;
  subjectRowId!: number;
  type!: string;
}

@ObjectType({ description: '信用信息分页 (page of records)', simpleResolvers: true })
export class RecordConnection {
  @Field(() => [CreditRecord])
  nodes!: CreditRecord[];

  @Field(() => PageInfo)
  pageInfo!: PageInfo;
}

@ObjectType({ description: '主体分页 (page of subjects)', simpleResolvers: true })
export class SubjectConnection {
  @Field(() => [Subject])
  nodes!: Subject[];

  @Field(() => PageInfo)
  pageInfo!: PageInfo;
}

/** What the catalog adds to the graph. */
export interface CatalogTypes {
  subjects: ClassType[];
  records: ClassType[];
  /** The enumeration `CategoryCode`: NAME → category number. */
  categories: Record<string, number>;
}

/** REGISTRATION for `registration`, ABNORMAL_OPERATION for `abnormal-operation`. */
export function enumName(id: string): string {
  return id.replaceAll('-', '_').toUpperCase();
}

/** registration, abnormalOperation: the category's key in input objects. */
export function inputName(category: Category): string {
  return category.id.replaceAll(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

/** GraphQL type of a catalog field. */
function scalarOf(field: CatalogField): ClassType | object {
  switch (field.type) {
    case 'text':
    case 'code':
      return String;
    case 'date':
      return Day;
    case 'instant':
      return Instant;
    case 'money':
      return Fen;
    case 'integer':
      return Int;
    case 'decimal':
      return Decimal;
    case 'boolean':
      return Boolean;
  }
}

/** Builds Organisation, Person, the twelve record types and the category enumeration from the catalog. Call once per process. */
export function buildTypes(model: Model): CatalogTypes {
  const categories = Object.fromEntries([...model.categories.values()].map((c) => [enumName(c.id), c.no]));
  registerEnumType(categories, { name: 'CategoryCode', description: '信息类别,湖南省十二类 (HN-14)', valuesConfig: {} });
  const subjects = [...model.subjects.values()].map((s) => {
    const own = [...s.fields.values()].filter((f) => f.name !== 'name');
    return objectType(s.type, `${s.zh} (${s.en})`, Subject, own);
  });
  const records = [...model.categories.values()].map((c) => {
    const type = objectType(c.type, `${c.no}. ${c.zh} (${c.en}; ${c.article})`, CreditRecord, [...c.fields.values()]);
    return type;
  });
  return { subjects, records, categories };
}

function objectType(name: string, description: string, parent: typeof Subject | typeof CreditRecord, fields: CatalogField[]): ClassType {
  const Base = parent as unknown as new () => object;
  const type = { [name]: class extends Base {} }[name] as ClassType;
  for (const field of fields) {
    const text = `${field.zh} (${field.en}; ${field.sensitivity}; ${field.article})`;
    Field(() => scalarOf(field) as never, { nullable: true, description: text })(type.prototype, field.name);
  }
  ObjectType(name, { implements: parent as never, description, simpleResolvers: true })(type);
  return type;
}
