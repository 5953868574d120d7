import { Parameters } from './columns.ts';
import type { FeedChange, FeedFilter, RecordPlace } from './feed.ts';
import { changesOf, versionKey } from './read-changes.ts';
import { recordsByRowId } from './read-records.ts';
import type { RecordRow } from './rows.ts';
import { recordInScope } from './scope-sql.ts';
import { concealId } from './opaque.ts';
import { anyOf, conditioned, type View } from './view.ts';

/** What a caller is told of one record: it came into sight, something of it that the caller may see became another, or it left the sight. */
export type SeenChange = { id: string; category: number; kind: string } &
  /** `version` as the caller counts it, `record` as it is shown now. */
  ({ how: 'new' | 'changed'; version: number; record: RecordRow } | { how: 'gone'; version: null; record: null });

interface Sighted {
  change: FeedChange;
  before: boolean;
  after: boolean;
}

/**
 * The changes that the caller of the grant may know of. A record counts as seen where the grant, as it is now, would have shown it: so "gone" is told
 * only of what the caller could see before, and a change of hidden fields, or of a row outside the grant, is told by nothing at all. Undefined where they are more than `most`: then nothing is shown.
 */
export async function seenChanges(
  view: View,
  changes: readonly FeedChange[],
  filter: FeedFilter,
  most: number,
): Promise<SeenChange[] | undefined> {
  const sighted = await sightOf(view, changes, filter);
  // What left the sight since is told at its own place.
  const rows = await recordsByRowId(
    view,
    sighted.filter(({ after }) => after).map(({ change }) => change.recordId),
  );
  const versions = await versionsOf(
    view,
    sighted.filter(({ change }) => rows.has(change.recordId)),
  );
  const told = sighted.flatMap(({ change, before, after }): (() => SeenChange)[] => {
    const { recordId } = change;
    const { before: was } = change;
    if (!after) return before && was !== null ? [() => goneOf(view, recordId, was)] : [];
    const record = rows.get(recordId);
    if (record === undefined) return [];
    const version = versions(recordId, change.after.version);
    if (before && version === versions(recordId, was?.version ?? 0) && was?.region === change.after.region) return [];
    const { category, kind } = change.after;
    return [() => ({ how: before ? 'changed' : 'new', id: record.id, category, kind, version, record: record.show() })];
  });
  return told.length > most ? undefined : told.map((show) => show());
}

function goneOf(view: View, recordId: number, { subjectId, category, kind }: RecordPlace): SeenChange {
  // That something of a subject is gone is a thing told of it.
  view.shown.subjects.add(subjectId);
  view.shown.categories.add(category);
  view.shown.rows += 1;
  return { how: 'gone', id: concealId(view.keys, 'record', recordId), category, kind, version: null, record: null };
}

/** Those that lie in the grant, before or after, and match what is asked for. */
async function sightOf(view: View, changes: readonly FeedChange[], filter: FeedFilter): Promise<Sighted[]> {
  const asked = changes.flatMap((change, at) =>
    ([change.before, change.after] as const).flatMap((place, side) =>
      place?.shown && matches(place, filter) ? [{ ...place, n: 2 * at + side, recordId: change.recordId }] : [],
    ),
  );
  const parameters = new Parameters();
  const holding = view.grant.scopes.filter((scope) => scope.categories.length > 0);
  if (asked.length === 0 || holding.length === 0) return [];
  const column = (of: (one: (typeof asked)[number]) => unknown) => parameters.add(asked.map(of));
  const places = `unnest(${column((a) => a.n)}::int[], ${column((a) => a.recordId)}::bigint[], ${column((a) => a.subjectId)}::bigint[],
    ${column((a) => a.subjectKind)}::text[], ${column((a) => a.category)}::smallint[], ${column((a) => a.kind)}::text[],
    ${column((a) => a.publicity)}::text[], ${column((a) => a.region)}::text[])`;
  const scopes = conditioned(holding, (scope) => recordInScope(scope, parameters, view.keys));
  const { rows } = await view.sql.query<{ n: number }>(
    `select r.n from ${places} as r(n, id, subject_id, subject_kind, category, kind, publicity, region) where ${anyOf(scopes)}`,
    parameters.values,
  );
  const held = new Set(rows.map(({ n }) => n));
  return changes
    .map((change, at) => ({ change, before: held.has(2 * at), after: held.has(2 * at + 1) }))
    .filter(({ before, after }) => before || after);
}

const matches = (place: RecordPlace, { categories, kinds, region }: FeedFilter): boolean =>
  (categories === undefined || categories.includes(place.category)) &&
  (kinds === undefined || kinds.includes(place.kind)) &&
  (region === undefined || (place.region?.startsWith(region) ?? false));

/** How the caller counts the versions of these records, before and after; 0: none that it may see. */
async function versionsOf(view: View, sighted: readonly Sighted[]): Promise<(recordId: number, version: number) => number> {
  const asked = sighted.flatMap(({ change, before }) => {
    const at = (version: number) => ({ rowId: change.recordId, version, knownOn: undefined });
    const own = [at(change.after.version)];
    if (before && change.before !== null && change.before.version !== change.after.version) own.push(at(change.before.version));
    return own;
  });
  const found = asked.length === 0 ? new Map<string, { version: number }>() : await changesOf(view, asked);
  return (rowId, version) => found.get(versionKey({ rowId, version }))?.version ?? 0;
}
