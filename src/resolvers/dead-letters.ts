import { Arg, type ClassType, Ctx, Field, ID, Int, Mutation, ObjectType, Query, Resolver } from 'type-graphql';
import { hasDuty, requireDuty } from '../access/duty.ts';
import type { Model } from '../model/types.ts';
import {
  type DeadLetter,
  decideDiscard,
  discardDeadLetter,
  listDeadLetters,
  retryDeadLetter,
  settleDeadLetter,
} from '../store/dead-letters.ts';
import { type Deadline, openDeadlines } from '../store/deadlines.ts';
import type { Context } from './context.ts';
import { Day, Instant } from './scalars.ts';
import { idOf, pageSize } from './work.ts';

/** What was to be told to a platform and waits for a person, and what is due to be received by it. No value of any record. */

@ObjectType({ description: '待人工处理的推送 (a row of the outbox that waits for a person)', simpleResolvers: true })
class DeadLetterType {
  @Field(() => ID)
  id!: string;
  @Field(() => String)
  connector!: string;
  @Field(() => String)
  stream!: string;
  @Field(() => String, { description: 'publish(推送)或 recall(撤回)' })
  act!: string;
  @Field(() => String, { description: 'refused(平台拒收)、withheld(无权接收)或 unknown(结果不明);处理后为 waiting、done 或 discarded' })
  state!: string;
  @Field(() => String, { nullable: true, description: '平台或系统所述原因 (why)' })
  reason!: string | null;
  @Field(() => Int, { description: '发送次数 (times sent)' })
  attempts!: number;
  @Field(() => Instant)
  createdAt!: string;
  @Field(() => Instant)
  changedAt!: string;
  @Field(() => String, { nullable: true, description: '申请放弃的人,待他人决定 (who asked to give it up; another person decides)' })
  discardAskedBy!: string | null;
}

@ObjectType({ description: '公示期限,按工作日 (a publication that is due, in working days)', simpleResolvers: true })
class PublicationDeadline implements Deadline {
  @Field(() => Int, { description: '发件箱编号 (row of the outbox)' })
  outbox!: number;
  @Field(() => String)
  connector!: string;
  @Field(() => String)
  stream!: string;
  @Field(() => String, { description: '规定期限的条款 (article)' })
  article!: string;
  @Field(() => String, { description: '推送状态 (state of the row)' })
  state!: string;
  @Field(() => Day, { description: '起算日 (counted from)' })
  from!: string;
  @Field(() => Day, { description: '届满日 (last day)' })
  due!: string;
  @Field(() => Boolean, { description: '期限跨入节假日安排尚未公布的年度,为暂定 (the day may move)' })
  provisional!: boolean;
  @Field(() => Int, { description: '剩余工作日,负数为逾期 (working days left; below 0: late)' })
  daysLeft!: number;
}

const told = ({ id, ...rest }: DeadLetter): DeadLetterType => ({ id: String(id), ...rest });

export function buildDeadLetterResolvers(model: Model): ClassType[] {
  const actOf = ({ caller }: Context, reason: string) => ({ by: { id: caller.id, name: caller.name }, reason });
  /** Either who runs the system or who answers for the data. */
  const either = ({ caller }: Context): void => {
    if (!hasDuty(model, caller, 'operate-system')) requireDuty(model, caller, 'handle-issues');
  };

  @Resolver()
  class DeadLetters {
    @Query(() => [DeadLetterType], { description: '待人工处理的推送,从旧到新 (dead letters, oldest first)' })
    async deadLetters(
      @Arg('connector', () => String, { nullable: true }) connector: string | undefined,
      @Arg('stream', () => String, { nullable: true }) stream: string | undefined,
      @Arg('first', () => Int, { defaultValue: 50 }) first: number,
      @Arg('after', () => ID, { nullable: true }) after: string | undefined,
      @Ctx() context: Context,
    ): Promise<DeadLetterType[]> {
      either(context);
      const where = { connector: connector ?? undefined, stream: stream ?? undefined };
      const page = { first: pageSize(first), after: after ? idOf(after) : undefined };
      return (await listDeadLetters(context.services.sql, where, page)).map(told);
    }

    @Query(() => [PublicationDeadline], {
      description: '尚无回执的公示及其期限,最急的在前 (publications that are due, the most urgent first)',
    })
    async publicationDeadlines(
      @Arg('first', () => Int, { defaultValue: 50 }) first: number,
      @Ctx() context: Context,
    ): Promise<PublicationDeadline[]> {
      either(context);
      return (await openDeadlines(context.services.sql, model, context.today)).slice(0, pageSize(first));
    }

    @Mutation(() => DeadLetterType, { description: '重新发送被拒收或无权接收的推送 (send again under its key)' })
    async retryDeadLetter(
      @Arg('id', () => ID) id: string,
      @Arg('reason', () => String) reason: string,
      @Ctx() context: Context,
    ): Promise<DeadLetterType> {
      either(context);
      return told(await retryDeadLetter(context.services.sql, idOf(id), actOf(context, reason)));
    }

    @Mutation(() => DeadLetterType, { description: '填报结果不明的推送经核实的结果 (say whether a row of unknown outcome arrived)' })
    async settleDeadLetter(
      @Arg('id', () => ID) id: string,
      @Arg('arrived', () => Boolean, { description: '平台是否已收到 (whether the platform has it)' }) arrived: boolean,
      @Arg('receipt', () => String, { nullable: true, description: '平台的回执编号 (number of its receipt)' }) receipt: string | undefined,
      @Arg('reason', () => String, { description: '核实方式 (how it was found out)' }) reason: string,
      @Ctx() context: Context,
    ): Promise<DeadLetterType> {
      requireDuty(model, context.caller, 'handle-issues');
      const found = { arrived, receipt: receipt ?? '' };
      return told(await settleDeadLetter(context.services.sql, idOf(id), found, actOf(context, reason), new Date()));
    }

    @Mutation(() => DeadLetterType, {
      description: '放弃推送;没有更新版本的,须他人决定 (give up; another person decides unless a newer version went out)',
    })
    async discardDeadLetter(
      @Arg('id', () => ID) id: string,
      @Arg('reason', () => String) reason: string,
      @Ctx() context: Context,
    ): Promise<DeadLetterType> {
      requireDuty(model, context.caller, 'handle-issues');
      return told(await discardDeadLetter(context.services.sql, idOf(id), actOf(context, reason)));
    }

    @Mutation(() => DeadLetterType, { description: '决定是否放弃,申请人除外 (decide on giving a row up; never who asked)' })
    async decideDiscard(
      @Arg('id', () => ID) id: string,
      @Arg('approve', () => Boolean) approve: boolean,
      @Arg('reason', () => String) reason: string,
      @Ctx() context: Context,
    ): Promise<DeadLetterType> {
      requireDuty(model, context.caller, 'handle-issues');
      return told(await decideDiscard(context.services.sql, idOf(id), approve, actOf(context, reason)));
    }
  }
  return [DeadLetters];
}
