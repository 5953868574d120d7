import type { ApolloServerPlugin, GraphQLRequestContext } from '@apollo/server';
import {
  type DocumentNode,
  GraphQLError,
  type GraphQLFormattedError,
  type GraphQLSchema,
  getVariableValues,
  OperationTypeNode,
  print,
  stripIgnoredCharacters,
} from 'graphql';
import type { Purpose } from '../access/caller.ts';
import { type Decision, toldLift } from '../access/decide.ts';
import { Refused } from '../errors.ts';
import type { Kind, LogEntry, Outcome } from '../log/entry.ts';
import { tokeniseVariables } from '../log/tokens.ts';
import type { QueryLog, Receipt } from '../log/writer.ts';
import type { Limits, Model } from '../model/types.ts';
import type { Keys } from '../store/keys.ts';
import { openReader } from '../store/reader.ts';
import { within } from '../store/within.ts';
import { openBatches } from './batches.ts';
import type { Budgets } from './budget.ts';
import type { Context } from './context.ts';
import { introspectionIn, isIntrospection } from './coordinates.ts';
import { type Deciding, deciding } from './decision.ts';
import { rowsOf } from './limits.ts';
import { declaredVariables, enumValues, withoutDigits, withoutLiterals } from './literals.ts';
import { introspect, openProjections } from './projection.ts';
import { checkedPurpose, loggedPurpose } from './purpose.ts';
import { LOG_FIELDS } from './log.ts';
import { rootFields } from './roots.ts';
import { checkTexts } from './texts.ts';
import { sizeOf } from './serialise.ts';
import { refuseOver } from './shape.ts';
import { holdGrant, isSilent } from './turn.ts';
import { asGraphQLError, deniedError, FAILURES, isInvalid, textOf } from './refusal.ts';

export interface Answering {
  model: Model;
  schema: GraphQLSchema;
  keys: Keys;
  log: QueryLog;
  limits: Limits;
  budgets: Budgets;
  /** Told why the log could not be written. */
  onError: (error: unknown) => void;
}

type Request = GraphQLRequestContext<Context>;
const INTROSPECTION: Purpose = { code: 'introspection', basis: '', case: '' };

/**
 * The journey of a query after validation (design §4): decide before anything runs, execute with the grant, and let the answer leave only
 * when its log entry is durable. If the entry cannot be written the caller gets a typed 503 and no data.
 */
export function answering(hub: Answering): ApolloServerPlugin<Context> {
  const projections = openProjections(hub.model, hub.schema);
  const decisions = deciding(hub.schema, hub.model);
  return {
    async requestDidStart() {
      return {
        async didResolveOperation(request) {
          try {
            grantRequest(hub, decisions, request);
            if (request.operation?.operation === OperationTypeNode.MUTATION) await announce(hub, request);
          } catch (error) {
            throw error instanceof Refused ? asGraphQLError(error) : error;
          }
        },
        async responseForOperation({ document, operationName, contextValue, request, response }) {
          const { caller, purpose, today } = contextValue;
          if (introspectionIn(document, operationName ?? '') !== 'all') return null;
          const singleResult = await introspect(
            projections(caller, purpose?.code, today),
            document,
            operationName ?? undefined,
            request.variables ?? {},
          );
          return { http: response.http, body: { kind: 'single', singleResult } };
        },
        async willSendResponse(request) {
          const { body, http } = request.response;
          if (body.kind !== 'single') return;
          const result = body.singleResult;
          // Nothing leaves, and what the caller may not know of is no event of the log either.
          if (isSilent(request.contextValue.turn) && result.errors === undefined) return;
          // What is read for nothing is read to its end: the entry names all of it, whichever came first.
          if (result.errors?.some((error) => error.path !== undefined)) await request.contextValue.services.sql.settled();
          const failure = result.errors?.find((e) => FAILURES.has(codeOf(e))) ?? tooLarge(hub, result.data);
          if (failure) {
            body.singleResult = { errors: [failure] };
            http.status = STATUS[codeOf(failure)] ?? 500;
          } else addDenials(request, result as { errors?: readonly GraphQLFormattedError[] });
          try {
            const receipt = await hub.log.append(await entryOf(hub, request, failure && codeOf(failure)));
            body.singleResult.extensions = { ...body.singleResult.extensions, ...extensionsOf(request, receipt) };
          } catch (error) {
            // No log, no answer: whatever was read stays here.
            hub.onError(error);
            body.singleResult = { errors: [{ message: textOf('LOG_UNAVAILABLE'), extensions: { code: 'LOG_UNAVAILABLE' } }] };
            http.status = 503;
          }
          // Under the older media type a document or variable that is wrong is an answer like any other (GraphQL over HTTP).
          if (http.status === 400 && request.contextValue.mediaType === 'application/json' && errorsOf(request).every(isWrongDocument))
            http.status = 200;
          request.contextValue.audit.logged = true;
        },
      };
    },
  };
}

const STATUS: Readonly<Record<string, number>> = { UNAVAILABLE: 503, DEADLINE_EXCEEDED: 503, ANSWER_TOO_LARGE: 400 };

/** The error in place of an answer that is too long to be sent; undefined for all others. */
function tooLarge(hub: Answering, data: unknown): GraphQLFormattedError | undefined {
  const { max } = hub.limits.query.answer;
  if (sizeOf(data) <= max) return undefined;
  const message = `应答超出 ${max} 字节的上限,请减少每页条数或字段`;
  return { message, extensions: { code: 'ANSWER_TOO_LARGE', limit: 'answer', allowed: max } };
}

/** A change is in the log before it is made: should its outcome never be logged, the intent is there to be followed up. */
async function announce(hub: Answering, request: Request): Promise<void> {
  try {
    await hub.log.append({ ...(await entryOf(hub, request, undefined)), outcome: 'answered', code: 'INTENT' });
  } catch (error) {
    hub.onError(error);
    throw new Refused('LOG_UNAVAILABLE', textOf('LOG_UNAVAILABLE'), { status: 503 });
  }
}

function grantRequest(hub: Answering, decisions: Deciding, request: Request): void {
  const { contextValue: context } = request;
  const document = request.document as DocumentNode;
  // Which of several operations is meant was not said: execution refuses it, and nothing runs without a grant.
  if (request.operation === undefined) return;
  const { turn } = context;
  if (request.operation.operation === OperationTypeNode.SUBSCRIPTION && turn === undefined)
    throw new Refused('OPERATION_NOT_SUPPORTED', '订阅须以 Accept: text/event-stream 请求', { status: 400 });
  if (context.method === 'GET' && request.operation.operation !== OperationTypeNode.QUERY)
    throw new Refused('METHOD_NOT_ALLOWED', '变更只接受 POST 请求', { status: 405 });
  // Each change has its own entry in the log, with its own outcome.
  if (request.operation.operation === OperationTypeNode.MUTATION && request.operation.selectionSet.selections.length > 1) {
    throw new Refused('OPERATION_NOT_SUPPORTED', '一次请求只能提交一项变更', { status: 400 });
  }
  const variables = coercedVariables(hub.schema, request);
  const rows = rowsOf(hub.schema, document, request.operation, variables);
  refuseOver(hub.limits, 'rows', rows);
  // A stream pays for what it is told, when it is told.
  if (turn === undefined) hub.budgets.rows(context.caller, rows);
  else turn.rows = rows;
  checkTexts(document, variables);
  const introspection = introspectionIn(document, request.operationName ?? '');
  if (introspection === 'part') throw new Refused('INTROSPECTION_ALONE', '接口结构须单独查询,不得与数据同查', { status: 400 });
  const purpose = introspection === 'all' ? INTROSPECTION : checkedPurpose(hub.model, context.purpose, context.caller);
  const { caller, today } = context;
  const grant = decisions.grant({ document, operationName: request.operationName ?? '', variables, caller, purpose, today });
  if (turn) holdGrant(turn, grant);
  if (context.strict) {
    const denied = deniedOf(grant.decisions.values());
    if (denied.length > 0) {
      const details = { denied: denied.map((d) => ({ coordinate: d.coordinate, article: d.article, ...toldLift(d) })) };
      throw new Refused('ACCESS_DENIED', '查询包含未授权字段,按严格模式整体拒绝', { status: 403, details });
    }
  }
  const deadline = context.startedAt + hub.limits.query.milliseconds.max;
  const reader = openReader(within(context.services.sql, deadline), hub.keys, hub.model, grant);
  context.granted = { grant, reader, batches: openBatches(reader) };
}

/** The variables as execution will see them, defaults included: a condition is a condition wherever it is written. */
function coercedVariables(schema: GraphQLSchema, { operation, request }: Request): Record<string, unknown> {
  const { coerced, errors } = getVariableValues(schema, operation?.variableDefinitions ?? [], request.variables ?? {}, { maxErrors: 1 });
  const [error] = errors ?? [];
  if (error === undefined) return coerced ?? {};
  throw new GraphQLError(error.message, { nodes: error.nodes, extensions: { code: 'BAD_USER_INPUT', http: { status: 400 } } });
}

const isMasked = (d: Decision) => d.told && (d.access === 'mask' || d.partly !== undefined);
const deniedOf = (decisions: Iterable<Decision>) => [...decisions].filter((d) => d.access === 'deny' && d.told);

function addDenials(request: Request, result: { errors?: readonly GraphQLFormattedError[]; data?: unknown }): void {
  if (result.data === undefined || !request.contextValue.granted) return;
  const denied = deniedOf(request.contextValue.granted.grant.decisions.values());
  if (denied.length > 0) result.errors = [...(result.errors ?? []), ...denied.map(deniedError)];
}

function extensionsOf(request: Request, receipt: Receipt): Record<string, unknown> {
  const log = receipt;
  const { granted } = request.contextValue;
  if (granted === undefined || granted.grant.purpose === INTROSPECTION.code) return { log };
  const decisions = [...granted.grant.decisions.values()];
  const tell = (d: Decision) => {
    const { rule, article } = d.partly ?? d;
    return { coordinate: d.coordinate, rule: rule ?? 'no-rule', article, ...toldLift(d) };
  };
  return {
    log,
    access: { purpose: granted.grant.purpose, masked: decisions.filter(isMasked).map(tell), denied: deniedOf(decisions).map(tell) },
  };
}

function errorsOf(request: Request): readonly GraphQLFormattedError[] {
  const body = request.response?.body;
  return body?.kind === 'single' ? (body.singleResult.errors ?? []) : [];
}

const WRONG_DOCUMENT = new Set(['GRAPHQL_PARSE_FAILED', 'GRAPHQL_VALIDATION_FAILED', 'BAD_USER_INPUT']);
const isWrongDocument = (error: GraphQLFormattedError) => WRONG_DOCUMENT.has(codeOf(error));
const codeOf = (error: GraphQLFormattedError) => String(error.extensions?.['code'] ?? 'INTERNAL_SERVER_ERROR');

async function entryOf(hub: Answering, request: Request, failure: string | undefined): Promise<LogEntry> {
  const { contextValue: context, operation } = request;
  const { granted, caller } = context;
  const errors = errorsOf(request).filter((e) => codeOf(e) !== 'FIELD_DENIED');
  const code = failure ?? (errors[0] ? codeOf(errors[0]) : '');
  const shown = granted?.reader.shown;
  const decisions = [...(granted?.grant.decisions.values() ?? [])];
  const named = (of: Decision[]) => of.map((d) => d.coordinate);
  const document = request.document ? await hub.log.document(stripIgnoredCharacters(print(withoutLiterals(request.document)))) : '';
  const outcome: Outcome = outcomeOf(code, failure, granted !== undefined, shown?.rows ?? 0);
  const token = (text: string) => hub.keys.logToken('log-variable', text).toString('base64url');
  return {
    kind: context.audit.kind ?? kindOf(request),
    person: { id: caller.id, name: caller.name },
    department: caller.department,
    role: caller.role,
    region: caller.region,
    actingFor: caller.actingFor,
    purpose: {
      ...loggedPurpose(hub.model, context.purpose, context.today),
      ...(granted ? { code: granted.grant.purpose } : {}),
    },
    operation: request.operationName ? withoutDigits(request.operationName) : null,
    document,
    variables: tokeniseVariables(declaredVariables(hub.schema, operation, request.request.variables ?? {}), token, (text) =>
      enumNames(hub.schema).has(text),
    ),
    fields: outcome === 'answered' ? [...(shown?.coordinates ?? [])].sort() : [],
    masked: named(decisions.filter(isMasked)),
    denied: named(deniedOf(decisions)),
    categories: [...(shown?.categories ?? [])].sort((a, b) => a - b),
    subjects: [...(shown?.subjects ?? [])].map((id) => hub.keys.logToken('log-subject', String(id))),
    rows: shown?.rows ?? 0,
    policy: hub.model.version,
    rules: granted?.grant.rules ?? [],
    outcome,
    code: outcome === 'answered' ? '' : code,
    durationMs: Math.max(0, Math.round(performance.now() - context.startedAt)),
    client: context.client,
  };
}

const namesOf = new WeakMap<GraphQLSchema, ReadonlyMap<string, unknown>>();
/** What of the variables is no value of a person: the names of enumerations. */
function enumNames(schema: GraphQLSchema): ReadonlyMap<string, unknown> {
  const known = namesOf.get(schema) ?? enumValues(schema);
  namesOf.set(schema, known);
  return known;
}

function kindOf({ document, operation }: Request): Kind {
  if (document && isIntrospection(document)) return 'introspection';
  // To read or export the log is an act of administration, and so is the announcement of it.
  if (document && operation && [...rootFields(document, operation)].some((name) => LOG_FIELDS.has(name))) return 'admin';
  if (operation?.operation === OperationTypeNode.SUBSCRIPTION) return 'subscription';
  return operation?.operation === OperationTypeNode.MUTATION ? 'mutation' : 'query';
}

function outcomeOf(code: string, failure: string | undefined, granted: boolean, rows: number): Outcome {
  if (failure !== undefined) return 'failed';
  if (code === '' || (granted && rows > 0)) return 'answered';
  return isInvalid(code) ? 'invalid' : 'refused';
}
