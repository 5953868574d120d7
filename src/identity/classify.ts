import { type Checked, accept, refuse } from './checked.ts';
import { checkCitizenId, checkForeignPermanentResident, checkResidencePermit, dateFault } from './citizen.ts';
import { fold } from './fold.ts';
import { checkTravelPermitHkMo, checkTravelPermitTw } from './permits.ts';
import { isProvince } from './platform.ts';
import { checkUscc, isUsual } from './uscc.ts';

export type IdentifierKind =
  'uscc' | 'citizen-id' | 'residence-permit' | 'foreign-permanent-resident' | 'travel-permit-hk-mo' | 'travel-permit-tw' | 'unknown';

export interface Identified extends Checked {
  /** As given. */
  code: string;
  kind: IdentifierKind;
}

type As = (kind: IdentifierKind, checked: Checked) => Identified;

/**
 * Tells what a statutory code is from the code alone (WG-5, HN-13) and whether it is right. `today` is YYYY-MM-DD.
 * An invalid code keeps the kind it most resembles, so that the reason says what to correct.
 *
 * Where 18 digits could be two things: what holds as a citizen number or residence permit is a person's, whatever else it holds as. Digits that
 * merely resemble a person's (province, year or birth date) are an organisation's only when `checkUscc` takes them without a warning: one in 31
 * mistyped citizen numbers fits GB 32100 by chance, and a person's number must not be kept as open data.
 */
export function classify(raw: string, today: string): Identified {
  const code = fold(raw);
  const as: As = (kind, checked) => ({ code: raw, kind, ...checked });
  if (/^[0-9A-Z]{18}$/.test(code)) return eighteen(code, today, as);
  if (/^\d{15}$/.test(code)) return as('citizen-id', checkCitizenId(code, today));
  if (/^[A-Z]{3}\d{12}$/.test(code)) return as('foreign-permanent-resident', checkForeignPermanentResident(code, today));
  if (/^[HM][0-9A-Z]{8,10}$/.test(code)) return as('travel-permit-hk-mo', checkTravelPermitHkMo(code));
  if (/^(\d{8}|\d{10})$/.test(code)) return as('travel-permit-tw', checkTravelPermitTw(code));
  return as('unknown', refuse(code, 'unknown: no known form of a statutory code'));
}

function eighteen(code: string, today: string, as: As): Identified {
  const uscc = checkUscc(code);
  const [kind, person] = personReading(code, today);
  const certain = uscc.valid && uscc.warnings.length === 0;
  if (person.valid && !(certain && kind === 'foreign-permanent-resident')) return as(kind, certain ? ambiguous(person) : person);
  if (certain || !/^\d{17}[\dX]$/.test(code)) return as('uscc', uscc);
  const resembles = isProvince(code.slice(0, 2)) || /^(18|19|20)/.test(code.slice(6, 8)) || dateFault(code, today) === '';
  return resembles || !(uscc.valid || isUsual(code)) ? as(kind, person) : as('uscc', uscc);
}

/** The person's number that 18 characters would be, by their first ones. */
function personReading(code: string, today: string): [IdentifierKind, Checked] {
  if (code.startsWith('9')) return ['foreign-permanent-resident', checkForeignPermanentResident(code, today)];
  if (/^8[123]0000/.test(code)) return ['residence-permit', checkResidencePermit(code, today)];
  return ['citizen-id', checkCitizenId(code, today)];
}

function ambiguous(person: Checked): Checked {
  return accept(person.normalized, [...person.warnings, 'ambiguous: also holds as a unified social credit code']);
}
