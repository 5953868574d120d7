import { foldForMatch } from '../identity/fold.ts';
import type { FieldValue, Model } from '../model/types.ts';
import type { Keys } from './keys.ts';

export interface FactOf {
  subjectId: number;
  category: number;
  kind: string;
  fields: Readonly<Record<string, FieldValue>>;
}

/** The fact key: the same subject, category, kind and fact fields tell the same thing, whichever source tells it. */
export function factKey(keys: Keys, model: Model, { subjectId, category, kind, fields }: FactOf): Buffer {
  const names = model.categories.get(category)?.kinds.get(kind)?.fact ?? [];
  return keys.fingerprint('fact', JSON.stringify([subjectId, category, kind, ...names.map((name) => comparable(fields[name]))]));
}

/** Two sources write one document number with different brackets and widths. */
function comparable(value: FieldValue | undefined): FieldValue {
  return typeof value === 'string' ? foldForMatch(value) : (value ?? null);
}
