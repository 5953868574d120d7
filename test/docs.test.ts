/** What the pages say is true: commands, paths, tables, examples and generated parts are compared with the project itself. */
import { describe, expect, it } from '@jest/globals';
import { execFile } from 'node:child_process';
import { appendFileSync, cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { buildSchema, parse as parseGraphql, validate } from 'graphql';
import { parse as parseYaml } from 'yaml';
import { compileMapping } from '../src/mapping/compile.ts';
import { environmentTable } from '../src/model/environment.ts';
import { findStream, loadModel } from '../src/model/load.ts';
import type { Model } from '../src/model/types.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const READMES = ['README.md', 'README.zh-CN.md'];
const PAGES = [...READMES, 'docs/architecture.md', 'docs/add-a-source.md', 'docs/catalog.md', 'docs/events.md', 'schema/README.md'];
const read = (path: string): string => readFileSync(join(root, path), 'utf8');
const model = loadModel(join(root, 'schema'));

/** The fenced blocks of a page in one language. */
function blocks(page: string, language: string): string[] {
  return [...read(page).matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)].flatMap(([, name, text = '']) => (name === language ? [text] : []));
}

const withoutBlocks = (page: string): string => read(page).replaceAll(/^```[\s\S]*?^```$/gm, '');
const headings = (page: string): number[] => [...withoutBlocks(page).matchAll(/^(#+) /gm)].map(([, marks = '']) => marks.length);

async function hub(...args: string[]): Promise<string> {
  const hook = join(root, 'scripts/ts-hook.mjs');
  const options = ['--disable-warning=ExperimentalWarning', '--import', hook, join(root, 'src/main.ts')];
  const { stdout } = await promisify(execFile)(process.execPath, [...options, ...args], { cwd: root });
  return stdout;
}

/** Loads a copy of `schema/` after `change`, which gets its folder. */
function modelWith(change: (schema: string) => void): Model {
  const folder = mkdtempSync(join(tmpdir(), 'credit-hub-docs-'));
  try {
    cpSync(join(root, 'schema'), folder, { recursive: true });
    change(folder);
    return loadModel(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

describe('README', () => {
  it('has the same sections in both languages', () => {
    expect(headings('README.zh-CN.md')).toEqual(headings('README.md'));
    expect(headings('README.md').length).toBeGreaterThan(10);
  });

  it('has the same examples in both languages', () => {
    for (const language of ['sh', 'yaml', 'graphql', 'json', 'jsonc'])
      expect(blocks('README.zh-CN.md', language)).toEqual(blocks('README.md', language));
  });

  it.each([
    ['README.md', 'en'],
    ['README.zh-CN.md', 'zh'],
  ] as const)('%s has the table of every environment variable that `config` prints', async (page, language) => {
    const table = /<!-- environment -->\n\n([\s\S]*?)\n\n<!-- \/environment -->/.exec(read(page))?.[1];
    expect(table).toBe(environmentTable(model, language));
    expect(await hub('config', '--language', language)).toBe(`${table}\n`);
  });

  it.each(READMES)('%s names every error code that the API gives, and no other', (page) => {
    const sources = ['access', 'log', 'resolvers', 'store'].flatMap((folder) =>
      readdirSync(join(root, 'src', folder))
        .filter((file) => file.endsWith('.ts'))
        .map((file) => read(`src/${folder}/${file}`)),
    );
    const thrown = sources.flatMap((text) => [...text.matchAll(/new Refused\(\s*'([A-Z_]+)'/g)].map(([, code = '']) => code));
    const named = [...read(page).matchAll(/^\| `([A-Z_]+)` +\| \d{3} /gm)].map(([, code = '']) => code);
    expect(thrown.filter((code) => !named.includes(code))).toEqual([]);
    expect(named.filter((code) => !sources.some((text) => text.includes(code)))).toEqual([]);
  });

  it.each(READMES)('%s names the twelve categories as the catalog does', (page) => {
    const rows = [...read(page).matchAll(/^\| (\d+) +\| (\S+) +\| (.+?) +\| `(\w+)` +\|$/gm)].map((row) => row.slice(1));
    expect(rows).toEqual([...model.categories.values()].map((c) => [String(c.no), c.zh, c.en, c.type]));
  });

  it.each(READMES)('%s draws the folders that there are', (page) => {
    const [tree = ''] = blocks(page, 'text').filter((text) => text.startsWith('schema/'));
    let top = '';
    const drawn = tree
      .trimEnd()
      .split('\n')
      .map((line) => {
        const name = line.trim().split(' ')[0] ?? '';
        if (line.startsWith(' ')) return top + name;
        top = name;
        return name;
      });
    expect(drawn.filter((path) => !existsSync(join(root, path)))).toEqual([]);
    const folders = readdirSync(join(root, 'src'), { withFileTypes: true }).filter((entry) => entry.isDirectory());
    expect(folders.map(({ name }) => `src/${name}/`).filter((path) => !drawn.includes(path))).toEqual([]);
  });

  it('asks a query that the graph takes', () => {
    const graph = buildSchema(read('schema/hub.graphql'));
    const inJson = blocks('README.md', 'sh').flatMap((text) => /-d '(.*)'/.exec(text)?.[1] ?? []);
    const queries = [...blocks('README.md', 'graphql'), ...inJson.map((text) => (JSON.parse(text) as { query: string }).query)];
    expect(queries).toHaveLength(3);
    for (const query of [...queries, ...blocks('docs/events.md', 'graphql')]) expect(validate(graph, parseGraphql(query))).toEqual([]);
  });

  it('adds a source and a field that load', () => {
    const [source = '', field = ''] = blocks('README.md', 'yaml');
    const [[name = '', value = {}] = []] = Object.entries(parseYaml(field) as Record<string, object>);
    const changed = modelWith((schema) => {
      writeFileSync(join(schema, 'connectors/example-credit.yml'), source);
      appendFileSync(join(schema, 'catalog/03-administration.yml'), `\n  ${name}: ${JSON.stringify(value)}\n`);
    });
    expect(findStream(changed, 'example-credit/penalties')?.direction).toBe('pull');
    expect(changed.categories.get(3)?.fields.get(name)).toMatchObject(value);
  });
});

describe('docs/add-a-source.md', () => {
  it('shows a raw record and what the mapping of the README makes of it', () => {
    const [source = ''] = blocks('README.md', 'yaml');
    const [raw, expected] = blocks('docs/add-a-source.md', 'json').map((text) => JSON.parse(text) as Record<string, unknown>);
    const changed = modelWith((schema) => writeFileSync(join(schema, 'connectors/example-credit.yml'), source));
    const stream = findStream(changed, 'example-credit/penalties');
    if (stream?.direction !== 'pull' || raw === undefined) throw new Error('the example is not there');
    const record = compileMapping(changed, stream).map(raw, '2026-11-21');
    expect(record).toMatchObject(expected ?? {});
    expect(record.fields).toEqual(expected?.['fields']);
  });
});

describe('every page', () => {
  it('is fresh where it is generated', async () => {
    await hub('generate', '--check');
  });

  it.each(PAGES)('%s links to files that exist', (page) => {
    const links = [...withoutBlocks(page).matchAll(/\]\(([^)]+)\)/g)].map(([, link = '']) => link.split('#')[0] ?? '');
    const missing = links.filter((link) => link !== '' && !/^https?:/.test(link) && !existsSync(join(root, dirname(page), link)));
    expect(missing).toEqual([]);
  });

  it.each(PAGES)('%s names paths that exist', (page) => {
    const places = ['.', dirname(page), 'schema'];
    const named = [...withoutBlocks(page).matchAll(/`((?:[\w.-]+\/)+[\w.-]*)`/g)].map(([, path = '']) => path);
    const own = named.filter((path) =>
      /^(?:src|schema|test|docs|console|bench|scripts|codes|catalog|connectors|policies|meta)\//.test(path),
    );
    expect(own.filter((path) => !/\b(?:NN-)?ID\.yml$/.test(path) && !places.some((place) => existsSync(join(root, place, path))))).toEqual(
      [],
    );
  });

  it('names commands that exist', async () => {
    const scripts = Object.keys((JSON.parse(read('package.json')) as { scripts: object }).scripts);
    const commands = async (...args: string[]) =>
      [...(await hub(...args, '--help')).matchAll(/^ {2}([a-z]+) /gm)].map(([, name = '']) => name);
    const known = { hub: await commands(), log: await commands('log'), model: await commands('model') };
    for (const page of PAGES) {
      const text = read(page);
      const used = [...text.matchAll(/npm (?:run (?:-s )?)?(demo|test|start|[a-z]+:[a-z]+|(?<=run (?:-s )?)[a-z]+)/g)].map(
        ([, name = '']) => name,
      );
      expect(used.filter((name) => !scripts.includes(name))).toEqual([]);
      for (const [, command = '', rest = ''] of text.matchAll(/\bhub -- ([a-z]+)(?: ([a-z]+))?/g)) {
        expect(known.hub).toContain(command);
        if (command === 'log' || command === 'model') expect(known[command]).toContain(rest);
      }
    }
    for (const page of READMES)
      expect(known.hub.filter((name) => name !== 'help' && !new RegExp(`(hub -- |run )${name}\\b`).test(read(page)))).toEqual([]);
  });
});
