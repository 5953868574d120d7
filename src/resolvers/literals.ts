import {
  type DocumentNode,
  type GraphQLSchema,
  getVariableValues,
  Kind,
  type OperationDefinitionNode,
  type VariableDefinitionNode,
  visit,
} from 'graphql';

/**
 * The document with every literal value emptied: its shape can be kept in the log, the codes and names someone wrote into it cannot. Digits in
 * the names that a caller chooses (aliases, operations, variables) could be a number too.
 */
export function withoutLiterals(document: DocumentNode): DocumentNode {
  return visit(document, {
    Name: (node) => ({ ...node, value: withoutDigits(node.value) }),
    IntValue: () => ({ kind: Kind.INT, value: '0' }),
    FloatValue: () => ({ kind: Kind.FLOAT, value: '0' }),
    StringValue: () => ({ kind: Kind.STRING, value: '' }),
  });
}

/** A name without runs of six digits and more. */
export function withoutDigits(name: string): string {
  return name.replaceAll(/\d{6,}/g, '_');
}

/** The given variables as the log may tokenise them: the declared ones, and only when they fit, so that no key is of the caller's making. */
export function declaredVariables(
  schema: GraphQLSchema,
  operation: OperationDefinitionNode | undefined,
  given: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  const definitions: readonly VariableDefinitionNode[] = operation?.variableDefinitions ?? [];
  if (getVariableValues(schema, definitions, given).errors) return {};
  const names = definitions.map(({ variable }) => variable.name.value).filter((name) => Object.hasOwn(given, name));
  return Object.fromEntries(names.map((name) => [withoutDigits(name), given[name]]));
}
