import { Arg, type ClassType, Ctx, Field, ID, InputType, Int, Mutation, ObjectType, Query, registerEnumType, Resolver } from 'type-graphql';
import { requireDuty } from '../access/duty.ts';
import type { Model } from '../model/types.ts';
import { closeObjection, listObjections, type Objection, type ObjectionEntry, openObjection } from '../store/objections.ts';
import { concealId, revealId } from '../store/opaque.ts';
import type { Context } from './context.ts';
import { Day, Instant } from './scalars.ts';
import { actorOf, pageSize } from './work.ts';

/** Objections (HN-24): while one is pending, the fact keeps its effect and is marked wherever it is shown or sent (U15). */

@InputType('ObjectionEntry', { description: '异议登记 (an objection as it was received; HN-24.1)' })
class ObjectionInput implements ObjectionEntry {
  @Field(() => ID, { description: '信用信息的不透明标识 (opaque id of the record)' })
  record!: string;
  @Field(() => String, { description: '异议事由代码 (a code of objection-grounds)' })
  ground!: string;
  @Field(() => String, { description: '受理编号 (number of the case)' })
  number!: string;
  @Field(() => Day, { description: '收到日期,办理期限由此起算 (day of receipt; HN-24.2)' })
  receivedOn!: string;
}

enum ObjectionEnd {
  REJECTED = 'rejected',
  WITHDRAWN = 'withdrawn',
}
registerEnumType(ObjectionEnd, {
  name: 'ObjectionEnd',
  description: '异议不成立,或异议人撤回;异议成立以撤回该信息办结 (rejected or withdrawn; an upheld one is closed by the recall)',
});

@ObjectType('Objection', { description: '异议:办理期间信息予以标注 (an objection to a fact; HN-24)', simpleResolvers: true })
class ObjectionType {
  @Field(() => ID)
  id!: string;
  @Field(() => ID, { description: '信用信息的不透明标识 (opaque id of the record)' })
  record!: string;
  @Field(() => ID, { description: '信用主体的不透明标识 (opaque id of the subject)' })
  subject!: string;
  @Field(() => Int, { description: '信息类别序号 (number of the category)' })
  category!: number;
  @Field(() => String, { description: '异议事由代码 (a code of objection-grounds)' })
  ground!: string;
  @Field(() => String, { description: '受理编号 (number of the case)' })
  number!: string;
  @Field(() => Day, { description: '收到日期 (day of receipt)' })
  receivedOn!: string;
  @Field(() => String, { description: 'open、upheld、rejected 或 withdrawn' })
  state!: string;
  @Field(() => String, { description: '登记人 (who registered it)' })
  openedBy!: string;
  @Field(() => Instant)
  openedAt!: string;
  @Field(() => String, { nullable: true, description: '办结人 (who closed it)' })
  closedBy!: string | null;
  @Field(() => Instant, { nullable: true })
  closedAt!: string | null;
  @Field(() => String, { nullable: true, description: '书面答复的文号或说明 (written answer)' })
  note!: string | null;
}

export function buildObjectionResolvers(model: Model): ClassType[] {
  const told = (context: Context, one: Objection): ObjectionType => {
    // The query log names whom the act was about.
    context.granted?.reader.shown.subjects.add(one.subjectId);
    const { keys } = context.services;
    return {
      ...one,
      id: concealId(keys, 'objection', one.id),
      record: concealId(keys, 'record', one.recordId),
      subject: concealId(keys, 'subject', one.subjectId),
    };
  };

  @Resolver()
  class Objections {
    @Mutation(() => ObjectionType, {
      description: '登记异议:该信息自此予以标注,并向已接收的平台重新报送 (register: the fact is marked from now on, everywhere)',
    })
    async openObjection(
      @Arg('objection', () => ObjectionInput) objection: ObjectionInput,
      @Ctx() context: Context,
    ): Promise<ObjectionType> {
      requireDuty(model, context.caller, 'handle-objections');
      const { sql, keys } = context.services;
      return told(context, await openObjection(sql, keys, model, actorOf(context), objection, context.today));
    }

    @Mutation(() => ObjectionType, { description: '办结不成立或撤回的异议:取消标注 (close what is rejected or withdrawn: the mark goes)' })
    async closeObjection(
      @Arg('id', () => ID) id: string,
      @Arg('end', () => ObjectionEnd) end: ObjectionEnd,
      @Arg('note', () => String) note: string,
      @Ctx() context: Context,
    ): Promise<ObjectionType> {
      requireDuty(model, context.caller, 'handle-objections');
      const { sql, keys } = context.services;
      return told(
        context,
        await closeObjection(sql, model, actorOf(context), { id: revealId(keys, 'objection', id) ?? 0, state: end, note }),
      );
    }

    @Query(() => [ObjectionType], { description: '本辖区的异议,从新到旧 (objections in the own region, newest first)' })
    async objections(@Arg('first', () => Int, { defaultValue: 50 }) first: number, @Ctx() context: Context): Promise<ObjectionType[]> {
      requireDuty(model, context.caller, 'handle-objections');
      return (await listObjections(context.services.sql, actorOf(context), pageSize(first))).map((one) => told(context, one));
    }
  }

  return [Objections];
}
