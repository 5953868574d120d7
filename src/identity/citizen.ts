import { type Checked, accept, refuse } from './checked.ts';
import { fold } from './fold.ts';
import { isProvince, regionWarnings } from './platform.ts';

const WEIGHTS = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
const CHECKS = '10X98765432';
/** 18-character numbers exist since 1999: nobody who holds one was born earlier. */
const EARLIEST = '1850-01-01';
const DAYS = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/**
 * Citizen identity number (GB 11643-1999), 18 characters or the old 15, which become 18.
 * The province is checked strictly. The county is the one of the first issue, often abolished since, so it can only be warned about: when it is
 * no county by its digits, or when `regions` knows other counties of its prefecture but not this one.
 * `today` is YYYY-MM-DD: a later birth date is refused.
 */
export function checkCitizenId(raw: string, today: string, regions?: ReadonlySet<string>): Checked {
  const folded = fold(raw);
  if (folded.length !== 15 && folded.length !== 18) return refuse(folded, 'length: a citizen number has 18 or 15 characters');
  const old = folded.length === 15;
  if (!(old ? /^\d{15}$/ : /^\d{17}[\dX]$/).test(folded)) return refuse(folded, 'shape: only digits, and X as the last of 18');
  if (!isProvince(folded.slice(0, 2))) return refuse(folded, 'province: the first two digits are no province');
  const number = old ? withCitizenCheck(`${folded.slice(0, 6)}19${folded.slice(6)}`) : folded;
  const fault = dateFault(number, today) || checkFault(number);
  if (fault) return refuse(folded, fault);
  const warnings = regionWarnings(number.slice(0, 6), regions);
  if (old) warnings.unshift('no-check-character: the 15-character form has none');
  return accept(number, warnings);
}

/** Residence permit of a Hong Kong, Macau or Taiwan resident: 810000, 820000 or 830000, then as a citizen number. */
export function checkResidencePermit(raw: string, today: string): Checked {
  const number = fold(raw);
  if (number.length !== 18) return refuse(number, 'length: a residence permit has 18 characters');
  if (!/^8[123]0000\d{11}[\dX]$/.test(number)) return refuse(number, 'shape: begins with 810000, 820000 or 830000, then digits');
  const fault = dateFault(number, today) || checkFault(number);
  return fault ? refuse(number, fault) : accept(number);
}

/**
 * Identity card of a foreign permanent resident. Form of 2023: 9, province, ISO 3166-1 numeric country, birth date, sequence, check
 * (GB 11643). Old form: three letters and twelve digits, of which nothing can be checked.
 */
export function checkForeignPermanentResident(raw: string, today: string): Checked {
  const number = fold(raw);
  if (/^[A-Z]{3}\d{12}$/.test(number)) return accept(number, ['old-form: issued before 2023, nothing but the shape can be checked']);
  if (number.length !== 18) return refuse(number, 'length: a permanent resident card has 18 characters, or 15 in the old form');
  if (!/^9\d{16}[\dX]$/.test(number)) return refuse(number, 'shape: begins with 9, only digits, and X as the last');
  if (!isProvince(number.slice(1, 3))) return refuse(number, 'province: the second and third digit are no province');
  const fault = dateFault(number, today) || checkFault(number);
  return fault ? refuse(number, fault) : accept(number);
}

/** Appends the check character (mod 11-2) to 17 digits. For sandboxes, tests and the 15-character form. Throws RangeError on other input. */
export function withCitizenCheck(first17: string): string {
  if (!/^\d{17}$/.test(first17)) throw new RangeError('not 17 digits');
  const sum = WEIGHTS.reduce((total, weight, i) => total + weight * Number(first17.charAt(i)), 0);
  return first17 + CHECKS.charAt(sum % 11);
}

/** '' when characters 7 to 14 are a day of the calendar, not before 1850 and not after `today`; else the reason. */
export function dateFault(number: string, today: string): string {
  const [year, month, day] = [Number(number.slice(6, 10)), Number(number.slice(10, 12)), Number(number.slice(12, 14))];
  const leap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  const last = month === 2 && leap ? 29 : (DAYS[month - 1] ?? 0);
  if (!(day >= 1 && day <= last)) return 'birth-date: no day of the calendar';
  const date = `${number.slice(6, 10)}-${number.slice(10, 12)}-${number.slice(12, 14)}`;
  if (date > today) return 'birth-date: in the future';
  return date < EARLIEST ? 'birth-date: too long ago' : '';
}

function checkFault(number: string): string {
  return withCitizenCheck(number.slice(0, 17)) === number ? '' : 'check: the check character does not fit (GB 11643)';
}
