import { createHash } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import type { Forgets } from './credit-china.ts';
import { refusalOf } from './evaluation.ts';
import type { SandboxData } from './generate.ts';
import { type Execute, seedOnce } from './seeding.ts';
import { FRONT_DATABASE } from './tables.ts';
import { shanghai } from './times.ts';

const BATCH = 500;

/** Makes and fills schema QZK once; see `seedOnce`. The hub sets JHKG of what it has read, so nothing is ever written anew. */
export async function seedFrontDatabase(execute: Execute, data: SandboxData): Promise<void> {
  await seedOnce(execute, FRONT_DATABASE, [], data);
}

export interface FrontDatabaseOptions {
  everyMs: number;
  /** Credit codes that the platform knows; left out: it takes any right one. */
  directory?: ReadonlySet<string>;
  now?: () => Date;
  /** Whether a row that was just accepted never reaches the platform's library. */
  forgets?: Forgets;
  /** Told when a round failed; the next one tries again. */
  onError?: (error: unknown) => void;
}

export interface FrontDatabase {
  /** Resolves when the round under way is over. */
  stop(): Promise<void>;
}

/** The platform's own worker behind its front database: every `everyMs` it takes what has been handed in and writes the feedback. */
export function startFrontDatabase(execute: Execute, options: FrontDatabaseOptions): FrontDatabase {
  const stopping = new AbortController();
  const over = (async () => {
    while (!stopping.signal.aborted) {
      const taken = await takeRound(execute, options).catch((error: unknown) => {
        options.onError?.(error);
        return 0;
      });
      if (taken < BATCH) await pause(options.everyMs, undefined, { signal: stopping.signal }).catch(() => undefined);
    }
  })();
  return {
    async stop() {
      stopping.abort();
      await over;
    },
  };
}

/**
 * One round: rows of QZK.JS_YBXYPJ with JHKG '0' become '1', and QZK.FK_YBXYPJ says what was made of them. Both in one statement, so that a row
 * is never taken without an answer. QZK.HZ_YBXYPJ shows what the platform's library holds of them. Returns how many were taken.
 */
export async function takeRound(execute: Execute, options: Pick<FrontDatabaseOptions, 'directory' | 'now' | 'forgets'>): Promise<number> {
  const { rows } = await execute(`SELECT * FROM "QZK"."JS_YBXYPJ" WHERE "JHKG" = '0' ORDER BY "XRSJ", "XXBH" LIMIT ${BATCH}`);
  if (rows.length === 0) return 0;
  const at = shanghai((options.now ?? (() => new Date()))());
  const named = rows.map((row) => row['YXXBH']).filter((one) => typeof one === 'string' && one !== '');
  const { rows: taken } = await execute(`SELECT "XXBH" FROM "QZK"."FK_YBXYPJ" WHERE "XXBH" = ANY($1) AND "CLJG" = '1'`, [named]);
  const known = new Set(taken.map((row) => row['XXBH']));
  const feedback = rows.map((row) => {
    const key = String(row['XXBH']);
    const recalled = row['YXXBH'];
    const reason = recalled
      ? known.has(recalled)
        ? ''
        : '被撤回的信息不存在'
      : refusalOf({ ...row, PJZTMC: row['ZTMC'] }, options.directory);
    const receipt = `HN${createHash('sha256').update(key).digest('hex').slice(0, 18).toUpperCase()}`;
    return { XXBH: key, CLJG: reason ? '2' : '1', CLYJ: reason, HZBH: reason ? '' : receipt, CLSJ: at };
  });
  const kept = feedback.flatMap(({ XXBH, CLJG, HZBH, CLSJ }) =>
    CLJG === '1' && !options.forgets?.(XXBH) ? [{ XXBH, HZBH, RKSJ: CLSJ }] : [],
  );
  const done = await execute(
    `WITH answer AS (SELECT * FROM json_populate_recordset(NULL::"QZK"."FK_YBXYPJ", $1::json)),
       taken AS (UPDATE "QZK"."JS_YBXYPJ" j SET "JHKG" = '1' FROM answer a WHERE j."XXBH" = a."XXBH" AND j."JHKG" = '0' RETURNING j."XXBH"),
       told AS (INSERT INTO "QZK"."FK_YBXYPJ" SELECT a.* FROM answer a JOIN taken t ON t."XXBH" = a."XXBH" ON CONFLICT ("XXBH") DO NOTHING),
       held AS (INSERT INTO "QZK"."HZ_YBXYPJ" SELECT k.* FROM json_populate_recordset(NULL::"QZK"."HZ_YBXYPJ", $2::json) k
         JOIN taken t ON t."XXBH" = k."XXBH" ON CONFLICT ("XXBH") DO NOTHING)
     SELECT count(*)::int AS n FROM taken`,
    [JSON.stringify(feedback), JSON.stringify(kept)],
  );
  return Number(done.rows[0]?.['n'] ?? 0);
}
