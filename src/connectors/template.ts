import { StopStream } from '../errors.ts';
import type { Json } from '../model/types.ts';
import type { Values } from './contract.ts';

const NAME = /\{([A-Za-z][A-Za-z0-9_]*)\}/g;
const ONLY_NAME = /^\{([A-Za-z][A-Za-z0-9_]*)\}$/;

/** Puts values in place of `{name}`. `escape` is applied to each value, not to the text around it. StopStream: a name without a value. */
export function fillText(text: string, values: Values, escape: (value: string) => string = String): string {
  return text.replaceAll(NAME, (_, name: string) => escape(String(valueOf(name, values))));
}

export function fillTexts(texts: Readonly<Record<string, string>>, values: Values): Record<string, string> {
  return Object.fromEntries(Object.entries(texts).map(([key, text]) => [key, fillText(text, values)]));
}

/** The same for every text of a JSON value. A text that is exactly `{page}` becomes the value itself, so numbers stay numbers. */
export function fillJson(json: Json, values: Values): Json {
  if (typeof json === 'string') {
    const only = ONLY_NAME.exec(json)?.[1];
    return only === undefined ? fillText(json, values) : valueOf(only, values);
  }
  if (Array.isArray(json)) return json.map((item) => fillJson(item, values));
  if (json === null || typeof json !== 'object') return json;
  return Object.fromEntries(Object.entries(json).map(([key, item]) => [key, fillJson(item, values)]));
}

/** The value at `data.page.list`, keys separated by dots; undefined when a key is not there. */
export function valueAt(json: Json | undefined, path: string): Json | undefined {
  let found = json;
  for (const key of path.split('.')) {
    if (found === null || typeof found !== 'object' || Array.isArray(found) || !Object.hasOwn(found, key)) return undefined;
    found = found[key];
  }
  return found;
}

/** The text or number at the path as text; undefined for anything else, so that an object is never taken for a text. */
export function textAt(json: Json | undefined, path: string): string | undefined {
  const value = valueAt(json, path);
  return typeof value === 'string' || typeof value === 'number' ? String(value) : undefined;
}

function valueOf(name: string, values: Values): string | number {
  const value = Object.hasOwn(values, name) ? values[name] : undefined;
  if (value === undefined) throw new StopStream(`unknown-variable: 接口配置引用了没有值的变量 {${name}}`);
  return value;
}
