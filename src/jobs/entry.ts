import type { LogEntry } from '../log/entry.ts';
import type { Connector, Stream } from '../model/types.ts';
import type { Jobs } from './hub.ts';

/** What every entry of a job has: scheduled work is logged under the officer who answers for it (ZM-3.2.3), and asks with no document. */
const common = (jobs: Jobs, connector: Connector) => ({
  person: connector.officer,
  role: 'scheduled-job',
  region: null,
  document: '',
  variables: '{}',
  fields: [],
  masked: [],
  denied: [],
  subjects: [],
  policy: jobs.model.version,
  rules: [],
  durationMs: 0,
  client: '',
});

/** What a job did, for the query log. */
export function jobEntry(
  jobs: Jobs,
  kind: 'pull' | 'push',
  connector: Connector,
  stream: Stream,
  did: Pick<LogEntry, 'rows' | 'outcome' | 'code'> & Partial<Pick<LogEntry, 'fields' | 'masked' | 'denied' | 'subjects' | 'rules'>>,
): LogEntry {
  const push = stream.direction === 'push';
  return {
    ...common(jobs, connector),
    kind,
    department: push ? stream.publish.receiver : 'medical-insurance',
    actingFor: push ? connector.id : null,
    purpose: { code: push ? stream.publish.purpose : 'collection', basis: stream.article, case: null },
    operation: `${stream.connector}/${stream.id}`,
    categories: categoriesOf(stream),
    ...did,
  };
}

/** What the hub does to the use of a platform by itself, under the officer who answers for it: its breaker opens or closes. */
export function operationsEntry(jobs: Jobs, connector: Connector, what: string): LogEntry {
  return {
    ...common(jobs, connector),
    kind: 'admin',
    department: connector.department,
    actingFor: connector.id,
    purpose: { code: 'collection', basis: connector.article, case: null },
    operation: what,
    categories: [],
    rows: 0,
    outcome: 'answered',
    code: '',
  };
}

/** Refused records that go back to who provided them: their places and the rules they broke, nothing of anybody's record. */
export function feedbackEntry(jobs: Jobs, connector: Connector, issues: number): LogEntry {
  return {
    ...common(jobs, connector),
    kind: 'push',
    department: connector.department,
    actingFor: connector.id,
    purpose: { code: 'collection', basis: connector.feedback?.article ?? connector.article, case: null },
    operation: `${connector.id}/feedback`,
    categories: [],
    rows: issues,
    outcome: 'answered',
    code: '',
  };
}

/** A code table belongs to none. */
function categoriesOf(stream: Stream): number[] {
  if (stream.direction === 'push') return [stream.publish.category];
  if (stream.direction === 'dictionary') return [];
  return [stream.mapping, ...(stream.mapping.alternatives ?? [])].map((one) => one.category);
}
