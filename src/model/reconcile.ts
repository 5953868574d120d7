/** How a platform tells what it holds (U24), as data beside `pull` or `push` of a stream. */
import type { Json } from './vias.ts';

/**
 * Asked over the API of the stream, with its login. Page variables: {since}, {until} – the window (since, until] of the times that the platform gave
 * its rows, or receipts, local time `yyyy-MM-dd HH:mm:ss` – and {page}, {size} for the keys. Without it the hub reads again what a pull stream
 * delivers, through its ordinary paging.
 */
export interface AskedReconcile {
  kind: 'asked';
  totals: TotalsQuestion;
  keys: KeysQuestion;
  /** One row by its key, its columns as variables; needed by pull streams, where the ordinary paging may be what loses rows. */
  rows: { path: string; body: Json; items: string } | undefined;
}
/** `day` and `region` of a cell, its count and its set hash over key and stamp as the platform writes them. No `region`: it counts by day alone. */
export interface TotalsQuestion {
  path: string;
  body: Json;
  cells: string;
  day: string;
  region: string | undefined;
  count: string;
  hash: string;
}
/** The keys of a window in pages; `key` are the columns of the stream's key, `stamp` the version of a row, or the number of a receipt. */
export interface KeysQuestion {
  path: string;
  body: Json;
  items: string;
  total: string;
  size: number;
  key: string[];
  stamp: string;
}
/** A table of a front database in which the platform shows what it holds of the records that were pushed. */
export interface ListedReconcile {
  kind: 'listed';
  table: string;
  key: string;
  stamp: string;
  time: string;
}
export type Reconcile = AskedReconcile | ListedReconcile;

/** `reconcile:` of a stream as it stands in YAML. */
export interface ReconcileYaml {
  totals?: Omit<TotalsQuestion, 'region'> & { region?: string };
  keys?: Omit<KeysQuestion, 'size'> & { size?: number };
  rows?: NonNullable<AskedReconcile['rows']>;
  listed?: Omit<ListedReconcile, 'kind'>;
}

const PAGE = 500;

export function toReconcile(yaml: ReconcileYaml | undefined): Reconcile | undefined {
  if (yaml?.listed !== undefined) return { kind: 'listed', ...yaml.listed };
  if (yaml?.totals === undefined || yaml.keys === undefined) return undefined;
  return {
    kind: 'asked',
    totals: { region: undefined, ...yaml.totals },
    keys: { ...yaml.keys, size: yaml.keys.size ?? PAGE },
    rows: yaml.rows,
  };
}
