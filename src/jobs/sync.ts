import { allStreams } from '../model/load.ts';
import { runsByItself } from '../model/streams.ts';
import type { Model, Stream } from '../model/types.ts';
import { enqueueStream, type RunningWorker } from './worker.ts';

/** What a full sync tells of each stream as it goes. */
export interface SyncProgress {
  connector: string;
  stream: string;
  state: 'running' | 'done' | 'failed';
  in: number;
  total: number | undefined;
  error?: string;
}

/** How long a full sync waits before it asks again for a stream that is held elsewhere. */
const HELD_MS = 1000;
/** A full sync waits for a stream that is put off for less than this. */
const SOON_MS = 120_000;

/**
 * Runs every stream of a model once through the queue: pulls as soon as the streams they come after are done, pushes when all pulls are.
 * Resolves with the run ids by stream; a stream that failed for good or is paused has none, and those after it still run.
 */
export async function syncAll(
  running: RunningWorker,
  model: Model,
  trigger: 'manual' | 'demo',
  tell: (progress: SyncProgress) => void,
): Promise<Map<string, number>> {
  const streams = allStreams(model).filter((s) => s.direction === 'push' || runsByItself(s.via));
  const runs = new Map<string, number>();
  const over = new Set<string>();
  const asked = new Set<string>();
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const finish = (name: string) => {
    over.add(name);
    if (over.size === streams.length) resolve();
    else ask();
  };
  const ask = () => {
    for (const stream of streams) {
      const name = nameOf(stream);
      if (asked.has(name) || !before(streams, stream).every((n) => over.has(n))) continue;
      asked.add(name);
      tell({ connector: stream.connector, stream: stream.id, state: 'running', in: 0, total: undefined });
      enqueueStream(running.queue, { connector: stream.connector, stream: stream.id, trigger }).catch(reject);
    }
  };
  const { worker } = running;
  worker.on('progress', (job, progress) => {
    if (typeof progress !== 'object') return;
    const { in: taken, total } = progress as { in?: number; total?: number | null };
    tell({ ...job.data, state: 'running', in: taken ?? 0, total: total ?? undefined });
  });
  worker.on('completed', (job, result) => {
    if (job.name !== 'run') return;
    const name = `${job.data.connector}/${job.data.stream}`;
    if (!asked.has(name) || over.has(name)) return;
    // It goes on by itself, and then completes again.
    if (result.state === 'deferred' && Date.parse(result.until ?? '') - Date.now() < SOON_MS) return;
    if (result.state === 'paused' || result.state === 'deferred') {
      tell({
        connector: job.data.connector,
        stream: job.data.stream,
        state: 'failed',
        in: 0,
        total: undefined,
        error: result.state === 'paused' ? 'the stream is paused' : `the stream is put off until ${result.until}`,
      });
      finish(name);
      return;
    }
    if (result.run === null) {
      // Another process holds the stream, and nobody tells when it lets go.
      setTimeout(() => void enqueueStream(running.queue, job.data).catch(reject), HELD_MS);
      return;
    }
    runs.set(name, result.run);
    tell({ connector: job.data.connector, stream: job.data.stream, state: 'done', in: 0, total: undefined });
    finish(name);
  });
  worker.on('failed', (job, error) => {
    if (job?.name !== 'run' || (error.name !== 'UnrecoverableError' && job.attemptsMade < (job.opts.attempts ?? 1))) return;
    const name = `${job.data.connector}/${job.data.stream}`;
    tell({ connector: job.data.connector, stream: job.data.stream, state: 'failed', in: 0, total: undefined, error: error.message });
    finish(name);
  });
  ask();
  await promise;
  return runs;
}

const nameOf = (stream: Stream) => `${stream.connector}/${stream.id}`;

function before(streams: readonly Stream[], stream: Stream): string[] {
  if (stream.direction === 'push') return streams.filter((s) => s.direction !== 'push').map(nameOf);
  return stream.after.map((id) => `${stream.connector}/${id}`);
}
