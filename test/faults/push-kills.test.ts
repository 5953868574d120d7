/**
 * P6: no push has two effects and none is lost, whatever is killed and whichever answers are lost, in each of the ways a platform can be; and a build that
 * makes its keys anew goes red. `HUB_DEEP=1` runs the deep set, `HUB_SEED` repeats a run.
 */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { MODES, type PushKillResult, pushUnderKills } from '../setup/push-kills.ts';
import { SEED } from '../setup/seed.ts';

const DEEP = process.env['HUB_DEEP'] === '1';
const SET = DEEP ? { kills: 30, faults: 1000, organisations: 300 } : { kills: 4, faults: 100, organisations: 40 };

describe(`${SET.kills} kill -9s and ${SET.faults} lost answers while four platforms are pushed to (HUB_SEED=${SEED})`, () => {
  let result: PushKillResult;

  beforeAll(
    async () => {
      result = await pushUnderKills({ ...SET, seed: SEED });
      const { kills, faults, injected, decided, modes } = result;
      process.stderr.write(`${JSON.stringify({ seed: SEED, kills, faults, injected, decided, modes })}\n`);
    },
    DEEP ? 1_800_000 : 300_000,
  );
  afterAll(() => result?.close());

  it.each(MODES)('P6 a platform that acknowledges by %s holds everything once, and every done row has its receipt', (mode) => {
    const { doubled, lost, unproven, effects, recalls, rows } = result.modes[mode];
    expect({ doubled, lost, unproven }).toEqual({ doubled: [], lost: [], unproven: 0 });
    expect(effects).toBe((rows['publish done'] ?? 0) + recalls);
    expect(effects).toBeGreaterThan(20);
    expect(recalls).toBeGreaterThan(0);
    expect(Object.keys(rows).filter((state) => !/done|superseded/.test(state))).toEqual([]);
  });

  it('P6 the disturbance was real, and nothing of it was a bug', () => {
    expect(result.kills).toBe(SET.kills);
    expect(result.faults).toBeGreaterThanOrEqual(SET.faults);
    expect(result.decided).toBeGreaterThan(0);
    expect(result.bugs).toEqual([]);
  });
});

describe('the oracle', () => {
  it('P6 goes red for a build whose key is made anew for every attempt', async () => {
    const result = await pushUnderKills({ seed: 7, kills: 1, faults: 40, organisations: 40, broken: 'key-per-attempt' });
    await result.close();
    expect(result.modes.keys.doubled.length).toBeGreaterThan(0);
  }, 300_000);
});
