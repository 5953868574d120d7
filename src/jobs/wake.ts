import { setTimeout as sleep } from 'node:timers/promises';
import { PUSH_CHANNEL } from '../store/outbox.ts';
import type { Dedicated } from '../store/sql.ts';
import type { Jobs } from './hub.ts';

/** A stream is woken at most this often, so that a hundred commits a second are few runs of many rows each. */
const REST_MS = 250;
const RECONNECT_MS = 1000;

export interface Waking {
  stop(): void;
}

/**
 * Listens on a connection of its own for commits that put something into the outbox, and wakes the push stream at once. What is said while nobody
 * listens is lost: after every connection all is looked at, and the worker's sweep looks in any case.
 */
export function startWaking(jobs: Jobs, wake: (connector: string, stream: string) => Promise<void>): Waking {
  const stopping = new AbortController();
  const { signal } = stopping;
  const resting = new Map<string, { again: boolean }>();

  async function told(name: string): Promise<void> {
    const rest = resting.get(name);
    if (rest !== undefined) {
      rest.again = true;
      return;
    }
    const own = { again: true };
    resting.set(name, own);
    const [connector = '', stream = ''] = name.split('/');
    while (own.again && !signal.aborted) {
      own.again = false;
      await wake(connector, stream).catch((error: unknown) => jobs.logger.warn({ err: String(error), stream: name }, 'waking a push'));
      await sleep(REST_MS, undefined, { signal }).catch(() => undefined);
    }
    resting.delete(name);
  }

  async function listen(): Promise<void> {
    while (!signal.aborted) {
      try {
        const session: Dedicated = await jobs.pool.dedicated();
        const stopped = () => session.release();
        signal.addEventListener('abort', stopped);
        await session.listen(PUSH_CHANNEL, (name) => void told(name));
        for (const connector of jobs.model.connectors.values())
          for (const stream of connector.streams.values()) if (stream.direction === 'push') void told(`${connector.id}/${stream.id}`);
        await session.lost;
        signal.removeEventListener('abort', stopped);
        session.release();
      } catch (error) {
        jobs.logger.warn({ err: String(error) }, 'listening for pushes');
      }
      await sleep(RECONNECT_MS, undefined, { signal }).catch(() => undefined);
    }
  }

  void listen();
  return { stop: () => stopping.abort() };
}
