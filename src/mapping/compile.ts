import { RejectRecord } from '../errors.ts';
import { fold } from '../identity/fold.ts';
import { checkRegion } from '../identity/platform.ts';
import type { FieldValue, Mapping, Model, PullStream, Value } from '../model/types.ts';
import { type MappedRecord, contentOf } from './record.ts';
import { reject } from './reject.ts';
import { compileRelations } from './relations.ts';
import { compileRoute } from './route.ts';
import { codePeriodCheck, periodCheck } from './period.ts';
import { compileSubject, warn } from './subject.ts';
import { firstCharacters, foldingLookup, isBlank, textOf } from './text.ts';
import { type Raw, type Reader, columnsOf, dateReader, fieldReader, own, textReader, versionReader } from './value.ts';

export interface CompiledMapping {
  /** Throws RejectRecord and nothing else. `today` is YYYY-MM-DD in Shanghai: a birth date after it is wrong. */
  map(raw: Raw, today: string): MappedRecord;
  /** Its key alone, also of a record that is refused; undefined where it has none. */
  keyOf(raw: Raw): string | undefined;
}

const REGION_MAX = 50;
const UNKNOWN_MOST = 100;
const UNKNOWN_NAME_MAX = 100;

/**
 * Raw record → record of a category (HN-14), decided once per stream. Every source key is mapped, ignored by name, or reported in `unknownKeys`.
 * What of the mapping the model does not know is left out here; the loader of the model has refused it before.
 */
export function compileMapping(model: Model, stream: PullStream): CompiledMapping {
  const { mapping } = stream;
  const { route } = mapping;
  const all = [mapping, ...(mapping.alternatives ?? [])];
  const known = new Set(all.flatMap((one) => [...knownKeys(one)]).concat(route?.from ?? []));
  if (route === undefined) return compileCategory(model, mapping, known);
  const categoryOf = compileRoute(model, route);
  const takers = new Map(all.map((one) => [one.category, compileCategory(model, one, known)]));
  const [{ keyOf } = compileCategory(model, mapping, known)] = takers.values();
  return {
    keyOf,
    map(raw, today) {
      const taker = takers.get(categoryOf(raw));
      if (taker === undefined) throw reject('unknown-article', route.from.join('/'));
      return taker.map(raw, today);
    },
  };
}

/** `known`: source keys that the stream takes or ignores, in whichever category. */
function compileCategory(model: Model, mapping: Mapping, known: ReadonlySet<string>): CompiledMapping {
  const { category, kind } = mapping;
  const fields = compileFields(model, mapping);
  const readSubject = compileSubject(model, mapping.subject);
  const regions = new Set(model.codes.get('regions')?.values.keys());
  const readRegion = compileRegion(mapping.region, regions);
  const readSubjectRegion = compileRegion(mapping.subject.region, regions);
  const readVersion = versionReader(mapping.version);
  const isDeleted = compileDeleted(mapping.deleted);
  const readOccurredOn = dateReader(mapping.occurredOn);
  const readValidFrom = dateReader(mapping.validFrom);
  const readValidTo = dateReader(mapping.validTo);
  const key = compileKey(model, mapping);
  const checkPeriod = periodCheck(mapping);
  const checkCodes = codePeriodCheck(model, mapping);
  const readRelations = compileRelations(model, mapping);

  const map = (raw: Raw, today: string): MappedRecord => {
    const warnings: string[] = [];
    const keyText = key.read(raw);
    const subject = readSubject(raw, today, warnings);
    const region = readRegion(raw, warnings);
    subject.region = readSubjectRegion(raw, warnings) ?? region;
    const record: MappedRecord = {
      category,
      kind,
      key: keyText,
      keyIsPersonal: key.feedsIdentity || (key.feedsIdentifier && subject.kind === 'person'),
      version: readVersion(raw),
      deleted: isDeleted(raw),
      subject,
      region: region ?? subject.region,
      occurredOn: readOccurredOn(raw),
      validFrom: readValidFrom(raw),
      validTo: readValidTo(raw),
      fields: {},
      unknownKeys: unknownKeys(raw, known),
      warnings,
    };
    checkPeriod(record);
    for (const field of fields) {
      const value = field.read(raw);
      if (value !== null) record.fields[field.name] = value;
    }
    checkCodes(record);
    const relations = readRelations(raw, today, warnings);
    if (relations.length > 0) record.relations = relations;
    if (keyText === '') record.key = contentOf(record);
    return record;
  };
  return { map, keyOf: (raw) => readOrNothing(key.read, raw) };
}

function readOrNothing(read: (raw: Raw) => string, raw: Raw): string | undefined {
  try {
    return read(raw) || undefined;
  } catch (error) {
    if (error instanceof RejectRecord) return undefined;
    throw error;
  }
}

/** Readers in the order of names. A field that the kind requires and nobody maps refuses every record. */
function compileFields(model: Model, mapping: Mapping): { name: string; read: Reader<FieldValue> }[] {
  const category = model.categories.get(mapping.category);
  const required = new Set(category?.kinds.get(mapping.kind)?.required);
  const fields: { name: string; read: Reader<FieldValue> }[] = [];
  for (const [name, value] of mapping.fields) {
    const field = category?.fields.get(name);
    if (field === undefined) continue;
    fields.push({ name, read: fieldReader(model, field, value, value.required || required.has(name)) });
    required.delete(name);
  }
  for (const name of required) {
    const read = (): never => {
      throw reject('required', '', name);
    };
    fields.push({ name, read });
  }
  return fields.toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

function compileRegion(value: Value | undefined, regions: ReadonlySet<string>): (raw: Raw, warnings: string[]) => string | null {
  if (value === undefined) return () => null;
  const read = textReader(value, REGION_MAX);
  const where = columnsOf(value);
  return (raw, warnings) => {
    const text = read(raw);
    if (text === null) return null;
    const checked = checkRegion(text, regions.size === 0 ? undefined : regions);
    if (!checked.valid) throw reject('bad-region', where);
    warn(warnings, checked.warnings);
    return checked.normalized;
  };
}

function compileDeleted(deleted: Mapping['deleted']): (raw: Raw) => boolean {
  if (deleted === undefined) return () => false;
  const { from } = deleted;
  const find = foldingLookup(deleted.values.map((value) => [value, true] as const));
  return (raw) => {
    const source = own(raw, from);
    return !isBlank(source) && find(textOf(source, from)) === true;
  };
}

interface Key {
  /** '' in a stream without keys. */
  read: (raw: Raw) => string;
  feedsIdentity: boolean;
  /** Of a person these are personal, whatever the scheme. */
  feedsIdentifier: boolean;
}

/** A blank column of several is null in the key; a record whose key is all blank can't be told from others and is refused. */
function compileKey(model: Model, mapping: Mapping): Key {
  const { key } = mapping;
  const category = model.categories.get(mapping.category);
  const identity = [...mapping.fields].filter(([name]) => category?.fields.get(name)?.sensitivity === 'identity');
  const columns = (values: Value[]): boolean => values.some(({ from }) => from.some((column) => key.length === 0 || key.includes(column)));
  return {
    read: (raw) => {
      if (key.length === 0) return '';
      const parts = key.map((column) => {
        const source = own(raw, column);
        return isBlank(source) ? null : fold(textOf(source, column));
      });
      if (parts.every((part) => part === null)) throw reject('required', key.join('/'));
      return JSON.stringify(parts);
    },
    feedsIdentity: columns(identity.map(([, value]) => value)),
    feedsIdentifier: columns(mapping.subject.identifiers.map(({ value }) => value)),
  };
}

function knownKeys(mapping: Mapping): ReadonlySet<string> {
  const { subject } = mapping;
  const values = [
    ...mapping.fields.values(),
    ...subject.identifiers.map(({ value }) => value),
    subject.name,
    subject.region,
    mapping.version,
    mapping.region,
    mapping.occurredOn,
    mapping.validFrom,
    mapping.validTo,
    ...(mapping.relations ?? []).flatMap((r) => [
      r.subject.name,
      r.validFrom,
      r.validTo,
      ...r.subject.identifiers.map(({ value }) => value),
    ]),
  ];
  const known = new Set([...mapping.ignore, ...mapping.key, ...values.flatMap((value) => value?.from ?? [])]);
  if (typeof subject.kind === 'object' && 'from' in subject.kind) known.add(subject.kind.from);
  for (const { scheme } of subject.identifiers) if (typeof scheme !== 'string') known.add(scheme.from);
  if (mapping.deleted !== undefined) known.add(mapping.deleted.from);
  return known;
}

/**
 * Names that no database could store (control characters, half characters) are reported as JSON escapes them, long ones by their beginning,
 * and of very many the first: what has so many is another kind of record.
 */
export function unknownKeys(raw: Raw, known: ReadonlySet<string>): string[] {
  const unknown: string[] = [];
  for (const key of Object.keys(raw)) {
    if (known.has(key)) continue;
    if (unknown.length === UNKNOWN_MOST) break;
    const name = firstCharacters(key, UNKNOWN_NAME_MAX);
    unknown.push(/[\p{Cc}\p{Cs}]/u.test(name) ? JSON.stringify(name).slice(1, -1) : name);
  }
  return unknown;
}
