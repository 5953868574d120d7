import { createHash } from 'node:crypto';
import { type DocumentNode, type GraphQLSchema, Kind, type OperationDefinitionNode, parse, validate, visit } from 'graphql';
import { type Caller, type Purpose, supposed } from '../access/caller.ts';
import { Refused } from '../errors.ts';
import type { Limits, Model } from '../model/types.ts';
import type { Sql } from '../store/sql.ts';
import { type TrustedDocument, trustedDocuments } from '../store/trusted.ts';
import { deciding } from './decision.ts';
import type { GraphRequest } from './request.ts';
import { checkShape } from './shape.ts';

/** `any`: every valid document may be asked; `trusted`: only registered ones, by those and for the purpose they are registered for (P14). */
export type DocumentMode = 'any' | 'trusted';

/** Tells which text a request asks. */
export interface Documents {
  /**
   * The text and the operation. Costs one hash and one look-up, whatever is asked. Throws `Refused` DOCUMENT_UNKNOWN (403), alike for a document that
   * nobody registered and for one of another department, role, purpose or operation; DOCUMENT_MISMATCH or BAD_REQUEST (400) for a request that
   * contradicts itself.
   */
  resolve(
    request: GraphRequest,
    caller: Caller,
    purpose: Purpose | undefined,
  ): { query: string | undefined; operationName: string | undefined };
  close(): void;
}

/** A withdrawn document is refused, and a new one taken, at most this long after. */
const REFRESH_MS = 5000;

export async function openDocuments(sql: Sql, mode: DocumentMode, onError: (error: unknown) => void): Promise<Documents> {
  let known = byHash(await trustedDocuments(sql));
  const refresh = async (): Promise<void> => {
    try {
      known = byHash(await trustedDocuments(sql));
    } catch (error) {
      onError(error);
    }
  };
  const timer = setInterval(() => void refresh(), REFRESH_MS).unref();
  return {
    resolve: (request, caller, purpose) => resolve(known, mode, request, caller, purpose),
    close: () => clearInterval(timer),
  };
}

type Known = ReadonlyMap<string, readonly TrustedDocument[]>;

export function byHash(documents: readonly TrustedDocument[]): Known {
  return Map.groupBy(documents, ({ hash }) => hash);
}

/** See {@link Documents.resolve}. */
export function resolve(
  known: Known,
  mode: DocumentMode,
  { query, documentId, operationName, extensions }: GraphRequest,
  caller: Caller,
  purpose: Purpose | undefined,
): { query: string | undefined; operationName: string | undefined } {
  const id = idOf(documentId, extensions);
  if (id === undefined && (mode === 'any' || !query)) return { query, operationName };
  const own = query === undefined ? undefined : hashOf(query);
  if (id !== undefined && own !== undefined && id !== own) throw new Refused('DOCUMENT_MISMATCH', '查询语句与其标识不符', { status: 400 });
  const found = known
    .get(id ?? own ?? '')
    ?.find(
      (d) =>
        d.department === caller.department &&
        (d.role === '' || d.role === caller.role) &&
        d.purpose === purpose?.code &&
        (operationName === undefined || operationName === d.operation),
    );
  if (!found) throw new Refused('DOCUMENT_UNKNOWN', '该查询语句未登记,或未登记给本部门、岗位和查询用途', { status: 403 });
  return { query: found.text, operationName: found.operation === '' ? undefined : found.operation };
}

/** The id that a request names: `documentId`, with or without its scheme, or the persisted query of `extensions`. */
function idOf(documentId: string | undefined, extensions: Readonly<Record<string, unknown>>): string | undefined {
  const persisted = extensions['persistedQuery'];
  const hash =
    typeof persisted === 'object' && persisted !== null ? ((persisted as Record<string, unknown>)['sha256Hash'] ?? '') : undefined;
  const ids = [documentId?.replace(/^sha256:/, ''), hash].filter((id) => id !== undefined).map(String);
  if (new Set(ids).size > 1) throw new Refused('DOCUMENT_MISMATCH', '查询语句与其标识不符', { status: 400 });
  return ids[0];
}

export function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** What is asked to be registered. */
export interface Registration {
  text: string;
  department: string;
  /** Empty: every role. */
  role: string;
  purpose: string;
  /** Region of those who will ask, for rules that depend on it. */
  region: string;
  /** Which operation; empty where the document has one. */
  operation: string;
  /** The day in Asia/Shanghai. */
  today: string;
}

/**
 * A document as it can be registered: valid, within the limits, and of fields that the policies give to its department, role and purpose – with every
 * part that variables switch on. Throws an Error that says what is wrong with it; a field that would be withheld is a fault of the registration.
 */
export function toRegister(schema: GraphQLSchema, model: Model, limits: Limits, of: Registration): TrustedDocument {
  const has = (set: string, code: string) => model.codes.get(set)?.values.has(code) ?? false;
  if (!has('departments', of.department)) throw new Error(`${of.department} is not in codes/departments`);
  if (!has('purposes', of.purpose)) throw new Error(`${of.purpose} is not in codes/purposes`);
  checkShape(of.text, limits);
  const document = parse(of.text);
  const [fault] = validate(schema, document, undefined, { maxErrors: 1 });
  if (fault) throw fault;
  const operation = operationOf(document, of.operation);
  const grant = deciding(schema, model).grant({
    document: withoutSwitches(document),
    operationName: operation,
    variables: {},
    caller: { id: '', name: '', department: of.department, role: of.role, region: of.region, actingFor: '', purposes: undefined },
    purpose: supposed(of.purpose),
    today: of.today,
  });
  const denied = [...grant.decisions.values()].filter(({ access, told }) => access === 'deny' && told).map(({ coordinate }) => coordinate);
  if (denied.length > 0) throw new Error(`the policies do not give ${of.department} for ${of.purpose}: ${denied.sort().join(', ')}`);
  const { text, department, role, purpose } = of;
  return { hash: hashOf(text), department, role, purpose, operation, text };
}

function operationOf(document: DocumentNode, wanted: string): string {
  const operations = document.definitions.filter((d): d is OperationDefinitionNode => d.kind === Kind.OPERATION_DEFINITION);
  const [first] = operations;
  if (first === undefined) throw new Error('the document has no operation');
  if (wanted === '') {
    if (operations.length > 1) throw new Error(`the document has ${operations.length} operations: name one with --operation`);
    return first.name?.value ?? '';
  }
  if (!operations.some(({ name }) => name?.value === wanted)) throw new Error(`the document has no operation ${wanted}`);
  return wanted;
}

/** Everything that @skip and @include might let through. */
function withoutSwitches(document: DocumentNode): DocumentNode {
  return visit(document, { Directive: ({ name }) => (name.value === 'skip' || name.value === 'include' ? null : undefined) });
}
