/** What the cases of the leak catalogue share: callers, and answers without what is of one request alone. */
import { type GraphQLSchema, isInputObjectType, isInterfaceType, isObjectType } from 'graphql';
import type { Answer, Asking } from './hub.ts';

export const TAX = { department: 'tax', purpose: 'fiscal-support' };
export const SOCIAL = { department: 'tax', purpose: 'social-security' };
export const HEALTH = { department: 'health', purpose: 'credit-evaluation' };
export const LICENCE = { department: 'health', purpose: 'administrative-licence' };
export const BIDDING = { department: 'market-supervision', purpose: 'bidding' };
export const INSPECTION = { department: 'market-supervision', purpose: 'administrative-inspection' };
export const BUREAU = { department: 'medical-insurance', purpose: 'fund-payment' };
export const CALLERS: readonly (Asking & { department: string; purpose: string })[] = [
  TAX,
  SOCIAL,
  HEALTH,
  LICENCE,
  BIDDING,
  INSPECTION,
  BUREAU,
];

/** The whole answer but its log entry: what a caller could compare. */
export function bare({ status, text }: Answer): string {
  const { extensions: { log: _log, ...extensions } = {} as Record<string, unknown>, ...rest } = JSON.parse(text) as Record<
    string,
    Record<string, unknown>
  >;
  return JSON.stringify([status, rest, extensions]);
}

/** Names of everything that types of the graph have: fields and input fields, as `Type.name`. */
export function membersOf(schema: GraphQLSchema): string[] {
  return Object.values(schema.getTypeMap()).flatMap((type) =>
    !type.name.startsWith('__') && (isObjectType(type) || isInterfaceType(type) || isInputObjectType(type))
      ? Object.keys(type.getFields()).map((name) => `${type.name}.${name}`)
      : [],
  );
}
