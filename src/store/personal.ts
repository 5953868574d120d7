import { classify, type IdentifierKind } from '../identity/classify.ts';
import type { Keys } from './keys.ts';
import { identifierDomain } from './subjects.ts';
import type { Sql } from './sql.ts';

/**
 * Whom a raw record or an entry by hand is about, told from the numbers in it: what cannot be stored as credit information is still erased with the
 * person. Eight digits, which may be a Taiwan permit or anything else, tell of nobody.
 */
const PERSONAL: ReadonlySet<IdentifierKind> = new Set([
  'citizen-id',
  'residence-permit',
  'foreign-permanent-resident',
  'travel-permit-hk-mo',
]);
/** No birthday lies after it: a number in a raw record is somebody's, whatever the day is. */
const ANY_DAY = '9999-12-31';

/** The texts of a raw record, at any depth. */
export function textsOf(raw: unknown): string[] {
  const texts: string[] = [];
  const open: unknown[] = [raw];
  for (let one = open.pop(); one !== undefined; one = open.pop()) {
    if (typeof one === 'string') texts.push(one);
    else if (typeof one === 'object' && one !== null)
      open.push(...Object.values(one).filter((value) => value !== undefined && value !== null));
  }
  return texts;
}

/** Blind index tokens of the persons' numbers among these texts. */
export function personTokens(keys: Keys, texts: readonly string[]): Buffer[] {
  const codes = texts.flatMap((text) => {
    if (text.length < 9 || text.length > 40) return [];
    const { kind, valid, normalized } = classify(text, ANY_DAY);
    return valid && PERSONAL.has(kind) ? [{ scheme: kind, code: normalized }] : [];
  });
  const unique = new Map(codes.map((id) => [`${id.scheme} ${id.code}`, id]));
  return [...unique.values()].map(({ scheme, code }) => keys.blindToken(identifierDomain(scheme), code));
}

/**
 * Seals texts under the key of a person each is about, where the hub knows one; else under the ring's. Null for an empty text, and for one about a
 * person of whom nothing more is taken. The tokens stay with it, for the persons who become known later.
 */
export async function sealPersonal(
  sql: Sql,
  keys: Keys,
  texts: readonly { text: string; tokens: readonly Buffer[] }[],
  context: string,
): Promise<{ sealed: string | null; tokens: readonly Buffer[] }[]> {
  const known = await personsOf(
    sql,
    keys,
    texts.flatMap(({ tokens }) => tokens),
  );
  return texts.map(({ text, tokens }) => {
    const persons = tokens.flatMap((token) => known.get(token.toString('hex')) ?? []);
    if (text === '' || persons.some((person) => person.withheld)) return { sealed: null, tokens: [] };
    const [person] = persons;
    const sealer = person?.wrapped == null ? keys : keys.subjectKey(person.subject_id, person.wrapped);
    return { sealed: sealer.seal(text, context), tokens };
  });
}

interface Person {
  token: Buffer;
  subject_id: number;
  withheld: boolean;
  wrapped: string | null;
}

async function personsOf(sql: Sql, keys: Keys, tokens: readonly Buffer[]): Promise<Map<string, Person>> {
  if (tokens.length === 0) return new Map();
  // A number may be indexed under a later generation alone.
  const forms = tokens.flatMap((token) => [token, ...keys.blindLater(token)].map((form) => ({ form, of: token.toString('hex') })));
  const { rows } = await sql.query<Person>(
    `select i.token, i.subject_id, s.withheld is not null as withheld, k.wrapped
     from subject_identifier i join subject s on s.id = i.subject_id left join subject_key k on k.subject_id = i.subject_id where i.token = any($1)`,
    [forms.map(({ form }) => form)],
  );
  const byForm = new Map(forms.map(({ form, of }) => [form.toString('hex'), of]));
  return new Map(rows.map((row) => [byForm.get(row.token.toString('hex')) ?? '', row]));
}
