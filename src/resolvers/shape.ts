import {
  type DocumentNode,
  type FieldNode,
  type FragmentDefinitionNode,
  GraphQLError,
  Kind,
  Lexer,
  type OperationDefinitionNode,
  parse,
  type SelectionSetNode,
  Source,
  TokenKind,
  visit,
} from 'graphql';
import { Refused } from '../errors.ts';
import type { Limits, QueryLimit } from '../model/types.ts';
import { textOf } from './refusal.ts';

/** Throws `Refused` QUERY_TOO_LARGE (400), which names the limit, when `value` is beyond it. */
export function refuseOver(limits: Limits, limit: QueryLimit, value: number): void {
  const { max, zh } = limits.query[limit];
  if (value <= max) return;
  throw new Refused('QUERY_TOO_LARGE', `${textOf('QUERY_TOO_LARGE')}:${zh}上限为 ${max}`, {
    status: 400,
    details: { limit, allowed: max },
  });
}

/**
 * Refuses a document for its form, before it is validated: even to say that a document is wrong can cost seconds. What is no GraphQL at all
 * passes: the parser says so with the place. Needs no schema, so it tells nothing of one.
 */
export function checkShape(text: string, limits: Limits): void {
  checkTokens(text, limits);
  let document: DocumentNode;
  try {
    document = parse(text, { noLocation: true });
  } catch (error) {
    if (error instanceof GraphQLError) return;
    throw error;
  }
  checkDocument(document, limits);
}

/** One pass over the text, which ends at the first limit: brackets that nest too deep would overflow the stack of the parser. */
function checkTokens(text: string, limits: Limits): void {
  const lexer = new Lexer(new Source(text));
  let [tokens, comments, open, directives] = [0, 0, 0, 0];
  try {
    for (let token = lexer.advance(); token.kind !== TokenKind.EOF; token = lexer.advance()) {
      for (let before = token.prev; before?.kind === TokenKind.COMMENT; before = before.prev) comments += 1;
      if (token.kind === TokenKind.BRACE_L || token.kind === TokenKind.BRACKET_L || token.kind === TokenKind.PAREN_L) open += 1;
      if (token.kind === TokenKind.BRACE_R || token.kind === TokenKind.BRACKET_R || token.kind === TokenKind.PAREN_R) open -= 1;
      if (token.kind === TokenKind.AT) directives += 1;
      refuseOver(limits, 'tokens', Math.max((tokens += 1), comments));
      refuseOver(limits, 'nesting', open);
      refuseOver(limits, 'directives', directives);
    }
  } catch (error) {
    if (!(error instanceof GraphQLError)) throw error;
  }
}

/** What a selection set asks for when it is executed once, whatever the fragments in it spread again. */
interface Extent {
  depth: number;
  fields: number;
  /** Fields of the set itself. */
  width: number;
}
const NOTHING: Extent = { depth: 0, fields: 0, width: 0 };

/** Each fragment is measured once, so that measuring is linear where executing would double with each line. */
function checkDocument(document: DocumentNode, limits: Limits): void {
  refuseOver(limits, 'definitions', document.definitions.length);
  let aliases = 0;
  visit(document, {
    Field: (node) => void (aliases += node.alias ? 1 : 0),
    SelectionSet: (node) => void refuseOver(limits, 'repeats', mostRepeated(node)),
  });
  refuseOver(limits, 'aliases', aliases);
  const extentOf = measuring(document, limits);
  for (const definition of document.definitions) {
    if (definition.kind !== Kind.OPERATION_DEFINITION) continue;
    const { depth, fields, width } = extentOf(definition);
    refuseOver(limits, 'roots', width);
    refuseOver(limits, 'depth', depth);
    refuseOver(limits, 'fields', fields);
  }
}

/** How often the most frequent name of an answer is asked in one set: validation compares each of them with each other. */
function mostRepeated(set: SelectionSetNode): number {
  const names = new Map<string, number>();
  for (const node of set.selections) {
    if (node.kind !== Kind.FIELD) continue;
    const { value } = node.alias ?? node.name;
    names.set(value, (names.get(value) ?? 0) + 1);
  }
  return Math.max(0, ...names.values());
}

function measuring(document: DocumentNode, limits: Limits): (operation: OperationDefinitionNode) => Extent {
  const fragments = new Map<string, FragmentDefinitionNode>();
  for (const definition of document.definitions)
    if (definition.kind === Kind.FRAGMENT_DEFINITION) fragments.set(definition.name.value, definition);
  const known = new Map<string, Extent>();

  function ofFragment(name: string): Extent {
    const measured = known.get(name);
    const fragment = fragments.get(name);
    if (measured || !fragment) return measured ?? NOTHING;
    // A fragment within itself counts for nothing here: validation refuses it.
    known.set(name, NOTHING);
    const extent = ofSet(fragment.selectionSet);
    known.set(name, extent);
    return extent;
  }

  function ofField(node: FieldNode): Extent {
    const below = node.selectionSet ? ofSet(node.selectionSet) : NOTHING;
    // The chains of `ofType` that tools ask are deeper than any question about data; graphql-js has a rule of its own for introspection.
    const isIntrospection = node.name.value === '__schema' || node.name.value === '__type';
    return { depth: isIntrospection ? 1 : below.depth + 1, fields: below.fields + 1, width: 1 };
  }

  function ofSet(set: SelectionSetNode): Extent {
    const total = { ...NOTHING };
    for (const node of set.selections) {
      const one =
        node.kind === Kind.FIELD
          ? ofField(node)
          : node.kind === Kind.FRAGMENT_SPREAD
            ? ofFragment(node.name.value)
            : ofSet(node.selectionSet);
      total.depth = Math.max(total.depth, one.depth);
      total.fields += one.fields;
      total.width += one.width;
    }
    refuseOver(limits, 'breadth', total.width);
    return total;
  }

  return (operation) => ofSet(operation.selectionSet);
}
