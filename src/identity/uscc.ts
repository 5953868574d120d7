import { type Checked, accept, refuse } from './checked.ts';
import { fold } from './fold.ts';
import { isProvince } from './platform.ts';

/** GB 32100: no I, O, Z, S, V. The index of a character is its value. */
const ALPHABET = '0123456789ABCDEFGHJKLMNPQRTUWXY';
const WEIGHTS = [1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28];
const ORG_WEIGHTS = [3, 7, 9, 10, 5, 8, 4, 2];
/** Registering departments; 0 was never assigned. */
const DEPARTMENTS = '123456789ANY';
/** Department and category pairs in common use; others exist but are rare enough to be looked at. */
const USUAL = new Set(['11', '12', '13', '19', '51', '52', '53', '59', '91', '92', '93', 'Y1', 'N1']);

const BODY = /^[0-9A-HJ-NPQRTUWXY]{2}[0-9]{6}[0-9A-HJ-NPQRTUWXY]{8}[0-9X]$/;

/**
 * Unified social credit code (GB 32100-2015): shape and the check character over all, modulo 31.
 * A wrong check character of the organisation code inside (GB 11714) is only a warning: registered codes with that fault exist.
 */
export function checkUscc(raw: string): Checked {
  const code = fold(raw);
  if (code.length !== 18) return refuse(code, 'length: a unified social credit code has 18 characters');
  if (![...code].every((c) => ALPHABET.includes(c))) return refuse(code, 'alphabet: a character outside GB 32100');
  if (!DEPARTMENTS.includes(code.charAt(0))) return refuse(code, 'department: the first character names no registering department');
  if (!BODY.test(code.slice(0, 17))) return refuse(code, 'shape: region or organisation code has the wrong form');
  if (checkCharacter(code) !== code[17]) return refuse(code, 'check: the check character does not fit (GB 32100)');
  const warnings: string[] = [];
  if (organisationCheck(code.slice(8, 16)) !== code[16])
    warnings.push('organisation-code-check: the inner check character does not fit (GB 11714)');
  if (!isUsual(code)) warnings.push('unusual-category: department and category are rarely used together');
  if (!isProvince(code.slice(2, 4)) && code.slice(2, 4) !== '10')
    warnings.push('unknown-province: the region begins with no known province');
  return accept(code, warnings);
}

/** Whether the first two characters of a folded code are one of the department and category pairs in common use. */
export function isUsual(code: string): boolean {
  return USUAL.has(code.slice(0, 2));
}

/** Appends the check character to 17 characters. For sandboxes and tests. Throws RangeError when they can't begin a code. */
export function withUsccCheck(first17: string): string {
  if (!BODY.test(first17) || !DEPARTMENTS.includes(first17.charAt(0))) throw new RangeError('not the first 17 characters of a USCC');
  return first17 + checkCharacter(first17);
}

/**
 * A code with both check characters right, from department, category and region (8 characters) and the first 8 of the organisation code.
 * For sandboxes and tests. Throws RangeError as `withUsccCheck` does.
 */
export function usccFor(first8: string, eightOrgChars: string): string {
  if (first8.length !== 8 || eightOrgChars.length !== 8) throw new RangeError('usccFor takes 8 and 8 characters');
  return withUsccCheck(first8 + eightOrgChars + organisationCheck(eightOrgChars));
}

/** The outer `% 31` matters: a sum divisible by 31 gives 31 otherwise, which is no character. */
function checkCharacter(code: string): string {
  const sum = WEIGHTS.reduce((total, weight, i) => total + weight * ALPHABET.indexOf(code.charAt(i)), 0);
  return ALPHABET.charAt((31 - (sum % 31)) % 31);
}

function organisationCheck(eight: string): string {
  const sum = ORG_WEIGHTS.reduce((total, weight, i) => total + weight * Number.parseInt(eight.charAt(i), 36), 0);
  return '0123456789X0'.charAt(11 - (sum % 11));
}
