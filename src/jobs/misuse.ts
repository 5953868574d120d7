import { alarmRules } from '../log/alarm-rules.ts';
import { alarmsCountedTo, countAlarms } from '../log/alarms.ts';
import { regionsOfTokens } from '../store/subject-ids.ts';
import type { Jobs } from './hub.ts';

/** How long the alarms are left uncounted. */
const EVERY_MS = 600_000;

/**
 * Counts the alarms on misuse (ZM-3.2.3) where nobody has done so for ten minutes, and says in the process log which rules have a new one; of whom, the
 * auditor reads in the graph, under an entry of the query log. What was counted once stays counted: the next call is cheap, in any process.
 */
export async function watchMisuse({ pool, keys, model, logger }: Jobs): Promise<void> {
  // The log has its own clock, also where a job's is set.
  const now = new Date();
  const countedTo = await alarmsCountedTo(pool);
  if (countedTo !== undefined && now.getTime() - Date.parse(countedTo) < EVERY_MS) return;
  const { raised } = await countAlarms(pool, alarmRules(model), (tokens) => regionsOfTokens(pool, keys, tokens), now);
  for (const rule of new Set(raised))
    logger.error({ rule, alarms: raised.filter((one) => one === rule).length }, 'alarm on misuse: an auditor is needed');
}
