/** Which article is kept, and where that is shown: docs/articles.yml, the packs and the names of the tests say the same. */
import { describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { namedTests } from '../src/commands/generate.ts';
import { citesOf, entriesUnder, names, testsOf, toArticleRows } from '../src/model/articles.ts';
import { MODEL } from './setup/store.ts';

const rows = toArticleRows(readFileSync('docs/articles.yml', 'utf8'));
const tests = namedTests('test');
const known = new Set(rows.map(({ id }) => id));
const shown = (id: string): boolean => tests.some(({ name }) => names(name, id));

describe('the articles', () => {
  it('U9 no row that is kept has lost its last test', () => {
    expect(rows.filter(({ id, state }) => state === 'kept' && !shown(id)).map(({ id }) => id)).toEqual([]);
  });

  it('U9 no row is called open that a test shows, so that the page never says less than there is', () => {
    expect(rows.filter(({ id, state }) => state !== 'kept' && shown(id)).map(({ id }) => id)).toEqual([]);
  });

  it('U9 every article that a pack cites is a row of its documents', () => {
    const foreign = [...MODEL.packs.values()].flatMap((pack) =>
      [...citesOf(pack)]
        .filter((id) => ![...known].some((row) => row === id || row.startsWith(`${id}.`) || row.startsWith(`${id}(`)))
        .map((id) => `${pack.id} ${id}`),
    );
    expect(foreign).toEqual([]);
  });

  it('U9 the names of tests are read from the code and a row is not taken for another', () => {
    const text = "it('HN-24.2 a', () => {}); it.each([1])(`SD-9 %d`, () => {}); describe('x', () => { test(\n  'WG-1 \\'y\\'', f) })";
    expect(testsOf('f', text).map(({ name }) => name)).toEqual(['HN-24.2 a', 'SD-9 %d', 'x', "WG-1 'y'"]);
    expect([
      names('HN-24.2 a', 'HN-24'),
      names('HN-24.2 a', 'HN-24.2'),
      names('SD-9.25', 'SD-9.2'),
      names('a (HN-24.2)', 'HN-24.2'),
    ]).toEqual([false, true, false, true]);
    expect(entriesUnder(MODEL.packs.get('shandong')!, 'SD-9.3')).toEqual(['shandong.suspensions.0'.replace('0', '1')]);
  });
});
