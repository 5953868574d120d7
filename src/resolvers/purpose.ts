import type { Purpose } from '../access/caller.ts';
import { Refused } from '../errors.ts';
import { classify } from '../identity/classify.ts';
import type { LogEntry } from '../log/entry.ts';
import type { Model } from '../model/types.ts';

/** The purpose of a request, unchecked: in the headers `X-Purpose…` (URI-encoded UTF-8), or under `extensions.purpose` of the request. */
export function statedPurpose(headers: Readonly<Record<string, unknown>>, extensions: Record<string, unknown>): Purpose | undefined {
  const header = (name: string) => {
    const value = headers[name];
    if (typeof value !== 'string' || value === '') return undefined;
    try {
      return decodeURIComponent(value).slice(0, 500);
    } catch {
      throw new Refused('MALFORMED_REQUEST', `请求头 ${name} 须为 URI 编码的 UTF-8`, { status: 400 });
    }
  };
  const given = extensions['purpose'];
  const stated = typeof given === 'object' && given !== null ? (given as Record<string, unknown>) : null;
  const text = (value: unknown) => (typeof value === 'string' ? value.slice(0, 500) : undefined);
  const code = header('x-purpose') ?? text(stated?.['code']);
  if (code === undefined) return undefined;
  return {
    code,
    basis: header('x-purpose-basis') ?? text(stated?.['basis']) ?? '',
    case: header('x-purpose-case') ?? text(stated?.['case']) ?? '',
  };
}

/** The stated purpose. Throws `Refused` PURPOSE_REQUIRED or PURPOSE_UNKNOWN: no query without a purpose (HN-23.2). */
export function checkedPurpose(model: Model, stated: Purpose | undefined): Purpose {
  const details = { article: 'HN-23.2' };
  if (stated === undefined) throw new Refused('PURPOSE_REQUIRED', '查询须说明用途', { status: 400, details });
  if (!isKnown(model, stated.code)) throw new Refused('PURPOSE_UNKNOWN', '查询用途代码不存在', { status: 400, details });
  return stated;
}

/** A purpose as the log may keep it: only a code of the code set, and no number of a person in what was written as basis and case. */
export function loggedPurpose(model: Model, stated: Purpose | undefined, today: string): LogEntry['purpose'] {
  if (stated === undefined) return { code: '', basis: '', case: '' };
  return {
    code: isKnown(model, stated.code) ? stated.code : '',
    basis: withoutNumbers(stated.basis, today),
    case: withoutNumbers(stated.case, today),
  };
}

function isKnown(model: Model, code: string): boolean {
  return model.codes.get('purposes')?.values.has(code) ?? false;
}

/** Numbers of persons become `***`: those that hold, and those with a day of birth in the right place whose check fails, which are one slip away from somebody. */
function withoutNumbers(text: string, today: string): string {
  return text.replaceAll(/(?<!\d)(?:\d{17}[\dXx]|\d{15})(?!\d)/g, (number) => {
    const found = classify(number, today);
    if (found.kind === 'uscc' && found.valid) return number;
    return found.valid || /^\d{6}(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\d{3}[\dXx]$/.test(number) ? '***' : number;
  });
}
