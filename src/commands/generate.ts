import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { articlesReference, type NamedTest, testsOf, toArticleRows } from '../model/articles.ts';
import { environmentTable, type Language } from '../model/environment.ts';
import { limitsTable } from '../model/limits.ts';
import { loadModel } from '../model/load.ts';
import { catalogReference, type MetaSchema, schemaReference } from '../model/reference.ts';
import type { Model } from '../model/types.ts';
import { buildGraph, printGraph } from '../resolvers/schema.ts';

const METAS = ['catalog', 'subjects', 'codes', 'connector', 'policy', 'pack', 'limits', 'calendar'];

/**
 * `hub generate`: writes what follows from `schema/` – the SDL and the key reference there, the catalog page, the page of the articles and the tables of the
 * READMEs in the folder above. With `check` nothing is written; throws an Error that names every stale file.
 */
export function generate(schema: string, check: boolean): void {
  const model = loadModel(schema);
  const above = join(schema, '..');
  const metas = METAS.map((name) => JSON.parse(readFileSync(join(schema, 'meta', `${name}.schema.json`), 'utf8')) as MetaSchema);
  const texts = new Map([
    [join(schema, 'hub.graphql'), printGraph(buildGraph(model))],
    [join(schema, 'README.md'), schemaReference(metas)],
    [join(above, 'docs/catalog.md'), catalogReference(model)],
    [
      join(above, 'docs/articles.md'),
      articlesReference(model, toArticleRows(readFileSync(join(above, 'docs/articles.yml'), 'utf8')), namedTests(join(above, 'test'))),
    ],
    [join(above, 'README.md'), withTables(model, join(above, 'README.md'), 'en')],
    [join(above, 'README.zh-CN.md'), withTables(model, join(above, 'README.zh-CN.md'), 'zh')],
  ]);
  const stale = [...texts].filter(([path, text]) => current(path) !== text);
  if (check && stale.length > 0) throw new Error(`stale: ${stale.map(([path]) => path).join(', ')}; run npm run generate`);
  if (!check) for (const [path, text] of stale) writeFileSync(path, text);
}

/** The named tests below a folder, in the order of their files. */
export function namedTests(folder: string): NamedTest[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((file) => file.replaceAll('\\', '/'))
    .filter((file) => /(\.test|-cases)\.ts$/.test(file))
    .sort()
    .flatMap((file) => testsOf(file, readFileSync(join(folder, file), 'utf8')));
}

function current(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

/** The page with each table between its markers. */
function withTables(model: Model, path: string, language: Language): string {
  const tables = { environment: environmentTable(model, language), limits: limitsTable(model, language) };
  return Object.entries(tables).reduce(
    (page, [name, table]) => {
      const [first, last] = [`<!-- ${name} -->`, `<!-- /${name} -->`];
      const [begin, end] = [page.indexOf(first), page.indexOf(last)];
      if (begin < 0 || end < begin) throw new Error(`${path} has no ${first} … ${last}`);
      return `${page.slice(0, begin + first.length)}\n\n${table}\n\n${page.slice(end)}`;
    },
    readFileSync(path, 'utf8'),
  );
}
