import { Arg, type ClassType, Ctx, Field, ID, InputType, Int, Mutation, ObjectType, Query, Resolver } from 'type-graphql';
import type { OwnSubject } from '../access/caller.ts';
import { requireDuty } from '../access/duty.ts';
import { Refused } from '../errors.ts';
import { usesOfConsent } from '../log/consent-uses.ts';
import type { Model } from '../model/types.ts';
import { type Consent, giveConsent, listConsents, type NewConsent, revokeConsent, rowsOfSubject } from '../store/consents.ts';
import { concealId, revealId } from '../store/opaque.ts';
import { statutoryCode } from './cases.ts';
import type { Context } from './context.ts';
import { Day, Instant } from './scalars.ts';
import { pageSize } from './work.ts';

/** Consents of subjects (HN-23.1): given and revoked by the subject itself, or entered for it at a window. */

@InputType({ description: '授权内容 (what a subject agrees to, HN-23.1)' })
class ConsentEntry {
  @Field(() => String, { nullable: true, description: '被授权部门代码;与 person 只填其一 (department that may look)' })
  department?: string | null;
  @Field(() => String, { nullable: true, description: '被授权人的人员编号 (id of the person who may look)' })
  person?: string | null;
  @Field(() => [String], { description: '查询用途代码 (purposes)' })
  purposes!: string[];
  @Field(() => [Int], { description: '信息类别序号,1 至 12 (numbers of the categories)' })
  categories!: number[];
  @Field(() => Day, { description: '起始日期,含 (first day)' })
  validFrom!: string;
  @Field(() => Day, { description: '截止日期,含 (last day)' })
  validUntil!: string;
  @Field(() => String, { description: '授权渠道代码 (a code of consent-channels)' })
  channel!: string;
  @Field(() => String, { description: '授权凭证 (where the consent can be proved)' })
  evidence!: string;
}

@ObjectType({ description: '信用主体的授权 (consent of a subject)', simpleResolvers: true })
class ConsentType {
  @Field(() => ID)
  id!: string;
  @Field(() => String, { nullable: true })
  department!: string | null;
  @Field(() => String, { nullable: true })
  person!: string | null;
  @Field(() => [String])
  purposes!: string[];
  @Field(() => [Int])
  categories!: number[];
  @Field(() => Day)
  validFrom!: string;
  @Field(() => Day)
  validUntil!: string;
  @Field(() => String)
  channel!: string;
  @Field(() => String)
  evidence!: string;
  @Field(() => String, { description: '办理人 (who gave or entered it)' })
  givenBy!: string;
  @Field(() => Instant)
  givenAt!: string;
  @Field(() => Instant, { nullable: true, description: '撤销时刻 (when revoked)' })
  revokedAt!: string | null;
  @Field(() => Int, { description: '据此查询的次数,取自查询日志 (looks under it, from the query log)' })
  uses!: number;
  @Field(() => Instant, { nullable: true, description: '最近一次据此查询 (last look under it)' })
  lastUsedAt!: string | null;
}

const CODE = '信用主体的法定代码,仅服务窗口代办时填写 (statutory code of the subject; at a window only)';

export function buildConsentResolvers(model: Model): ClassType[] {
  const taking = model.rules.filter((rule) => rule.rows.subject === 'consented');
  const ids = new Set(taking.map((rule) => rule.id));

  async function told(context: Context, subject: OwnSubject, consents: readonly Consent[]): Promise<ConsentType[]> {
    const { sql, keys } = context.services;
    const rows = await rowsOfSubject(sql, keys, subject);
    const subjects = rows.flatMap((row) => keys.logTokens('log-subject', String(row)));
    return Promise.all(
      consents.map(async ({ id, givenName, ...consent }) => {
        const of = { ...consent, subjects, since: consent.givenAt, until: consent.revokedAt };
        const { purposes, categories } = consent;
        return {
          ...consent,
          ...(await usesOfConsent(sql, of, ids)),
          // A plain number would tell how many consents others gave.
          id: concealId(keys, 'consent', id),
          givenBy: givenName,
          purposes: [...purposes],
          categories: [...categories],
        };
      }),
    );
  }
  const toldOne = async (context: Context, subject: OwnSubject, consent: Consent): Promise<ConsentType> =>
    (await told(context, subject, [consent]))[0] as ConsentType;

  @Resolver()
  class Consents {
    @Mutation(() => ConsentType, { description: '授权他人查询本主体信用信息,即时生效 (give consent)' })
    async giveConsent(
      @Arg('consent', () => ConsentEntry) entry: ConsentEntry,
      @Arg('code', () => String, { nullable: true, description: CODE }) code: string | undefined,
      @Ctx() context: Context,
    ): Promise<ConsentType> {
      const { subject, window } = actingFor(model, context, code);
      const consent = checked(model, taking, entry, window, context.today);
      const { sql, keys } = context.services;
      return toldOne(context, subject, await giveConsent(sql, keys, context.caller, subject, consent));
    }

    @Mutation(() => ConsentType, { description: '撤销授权,即时失效 (revoke a consent; at once)' })
    async revokeConsent(
      @Arg('id', () => ID) id: string,
      @Arg('code', () => String, { nullable: true, description: CODE }) code: string | undefined,
      @Ctx() context: Context,
    ): Promise<ConsentType> {
      const { subject } = actingFor(model, context, code);
      const { sql, keys } = context.services;
      return toldOne(context, subject, await revokeConsent(sql, keys, context.caller, subject, revealId(keys, 'consent', id) ?? 0));
    }

    @Query(() => [ConsentType], { description: '本主体的授权及其使用情况,从新到旧 (consents of the subject and their use)' })
    async consents(
      @Arg('code', () => String, { nullable: true, description: CODE }) code: string | undefined,
      @Arg('first', () => Int, { defaultValue: 20 }) first: number,
      @Ctx() context: Context,
    ): Promise<ConsentType[]> {
      const { subject } = actingFor(model, context, code);
      const { sql, keys } = context.services;
      return told(context, subject, await listConsents(sql, keys, subject, pageSize(first)));
    }
  }
  return [Consents];
}

/** The subject itself, by its proved code; or the one for whom an officer at a window acts. Throws `Refused` DUTY_REQUIRED or BAD_CODE. */
function actingFor(model: Model, { caller, today }: Context, code: string | undefined): { subject: OwnSubject; window: boolean } {
  if (caller.department === 'subject' && caller.subject !== undefined && !code) return { subject: caller.subject, window: false };
  requireDuty(model, caller, 'enter-consents');
  return { subject: statutoryCode(code ?? '', today), window: true };
}

/** A consent that some rule can use: anything else would promise the subject what does not exist. Throws `Refused` CONSENT_REFUSED with the field at fault. */
function checked(model: Model, taking: Model['rules'], entry: ConsentEntry, window: boolean, today: string): NewConsent {
  const refuse = (field: string, text: string) => new Refused('CONSENT_REFUSED', text, { details: { field, article: 'HN-23.1' } });
  const { department = null, person = null, purposes, categories, validFrom, validUntil, channel } = entry;
  const evidence = entry.evidence.trim();
  if ((department === null) === (person === null)) throw refuse('department', '被授权部门与被授权人须填且只填一项');
  // Everybody is nobody in particular: a consent to the public would be no consent.
  if (department === 'public') throw refuse('department', '不能授权社会公众,请填写被授权人');
  const usable = taking.filter((rule) => department === null || rule.departments.includes(department));
  if (usable.length === 0) throw refuse('department', '该部门没有凭授权查询的事项');
  if (purposes.length === 0 || !purposes.every((one) => usable.some((rule) => rule.purposes.includes(one))))
    throw refuse('purposes', '该用途不能凭授权查询');
  if (categories.length === 0 || !categories.every((no) => model.categories.has(no))) throw refuse('categories', '信息类别序号无效');
  if (validFrom > validUntil || validUntil < today) throw refuse('validUntil', '授权期限无效');
  const known = model.codes.get('consent-channels')?.values.get(channel);
  if (known === undefined || (known.extra['entered'] === 'window') !== window) throw refuse('channel', '授权渠道与办理方式不符');
  if (evidence === '') throw refuse('evidence', '须填写授权凭证');
  const unique = <T>(list: readonly T[]) => [...new Set(list)];
  return { department, person, purposes: unique(purposes), categories: unique(categories), validFrom, validUntil, channel, evidence };
}
