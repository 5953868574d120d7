import { Arg, type ClassType, Ctx, Field, ID, InputType, Int, Mutation, ObjectType, Query, Resolver } from 'type-graphql';
import { hasDuty, requireDuty } from '../access/duty.ts';
import { officesThatSaw } from '../log/receivers.ts';
import type { Model } from '../model/types.ts';
import { concealId, revealId } from '../store/opaque.ts';
import { type Board, listNotices, listRecalls, type Notice } from '../store/recall-board.ts';
import { answerNotice, proposeRecall, type RecallDecision, retryRecall, reviewRecall } from '../store/recalls.ts';
import type { Context } from './context.ts';
import { Day, Instant } from './scalars.ts';
import { actorOf, pageSize } from './work.ts';

/** Taking a fact back from all who received it (HN-27, U16): one proposes, another approves, and each receiver is tracked to its answer. */

@InputType('RecallEntry', { description: '撤回决定 (decision by which a fact is taken back)' })
class RecallEntry implements RecallDecision {
  @Field(() => ID, { description: '信用信息的不透明标识 (opaque id of the record)' })
  record!: string;
  @Field(() => String, { description: 'repair、expiry、correction、objection 或 deletion (a code of recall-causes)' })
  cause!: string;
  @Field(() => Day, { description: '决定日期 (day of the decision)' })
  decidedOn!: string;
  @Field(() => String, { description: '决定文号 (number of the decision)' })
  number!: string;
  @Field(() => String, { description: '决定机关 (who decided)' })
  authority!: string;
  @Field(() => String, { description: '依据条款 (article)' })
  article!: string;
}

@ObjectType('RecallTask', { description: '撤回任务:一个平台或一个部门 (one platform or office that has the fact)', simpleResolvers: true })
class RecallTaskType {
  @Field(() => String, { nullable: true, description: '平台及数据流 (connector/stream)' })
  platform!: string | null;
  @Field(() => String, { nullable: true, description: '查询过的部门代码 (department)' })
  department!: string | null;
  @Field(() => String, { nullable: true, description: '该部门的辖区 (its region)' })
  region!: string | null;
  @Field(() => String, { description: 'open、sent、refused 或 done' })
  state!: string;
  @Field(() => String, { nullable: true, description: '平台回执号 (receipt of the platform)' })
  receipt!: string | null;
  @Field(() => String, { nullable: true, description: '拒绝理由 (why it was refused)' })
  reason!: string | null;
  @Field(() => String, { nullable: true, description: '答复人 (who answered)' })
  answeredBy!: string | null;
  @Field(() => Instant, { nullable: true })
  answeredAt!: string | null;
}

@ObjectType('RecallDecision', { simpleResolvers: true })
abstract class DecisionType {
  @Field(() => ID)
  id!: string;
  @Field(() => ID, { description: '信用主体的不透明标识 (opaque id of the subject)' })
  subject!: string;
  @Field(() => Int, { description: '信息类别序号 (number of the category)' })
  category!: number;
  @Field(() => String, { description: '撤回原因代码 (a code of recall-causes)' })
  cause!: string;
  @Field(() => Day)
  decidedOn!: string;
  @Field(() => String)
  number!: string;
  @Field(() => String)
  authority!: string;
  @Field(() => String)
  article!: string;
}

@ObjectType('Recall', { description: '撤回事项及其任务 (a fact that is taken back, and from whom; HN-27)', simpleResolvers: true })
class RecallType extends DecisionType {
  @Field(() => ID, { description: '信用信息的不透明标识 (opaque id of the record)' })
  record!: string;
  @Field(() => String, { description: 'proposed、rejected、open(尚有任务未完成)或 done' })
  state!: string;
  @Field(() => String, { description: '提出人 (who proposed)' })
  proposedBy!: string;
  @Field(() => Instant)
  proposedAt!: string;
  @Field(() => String, { nullable: true, description: '复核人 (who reviewed)' })
  reviewedBy!: string | null;
  @Field(() => Instant, { nullable: true })
  reviewedAt!: string | null;
  @Field(() => String, { nullable: true, description: '复核意见 (note)' })
  note!: string | null;
  @Field(() => [RecallTaskType])
  tasks!: RecallTaskType[];
}

@ObjectType('RecallNotice', {
  description: '撤回通知:本部门查得的信息不得再使用 (what the office was shown may no longer be used)',
  simpleResolvers: true,
})
class RecallNoticeType extends DecisionType {
  @Field(() => String, { description: 'open、refused 或 done' })
  state!: string;
  @Field(() => String, { nullable: true, description: '拒绝理由 (why it was refused)' })
  reason!: string | null;
  @Field(() => String, { nullable: true, description: '答复人 (who answered)' })
  answeredBy!: string | null;
  @Field(() => Instant, { nullable: true })
  answeredAt!: string | null;
  @Field(() => Instant)
  createdAt!: string;
}

const officeOf = ({ caller }: Context) => ({ department: caller.department, region: caller.region });

export function buildRecallResolvers(model: Model): ClassType[] {
  /** The query log names whom the act was about. */
  const subjectOf = (context: Context, subjectId: number): string => {
    context.granted?.reader.shown.subjects.add(subjectId);
    return concealId(context.services.keys, 'subject', subjectId);
  };
  const told = (context: Context, board: Board): RecallType => ({
    ...board,
    id: concealId(context.services.keys, 'recall', board.id),
    record: concealId(context.services.keys, 'record', board.recordId),
    subject: subjectOf(context, board.subjectId),
  });
  const notice = (context: Context, one: Notice): RecallNoticeType => ({
    ...one,
    id: concealId(context.services.keys, 'recall-notice', one.id),
    subject: subjectOf(context, one.subjectId),
  });
  const requireEither = (context: Context): void => {
    if (!hasDuty(model, context.caller, 'propose-recalls')) requireDuty(model, context.caller, 'review-recalls');
  };

  @Resolver()
  class Recalls {
    @Mutation(() => RecallType, { description: '提出撤回一项信用信息,经他人复核后生效 (propose; effective once another person approves)' })
    async proposeRecall(@Arg('recall', () => RecallEntry) recall: RecallEntry, @Ctx() context: Context): Promise<RecallType> {
      requireDuty(model, context.caller, 'propose-recalls');
      const { sql, keys } = context.services;
      return told(context, await proposeRecall(sql, keys, actorOf(context), recall, context.today));
    }

    @Mutation(() => RecallType, {
      description: '复核撤回事项:终止公示并向各接收方撤回 (decide: publication ends, and everybody who received it is told)',
    })
    async reviewRecall(
      @Arg('id', () => ID) id: string,
      @Arg('approve', () => Boolean) approve: boolean,
      @Arg('note', () => String, { nullable: true }) note: string | undefined,
      @Ctx() context: Context,
    ): Promise<RecallType> {
      requireDuty(model, context.caller, 'review-recalls');
      const { sql, keys } = context.services;
      const review = { id: revealId(keys, 'recall', id) ?? 0, approve, note: note ?? '' };
      const board = await reviewRecall(sql, actorOf(context), review, (tx, record) => officesThatSaw(tx, keys, model, record));
      return told(context, board);
    }

    @Mutation(() => RecallType, { description: '向拒绝撤回的平台重新发送 (send again what platforms refused)' })
    async retryRecall(@Arg('id', () => ID) id: string, @Ctx() context: Context): Promise<RecallType> {
      requireEither(context);
      const { sql, keys } = context.services;
      return told(context, await retryRecall(sql, actorOf(context), revealId(keys, 'recall', id) ?? 0));
    }

    @Query(() => [RecallType], { description: '本辖区的撤回事项,从新到旧 (recalls of the own region, newest first)' })
    async recalls(@Arg('first', () => Int, { defaultValue: 50 }) first: number, @Ctx() context: Context): Promise<RecallType[]> {
      requireEither(context);
      return (await listRecalls(context.services.sql, actorOf(context), pageSize(first))).map((board) => told(context, board));
    }

    @Mutation(() => Boolean, {
      description: '答复撤回通知:已停止使用,或说明理由拒绝 (answer the notice: no longer used, or refused and why)',
    })
    async answerRecallNotice(
      @Arg('id', () => ID) id: string,
      @Arg('done', () => Boolean) done: boolean,
      @Arg('reason', () => String, { nullable: true }) reason: string | undefined,
      @Ctx() context: Context,
    ): Promise<boolean> {
      requireDuty(model, context.caller, 'answer-recalls');
      const answer = { id: revealId(context.services.keys, 'recall-notice', id) ?? 0, done, reason: reason ?? '' };
      await answerNotice(context.services.sql, { ...actorOf(context), office: officeOf(context) }, answer);
      return true;
    }

    @Query(() => [RecallNoticeType], { description: '致本部门、本辖区的撤回通知,从新到旧 (notices to the own office, newest first)' })
    async recallNotices(
      @Arg('first', () => Int, { defaultValue: 50 }) first: number,
      @Ctx() context: Context,
    ): Promise<RecallNoticeType[]> {
      requireDuty(model, context.caller, 'answer-recalls');
      return (await listNotices(context.services.sql, officeOf(context), pageSize(first))).map((one) => notice(context, one));
    }
  }

  return [Recalls];
}
