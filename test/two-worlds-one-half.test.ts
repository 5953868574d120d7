/**
 * P10 A denied field leaks through nothing: the same documents in two worlds that differ only in what the caller may not see get the same answers
 * through the same statements. Half of the callers; the other half runs beside it. `HUB_DEEP=1` asks 20,000 documents a policy, `HUB_SEED` repeats
 * a run, `HUB_DOCUMENTS` asks another number.
 */
import { twoWorlds } from './setup/two-worlds-cases.ts';

twoWorlds(0, 2);
