/** What the bar shows of the last answer: its log receipt and how much of it was masked or withheld. */
export interface Outcome {
  /** Identifies the entry of the query log; undefined when the answer names none. */
  receipt?: string;
  /** The entry's hash, for the officer who wants to keep the whole receipt. */
  hash?: string;
  masked: number;
  denied: number;
  errors: number;
}

/** Reads an answer's `extensions.log`, `extensions.access` and `errors`. Parts that are missing count as nothing. */
export function outcomeOf(answer: unknown): Outcome {
  const extensions = part(answer, 'extensions');
  const log = part(extensions, 'log');
  const access = part(extensions, 'access');
  const errors = part(answer, 'errors');
  const list: unknown[] = Array.isArray(errors) ? errors : [];
  const refusedFields = list.filter((error) => part(part(error, 'extensions'), 'code') === 'FIELD_DENIED').length;
  const receipt = receiptOf(log);
  const hash = part(log, 'hash');
  return {
    ...(receipt === undefined ? {} : { receipt }),
    ...(typeof hash === 'string' ? { hash } : {}),
    masked: size(part(access, 'masked')),
    denied: Math.max(size(part(access, 'denied')), refusedFields),
    errors: list.length - refusedFields,
  };
}

function receiptOf(log: unknown): string | undefined {
  if (typeof log === 'string') return log;
  const id = part(log, 'id');
  if (typeof id === 'string' || typeof id === 'number') return String(id);
  const writer = part(log, 'writer');
  const seq = part(log, 'seq');
  return writer === undefined || seq === undefined ? undefined : `${String(writer)}#${String(seq)}`;
}

/** A count may come as the number itself, as a list of coordinates, or as an object keyed by coordinate. */
function size(value: unknown): number {
  if (typeof value === 'number') return value;
  return typeof value === 'object' && value !== null ? Object.keys(value).length : 0;
}

function part(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
}
