import {
  type ArgumentNode,
  type DocumentNode,
  type FieldNode,
  type FragmentDefinitionNode,
  getNamedType,
  getNullableType,
  type GraphQLField,
  type GraphQLNamedType,
  type GraphQLSchema,
  isCompositeType,
  isListType,
  isUnionType,
  Kind,
  type OperationDefinitionNode,
  SchemaMetaFieldDef,
  type SelectionSetNode,
  TypeMetaFieldDef,
} from 'graphql';
import { MAX_PAGE } from '../store/rows.ts';
import { MAX_CHANGES } from './turn.ts';

/** How many things a list without a page size is taken to hold. */
const LIST = 10;

/**
 * How many rows an operation may bring, from its text and variables alone and before anything runs: page sizes, multiplied along the path and
 * added up. A size that cannot be told is the largest one. The document MUST be valid (no cycle of fragments). Each fragment is measured once,
 * so that the measuring itself is linear.
 */
export function rowsOf(
  schema: GraphQLSchema,
  document: DocumentNode,
  operation: OperationDefinitionNode,
  variables: Readonly<Record<string, unknown>>,
): number {
  const fragments = new Map<string, FragmentDefinitionNode>();
  for (const definition of document.definitions)
    if (definition.kind === Kind.FRAGMENT_DEFINITION) fragments.set(definition.name.value, definition);
  const known = new Map<string, number>();

  function ofFragment(name: string): number {
    const fragment = fragments.get(name);
    const measured = known.get(name);
    if (measured !== undefined || !fragment) return measured ?? 0;
    const rows = ofSet(fragment.selectionSet, schema.getType(fragment.typeCondition.name.value));
    known.set(name, rows);
    return rows;
  }

  function ofField(node: FieldNode, parent: GraphQLNamedType | undefined): number {
    if (!node.selectionSet) return 0;
    const field = fieldOf(parent, node.name.value);
    const below = ofSet(node.selectionSet, field && getNamedType(field.type));
    const times = field ? countOf(field, node, variables) : 0;
    return times === 0 ? below : times * (1 + below);
  }

  function ofSet(set: SelectionSetNode, parent: GraphQLNamedType | undefined): number {
    return set.selections.reduce((sum, node) => {
      if (node.kind === Kind.FIELD) return sum + ofField(node, parent);
      if (node.kind === Kind.FRAGMENT_SPREAD) return sum + ofFragment(node.name.value);
      return sum + ofSet(node.selectionSet, node.typeCondition ? schema.getType(node.typeCondition.name.value) : parent);
    }, 0);
  }

  return ofSet(operation.selectionSet, schema.getRootType(operation.operation) ?? undefined);
}

function fieldOf(parent: GraphQLNamedType | undefined, name: string): GraphQLField<unknown, unknown> | undefined {
  if (name === SchemaMetaFieldDef.name) return SchemaMetaFieldDef;
  if (name === TypeMetaFieldDef.name) return TypeMetaFieldDef;
  return isCompositeType(parent) && !isUnionType(parent) ? parent.getFields()[name] : undefined;
}

/** How many things a field brings: its page size, ten for a list without one, 0 where it is no list of its own (`nodes` is the page's). */
function countOf(field: GraphQLField<unknown, unknown>, node: FieldNode, variables: Readonly<Record<string, unknown>>): number {
  const first = field.args.find((argument) => argument.name === 'first');
  if (first)
    return pageSize(
      node.arguments?.find((argument) => argument.name.value === 'first'),
      first.defaultValue,
      variables,
    );
  if (getNamedType(field.type).name === 'RecordChange') return MAX_CHANGES;
  return isListType(getNullableType(field.type)) && field.name !== 'nodes' ? LIST : 0;
}

/** A size that cannot be told is the largest one; a wrong one is refused where it is used. */
function pageSize(argument: ArgumentNode | undefined, byDefault: unknown, variables: Readonly<Record<string, unknown>>): number {
  const given =
    argument === undefined
      ? byDefault
      : argument.value.kind === Kind.VARIABLE
        ? (variables[argument.value.name.value] ?? byDefault)
        : argument.value.kind === Kind.INT
          ? Number(argument.value.value)
          : undefined;
  return typeof given === 'number' ? Math.max(1, given) : MAX_PAGE;
}
