import { escapeLiteral } from 'pg';
import type { Grant, Scope } from '../access/decide.ts';
import type { Field, Model, Sensitivity } from '../model/types.ts';
import type { Keys } from './keys.ts';
import { CLASSES, type ClassColumn, readerRole } from './roles.ts';
import { identifierDomain } from './subjects.ts';

/**
 * The statements with which a transaction becomes a reader of one grant (migrations/wall-ddl.ts). All of it ends with the transaction, so that a
 * pooled connection remembers nothing (L33). One text, because it goes out with the statement that reads and waits for no answer of its own.
 */
export function enterWall(model: Model, grant: Grant, keys: Pick<Keys, 'blindForms'>): string {
  const scopes = grant.scopes.map((scope) => shownBy(model, scope, keys));
  const settings = { 'hub.scopes': JSON.stringify(scopes), 'hub.whole': wholeIn(scopes).join(',') };
  const set = Object.entries(settings).map(([name, value]) => `set_config('${name}', ${escapeLiteral(value)}, true)`);
  return `begin read only; set local role ${readerRole(columnsGiven(model, grant))}; set local search_path = wall; select ${set.join(', ')}`;
}

/** The column that the values of a sensitivity lie in. */
const columnOf = (sensitivity: Sensitivity): 'open' | ClassColumn => (sensitivity === 'identity' ? 'sealed' : sensitivity);

type Given = Partial<Record<'open' | ClassColumn, true | string[]>>;

interface ShownBy extends Pick<Scope, 'subjects' | 'categories' | 'kinds' | 'above' | 'publicOnly'> {
  region: string;
  tie: 'none' | Record<string, unknown>;
  /** By number of category and kind of subject. */
  fields: Record<string, Given>;
}

/** A scope as wall.scopes() reads it. Every part of a scope MUST be in it: what is left out would be open behind the first wall. */
function shownBy(model: Model, scope: Scope, keys: Pick<Keys, 'blindForms'>): ShownBy {
  const {
    rule: _rule,
    article: _article,
    subjects,
    subjectRoles,
    categories,
    kinds,
    region,
    above,
    publicOnly,
    tie,
    fields,
    ...rest
  } = scope;
  rest satisfies Record<string, never>;
  const types = [
    ...categories.map((no) => [String(no), model.categories.get(no)] as const),
    ...subjects.map((kind) => [kind, model.subjects.get(kind)] as const),
  ];
  const classes = givenClasses(model, scope);
  return {
    subjects,
    categories,
    kinds: kinds.length > 0 ? kinds : ['*'],
    region: region ?? '',
    above,
    publicOnly,
    tie: tie === undefined && subjectRoles.length === 0 ? 'none' : shownTie(scope, keys),
    fields: Object.fromEntries(
      types.map(([key, type]) => [key, type ? givenOf(type.type, [...type.fields.values()], fields, classes) : {}]),
    ),
  };
}

/** The tie to the subject, with its roles, as wall.tied() reads it; the caller's own code goes as its blind tokens alone. */
function shownTie({ tie, subjectRoles, kinds, region, above, publicOnly }: Scope, keys: Pick<Keys, 'blindForms'>): Record<string, unknown> {
  const roles = subjectRoles.length > 0 ? subjectRoles : ['*'];
  switch (tie?.by) {
    case undefined:
      return { roles, by: 'any' };
    case 'recorded':
      return { roles, by: tie.by, kinds: kinds.length > 0 ? kinds : ['*'], region: region ?? '', above, publicOnly };
    case 'self':
      return { roles, by: tie.by, tokens: keys.blindForms(identifierDomain(tie.scheme), tie.code).map((token) => token.toString('hex')) };
    case 'consented':
    case 'own-case':
      return { roles, ...tie };
  }
}

/** The columns that every scope gives as a whole for each of its types. */
function wholeIn(scopes: readonly ShownBy[]): string[] {
  const types = scopes.flatMap((scope) => Object.values(scope.fields));
  return ['open' as const, ...CLASSES].filter((column) => types.length > 0 && types.every((given) => given[column] === true));
}

/** What a scope gives of one type, by column: `true` for a whole class, else the fields. */
function givenOf(type: string, fields: readonly Field[], access: Scope['fields'], classes: ReadonlySet<'open' | ClassColumn>): Given {
  const given: Given = {};
  for (const column of classes) {
    if (column === 'masks') continue;
    const own = fields.filter((field) => columnOf(field.sensitivity) === column);
    const allowed = own.filter((field) => access.get(`${type}.${field.name}`) === 'allow');
    given[column] = allowed.length === own.length ? true : allowed.map((field) => field.name);
  }
  const masked = fields.filter((field) => showsMask(field, access.get(`${type}.${field.name}`)));
  if (masked.length > 0) given.masks = masked.map((field) => field.name);
  return given;
}

/** The columns of values that the grant gives something of, `open` always. */
export function columnsGiven(model: Model, grant: Grant): readonly ('open' | ClassColumn)[] {
  const given = new Set(grant.scopes.flatMap((scope) => [...givenClasses(model, scope)]));
  return ['open', ...CLASSES.filter((column) => given.has(column))];
}

/** A sealed value is compared by its mask (read-changes.ts), so who has the one has the other. */
const showsMask = (field: Field, access: 'allow' | 'mask' | undefined) =>
  access === 'mask' || (access === 'allow' && field.sensitivity === 'identity');

function givenClasses(model: Model, scope: Scope): Set<'open' | ClassColumn> {
  const classes = new Set<'open' | ClassColumn>();
  for (const type of [...model.categories.values(), ...model.subjects.values()]) {
    for (const field of type.fields.values()) {
      const access = scope.fields.get(`${type.type}.${field.name}`);
      if (access === 'allow') classes.add(columnOf(field.sensitivity));
      if (showsMask(field, access)) classes.add('masks');
    }
  }
  return classes;
}
