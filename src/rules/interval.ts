import type { Interval } from '../model/types.ts';

/** Whether a range holds a value: 以上, 以下 include the edge, 不满, 超过 do not (SD-13). */
export function holds({ from, fromIncluded, to, toIncluded }: Interval, value: number): boolean {
  return (
    (from === undefined || (fromIncluded ? value >= from : value > from)) && (to === undefined || (toIncluded ? value <= to : value < to))
  );
}
