/**
 * The data of an answer as text, made once: it is measured before the log says that it was given, and sent as it was measured. Kept for as long
 * as the data itself.
 */
const texts = new WeakMap<object, string>();

/** The bytes of the data as JSON; 0 for none. */
export function sizeOf(data: unknown): number {
  if (typeof data !== 'object' || data === null) return 0;
  const text = JSON.stringify(data);
  texts.set(data, text);
  return Buffer.byteLength(text);
}

/** An answer as JSON: errors first, as GraphQL recommends. */
export function stringify({ errors, data, extensions }: { errors?: unknown; data?: unknown; extensions?: unknown }): string {
  const parts = [
    ['errors', errors === undefined ? undefined : JSON.stringify(errors)],
    ['data', typeof data === 'object' && data !== null ? (texts.get(data) ?? JSON.stringify(data)) : JSON.stringify(data)],
    ['extensions', extensions === undefined ? undefined : JSON.stringify(extensions)],
  ].filter(([, text]) => text !== undefined);
  return `{${parts.map(([name, text]) => `"${name}":${text}`).join(',')}}\n`;
}
