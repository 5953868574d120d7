import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { environmentTable } from '../model/environment.ts';
import { loadModel } from '../model/load.ts';
import { catalogReference, type MetaSchema, schemaReference } from '../model/reference.ts';
import { buildGraph, printGraph } from '../resolvers/schema.ts';

const METAS = ['catalog', 'subjects', 'codes', 'connector', 'policy'];
const BEGIN = '<!-- environment -->';
const END = '<!-- /environment -->';

/**
 * `hub generate`: writes what follows from `schema/` – the SDL and the key reference there, the catalog page and the environment tables of the
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
    [join(above, 'README.md'), withTable(join(above, 'README.md'), environmentTable(model, 'en'))],
    [join(above, 'README.zh-CN.md'), withTable(join(above, 'README.zh-CN.md'), environmentTable(model, 'zh'))],
  ]);
  const stale = [...texts].filter(([path, text]) => current(path) !== text);
  if (check && stale.length > 0) throw new Error(`stale: ${stale.map(([path]) => path).join(', ')}; run npm run generate`);
  if (!check) for (const [path, text] of stale) writeFileSync(path, text);
}

function current(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

/** The page with the table between its markers. */
function withTable(path: string, table: string): string {
  const page = readFileSync(path, 'utf8');
  const begin = page.indexOf(BEGIN);
  const end = page.indexOf(END);
  if (begin < 0 || end < begin) throw new Error(`${path} has no ${BEGIN} … ${END}`);
  return `${page.slice(0, begin + BEGIN.length)}\n\n${table}\n\n${page.slice(end)}`;
}
