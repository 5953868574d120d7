import DataLoader from 'dataloader';
import type { Reader } from '../store/reader.ts';
import type { PageOf, PageRequest, RecordRow, RecordWhere, SubjectRow } from '../store/rows.ts';

/** Per-request batching: nested edges of a page are read in one statement. Never shared between requests. */
export interface Batches {
  subject(rowId: number): Promise<SubjectRow | undefined>;
  records(subject: number, where: RecordWhere, page: PageRequest): Promise<PageOf<RecordRow>>;
  counts(subject: number): Promise<Map<number, number>>;
}

const EMPTY: PageOf<RecordRow> = { nodes: [], endCursor: null, hasNextPage: false };

export function openBatches(reader: Reader): Batches {
  const subjects = new DataLoader<number, SubjectRow | undefined>(async (ids) => {
    const rows = await reader.subjectsByRowId(ids);
    return ids.map((id) => rows.get(id));
  });
  const counts = new DataLoader<number, Map<number, number>>(async (ids) => {
    const rows = await reader.countsOf(ids);
    return ids.map((id) => rows.get(id) ?? new Map<number, number>());
  });
  // One loader per distinct list: the same conditions and page for all subjects of the level.
  const lists = new Map<string, DataLoader<number, PageOf<RecordRow>>>();
  return {
    subject: (rowId) => subjects.load(rowId),
    counts: (subject) => counts.load(subject),
    records(subject, where, page) {
      const key = JSON.stringify([where, page]);
      let list = lists.get(key);
      if (list === undefined) {
        list = new DataLoader<number, PageOf<RecordRow>>(async (ids) => {
          const rows = await reader.recordsOf(ids, where, page);
          return ids.map((id) => rows.get(id) ?? EMPTY);
        });
        lists.set(key, list);
      }
      return list.load(subject);
    },
  };
}
