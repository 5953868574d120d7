import { type DocumentNode, type GraphQLSchema, Kind, visit } from 'graphql';
import type { Asked, Caller, Purpose } from '../access/caller.ts';
import { decide, type Grant } from '../access/decide.ts';
import type { Model } from '../model/types.ts';
import { askedBy, protectedCoordinates } from './coordinates.ts';

/** One operation and who asks it, for what, on which day: all that a decision may depend on. */
export interface Question {
  document: DocumentNode;
  /** Empty: the only operation of the document. */
  operationName: string;
  /** As coerced: with their defaults. */
  variables: Readonly<Record<string, unknown>>;
  caller: Caller;
  purpose: Purpose;
  /** The day in Asia/Shanghai. */
  today: string;
}

export interface Deciding {
  /** The coordinates that the operation asks for. */
  asked(question: Pick<Question, 'document' | 'operationName' | 'variables'>): Asked;
  /** The decision for it; throws `Refused` like {@link decide}. */
  grant(question: Question): Grant;
}

/** Decisions kept for one document; callers and purposes beyond that are decided anew. */
const KEPT = 500;

/**
 * Decides questions and remembers what it decided. What a document asks for is found once for each of its operations, unless variables switch its parts
 * on and off; and the decision once for each caller, purpose and day. Both are forgotten with the document, of which the server keeps a bounded number.
 * The key of a decision is everything {@link decide} takes beside the model, so a kept one can never be another caller's. A refusal is not kept.
 */
export function deciding(schema: GraphQLSchema, model: Model): Deciding {
  const known = protectedCoordinates(model);
  const documents = new WeakMap<DocumentNode, Map<string, Asked> | 'varies'>();
  const grants = new WeakMap<Asked, Map<string, Grant>>();

  const asked: Deciding['asked'] = ({ document, operationName, variables }) => {
    const find = () => askedBy(schema, model, known, document, operationName, variables);
    const kept = documents.get(document) ?? (variesByVariables(document) ? 'varies' : new Map<string, Asked>());
    documents.set(document, kept);
    if (kept === 'varies') return find();
    const found = kept.get(operationName) ?? find();
    return kept.set(operationName, found).get(operationName) ?? found;
  };

  return {
    asked,
    grant(question) {
      const { caller, purpose, today } = question;
      const of = asked(question);
      const kept = grants.get(of) ?? new Map<string, Grant>();
      grants.set(of, kept);
      const key = JSON.stringify([caller, purpose, today]);
      const known = kept.get(key);
      if (known) return known;
      const grant = decide(model, caller, purpose, of, today);
      if (kept.size >= KEPT) kept.clear();
      kept.set(key, grant);
      return grant;
    },
  };
}

/** Whether variables decide what the document asks for: through @skip and @include, or by which fields it filters. */
function variesByVariables(document: DocumentNode): boolean {
  let found = false;
  const inside = { Variable: () => void (found = true) };
  visit(document, {
    Directive: (node) => void visit(node, inside),
    Argument: (node) => void (node.name.value === 'where' && node.value.kind !== Kind.NULL && visit(node.value, inside)),
  });
  return found;
}
