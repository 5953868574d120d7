import { type ClassType, Field, InputType } from 'type-graphql';
import type { Category, Field as CatalogField, Model, SubjectKind } from '../model/types.ts';
import { Day, Fen } from './scalars.ts';
import { type CatalogTypes, enumName, inputName, SubjectKindEnum } from './types.ts';

/** Filters of the graph. Those over catalog fields are built from the catalog: only fields marked `filter` can be filtered by at all. */

@InputType({ description: '文本条件 (text condition)' })
export class TextWhere {
  @Field(() => String, { nullable: true })
  eq?: string;

  @Field(() => [String], { nullable: true })
  in?: string[];

  @Field(() => String, { nullable: true })
  contains?: string;
}

@InputType({ description: '代码条件 (code condition)' })
export class CodeWhere {
  @Field(() => String, { nullable: true })
  eq?: string;

  @Field(() => [String], { nullable: true })
  in?: string[];
}

@InputType({ description: '日期范围,含两端 (range of days, inclusive)' })
export class DayWhere {
  @Field(() => Day, { nullable: true })
  from?: string;

  @Field(() => Day, { nullable: true })
  to?: string;
}

@InputType({ description: '金额范围,含两端 (range of fen, inclusive)' })
export class FenWhere {
  @Field(() => Fen, { nullable: true })
  from?: number;

  @Field(() => Fen, { nullable: true })
  to?: number;
}

@InputType({ description: '主体条件 (subject conditions)' })
export class SubjectWhereInput {
  @Field(() => SubjectKindEnum, { nullable: true, description: '主体类型 (kind)' })
  kind?: SubjectKind;

  @Field(() => String, { nullable: true, description: '区划代码前缀 (first digits of the region code)' })
  region?: string;

  @Field(() => String, { nullable: true, description: '名称片段,须同时给出主体类型 (part of the name; needs kind)' })
  name?: string;
}

/** Builds `RecordWhere` with a nested `…Where` for every category that has filterable fields. */
export function buildRecordWhere(model: Model, types: CatalogTypes): ClassType {
  const where = { RecordWhere: class {} }['RecordWhere'] as ClassType;
  const add = (name: string, type: () => unknown, description: string) =>
    Field(type as never, { nullable: true, description })(where.prototype, name);
  add('categories', () => [types.categories], '信息类别 (categories)');
  add('kind', () => String, '记录种类 (record kind)');
  add('region', () => String, '区划代码前缀 (first digits of the region code)');
  add('from', () => Day, '起始日期,含 (from, inclusive)');
  add('to', () => Day, '截止日期,含 (to, inclusive)');
  for (const category of model.categories.values()) {
    const own = categoryWhere(category);
    if (own) add(inputName(category), () => own, `${category.zh} (${category.en})`);
  }
  InputType('RecordWhere', {
    description: '信用信息条件 (conditions on records); 类别条件只匹配该类别 (a nested condition matches its category only)',
  })(where);
  return where;
}

/** Input type of a category's conditions: `ViolationWhere`. */
export function whereName(category: Category): string {
  return `${category.type.replace(/Record$/, '')}Where`;
}

function categoryWhere(category: Category): ClassType | undefined {
  const fields = [...category.fields.values()].filter((f) => f.filter);
  if (fields.length === 0) return undefined;
  const name = whereName(category);
  const where = { [name]: class {} }[name] as ClassType;
  for (const field of fields)
    Field(() => conditionOf(field), { nullable: true, description: `${field.zh} (${field.en})` })(where.prototype, field.name);
  InputType(name, { description: `${category.zh} (${enumName(category.id)})` })(where);
  return where;
}

function conditionOf(field: CatalogField): ClassType {
  if (field.type === 'date' || field.type === 'instant') return DayWhere;
  if (field.type === 'money' || field.type === 'integer') return FenWhere;
  return field.type === 'code' ? CodeWhere : TextWhere;
}
