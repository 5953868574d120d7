import { type Checked, accept, refuse } from './checked.ts';
import { fold } from './fold.ts';

/** First two digits of GB/T 2260. 83 is not among them: it stands only in residence permits. */
const PROVINCES = new Set(
  '11 12 13 14 15 21 22 23 31 32 33 34 35 36 37 41 42 43 44 45 46 50 51 52 53 54 61 62 63 64 65 71 81 82'.split(' '),
);

export function isProvince(two: string): boolean {
  return PROVINCES.has(two);
}

/**
 * Region of the national insurance platform: six digits, a GB/T 2260 code or one of the platform's own, `XXXX99` for a prefecture's own pool and
 * `XX9900` for a province's. Longer GB codes (9 or 12 digits) are refused: the mapping that knows its source cuts them.
 * The province is checked strictly; with `regions`, a code missing there is a warning.
 */
export function checkRegion(raw: string, regions?: ReadonlySet<string>): Checked {
  const code = fold(raw);
  if (!/^\d{6}$/.test(code)) return refuse(code, 'shape: a region has 6 digits');
  if (!isProvince(code.slice(0, 2))) return refuse(code, 'province: the first two digits are no province');
  return accept(code, regions && !regions.has(code) ? ['unknown-region: not among the known regions'] : []);
}

/** Warnings about the county of a citizen number or a code; the province is the caller's to check. */
export function regionWarnings(code: string, regions?: ReadonlySet<string>): string[] {
  const structural = code.endsWith('00') || code.endsWith('99');
  const prefecture = code.slice(0, 4);
  const missing =
    regions && !regions.has(code) && regions.values().some((known) => known.startsWith(prefecture) && !/(00|99)$/.test(known));
  return structural || missing ? ['unknown-county: not a county known today'] : [];
}

/** The region that contains this one: county → prefecture → province; pooled codes belong to the level they pool. Undefined for a province. */
export function parentRegion(code: string): string | undefined {
  if (code.endsWith('0000')) return undefined;
  return code.endsWith('00') ? `${code.slice(0, 2)}0000` : `${code.slice(0, 4)}00`;
}

/** Code of a designated institution: H (medical institution) or P (pharmacy), region, five-digit serial. */
export function checkInstitutionCode(raw: string): Checked {
  const code = fold(raw);
  if (!/^[HP]\d{11}$/.test(code)) return refuse(code, 'shape: H or P and 11 digits');
  return isProvince(code.slice(1, 3)) ? accept(code) : refuse(code, 'province: the region begins with no province');
}

/** Code of a physician (D) or nurse (N): letter, region, six-digit serial. Codes of other professions begin with letters not published: a warning. */
export function checkPractitionerCode(raw: string): Checked {
  const code = fold(raw);
  if (!/^[A-Z]\d{12}$/.test(code)) return refuse(code, 'shape: a letter and 12 digits');
  if (!isProvince(code.slice(1, 3))) return refuse(code, 'province: the region begins with no province');
  return accept(code, /^[DN]/.test(code) ? [] : ['unknown-profession: the first letter is neither D nor N']);
}
