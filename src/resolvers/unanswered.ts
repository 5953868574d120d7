import type { Caller, Purpose } from '../access/caller.ts';
import type { LogEntry, Outcome } from '../log/entry.ts';
import type { Model } from '../model/types.ts';
import { loggedPurpose } from './purpose.ts';
import { FAILURES, isInvalid } from './refusal.ts';

/** The log entry of a request that never became a query: who (as far as known), when, and why it was refused. */
export function refusedEntry(refusal: {
  caller: Caller;
  purpose: Purpose | undefined;
  code: string;
  model: Model;
  today: string;
  client: string;
}): LogEntry {
  const { caller, model } = refusal;
  return {
    kind: 'query',
    person: { id: caller.id, name: caller.name },
    department: caller.department,
    role: caller.role,
    region: caller.region,
    actingFor: caller.actingFor,
    purpose: loggedPurpose(model, refusal.purpose, refusal.today),
    operation: null,
    document: '',
    variables: '{}',
    fields: [],
    masked: [],
    denied: [],
    categories: [],
    subjects: [],
    rows: 0,
    policy: model.version,
    rules: [],
    outcome: outcomeOf(refusal.code),
    code: refusal.code,
    durationMs: 0,
    client: refusal.client,
  };
}

function outcomeOf(code: string): Outcome {
  if (FAILURES.has(code) || code === 'IDENTITY_UNAVAILABLE') return 'failed';
  return isInvalid(code) ? 'invalid' : 'refused';
}
