import { RejectRecord } from '../errors.ts';
import { classify } from '../identity/classify.ts';
import { fold } from '../identity/fold.ts';
import { checkPassport } from '../identity/permits.ts';
import type { IdentifierMapping, Model, SubjectKind, SubjectMapping, Value } from '../model/types.ts';
import type { Identifier, MappedSubject } from './record.ts';
import { reject } from './reject.ts';
import { foldingLookup, isBlank, textOf } from './text.ts';
import { type Raw, type Reader, columnsOf, own, textReader } from './value.ts';

const STATUTORY = 'statutory';
const PLATFORM_CODE_MAX = 50;
/** Longest text that is worth a check; no statutory number comes near it. */
const STATUTORY_TEXT_MAX = 100;
/** Schemes whose number tells what it is; a mapping that names one of them expects just this one. */
const RECOGNISED = new Set([
  'uscc',
  'citizen-id',
  'residence-permit',
  'foreign-permanent-resident',
  'travel-permit-hk-mo',
  'travel-permit-tw',
]);

/** The subject without its region, which may come from the record. Appends to `warnings`. `today` is YYYY-MM-DD. */
export type SubjectReader = (raw: Raw, today: string, warnings: string[]) => MappedSubject;
/** Null: the number identifies nobody. */
type Check<T = Identifier | null> = (text: string, kind: SubjectKind, today: string, where: string, warnings: string[]) => T;

/** Who a record is about (HN-13): found by statutory numbers that were checked, or by codes of the platform. Throws RejectRecord when reading. */
export function compileSubject(model: Model, mapping: SubjectMapping): SubjectReader {
  const names = nameReaders(model, mapping.name);
  const identifiers = mapping.identifiers.map((identifier) => ({
    where: columnsOf(identifier.value),
    read: textReader(identifier.value, identifier.whenValid ? Infinity : STATUTORY_TEXT_MAX),
    checkFor: compileScheme(model, identifier),
  }));
  const everyColumn = [...new Set(mapping.identifiers.flatMap(({ value }) => value.from))].join('/');
  const readKind = mapping.kind === 'by-number' ? kindByNumber(identifiers, everyColumn) : compileKind(mapping.kind);
  const { roles } = mapping;
  return (raw, today, warnings) => {
    const kind = readKind(raw, today);
    const found: Identifier[] = [];
    for (const { where, read, checkFor } of identifiers) {
      const check = checkFor(raw);
      const text = read(raw);
      const identifier = text === null ? null : check(text, kind, today, where, warnings);
      if (identifier !== null) add(found, identifier, where);
    }
    if (found.length === 0) throw reject('no-identifier', everyColumn);
    return { kind, name: names[kind](raw), region: null, roles: [...roles], identifiers: found };
  };
}

/** One number named twice is one; two numbers of one scheme would be two subjects. */
function add(found: Identifier[], identifier: Identifier, where: string): void {
  const same = found.find(({ scheme }) => scheme === identifier.scheme);
  if (same === undefined) found.push(identifier);
  else if (same.code !== identifier.code) throw reject('bad-identifier', where, 'contradiction');
}

/** Sources without a column for the kind: a credit code is an organisation's, every other statutory number a person's. */
function kindByNumber(
  identifiers: readonly { where: string; read: Reader<string> }[],
  everyColumn: string,
): (raw: Raw, today: string) => SubjectKind {
  return (raw, today) => {
    for (const { where, read } of identifiers) {
      const text = read(raw);
      if (text === null) continue;
      const checked = classify(text.replace(/\s/g, ''), today);
      if (!checked.valid) throw reject('bad-identifier', where, wordOf(checked.reason));
      return checked.kind === 'uscc' ? 'organisation' : 'person';
    }
    throw reject('no-identifier', everyColumn);
  };
}

function compileKind(kind: Exclude<SubjectMapping['kind'], 'by-number'>): (raw: Raw) => SubjectKind {
  if ('fixed' in kind) return () => kind.fixed;
  const { from } = kind;
  const find = foldingLookup(kind.lookup);
  return (raw) => {
    const source = own(raw, from);
    if (isBlank(source)) throw reject('required', from);
    const found = find(textOf(source, from));
    if (found === undefined) throw reject('unknown-code', from);
    return found;
  };
}

function nameReaders(model: Model, value: Value | undefined): Record<SubjectKind, Reader<string>> {
  const of = (kind: SubjectKind): Reader<string> => textReader(value, model.subjects.get(kind)?.fields.get('name')?.max ?? Infinity);
  return { organisation: of('organisation'), person: of('person') };
}

/** The check that a raw record asks for: always the same one, or the one its certificate type names. */
function compileScheme(model: Model, { scheme, whenValid }: IdentifierMapping): (raw: Raw) => Check {
  const compiled = (name: string): Check => (whenValid ? tried(compileCheck(model, name)) : compileCheck(model, name));
  if (typeof scheme === 'string') {
    const check = compiled(scheme);
    return () => check;
  }
  const { from, lookup } = scheme;
  const find = foldingLookup([...lookup].map(([word, name]) => [word, compiled(name)] as const));
  return (raw) => {
    const source = own(raw, from);
    return (isBlank(source) ? undefined : find(textOf(source, from))) ?? nobody;
  };
}

const nobody: Check = () => null;

/**
 * A column that may hold something else is only tried. One text in 31 passes the outer check of a unified code by chance, so a code that is odd in
 * any way does not count either.
 */
function tried(check: Check<Identifier>): Check {
  return (text, kind, today, where, warnings) => {
    const odd: string[] = [];
    try {
      const identifier = check(text, kind, today, where, odd);
      if (identifier.scheme !== 'uscc' || odd.length === 0) {
        warn(warnings, odd);
        return identifier;
      }
    } catch (error) {
      if (!(error instanceof RejectRecord)) throw error;
    }
    warn(warnings, ['not-an-identifier']);
    return null;
  };
}

function compileCheck(model: Model, scheme: string): Check<Identifier> {
  if (scheme === STATUTORY || RECOGNISED.has(scheme)) return (...given) => checkStatutory(scheme, ...given);
  return (text, kind, _today, where) => {
    // A person's code on an organisation, or the reverse, tells that the row is about someone else than it says.
    if (model.subjects.get(kind)?.identifiers.has(scheme) === false) throw reject('bad-identifier', where, 'other-subject-kind');
    if (scheme === 'passport') return checkedPassport(text, where);
    const code = fold(text);
    if (code.length > PLATFORM_CODE_MAX) throw reject('too-long', where);
    return { scheme, code };
  };
}

/** The scheme comes from the number itself. A wrong number is refused even where it may be left out: it is never guessed away. */
function checkStatutory(scheme: string, text: string, kind: SubjectKind, today: string, where: string, warnings: string[]): Identifier {
  const checked = classify(text.replace(/\s/g, ''), today);
  if (!checked.valid) throw reject('bad-identifier', where, wordOf(checked.reason));
  if ((checked.kind === 'uscc') !== (kind === 'organisation')) throw reject('bad-identifier', where, 'other-subject-kind');
  if (scheme !== STATUTORY && scheme !== checked.kind) throw reject('bad-identifier', where, 'other-scheme');
  warn(warnings, checked.warnings);
  return { scheme: checked.kind, code: checked.normalized };
}

function checkedPassport(text: string, where: string): Identifier {
  const checked = checkPassport(text);
  if (!checked.valid) throw reject('bad-identifier', where, wordOf(checked.reason));
  return { scheme: 'passport', code: checked.normalized };
}

/** Adds the words of `checked` (`word: explanation`) that are not there yet. */
export function warn(warnings: string[], checked: readonly string[]): void {
  for (const text of checked) {
    const word = wordOf(text);
    if (!warnings.includes(word)) warnings.push(word);
  }
}

function wordOf(text: string): string {
  return text.split(':', 1)[0] ?? text;
}
