import { BadModel } from '../errors.ts';
import type { Model } from '../model/types.ts';

const COUNTS = ['entries', 'subjects', 'same-subject'] as const;
const OF = ['all', 'without-case', 'outside-region', 'between-hours', 'refused'] as const;

/** One line of `schema/codes/alarm-rules.yml`. */
export interface AlarmRule {
  code: string;
  zh: string;
  article: string;
  /** Entries, distinct subjects, or entries of one and the same subject. */
  counts: (typeof COUNTS)[number];
  of: (typeof OF)[number];
  minutes: number;
  threshold: number;
  /** Least share of what is counted in all entries of the person and window. */
  percent: number;
  /** Hours in Asia/Shanghai, of `between-hours`; `from` may be the later one. */
  from: number;
  until: number;
}

/** The rules of the alarms. Throws `BadModel` where one cannot be counted as it is written. */
export function alarmRules(model: Model): AlarmRule[] {
  const values = [...(model.codes.get('alarm-rules')?.values.values() ?? [])];
  return values.map(({ code, zh, extra }) => {
    const number = (name: string, otherwise: number): number => (extra[name] === undefined ? otherwise : Number(extra[name]));
    const counts = COUNTS.find((one) => one === extra['counts']);
    const of = OF.find((one) => one === extra['of']);
    const rule = { minutes: number('minutes', 0), threshold: number('threshold', 0), percent: number('percent', 0) };
    const hours = { from: number('from', 0), until: number('until', 0) };
    const whole = Object.values({ ...rule, ...hours }).every((n) => Number.isInteger(n) && n >= 0);
    if (counts === undefined || of === undefined || !whole || rule.threshold < 1 || !(rule.minutes > 0) || 1440 % rule.minutes !== 0)
      throw new BadModel([{ file: 'codes/alarm-rules.yml', path: `/values/${code}`, reason: 'counts, of, minutes or threshold is wrong' }]);
    if (of === 'between-hours' && hours.from === hours.until)
      throw new BadModel([{ file: 'codes/alarm-rules.yml', path: `/values/${code}`, reason: 'from and until are the same hour' }]);
    return { code, zh, article: String(extra['article'] ?? ''), counts, of, ...rule, ...hours };
  });
}
