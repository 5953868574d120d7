import { Arg, type ClassType, Ctx, Field, ID, Int, ObjectType, registerEnumType, Resolver, Subscription } from 'type-graphql';
import { Refused } from '../errors.ts';
import type { Model } from '../model/types.ts';
import { checkPlace, concealPlace, feedBetween, type FeedFilter, revealPlace } from '../store/feed.ts';
import { tiesHold } from '../store/ties.ts';
import type { SeenChange } from '../store/read-feed.ts';
import { type Context, grantedOf } from './context.ts';
import { toRecord } from './shapes.ts';
import { MAX_CHANGES } from './turn.ts';
import { type CatalogTypes, CreditRecord } from './types.ts';

/**
 * What changes, for dashboards and departments (HN-22, HN-28, ZM-2.5), over Server-Sent Events. One message tells one batch, with where it ends: a
 * subscriber that comes back with that cursor loses nothing and gets nothing twice.
 */

enum ChangeEnum {
  NEW = 'new',
  CHANGED = 'changed',
  GONE = 'gone',
}
registerEnumType(ChangeEnum, {
  name: 'ChangeKind',
  description: '变更方式:新进入可见范围、可见内容变更、离开可见范围 (came into sight, changed in what is seen, left the sight)',
});

@ObjectType({ description: '信用信息的一项变更 (a change of one record)', simpleResolvers: true })
class RecordChange {
  @Field(() => ChangeEnum, { description: '变更方式 (how)' })
  how!: 'new' | 'changed' | 'gone';

  @Field(() => ID, { description: '记录的不透明标识,与 CreditRecord.id 相同 (id of the record)' })
  id!: string;

  @Field(() => String, { description: '记录种类 (record kind)' })
  kind!: string;

  @Field(() => Int, {
    nullable: true,
    description: '版本号,只计订阅人可见的变更;已离开可见范围时为空 (version, as the caller counts; null of what is gone)',
  })
  version!: number | null;

  @Field(() => CreditRecord, {
    nullable: true,
    description: '记录现状,按授权;已离开可见范围时为空 (the record as the grant shows it now; null of what is gone)',
  })
  record!: CreditRecord | null;
}

@ObjectType({ description: '一批变更 (a batch of changes)', simpleResolvers: true })
class RecordChanges {
  @Field(() => String, { description: '续传位置:重新订阅时作为 after 或 Last-Event-ID (where this batch ends: what to resume from)' })
  cursor!: string;

  @Field(() => [RecordChange], {
    description: '变更;首条消息为空,只告知起点 (the first message has none and tells where the stream begins)',
  })
  changes!: RecordChange[];
}

const AFTER = '续传位置,默认自此刻起 (a cursor to resume from; from now on unless told)';
const REGION = '区划代码前缀 (first digits of the region code)';
/** Changes of the feed that are looked through at once: most of them may be hidden from the caller. */
const LOOKED_AT = 1000;

export function buildEventResolvers(model: Model, types: CatalogTypes): ClassType[] {
  const toChange = (change: SeenChange): RecordChange => ({
    ...change,
    record: change.record === null ? null : toRecord(model, change.record, {}),
  });
  const numberOf = (id: string): number => [...model.categories.values()].find((category) => category.id === id)?.no ?? 0;
  /** The kinds that say how somebody was graded, or why not. */
  const grades = [...(model.categories.get(numberOf('evaluation'))?.kinds.values() ?? [])]
    .filter(({ required }) => required.some((field) => ['grade', 'gradeName', 'notEvaluatedReason'].includes(field)))
    .map(({ id }) => id);
  const empty = { subscribe: unused, nullable: false } as const;

  async function batch(context: Context, filter: FeedFilter, after: string | undefined): Promise<RecordChanges> {
    const { turn, services } = context;
    if (turn === undefined) throw new Error('a subscription runs without a stream');
    const { reader, grant } = grantedOf(context);
    const { sql, keys } = services;
    if (turn.step !== 'changes' && !(await tiesHold(sql, grant.scopes)))
      throw new Refused('GRANT_ENDED', '所依据的授权书或案件已失效,订阅终止', { status: 403, details: { article: 'HN-23.1' } });
    if (turn.step === 'opening') {
      // The header is of a connection that was cut, and later than what the document says.
      if (turn.from === undefined && after) turn.reached = revealPlace(keys, after);
      await checkPlace(sql, turn.reached, turn.upto);
    }
    const { reached: from, upto } = turn;
    const at = (place: number) => (turn.cursor = concealPlace(keys, place));
    if (turn.step !== 'changes') return { cursor: at(from), changes: [] };
    const { seen, reached } = (await look(LOOKED_AT)) ?? (await look(turn.most)) ?? { seen: [], reached: turn.reached };
    async function look(most: number): Promise<{ seen: SeenChange[]; reached: number } | undefined> {
      const { changes, reached } = await feedBetween(sql, from, upto, filter, most);
      const seen = await reader.seenChanges(changes, filter, turn?.most ?? 0);
      return seen && { seen, reached };
    }
    turn.reached = reached;
    if (seen.length > 0) turn.charge(Math.ceil((turn.rows * seen.length) / MAX_CHANGES));
    turn.told = seen.length;
    return { cursor: at(reached), changes: seen.map(toChange) };
  }

  @Resolver()
  class Events {
    @Subscription(() => RecordChanges, { ...empty, description: '信用信息变更 (changes of records, under the same grant as queries)' })
    async recordChanged(
      @Arg('categories', () => [types.categories], { nullable: true, description: '信息类别 (categories)' })
      categories: number[] | undefined,
      @Arg('kinds', () => [String], { nullable: true, description: '记录种类 (kinds)' }) kinds: string[] | undefined,
      @Arg('region', () => String, { nullable: true, description: REGION }) region: string | undefined,
      @Arg('after', () => String, { nullable: true, description: AFTER }) after: string | undefined,
      @Ctx() context: Context,
    ): Promise<RecordChanges> {
      return batch(
        context,
        { categories: categories ?? undefined, kinds: kinds ?? undefined, region: region ?? undefined },
        after ?? undefined,
      );
    }

    @Subscription(() => RecordChanges, { ...empty, description: '信用评价结果变更 (changes of grades, HN-22)' })
    async gradeChanged(
      @Arg('region', () => String, { nullable: true, description: REGION }) region: string | undefined,
      @Arg('after', () => String, { nullable: true, description: AFTER }) after: string | undefined,
      @Ctx() context: Context,
    ): Promise<RecordChanges> {
      return batch(context, { categories: [numberOf('evaluation')], kinds: grades, region: region ?? undefined }, after ?? undefined);
    }

    @Subscription(() => RecordChanges, { ...empty, description: '失信名单变更:列入、变更、移出 (changes of the dishonesty lists, HN-28)' })
    async listChanged(
      @Arg('region', () => String, { nullable: true, description: REGION }) region: string | undefined,
      @Arg('after', () => String, { nullable: true, description: AFTER }) after: string | undefined,
      @Ctx() context: Context,
    ): Promise<RecordChanges> {
      return batch(context, { categories: [numberOf('dishonesty-list')], region: region ?? undefined }, after ?? undefined);
    }
  }
  return [Events];
}

/** The hub's source of events is the feed, and each run of a document a request of its own (stream.ts): graphql-js' own `subscribe` is not used. */
function unused(): never {
  throw new Error('subscriptions are run turn by turn');
}
/** type-graphql asks for one as soon as there are subscriptions. */
export const NO_PUBSUB = { publish: unused, subscribe: unused };
