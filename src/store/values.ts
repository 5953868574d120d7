import { maskText } from '../access/mask.ts';
import type { Field, FieldValue } from '../model/types.ts';
import type { Sealer } from './keys.ts';

/** The values of a record or subject as they lie in their row: one object per sensitivity class, and what a masked caller sees. */
export interface StoredValues {
  open: Record<string, FieldValue>;
  internal: Record<string, FieldValue>;
  commercial: Record<string, FieldValue>;
  personal: Record<string, FieldValue>;
  sealed: Record<string, string>;
  masks: Record<string, string>;
}

/**
 * Parts values into their classes, seals the `identity` ones under `Type.field` and makes the masks. Fields that are null or unknown to the
 * type are left out: "nothing there" has one form.
 */
export function partValues(
  sealer: Sealer,
  type: string,
  fields: ReadonlyMap<string, Field>,
  values: Readonly<Record<string, FieldValue>>,
): StoredValues {
  const parts: StoredValues = { open: {}, internal: {}, commercial: {}, personal: {}, sealed: {}, masks: {} };
  for (const [name, value] of Object.entries(values)) {
    const field = fields.get(name);
    if (field === undefined || value === null) continue;
    if (field.mask !== undefined && typeof value === 'string') parts.masks[name] = maskText(field.mask, value);
    if (field.sensitivity === 'identity') parts.sealed[name] = sealer.seal(String(value), `${type}.${name}`);
    else parts[field.sensitivity][name] = value;
  }
  return parts;
}

/** jsonb texts in the order of the columns `open, internal, commercial, personal, sealed, masks`. An empty class is null, except `open`. */
export function columnsOf(parts: StoredValues): [string, string | null, string | null, string | null, string | null, string | null] {
  const text = (part: Record<string, FieldValue>) => (Object.keys(part).length === 0 ? null : JSON.stringify(part));
  return [
    JSON.stringify(parts.open),
    text(parts.internal),
    text(parts.commercial),
    text(parts.personal),
    text(parts.sealed),
    text(parts.masks),
  ];
}
