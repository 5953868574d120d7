import { Arg, type ClassType, Ctx, Field, ID, Mutation, ObjectType, Query, Resolver } from 'type-graphql';
import { requireDuty } from '../access/duty.ts';
import { Refused } from '../errors.ts';
import type { Model } from '../model/types.ts';
import { listRevocations, type Revocation, revoke } from '../store/sessions.ts';
import type { Context } from './context.ts';
import { Instant } from './scalars.ts';

/** Tokens taken back before they are over: a stolen one, or all of an officer who has left. */

@ObjectType({ description: '令牌撤销 (tokens that are taken back)', simpleResolvers: true })
class RevocationType {
  @Field(() => ID)
  id!: string;
  @Field(() => String, { nullable: true, description: '令牌编号 (id of one token)' })
  tokenId!: string | null;
  @Field(() => String, { nullable: true, description: '人员编号 (id of the person whose tokens they are)' })
  person!: string | null;
  @Field(() => Instant, { description: '此前签发的令牌失效 (tokens issued up to this are not taken)' })
  issuedBefore!: string;
  @Field(() => String)
  reason!: string;
  @Field(() => String)
  revokedBy!: string;
  @Field(() => Instant)
  revokedAt!: string;
}

const MOST = 200;

export function buildSessionResolvers(model: Model): ClassType[] {
  @Resolver()
  class SessionWork {
    @Mutation(() => RevocationType, {
      description: '撤销令牌:某一令牌,或某人此前的全部令牌;5 秒内生效 (take back a token, or all of a person)',
    })
    async revokeSessions(
      @Arg('person', () => String, { nullable: true, description: '人员编号 (id of the person)' }) person: string | undefined,
      @Arg('tokenId', () => String, { nullable: true, description: '令牌编号 jti (id of the token)' }) tokenId: string | undefined,
      @Arg('reason', () => String, { description: '原因 (why)' }) reason: string,
      @Ctx() context: Context,
    ): Promise<RevocationType> {
      requireDuty(model, context.caller, 'operate-system');
      if ((person === undefined) === (tokenId === undefined))
        throw new Refused('BAD_REVOCATION', '须且只须指明人员或令牌之一', { status: 400 });
      if (reason.trim() === '') throw new Refused('REASON_REQUIRED', '须说明原因');
      const what = tokenId === undefined ? { person: person ?? '' } : { tokenId };
      return told(await revoke(context.services.sql, what, context.caller, reason));
    }

    @Query(() => [RevocationType], { description: '令牌撤销记录,从新到旧 (revocations, newest first)' })
    async revocations(@Ctx() context: Context): Promise<RevocationType[]> {
      requireDuty(model, context.caller, 'operate-system');
      return (await listRevocations(context.services.sql, MOST)).map(told);
    }
  }
  return [SessionWork];
}

const told = ({ id, ...rest }: Revocation): RevocationType => ({ id: String(id), ...rest });
