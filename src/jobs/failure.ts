import { Deferred, RetryLater, StopStream } from '../errors.ts';
import { LogUnavailable } from '../log/queue.ts';
import { worthRepeating } from '../store/repeat.ts';
import type { EndState } from '../store/runs.ts';
import { isUnavailable } from '../store/unavailable.ts';

/** How a run ends that threw: what is neither an instruction of ours nor a database or log that is away or overrun is a bug. */
export function endStateOf(error: unknown): Exclude<EndState, 'done'> {
  if (error instanceof StopStream) return 'stopped';
  if (error instanceof Deferred) return 'deferred';
  const later = error instanceof RetryLater || error instanceof LogUnavailable || isUnavailable(error) || worthRepeating(error);
  return later ? 'failed' : 'broken';
}
