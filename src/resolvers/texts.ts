import { type DocumentNode, visit } from 'graphql';
import { Refused } from '../errors.ts';

/**
 * Refuses U+0000 in the texts of a request, literals and variables: PostgreSQL has no such character, so nothing can be found by it or kept with
 * it. Throws `Refused` BAD_TEXT (400). The variables MUST be coerced: their depth is that of the input types.
 */
export function checkTexts(document: DocumentNode, variables: Readonly<Record<string, unknown>>): void {
  visit(document, { StringValue: ({ value }) => check(value) });
  check(variables);
}

function check(value: unknown): void {
  if (typeof value === 'object' && value !== null) Object.values(value).forEach(check);
  else if (typeof value === 'string' && value.includes('\0'))
    throw new Refused('BAD_TEXT', '文本中含有不可用的字符 U+0000', { status: 400 });
}
