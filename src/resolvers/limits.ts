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
  visit,
} from 'graphql';
import { Refused } from '../errors.ts';
import { MAX_PAGE } from '../store/rows.ts';

/** Tokens of a document; the parser stops there. It bounds what parsing and validation can cost. */
export const MAX_TOKENS = 2000;

/** What one operation may ask for, fragments expanded wherever they are spread. */
const LIMITS = { depth: 12, aliases: 60, roots: 20, fields: 2000, rows: 20_000 };
type Limited = keyof typeof LIMITS;

const NAMES: Record<Limited, string> = {
  depth: '嵌套层数',
  aliases: '别名数',
  roots: '顶层字段数',
  fields: '字段总数',
  rows: '可能返回的行数',
};

/** How many things a list without a page size is taken to hold. */
const LIST = 10;

/** The cost of a selection set, executed once. `rows`: page sizes, multiplied along the path and added up. */
interface Cost {
  depth: number;
  fields: number;
  rows: number;
}

/**
 * Refuses an operation that would cost too much, from its text and variables alone and before anything runs: throws `Refused` QUERY_TOO_LARGE
 * (400) that names the limit. The document MUST be valid (no cycle of fragments). Each fragment is measured once, so that the measuring itself
 * is linear: fragments that spread one another twice double what is executed with every line of the document, not what is measured.
 */
export function checkLimits(
  schema: GraphQLSchema,
  document: DocumentNode,
  operation: OperationDefinitionNode,
  variables: Readonly<Record<string, unknown>>,
): void {
  let aliases = 0;
  visit(document, { Field: (node) => void (aliases += node.alias ? 1 : 0) });
  refuseOver('aliases', aliases);
  const measure = measuring(schema, document, variables);
  const root = schema.getRootType(operation.operation) ?? undefined;
  const { depth, fields, rows } = measure.cost(operation.selectionSet, root);
  refuseOver('roots', measure.width(operation.selectionSet));
  refuseOver('depth', depth);
  refuseOver('fields', fields);
  refuseOver('rows', rows);
}

function refuseOver(limit: Limited, value: number): void {
  const allowed = LIMITS[limit];
  if (value <= allowed) return;
  throw new Refused('QUERY_TOO_LARGE', `查询超出规模限制:${NAMES[limit]}上限为 ${allowed}`, { status: 400, details: { limit, allowed } });
}

function measuring(schema: GraphQLSchema, document: DocumentNode, variables: Readonly<Record<string, unknown>>) {
  const fragments = new Map<string, FragmentDefinitionNode>();
  for (const definition of document.definitions)
    if (definition.kind === Kind.FRAGMENT_DEFINITION) fragments.set(definition.name.value, definition);
  const costs = new Map<string, Cost>();
  const widths = new Map<string, number>();

  function costOfFragment(name: string): Cost {
    const fragment = fragments.get(name);
    const known = costs.get(name);
    if (known || !fragment) return known ?? { depth: 0, fields: 0, rows: 0 };
    const found = cost(fragment.selectionSet, schema.getType(fragment.typeCondition.name.value));
    costs.set(name, found);
    return found;
  }

  function costOfField(node: FieldNode, parent: GraphQLNamedType | undefined): Cost {
    const field = fieldOf(parent, node.name.value);
    if (!node.selectionSet) return { depth: 1, fields: 1, rows: 0 };
    const below = cost(node.selectionSet, field && getNamedType(field.type));
    const times = field ? countOf(field, node, variables) : 0;
    // graphql-js bounds the nesting of introspection by a rule of its own; its chains of `ofType` are deeper than any question about data.
    const depth = field === SchemaMetaFieldDef || field === TypeMetaFieldDef ? 1 : below.depth + 1;
    return { depth, fields: below.fields + 1, rows: times === 0 ? below.rows : times * (1 + below.rows) };
  }

  function cost(set: SelectionSetNode, parent: GraphQLNamedType | undefined): Cost {
    const total = { depth: 0, fields: 0, rows: 0 };
    for (const node of set.selections) {
      const one =
        node.kind === Kind.FIELD
          ? costOfField(node, parent)
          : node.kind === Kind.FRAGMENT_SPREAD
            ? costOfFragment(node.name.value)
            : cost(node.selectionSet, node.typeCondition ? schema.getType(node.typeCondition.name.value) : parent);
      total.depth = Math.max(total.depth, one.depth);
      total.fields += one.fields;
      total.rows += one.rows;
    }
    return total;
  }

  /** The fields of a selection set itself, those of its fragments included. */
  function width(set: SelectionSetNode): number {
    return set.selections.reduce((sum, node) => {
      if (node.kind === Kind.FIELD) return sum + 1;
      if (node.kind === Kind.INLINE_FRAGMENT) return sum + width(node.selectionSet);
      const name = node.name.value;
      const fragment = fragments.get(name);
      const own = widths.get(name) ?? (fragment ? width(fragment.selectionSet) : 0);
      widths.set(name, own);
      return sum + own;
    }, 0);
  }

  return { cost, width };
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
