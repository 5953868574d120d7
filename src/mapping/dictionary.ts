import type { DictionaryStream } from '../model/types.ts';
import { unknownKeys } from './compile.ts';
import { foldingLookup, isBlank, textOf } from './text.ts';
import { type Raw, dateReader, own, textReader, versionReader } from './value.ts';

/** A value of a platform's code table. */
export interface DictionaryValue {
  type: string;
  code: string;
  name: string;
  parent: string | null;
  /** '' where it holds everywhere. */
  region: string;
  valid: boolean;
  validFrom: string | null;
  validTo: string | null;
  version: string | null;
}

export interface CompiledDictionary {
  /** Throws RejectRecord and nothing else. */
  map(raw: Raw): { value: DictionaryValue; unknownKeys: string[] };
}

/** Longest texts in characters. Names of catalogues are sentences at times. */
const MAX = { type: 50, code: 100, name: 1000, region: 12 };

/** Raw record → value of a code table, decided once per stream. As with credit records, every key is mapped, ignored by name, or reported. */
export function compileDictionary({ dictionary }: DictionaryStream): CompiledDictionary {
  const { type, code, name, parent, region, valid, validFrom, validTo, version, ignore } = dictionary;
  const values = [type, code, name, parent, region, validFrom, validTo, version];
  const known = new Set([...ignore, ...values.flatMap((value) => value?.from ?? []), ...(valid ? [valid.from] : [])]);
  const required = { required: true };
  const readType = textReader({ ...type, ...required }, MAX.type);
  const readCode = textReader({ ...code, ...required }, MAX.code);
  const readName = textReader({ ...name, ...required }, MAX.name);
  const readParent = textReader(parent, MAX.code);
  const readRegion = textReader(region, MAX.region);
  const readFrom = dateReader(validFrom);
  const readTo = dateReader(validTo);
  const readVersion = versionReader(version);
  const holds = validTest(valid);
  return {
    map: (raw) => ({
      value: {
        type: readType(raw) ?? '',
        code: readCode(raw) ?? '',
        name: readName(raw) ?? '',
        parent: readParent(raw),
        region: readRegion(raw) ?? '',
        valid: holds(raw),
        validFrom: readFrom(raw),
        validTo: readTo(raw),
        version: readVersion(raw),
      },
      unknownKeys: unknownKeys(raw, known),
    }),
  };
}

function validTest(valid: DictionaryStream['dictionary']['valid']): (raw: Raw) => boolean {
  if (valid === undefined) return () => true;
  const find = foldingLookup(valid.values.map((value) => [value, true] as const));
  return (raw) => {
    const source = own(raw, valid.from);
    return isBlank(source) || find(textOf(source, valid.from)) === true;
  };
}
