import type { Model, Route } from '../model/types.ts';
import { reject } from './reject.ts';
import { foldingLookup, isBlank, textOf } from './text.ts';
import { type Raw, own } from './value.ts';

/**
 * The category that HN-14 gives to the article a raw record rests on. Throws RejectRecord `required` without an article and `unknown-article`
 * for one that HN-14 does not place: there is no default category.
 */
export function compileRoute(model: Model, route: Route): (raw: Raw) => number {
  const codes = model.codes.get(route.codes)?.values;
  const find = foldingLookup(route.lookup);
  return (raw) => {
    for (const key of route.from) {
      const source = own(raw, key);
      if (isBlank(source)) continue;
      const category = codes?.get(find(textOf(source, key)) ?? '')?.extra['category'];
      if (typeof category !== 'number') throw reject('unknown-article', key);
      return category;
    }
    throw reject('required', route.from.join('/'));
  };
}
