/** Reads the import statements of source files and compares them with a table of what may be imported from where. */
import { readdirSync, readFileSync } from 'node:fs';
import { join, posix } from 'node:path';

export interface Rules {
  /** Folder (or stem of a file directly in src) → the folders it may import, besides itself. */
  edges: Readonly<Record<string, readonly string[]>>;
  /** Library (`@scope/*` for a scope) → folders or files that may import it. A library that is not listed has no owner: a fault. */
  libraries: Readonly<Record<string, readonly string[]>>;
  /** Folders without input or output, with the modules of Node they may use nevertheless. */
  pure: Readonly<Record<string, readonly string[]>>;
}

/** Path relative to src, with `/` → text. */
export type Tree = Readonly<Record<string, string>>;

export function readTree(root: string): Tree {
  const files = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'));
  return Object.fromEntries(files.map((file) => [file.replaceAll('\\', '/'), readFileSync(join(root, file), 'utf8')]));
}

const STRING_OR_COMMENT = /"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`|\/\/[^\n]*|\/\*[\s\S]*?\*\//g;
const IMPORTS = [
  /(?:^|;)\s*(?:import|export)\b[^'"`;]*?\bfrom\s*["']([^"'\n]+)["']/gm,
  /(?:^|;)\s*import\s*["']([^"'\n]+)["']/gm,
  /\b(?:import|require)\s*\(\s*["'`]([^"'`$\n]+)["'`]/g,
];

/** Every module named by a static, side-effect, type or dynamic import, each once, in no particular order. */
export function importsOf(text: string): string[] {
  const code = text.replace(STRING_OR_COMMENT, (found) => (found.startsWith('/') ? ' ' : found));
  return [...new Set(IMPORTS.flatMap((pattern) => [...code.matchAll(pattern)].map((match) => match[1] ?? '')))];
}

/** One line for each import that the rules do not allow; empty when all is well. */
export function faultsOf(tree: Tree, rules: Rules): string[] {
  return Object.entries(tree).flatMap(([file, text]) =>
    importsOf(text)
      .map((specifier) => faultOf(file, specifier, rules))
      .filter((fault) => fault !== undefined),
  );
}

function faultOf(file: string, specifier: string, rules: Rules): string | undefined {
  const from = folderOf(file);
  const allowed = rules.edges[from];
  if (allowed === undefined) return `${file}: "${from}" is in no row of the table`;
  if (specifier.startsWith('.')) {
    const target = posix.join(posix.dirname(file), specifier);
    if (target.startsWith('../')) return `${file}: ${specifier} leaves src`;
    const to = folderOf(target);
    return to === from || allowed.includes(to) ? undefined : `${file}: ${from} must not import ${to} (${specifier})`;
  }
  if (specifier.startsWith('node:')) {
    const usable = rules.pure[from];
    return usable === undefined || usable.includes(specifier) ? undefined : `${file}: ${from} is pure and must not import ${specifier}`;
  }
  const library = specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/');
  const owners = rules.libraries[library] ?? rules.libraries[`${library.split('/')[0]}/*`];
  if (owners === undefined) return `${file}: library ${library} has no owner in the table`;
  return owners.includes(from) || owners.includes(file) ? undefined : `${file}: ${library} belongs to ${owners.join(', ')}`;
}

/** `store/load.ts` → `store`, `main.ts` → `main`. */
function folderOf(file: string): string {
  const [first = ''] = file.split('/');
  return file.includes('/') ? first : first.replace(/\.(?:ts|js)$/, '');
}
