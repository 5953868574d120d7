import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv';
import { LineCounter, parseDocument } from 'yaml';
import type { ModelFault } from '../errors.ts';

/** One YAML file of `schema/`, parsed and valid by its JSON Schema. */
export interface SchemaFile {
  /** Path below the schema folder, with forward slashes. */
  file: string;
  folder: 'catalog' | 'codes' | 'connectors' | 'policies' | 'jurisdictions' | '';
  content: unknown;
}

const FOLDERS = ['catalog', 'codes', 'connectors', 'policies', 'jurisdictions'] as const;
/** Files beside the folders. */
const SINGLE = ['calendar.yml', 'limits.yml'];

/** The texts of a schema folder by path below it (`policies/tax.yml`, `meta/policy.schema.json`): what a model is made of, as it can be kept. */
export type SchemaTexts = Readonly<Record<string, string>>;

const META = ['catalog', 'subjects', 'codes', 'connector', 'policy', 'pack', 'limits', 'calendar'].map(
  (name) => `meta/${name}.schema.json`,
);

/** Reads what a model is made of below `root`. A folder that is missing is a fault of the model, not of the reading. */
export function readSchemaTexts(root: string): SchemaTexts {
  const texts: Record<string, string> = {};
  for (const file of META) texts[file] = readFileSync(join(root, file), 'utf8');
  for (const file of SINGLE) if (existsSync(join(root, file))) texts[file] = readFileSync(join(root, file), 'utf8');
  for (const folder of FOLDERS) {
    const path = join(root, folder);
    if (!existsSync(path)) continue;
    for (const name of readdirSync(path).sort())
      if (name.endsWith('.yml')) texts[`${folder}/${name}`] = readFileSync(join(path, name), 'utf8');
  }
  return texts;
}

/** Parses and validates every YAML text, and fills in the defaults of its JSON Schema; faults are collected, nothing is thrown for a bad file. `digest` covers all their bytes. */
export function parseSchema(texts: SchemaTexts, faults: ModelFault[]): { files: SchemaFile[]; digest: string } {
  const ajv = new Ajv({ allErrors: true, strict: false, useDefaults: true });
  const validators = new Map<string, ValidateFunction>();
  for (const file of META) validators.set(file, ajv.compile(JSON.parse(texts[file] ?? '{}') as object));
  const hash = createHash('sha256');
  const files: SchemaFile[] = [];
  for (const folder of [...FOLDERS, ''] as const) {
    const names = Object.keys(texts)
      .filter((file) => (folder === '' ? SINGLE.includes(file) : file.startsWith(`${folder}/`)))
      .sort();
    if (names.length === 0 && folder !== '') faults.push({ file: folder, path: '', reason: 'folder is missing' });
    for (const file of names) {
      const text = texts[file] ?? '';
      hash.update(`${file}\0${text}\0`);
      const content = parseYaml(file, text, faults);
      if (content === undefined) continue;
      const validate = validators.get(schemaOf(folder, file));
      if (validate !== undefined && !validate(content)) {
        for (const error of worthSaying(validate.errors ?? [])) faults.push({ file, path: error.instancePath, reason: reasonOf(error) });
        continue;
      }
      files.push({ file, folder, content });
    }
  }
  return { files, digest: hash.digest('hex').slice(0, 12) };
}

function schemaOf(folder: SchemaFile['folder'], file: string): string {
  const kinds = {
    catalog: 'catalog',
    codes: 'codes',
    connectors: 'connector',
    policies: 'policy',
    jurisdictions: 'pack',
    '': file.replace('.yml', ''),
  };
  return `meta/${file === 'catalog/subjects.yml' ? 'subjects' : kinds[folder]}.schema.json`;
}

function parseYaml(file: string, text: string, faults: ModelFault[]): unknown {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, uniqueKeys: true, merge: true });
  for (const error of document.errors) {
    faults.push({ file, path: '', reason: `line ${lines.linePos(error.pos[0]).line}: ${error.message.split('\n')[0]}` });
  }
  return document.errors.length > 0 ? undefined : (document.toJS() as unknown);
}

/** ajv names every branch of a failed oneOf; where a deeper error exists the summary of its parent says nothing new. */
function worthSaying(errors: ErrorObject[]): ErrorObject[] {
  const deepest = errors.filter((e) => !['oneOf', 'anyOf', 'not', 'const', 'if'].includes(e.keyword));
  return deepest.length > 0 ? deepest : errors;
}

function reasonOf(error: ErrorObject): string {
  const params = error.params as Record<string, unknown>;
  if (error.keyword === 'additionalProperties') return `unknown key ${String(params['additionalProperty'])}`;
  if (error.keyword === 'enum') return `must be one of ${(params['allowedValues'] as unknown[]).join(', ')}`;
  return error.message ?? error.keyword;
}
