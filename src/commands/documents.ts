import { readFileSync } from 'node:fs';
import { dayInShanghai } from '../mapping/dates.ts';
import { buildGraph } from '../resolvers/schema.ts';
import { toRegister } from '../resolvers/trusted.ts';
import { keepTrusted, trustedDocuments, withdrawTrusted } from '../store/trusted.ts';
import { type Reader, withLog } from './policy.ts';
import type { Environment } from './runtime.ts';

type Write = (text: string) => void;

/** `hub documents register`: a document that a department may ask for a purpose, for all its roles or one of them. Prints its hash. */
export async function registerDocument(
  environment: Environment,
  file: string,
  options: Reader & { department: string; purpose: string; role: string; region: string; operation: string },
  write: Write,
): Promise<void> {
  const text = readFileSync(file, 'utf8');
  const { department, purpose, role, region, operation } = options;
  await withLog(environment, options, `documents register ${department} ${purpose}`, async ({ pool, model }) => {
    const registration = { text, department, purpose, role, region, operation, today: dayInShanghai(new Date()) };
    const document = toRegister(buildGraph(model), model, model.limits, registration);
    await keepTrusted(pool, document, options.id);
    write(document.hash);
  });
}

/** `hub documents list`: the registered documents as JSON lines. */
export async function listDocuments(environment: Environment, options: Reader, write: Write): Promise<void> {
  await withLog(environment, options, 'documents list', async ({ pool }) => {
    for (const { text: _text, ...document } of await trustedDocuments(pool)) write(JSON.stringify(document));
  });
}

/** `hub documents withdraw`: takes a document from a department. Throws an Error when it does not have it. */
export async function withdrawDocument(environment: Environment, hash: string, options: Reader & { department: string }): Promise<void> {
  await withLog(environment, options, `documents withdraw ${options.department} ${hash.slice(0, 64)}`, async ({ pool }) => {
    if ((await withdrawTrusted(pool, hash, options.department, options.id)) === 0)
      throw new Error(`${options.department} has no document ${hash}`);
  });
}
