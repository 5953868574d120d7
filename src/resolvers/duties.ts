import type { DutyName } from '../model/types.ts';

/** Root fields that are for people with a duty; any of those named is enough. What a caller has no duty for, the graph does not tell of. */
export const DUTY_FIELDS: Readonly<Record<string, readonly DutyName[]>> = {
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
};
