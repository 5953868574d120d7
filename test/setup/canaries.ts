/** Finds numbers and secrets where they must not be, however they are written. */
import { createHash } from 'node:crypto';
import { classify } from '../../src/identity/classify.ts';

/** How a number was written where it was found. */
export type Form = 'plain' | 'reversed' | 'hex' | 'base64' | 'hash';

export interface Hit {
  form: Form;
  /** The number's place in the list given, so that a failure prints no number. */
  canary: number;
}

export interface Scanner {
  /** Every number that the text holds in one of the forms; each once. */
  numbers(text: string): Hit[];
}

const NUMBER = /(?=(\d{17}[\dXx]|\d{15}))/g;
const HEX = /(?:3[0-9]){14,17}(?:3[0-9]|58|78)/gi;
const BASE64 = /[A-Za-z0-9+/_-]{20,}/g;
const DIGEST = /[0-9a-f]{64}/gi;

/**
 * A scanner for citizens' numbers (15 or 18 characters). Looks for them as they are, backwards, as hexadecimal bytes, in base64 at any alignment, and as
 * an unkeyed hash, which for so few possible numbers hides nothing.
 */
export function scanner(canaries: readonly string[]): Scanner {
  const known = new Map(canaries.map((number, index) => [number.toUpperCase(), index]));
  const backwards = new Map(canaries.map((number, index) => [[...number.toUpperCase()].reverse().join(''), index]));
  const hashes = new Map(
    canaries.flatMap((number, index) =>
      ['md5', 'sha1', 'sha256', 'sm3'].map((name) => [createHash(name).update(number).digest('hex'), index] as const),
    ),
  );
  return {
    numbers(text) {
      const hits = new Map<string, Hit>();
      const add = (form: Form, canary: number | undefined) =>
        void (canary !== undefined && hits.set(`${form} ${canary}`, { form, canary }));
      const plain = (form: Form, of: string) => {
        for (const [, found = ''] of of.matchAll(NUMBER)) add(form, known.get(found.toUpperCase()));
      };
      plain('plain', text);
      for (const [, found = ''] of text.matchAll(/(?=([\dXx]\d{17}|\d{15}))/g)) add('reversed', backwards.get(found.toUpperCase()));
      for (const [found] of text.matchAll(HEX)) plain('hex', Buffer.from(found, 'hex').toString('latin1'));
      for (const [found] of text.matchAll(BASE64)) {
        for (const skip of [0, 1, 2, 3]) plain('base64', Buffer.from(found.slice(skip), 'base64').toString('latin1'));
      }
      for (const [found] of text.matchAll(DIGEST)) add('hash', hashes.get(found.toLowerCase()));
      for (const [found] of text.matchAll(/\b(?:[0-9a-f]{32}|[0-9a-f]{40})\b/gi)) add('hash', hashes.get(found.toLowerCase()));
      return [...hits.values()];
    },
  };
}

/** Every citizen's number that stands in the data of the platforms: of 18 characters, whether its check holds or not, and of 15 where it holds. */
export function numbersIn(rows: Iterable<unknown>, today: string): string[] {
  const found = new Set<string>();
  for (const row of rows) {
    for (const [, number = ''] of JSON.stringify(row).matchAll(/(?<![0-9A-Z])(\d{17}[\dX]|\d{15})(?![0-9A-Z])/gi)) {
      const { kind, valid } = classify(number, today);
      if (valid ? kind !== 'uscc' : number.length === 18 && /^\d{6}(?:19|20)\d\d[01]\d[0-3]\d/.test(number)) found.add(number);
    }
  }
  return [...found];
}
