import type { Value } from '../model/types.ts';

type Unit = NonNullable<Value['money']>;

/** How many decimals of the unit make fen. */
const DECIMALS: Record<Unit, number> = { fen: 0, yuan: 2, 'wan-yuan': 6 };

/**
 * An amount as integer fen, exactly: digits are shifted, nothing is multiplied with a fraction. Null when the text is no plain decimal (signs,
 * separators, exponents), is finer than a fen, or is beyond the integers a number holds. Trailing zeros beyond fen lose nothing and are taken.
 */
export function fenOf(text: string, unit: Unit): number | null {
  const shift = DECIMALS[unit];
  let fen = 0;
  let decimals = -1;
  for (let i = 0; i < text.length; i++) {
    const digit = text.charCodeAt(i) - 48;
    if (digit === -2 && decimals < 0 && i > 0 && i < text.length - 1) {
      decimals = 0;
    } else if (!(digit >= 0 && digit <= 9)) {
      return null;
    } else if (decimals < shift) {
      fen = fen * 10 + digit;
      if (decimals >= 0) decimals++;
    } else if (digit !== 0) {
      return null;
    }
  }
  for (let i = Math.max(decimals, 0); i < shift; i++) fen *= 10;
  // Every intermediate above the safe integers stays above them, so one test at the end is enough.
  return text !== '' && Number.isSafeInteger(fen) ? fen : null;
}

/** A whole number within the safe integers; decimals that are all zero (numeric columns print them) do not hurt. Null: not one. */
export function integerOf(text: string): number | null {
  if (!/^-?\d+(\.0+)?$/.test(text)) return null;
  const number = Number(text);
  return Number.isSafeInteger(number) ? number + 0 : null;
}

/** Whether the text is a plain decimal; it is kept as the source states it, trailing zeros and all. */
export function isDecimal(text: string): boolean {
  return /^-?(0|[1-9]\d*)(\.\d+)?$/.test(text);
}
