import { Arg, type ClassType, Ctx, Field, InputType, Int, Mutation, ObjectType, Query, Resolver } from 'type-graphql';
import { type OwnSubject, ownRegion } from '../access/caller.ts';
import { requireDuty } from '../access/duty.ts';
import { Refused } from '../errors.ts';
import { classify } from '../identity/classify.ts';
import type { Model } from '../model/types.ts';
import { closeCase, listCases, registerCase, type RegisteredCase } from '../store/cases.ts';
import type { Actor } from '../store/submissions.ts';
import type { Context } from './context.ts';
import { Day, Instant } from './scalars.ts';
import { pageSize } from './work.ts';

/** Cases with their subjects: whoever states a registered case as the purpose sees those subjects and nobody else. */

@InputType({ description: '案件登记内容 (a case and the subjects it concerns)' })
class CaseEntry {
  @Field(() => String, { description: '案件、申请或任务编号 (number)' })
  number!: string;
  @Field(() => String, { description: '法定依据或立案文书 (basis)' })
  basis!: string;
  @Field(() => [String], { description: '所涉信用主体的法定代码 (statutory codes of the subjects)' })
  subjects!: string[];
  @Field(() => String, { nullable: true, description: '承办人编号,默认本人 (id of the officer; oneself unless told)' })
  officer?: string | null;
  @Field(() => String, { nullable: true, description: '承办人姓名 (name of the officer)' })
  officerName?: string | null;
}

@ObjectType({ description: '登记的案件 (registered case; its subjects are counted, not named)', simpleResolvers: true })
class CaseType implements RegisteredCase {
  @Field(() => String)
  number!: string;
  @Field(() => String)
  region!: string;
  @Field(() => String)
  basis!: string;
  @Field(() => String, { description: '承办人 (officer)' })
  officerName!: string;
  @Field(() => Int, { description: '所涉主体数 (number of subjects)' })
  subjects!: number;
  @Field(() => String, { description: '登记人 (who registered it)' })
  registeredName!: string;
  @Field(() => Instant)
  registeredAt!: string;
  @Field(() => Day, { nullable: true, description: '办结日期,自该日起不再开放 (closed; opens nothing from this day on)' })
  closedOn!: string | null;
}

const MOST_SUBJECTS = 200;

/** A statutory code that holds. Throws `Refused` BAD_CODE, without the code. */
export function statutoryCode(text: string, today: string): OwnSubject {
  const { valid, kind, normalized, reason } = classify(text, today);
  if (!valid || kind === 'unknown') throw new Refused('BAD_CODE', '代码校验未通过,请核对', { details: { reason } });
  return { scheme: kind, code: normalized };
}

export function buildCaseResolvers(model: Model): ClassType[] {
  /** The caller with the duty, in the region that it answers for. */
  function actor({ caller }: Context): Actor {
    requireDuty(model, caller, 'register-cases');
    const region = ownRegion(caller);
    if (region === undefined) throw new Refused('REGION_DENIED', '令牌未载明行政区划', { status: 403, details: { article: 'HN-6.2' } });
    return { id: caller.id, name: caller.name, department: caller.department, region };
  }

  @Resolver()
  class Cases {
    @Mutation(() => CaseType, { description: '登记案件及所涉主体 (register a case with its subjects)' })
    async registerCase(@Arg('entry', () => CaseEntry) entry: CaseEntry, @Ctx() context: Context): Promise<CaseType> {
      const by = actor(context);
      const refuse = (field: string, text: string) => new Refused('CASE_REFUSED', text, { details: { field, article: 'ZM-3.2.3' } });
      const [number, basis] = [entry.number.trim(), entry.basis.trim()];
      if (number === '') throw refuse('number', '须填写案件编号');
      if (basis === '') throw refuse('basis', '须填写法定依据或立案文书');
      if (entry.subjects.length === 0 || entry.subjects.length > MOST_SUBJECTS)
        throw refuse('subjects', `所涉主体须为 1 至 ${MOST_SUBJECTS} 个`);
      const officer = entry.officer ? { id: entry.officer, name: entry.officerName?.trim() ?? '' } : { id: by.id, name: by.name };
      if (officer.name === '') throw refuse('officerName', '须填写承办人姓名');
      const subjects = entry.subjects.map((code) => statutoryCode(code, context.today));
      const { sql, keys } = context.services;
      return registerCase(sql, keys, by, { number, basis, region: context.caller.region, officer, subjects });
    }

    @Mutation(() => CaseType, { description: '办结案件,即时生效 (close a case; at once)' })
    async closeCase(@Arg('number', () => String) number: string, @Ctx() context: Context): Promise<CaseType> {
      return closeCase(context.services.sql, actor(context), number.trim(), context.today);
    }

    @Query(() => [CaseType], { description: '本部门、本辖区的案件,从新到旧 (cases of the department and region)' })
    async cases(@Arg('first', () => Int, { defaultValue: 50 }) first: number, @Ctx() context: Context): Promise<CaseType[]> {
      return listCases(context.services.sql, actor(context), pageSize(first));
    }
  }
  return [Cases];
}
