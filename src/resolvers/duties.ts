import type { DutyName } from '../model/types.ts';

/** What a root field may ask of its caller: a duty, or to be a subject whose identity is proved. */
export type Needed = DutyName | 'own-subject';

/** Root fields that are for people with a duty; any of those named is enough. What a caller has no duty for, the graph does not tell of. */
export const DUTY_FIELDS: Readonly<Record<string, readonly Needed[]>> = {
  enterRecord: ['enter-records'],
  reviewRecord: ['review-records'],
  submissions: ['enter-records', 'review-records'],
  issues: ['handle-issues'],
  merges: ['handle-issues'],
  sourceQuality: ['handle-issues'],
  spotCheckSample: ['handle-issues'],
  replayIssue: ['handle-issues'],
  undoMerge: ['handle-issues'],
  dismissIssue: ['handle-issues'],
  requestErasure: ['request-erasure'],
  reviewErasure: ['review-erasure'],
  erasures: ['request-erasure', 'review-erasure'],
  noteSpotCheck: ['handle-issues'],
  policyVersions: ['review-policy'],
  minimisation: ['review-policy'],
  queryLog: ['read-log'],
  requestLogExport: ['read-log'],
  decideLogExport: ['read-log'],
  downloadLogExport: ['read-log'],
  logExports: ['read-log'],
  logAlarms: ['read-log'],
  acknowledgeLogAlarm: ['read-log'],
  requestDeferral: ['defer-notice'],
  decideDeferral: ['defer-notice'],
  deferrals: ['defer-notice'],
  giveConsent: ['own-subject', 'enter-consents'],
  revokeConsent: ['own-subject', 'enter-consents'],
  consents: ['own-subject', 'enter-consents'],
  registerCase: ['register-cases'],
  closeCase: ['register-cases'],
  cases: ['register-cases'],
  revokeSessions: ['operate-system'],
  revocations: ['operate-system'],
};
