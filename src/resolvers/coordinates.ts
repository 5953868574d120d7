import {
  type ArgumentNode,
  type DocumentNode,
  type FieldNode,
  getDirectiveValues,
  getNamedType,
  GraphQLIncludeDirective,
  type GraphQLNamedType,
  type GraphQLSchema,
  GraphQLSkipDirective,
  isAbstractType,
  Kind,
  OperationTypeNode,
  type SelectionNode,
  type SelectionSetNode,
  separateOperations,
  TypeInfo,
  valueFromAST,
  visit,
  visitWithTypeInfo,
} from 'graphql';
import type { Asked } from '../access/caller.ts';
import type { Model } from '../model/types.ts';
import { filteredFields } from './where.ts';

type Variables = Readonly<Record<string, unknown>>;

/** The catalog's coordinates: everything that needs a grant. */
export function protectedCoordinates(model: Model): Set<string> {
  const types = [...model.subjects.values(), ...model.categories.values()];
  return new Set(types.flatMap((type) => [...type.fields.keys()].map((field) => `${type.type}.${field}`)));
}

/**
 * What one operation asks for (design §4): protected coordinates it selects, with interfaces taken as all their types, and those it filters
 * by. Selections that @skip or @include leave out are not asked. Reads the document and the coerced variables, never data.
 */
export function askedBy(
  schema: GraphQLSchema,
  model: Model,
  known: ReadonlySet<string>,
  document: DocumentNode,
  operation: string,
  variables: Variables,
): Asked {
  const selected = new Set<string>();
  const explicit = new Set<string>();
  const constrained = new Set<string>();
  const info = new TypeInfo(schema);
  visit(
    withoutLeftOut(document, operation, variables),
    visitWithTypeInfo(info, {
      Field(node: FieldNode) {
        const parent = info.getParentType();
        for (const type of concrete(schema, parent)) {
          const coordinate = `${type}.${node.name.value}`;
          if (!known.has(coordinate)) continue;
          selected.add(coordinate);
          if (type === parent?.name) explicit.add(coordinate);
        }
      },
      Argument(node: ArgumentNode) {
        const type = info.getInputType();
        if (node.name.value !== 'where' || !type) return;
        for (const coordinate of filteredFields(model, getNamedType(type).name, valueFromAST(node.value, type, variables)))
          constrained.add(coordinate);
      },
    }),
  );
  return { selected, explicit, constrained };
}

/** What of an operation is about the schema itself: all of it, a part beside data, or nothing. `__typename` is about either. */
export function introspectionIn(document: DocumentNode, operation: string): 'all' | 'part' | 'none' {
  const own = ownPart(document, operation);
  if (isIntrospection(own)) return 'all';
  const asked = rootFields(own);
  return asked.includes('__schema') || asked.includes('__type') ? 'part' : 'none';
}

/** Whether an operation asks for nothing but the schema itself. The document need not be valid: fragments may go round. */
export function isIntrospection(document: DocumentNode): boolean {
  const isQuery = document.definitions.every((d) => d.kind !== Kind.OPERATION_DEFINITION || d.operation === OperationTypeNode.QUERY);
  return isQuery && rootFields(document).every((name) => name.startsWith('__'));
}

/** Names of the fields that operations select at the root, through fragments too, which may go round. The schema can be asked for nowhere else. */
function rootFields(document: DocumentNode): string[] {
  const fragments = new Map(document.definitions.flatMap((d) => (d.kind === Kind.FRAGMENT_DEFINITION ? [[d.name.value, d] as const] : [])));
  const entered = new Set<string>();
  const under = ({ selections }: SelectionSetNode): string[] =>
    selections.flatMap((selection) => {
      if (selection.kind === Kind.FIELD) return [selection.name.value];
      if (selection.kind === Kind.INLINE_FRAGMENT) return under(selection.selectionSet);
      const fragment = fragments.get(selection.name.value);
      if (fragment === undefined || entered.has(fragment.name.value)) return [];
      entered.add(fragment.name.value);
      return under(fragment.selectionSet);
    });
  return document.definitions.flatMap((d) => (d.kind === Kind.OPERATION_DEFINITION ? under(d.selectionSet) : []));
}

function concrete(schema: GraphQLSchema, type: GraphQLNamedType | null | undefined): string[] {
  if (!type) return [];
  return isAbstractType(type) ? schema.getPossibleTypes(type).map((t) => t.name) : [type.name];
}

/** The operation with what it really executes: no left-out selections, and no fragments that only those would spread. */
function withoutLeftOut(document: DocumentNode, operation: string, variables: Variables): DocumentNode {
  const leave = (node: SelectionNode) => (isLeftOut(node, variables) ? null : undefined);
  const kept: DocumentNode = visit(ownPart(document, operation), { Field: leave, InlineFragment: leave, FragmentSpread: leave });
  return ownPart(kept, operation);
}

function ownPart(document: DocumentNode, operation: string): DocumentNode {
  return separateOperations(document)[operation] ?? document;
}

function isLeftOut(node: SelectionNode, variables: Variables): boolean {
  const skip = getDirectiveValues(GraphQLSkipDirective, node, variables);
  const include = getDirectiveValues(GraphQLIncludeDirective, node, variables);
  return skip?.['if'] === true || include?.['if'] === false;
}
