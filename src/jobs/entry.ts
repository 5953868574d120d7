import type { LogEntry } from '../log/entry.ts';
import type { Connector, Stream } from '../model/types.ts';
import type { Jobs } from './hub.ts';

/** What a job did, for the query log: scheduled work is logged under the officer who answers for it (ZM-3.2.3). */
export function jobEntry(
  jobs: Jobs,
  kind: 'pull' | 'push',
  connector: Connector,
  stream: Stream,
  did: Pick<LogEntry, 'rows' | 'outcome' | 'code'> & Partial<Pick<LogEntry, 'fields' | 'masked' | 'denied' | 'subjects' | 'rules'>>,
): LogEntry {
  const push = stream.direction === 'push';
  return {
    kind,
    person: connector.officer,
    department: push ? stream.publish.receiver : 'medical-insurance',
    role: 'scheduled-job',
    region: null,
    actingFor: push ? connector.id : null,
    purpose: { code: push ? stream.publish.purpose : 'collection', basis: stream.article, case: null },
    operation: `${stream.connector}/${stream.id}`,
    document: '',
    variables: '{}',
    fields: [],
    masked: [],
    denied: [],
    categories: categoriesOf(stream),
    subjects: [],
    policy: jobs.model.version,
    rules: [],
    durationMs: 0,
    client: '',
    ...did,
  };
}

/** A code table belongs to none. */
function categoriesOf(stream: Stream): number[] {
  if (stream.direction === 'push') return [stream.publish.category];
  if (stream.direction === 'dictionary') return [];
  return [stream.mapping, ...(stream.mapping.alternatives ?? [])].map((one) => one.category);
}
