import { setTimeout as sleep } from 'node:timers/promises';
import type { Dedicated, Pool } from '../store/sql.ts';
import { closeMonths } from './closing.ts';
import type { SealOptions, SealResult } from './seal.ts';
import { seal } from './seal.ts';
import { give } from './witnessed.ts';
import type { WitnessClient } from './witness-client.ts';

/** Held by the one process that seals. */
const SEALER_LOCK = 0x484c5331;

export interface SealerOptions extends SealOptions {
  pool: Pool;
  /** Whom every checkpoint is given to; left out: nobody. */
  witness?: WitnessClient;
  /** Milliseconds between two looks at the log. */
  everyMs?: number;
  /** Something that a person must look at. Said again only when it changes. */
  onTrouble: (what: string) => void;
}

/** A process that seals, or stands by while another does. */
export interface Sealer {
  /** Seals what is left, if this is the one that seals, and stops. */
  close(): Promise<void>;
}

/** Looks at every writer this often (in looks), at those that live or wrote lately every time. */
const EVERY_WRITER = 120;
const STANDBY_MS = 2000;
const WITNESS_MS = 1000;

/**
 * Seals the log about twice a second and gives the checkpoints to the witness, which never keeps the sealing waiting. Of several processes one does
 * it; another takes over when its connection ends.
 */
export function startSealer(options: SealerOptions): Sealer {
  const stopping = new AbortController();
  const { signal } = stopping;
  const pause = (ms: number): Promise<void> => sleep(ms, undefined, { signal }).catch(() => undefined);
  const tell = speakOnce(options.onTrouble);

  async function lead(session: Dedicated): Promise<void> {
    const witnessing = options.witness && giveOn(options.witness);
    for (let look = 0; !signal.aborted && session.alive; look++) {
      const result = await seal(session, { ...options, everyWriter: look % EVERY_WRITER === 0 });
      tell('broken', troubleOf(result));
      if (look % EVERY_WRITER === 0) await closeMonths(session, options);
      await pause(options.everyMs ?? 500);
    }
    await witnessing;
    if (session.alive) await seal(session, { ...options, everyWriter: true });
    if (session.alive && options.witness) await give(options.pool, options.witness).catch(() => undefined);
  }

  async function giveOn(witness: WitnessClient): Promise<void> {
    while (!signal.aborted) {
      try {
        await give(options.pool, witness);
        tell('witness', undefined);
      } catch (error) {
        tell('witness', `the witness did not take the checkpoints: ${error instanceof Error ? error.message : String(error)}`);
      }
      await pause(WITNESS_MS);
    }
  }

  async function run(): Promise<void> {
    while (!signal.aborted) {
      let session: Dedicated | undefined;
      try {
        session = await options.pool.dedicated();
        await session.query(
          `select set_config('application_name', 'hub-log sealer', false), set_config('synchronous_commit', 'on', false)`,
        );
        const { rows } = await session.query<{ mine: boolean }>('select pg_try_advisory_lock($1) as mine', [SEALER_LOCK]);
        if (rows[0]?.mine) await lead(session);
        else await pause(STANDBY_MS);
        tell('sealing', undefined);
      } catch (error) {
        tell('sealing', `the query log is not being sealed: ${error instanceof Error ? error.message : String(error)}`);
        await pause(STANDBY_MS);
      } finally {
        session?.release();
      }
    }
  }

  const running = run();
  return {
    async close() {
      stopping.abort();
      await running;
    },
  };
}

function troubleOf({ broken }: SealResult): string | undefined {
  const [first] = broken;
  return (
    first && `entry ${first.writer}-${first.seq} of the query log does not follow from what is sealed; it and what follows stay unsealed`
  );
}

/** Passes each trouble on once, and again after it was over or has changed. */
function speakOnce(say: (what: string) => void): (kind: string, what: string | undefined) => void {
  const said = new Map<string, string | undefined>();
  return (kind, what) => {
    if (what !== undefined && said.get(kind) !== what) say(what);
    said.set(kind, what);
  };
}
