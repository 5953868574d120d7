import type { Job } from 'bullmq';
import { findStream } from '../model/load.ts';
import { askedCorrections, dueReconciliations } from '../store/reconciliation.ts';
import { endStateOf } from './failure.ts';
import type { Jobs } from './hub.ts';
import { giveUp, type StreamJob, type StreamOutcome, type StreamQueue } from './queues.ts';
import { isCompared, runReconcile } from './reconcile.ts';

/** Names of the jobs that compare a stream with its platform, and that correct what differs. */
export const RECONCILE = 'reconcile';
const CORRECT = 'correct';

export const isReconciling = (name: string): boolean => name === RECONCILE || name === CORRECT;

/**
 * Queues what is to be compared today, once each stream has been read or pushed (`daily`), and what somebody asked to have corrected. The ledger says what
 * that is, so that a wiped queue forgets nothing; a comparison that was begun is not queued a second time on its day.
 */
export async function enqueueReconciliations(jobs: Jobs, queue: StreamQueue, daily: boolean): Promise<void> {
  const asked = (await askedCorrections(jobs.pool)).map((one) => ({ ...one, name: CORRECT }));
  const due = daily ? (await dueReconciliations(jobs.pool, jobs.now())).map((one) => ({ ...one, name: RECONCILE })) : [];
  for (const { connector, stream, name } of [...asked, ...due]) {
    const known = findStream(jobs.model, `${connector}/${stream}`);
    if (known === undefined || !isCompared(known)) continue;
    await queue.add(name, { connector, stream, trigger: 'schedule' }, { deduplication: { id: `${name} ${connector}/${stream}` } });
  }
}

/** One comparison as a job. What could not be proved is tried again within hours, as the ledger says: the job itself is done. A bug is thrown. */
export async function runReconcileJob(jobs: Jobs, job: Job<StreamJob, StreamOutcome>, signal: AbortSignal): Promise<StreamOutcome> {
  const { connector, stream: id, trigger } = job.data;
  const stream = findStream(jobs.model, `${connector}/${id}`);
  if (stream === undefined || !isCompared(stream)) throw giveUp(`stream ${connector}/${id} is not compared in this version of the model`);
  const logger = jobs.logger.child({ connector, stream: id });
  try {
    const result = await runReconcile(jobs, stream, { trigger, fix: job.name === CORRECT, signal });
    if (result === undefined) return { run: null, state: 'skipped' };
    const { state, differences, cells, ours, theirs } = result.last;
    const said = { reconciliation: result.last.id, state, differences, cells, ours, theirs, corrected: result.corrected };
    if (state === 'green') logger.info(said, 'reconciled');
    else logger.error(said, 'the platform and the hub do not hold the same');
    return { run: null, state: 'done' };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    logger.warn({ err: message }, 'reconciliation unproven');
    if (endStateOf(error) === 'broken') throw error;
    return { run: null, state: 'skipped' };
  }
}
