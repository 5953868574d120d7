const DEPTH = 8;
const KEY_LENGTH = 64;
const NAME = /^[_A-Za-z]\w*$/;
/** Whole numbers from here on are as long as telephone and identity numbers. */
const LONG = 1e10;

/**
 * The variables of a query as they may be kept: JSON in one form (keys in code-unit order), in which every text is replaced by `t:` and its keyed
 * token, so that equal values can be found again but not read. Numbers stay, but for whole numbers of eleven digits and more, which could be a
 * person's; keys stay (cut to 64) where they are GraphQL names, and so do texts that `plain` knows, values of the graph's enumerations. Below eight levels there is only `"…"`.
 */
export function tokeniseVariables(
  variables: unknown,
  token: (text: string) => string,
  plain: (text: string) => boolean = () => false,
): string {
  const hidden = (text: string): string => (text === '' || plain(text) ? JSON.stringify(text) : JSON.stringify(`t:${token(text)}`));
  const key = (name: string): string => (NAME.test(name) ? JSON.stringify(name.slice(0, KEY_LENGTH)) : hidden(name));
  const value = (of: unknown, depth: number): string => {
    if (typeof of === 'string') return hidden(of);
    if (typeof of === 'bigint' || (typeof of === 'number' && Number.isInteger(of) && Math.abs(of) >= LONG)) return hidden(String(of));
    if (typeof of === 'number' || typeof of === 'boolean') return JSON.stringify(of);
    if (typeof of !== 'object' || of === null) return 'null';
    if (depth === 0) return '"…"';
    if (Array.isArray(of)) return `[${of.map((item) => value(item, depth - 1)).join(',')}]`;
    const entries = Object.entries(of).sort(([a], [b]) => (a < b ? -1 : 1));
    return `{${entries.map(([name, item]) => `${key(name)}:${value(item, depth - 1)}`).join(',')}}`;
  };
  return value(variables, DEPTH);
}
