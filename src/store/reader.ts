import type { Grant } from '../access/decide.ts';
import type { Model } from '../model/types.ts';
import type { Keys } from './keys.ts';
import { changesOf } from './read-changes.ts';
import type { FeedChange, FeedFilter } from './feed.ts';
import { seenChanges, type SeenChange } from './read-feed.ts';
import { pushable } from './read-pushable.ts';
import { countsOf, listRecords, recordsOf, recordsOfFacts } from './read-records.ts';
import { relationsOf } from './read-relations.ts';
import { listSubjects, subjectByCode, subjectsByRowId } from './read-subjects.ts';
import type {
  Changes,
  PageOf,
  PageRequest,
  PushableRecord,
  RecordAt,
  RecordRow,
  RecordWhere,
  RelationRow,
  Shown,
  SubjectRow,
  SubjectWhere,
} from './rows.ts';
import type { Walled } from './sql.ts';
import type { View } from './view.ts';
import { columnsGiven, enterWall } from './wall.ts';

/**
 * The only way to read credit information: made for one grant, it cannot be asked for more than the grant holds. Its statements say so, and
 * PostgreSQL holds it without them.
 */
export interface Reader {
  /** What was shown so far, for the query log. */
  readonly shown: Shown;
  subjectByCode(code: string, scheme: string | undefined, today: string): Promise<SubjectRow | undefined>;
  subjectsByRowId(ids: readonly number[]): Promise<Map<number, SubjectRow>>;
  subjects(where: SubjectWhere, page: PageRequest): Promise<PageOf<SubjectRow>>;
  records(where: RecordWhere, page: PageRequest): Promise<PageOf<RecordRow>>;
  recordsOf(subjects: readonly number[], where: RecordWhere, page: PageRequest): Promise<Map<number, PageOf<RecordRow>>>;
  countsOf(subjects: readonly number[], where: RecordWhere): Promise<Map<number, Map<number, number>>>;
  /** By `versionKey`: what of a record's history the grant shows. */
  changesOf(records: readonly RecordAt[]): Promise<Map<string, Changes>>;
  /** By fact key: all records that tell the fact, as far as the grant holds them; with `asOf`, that told it then. */
  recordsOfFacts(facts: readonly string[], where: Pick<RecordWhere, 'asOf'>): Promise<Map<string, RecordRow[]>>;
  relationsOf(subjects: readonly number[]): Promise<Map<number, RelationRow[]>>;
  /** What of the feed the caller may know, in its order; undefined where that is more than `most`. */
  seenChanges(changes: readonly FeedChange[], filter: FeedFilter, most: number): Promise<SeenChange[] | undefined>;
  /** Versions of records as a receiving platform may have them; a record outside the grant is not in the answer. */
  pushable(versions: readonly { recordId: number; version: number }[]): Promise<PushableRecord[]>;
}

export function openReader(pool: Walled, keys: Keys, model: Model, grant: Grant): Reader {
  const enter = enterWall(model, grant, keys);
  const sql: View['sql'] = { query: (text, values) => pool.read(enter, text, values) };
  const columns = columnsGiven(model, grant);
  const view: View = {
    sql,
    columns,
    keys,
    model,
    grant,
    shown: { subjects: new Set(), categories: new Set(), coordinates: new Set(), rows: 0 },
  };
  return {
    shown: view.shown,
    subjectByCode: (code, scheme, today) => subjectByCode(view, code, scheme, today),
    subjectsByRowId: (ids) => subjectsByRowId(view, ids),
    subjects: (where, page) => listSubjects(view, where, page),
    records: (where, page) => listRecords(view, where, page),
    recordsOf: (subjects, where, page) => recordsOf(view, subjects, where, page),
    countsOf: (subjects, where) => countsOf(view, subjects, where),
    changesOf: (records) => changesOf(view, records),
    recordsOfFacts: (facts, where) => recordsOfFacts(view, facts, where),
    relationsOf: (subjects) => relationsOf(view, subjects),
    seenChanges: (changes, filter, most) => seenChanges(view, changes, filter, most),
    pushable: (versions) => pushable(view, versions),
  };
}
