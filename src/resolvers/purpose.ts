import type { Caller, Purpose } from '../access/caller.ts';
import { Refused } from '../errors.ts';
import { classify } from '../identity/classify.ts';
import type { LogEntry } from '../log/entry.ts';
import { needsOfPurpose, type PurposeNeed } from '../model/check-policies.ts';
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

const MISSING: Readonly<Record<PurposeNeed, readonly [code: string, text: string]>> = {
  case: ['PURPOSE_CASE_REQUIRED', '以该用途查询须填写案件、申请或检查任务的编号'],
  basis: ['PURPOSE_BASIS_REQUIRED', '以该用途查询须填写法定依据'],
  identity: ['IDENTITY_PROOF_REQUIRED', '以该用途查询须先经本人身份认证'],
};

/**
 * The stated purpose, with all that codes/purposes says it needs. Throws `Refused` PURPOSE_REQUIRED, PURPOSE_UNKNOWN (HN-23.2), or
 * PURPOSE_CASE_REQUIRED, PURPOSE_BASIS_REQUIRED, IDENTITY_PROOF_REQUIRED with the article of the purpose.
 */
export function checkedPurpose(model: Model, stated: Purpose | undefined, caller: Caller): Purpose {
  const details = { article: 'HN-23.2' };
  if (stated === undefined) throw new Refused('PURPOSE_REQUIRED', '查询须说明用途', { status: 400, details });
  if (!isKnown(model, stated.code)) throw new Refused('PURPOSE_UNKNOWN', '查询用途代码不存在', { status: 400, details });
  const given = { case: stated.case.trim(), basis: stated.basis.trim(), identity: caller.subject?.code ?? '' };
  for (const need of needsOfPurpose(model, stated.code)) {
    if (given[need] !== '') continue;
    const [code, text] = MISSING[need];
    const article = model.codes.get('purposes')?.values.get(stated.code)?.extra['article'];
    throw new Refused(code, text, { status: need === 'identity' ? 403 : 400, details: { purpose: stated.code, article } });
  }
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
