import DataLoader from 'dataloader';
import type { Reader } from '../store/reader.ts';
import { versionKey } from '../store/read-changes.ts';
import type { Changes, PageOf, PageRequest, RecordAt, RecordRow, RecordWhere, RelationRow, SubjectRow } from '../store/rows.ts';

/** Per-request batching: nested edges of a page are read in one statement. Never shared between requests. */
export interface Batches {
  subject(rowId: number): Promise<SubjectRow | undefined>;
  records(subject: number, where: RecordWhere, page: PageRequest): Promise<PageOf<RecordRow>>;
  counts(subject: number, where: RecordWhere): Promise<Map<number, number>>;
  fact(fact: string, where: Pick<RecordWhere, 'asOf'>): Promise<RecordRow[]>;
  /** What the grant shows of the history of a record that it shows. */
  changes(record: RecordAt): Promise<Changes>;
  relations(subject: number): Promise<RelationRow[]>;
}

const EMPTY: PageOf<RecordRow> = { nodes: [], endCursor: null, hasNextPage: false };

export function openBatches(reader: Reader): Batches {
  const subjects = new DataLoader<number, SubjectRow | undefined>(async (ids) => {
    const rows = await reader.subjectsByRowId(ids);
    return ids.map((id) => rows.get(id));
  });
  const changes = new DataLoader<RecordAt, Changes, string>(
    async (records) => {
      const rows = await reader.changesOf(records);
      return records.map((record) => rows.get(versionKey(record)) ?? new Error('a record is shown that has no version'));
    },
    // Not by the version: how often the same one comes would tell of versions that the caller cannot see.
    { cacheKeyFn: ({ rowId, knownOn }) => `${rowId}/${knownOn ?? ''}` },
  );
  const relations = new DataLoader<number, RelationRow[]>(async (ids) => {
    const rows = await reader.relationsOf(ids);
    return ids.map((id) => rows.get(id) ?? []);
  });
  const facts = new Map<string, DataLoader<string, RecordRow[]>>();
  const counts = new Map<string, DataLoader<number, Map<number, number>>>();
  // One loader per distinct list: the same conditions and page for all subjects of the level.
  const lists = new Map<string, DataLoader<number, PageOf<RecordRow>>>();
  return {
    subject: (rowId) => subjects.load(rowId),
    changes: (record) => changes.load(record),
    relations: (subject) => relations.load(subject),
    fact(fact, where) {
      const loader = () =>
        new DataLoader<string, RecordRow[]>(async (keys) => {
          const rows = await reader.recordsOfFacts(keys, where);
          return keys.map((key) => rows.get(key) ?? []);
        });
      return cached(facts, JSON.stringify(where), loader).load(fact);
    },
    counts(subject, where) {
      const loader = () =>
        new DataLoader<number, Map<number, number>>(async (ids) => {
          const rows = await reader.countsOf(ids, where);
          return ids.map((id) => rows.get(id) ?? new Map<number, number>());
        });
      return cached(counts, JSON.stringify(where), loader).load(subject);
    },
    records(subject, where, page) {
      const loader = () =>
        new DataLoader<number, PageOf<RecordRow>>(async (ids) => {
          const rows = await reader.recordsOf(ids, where, page);
          return ids.map((id) => rows.get(id) ?? EMPTY);
        });
      return cached(lists, JSON.stringify([where, page]), loader).load(subject);
    },
  };
}

function cached<T>(map: Map<string, T>, key: string, make: () => T): T {
  const found = map.get(key) ?? make();
  map.set(key, found);
  return found;
}
