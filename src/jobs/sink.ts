import type { Page, RawRecord } from '../connectors/contract.ts';
import { RejectRecord } from '../errors.ts';
import { compileMapping } from '../mapping/compile.ts';
import { dayInShanghai } from '../mapping/dates.ts';
import { compileDictionary, type DictionaryValue } from '../mapping/dictionary.ts';
import type { DictionaryStream, Json, PullStream, ReadStream } from '../model/types.ts';
import { noteUnknownValues } from '../store/dictionary.ts';
import type { NewIssue } from '../store/issues.ts';
import { applyDictionaryPage, applyPage, type MappedPage, type PageResult } from '../store/page.ts';
import type { HeldRun } from '../store/runs.ts';
import type { Jobs } from './hub.ts';

/** Where the pages of a run go: records into their categories, values into the code tables. */
export interface Sink {
  /** Maps and stores a page in one transaction with `cursor`. */
  store(page: Page, cursor: Json): Promise<Omit<PageResult, 'queued'>>;
  /** After the last page. */
  finish(): Promise<void>;
}

export function sinkOf(jobs: Jobs, stream: ReadStream, run: HeldRun): Sink {
  return stream.direction === 'pull' ? recordSink(jobs, stream, run) : dictionarySink(jobs, stream, run);
}

function recordSink(jobs: Jobs, stream: PullStream, run: HeldRun): Sink {
  const mapping = compileMapping(jobs.model, stream);
  const reported = new Set<string>();
  return {
    store(page, cursor) {
      const today = dayInShanghai(jobs.now());
      const mapped: MappedPage = { records: [], issues: [], cursor };
      eachRecord(page, mapped.issues, reported, (raw) => {
        const record = mapping.map(raw.data, today);
        mapped.records.push({ record, raw: raw.data, at: raw.at });
        return record.unknownKeys;
      });
      return applyPage(jobs.pool, jobs.keys, jobs.model, stream, run, mapped, today);
    },
    finish: async () => undefined,
  };
}

function dictionarySink(jobs: Jobs, stream: DictionaryStream, run: HeldRun): Sink {
  const dictionary = compileDictionary(stream);
  const reported = new Set<string>();
  return {
    store(page, cursor) {
      const values: DictionaryValue[] = [];
      const issues: NewIssue[] = [];
      eachRecord(page, issues, reported, (raw) => {
        const { value, unknownKeys } = dictionary.map(raw.data);
        values.push(value);
        return unknownKeys;
      });
      return applyDictionaryPage(jobs.pool, jobs.keys, stream, run, { values, issues, cursor });
    },
    finish: async () => void (await noteUnknownValues(jobs.pool, jobs.keys, jobs.model, stream, run.id)),
  };
}

/** Each raw record is taken or becomes an issue; keys that nobody mapped, which `take` returns, are reported once a run. */
function eachRecord(page: Page, issues: NewIssue[], reported: Set<string>, take: (raw: RawRecord) => readonly string[]): void {
  for (const raw of page.records) {
    if (raw.broken) {
      issues.push(issueOf(raw, raw.broken.rule, '', raw.broken.message));
      continue;
    }
    try {
      for (const key of take(raw)) {
        if (reported.has(key)) continue;
        reported.add(key);
        issues.push({
          rule: 'unknown-key',
          at: raw.at,
          place: key,
          reason: '来源出现未登记的数据项,未入库,请确认映射',
          refused: false,
          raw: undefined,
        });
      }
    } catch (error) {
      if (!(error instanceof RejectRecord)) throw error;
      issues.push(issueOf(raw, error.rule, error.where, error.message));
    }
  }
}

function issueOf(raw: RawRecord, rule: string, place: string, reason: string): NewIssue {
  return { rule, at: raw.at, place, reason, refused: true, raw: raw.data };
}
