import { Deferred, type Delay } from '../errors.ts';
import type { Stream } from '../model/types.ts';
import { noteDeferred } from '../store/streams.ts';
import { checkAhead } from './gate.ts';
import { connectorOf, type Jobs } from './hub.ts';
import { type RunOptions, type RunResult, runPull } from './pull.ts';
import { runPush } from './push.ts';

/** A run that was put off, before it began or in its middle; what it had stored is stored. Undefined: until a person says so. */
export interface PutOff {
  deferred: { why: Delay; until: Date | undefined };
}

/**
 * Runs one stream within what its platform bears: hours, budget, breaker, pause. Undefined when another process holds the stream. A run that is put
 * off ends well, and the ledger has when it goes on; every other end is that of {@link runPull} and {@link runPush}.
 */
export async function runStream(jobs: Jobs, stream: Stream, options: RunOptions): Promise<RunResult | PutOff | undefined> {
  try {
    // Files come from nobody's platform: they can always be read.
    const asksPlatform = stream.via.kind !== 'file' && options.file === undefined;
    const { windows, id } = stream;
    if (asksPlatform) await checkAhead(jobs, { connector: connectorOf(jobs.model, stream.connector), stream: id, windows });
    return stream.direction === 'push' ? await runPush(jobs, stream, options) : await runPull(jobs, stream, options);
  } catch (error) {
    if (!(error instanceof Deferred)) throw error;
    const { why, until } = error;
    await noteDeferred(jobs.pool, stream, why, until);
    return { deferred: { why, until } };
  }
}
