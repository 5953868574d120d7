/**
 * Valid documents made from the graph's SDL: whatever the graph gets, the documents have. What was used least is used next, so that every type,
 * field, argument, input field and value of an enumeration comes up; `coverage` tells how often. A scalar nobody knows to write stops with its name.
 */
import {
  type GraphQLArgument,
  type GraphQLField,
  type GraphQLInputField,
  type GraphQLInputType,
  type GraphQLNamedType,
  type GraphQLSchema,
  type GraphQLType,
  getNamedType,
  isAbstractType,
  isCompositeType,
  isEnumType,
  isInputObjectType,
  isInterfaceType,
  isListType,
  isNonNullType,
  isObjectType,
  isScalarType,
} from 'graphql';
import type { Random } from '../../src/sandbox/random.ts';

export interface Document {
  query: string;
  variables: Record<string, unknown>;
  /** Root names whose lists are drawn by lot: their order says nothing. */
  drawn: string[];
}

/** A value for a scalar, by where it stands (`Query.subject(code)`, `TextWhere.eq`) and what it stands for (`RegistrationWhere.nature`). */
export type Values = (scalar: string, place: string, path: readonly string[]) => unknown;

export interface Documents {
  next(): Document;
  /** A root field that refuses this caller: it takes the rest of its document with it, so that from now on it comes rarely. */
  avoid(root: string): void;
  /** From now on every root field comes, each in a document of its own. */
  avoidNothing(): void;
}

/** What is of the moment it was done at, and so differs between any two hubs: it keeps its name, to be left out where answers are compared. */
export const OF_THE_MOMENT: ReadonlySet<string> = new Set(['durationMs', 'hash', 'sha256']);
const LIMITS = { depth: 5, fields: 36, aliases: 30, roots: 3 };

interface Draft {
  random: Random;
  fields: number;
  aliases: number;
  names: number;
  variables: Record<string, unknown>;
  declared: string[];
  fragments: string[];
  drawn: string[];
}

/**
 * Every coordinate of the graph that a query or a change can use (streams of events have worlds of their own, leaks-events.test.ts): `Type.field`,
 * `Type.field(argument)`, `Input.field`, `Enum.VALUE` of what may be written.
 */
export function coordinatesIn(schema: GraphQLSchema): string[] {
  const found = new Set<string>();
  const entered = new Set<string>();
  const enter = (type: GraphQLNamedType, written: boolean): void => {
    if (isEnumType(type) && written) for (const value of type.getValues()) found.add(`${type.name}.${value.name}`);
    if (entered.has(type.name)) return;
    entered.add(type.name);
    if (isAbstractType(type)) for (const possible of schema.getPossibleTypes(type)) enter(possible, false);
    if (!isObjectType(type) && !isInterfaceType(type) && !isInputObjectType(type)) return;
    const fields: readonly (GraphQLField<unknown, unknown> | GraphQLInputField)[] = Object.values(type.getFields());
    for (const field of fields) {
      found.add(`${type.name}.${field.name}`);
      enter(namedType(field.type), written);
      for (const argument of 'args' in field ? field.args : []) {
        found.add(`${type.name}.${field.name}(${argument.name})`);
        enter(namedType(argument.type), true);
      }
    }
  };
  for (const root of [schema.getQueryType(), schema.getMutationType()]) if (root) enter(root, false);
  return [...found];
}

const namedType = (type: GraphQLType): GraphQLNamedType => getNamedType(type);

/** `coverage` is counted on: what was used least by all who share it is used next. `never`: root fields that are left out. */
export function documentsOf(
  schema: GraphQLSchema,
  random: Random,
  values: Values,
  coverage: Map<string, number>,
  never: ReadonlySet<string>,
): Documents {
  const avoided = new Set<string>();
  let isComplete = false;
  const used = (coordinate: string): number => coverage.get(coordinate) ?? 0;
  const use = (coordinate: string): void => void coverage.set(coordinate, used(coordinate) + 1);
  /** Those used least, with chance enough that no two documents are alike. */
  const rarest = <T>(choices: readonly T[], count: number, name: (choice: T) => string): T[] =>
    choices
      .map((choice) => ({ choice, rank: (used(name(choice)) + 0.5) * (0.2 + random.next()) }))
      .sort((a, b) => a.rank - b.rank)
      .slice(0, count)
      .map(({ choice }) => choice);

  function valueOf(type: GraphQLInputType, place: string, path: readonly string[]): unknown {
    if (isNonNullType(type)) return valueOf(type.ofType, place, path);
    if (isListType(type)) return Array.from({ length: random.int(1, 3) }, () => valueOf(type.ofType, place, path));
    if (isEnumType(type)) {
      const [value] = rarest(type.getValues(), 1, (v) => `${type.name}.${v.name}`);
      use(`${type.name}.${value?.name}`);
      return new EnumName(value?.name ?? '');
    }
    if (isScalarType(type)) return values(type.name, place, path);
    const fields = Object.values(type.getFields());
    const required = fields.filter((field) => isNonNullType(field.type) && field.defaultValue === undefined);
    const optional = fields.filter((field) => !required.includes(field));
    const chosen = [
      ...required,
      ...rarest(
        optional,
        random.weighted([
          [1, 6],
          [2, 3],
          [3, 1],
        ]),
        (field) => needOf(`${type.name}.${field.name}`, field.type),
      ),
    ];
    return Object.fromEntries(
      chosen.map((field) => {
        use(`${type.name}.${field.name}`);
        return [field.name, valueOf(field.type, `${type.name}.${field.name}`, [...path, `${type.name}.${field.name}`])];
      }),
    );
  }

  function argumentsOf(draft: Draft, type: string, field: GraphQLField<unknown, unknown>): string {
    const taken = field.args.filter((argument) => {
      if (isNonNullType(argument.type) && argument.defaultValue === undefined) return true;
      // Page sizes are small, or the limits would refuse what lies deep.
      if (argument.name === 'first' || argument.name === 'size') return true;
      if (used(`${type}.${field.name}(${argument.name})`) === 0) return random.chance(0.8);
      // What is asked of another day, or from a place that is no page's end, mostly finds nothing.
      return random.chance(argument.name === 'where' ? 0.5 : 0.2);
    });
    if (taken.length === 0) return '';
    return `(${taken.map((argument) => `${argument.name}: ${argumentOf(draft, type, field, argument)}`).join(', ')})`;
  }

  function argumentOf(draft: Draft, type: string, field: GraphQLField<unknown, unknown>, argument: GraphQLArgument): string {
    const place = `${type}.${field.name}(${argument.name})`;
    use(place);
    const value = valueOf(argument.type, place, [place]);
    if (!random.chance(0.3)) return literalOf(value);
    const name = `v${draft.declared.length}`;
    draft.declared.push(`$${name}: ${argument.type.toString()}`);
    draft.variables[name] = plainOf(value);
    return `$${name}`;
  }

  function directive(draft: Draft): string {
    if (!random.chance(0.06)) return '';
    const which = random.pick(['include', 'skip']);
    const value = random.chance(0.7) === (which === 'include');
    if (random.chance(0.5)) return ` @${which}(if: ${value})`;
    const name = `v${draft.declared.length}`;
    draft.declared.push(`$${name}: Boolean!`);
    draft.variables[name] = value;
    return ` @${which}(if: $${name})`;
  }

  /** One field; undefined where its answer name is taken, or nothing can stand below it. */
  function fieldText(
    draft: Draft,
    type: string,
    field: GraphQLField<unknown, unknown>,
    depth: number,
    names: Set<string>,
  ): string | undefined {
    const below = getNamedType(field.type);
    const isLeaf = !isCompositeType(below);
    if (!isLeaf && depth >= LIMITS.depth) return undefined;
    let alias = '';
    let name = field.name;
    // Fields of two types of one interface may have one name and different scalars: each answer name is used once.
    if (names.has(name) && OF_THE_MOMENT.has(name)) return undefined;
    if (names.has(name) || (isLeaf && !OF_THE_MOMENT.has(name) && random.chance(0.05))) {
      if (draft.aliases >= LIMITS.aliases) return undefined;
      draft.aliases += 1;
      name = `a${draft.names++}`;
      alias = `${name}: `;
    }
    names.add(name);
    draft.fields += 1;
    if (field.name === 'spotCheckSample') draft.drawn.push(name);
    use(`${type}.${field.name}`);
    const args = argumentsOf(draft, type, field);
    const selection = isLeaf ? '' : ` ${selectionOf(draft, below, depth + 1)}`;
    return `${alias}${field.name}${args}${directive(draft)}${selection}`;
  }

  function fieldsOf(draft: Draft, type: GraphQLNamedType, depth: number, names: Set<string>, count: number): string[] {
    if (!isObjectType(type) && !isInterfaceType(type)) return [];
    const open = Object.values(type.getFields()).filter((field) => !names.has(`${type.name}.${field.name}`));
    const fields = rarest(open, count, (field) => neediest(type.name, field));
    return fields
      .filter(() => draft.fields < LIMITS.fields)
      .map((field) => fieldText(draft, type.name, field, depth, names))
      .filter((text) => text !== undefined);
  }

  function selectionOf(draft: Draft, type: GraphQLNamedType, depth: number): string {
    const names = new Set<string>(['__typename']);
    const parts = random.chance(isAbstractType(type) ? 0.7 : 0.2) ? ['__typename'] : [];
    // A page is asked for its things first, or most documents would see none; now and then last, or they would leave no room for the rest.
    const nodes = isObjectType(type) ? type.getFields()['nodes'] : undefined;
    const things = () => {
      if (!nodes || depth >= LIMITS.depth || draft.fields >= LIMITS.fields) return;
      use(`${type.name}.nodes`);
      draft.fields += 1;
      parts.push(`nodes ${selectionOf(draft, getNamedType(nodes.type), depth + 1)}`);
    };
    if (nodes) names.add('nodes');
    const isLast = random.chance(0.1);
    if (!isLast) things();
    parts.push(...fieldsOf(draft, type, depth, names, random.int(1, isAbstractType(type) ? 4 : 7)));
    if (isLast) things();
    if (isAbstractType(type)) {
      const possible = schema.getPossibleTypes(type);
      for (const one of rarest(possible, random.int(1, Math.min(4, possible.length)), (t) => leastOf(t.getFields(), t.name))) {
        const fields = fieldsOf(draft, one, depth, names, random.int(2, 10));
        if (fields.length === 0) continue;
        if (random.chance(0.8)) parts.push(`... on ${one.name}${directive(draft)} { ${fields.join(' ')} }`);
        else {
          const name = `F${draft.fragments.length}`;
          draft.fragments.push(`fragment ${name} on ${one.name} { ${fields.join(' ')} }`);
          parts.push(`...${name}${directive(draft)}`);
        }
      }
    }
    return `{ ${parts.length === 0 ? '__typename' : parts.join(' ')} }`;
  }

  /** An input stands for what is least used in it. */
  function needOf(own: string, of: GraphQLInputType): string {
    const below = getNamedType(of);
    if (used(own) === 0) return own;
    const inside = isEnumType(below)
      ? below.getValues().map((value) => `${below.name}.${value.name}`)
      : isInputObjectType(below)
        ? Object.values(below.getFields()).map((field) => needOf(`${below.name}.${field.name}`, field.type))
        : [];
    return inside.reduce((least, one) => (used(one) < used(least) ? one : least), own);
  }

  /** And a field for what is least used in its arguments, once it was used itself. */
  function neediest(type: string, field: GraphQLField<unknown, unknown>): string {
    const own = `${type}.${field.name}`;
    const inside = field.args.flatMap(({ name, type: of }) => [`${own}(${name})`, needOf(`${own}(${name})`, of)]);
    return used(own) === 0 ? own : inside.reduce((least, one) => (used(one) < used(least) ? one : least), own);
  }

  /** The least used field stands for its type. */
  function leastOf(fields: Record<string, unknown>, type: string): string {
    return Object.keys(fields)
      .map((name) => `${type}.${name}`)
      .reduce((least, one) => (used(one) < used(least) ? one : least));
  }

  /** Fields of a root below which nothing is left unused; none of them while all are so. */
  function finishedBelow(root: GraphQLNamedType): string[] {
    if (!isObjectType(root)) return [];
    const below = (type: GraphQLNamedType, known: Set<string>): boolean => {
      if (known.has(type.name)) return false;
      known.add(type.name);
      if (isAbstractType(type) && schema.getPossibleTypes(type).some((one) => below(one, known))) return true;
      if (!isObjectType(type) && !isInterfaceType(type)) return false;
      return Object.values(type.getFields()).some(
        (field) => used(neediest(type.name, field)) === 0 || below(getNamedType(field.type), known),
      );
    };
    const finished = Object.values(root.getFields()).filter(
      (field) => used(neediest(root.name, field)) > 0 && !below(getNamedType(field.type), new Set()),
    );
    return finished.length === Object.keys(root.getFields()).length ? [] : finished.map(({ name }) => name);
  }

  function operation(root: GraphQLNamedType, kind: 'query' | 'mutation', roots: number): Document {
    const draft: Draft = { random, fields: 0, aliases: 0, names: 0, variables: {}, declared: [], fragments: [], drawn: [] };
    const names = new Set<string>();
    for (const name of never) names.add(`${root.name}.${name}`);
    // Alone it takes nothing with it, and what lies below it is used as well.
    const alone = isComplete || (roots === 1 && random.chance(0.3));
    for (const name of avoided) if (!alone) names.add(`${root.name}.${name}`);
    if (isComplete) for (const name of finishedBelow(root)) names.add(`${root.name}.${name}`);
    const body = fieldsOf(draft, root, 0, names, roots).join('\n  ');
    const head = draft.declared.length === 0 ? '' : `(${draft.declared.join(', ')})`;
    const query = [`${kind} Made${head} {\n  ${body === '' ? '__typename' : body}\n}`, ...draft.fragments].join('\n');
    return { query, variables: draft.variables, drawn: draft.drawn };
  }

  function introspection(): Document {
    const name = random.pick([...Object.keys(schema.getTypeMap()), 'Nothing']);
    const type = `__type(name: "${name}") { name kind fields(includeDeprecated: true) { name description args { name defaultValue } type { name ofType { name } } }
      inputFields { name type { name } } enumValues { name description } possibleTypes { name } interfaces { name } }`;
    return { query: random.chance(0.8) ? `{ ${type} }` : `{ __schema { types { name kind } } ${type} }`, variables: {}, drawn: [] };
  }

  return {
    avoid: (root) => void avoided.add(root),
    avoidNothing: () => void (isComplete = true),
    next() {
      const mutation = schema.getMutationType();
      const query = schema.getQueryType();
      if (random.chance(0.03)) return introspection();
      if (mutation && random.chance(isComplete ? 0.3 : 0.07)) return operation(mutation, 'mutation', 1);
      if (!query) throw new Error('the graph has no query type');
      return operation(query, 'query', isComplete ? 1 : random.int(1, LIMITS.roots));
    },
  };
}

/** A value of an enumeration is written as it is in a literal, and as a text in the variables. */
class EnumName {
  readonly name: string;
  constructor(name: string) {
    this.name = name;
  }
}

function literalOf(value: unknown): string {
  if (value instanceof EnumName) return value.name;
  if (Array.isArray(value)) return `[${value.map(literalOf).join(', ')}]`;
  if (typeof value === 'object' && value !== null)
    return `{ ${Object.entries(value)
      .map(([name, one]) => `${name}: ${literalOf(one)}`)
      .join(', ')} }`;
  return JSON.stringify(value);
}

function plainOf(value: unknown): unknown {
  if (value instanceof EnumName) return value.name;
  if (Array.isArray(value)) return value.map(plainOf);
  if (typeof value === 'object' && value !== null)
    return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, plainOf(one)]));
  return value;
}
