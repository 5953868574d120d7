import { fold } from '../identity/fold.ts';
import type { Field, FieldValue, Model, Value } from '../model/types.ts';
import { type LocalTime, readLocal, toInstant } from './dates.ts';
import { fenOf, integerOf, isDecimal } from './numbers.ts';
import { reject } from './reject.ts';
import { firstCharacters, foldingLookup, isBlank, limited, textOf } from './text.ts';

export type Raw = Readonly<Record<string, unknown>>;
/** Null: the source has no such value. Throws RejectRecord. */
export type Reader<T> = (raw: Raw) => T | null;
/** Turns the cleaned text of column `where` into a value; `native`: the driver handed over a Date, so the declared format does not apply. */
type Parse<T> = (text: string, where: string, native: boolean) => T | null;

const BOOLEANS = foldingLookup<boolean>([
  ...['1', 'true', 'Y', '是'].map((text) => [text, true] as const),
  ...['0', 'false', 'N', '否'].map((text) => [text, false] as const),
]);
const VERSION_MAX = 100;

/** The columns of a value as an issue names them. */
export function columnsOf(value: Value): string {
  return value.from.join('/');
}

/** What the raw record holds under `key`. What every object inherits are functions, and no source sends one. */
export function own(raw: Raw, key: string): unknown {
  const source = raw[key];
  return typeof source === 'function' ? undefined : source;
}

/** One field of the catalog by its type. `literal` is a target value and taken as it is. */
export function fieldReader(model: Model, field: Field, value: Value, required: boolean): Reader<FieldValue> {
  return reader<FieldValue>(value, fieldParse(model, field, value), value.literal ?? null, required);
}

/** Text of at most `max` characters. */
export function textReader(value: Value | undefined, max: number): Reader<string> {
  return optional(value, (v) => reader(v, (text, where) => limited(text, max, where), literalText(v), v.required));
}

/** A day, YYYY-MM-DD; of a moment, the day in Shanghai. */
export function dateReader(value: Value | undefined): Reader<string> {
  return optional(value, (v) => reader(v, dateParse(v, dayOf), literalText(v), v.required));
}

/**
 * The source's version: a moment becomes UTC with microseconds, a number is padded, so that versions of one stream compare as text;
 * anything else stays text and must compare by itself.
 */
export function versionReader(value: Value | undefined): Reader<string> {
  return optional(value, (v) => {
    const moment = dateParse(v, (local) => toInstant(local, 6));
    const parse: Parse<string> = (text, where, native) => {
      if (v.date !== undefined || native || /^\d{4}-\d\d-\d\d/.test(text)) return moment(text, where, native);
      return limited(/^\d{1,20}$/.test(text) ? text.padStart(20, '0') : text, VERSION_MAX, where);
    };
    return reader(v, parse, literalText(v), v.required);
  });
}

function reader<T>(value: Value, parse: Parse<T>, literal: T | null, required: boolean): Reader<T> {
  const { from } = value;
  const convert = converter(value, parse);
  return (raw) => {
    for (const key of from) {
      const source = own(raw, key);
      if (isBlank(source)) continue;
      const result = convert(source, key);
      if (result !== null) return result;
      if (required) throw reject('required', key);
      return null;
    }
    if (required && literal === null) throw reject('required', columnsOf(value));
    return literal;
  };
}

/** none, then first, then lookup, then the type: steps that a value does not have cost nothing. */
function converter<T>(value: Value, parse: Parse<T>): (source: unknown, where: string) => T | null {
  const { first } = value;
  const isNone = noneTest(value.none);
  const find = value.lookup && foldingLookup(value.lookup);
  if (value.none.length === 0 && first === undefined && find === undefined) {
    return (source, where) => parse(textOf(source, where), where, source instanceof Date);
  }
  return (source, where) => {
    let text = textOf(source, where);
    if (isNone(text)) return null;
    if (first !== undefined) text = firstCharacters(text, first);
    if (find !== undefined) {
      const found = find(text);
      if (found === undefined) throw reject('unknown-code', where);
      text = found;
    }
    return parse(text, where, source instanceof Date);
  };
}

function fieldParse(model: Model, field: Field, value: Value): Parse<FieldValue> {
  switch (field.type) {
    case 'text':
      return (text, where) => limited(text, field.max, where);
    case 'code': {
      const codes = model.codes.get(field.codes ?? '')?.values.keys() ?? [];
      return orReject('unknown-code', foldingLookup([...codes].map((code) => [code, code])));
    }
    case 'date':
      return dateParse(value, dayOf);
    case 'instant':
      return dateParse(value, (local) => toInstant(local, 3));
    case 'money': {
      const unit = value.money ?? 'fen';
      return orReject('bad-amount', (text) => fenOf(text, unit) ?? fenOf(fold(text), unit));
    }
    case 'integer':
      return orReject('bad-amount', (text) => integerOf(text) ?? integerOf(fold(text)));
    case 'decimal':
      return (text, where) => {
        const plain = isDecimal(text) ? text : fold(text);
        if (!isDecimal(plain)) throw reject('bad-amount', where);
        return limited(plain, field.max, where);
      };
    case 'boolean':
      return orReject('unknown-code', BOOLEANS);
  }
}

function orReject<T>(rule: 'unknown-code' | 'bad-amount', convert: (text: string) => T | null | undefined): Parse<T> {
  return (text, where) => {
    const result = convert(text);
    if (result === null || result === undefined) throw reject(rule, where);
    return result;
  };
}

/** `none` also names days, whatever time a database prints after them (2099-12-31 00:00:00). */
function dateParse(value: Value, result: (local: LocalTime) => string): Parse<string> {
  const none = new Set(value.none);
  return (text, where, native) => {
    const local = readLocal(text, native ? undefined : value.date);
    if (local === null) throw reject('bad-date', where);
    return none.has(local.date) ? null : result(local);
  };
}

function dayOf(local: LocalTime): string {
  return local.date;
}

function noneTest(none: readonly string[]): (text: string) => boolean {
  if (none.length === 0) return () => false;
  const longest = Math.max(...none.map((text) => text.length));
  const find = foldingLookup(none.map((text) => [text, true] as const));
  return (text) => text.length <= longest && find(text) === true;
}

function optional<T>(value: Value | undefined, compile: (value: Value) => Reader<T>): Reader<T> {
  return value === undefined ? () => null : compile(value);
}

function literalText(value: Value): string | null {
  return value.literal === undefined || value.literal === null ? null : String(value.literal);
}
