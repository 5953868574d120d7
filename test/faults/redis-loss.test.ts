/**
 * P6, P7: the queues only wake the workers. Whatever Redis loses, nothing is lost, nothing is sent twice, and all is caught up within half a minute; and a
 * build that trusts its queues goes red. `HUB_SEED` repeats a run.
 */
import { afterAll, beforeAll, describe, expect, it, test } from '@jest/globals';
import { MODES } from '../setup/push-kills.ts';
import { loseRedis, type LossResult } from '../setup/redis-loss.ts';
import { redisProgram } from '../setup/redis-server.ts';
import { SEED } from '../setup/seed.ts';

/** The promise: so long after a loss all is caught up. */
const PROMISED_MS = 30_000;

if (redisProgram === undefined) test.skip('skipped: there is no redis-server on the PATH', () => undefined);
else tests(redisProgram);

function tests(program: string): void {
  describe(`Redis loses everything ten times, by FLUSHALL and by kill -9, while pulls and pushes go on (HUB_SEED=${SEED})`, () => {
    let result: LossResult;

    beforeAll(async () => {
      result = await loseRedis({ program, seed: SEED, losses: 10, patienceMs: PROMISED_MS });
      const { losses, allMs, written, schedules, modes } = result;
      const effects = Object.fromEntries(MODES.map((mode) => [mode, modes[mode].effects]));
      process.stderr.write(`${JSON.stringify({ seed: SEED, losses, allMs, written, schedules, effects })}\n`);
    }, 300_000);
    afterAll(() => result?.close());

    it('P7 what was written before a loss is stored, sent and acknowledged within half a minute of it', () => {
      const { losses, allMs } = result;
      expect(losses.map((loss) => loss.how).toSorted()).toEqual([...Array(5).fill('FLUSHALL'), ...Array(5).fill('kill -9')]);
      expect(losses.filter((loss) => loss.caughtUpMs === undefined)).toEqual([]);
      expect(allMs).toEqual(expect.any(Number));
    });

    it('P7 every change is in the store once, and that of a daily stream too whose time came while Redis was away', () => {
      const { missing, twice, written, dailyRead } = result;
      expect({ missing, twice, dailyRead }).toEqual({ missing: [], twice: [], dailyRead: true });
      expect(written).toBeGreaterThan(50);
    });

    it('P7 U25 every schedule of the model is there again', () => {
      expect(result.schedules.found).toBe(result.schedules.wanted);
    });

    it.each(MODES)('P6 a platform that acknowledges by %s holds everything once, and every done row has its receipt', (mode) => {
      const { doubled, lost, unproven, effects, rows } = result.modes[mode];
      expect({ doubled, lost, unproven }).toEqual({ doubled: [], lost: [], unproven: 0 });
      expect(rows).toEqual({ 'publish done': effects });
      expect(effects).toBeGreaterThanOrEqual(result.written);
    });

    it('P7 nothing of it was a bug', () => {
      expect(result.bugs).toEqual([]);
    });
  });

  describe('the oracle', () => {
    it('P7 goes red for a build that never looks at the ledger', async () => {
      const result = await loseRedis({ program, seed: 7, losses: 2, spreadMs: 4000, patienceMs: 15_000, broken: 'queues-trusted' });
      await result.close();
      expect(result.allMs).toBeUndefined();
      expect(result.missing.length).toBeGreaterThan(0);
      expect(result.schedules.found).toBeLessThan(result.schedules.wanted);
    }, 300_000);
  });
}
