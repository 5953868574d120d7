import {
  buildASTSchema,
  type DefinitionNode,
  type DocumentNode,
  execute,
  type ExecutionResult,
  type FieldDefinitionNode,
  type GraphQLSchema,
  type InputValueDefinitionNode,
  Kind,
  parse,
  printSchema,
  type TypeNode,
} from 'graphql';
import type { Caller } from '../access/caller.ts';
import { hasDuty } from '../access/duty.ts';
import { type Usable, usableBy } from '../access/usable.ts';
import type { Category, Model } from '../model/types.ts';
import { protectedCoordinates } from './coordinates.ts';
import { DUTY_FIELDS } from './duties.ts';
import { enumName, inputName } from './types.ts';
import { whereName } from './inputs.ts';

/** The graph as one caller may use it: what introspection is answered from. It has no resolvers. */
export type Projections = (caller: Caller, purpose: string | undefined, today: string) => GraphQLSchema;

/** Most projections kept; there are as many as there are kinds of callers times purposes. */
const KEPT = 100;

export function openProjections(model: Model, schema: GraphQLSchema): Projections {
  const whole = parse(printSchema(schema), { noLocation: true });
  const kept = new Map<string, GraphQLSchema>();
  return (caller, purpose, today) => {
    const usable = usableBy(model, caller, purpose, today);
    const roots = Object.entries(DUTY_FIELDS)
      .filter(([, duties]) => duties.some((d) => (d === 'own-subject' ? caller.subject !== undefined : hasDuty(model, caller, d))))
      .map(([name]) => name);
    const key = JSON.stringify([[...usable.selected].sort(), [...usable.filtered].sort(), roots]);
    const found = kept.get(key) ?? buildASTSchema(project(model, whole, usable, new Set(roots)), { assumeValid: true });
    if (kept.size >= KEPT) kept.clear();
    kept.set(key, found);
    return found;
  };
}

/** Answers a document that asks for nothing but the schema itself. */
export async function introspect(
  schema: GraphQLSchema,
  document: DocumentNode,
  operationName: string | undefined,
  variableValues: Readonly<Record<string, unknown>>,
): Promise<ExecutionResult> {
  return execute({ schema, document, operationName: operationName ?? null, variableValues });
}

type Member = FieldDefinitionNode | InputValueDefinitionNode;

function project(model: Model, whole: DocumentNode, usable: Usable, roots: ReadonlySet<string>): DocumentNode {
  const isUsed = useOf(model, usable, roots);
  let definitions: readonly DefinitionNode[] = whole.definitions.map((definition) => without(definition, isUsed));
  for (let before = -1; before !== sizeOf(definitions);) {
    before = sizeOf(definitions);
    const alive = living(definitions);
    definitions = definitions
      .filter((definition) => !('name' in definition) || definition.name === undefined || alive.has(definition.name.value))
      .map((definition) => without(definition, (_, member) => !('type' in member) || alive.has(namedType(member.type))));
  }
  const reached = reachable(definitions);
  return { ...whole, definitions: definitions.filter((d) => !('name' in d) || d.name === undefined || reached.has(d.name.value)) };
}

/** Whether a member of a type (a field, an input field, a value of an enumeration) is for the caller. */
function useOf(model: Model, usable: Usable, roots: ReadonlySet<string>): (type: string, member: { name: { value: string } }) => boolean {
  const known = protectedCoordinates(model);
  const types = new Set([...usable.selected].map((coordinate) => coordinate.split('.')[0]));
  // What an interface promises, every type of it has: denied on one, it is told as denied.
  const promised = new Set(['name']);
  const categories = [...model.categories.values()];
  const filters = (category: Category) => [...category.fields.keys()].some((field) => usable.filtered.has(`${category.type}.${field}`));
  const subjects = [...model.subjects.values()];
  return (type, { name: { value: name } }) => {
    if (type === 'Query' || type === 'Mutation' || type === 'Subscription') return !(name in DUTY_FIELDS) || roots.has(name);
    if (known.has(`${type}.${name}`) && !promised.has(name)) return usable.selected.has(`${type}.${name}`);
    if (categories.some((c) => c.type === type) || subjects.some((s) => s.type === type)) return types.has(type);
    if (type === 'CategoryCode') return categories.some((c) => enumName(c.id) === name && types.has(c.type));
    if (type === 'SubjectKind') return subjects.some((s) => enumName(s.kind) === name && types.has(s.type));
    if (type === 'SubjectWhereInput' && name === 'name') return subjects.some((s) => usable.filtered.has(`${s.type}.name`));
    const filtered = categories.find((c) => (type === 'RecordWhere' ? inputName(c) === name : whereName(c) === type));
    if (filtered === undefined) return true;
    return type === 'RecordWhere' ? filters(filtered) : usable.filtered.has(`${filtered.type}.${name}`);
  };
}

/** The definition with the members that stay; arguments of a field go with their types. */
function without(
  definition: DefinitionNode,
  stays: (type: string, member: Member | { name: { value: string } }) => boolean,
): DefinitionNode {
  if (definition.kind === Kind.ENUM_TYPE_DEFINITION)
    return { ...definition, values: definition.values?.filter((value) => stays(definition.name.value, value)) ?? [] };
  if (definition.kind === Kind.INPUT_OBJECT_TYPE_DEFINITION)
    return { ...definition, fields: definition.fields?.filter((field) => stays(definition.name.value, field)) ?? [] };
  if (definition.kind !== Kind.OBJECT_TYPE_DEFINITION && definition.kind !== Kind.INTERFACE_TYPE_DEFINITION) return definition;
  const fields = (definition.fields ?? [])
    .filter((field) => stays(definition.name.value, field))
    .map((field) => ({ ...field, arguments: (field.arguments ?? []).filter((argument) => stays('', argument)) }));
  return { ...definition, fields };
}

/** Types that still have something: a page without nodes, an interface that nothing implements, an input without fields have nothing. */
function living(definitions: readonly DefinitionNode[]): Set<string> {
  const alive = new Set(['String', 'Int', 'Float', 'Boolean', 'ID']);
  const implemented = new Set(
    definitions.flatMap((d) =>
      d.kind === Kind.OBJECT_TYPE_DEFINITION && d.fields?.length ? (d.interfaces ?? []).map((i) => i.name.value) : [],
    ),
  );
  for (const d of definitions) {
    if (d.kind === Kind.SCALAR_TYPE_DEFINITION) alive.add(d.name.value);
    else if (d.kind === Kind.ENUM_TYPE_DEFINITION && d.values?.length) alive.add(d.name.value);
    else if (d.kind === Kind.INPUT_OBJECT_TYPE_DEFINITION && d.fields?.length) alive.add(d.name.value);
    else if (d.kind === Kind.INTERFACE_TYPE_DEFINITION && implemented.has(d.name.value)) alive.add(d.name.value);
    else if (d.kind === Kind.OBJECT_TYPE_DEFINITION && d.fields?.length) {
      const isPage = d.name.value.endsWith('Connection');
      if (!isPage || d.fields.some((field) => field.name.value === 'nodes')) alive.add(d.name.value);
    }
  }
  return alive;
}

function reachable(definitions: readonly DefinitionNode[]): Set<string> {
  const found = new Set<string>();
  const visit = (name: string): void => {
    if (found.has(name)) return;
    found.add(name);
    for (const d of definitions) {
      if (!('name' in d) || d.name === undefined) continue;
      const implementing = d.kind === Kind.OBJECT_TYPE_DEFINITION && (d.interfaces ?? []).some((i) => i.name.value === name);
      if (implementing) visit(d.name.value);
      if (d.name.value !== name || !('fields' in d)) continue;
      for (const field of d.fields ?? []) {
        visit(namedType(field.type));
        if (field.kind === Kind.FIELD_DEFINITION) for (const argument of field.arguments ?? []) visit(namedType(argument.type));
      }
    }
  };
  visit('Query');
  visit('Mutation');
  visit('Subscription');
  return found;
}

function namedType(type: TypeNode): string {
  return type.kind === Kind.NAMED_TYPE ? type.name.value : namedType(type.type);
}

function sizeOf(definitions: readonly DefinitionNode[]): number {
  return definitions.reduce((sum, d) => sum + 1 + ('fields' in d ? (d.fields?.length ?? 0) : 0), 0);
}
