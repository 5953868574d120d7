/** `schema/` is checked as a whole when a process starts: every fault at once, each with its file, place and reason. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BadModel, type ModelFault } from '../src/errors.ts';
import { loadModel } from '../src/model/load.ts';
import type { Field } from '../src/model/types.ts';

const ROOT = new URL('../', import.meta.url).pathname;
const SCHEMA = join(ROOT, 'schema');
let broken: string;
let folder: string;
let faults: readonly ModelFault[];

/** Replaces a text of one file of the copy; the text MUST be there, or the test would break nothing. */
function edit(file: string, from: string | RegExp, to: string): void {
  const path = join(broken, file);
  const text = readFileSync(path, 'utf8');
  const edited = text.replace(from, to);
  if (edited === text) throw new Error(`${file} has no ${String(from)}`);
  writeFileSync(path, edited);
}

function faultsOf(root: string): readonly ModelFault[] {
  try {
    loadModel(root);
    return [];
  } catch (error) {
    if (error instanceof BadModel) return error.faults;
    throw error;
  }
}

/** `hub model check` in a process of its own. */
function check(schema: string): { status: number | null; stdout: string; stderr: string } {
  const args = ['--disable-warning=ExperimentalWarning', '--import', './scripts/ts-hook.mjs', 'src/main.ts', 'model', 'check'];
  return spawnSync(process.execPath, args, { cwd: ROOT, env: { PATH: process.env['PATH'], HUB_SCHEMA: schema }, encoding: 'utf8' });
}

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'credit-hub-model-'));
  broken = join(folder, 'schema');
  cpSync(SCHEMA, broken, { recursive: true });
  edit('codes/honour-levels.yml', 'codes: honour-levels', 'codes: honour-levels\ncolour: red');
  rmSync(join(broken, 'catalog/12-other.yml'));
  cpSync(join(broken, 'catalog/09-violation.yml'), join(broken, 'catalog/13-violation.yml'));
  edit('catalog/08-commitment.yml', 'codes: commitment-status', 'codes: no-such-set');
  edit('catalog/06-evaluation.yml', 'sensitivity: internal', 'sensitivity: secret');
  edit('connectors/credit-china.yml', '        penaltyKind:', '        penaltyColour:');
  edit('policies/market-supervision.yml', 'bidding,', 'building,');
  edit('limits.yml', 'burst: 60000', 'burst: 600');
  edit('policies/tax.yml', 'departments: [tax]', 'departments: [tax');
  faults = faultsOf(broken);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('a model with faults', () => {
  const expected: [string, string, RegExp][] = [
    ['limits.yml', '/budgets/person/burst', /^is less than the 20010 units that one query may cost$/],
    ['codes/honour-levels.yml', '', /^unknown key colour$/],
    ['catalog', '', /^category 12 of HN-14 is missing$/],
    ['catalog/13-violation.yml', '', /^category:9 is already defined in catalog\/09-violation\.yml$/],
    ['catalog/08-commitment.yml', '/fields/status', /^code set no-such-set does not exist$/],
    ['catalog/06-evaluation.yml', '/fields/', /^must be one of open, internal, commercial, personal, identity$/],
    ['connectors/credit-china.yml', '/streams/penalties/mapping/fields/penaltyColour', /^no field of AdministrationRecord$/],
    ['policies/market-supervision.yml', '/rules', /purpose building is not in codes\/purposes$/],
    ['policies/tax.yml', '', /^line \d+: /],
  ];

  it.each(expected)('is refused for %s %s', (file, path, reason) => {
    const found = faults.filter((fault) => fault.file === file && fault.path.startsWith(path) && reason.test(fault.reason));
    expect(found).toHaveLength(1);
  });

  it('is refused with all of them at once, and each names a file, a place and a reason', () => {
    expect(faults.length).toBeGreaterThanOrEqual(expected.length);
    for (const { file, path, reason } of faults) {
      expect(file).toMatch(/^(limits\.yml|(catalog|codes|connectors|policies|jurisdictions)(\/[\w-]+\.yml)?)$/);
      expect(path).toMatch(/^(\/.*)?$/);
      expect(reason).not.toBe('');
    }
    expect(new Set(faults.map((fault) => JSON.stringify(fault))).size).toBe(faults.length);
  });

  it('ends `hub model check` with the same list and exit code 1', () => {
    const { status, stdout, stderr } = check(broken);
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(stderr.trimEnd().split('\n')).toEqual([
      `schema/ has ${faults.length} fault(s):`,
      ...faults.map(({ file, path, reason }) => `  ${file}${path === '' ? '' : `#${path}`}: ${reason}`),
    ]);
  });
});

describe('the model of this hub', () => {
  it('HN-14 has no fault, twelve categories, and one version for the same files', () => {
    const model = loadModel(SCHEMA);
    expect([...model.categories.keys()]).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
    expect(loadModel(SCHEMA).version).toBe(model.version);
    const { status, stdout } = check(SCHEMA);
    expect({ status, stdout }).toEqual({ status: 0, stdout: expect.stringContaining(`model ${model.version}: 12 categories`) });
  });

  it('HN-23.2 has another version after any change of a file', () => {
    const copy = join(folder, 'changed');
    cpSync(SCHEMA, copy, { recursive: true });
    writeFileSync(join(copy, 'policies/tax.yml'), `${readFileSync(join(copy, 'policies/tax.yml'), 'utf8')}# one remark more\n`);
    expect(loadModel(copy).version).not.toBe(loadModel(SCHEMA).version);
  });

  it('HUB-4 gives every field of every rule an answer that its catalog can keep: no mask without a form of it', () => {
    const model = loadModel(SCHEMA);
    const fields = new Map<string, Field>(
      [...model.subjects.values(), ...model.categories.values()].flatMap((type) =>
        [...type.fields.values()].map((field) => [`${type.type}.${field.name}`, field] as const),
      ),
    );
    for (const rule of model.rules)
      for (const [coordinate, access] of rule.fields) {
        const field = fields.get(coordinate);
        expect(field).toBeDefined();
        if (access === 'mask') expect(field?.mask).toBeDefined();
        // A sealed value is opened for nobody in this jurisdiction: every rule that gives it gives its mask.
        if (field?.sensitivity === 'identity') expect(access).toBe('mask');
      }
  });
});
