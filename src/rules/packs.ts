import { Refused } from '../errors.ts';
import type { Pack } from '../model/types.ts';

/** What a pack is on a day. A draft is never in force; a lapsed one is the basis of no new decision (SD-15, HN-37). */
export type PackState = 'in-force' | 'not-yet' | 'lapsed' | 'draft';

/** Legal status of a pack on a day, `YYYY-MM-DD`. The first and the last day are in force. */
export function stateOf(pack: Pack, day: string): PackState {
  if (pack.status === 'draft') return 'draft';
  if (pack.from !== undefined && day < pack.from) return 'not-yet';
  return pack.to !== undefined && day > pack.to ? 'lapsed' : 'in-force';
}

/** Packs of a region, the nearest first: the county's before the city's, the province's, the nation's. Whatever their state. */
export function packsOf(packs: ReadonlyMap<string, Pack>, region: string): Pack[] {
  const nearest = (pack: Pack): number => Math.max(-1, ...pack.regions.filter((one) => region.startsWith(one)).map((one) => one.length));
  return [...packs.values()].filter((pack) => nearest(pack) >= 0).sort((a, b) => nearest(b) - nearest(a));
}

/** Parts of a pack that decide something. */
export type Section = {
  [K in keyof Pack]-?: NonNullable<Pack[K]> extends object ? K : never;
}[keyof Pack];

export interface Ruling<S extends Section> {
  pack: Pack;
  rule: NonNullable<Pack[S]>;
}

/** What is decided for: `simulate` takes drafts and lapsed rules too, and has no effect. */
export interface Occasion {
  region: string;
  /** `YYYY-MM-DD`. */
  day: string;
  simulate?: boolean;
}

/**
 * The rule of the nearest pack that has this section. Throws `Refused` NO_RULE where none has, PACK_LAPSED, PACK_NOT_YET or PACK_DRAFT where the nearest is
 * not in force: what stands above it does not take its place (U9).
 */
export function ruleOf<S extends Section>(packs: ReadonlyMap<string, Pack>, section: S, { region, day, simulate }: Occasion): Ruling<S> {
  for (const pack of packsOf(packs, region)) {
    const rule = pack[section];
    if (rule === undefined || (Array.isArray(rule) && rule.length === 0)) continue;
    const state = stateOf(pack, day);
    if (state !== 'in-force' && simulate !== true) throw noBasis(pack, state, day);
    return { pack, rule: rule as NonNullable<Pack[S]> };
  }
  throw new Refused('NO_RULE', '该地区没有适用的规则', { details: { region, section } });
}

function noBasis(pack: Pack, state: Exclude<PackState, 'in-force'>, day: string): Refused {
  const details = { pack: pack.id, number: pack.number, article: pack.cite, day };
  switch (state) {
    case 'lapsed':
      return new Refused('PACK_LAPSED', `${pack.zh}已于 ${pack.to} 失效，不得据以作出新的决定`, { details });
    case 'not-yet':
      return new Refused('PACK_NOT_YET', `${pack.zh}自 ${pack.from} 起施行，尚未生效`, { details });
    case 'draft':
      return new Refused('PACK_DRAFT', `${pack.zh}为征求意见稿，只能用于模拟`, { details });
  }
}
