import { Arg, type ClassType, Ctx, Field, ID, Int, Mutation, ObjectType, Query, Resolver } from 'type-graphql';
import { requireDuty } from '../access/duty.ts';
import { Refused } from '../errors.ts';
import { decideDeferral, listDeferrals, requestDeferral } from '../log/deferral.ts';
import { whoLooked } from '../log/lookers.ts';
import { placeText, readPlace } from '../log/search.ts';
import { dayInShanghai } from '../mapping/dates.ts';
import type { Model } from '../model/types.ts';
import { logTokens, subjectIdsOf } from '../store/subject-ids.ts';
import { type Context, grantedOf } from './context.ts';
import { loggedPurpose } from './purpose.ts';
import { Day, Instant } from './scalars.ts';
import { PageInfo } from './types.ts';
import { idOf, pageSize } from './work.ts';

/** Who looked at me (WG-10, U6): what a subject is told of the looks at its file, and the deferral of that while a case is open. */

@ObjectType('Look', { description: '一次查阅本主体信息的情况 (one look at the own file)', simpleResolvers: true })
class LookType {
  @Field(() => Day, { description: '查阅日期 (day)' })
  on!: string;
  @Field(() => String, { description: '查阅部门代码 (department)' })
  department!: string;
  @Field(() => String, { description: '查阅部门 (its name)' })
  departmentName!: string;
  @Field(() => String, { description: '查询用途代码 (purpose)' })
  purpose!: string;
  @Field(() => String, { description: '查询用途 (its name)' })
  purposeName!: string;
  @Field(() => [Int], { description: '信息类别序号 (numbers of the categories)' })
  categories!: readonly number[];
  @Field(() => [String], { description: '所见字段 (fields that were seen)' })
  fields!: readonly string[];
}

@ObjectType('LookConnection', { simpleResolvers: true })
class LookConnection {
  @Field(() => [LookType])
  nodes!: LookType[];
  @Field(() => PageInfo)
  pageInfo!: PageInfo;
}

@ObjectType('NoticeDeferral', {
  description: '延期告知:案件查办期间暂不告知主体 (while a case is open its looks are not yet told to the subject)',
  simpleResolvers: true,
})
class DeferralType {
  @Field(() => ID)
  id!: string;
  @Field(() => String, { description: 'requested、approved 或 rejected' })
  state!: string;
  @Field(() => String, { description: '案件编号 (case)' })
  caseNumber!: string;
  @Field(() => String, { description: '依据 (legal basis)' })
  basis!: string;
  @Field(() => Day, { description: '自该日起告知 (told from this day on)' })
  releaseOn!: string;
  @Field(() => String, { description: '申请人 (who asked)' })
  requestedName!: string;
  @Field(() => Instant)
  requestedAt!: string;
  @Field(() => String, { nullable: true, description: '审批人 (who decided)' })
  decidedName!: string | null;
  @Field(() => Instant, { nullable: true })
  decidedAt!: string | null;
  @Field(() => String, { nullable: true, description: '审批意见 (reason of the decision)' })
  decisionReason!: string | null;
}

const withId = <T extends { id: number }>(row: T) => ({ ...row, id: String(row.id) });

export function buildLookedResolvers(model: Model): ClassType[] {
  const nameOf = (set: string, code: string) => model.codes.get(set)?.values.get(code)?.zh ?? code;

  @Resolver()
  class Looked {
    @Query(() => LookConnection, { description: '谁查阅过本主体的信息,从新到旧 (who looked at the own file, newest first; WG-10)' })
    async whoLookedAtMe(
      @Arg('first', () => Int, { defaultValue: 50 }) first: number,
      @Arg('after', () => String, { nullable: true }) after: string | undefined,
      @Ctx() context: Context,
    ): Promise<LookConnection> {
      const { caller, services, today } = context;
      if (caller.department !== 'subject' || caller.subject === undefined)
        throw new Refused('OWN_SUBJECT_REQUIRED', '仅限信用主体凭本人身份查询', { status: 403, details: { article: 'WG-10' } });
      const size = pageSize(first);
      const place = after ? readPlace(after) : undefined;
      if (after && place === undefined) throw new Refused('BAD_CURSOR', '分页游标无效', { status: 400 });
      const ids = (await subjectIdsOf(services.sql, services.keys, caller.subject.code, today)) ?? [];
      const { looks, more } = await whoLooked(services.sql, logTokens(services.keys, ids), { first: size, after: place }, today);
      const { shown } = grantedOf(context).reader;
      for (const id of ids) shown.subjects.add(id);
      shown.coordinates.add('Query.whoLookedAtMe');
      shown.rows += looks.length;
      const last = looks.at(-1);
      return {
        nodes: looks.map((look) => ({
          on: dayInShanghai(new Date(look.at)),
          department: look.department,
          departmentName: nameOf('departments', look.department),
          purpose: look.purpose,
          purposeName: nameOf('purposes', look.purpose),
          categories: look.categories,
          fields: look.fields.filter((field) => !field.startsWith('Query.')),
        })),
        pageInfo: { endCursor: last ? placeText(last) : null, hasNextPage: more },
      };
    }

    @Mutation(() => DeferralType, {
      description: '申请对某案件延期告知,经他人批准后生效 (ask for a deferral; effective once another person approves)',
    })
    async requestDeferral(
      @Arg('caseNumber', () => String) caseNumber: string,
      @Arg('basis', () => String) basis: string,
      @Arg('releaseOn', () => Day) releaseOn: string,
      @Ctx() context: Context,
    ): Promise<DeferralType> {
      const { caller, services, today } = context;
      requireDuty(model, caller, 'defer-notice');
      // The case stands here as it stands in the log.
      const logged = loggedPurpose(model, { code: '', basis, case: caseNumber }, today);
      const wish = { department: caller.department, caseNumber: logged.case ?? '', basis: logged.basis ?? '', releaseOn };
      return withId(await requestDeferral(services.sql, { id: caller.id, name: caller.name }, wish, today));
    }

    @Mutation(() => DeferralType, {
      description: '审批本部门他人的延期告知申请 (approve or reject what another person of the department asked for)',
    })
    async decideDeferral(
      @Arg('id', () => ID) id: string,
      @Arg('approve', () => Boolean) approve: boolean,
      @Arg('reason', () => String, { nullable: true }) reason: string | undefined,
      @Ctx() { caller, services }: Context,
    ): Promise<DeferralType> {
      requireDuty(model, caller, 'defer-notice');
      return withId(await decideDeferral(services.sql, caller, { id: idOf(id), approve, reason: reason ?? '' }));
    }

    @Query(() => [DeferralType], { description: '本部门的延期告知申请,从新到旧 (deferrals of the own department, newest first)' })
    async deferrals(
      @Arg('first', () => Int, { defaultValue: 50 }) first: number,
      @Ctx() { caller, services }: Context,
    ): Promise<DeferralType[]> {
      requireDuty(model, caller, 'defer-notice');
      return (await listDeferrals(services.sql, caller.department, pageSize(first))).map(withId);
    }
  }

  return [Looked];
}
