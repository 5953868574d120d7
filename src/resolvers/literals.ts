import {
  type ConstValueNode,
  type DocumentNode,
  type GraphQLSchema,
  getNamedType,
  getVariableValues,
  isEnumType,
  isScalarType,
  Kind,
  type OperationDefinitionNode,
  TypeInfo,
  type VariableDefinitionNode,
  valueFromASTUntyped,
  visit,
  visitWithTypeInfo,
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

/** A name without runs of six digits and more, and no longer than any name of the graph: the log keeps no text of a caller's making. */
export function withoutDigits(name: string): string {
  return name.slice(0, 64).replaceAll(/\d{6,}/g, '_');
}

/** The given variables as the log may tokenise them: the declared ones, and only when they fit, so that no key is of the caller's making. */
export function declaredVariables(
  schema: GraphQLSchema,
  operation: OperationDefinitionNode | undefined,
  given: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  const definitions: readonly VariableDefinitionNode[] = operation?.variableDefinitions ?? [];
  if (getVariableValues(schema, definitions, given, { maxErrors: 1 }).errors) return {};
  const names = definitions.map(({ variable }) => variable.name.value).filter((name) => Object.hasOwn(given, name));
  return Object.fromEntries(names.map((name) => [withoutDigits(name), given[name]]));
}

/** The values of the graph's enumerations, by name, as resolvers get them. */
export function enumValues(schema: GraphQLSchema): ReadonlyMap<string, unknown> {
  const enums = Object.values(schema.getTypeMap()).filter((type) => isEnumType(type) && !type.name.startsWith('__'));
  return new Map(enums.flatMap((type) => (isEnumType(type) ? type.getValues().map(({ name, value }) => [name, value] as const) : [])));
}

const PLACEHOLDERS = ['2000-01-01', '2000-01-01T00:00:00Z', '0', '430000'];

/** A document of the log, which {@link withoutLiterals} emptied, with literals that its types accept, so that it says again what it filters by. */
export function withPlaceholders(schema: GraphQLSchema, document: DocumentNode): DocumentNode {
  const info = new TypeInfo(schema);
  return visit(
    document,
    visitWithTypeInfo(info, {
      StringValue(node) {
        const type = info.getInputType() && getNamedType(info.getInputType());
        if (!isScalarType(type)) return undefined;
        const fits = (value: string) => {
          try {
            return type.parseLiteral({ kind: Kind.STRING, value }) !== undefined;
          } catch {
            return false;
          }
        };
        return { ...node, value: ['', ...PLACEHOLDERS].find(fits) ?? '' };
      },
    }),
  );
}

/** The variables of an entry as the decision takes them: the document's defaults where none was given, and enumerations as resolvers get them. */
export function loggedVariables(
  operation: OperationDefinitionNode,
  text: string,
  enums: ReadonlyMap<string, unknown>,
): Record<string, unknown> {
  const revive = (value: unknown): unknown => {
    if (typeof value === 'string') return enums.has(value) ? enums.get(value) : value;
    if (Array.isArray(value)) return value.map(revive);
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, revive(inner)]));
  };
  const byDefault = (operation.variableDefinitions ?? []).flatMap(({ variable, defaultValue }) =>
    defaultValue === undefined ? [] : [[variable.name.value, valueFromASTUntyped(defaultValue satisfies ConstValueNode)] as const],
  );
  return revive({ ...Object.fromEntries(byDefault), ...(JSON.parse(text || '{}') as object) }) as Record<string, unknown>;
}
