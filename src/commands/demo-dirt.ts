import type { SandboxData } from '../sandbox/generate.ts';
import { issueCounts } from '../store/issues.ts';
import { firstDone } from '../store/runs.ts';
import type { Sql } from '../store/sql.ts';

export interface DirtFound {
  kind: string;
  /** The issue rule it must become; null for dirt that must be taken (tidied, or seen as known). */
  rule: string | null;
  planted: number;
  found: number;
}

/**
 * Compares the sandboxes' answer key with what the hub made of it, kind by kind. Refused dirt is counted in the issues, stream by stream and rule
 * by rule. Dirt that must be taken leaves no issue: it counts as found where the first run of its stream took, stored and passed over exactly as
 * many records as the key says.
 */
export async function checkDirt(sql: Sql, data: SandboxData): Promise<DirtFound[]> {
  const issues = new Map((await issueCounts(sql)).map((row) => [`${row.connector}/${row.stream} ${row.rule}`, row.issues]));
  const first = new Map((await firstDone(sql)).map((run) => [`${run.connector}/${run.stream}`, run]));
  const asExpected = (stream: string) => {
    const [run, expected] = [first.get(stream), data.expected[stream]];
    return (
      run !== undefined &&
      expected !== undefined &&
      run.in === expected.in &&
      run.stored === expected.stored &&
      run.unchanged === expected.unchanged &&
      run.issues === expected.issues
    );
  };
  const kinds = Map.groupBy(data.answerKey, (one) => one.dirt);
  return [...kinds].map(([kind, planted]) => {
    const rule = planted[0]?.rule ?? null;
    const byStream = Map.groupBy(planted, (one) => `${one.connector}/${one.stream}`);
    let found = 0;
    for (const [stream, own] of byStream) {
      if (rule === null) found += asExpected(stream) ? own.length : 0;
      else if (own[0]?.outcome === 'issue')
        found +=
          Math.min(own.length, issues.get(`${stream} ${rule}`) ?? 0) -
          Math.max(0, (issues.get(`${stream} ${rule}`) ?? 0) - plantedUnder(data, stream, rule));
      // A key that nobody mapped is reported once a stream, however many rows bring it.
      else found += (issues.get(`${stream} ${rule}`) ?? 0) === 1 ? own.length : 0;
    }
    return { kind, rule, planted: planted.length, found };
  });
}

/** Different dirt may fall under one rule: what the rule must have found in the stream in all. */
function plantedUnder(data: SandboxData, stream: string, rule: string): number {
  return data.answerKey.filter((one) => `${one.connector}/${one.stream}` === stream && one.rule === rule && one.outcome === 'issue').length;
}
