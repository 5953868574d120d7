/** What a check says about one code. Neither `reason` nor `warnings` ever hold the code or a part of it, so both may be logged. */
export interface Checked {
  valid: boolean;
  /** The folded code; a valid 15-character citizen number becomes its 18-character form. */
  normalized: string;
  /** Refused: why. Accepted: the warnings in one line, '' when there are none. Form: `english-code: short text`. */
  reason: string;
  /** `english-code: short text` each; only on accepted codes. */
  warnings: string[];
}

export function accept(normalized: string, warnings: string[] = []): Checked {
  return { valid: true, normalized, reason: warnings.join('; '), warnings };
}

export function refuse(normalized: string, reason: string): Checked {
  return { valid: false, normalized, reason, warnings: [] };
}
