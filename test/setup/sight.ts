/** What a grant shows, told again without SQL: the answer key of the two worlds. */
import type { Scope } from '../../src/access/decide.ts';
import { maskText } from '../../src/access/mask.ts';
import type { Field, FieldValue, Model, SubjectKind } from '../../src/model/types.ts';
import type { Random } from '../../src/sandbox/random.ts';

/** A subject as far as rules ask for it. `index` is its place in the plan; those of one world alone have none. */
export interface SubjectOf {
  index?: number | undefined;
  kind: SubjectKind;
  region: string | null;
  roles: readonly string[];
}
/** A record as it is now, as far as rules ask for it. */
export interface RowOf {
  subject: SubjectOf;
  category: number;
  kind: string;
  region: string | null;
}

/** Which subjects of the plan the caller is tied to, and how. */
export interface Ties {
  own: number | undefined;
  /** By subject: the categories it consented to. */
  consents: ReadonlyMap<number, readonly number[]>;
  cases: ReadonlySet<number>;
}

export interface Sight {
  record(row: RowOf): readonly Scope[];
  /** `records`: those of the subject that the world holds now. */
  subject(subject: SubjectOf, records: readonly RowOf[]): readonly Scope[];
}

/** Everything of a scope that this file knows: a new condition must be understood here before the worlds can be made for it. */
const KNOWN: Readonly<Record<keyof Scope, true>> = {
  rule: true,
  article: true,
  subjects: true,
  subjectRoles: true,
  categories: true,
  kinds: true,
  region: true,
  above: true,
  publicOnly: true,
  tie: true,
  fields: true,
};

export function sightOf(model: Model, scopes: readonly Scope[], ties: Ties): Sight {
  for (const scope of scopes)
    for (const key of Object.keys(scope)) if (!(key in KNOWN)) throw new Error(`the two worlds do not know what ${key} of a scope means`);
  const rows = (scope: Scope, kind: SubjectKind, region: string | null): boolean =>
    scope.subjects.includes(kind) &&
    (scope.region === undefined || (region !== null && (region.startsWith(scope.region) || scope.above.includes(region))));
  const plays = (scope: Scope, { roles }: SubjectOf): boolean =>
    scope.subjectRoles.length === 0 || roles.some((role) => scope.subjectRoles.includes(role));
  const tied = ({ tie }: Scope, { index }: SubjectOf, categories: readonly number[]): boolean => {
    if (tie === undefined) return true;
    if (index === undefined) return tie.by === 'recorded';
    switch (tie.by) {
      case 'recorded':
        return true;
      case 'self':
        return index === ties.own;
      case 'consented':
        return ties.consents.get(index)?.some((no) => categories.includes(no)) ?? false;
      case 'own-case':
        return ties.cases.has(index);
    }
  };
  const inScope = (scope: Scope, { subject, category, kind, region }: RowOf): boolean =>
    rows(scope, subject.kind, region) &&
    scope.categories.includes(category) &&
    (scope.kinds.length === 0 || scope.kinds.includes(kind)) &&
    (!scope.publicOnly || model.categories.get(category)?.kinds.get(kind)?.publicity === 'public');
  return {
    record: (row) => scopes.filter((scope) => inScope(scope, row) && plays(scope, row.subject) && tied(scope, row.subject, [row.category])),
    subject: (subject, records) =>
      scopes.filter(
        (scope) =>
          rows(scope, subject.kind, subject.region) &&
          plays(scope, subject) &&
          (scope.tie?.by === 'recorded' ? records.some((row) => inScope(scope, row)) : tied(scope, subject, scope.categories)),
      ),
  };
}

export function accessOf(scopes: readonly Scope[], coordinate: string): 'allow' | 'mask' | 'deny' {
  const given = scopes.map((scope) => scope.fields.get(coordinate));
  return given.includes('allow') ? 'allow' : given.includes('mask') ? 'mask' : 'deny';
}

/** Another value that the caller cannot tell from this one: the same where it is shown, alike in its mask, anything where it is hidden. */
export function alike(access: 'allow' | 'mask' | 'deny', field: Field, value: FieldValue, other: FieldValue, random: Random): FieldValue {
  if (access === 'allow') return value;
  if (access === 'deny' || field.mask === undefined || typeof value !== 'string') return other;
  if (field.mask === 'hidden') return other;
  const shown = Array.from(maskText(field.mask, value));
  const found = Array.from(value)
    .map((character, i) => (shown[i] === '*' ? another(character, random) : character))
    .join('');
  if (maskText(field.mask, found) !== maskText(field.mask, value)) throw new Error(`${field.name}: no value is alike under its mask`);
  return found;
}

function another(character: string, random: Random): string {
  if (/\d/.test(character)) return random.digits(1);
  return /[A-Za-z]/.test(character) ? random.pick(['A', 'K', 'W', 'X']) : random.pick(['林', '沈', '顾', '周', '秦', '叶']);
}
