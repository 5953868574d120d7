import { Arg, type ClassType, Ctx, Field, ID, Int, Mutation, ObjectType, Query, Resolver } from 'type-graphql';
import { hasDuty, requireDuty } from '../access/duty.ts';
import type { Model } from '../model/types.ts';
import { type Erasure, listErasures, requestErasure, reviewErasure } from '../store/erasure.ts';
import { concealId, revealId } from '../store/opaque.ts';
import type { Context } from './context.ts';
import { Day, Instant } from './scalars.ts';
import { actorOf, pageSize } from './work.ts';

/** Erasure of a person's information (PIPL 47): one person asks, another decides, and both stand in the log. */

@ObjectType({ description: '个人信息删除申请及其办理 (request to erase, PIPL 47)', simpleResolvers: true })
class ErasureType {
  @Field(() => ID)
  id!: string;
  @Field(() => ID, { description: '信用主体的不透明标识 (opaque id of the subject)' })
  subject!: string;
  @Field(() => String, { description: 'requested、rejected、restricted(保存期限内仅限存储)或 erased' })
  state!: string;
  @Field(() => String, { description: '法律依据 (legal basis)' })
  basis!: string;
  @Field(() => String, { description: '申请人 (who asked)' })
  requestedBy!: string;
  @Field(() => Instant)
  requestedAt!: string;
  @Field(() => String, { nullable: true, description: '复核人 (who decided)' })
  reviewedBy!: string | null;
  @Field(() => Instant, { nullable: true })
  reviewedAt!: string | null;
  @Field(() => String, { nullable: true, description: '复核意见 (note)' })
  note!: string | null;
  @Field(() => Day, { nullable: true, description: '法定保存期限届满日 (the law wants it kept until)' })
  keepUntil!: string | null;
  @Field(() => String, { nullable: true, description: '规定保存期限的条款 (article of the term)' })
  article!: string | null;
  @Field(() => Instant, { nullable: true })
  erasedAt!: string | null;
}

export function buildErasureResolvers(model: Model): ClassType[] {
  /** The query log names whom the act was about. */
  const told = (context: Context, erasure: Erasure): ErasureType => {
    context.granted?.reader.shown.subjects.add(erasure.subjectId);
    return {
      ...erasure,
      id: concealId(context.services.keys, 'erasure', erasure.id),
      subject: concealId(context.services.keys, 'subject', erasure.subjectId),
    };
  };

  @Resolver()
  class ErasureWork {
    @Mutation(() => ErasureType, { description: '申请删除个人信息,经他人复核后办理 (ask for erasure; another person decides)' })
    async requestErasure(
      @Arg('subject', () => ID) subject: string,
      @Arg('basis', () => String, { description: '法律依据 (legal basis)' }) basis: string,
      @Ctx() context: Context,
    ): Promise<ErasureType> {
      requireDuty(model, context.caller, 'request-erasure');
      const { sql, keys } = context.services;
      return told(context, await requestErasure(sql, keys, actorOf(context), { subject, basis }));
    }

    @Mutation(() => ErasureType, {
      description: '复核删除申请:保存期限已届满的立即删除,未届满的仅限存储 (decide: erased at once, or only kept while a legal term runs)',
    })
    async reviewErasure(
      @Arg('id', () => ID) id: string,
      @Arg('approve', () => Boolean) approve: boolean,
      @Arg('note', () => String, { nullable: true }) note: string | undefined,
      @Ctx() context: Context,
    ): Promise<ErasureType> {
      requireDuty(model, context.caller, 'review-erasure');
      const { sql, keys } = context.services;
      const review = { id: revealId(keys, 'erasure', id) ?? 0, approve, note: note ?? '' };
      return told(context, await reviewErasure(sql, model, actorOf(context), review, context.today));
    }

    @Query(() => [ErasureType], { description: '本辖区的删除申请,从新到旧 (requests of the own region, newest first)' })
    async erasures(
      @Arg('state', () => String, { nullable: true }) state: Erasure['state'] | undefined,
      @Arg('first', () => Int, { defaultValue: 50 }) first: number,
      @Ctx() context: Context,
    ): Promise<ErasureType[]> {
      if (!hasDuty(model, context.caller, 'request-erasure')) requireDuty(model, context.caller, 'review-erasure');
      const all = await listErasures(context.services.sql, actorOf(context), state ?? undefined, pageSize(first));
      return all.map((erasure) => told(context, erasure));
    }
  }

  return [ErasureWork];
}
