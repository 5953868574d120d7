import { Field, ObjectType } from 'type-graphql';

@ObjectType({ description: '授权说明 (why a field may or may not be seen, U3)', simpleResolvers: true })
export class Explanation {
  @Field(() => String)
  coordinate!: string;
  @Field(() => String, { description: 'allow、mask 或 deny' })
  access!: string;
  @Field(() => String, { nullable: true, description: '规则 (rule)' })
  rule!: string | null;
  @Field(() => String, { nullable: true, description: '依据条款 (article)' })
  article!: string | null;
  @Field(() => [String], { description: '可解除限制的查询用途 (purposes that would give more)' })
  lift!: string[];
  @Field(() => [String], { description: '此外还须:consent 主体授权、case 登记在办案件、identity 本人认证 (what more it takes)' })
  needs!: string[];
}
