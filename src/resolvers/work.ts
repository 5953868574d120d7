import { Arg, type ClassType, Ctx, Field, ID, InputType, Int, Mutation, ObjectType, Query, Resolver } from 'type-graphql';
import { regionPrefix } from '../access/caller.ts';
import { requireDuty } from '../access/duty.ts';
import { Refused } from '../errors.ts';
import { ENTRY_KEYS } from '../model/manual.ts';
import type { Model, SubjectKind } from '../model/types.ts';
import { dismissIssue, type Issue, listIssues, replayIssue } from '../store/issue-work.ts';
import { listMerges, undoMerge } from '../store/merge.ts';
import type { Keys } from '../store/keys.ts';
import { concealId, revealId } from '../store/opaque.ts';
import { type Actor, enterSubmission, listSubmissions, reviewSubmission, type Submission } from '../store/submissions.ts';
import type { Context } from './context.ts';
import { Day, Instant } from './scalars.ts';
import { type CatalogTypes, enumName, SubjectKindEnum } from './types.ts';

/** What people do in the hub beside reading: entering by hand, reviewing what others entered, handling refused records. */

@InputType({ description: '目录字段的录入值 (value of one catalog field)' })
class FieldEntry {
  @Field(() => String, { description: '字段名 (field of the category)' })
  name!: string;

  @Field(() => String, { description: '值:日期 YYYY-MM-DD,金额为分,代码为代码值 (dates YYYY-MM-DD, money in fen, codes as codes)' })
  value!: string;
}

@ObjectType({ description: '人工录入信息 (entry by hand; no effect before approval, HN-6.2)', simpleResolvers: true })
class SubmissionType {
  @Field(() => ID)
  id!: string;
  @Field(() => String)
  category!: string;
  @Field(() => String)
  kind!: string;
  @Field(() => String)
  region!: string;
  @Field(() => String, { description: '录入依据 (basis)' })
  basis!: string;
  @Field(() => String, { description: '归集途径 (route of HN-16)' })
  route!: string;
  @Field(() => String, { description: 'entered、approved 或 rejected' })
  state!: string;
  @Field(() => String, { description: '录入人 (who entered it)' })
  enteredBy!: string;
  @Field(() => Instant)
  enteredAt!: string;
  @Field(() => String, { nullable: true, description: '复核人 (who reviewed it)' })
  reviewedBy!: string | null;
  @Field(() => Instant, { nullable: true })
  reviewedAt!: string | null;
  @Field(() => String, { nullable: true, description: '复核意见 (reason)' })
  reason!: string | null;
}

@ObjectType({ description: '问题数据 (refused raw record or unknown key; the raw record stays sealed)', simpleResolvers: true })
class IssueType {
  @Field(() => ID)
  id!: string;
  @Field(() => String)
  connector!: string;
  @Field(() => String)
  stream!: string;
  @Field(() => String, { description: '规则 (rule)' })
  rule!: string;
  @Field(() => String, { description: '在来源中的位置 (where in the source)' })
  at!: string;
  @Field(() => String, { description: '来源数据项 (source key at fault)' })
  place!: string;
  @Field(() => String, { description: '原因 (why)' })
  reason!: string;
  @Field(() => Boolean, { description: '是否拒收了整条记录 (whether the record was refused)' })
  refused!: boolean;
  @Field(() => String, { description: 'open、fixed 或 dismissed' })
  state!: string;
  @Field(() => Int, { description: '出现次数 (times seen)' })
  seen!: number;
  @Field(() => String, { nullable: true, description: '处理结果 (what became of it)' })
  resolution!: string | null;
  @Field(() => String, { nullable: true, description: '处理人编号 (id of who handled it)' })
  handledBy!: string | null;
  @Field(() => Instant)
  createdAt!: string;
  @Field(() => Instant)
  changedAt!: string;
}

@ObjectType({ description: '主体合并记录 (subjects that became one, HN-13)', simpleResolvers: true })
class MergeType {
  @Field(() => ID)
  id!: string;
  @Field(() => Int, { description: '移动的记录数 (records moved)' })
  records!: number;
  @Field(() => Int, { description: '移动的标识数 (identifiers moved)' })
  identifiers!: number;
  @Field(() => Instant)
  mergedAt!: string;
  @Field(() => Instant, { nullable: true })
  undoneAt!: string | null;
  @Field(() => String, { nullable: true, description: '撤销理由 (why it was undone)' })
  reason!: string | null;
}

const LARGEST_PAGE = 200;

/** Who acts, and where the office's authority reaches. */
export function actorOf({ caller }: Context): Actor {
  return { id: caller.id, name: caller.name, department: caller.department, region: regionPrefix(caller.region) };
}

/** Ids of issues, mergers and codes are plain numbers: who may list them sees all of them. */
export function idOf(text: string): number {
  const id = Number(text);
  if (!Number.isSafeInteger(id) || id < 1) throw new Refused('BAD_ID', '编号无效', { status: 400 });
  return id;
}

export function pageSize(first: number): number {
  if (first < 1 || first > LARGEST_PAGE) throw new Refused('BAD_PAGE_SIZE', `每页条数须为 1 至 ${LARGEST_PAGE}`, { status: 400 });
  return first;
}

const toIssue = (issue: Issue): IssueType => ({ ...issue, id: String(issue.id) });

export function buildWorkResolvers(model: Model, types: CatalogTypes): ClassType[] {
  // A plain number would tell an office how much the others enter.
  const toSubmission = (keys: Keys, s: Submission): SubmissionType => ({
    ...s,
    id: concealId(keys, 'submission', s.id),
    category: enumName(model.categories.get(s.category)?.id ?? ''),
  });

  @InputType('RecordEntry', { description: '人工录入的信用信息 (credit information entered by hand)' })
  class RecordEntry {
    @Field(() => types.categories as never)
    category!: number;
    @Field(() => String, { description: '记录种类 (record kind)' })
    kind!: string;
    @Field(() => SubjectKindEnum)
    subjectKind!: SubjectKind;
    @Field(() => String, { description: '统一社会信用代码或证件号码 (statutory code of the subject)' })
    code!: string;
    @Field(() => String, { nullable: true })
    name?: string;
    @Field(() => String, { description: '区划代码 (region code)' })
    region!: string;
    @Field(() => Day, { nullable: true })
    occurredOn?: string;
    @Field(() => Day, { nullable: true })
    validFrom?: string;
    @Field(() => Day, { nullable: true })
    validTo?: string;
    @Field(() => String, { description: '录入依据 (legal basis and document)' })
    basis!: string;
    @Field(() => String, { description: '归集途径代码 (a code of collection-routes, HN-16)' })
    route!: string;
    @Field(() => Boolean, { description: '对真实性、完整性、准确性、时效性负责的声明 (declaration of HN-17)' })
    declared!: boolean;
    @Field(() => [FieldEntry])
    fields!: FieldEntry[];
  }

  @Resolver()
  class Work {
    @Mutation(() => SubmissionType, { description: '录入信用信息,经他人复核后生效 (enter; effective once another person approves)' })
    async enterRecord(@Arg('entry', () => RecordEntry) entry: RecordEntry, @Ctx() context: Context): Promise<SubmissionType> {
      requireDuty(model, context.caller, 'enter-records');
      if (!entry.declared)
        throw new Refused('DECLARATION_REQUIRED', '须声明对所录信息的真实性、完整性、准确性、时效性负责', {
          details: { article: 'HN-17' },
        });
      if (entry.basis.trim() === '') throw new Refused('BASIS_REQUIRED', '须填写录入依据');
      if (!model.codes.get('collection-routes')?.values.has(entry.route))
        throw new Refused('ENTRY_REFUSED', '归集途径代码不存在', { details: { rule: 'unknown-code', field: 'route' } });
      const own: Record<string, string | undefined> = {
        [ENTRY_KEYS.subjectKind]: entry.subjectKind,
        [ENTRY_KEYS.code]: entry.code,
        [ENTRY_KEYS.name]: entry.name,
        [ENTRY_KEYS.region]: entry.region,
        [ENTRY_KEYS.occurredOn]: entry.occurredOn,
        [ENTRY_KEYS.validFrom]: entry.validFrom,
        [ENTRY_KEYS.validTo]: entry.validTo,
      };
      const values = Object.fromEntries(
        [...Object.entries(own), ...entry.fields.map((f) => [f.name, f.value] as const)].filter(
          (pair): pair is [string, string] => typeof pair[1] === 'string',
        ),
      );
      const { category, kind, basis, route } = entry;
      const { sql, keys } = context.services;
      return toSubmission(
        keys,
        await enterSubmission(sql, keys, model, actorOf(context), { category, kind, values, basis, route }, context.today),
      );
    }

    @Mutation(() => SubmissionType, { description: '复核他人录入的信息 (approve or reject what another person entered)' })
    async reviewRecord(
      @Arg('id', () => ID) id: string,
      @Arg('approve', () => Boolean) approve: boolean,
      @Arg('reason', () => String, { nullable: true }) reason: string | undefined,
      @Ctx() context: Context,
    ): Promise<SubmissionType> {
      requireDuty(model, context.caller, 'review-records');
      const { sql, keys } = context.services;
      const found = revealId(keys, 'submission', id);
      if (found === undefined) throw new Refused('SUBMISSION_NOT_FOUND', '未找到该录入信息,或其不在本辖区');
      return toSubmission(
        keys,
        await reviewSubmission(sql, keys, model, actorOf(context), { id: found, approve, reason: reason ?? '' }, context.today),
      );
    }

    @Query(() => [SubmissionType], { description: '本辖区的人工录入信息 (entries of the own region)' })
    async submissions(
      @Arg('state', () => String, { nullable: true }) state: Submission['state'] | undefined,
      @Arg('first', () => Int, { defaultValue: 50 }) first: number,
      @Ctx() context: Context,
    ): Promise<SubmissionType[]> {
      if (context.caller.role !== 'entry-officer') requireDuty(model, context.caller, 'review-records');
      else requireDuty(model, context.caller, 'enter-records');
      const { sql, keys } = context.services;
      return (await listSubmissions(sql, actorOf(context), state ?? undefined, pageSize(first))).map((one) => toSubmission(keys, one));
    }

    @Query(() => [IssueType], { description: '问题数据,从新到旧 (issues, newest first)' })
    async issues(
      @Arg('connector', () => String, { nullable: true }) connector: string | undefined,
      @Arg('stream', () => String, { nullable: true }) stream: string | undefined,
      @Arg('rule', () => String, { nullable: true }) rule: string | undefined,
      @Arg('state', () => String, { nullable: true }) state: Issue['state'] | undefined,
      @Arg('first', () => Int, { defaultValue: 50 }) first: number,
      @Arg('after', () => ID, { nullable: true }) after: string | undefined,
      @Ctx() context: Context,
    ): Promise<IssueType[]> {
      requireDuty(model, context.caller, 'handle-issues');
      const where = Object.fromEntries(Object.entries({ connector, stream, rule, state }).filter(([, v]) => typeof v === 'string'));
      const page = { first: pageSize(first), after: after ? idOf(after) : undefined };
      return (await listIssues(context.services.sql, where, page)).map(toIssue);
    }

    @Mutation(() => IssueType, { description: '按当前映射重放被拒收的记录 (try a refused record again under the mapping as it is now)' })
    async replayIssue(@Arg('id', () => ID) id: string, @Ctx() context: Context): Promise<IssueType> {
      requireDuty(model, context.caller, 'handle-issues');
      const { sql, keys } = context.services;
      return toIssue(await replayIssue(sql, keys, model, context.caller.id, idOf(id), context.today));
    }

    @Query(() => [MergeType], { description: '主体合并记录,从新到旧 (subjects that became one, newest first)' })
    async merges(@Arg('first', () => Int, { defaultValue: 50 }) first: number, @Ctx() context: Context): Promise<MergeType[]> {
      requireDuty(model, context.caller, 'handle-issues');
      return (await listMerges(context.services.sql, pageSize(first))).map((merge) => ({ ...merge, id: String(merge.id) }));
    }

    @Mutation(() => Boolean, { description: '撤销主体合并,合并时移动的标识和记录各归原处 (undo a merger of subjects)' })
    async undoMerge(
      @Arg('id', () => ID) id: string,
      @Arg('reason', () => String) reason: string,
      @Ctx() context: Context,
    ): Promise<boolean> {
      requireDuty(model, context.caller, 'handle-issues');
      const { sql, keys } = context.services;
      await undoMerge(sql, keys, model, context.caller.id, idOf(id), reason);
      return true;
    }

    @Mutation(() => IssueType, { description: '关闭不再处理的问题数据 (close an issue with a reason)' })
    async dismissIssue(
      @Arg('id', () => ID) id: string,
      @Arg('reason', () => String) reason: string,
      @Ctx() context: Context,
    ): Promise<IssueType> {
      requireDuty(model, context.caller, 'handle-issues');
      return toIssue(await dismissIssue(context.services.sql, context.caller.id, idOf(id), reason));
    }
  }

  return [Work];
}
