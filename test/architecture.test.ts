/** Who may import whom in src (design §2), and in which one folder each outside library is known. */
import { describe, expect, it } from '@jest/globals';
import { faultsOf, importsOf, readTree, type Rules } from './setup/architecture.ts';

const BASE = ['errors', 'config'];
const FACTS = [...BASE, 'model', 'identity'];
const LOGIC = [...FACTS, 'mapping', 'access', 'rules'];
const COMMANDS = [...LOGIC, 'store', 'log', 'jobs', 'resolvers', 'connectors', 'sandbox'];

const RULES: Rules = {
  edges: {
    errors: [],
    config: ['errors'],
    model: BASE,
    identity: BASE,
    mapping: [...FACTS, 'rules'],
    access: FACTS,
    rules: FACTS,
    connectors: FACTS,
    sandbox: FACTS,
    store: LOGIC,
    log: [...LOGIC, 'store'],
    jobs: [...LOGIC, 'store', 'log', 'connectors'],
    resolvers: [...LOGIC, 'store', 'log'],
    commands: COMMANDS,
    main: [...COMMANDS, 'commands'],
  },
  libraries: {
    axios: ['connectors'],
    'csv-parse': ['connectors'],
    fflate: ['connectors', 'sandbox'],
    bullmq: ['jobs'],
    ioredis: ['jobs'],
    '@apollo/*': ['resolvers'],
    '@fastify/*': ['resolvers'],
    dataloader: ['resolvers'],
    fastify: ['resolvers', 'sandbox'],
    graphql: ['resolvers'],
    'graphql-scalars': ['resolvers'],
    jose: ['resolvers'],
    'type-graphql': ['resolvers'],
    'reflect-metadata': ['resolvers', 'main'],
    '@mikro-orm/*': ['store'],
    // Databases of other people are read by one connector.
    pg: ['store', 'connectors/database.ts'],
    'sm-crypto-v2': ['store'],
    ajv: ['model'],
    yaml: ['model'],
    commander: ['main', 'commands'],
    pino: ['jobs', 'resolvers', 'commands', 'main'],
  },
  pure: { identity: ['node:crypto'], mapping: ['node:crypto'], access: ['node:crypto'], rules: ['node:crypto'] },
};

const LONGEST_FILE = 350;
const tree = readTree(new URL('../src/', import.meta.url).pathname);

describe('the source tree', () => {
  it('imports in one direction only, and each library in its own folder', () => {
    expect(Object.keys(tree)).toContain('errors.ts');
    expect(faultsOf(tree, RULES)).toEqual([]);
  });

  it('P7 T23 opens a platform in one place only, behind the gate that counts its calls', () => {
    const opening = Object.keys(tree).filter((file) =>
      importsOf(tree[file] ?? '').some((from) => from.endsWith('connectors/connector.ts')),
    );
    expect(opening).toEqual(['jobs/gate.ts']);
  });

  it(`has no file above ${LONGEST_FILE} lines`, () => {
    const lengths = Object.entries(tree).map(([file, text]) => ({ file, lines: text.split('\n').length - 1 }));
    expect(lengths.filter(({ lines }) => lines > LONGEST_FILE)).toEqual([]);
  });
});

describe('the table of imports', () => {
  const edge = (from: string, to: string): boolean => RULES.edges[from]?.includes(to) ?? false;

  it.each([
    ['resolvers', 'jobs'],
    ['jobs', 'resolvers'],
    ['resolvers', 'connectors'],
    ['connectors', 'store'],
    ['sandbox', 'store'],
  ])('never lets %s import %s', (from, to) => {
    expect(edge(from, to)).toBe(false);
  });

  it('lets no pure folder import a folder that does input or output', () => {
    const reached = ['model', ...Object.keys(RULES.pure)].flatMap((from) => RULES.edges[from] ?? []);
    expect(reached.filter((to) => ['store', 'log', 'jobs', 'resolvers', 'connectors', 'sandbox', 'commands', 'main'].includes(to))).toEqual(
      [],
    );
  });

  it('has no circle, so that a folder can be understood with what is below it', () => {
    const open = (from: string, path: string[]): string[][] =>
      path.includes(from) ? [[...path, from]] : (RULES.edges[from] ?? []).flatMap((to) => open(to, [...path, from]));
    expect(Object.keys(RULES.edges).flatMap((from) => open(from, []))).toEqual([]);
  });
});

describe('the checker of imports', () => {
  it('sees static, type, side-effect, re-export and dynamic imports over several lines, and nothing in comments and strings', () => {
    const text = `
      import a from './a.ts';
      import type { B } from './b.ts';
      import {
        c,
        type D,
      } from './c.ts';
      import * as e from "./e.ts"; import './f.ts';
      export { g } from './g.ts';
      export * from './h.ts';
      const i = await import('./i.ts');
      const j = require('./j.ts');
      type K = import('./k.ts').K;
      import{l}from'./l.ts';
      // import x from './x1.ts'
      /* import x from './x2.ts' */
      const url = 'https://example.org'; const text = "import x from './x3.ts'";
    `;
    expect(importsOf(text).sort()).toEqual(['a', 'b', 'c', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l'].map((name) => `./${name}.ts`));
  });

  it('finds each kind of fault in an invented tree', () => {
    const invented = {
      'errors.ts': '',
      'access/decide.ts': "import { readFileSync } from 'node:fs';\nimport { find } from '../store/find.ts';",
      'resolvers/query.ts': "import type { Job } from '../jobs/pull.ts';\nimport { Redis } from 'ioredis';",
      'connectors/rest.ts': "import { save } from '../store/load.ts';\nimport { Client } from 'pg';\nimport left from 'left-pad';",
      'connectors/database.ts': "import { Client } from 'pg';\nimport '../model/types.ts';",
      'helpers/text.ts': "import '../errors.ts';",
      'store/find.ts':
        "import x from '../../test/x.ts';\nimport { sql } from './sql.ts';\nimport { EntityManager } from '@mikro-orm/postgresql';",
    };
    expect(faultsOf(invented, RULES)).toEqual([
      'access/decide.ts: access is pure and must not import node:fs',
      'access/decide.ts: access must not import store (../store/find.ts)',
      'resolvers/query.ts: resolvers must not import jobs (../jobs/pull.ts)',
      'resolvers/query.ts: ioredis belongs to jobs',
      'connectors/rest.ts: connectors must not import store (../store/load.ts)',
      'connectors/rest.ts: pg belongs to store, connectors/database.ts',
      'connectors/rest.ts: library left-pad has no owner in the table',
      'helpers/text.ts: "helpers" is in no row of the table',
      'store/find.ts: ../../test/x.ts leaves src',
    ]);
  });
});
