import { getOperationAST, OperationTypeNode, parse } from 'graphql';
import { Arg, type ClassType, Ctx, Field, ID, InputType, Int, Mutation, ObjectType, Query, Resolver } from 'type-graphql';
import { requireDuty } from '../access/duty.ts';
import { Refused } from '../errors.ts';
import type { Model } from '../model/types.ts';
import { numberFeed } from '../store/feed.ts';
import { trustedDocuments } from '../store/trusted.ts';
import {
  keepWebhook,
  listWebhooks,
  type NewWebhook,
  redeliverWebhook,
  removeWebhook,
  renewSecret,
  type Webhook,
} from '../store/webhooks.ts';
import type { Context } from './context.ts';
import { checkedPurpose } from './purpose.ts';
import { Instant } from './scalars.ts';
import { idOf, pageSize } from './work.ts';

/** Webhooks of departments (HN-28, ZM-2.5): who registers one sees no credit information by it, and directs none but where the operator's list allows. */

@InputType({ description: '推送登记内容 (a webhook)' })
class WebhookEntry {
  @Field(() => String, { description: '接收部门 (department that receives)' })
  department!: string;
  @Field(() => String, { description: '接收岗位,决定授权 (role whose grant cuts the content)' })
  role!: string;
  @Field(() => String, { description: '区划代码 (region of the department)' })
  region!: string;
  @Field(() => String, { description: '责任人编号,记入查询日志 (id of the officer who answers for it)' })
  officer!: string;
  @Field(() => String, { description: '责任人姓名 (name of the officer)' })
  officerName!: string;
  @Field(() => String, { description: '用途代码 (purpose)' })
  purpose!: string;
  @Field(() => String, { nullable: true, description: '法定依据 (basis)' })
  basis?: string | null;
  @Field(() => String, { nullable: true, description: '案件编号 (case)' })
  case?: string | null;
  @Field(() => String, { description: '已登记的订阅语句的 SHA-256 (hash of a registered subscription document)' })
  document!: string;
  @Field(() => String, { description: 'https 地址,主机须在运维人员的许可名单内 (https address of an allowed host)' })
  url!: string;
}

@ObjectType({ description: '推送登记 (webhook; its secret and path are not shown)', simpleResolvers: true })
class WebhookType {
  @Field(() => ID)
  id!: string;
  @Field(() => String)
  department!: string;
  @Field(() => String)
  role!: string;
  @Field(() => String)
  region!: string;
  @Field(() => String, { description: '责任人 (officer)' })
  officerName!: string;
  @Field(() => String)
  purpose!: string;
  @Field(() => String, { description: '订阅语句的 SHA-256 (document)' })
  document!: string;
  @Field(() => String, { description: '接收主机 (host)' })
  host!: string;
  @Field(() => Int, { description: '密钥版本 (version of the secret)' })
  keyVersion!: number;
  @Field(() => String, { description: 'active、dead(多日无法送达)或 ended(授权终止)' })
  state!: string;
  @Field(() => String, { description: '最近一次失败的状态码或原因代码 (status or code of the last failure)' })
  note!: string;
  @Field(() => Int, { description: '已送达批数 (deliveries taken)' })
  number!: number;
  @Field(() => Int, { description: '当前批次已尝试次数 (attempts of the delivery under way)' })
  attempts!: number;
  @Field(() => Instant, { description: '下次尝试时刻 (next attempt)' })
  nextAt!: string;
  @Field(() => Instant, { nullable: true, description: '最近送达时刻 (last delivery)' })
  deliveredAt!: string | null;
  @Field(() => String, { description: '登记人 (who registered it)' })
  registeredName!: string;
  @Field(() => Instant)
  registeredAt!: string;
}

@ObjectType({ description: '新密钥,仅显示一次 (a secret, shown this once)', simpleResolvers: true })
class WebhookSecret {
  @Field(() => WebhookType)
  webhook!: WebhookType;
  @Field(() => String, { description: '签名密钥,32 字节,base64 (secret of the signatures)' })
  secret!: string;
}

const told = ({ id, ...rest }: Webhook): WebhookType => ({ id: String(id), ...rest });

export function buildWebhookResolvers(model: Model): ClassType[] {
  /** What can be delivered at all. Throws `Refused` WEBHOOK_REFUSED with the field at fault. */
  async function checked(context: Context, entry: WebhookEntry): Promise<NewWebhook> {
    const refuse = (field: string, text: string) => new Refused('WEBHOOK_REFUSED', text, { details: { field } });
    const { department, role, region, officer, officerName, purpose, document, url } = entry;
    const [basis, number] = [entry.basis ?? '', entry.case ?? ''];
    if (!model.codes.get('departments')?.values.has(department)) throw refuse('department', '部门代码不存在');
    if (!/^[1-9]\d{5}$/.test(region)) throw refuse('region', '区划代码无效');
    if (officer.trim() === '' || officerName.trim() === '') throw refuse('officer', '须填写责任人编号和姓名');
    if (context.services.allowsWebhook?.(url) !== true) throw refuse('url', '地址须为 https,且主机在许可名单内');
    if (/\d{15}/.test(url)) throw refuse('url', '证件号码不得写入网址');
    const caller = { id: officer, name: officerName, department, role, region, actingFor: '', purposes: undefined };
    checkedPurpose(model, { code: purpose, basis, case: number }, caller);
    const found = (await trustedDocuments(context.services.sql)).find(
      (d) => d.hash === document && d.department === department && d.purpose === purpose && (d.role === '' || d.role === role),
    );
    const operation = found && getOperationAST(parse(found.text), found.operation || undefined)?.operation;
    if (operation !== OperationTypeNode.SUBSCRIPTION) throw refuse('document', '须为登记给该部门和用途的订阅语句');
    return { department, role, region, officer, officerName, purpose, basis, case: number, document, url };
  }

  @Resolver()
  class Webhooks {
    @Mutation(() => WebhookSecret, { description: '登记推送,自此刻起的变更 (register a webhook; what changes from now on)' })
    async registerWebhook(@Arg('entry', () => WebhookEntry) entry: WebhookEntry, @Ctx() context: Context): Promise<WebhookSecret> {
      requireDuty(model, context.caller, 'operate-system');
      const { sql, keys } = context.services;
      const of = await checked(context, entry);
      const { webhook, secret } = await keepWebhook(sql, keys, of, await numberFeed(sql), context.caller);
      return { webhook: told(webhook), secret };
    }

    @Mutation(() => WebhookSecret, { description: '更换推送密钥 (a new secret)' })
    async renewWebhookSecret(@Arg('id', () => ID) id: string, @Ctx() context: Context): Promise<WebhookSecret> {
      requireDuty(model, context.caller, 'operate-system');
      const { sql, keys } = context.services;
      const { webhook, secret } = await renewSecret(sql, keys, idOf(id));
      return { webhook: told(webhook), secret };
    }

    @Mutation(() => WebhookType, { description: '自中断处重新推送 (deliver again, from where it stopped)' })
    async redeliverWebhook(@Arg('id', () => ID) id: string, @Ctx() context: Context): Promise<WebhookType> {
      requireDuty(model, context.caller, 'operate-system');
      return told(await redeliverWebhook(context.services.sql, idOf(id)));
    }

    @Mutation(() => WebhookType, { description: '撤销推送 (remove a webhook)' })
    async removeWebhook(@Arg('id', () => ID) id: string, @Ctx() context: Context): Promise<WebhookType> {
      requireDuty(model, context.caller, 'operate-system');
      return told(await removeWebhook(context.services.sql, idOf(id)));
    }

    @Query(() => [WebhookType], { description: '推送登记,从新到旧 (webhooks, newest first)' })
    async webhooks(@Arg('first', () => Int, { defaultValue: 50 }) first: number, @Ctx() context: Context): Promise<WebhookType[]> {
      requireDuty(model, context.caller, 'operate-system');
      return (await listWebhooks(context.services.sql, pageSize(first))).map(told);
    }
  }
  return [Webhooks];
}
