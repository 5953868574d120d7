import { GraphQLError, type GraphQLSchema, getOperationAST, getVariableValues, parse, validate } from 'graphql';
import type { Caller } from '../access/caller.ts';
import type { Decision, Scope } from '../access/decide.ts';
import { Refused } from '../errors.ts';
import { deciding } from './decision.ts';
import { rowsOf } from './limits.ts';
import { checkedPurpose } from './purpose.ts';
import { textOf } from './refusal.ts';
import { checkShape, refuseOver } from './shape.ts';
import type { Model } from '../model/types.ts';

/** What a query would get: its shape, never its data (U5). */
export interface Simulated {
  /** `answered`: it would run; `refused`: the decision or a limit refuses it; `invalid`: it is no valid operation of the graph. */
  outcome: 'answered' | 'refused' | 'invalid';
  /** Empty when answered. */
  code: string;
  message: string;
  rules: readonly string[];
  decisions: readonly Decision[];
  scopes: readonly Scope[];
}

/** A query that might be asked. */
export interface Supposed {
  document: string;
  operationName: string;
  variables: Readonly<Record<string, unknown>>;
  caller: Caller;
  purpose: { code: string; basis: string; case: string };
  today: string;
}

/**
 * Decides a query that nobody has asked, by the steps a real one takes up to its execution: parsing, validation, limits, the decision. No subject is
 * touched. The model may be another one than the graph was built from: an earlier or a proposed one with the same catalog.
 */
export function simulate(schema: GraphQLSchema, model: Model, supposed: Supposed): Simulated {
  const nothing = { rules: [], decisions: [], scopes: [] };
  try {
    checkShape(supposed.document, model.limits);
    const document = parse(supposed.document);
    const [fault] = validate(schema, document, undefined, { maxErrors: 1, hideSuggestions: true });
    if (fault)
      return { outcome: 'invalid', code: 'GRAPHQL_VALIDATION_FAILED', message: said('GRAPHQL_VALIDATION_FAILED', fault), ...nothing };
    const operation = getOperationAST(document, supposed.operationName || undefined);
    if (!operation)
      return { outcome: 'invalid', code: 'OPERATION_RESOLUTION_FAILURE', message: textOf('OPERATION_RESOLUTION_FAILURE'), ...nothing };
    const { coerced, errors } = getVariableValues(schema, operation.variableDefinitions ?? [], supposed.variables, { maxErrors: 1 });
    if (!coerced || errors) return { outcome: 'invalid', code: 'BAD_USER_INPUT', message: textOf('BAD_USER_INPUT'), ...nothing };
    refuseOver(model.limits, 'rows', rowsOf(schema, document, operation, coerced));
    const purpose = checkedPurpose(model, supposed.purpose, supposed.caller);
    const question = {
      document,
      operationName: supposed.operationName,
      variables: coerced,
      caller: supposed.caller,
      purpose,
      today: supposed.today,
    };
    const grant = deciding(schema, model).grant(question);
    return {
      outcome: 'answered',
      code: '',
      message: '',
      rules: grant.rules,
      decisions: [...grant.decisions.values()],
      scopes: grant.scopes,
    };
  } catch (error) {
    if (error instanceof Refused) return { outcome: 'refused', code: error.code, message: error.message, ...nothing };
    if (error instanceof GraphQLError)
      return { outcome: 'invalid', code: 'GRAPHQL_PARSE_FAILED', message: said('GRAPHQL_PARSE_FAILED', error), ...nothing };
    throw error;
  }
}

/** Where the document is at fault, without a word of it. */
function said(code: string, error: GraphQLError): string {
  const places = (error.locations ?? []).map(({ line, column }) => `第 ${line} 行第 ${column} 列`);
  return places.length === 0 ? textOf(code) : `${textOf(code)}:${places.join('、')}`;
}
