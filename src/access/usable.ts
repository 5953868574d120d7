import { Refused } from '../errors.ts';
import type { Model } from '../model/types.ts';
import { type Caller, supposed } from './caller.ts';
import { decide, explain } from './decide.ts';

/** Coordinates of the catalog that a caller can use at all: to select, plain or masked, and to filter by. */
export interface Usable {
  selected: ReadonlySet<string>;
  filtered: ReadonlySet<string>;
}

/**
 * What the decision would give, asked coordinate by coordinate: for the purpose that is stated, or without one for any purpose that could be.
 * Made of the decision itself, so that what the graph tells of itself never differs from what it answers.
 */
export function usableBy(model: Model, caller: Caller, purpose: string | undefined, today: string): Usable {
  const purposes = purpose === undefined ? new Set(model.rules.flatMap((rule) => rule.purposes)) : [purpose];
  const types = [...model.subjects.values(), ...model.categories.values()];
  const coordinates = types.flatMap((type) => [...type.fields.keys()].map((field) => `${type.type}.${field}`));
  const selected = new Set<string>();
  const filtered = new Set<string>();
  for (const code of purposes) {
    for (const coordinate of coordinates) {
      if (explain(model, caller, supposed(code), coordinate, today).access === 'deny') continue;
      selected.add(coordinate);
      if (!filtered.has(coordinate) && mayFilter(model, caller, code, coordinate, today)) filtered.add(coordinate);
    }
  }
  return { selected, filtered };
}

function mayFilter(model: Model, caller: Caller, code: string, coordinate: string, today: string): boolean {
  const none: ReadonlySet<string> = new Set();
  try {
    decide(model, caller, supposed(code), { selected: none, explicit: none, constrained: new Set([coordinate]) }, today);
    return true;
  } catch (error) {
    if (error instanceof Refused) return false;
    throw error;
  }
}
