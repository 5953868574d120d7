import type { Model } from '../model/types.ts';
import { subjectKeyContext } from './keys.ts';

/** A column that holds sealed values: where they lie, and the context each is bound to. */
export interface SealedPlace {
  table: string;
  column: string;
  /** Primary key, whole numbers. */
  key: readonly string[];
  /** One jsonb object of sealed values by field, or one text. */
  form: 'fields' | 'text';
  /** Columns that the context is made from. */
  of: readonly string[];
  context(model: Model, row: Readonly<Record<string, unknown>>, field: string): string;
}

const category = (model: Model, row: Readonly<Record<string, unknown>>, field: string) =>
  `${model.categories.get(Number(row['category']))?.type ?? ''}.${field}`;

/** Context of an issue's raw record. */
export const issueContext = (connector: string, stream: string): string => `issue.${connector}/${stream}`;
export const SUBMISSION_CONTEXT = 'submission';
/** Context of what proves a consent. */
export const CONSENT_CONTEXT = 'consent';
/** Context of a key that differs between the hub and a platform. */
export const RECONCILE_CONTEXT = 'reconciliation';

/** Every place of the database where the hub seals something: a new one is resealed, counted and erased because it stands here. */
export const SEALED_PLACES: readonly SealedPlace[] = [
  {
    table: 'subject',
    column: 'sealed',
    key: ['id'],
    form: 'fields',
    of: ['kind'],
    context: (model, row, field) => `${model.subjects.get(row['kind'] as 'person')?.type ?? ''}.${field}`,
  },
  { table: 'record', column: 'sealed', key: ['id'], form: 'fields', of: ['category'], context: category },
  { table: 'record_version', column: 'sealed', key: ['record_id', 'version'], form: 'fields', of: ['category'], context: category },
  {
    table: 'issue',
    column: 'raw',
    key: ['id'],
    form: 'text',
    of: ['connector', 'stream'],
    context: (_model, row) => issueContext(String(row['connector']), String(row['stream'])),
  },
  {
    table: 'subject_key',
    column: 'wrapped',
    key: ['subject_id'],
    form: 'text',
    of: ['subject_id'],
    context: (_model, row) => subjectKeyContext(Number(row['subject_id'])),
  },
  { table: 'submission', column: 'sealed', key: ['id'], form: 'text', of: [], context: () => SUBMISSION_CONTEXT },
  { table: 'reconciliation_difference', column: 'sealed', key: ['id'], form: 'text', of: [], context: () => RECONCILE_CONTEXT },
  { table: 'consent', column: 'sealed', key: ['id'], form: 'text', of: [], context: () => CONSENT_CONTEXT },
];

/** SQL: id of the key that a sealed text (an SQL expression) is under. */
export const keyIdSql = (sealed: string): string => `split_part(${sealed}, '.', 2)`;
