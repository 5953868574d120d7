import type { Caller, Purpose } from '../access/caller.ts';
import type { LogEntry } from '../log/entry.ts';

/** The log entry of a request that never became a query: who (as far as known), when, and why it was refused. */
export function refusedEntry(refusal: {
  caller: Caller;
  purpose: Purpose | undefined;
  code: string;
  policy: string;
  client: string;
}): LogEntry {
  const { caller, purpose } = refusal;
  return {
    kind: 'query',
    person: { id: caller.id, name: caller.name },
    department: caller.department,
    role: caller.role,
    region: caller.region,
    actingFor: caller.actingFor,
    purpose: { code: purpose?.code ?? '', basis: purpose?.basis ?? '', case: purpose?.case ?? '' },
    operation: null,
    document: '',
    variables: '{}',
    fields: [],
    masked: [],
    denied: [],
    categories: [],
    subjects: [],
    rows: 0,
    policy: refusal.policy,
    rules: [],
    outcome: refusal.code.startsWith('TOKEN_') || refusal.code === 'CALLER_UNKNOWN' ? 'refused' : 'invalid',
    code: refusal.code,
    durationMs: 0,
    client: refusal.client,
  };
}
