import { Arg, type ClassType, Ctx, Field, ID, Int, Mutation, ObjectType, Query, Resolver } from 'type-graphql';
import { requireDuty } from '../access/duty.ts';
import { Refused } from '../errors.ts';
import type { Model } from '../model/types.ts';
import { askRun, backfill, pause, resetBreaker, resume } from '../store/operate.ts';
import { type PlatformStatus, platformStatus, type StreamStatus } from '../store/platform-status.ts';
import type { Context } from './context.ts';
import { Day, Instant } from './scalars.ts';

/** The use of the platforms, for those who operate the system: how it stands, and what they do about it. No credit information. */

@ObjectType({ description: '暂停 (a pause: by whom, since when and why)', simpleResolvers: true })
class PlatformPause {
  @Field(() => String, { description: '暂停人 (who)' })
  by!: string;
  @Field(() => Instant)
  at!: string;
  @Field(() => String)
  reason!: string;
}

@ObjectType({ description: '平台调用额度 (calls of the present minute, hour and day)', simpleResolvers: true })
class PlatformBudget {
  @Field(() => String, { description: 'minute、hour 或 day' })
  span!: string;
  @Field(() => Int, { description: '已用次数 (calls used)' })
  used!: number;
  @Field(() => Int, { nullable: true, description: '上限,空为不限 (most; null: as many as come)' })
  limit!: number | null;
}

@ObjectType({ description: '数据流的最近一次运行 (last run)', simpleResolvers: true })
class StreamRun {
  @Field(() => ID)
  id!: number;
  @Field(() => String, { description: 'running、done、failed、broken、stopped、interrupted 或 deferred' })
  state!: string;
  @Field(() => Instant)
  startedAt!: string;
  @Field(() => String, { nullable: true, description: '原因 (why it ended so)' })
  error!: string | null;
}

@ObjectType({ description: '数据流的运行情况 (how a stream stands)', simpleResolvers: true })
class PlatformStream {
  @Field(() => String, { description: '数据流 (stream)' })
  stream!: string;
  @Field(() => String)
  zh!: string;
  @Field(() => String, { description: 'pull、dictionary 或 push' })
  direction!: string;
  @Field(() => String, { description: 'idle、running、retrying、deferred、paused、stopped 或 given-up' })
  state!: string;
  @Field(() => PlatformPause, { nullable: true })
  paused!: PlatformPause | null;
  @Field(() => String, { nullable: true, description: '推迟原因:window、budget、breaker 或 busy (why it was put off)' })
  deferredWhy!: string | null;
  @Field(() => Instant, { nullable: true, description: '下次运行 (when it runs next)' })
  nextRun!: string | null;
  @Field(() => String, { nullable: true, description: '要求立即运行的人 (who asked for a run that has not begun)' })
  askedBy!: string | null;
  @Field(() => Day, { nullable: true, description: '重新读取的起始日 (read again from this day)' })
  backfillFrom!: string | null;
  @Field(() => Instant, { nullable: true, description: '游标上次移动的时间 (when the cursor moved last)' })
  cursorAt!: string | null;
  @Field(() => StreamRun, { nullable: true })
  lastRun!: StreamRun | null;
  @Field(() => Int, { description: '发件箱待发条数 (waiting in the outbox)' })
  waiting!: number;
  @Field(() => Instant, { nullable: true, description: '最早一条的时间 (since when the oldest waits)' })
  oldestWaiting!: string | null;
  @Field(() => Int, { description: '须人工处理的条数 (rows that wait for a person)' })
  deadLetters!: number;
  @Field(() => Instant, { nullable: true, description: '最近一次收到回执的运行 (last run with a receipt)' })
  lastReceiptAt!: string | null;
}

@ObjectType({ description: '外部平台的使用情况 (how the use of a platform stands)', simpleResolvers: true })
class Platform {
  @Field(() => String, { description: '连接器 (connector)' })
  connector!: string;
  @Field(() => String)
  zh!: string;
  @Field(() => PlatformPause, { nullable: true })
  paused!: PlatformPause | null;
  @Field(() => String, { description: '熔断:closed、open 或 half-open (breaker)' })
  breaker!: string;
  @Field(() => Instant, { nullable: true, description: '熔断何时试探 (when a call may try again)' })
  openUntil!: string | null;
  @Field(() => Int, { description: '连续失败次数 (failures in a row)' })
  failures!: number;
  @Field(() => [PlatformBudget])
  budget!: PlatformStatus['budget'];
  @Field(() => [PlatformStream])
  streams!: StreamStatus[];
}

export function buildPlatformResolvers(model: Model): ClassType[] {
  /** How the platform stands after an act. */
  async function after({ services }: Context, connector: string): Promise<Platform> {
    const [found] = await platformStatus(services.sql, model, connector, new Date());
    if (found === undefined) throw new Refused('PLATFORM_NOT_FOUND', '没有该平台', { status: 400 });
    return found;
  }
  const actOf = ({ caller }: Context, reason: string) => ({ by: { id: caller.id, name: caller.name }, reason });

  @Resolver()
  class Operations {
    @Query(() => [Platform], { description: '外部平台及其数据流的运行情况 (platforms and their streams as they stand)' })
    async platforms(
      @Arg('connector', () => String, { nullable: true }) connector: string | undefined,
      @Ctx() context: Context,
    ): Promise<Platform[]> {
      requireDuty(model, context.caller, 'operate-system');
      return platformStatus(context.services.sql, model, connector ?? undefined, new Date());
    }

    @Mutation(() => Platform, { description: '暂停平台或数据流 (pause a platform, or one stream of it)' })
    async pausePlatform(
      @Arg('connector', () => String) connector: string,
      @Arg('stream', () => String, { nullable: true }) stream: string | undefined,
      @Arg('reason', () => String) reason: string,
      @Ctx() context: Context,
    ): Promise<Platform> {
      requireDuty(model, context.caller, 'operate-system');
      await pause(context.services.sql, model, { connector, stream: stream ?? undefined }, actOf(context, reason));
      return after(context, connector);
    }

    @Mutation(() => Platform, { description: '恢复平台或数据流 (end a pause)' })
    async resumePlatform(
      @Arg('connector', () => String) connector: string,
      @Arg('stream', () => String, { nullable: true }) stream: string | undefined,
      @Arg('reason', () => String) reason: string,
      @Ctx() context: Context,
    ): Promise<Platform> {
      requireDuty(model, context.caller, 'operate-system');
      await resume(context.services.sql, model, { connector, stream: stream ?? undefined }, actOf(context, reason));
      return after(context, connector);
    }

    @Mutation(() => Platform, { description: '立即运行数据流,不越过时段与额度 (run a stream now, within its hours and budget)' })
    async runStream(
      @Arg('connector', () => String) connector: string,
      @Arg('stream', () => String) stream: string,
      @Arg('reason', () => String) reason: string,
      @Ctx() context: Context,
    ): Promise<Platform> {
      requireDuty(model, context.caller, 'operate-system');
      await askRun(context.services.sql, model, { connector, stream }, actOf(context, reason));
      return after(context, connector);
    }

    @Mutation(() => Platform, { description: '自某日起重新读取 (move the cursor back to the beginning of a day and run)' })
    async backfillStream(
      @Arg('connector', () => String) connector: string,
      @Arg('stream', () => String) stream: string,
      @Arg('from', () => Day) from: string,
      @Arg('reason', () => String) reason: string,
      @Ctx() context: Context,
    ): Promise<Platform> {
      requireDuty(model, context.caller, 'operate-system');
      await backfill(context.services.sql, model, { connector, stream }, from, actOf(context, reason), context.today);
      return after(context, connector);
    }

    @Mutation(() => Platform, { description: '人工复位熔断 (take the platform to be back)' })
    async resetBreaker(
      @Arg('connector', () => String) connector: string,
      @Arg('reason', () => String) reason: string,
      @Ctx() context: Context,
    ): Promise<Platform> {
      requireDuty(model, context.caller, 'operate-system');
      await resetBreaker(context.services.sql, model, connector, actOf(context, reason));
      return after(context, connector);
    }
  }
  return [Operations];
}
