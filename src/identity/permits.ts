import { type Checked, accept, refuse } from './checked.ts';
import { fold } from './fold.ts';

/** Travel permit of a Hong Kong or Macau resident: H or M with 8 digits (card), or 10 (with the count of issues). No check character. */
export function checkTravelPermitHkMo(raw: string): Checked {
  const code = fold(raw);
  return /^[HM]\d{8}(\d{2})?$/.test(code) ? accept(code) : refuse(code, 'shape: H or M and 8 or 10 digits');
}

/** Travel permit of a Taiwan resident: 8 digits now, 10 in an older form. No check character. */
export function checkTravelPermitTw(raw: string): Checked {
  const code = fold(raw);
  if (/^\d{10}$/.test(code)) return accept(code, ['old-form: today these permits have 8 digits']);
  return /^\d{8}$/.test(code) ? accept(code) : refuse(code, 'shape: 8 digits, or 10 in the old form');
}

/** Passports have no common form, so they are never recognised by `classify`; a declared one is only held to the shape all issuers keep. */
export function checkPassport(raw: string): Checked {
  const code = fold(raw);
  return /^[A-Z0-9]{5,20}$/.test(code) ? accept(code) : refuse(code, 'shape: 5 to 20 letters and digits');
}
