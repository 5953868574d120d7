import { Refused } from '../errors.ts';

/** Who asks for something that a second person decides. */
export interface Person {
  id: string;
  name: string;
}

/** What requests that take two persons have in common; the tables check the same. */
export interface Decided {
  id: number;
  state: 'requested' | 'approved' | 'rejected';
  requestedBy: string;
  requestedName: string;
  requestedAt: string;
  decidedName: string | null;
  decidedAt: string | null;
  decisionReason: string | null;
}

export const DECIDED_COLUMNS = `id, state, requested_by as "requestedBy", requested_name as "requestedName", requested_at as "requestedAt",
  decided_name as "decidedName", decided_at as "decidedAt", decision_reason as "decisionReason"`;

/** Throws `Refused` REQUEST_NOT_FOUND, ALREADY_REVIEWED, FOUR_EYES or REASON_REQUIRED (a rejection says why). */
export function mayDecide(
  found: Decided | undefined,
  person: Person,
  decision: { approve: boolean; reason: string },
  article: string,
): asserts found is Decided {
  if (found === undefined) throw new Refused('REQUEST_NOT_FOUND', '未找到该申请');
  if (found.state !== 'requested') throw new Refused('ALREADY_REVIEWED', '该申请已审批');
  if (found.requestedBy === person.id) throw new Refused('FOUR_EYES', '申请人不得审批本人的申请', { status: 403, details: { article } });
  if (!decision.approve && decision.reason.trim() === '') throw new Refused('REASON_REQUIRED', '不予批准须说明理由');
}
